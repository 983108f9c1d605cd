/** An event as flat, named values: the columns every export shares, in snake_case. */

import type { ValueType } from '../formats/columns/column.js';
import { isoMicros, snakeCase } from '../formats/text.js';
import type { EventRow, Json } from '../schema/event.js';

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

/** As the values are, which a format may have to write as another type. */
export interface Column extends SchemaColumn {
  readonly read: (event: EventRow) => Json;
}

const REQUIRED_TEXT = { type: 'text', nullable: false } as const;
const TEXT = { type: 'text', nullable: true } as const;
/** Mostly text, but whatever the emitter took for it. */
const ID = { type: 'any', nullable: true } as const;
/** Whole numbers, but for a total that an emitter told otherwise. */
const TOKENS = { type: 'int64', nullable: true, unit: 'tokens' } as const;

/** The reference's columns, in its order. `flatten: false` writes exactly these. */
export const BASE_COLUMNS: readonly Column[] = [
  { name: 'cohort', ...ID, read: (event) => event.cohort },
  { name: 'condition', ...REQUIRED_TEXT, read: (event) => event.condition },
  { name: 'cost_usd', type: 'float64', nullable: true, unit: 'USD', read: (event) => event.costUsd },
  {
    name: 'datetime',
    type: 'text',
    nullable: true,
    encoding: 'iso8601',
    read: (event) => isoMicros(event.timestamp),
  },
  { name: 'event_id', ...REQUIRED_TEXT, read: (event) => event.eventId },
  { name: 'event_name', ...REQUIRED_TEXT, read: (event) => event.eventName },
  { name: 'experiment_id', ...REQUIRED_TEXT, read: (event) => event.experimentId },
  { name: 'experiment_name', ...REQUIRED_TEXT, read: (event) => event.experimentName },
  { name: 'latency_ms', type: 'float64', nullable: true, unit: 'ms', read: (event) => event.latencyMs },
  { name: 'model', ...TEXT, read: (event) => event.model },
  { name: 'provider', ...TEXT, read: (event) => event.provider },
  { name: 'sample_id', ...ID, read: (event) => event.sampleId },
  { name: 'session_id', ...ID, read: (event) => event.sessionId },
  { name: 'success', type: 'bool', nullable: true, read: (event) => event.success },
  { name: 'timestamp', type: 'timestamp', nullable: false, unit: 'us', read: (event) => event.timestamp },
];

/** Fields the reference computes but does not export; present in every flattened file, whatever its rows. */
export const EXTRA_COLUMNS: readonly Column[] = [
  { name: 'correlation_id', ...ID, read: (event) => event.correlationId },
  { name: 'cost_source', ...TEXT, read: (event) => event.costSource },
  { name: 'malformed', type: 'bool', nullable: false, read: (event) => event.malformed },
  { name: 'malformed_keys', type: 'list', nullable: false, read: (event) => [...event.malformedKeys] },
  { name: 'span_id', ...ID, read: (event) => event.spanId },
  { name: 'tags', type: 'list', nullable: false, read: (event) => [...event.tags] },
  { name: 'tokens_completion', ...TOKENS, read: (event) => event.tokens?.completion ?? null },
  { name: 'tokens_prompt', ...TOKENS, read: (event) => event.tokens?.prompt ?? null },
  { name: 'tokens_total', ...TOKENS, read: (event) => event.tokens?.total ?? null },
  { name: 'trace_id', ...ID, read: (event) => event.traceId },
  { name: 'user_id', ...ID, read: (event) => event.userId },
];

/** What an event as a map has besides. */
const PARTS: readonly Column[] = [
  { name: 'measurements', type: 'object', nullable: false, read: (event) => event.measurements },
  { name: 'metadata', type: 'object', nullable: false, read: (event) => event.metadata },
  {
    name: 'tokens',
    type: 'object',
    nullable: true,
    unit: 'tokens',
    read: (event) => event.tokens as unknown as Json,
  },
];

/**
 * The keys that every event has as a map, in their order; fields of its category stand beside them. Token counts stay
 * one object, and the time is written once, as a number.
 */
export const MAP_COLUMNS: readonly Column[] = [...BASE_COLUMNS, ...EXTRA_COLUMNS, ...PARTS]
  .filter(({ name }) => name !== 'datetime' && !name.startsWith('tokens_'))
  .sort((a, b) => (a.name < b.name ? -1 : 1));

/** The columns as they are told. */
export function schemaOf(columns: readonly SchemaColumn[]): SchemaColumn[] {
  return columns.map(({ name, type, nullable, unit, encoding }) => ({
    name,
    type,
    nullable,
    ...(unit && { unit }),
    ...(encoding && { encoding }),
  }));
}

/** The open-ended parts of an event, each under its prefix; names are joined with underscores. */
export const OPEN_PARTS: readonly {
  readonly prefix: string;
  readonly read: (event: EventRow) => Readonly<Record<string, Json>>;
  readonly rename: (key: string) => string;
}[] = [
  { prefix: '', read: (event) => event.fields, rename: snakeCase },
  { prefix: 'measurement_', read: (event) => event.measurements, rename: (key) => key },
  { prefix: 'metadata_', read: (event) => event.metadata, rename: (key) => key },
];
