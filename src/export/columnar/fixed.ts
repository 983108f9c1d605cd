/** The columns that every Arrow and Parquet file has, whatever its rows. */

import type { EventRow, Json } from '../../schema/event.js';
import { jsonText } from '../text.js';

interface FixedText {
  readonly name: string;
  /** Whether it is among the base columns, which `flatten: false` keeps. */
  readonly base: boolean;
  /** Whether no event is without it. */
  readonly required?: true;
  /** JSON text, where the values are no texts of their own. */
  readonly json?: true;
  readonly read: (event: EventRow) => string | null;
}

/** Ids and the like are text in every file, so that files can be joined; what is no text is JSON. */
function textOf(value: Json): string | null {
  return value === null || value === undefined || typeof value === 'string' ? value : jsonText(value);
}

/** Texts that are mostly the same for all rows of a binding. */
export const FIXED_TEXTS: readonly FixedText[] = [
  { name: 'cohort', base: true, read: (event) => textOf(event.cohort) },
  { name: 'condition', base: true, required: true, read: (event) => event.condition },
  { name: 'correlation_id', base: false, read: (event) => textOf(event.correlationId) },
  { name: 'event_name', base: true, required: true, read: (event) => event.eventName },
  { name: 'experiment_id', base: true, required: true, read: (event) => event.experimentId },
  { name: 'experiment_name', base: true, required: true, read: (event) => event.experimentName },
  { name: 'model', base: true, read: (event) => event.model },
  { name: 'provider', base: true, read: (event) => event.provider },
  { name: 'sample_id', base: true, read: (event) => textOf(event.sampleId) },
  { name: 'session_id', base: true, read: (event) => textOf(event.sessionId) },
  { name: 'span_id', base: false, read: (event) => textOf(event.spanId) },
  { name: 'tags', base: false, required: true, json: true, read: (event) => jsonText([...event.tags]) },
  { name: 'trace_id', base: false, read: (event) => textOf(event.traceId) },
  { name: 'user_id', base: false, read: (event) => textOf(event.userId) },
];

/** Where a cost comes from; it differs from row to row. */
export const COST_SOURCE = 'cost_source';
export const COST_OF_EVENT = 'event';
export const costOfTable = (priceVersion: string): string => `table:${priceVersion}`;
