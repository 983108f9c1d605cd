/** An event as flat, named values: the columns every export shares, in snake_case. */

import type { EventRow, Json } from '../schema/event.js';
import { isoMicros, snakeCase } from './text.js';

export interface Column {
  readonly name: string;
  readonly read: (event: EventRow) => Json;
}

/** The reference's columns, in its order. `flatten: false` writes exactly these. */
export const BASE_COLUMNS: readonly Column[] = [
  { name: 'cohort', read: (event) => event.cohort },
  { name: 'condition', read: (event) => event.condition },
  { name: 'cost_usd', read: (event) => event.costUsd },
  { name: 'datetime', read: (event) => isoMicros(event.timestamp) },
  { name: 'event_id', read: (event) => event.eventId },
  { name: 'event_name', read: (event) => event.eventName },
  { name: 'experiment_id', read: (event) => event.experimentId },
  { name: 'experiment_name', read: (event) => event.experimentName },
  { name: 'latency_ms', read: (event) => event.latencyMs },
  { name: 'model', read: (event) => event.model },
  { name: 'provider', read: (event) => event.provider },
  { name: 'sample_id', read: (event) => event.sampleId },
  { name: 'session_id', read: (event) => event.sessionId },
  { name: 'success', read: (event) => event.success },
  { name: 'timestamp', read: (event) => event.timestamp },
];

/** Fields the reference computes but does not export; present in every flattened file, whatever its rows. */
export const EXTRA_COLUMNS: readonly Column[] = [
  { name: 'correlation_id', read: (event) => event.correlationId },
  { name: 'cost_source', read: (event) => event.costSource },
  { name: 'malformed', read: (event) => event.malformed },
  { name: 'span_id', read: (event) => event.spanId },
  { name: 'tags', read: (event) => [...event.tags] },
  { name: 'tokens_completion', read: (event) => event.tokens?.completion ?? null },
  { name: 'tokens_prompt', read: (event) => event.tokens?.prompt ?? null },
  { name: 'tokens_total', read: (event) => event.tokens?.total ?? null },
  { name: 'trace_id', read: (event) => event.traceId },
  { name: 'user_id', read: (event) => event.userId },
];

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
