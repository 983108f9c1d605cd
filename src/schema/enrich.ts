/**
 * Enrichment: what an event's measurements and metadata mean for latency, cost, tokens and success.
 *
 * `enrich` fills a reused record, since this is the hot path; it may throw only what a getter of the event throws.
 */
import { VALUE_MAX } from '../../assembly/layout.js';
import type { Json, Measurements, Metadata, Tokens } from './event.js';
import { type PriceTable, priceOf } from './prices.js';

/** What enrichment found. Absent numbers are NaN, absent tokens -1. */
export interface Enriched {
  latencyMs: number;
  costUsd: number;
  costComputed: boolean;
  prompt: number;
  completion: number;
  /** True when metadata.tokens is exactly {prompt, completion, total = their sum}. */
  tokensCanonical: boolean;
  success: boolean | null;
  model: string | null;
  provider: string | null;
  /** Parts that should have been numbers, counts or objects and are not. */
  malformed: boolean;
}

export function emptyEnriched(): Enriched {
  return {
    latencyMs: Number.NaN,
    costUsd: Number.NaN,
    costComputed: false,
    prompt: -1,
    completion: -1,
    tokensCanonical: false,
    success: null,
    model: null,
    provider: null,
    malformed: false,
  };
}

const TOKENS_MAX = 2 ** 31 - 1;

/** Latencies in milliseconds already. */
const LATENCY_KEYS = ['durationMs', 'latencyMs', 'latency_ms'] as const;

/** Events whose own cost stands under another name: a vote's total, a hedge's duplicate. */
const COST_KEYS = ['totalCost', 'total_cost', 'duplicationCost', 'duplication_cost'] as const;

export function enrich(
  into: Enriched,
  isException: boolean,
  measurements: Measurements,
  metadata: Metadata,
  prices: PriceTable,
): void {
  into.malformed = false;
  const model = metadata.model;
  const provider = metadata.provider;
  into.model = typeof model === 'string' ? model : null;
  into.provider = typeof provider === 'string' ? provider : null;
  into.latencyMs = latencyOf(into, measurements);
  readTokens(into, metadata.tokens);
  readCost(into, measurements, metadata, prices);
  into.success = successOf(isException, measurements, metadata);
}

/** Milliseconds. Nanoseconds of `duration` first, then stop − start, then what is in milliseconds already. */
function latencyOf(into: Enriched, measurements: Measurements): number {
  const duration = measurements.duration;
  const durationNs = toFinite(duration);
  if (!Number.isNaN(durationNs)) return durationNs / 1e6;
  if (duration !== undefined) into.malformed = true;
  const { start, stop } = measurements;
  if (start !== undefined && stop !== undefined) {
    if (typeof start === 'bigint' && typeof stop === 'bigint') return Number(stop - start) / 1e6;
    const span = toFinite(stop) - toFinite(start);
    if (!Number.isNaN(span)) return span / 1e6;
    into.malformed = true;
  }
  for (const key of LATENCY_KEYS) {
    const ms = measurements[key];
    if (ms === undefined) continue;
    const latencyMs = toFinite(ms);
    if (!Number.isNaN(latencyMs)) return latencyMs;
    into.malformed = true;
  }
  return Number.NaN;
}

function readTokens(into: Enriched, tokens: unknown): void {
  into.prompt = -1;
  into.completion = -1;
  into.tokensCanonical = false;
  if (tokens === undefined || tokens === null) return;
  if (typeof tokens !== 'object' || Array.isArray(tokens)) {
    into.malformed = true;
    return;
  }
  const parts = tokens as Record<string, unknown>;
  const prompt =
    parts.prompt ??
    parts.input ??
    parts.prompt_tokens ??
    parts.input_tokens ??
    parts.promptTokens ??
    parts.inputTokens;
  const completion =
    parts.completion ??
    parts.output ??
    parts.completion_tokens ??
    parts.output_tokens ??
    parts.completionTokens ??
    parts.outputTokens;
  into.prompt = toCount(into, prompt);
  into.completion = toCount(into, completion);
  into.tokensCanonical =
    prompt === into.prompt &&
    completion === into.completion &&
    parts.total === into.prompt + into.completion &&
    hasThreeKeys(parts);
  if (!into.tokensCanonical) {
    const total = parts.total ?? parts.total_tokens ?? parts.totalTokens;
    if (total !== undefined && total !== null && !isTotal(total)) into.malformed = true;
  }
}

