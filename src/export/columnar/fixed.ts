/** The columns that every Arrow and Parquet file has, whatever its rows. */

import { jsonText } from '../../formats/text.js';
import type { EventRow, Json } from '../../schema/event.js';

interface FixedText {
  readonly name: string;
  readonly read: (event: EventRow) => string | null;
}

/** Ids and the like are text in every file, so that files can be joined; what is no text is JSON. */
function textOf(value: Json): string | null {
  return value === null || value === undefined || typeof value === 'string' ? value : jsonText(value);
}

/** Texts that are mostly the same for all rows of a binding. */
export const FIXED_TEXTS: readonly FixedText[] = [
  { name: 'cohort', read: (event) => textOf(event.cohort) },
  { name: 'condition', read: (event) => event.condition },
  { name: 'correlation_id', read: (event) => textOf(event.correlationId) },
  { name: 'event_name', read: (event) => event.eventName },
  { name: 'experiment_id', read: (event) => event.experimentId },
  { name: 'experiment_name', read: (event) => event.experimentName },
  { name: 'malformed_keys', read: (event) => jsonText([...event.malformedKeys]) },
  { name: 'model', read: (event) => event.model },
  { name: 'provider', read: (event) => event.provider },
  { name: 'sample_id', read: (event) => textOf(event.sampleId) },
  { name: 'session_id', read: (event) => textOf(event.sessionId) },
  { name: 'span_id', read: (event) => textOf(event.spanId) },
  { name: 'tags', read: (event) => jsonText([...event.tags]) },
  { name: 'trace_id', read: (event) => textOf(event.traceId) },
  { name: 'user_id', read: (event) => textOf(event.userId) },
];

/** Where a cost comes from; it differs from row to row. */
export const COST_SOURCE = 'cost_source';
export const COST_OF_EVENT = 'event';
export const costOfTable = (priceVersion: string): string => `table:${priceVersion}`;
