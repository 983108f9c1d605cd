/** The columns of the columnar snapshot, in their order. docs/formats.md is its specification. */

import { jsonText } from '../../formats/text.js';
import type { OwnParts } from '../../readers/rows.js';
import type { CapturePlace } from '../../row/event-id.js';
import type { EventRow, Json, Tokens } from '../../schema/event.js';
import { type SchemaColumn, schemaOf } from '../columns.js';

/** Numbers, which every row has of its own. */
export interface NumberColumn {
  readonly name: string;
  readonly type: 'i64' | 'f64';
  readonly unit?: string;
  readonly read: (own: OwnParts, place: CapturePlace | null) => number | null;
}

interface ValueColumn {
  readonly name: string;
  /** `json` is text as well, that of a JSON value. */
  readonly type: 'bool' | 'text' | 'json';
  readonly unit?: undefined;
}

/** Other values that every row has of its own. */
export interface OwnColumn extends ValueColumn {
  readonly isOwn: true;
  readonly read: (own: OwnParts) => boolean | string | null;
}

/** Values that all rows of a binding share which say no more than it. */
export interface BoundColumn extends ValueColumn {
  readonly isOwn: false;
  readonly read: (event: EventRow, place: CapturePlace | null) => string | null;
}

export type Column = NumberColumn | OwnColumn | BoundColumn;

export const COLUMNS: readonly Column[] = [
  { name: 'timestamp', type: 'i64', unit: 'us', read: (own) => own.timestamp },
  text('experiment_id', (event) => event.experimentId),
  text('experiment_name', (event) => event.experimentName),
  text('condition', (event) => event.condition),
  json('tags', (event) => textOrNull([...event.tags])),
  { name: 'producer', type: 'f64', read: (_, place) => place?.producer ?? null },
  { name: 'sequence', type: 'f64', read: (_, place) => place?.sequence ?? null },
  text('event_id', (event, place) => (place === null ? event.eventId : null)),
  text('event_name', (event) => event.eventName),
  text('model', (event) => event.model),
  text('provider', (event) => event.provider),
  { name: 'latency_ms', type: 'f64', unit: 'ms', read: (own) => own.latencyMs },
  { name: 'cost_usd', type: 'f64', unit: 'USD', read: (own) => own.costUsd },
  { name: 'cost_source', type: 'text', isOwn: true, read: (own) => own.costSource },
  { name: 'success', type: 'bool', isOwn: true, read: (own) => own.success },
  { name: 'malformed', type: 'bool', isOwn: true, read: (own) => own.malformed },
  json('malformed_keys', (event) =>
    event.malformedKeys.length === 0 ? null : jsonText([...event.malformedKeys]),
  ),
  tokens('prompt'),
  tokens('completion'),
  tokens('total'),
  json('session_id', (event) => textOrNull(event.sessionId)),
  json('user_id', (event) => textOrNull(event.userId)),
  json('sample_id', (event) => textOrNull(event.sampleId)),
  json('cohort', (event) => textOrNull(event.cohort)),
  json('correlation_id', (event) => textOrNull(event.correlationId)),
  json('trace_id', (event) => textOrNull(event.traceId)),
  json('span_id', (event) => textOrNull(event.spanId)),
  json('metadata', (event) => objectText(event.metadata)),
  json('measurements', (event) => objectText(event.measurements)),
  json('fields', (event) => objectText(event.fields)),
];

const TYPES: Readonly<Record<Column['type'], Pick<SchemaColumn, 'type' | 'encoding'>>> = {
  // The only whole numbers of 64 bits are times.
  i64: { type: 'timestamp' },
  f64: { type: 'float64' },
  bool: { type: 'bool' },
  text: { type: 'text' },
  json: { type: 'text', encoding: 'json' },
};

/** Columns that have a value in every row. */
const REQUIRED: ReadonlySet<string> = new Set([
  'timestamp',
  'experiment_id',
  'experiment_name',
  'condition',
  'tags',
  'event_name',
  'malformed',
]);

/** The columns as they are told. */
export const SCHEMA = schemaOf(
  COLUMNS.map(({ name, type, unit }) => ({ name, nullable: !REQUIRED.has(name), unit, ...TYPES[type] })),
);

export function isNumeric(column: Column): column is NumberColumn {
  return column.type === 'f64' || column.type === 'i64';
}

function text(name: string, read: BoundColumn['read']): BoundColumn {
  return { name, type: 'text', isOwn: false, read };
}

function json(name: string, read: BoundColumn['read']): BoundColumn {
  return { name, type: 'json', isOwn: false, read };
}

function tokens(part: keyof Tokens): NumberColumn {
  return { name: `tokens_${part}`, type: 'f64', unit: 'tokens', read: (own) => own.tokens?.[part] ?? null };
}

function textOrNull(value: Json): string | null {
  const written = jsonText(value);
  return written === 'null' ? null : written;
}

/** JSON of an object; null for an empty one. */
function objectText(value: Readonly<Record<string, Json>>): string | null {
  for (const _ in value) return jsonText(value);
  return null;
}
