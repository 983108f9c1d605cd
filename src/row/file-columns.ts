/**
 * The columns of our files: names, types, units and their order. Exports write them, what tells our own files from others
 * looks for them, and an import reads them back.
 */
import { LIFTED_FIELDS, snakeCase } from '../schema/fields.js';

/** timestamp: µs since the Unix epoch, UTC. `uint16` and `bytes` are of compacted segments. */
export type ValueType =
  | 'float64'
  | 'int64'
  | 'int32'
  | 'uint32'
  | 'uint16'
  | 'timestamp'
  | 'bool'
  | 'text'
  | 'bytes';

/** What is told of a column, in the same words for all formats. */
export interface SchemaColumn {
  readonly name: string;
  /** `list`, `object` and `any`, which is any JSON value, are of rows that are maps. */
  readonly type: ValueType | 'list' | 'object' | 'any';
  readonly nullable: boolean;
  readonly unit?: string;
  /** What the text is, where it is no text of its own. */
  readonly encoding?: 'json' | 'iso8601';
}

const REQUIRED_TEXT = { type: 'text', nullable: false } as const;
const TEXT = { type: 'text', nullable: true } as const;
/** Mostly text, but whatever the emitter took for it. */
const ID = { type: 'any', nullable: true } as const;
/** Whole numbers, but for a total that an emitter told otherwise. */
const TOKENS = { type: 'int64', nullable: true, unit: 'tokens' } as const;

/** The reference's columns, in its order. `flatten: false` writes exactly these. */
export const BASE = [
  { name: 'cohort', ...ID },
  { name: 'condition', ...REQUIRED_TEXT },
  { name: 'cost_usd', type: 'float64', nullable: true, unit: 'USD' },
  { name: 'datetime', type: 'text', nullable: true, encoding: 'iso8601' },
  { name: 'event_id', ...REQUIRED_TEXT },
  { name: 'event_name', ...REQUIRED_TEXT },
  { name: 'experiment_id', ...REQUIRED_TEXT },
  { name: 'experiment_name', ...REQUIRED_TEXT },
  { name: 'latency_ms', type: 'float64', nullable: true, unit: 'ms' },
  { name: 'model', ...TEXT },
  { name: 'provider', ...TEXT },
  { name: 'sample_id', ...ID },
  { name: 'session_id', ...ID },
  { name: 'success', type: 'bool', nullable: true },
  { name: 'timestamp', type: 'timestamp', nullable: false, unit: 'us' },
] as const satisfies readonly SchemaColumn[];

/** Fields the reference computes but does not export; present in every flattened file, whatever its rows. */
export const EXTRA = [
  { name: 'correlation_id', ...ID },
  { name: 'cost_source', ...TEXT },
  { name: 'malformed', type: 'bool', nullable: false },
  { name: 'malformed_keys', type: 'list', nullable: false },
  { name: 'span_id', ...ID },
  { name: 'tags', type: 'list', nullable: false },
  { name: 'tokens_completion', ...TOKENS },
  { name: 'tokens_prompt', ...TOKENS },
  { name: 'tokens_total', ...TOKENS },
  { name: 'trace_id', ...ID },
  { name: 'user_id', ...ID },
] as const satisfies readonly SchemaColumn[];

/** What an event as a map has besides. */
export const PARTS = [
  { name: 'measurements', type: 'object', nullable: false },
  { name: 'metadata', type: 'object', nullable: false },
  { name: 'tokens', type: 'object', nullable: true, unit: 'tokens' },
] as const satisfies readonly SchemaColumn[];

export type ColumnName = (typeof BASE | typeof EXTRA | typeof PARTS)[number]['name'];

/**
 * Of all columns those that every event has as a map, in their order; fields of its category stand beside them. Token
 * counts stay one object, and the time is written once, as a number.
 */
export function ofMaps<Column extends { readonly name: string }>(columns: readonly Column[]): Column[] {
  return columns
    .filter(({ name }) => name !== 'datetime' && !name.startsWith('tokens_'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Without these there is no event of ours. */
export const REQUIRED_COLUMNS: readonly ColumnName[] = [
  'event_id',
  'event_name',
  'experiment_id',
  'timestamp',
];

/** Whom and what an event is about, by column. */
export const LIFTED_COLUMNS: ReadonlyMap<string, (typeof LIFTED_FIELDS)[number]> = new Map(
  [...LIFTED_FIELDS].sort().map((field) => [snakeCase(field), field]),
);

/** What the columns of an event's open parts begin with; those of its category's fields have no prefix. */
export const PREFIXES = { measurements: 'measurement_', metadata: 'metadata_' } as const;