/** Whether a value can be a total of tokens: any finite count, however large. */
function isTotal(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** Whether the object's own keys are prompt, completion and total and no more. */
function hasThreeKeys(parts: Record<string, unknown>): boolean {
  let keys = 0;
  for (const key in parts) {
    if (key !== 'prompt' && key !== 'completion' && key !== 'total') return false;
    keys++;
  }
  return keys === 3;
}

/** A missing part of present tokens is 0. */
function toCount(into: Enriched, value: unknown): number {
  if (value === undefined || value === null) return 0;
  const count = toFinite(value);
  if (count >= 0 && count <= TOKENS_MAX) return Math.trunc(count);
  into.malformed = true;
  return 0;
}

function readCost(into: Enriched, measurements: Measurements, metadata: Metadata, prices: PriceTable): void {
  into.costComputed = false;
  const reported = metadata.cost;
  if (reported !== undefined && reported !== null) {
    const costUsd = toFinite(reported);
    if (!Number.isNaN(costUsd)) {
      into.costUsd = costUsd;
      return;
    }
    into.malformed = true;
  }
  if (into.prompt >= 0 && into.model !== null) {
    const computed = priceOf(prices, into.model, into.prompt, into.completion);
    if (computed !== null) {
      into.costUsd = computed;
      into.costComputed = true;
      return;
    }
  }
  into.costUsd = otherCost(into, measurements, metadata);
}

function otherCost(into: Enriched, measurements: Measurements, metadata: Metadata): number {
  const measured = measurements.cost;
  if (measured !== undefined && measured !== null) {
    const costUsd = toFinite(measured);
    if (!Number.isNaN(costUsd)) return costUsd;
    into.malformed = true;
  }
  for (const key of COST_KEYS) {
    const value = measurements[key] ?? metadata[key];
    if (value !== undefined && value !== null) {
      const costUsd = toFinite(value);
      if (!Number.isNaN(costUsd)) return costUsd;
      into.malformed = true;
    }
  }
  return Number.NaN;
}

function successOf(isException: boolean, measurements: Measurements, metadata: Metadata): boolean | null {
  if (isException || metadata.error || metadata.exception) return false;
  const told = successOfStatus(measurements.status) ?? successOfStatus(metadata.status);
  if (told !== null) return told;
  return metadata.response === undefined || metadata.response === null ? null : true;
}

function successOfStatus(status: unknown): boolean | null {
  return status === 'ok' ? true : status === 'error' ? false : null;
}

/** The value as a number up to VALUE_MAX; NaN for everything that is none, numeric text included. */
function toFinite(value: unknown): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  return typeof number === 'number' && Math.abs(number) <= VALUE_MAX ? number : Number.NaN;
}

/** Whether an event name says that something failed. */
export function isExceptionEvent(event: string): boolean {
  return event.endsWith('.exception');
}

/** The tokens of a row, from its columns and, for a total of its own, its metadata. */
export function tokensOf(prompt: number, completion: number, metadata: Record<string, Json>): Tokens | null {
  if (prompt < 0 && completion < 0) return null;
  const known = { prompt: Math.max(prompt, 0), completion: Math.max(completion, 0), total: 0 };
  const total = toldTotal(metadata);
  known.total = isTotal(total) ? total : known.prompt + known.completion;
  return known;
}

/** The tokens that an event with these metadata has, where it has no others. */
export function metadataTokens(metadata: Record<string, Json>): Tokens | null {
  const found = emptyEnriched();
  readTokens(found, metadata.tokens);
  return tokensOf(found.prompt, found.completion, metadata);
}

/** What the metadata give as the total of tokens, of whatever type. */
export function toldTotal({ tokens }: Record<string, Json>): Json | undefined {
  if (typeof tokens !== 'object' || tokens === null || Array.isArray(tokens)) return undefined;
  return tokens.total ?? tokens.total_tokens ?? tokens.totalTokens;
}

/** Where the fields of a category come from: `m` for measurements, `d` for metadata, in order of preference. */
const FIELDS: Readonly<Record<string, readonly (readonly [name: string, from: 'm' | 'd' | 'dm' | 'md'])[]>> =
  {
    training: [
      ['epoch', 'dm'],
      ['batch', 'dm'],
      ['learningRate', 'dm'],
      ['loss', 'm'],
      ['accuracy', 'm'],
      ['gradientNorm', 'm'],
      ['checkpointPath', 'd'],
    ],
    deployment: [
      ['modelName', 'd'],
      ['modelVersion', 'd'],
      ['batchSize', 'd'],
      ['inputSize', 'm'],
      ['outputSize', 'm'],
    ],
    framework: [
      ['pipelineId', 'd'],
      ['stageName', 'd'],
      ['stageIndex', 'd'],
    ],
    ensemble: [
      ['votes', 'dm'],
      ['agreement', 'md'],
      ['winner', 'dm'],
      ['totalCost', 'md'],
    ],
    hedging: [
      ['winner', 'dm'],
      ['primaryLatency', 'md'],
      ['backupLatency', 'md'],
      ['duplicationCost', 'md'],
    ],
  };

/** The names of all of them. */
export const CATEGORY_FIELDS: ReadonlySet<string> = new Set(
  Object.values(FIELDS).flatMap((fields) => fields.map(([name]) => name)),
);

/** The category's fields that the event gives, in camelCase; missing ones are null. */
export function categoryFields(
  category: string | null,
  measurements: Record<string, Json>,
  metadata: Record<string, Json>,
): Record<string, Json> {
  const fields: Record<string, Json> = {};
  // A registered category may be named like a property that every object has.
  const known = category !== null && Object.hasOwn(FIELDS, category) ? FIELDS[category] : [];
  for (const [name, from] of known) {
    const first = from.startsWith('d') ? metadata : measurements;
    const second = from.length === 1 ? first : from.endsWith('d') ? metadata : measurements;
    fields[name] = lifted(first, name) ?? lifted(second, name);
  }
  return fields;
}

/** Whom and what an event is about: looked for in its metadata under either spelling. */
export const LIFTED_FIELDS = [
  'sessionId',
  'userId',
  'sampleId',
  'cohort',
  'correlationId',
  'traceId',
  'spanId',
] as const;

/** snake_case spellings of the names that are looked for in every event: those in FIELDS, and the lifted ones. */
const SNAKE_CASE = new Map<string, string>();

/** A key's value under its camelCase or snake_case spelling, else null. */
export function lifted(source: Record<string, Json>, camel: string): Json {
  const value = source[camel];
  if (value !== undefined && value !== null) return value;
  let snake = SNAKE_CASE.get(camel);
  if (snake === undefined) {
    snake = snakeCase(camel);
    SNAKE_CASE.set(camel, snake);
  }
  return source[snake] ?? null;
}

export function snakeCase(camel: string): string {
  return camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
