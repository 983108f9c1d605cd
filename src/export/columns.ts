/** An event as flat, named values: the columns every export shares, in snake_case. */

import { isoMicros } from '../formats/text.js';
import {
  BASE,
  type ColumnName,
  EXTRA,
  ofMaps,
  PARTS,
  PREFIXES,
  type SchemaColumn,
} from '../row/file-columns.js';
import type { EventRow, Json } from '../schema/event.js';
import { snakeCase } from '../schema/fields.js';

export type { SchemaColumn };

/** As the values are, which a format may have to write as another type. */
export interface Column extends SchemaColumn {
  readonly read: (event: EventRow) => Json;
}

const READ: { readonly [Name in ColumnName]: Column['read'] } = {
  cohort: (event) => event.cohort,
  condition: (event) => event.condition,
  correlation_id: (event) => event.correlationId,
  cost_source: (event) => event.costSource,
  cost_usd: (event) => event.costUsd,
  datetime: (event) => isoMicros(event.timestamp),
  event_id: (event) => event.eventId,
  event_name: (event) => event.eventName,
  experiment_id: (event) => event.experimentId,
  experiment_name: (event) => event.experimentName,
  latency_ms: (event) => event.latencyMs,
  malformed: (event) => event.malformed,
  malformed_keys: (event) => [...event.malformedKeys],
  measurements: (event) => event.measurements,
  metadata: (event) => event.metadata,
  model: (event) => event.model,
  provider: (event) => event.provider,
  sample_id: (event) => event.sampleId,
  session_id: (event) => event.sessionId,
  span_id: (event) => event.spanId,
  success: (event) => event.success,
  tags: (event) => [...event.tags],
  timestamp: (event) => event.timestamp,
  tokens: (event) => event.tokens as unknown as Json,
  tokens_completion: (event) => event.tokens?.completion ?? null,
  tokens_prompt: (event) => event.tokens?.prompt ?? null,
  tokens_total: (event) => event.tokens?.total ?? null,
  trace_id: (event) => event.traceId,
  user_id: (event) => event.userId,
};

function readable(columns: readonly (SchemaColumn & { readonly name: ColumnName })[]): Column[] {
  return columns.map((column) => ({ ...column, read: READ[column.name] }));
}

export const BASE_COLUMNS: readonly Column[] = readable(BASE);
export const EXTRA_COLUMNS: readonly Column[] = readable(EXTRA);
export const MAP_COLUMNS: readonly Column[] = ofMaps(readable([...BASE, ...EXTRA, ...PARTS]));

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
  { prefix: PREFIXES.measurements, read: (event) => event.measurements, rename: (key) => key },
  { prefix: PREFIXES.metadata, read: (event) => event.metadata, rename: (key) => key },
];
