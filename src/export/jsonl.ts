/**
 * JSON Lines: one object an event, keys in snake_case and sorted, every event complete in itself.
 *
 * `metadata` and `measurements` are kept as they are; the fields of the event's category stand beside the base
 * ones (`loss`, `stage_name`), where such a name is taken with `_2` behind it.
 */

import { CELL_STORED_JSON } from '../../assembly/text-layout.js';
import { jsonText } from '../formats/text.js';
import type { EventRow, Json } from '../schema/event.js';
import { snakeCase } from '../schema/fields.js';
import { MAP_COLUMNS, schemaOf } from './columns.js';
import type { EncodeOptions, ExportEncoder, ExportFormatDefinition } from './encoder.js';
import { rowFile } from './row-file.js';
import { RowWriter } from './row-writer.js';
import {
  type Cell,
  COMPLETION_TOKENS,
  COST,
  cellOf,
  constant,
  ifCost,
  ifTokens,
  LATENCY,
  type Part,
  PLACE,
  PROMPT_TOKENS,
  SUCCESS,
  type TextFormat,
  TIMESTAMP,
  TOTAL_TOKENS,
} from './text-format.js';

export const jsonlFormat: ExportFormatDefinition = {
  format: 'jsonl',
  extension: 'jsonl',
  needsPlan: () => 'none',
  open: (_plan, _about, options) => openJsonl(options),
};

export function openJsonl(options: EncodeOptions = {}): ExportEncoder {
  const format = new JsonFormat(options.pretty === true);
  return {
    schema: schemaOf(MAP_COLUMNS),
    additionalKeys: true,
    encode: (blocks) => rowFile(blocks, NO_HEAD, new RowWriter(format)),
  };
}

const NO_HEAD = new Uint8Array(0);

/** Fields that are not the same in all rows of a binding, besides the tokens. */
const CELLS: ReadonlyMap<string, Cell> = new Map([
  ['cost_source', ifCost('"event"')],
  ['cost_usd', COST],
  ['event_id', PLACE],
  ['latency_ms', LATENCY],
  ['success', SUCCESS],
  ['timestamp', TIMESTAMP],
]);

class JsonFormat implements TextFormat {
  readonly absent = 'null';
  readonly storedText = CELL_STORED_JSON;
  readonly quote = '"';
  readonly #indent: number | undefined;

  constructor(pretty: boolean) {
    this.#indent = pretty ? 2 : undefined;
  }

  row(event: EventRow): string {
    return `${jsonText(jsonRecord(event), this.#indent)}\n`;
  }

  form(event: EventRow): Part[] {
    const [line, space] = this.#indent === undefined ? ['', ''] : ['\n  ', ' '];
    const parts = Object.entries(jsonRecord(event)).flatMap(([name, value]): Part[] => {
      const key = `,${line}${jsonText(name)}:${space}`;
      if (name === 'tokens') return [key, ...this.#tokens()];
      const cell = cellOf(CELLS, name, event);
      // Nested lines stand one level deeper; inside a text of JSON there are no line ends.
      const text = jsonText(value, this.#indent).replaceAll('\n', '\n  ');
      if (cell === undefined) return [key, text];
      if (cell !== PLACE) return [key, cell];
      const end = event.eventId.slice(event.experimentId.length + 1);
      const at = text.lastIndexOf(end);
      return [key, text.slice(0, at), PLACE, text.slice(at + end.length)];
    });
    const [first, ...rest] = parts as [string, ...Part[]];
    return [`{${first.slice(1)}`, ...rest, line === '' ? '}\n' : '\n}\n'];
  }

  #tokens(): Part[] {
    const [line, end, space] = this.#indent === undefined ? ['', '', ''] : ['\n    ', '\n  ', ' '];
    return [
      ifTokens(4),
      `{${line}"prompt":${space}`,
      PROMPT_TOKENS,
      `,${line}"completion":${space}`,
      COMPLETION_TOKENS,
      `,${line}"total":${space}`,
      TOTAL_TOKENS,
      constant(`${end}}`),
    ];
  }
}

/** The event as the object that a line holds. */
export function jsonRecord(event: EventRow): Record<string, Json> {
  const entries = new Map<string, Json>(MAP_COLUMNS.map(({ name, read }) => [name, read(event)]));
  for (const [key, value] of Object.entries(event.fields)) {
    const name = snakeCase(key);
    let unique = name;
    for (let n = 2; entries.has(unique); n += 1) unique = `${name}_${n}`;
    entries.set(unique, value);
  }
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}
