/** What an event is: the shapes an emitter hands in and the row a reader gets back. */
import type { NumberCondition, Operators } from './condition.js';

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Numbers an emitter measured. `duration` is in nanoseconds; `latencyMs`, `durationMs` in milliseconds. */
export type Measurements = { readonly [name: string]: unknown };

/** What describes an event: model, provider, tokens, response, error, ids, and whatever else is known. */
export type Metadata = { readonly [name: string]: unknown };

/**
 * What callers give as measurements, metadata or context: any object. Values of interfaces and classes do not fit types
 * with an index signature. What is no plain object is read by its own keys, or told as malformed.
 */
export type Fields = object;

/** Keys given once for everything emitted inside `experiment.run`; an event's own metadata wins. */
export type Context = { readonly [name: string]: unknown };

/** Token counts of one model call. `total` is what the event said, else prompt + completion. */
export interface Tokens {
  prompt: number;
  completion: number;
  total: number;
}

/**
 * One enriched event. Nullable fields are null when the event did not say.
 *
 * `timestamp` is in microseconds since the Unix epoch (integer). `sequence` is the capture order within the
 * experiment, from 0, strictly increasing but not gapless. `eventId` is derived from experiment, producer
 * and sequence, so it is the same in every export.
 */
export interface EventRow {
  eventId: string;
  eventName: string;
  timestamp: number;
  sequence: number;
  experimentId: string;
  experimentName: string;
  condition: string;
  tags: readonly string[];
  measurements: Record<string, Json>;
  metadata: Record<string, Json>;
  latencyMs: number | null;
  costUsd: number | null;
  /**
   * `event` when the emitter reported the cost, `table:<version>` when it was computed from tokens. Without a cost it
   * says why the table gave none: `unpriced:model` (it has no such model), `unpriced:rate` (no rate for cached tokens
   * that were used) or `unpriced:tokens` (they are not all known); null where nothing was to be priced.
   */
  costSource: string | null;
  success: boolean | null;
  tokens: Tokens | null;
  model: string | null;
  provider: string | null;
  sessionId: Json;
  userId: Json;
  sampleId: Json;
  cohort: Json;
  correlationId: Json;
  traceId: Json;
  spanId: Json;
  /** True when some part of the event could not be understood, or not kept whole; what could be is here. */
  malformed: boolean;
  /**
   * Which parts, as far as that is known: `measurements.duration`, `metadata.tokens.prompt`; `metadata.prompt (cut)` for
   * what was too large to be kept whole. At most 16.
   */
  malformedKeys: readonly string[];
  /** Fields that belong to the event's category (epoch, loss, modelName, votes, …). */
  fields: Record<string, Json>;
}

/** Numbers that every event has or lacks, by what filters call them: the event's own, whatever its metadata say. */
export const NUMBER_FIELDS: Readonly<Record<string, (event: EventRow) => number | null>> = {
  latencyMs: ({ latencyMs }) => latencyMs,
  costUsd: ({ costUsd }) => costUsd,
  tokensPrompt: ({ tokens }) => tokens?.prompt ?? null,
  tokensCompletion: ({ tokens }) => tokens?.completion ?? null,
  tokensTotal: ({ tokens }) => tokens?.total ?? null,
  timestamp: ({ timestamp }) => timestamp,
};

/**
 * Conditions on events, all of which must hold. Besides these keys, any field of an event and any declared column of
 * the experiment is one, with a value to be equal to or with operators, as in `where`; other keys are errors.
 */
export interface Filter {
  eventName?: string | undefined;
  success?: boolean | null | undefined;
  condition?: string | undefined;
  model?: string | null | undefined;
  provider?: string | null | undefined;
  /** Inclusive at both ends, in microseconds since the Unix epoch. */
  timeRange?: readonly [number, number] | undefined;
  /** Milliseconds. */
  latencyMs?: NumberCondition | undefined;
  /** USD. */
  costUsd?: NumberCondition | undefined;
  tokensPrompt?: NumberCondition | undefined;
  tokensCompletion?: NumberCondition | undefined;
  tokensTotal?: NumberCondition | undefined;
  /** Microseconds since the Unix epoch. */
  timestamp?: NumberCondition | undefined;
  sessionId?: Json | Operators<Json> | undefined;
  userId?: Json | Operators<Json> | undefined;
  sampleId?: Json | Operators<Json> | undefined;
  cohort?: Json | Operators<Json> | undefined;
  correlationId?: Json | Operators<Json> | undefined;
  traceId?: Json | Operators<Json> | undefined;
  spanId?: Json | Operators<Json> | undefined;
  /**
   * Of any key: the numbers above, else `metadata[key]`, else the event's own field of that name. Equal to a JSON
   * value, where null also matches what is absent; or, given an object of operators (`gt`, `gte`, `lt`, `lte`, `eq`,
   * `ne`, `in`), all of which must hold.
   */
  where?: Record<string, unknown> | undefined;
  predicate?: ((event: EventRow) => boolean) | undefined;
}
