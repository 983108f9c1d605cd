/**
 * JSON Lines: one object an event, keys in snake_case and sorted, every event complete in itself.
 *
 * `metadata` and `measurements` are kept as they are; the fields of the event's category stand beside the base
 * ones (`loss`, `stage_name`), where such a name is taken with `_2` behind it.
 */

import type { EventRow, Json } from '../schema/event.js';
import { BASE_COLUMNS, EXTRA_COLUMNS } from './columns.js';
import type { EncodeOptions, EventSource, RowEncoder, RowFormatDefinition } from './encoder.js';
import { jsonText, snakeCase } from './text.js';

export const jsonlFormat: RowFormatDefinition = { format: 'jsonl', extension: 'jsonl', open: openJsonl };

/** Token counts stay one object, and the time is written once, as a number. */
const COLUMNS = [...BASE_COLUMNS, ...EXTRA_COLUMNS].filter(
  ({ name }) => name !== 'datetime' && !name.startsWith('tokens_'),
);

export async function openJsonl(_source: EventSource, options: EncodeOptions = {}): Promise<RowEncoder> {
  const indent = options.pretty === true ? 2 : undefined;
  return {
    columns: null,
    header: () => '',
    row: (event) => `${jsonText(jsonRecord(event), indent)}\n`,
  };
}

/** The event as the object that a line holds. */
export function jsonRecord(event: EventRow): Record<string, Json> {
  const entries = new Map<string, Json>(COLUMNS.map(({ name, read }) => [name, read(event)]));
  entries.set('measurements', event.measurements);
  entries.set('metadata', event.metadata);
  entries.set('tokens', event.tokens === null ? null : { ...event.tokens });
  for (const [key, value] of Object.entries(event.fields)) {
    const name = snakeCase(key);
    let unique = name;
    for (let n = 2; entries.has(unique); n += 1) unique = `${name}_${n}`;
    entries.set(unique, value);
  }
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}
