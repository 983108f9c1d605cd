/**
 * Enrichment: what an event's measurements and metadata mean for latency, cost, tokens and success.
 *
 * `enrich` fills a reused record, since this is the hot path; it may throw only what a getter of the event throws.
 * Most events have none but the plain keys (spellings.ts), which are read by name. Where there are others, all keys
 * are looked up in the table, and for each quantity the first one that can be understood counts.
 */
import { VALUE_MAX } from '../../assembly/layout.js';
import type { Json, Measurements, Metadata, Tokens } from './event.js';
import { type Malformed, noteMalformed } from './malformed.js';
import { isHttpStatus, outcomeOfHttpStatus, outcomeOfWord } from './outcomes.js';
import { costOf, type ModelRates, type PriceBook, plainCost } from './prices.js';
import { events } from './registry.js';
import { keysOfName, type Part, type Reading, type Spelling, spellingOf } from './spellings.js';
import { Usage } from './usage.js';

/** Beyond it a latency or a cost is malformed. */
export const MAGNITUDE_MAX = VALUE_MAX;

/** What enrichment found. Absent numbers are NaN, absent tokens -1. */
export interface Enriched extends Malformed {
  latencyMs: number;
  costUsd: number;
  costComputed: boolean;
  /** Why there is no cost although tokens and a model were told; UNPRICED_*, 0 where there is nothing to say. */
  unpriced: number;
  prompt: number;
  completion: number;
  /** What the event told as the total of its tokens, where that is not the sum of both; else -1. */
  totalTokens: number;
  /** True when metadata.tokens is exactly {prompt, completion, total = their sum}; `usage` then says nothing. */
  tokensCanonical: boolean;
  success: boolean | null;
  model: string | null;
  provider: string | null;
  /** When it happened, µs since the Unix epoch; NaN for now. Set before it is enriched. */
  timestampUs: number;
  /** Working storage. */
  readonly usage: Usage;
  readonly offered: Offered;
}

/** What an event offers under keys of the table, in order of precedence. */
interface Offered {
  count: number;
  readonly spellings: Spelling[];
  readonly values: unknown[];
}

/** Keys in the order in which they came last time, and what the table has under them: events of a name are alike. */
interface KnownKeys {
  readonly keys: string[];
  readonly spellings: (Spelling | undefined)[];
}

/** What is remembered of the keys of events. */
export type KnownParts = Readonly<Record<Part, KnownKeys>>;

export function newKnownParts(): KnownParts {
  return { measurements: { keys: [], spellings: [] }, metadata: { keys: [], spellings: [] } };
}

export function emptyEnriched(): Enriched {
  return {
    latencyMs: Number.NaN,
    costUsd: Number.NaN,
    costComputed: false,
    unpriced: 0,
    prompt: -1,
    completion: -1,
    totalTokens: -1,
    tokensCanonical: false,
    success: null,
    model: null,
    provider: null,
    timestampUs: Number.NaN,
    malformed: false,
    cut: false,
    malformedKeys: [],
    usage: new Usage(),
    offered: { count: 0, spellings: [], values: [] },
  };
}

/** The table has no such model; no rate for a kind of tokens that was used; or the tokens are not all known. */
export const UNPRICED_MODEL = 1;
export const UNPRICED_RATE = 2;
export const UNPRICED_TOKENS = 3;

/** By UNPRICED_*: what stands as the source of a cost that there is not. */
export const UNPRICED: readonly (string | null)[] = [
  null,
  'unpriced:model',
  'unpriced:rate',
  'unpriced:tokens',
];

/** What the name of an event says about it. */
export interface EventKind {
  /** Whether it says that something failed. */
  readonly isException: boolean;
  /** Whether `modelName` is a field of its category: a model that was deployed, not one that was asked. */
  readonly ownsModelName: boolean;
}

export function kindOfEvent(event: string): EventKind {
  return {
    isException: event.endsWith('.exception'),
    ownsModelName: events.info(event)?.category === 'deployment',
  };
}

/** What is told of an event besides its parts, such as by columns of a file: it counts before what those say. */
export interface Told {
  readonly latencyMs: number | null;
  readonly costUsd: number | null;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  /** One of the two was to be told, and is not known. */
  readonly isPartial: boolean;
  readonly success: boolean | null;
  readonly model: string | null;
  readonly provider: string | null;
}

const NOTHING_TOLD: Told = Object.freeze({
  latencyMs: null,
  costUsd: null,
  promptTokens: null,
  completionTokens: null,
  isPartial: false,
  success: null,
  model: null,
  provider: null,
});

/** @param known - null for an event that the table has no keys of but plain ones */
export function enrich(
  into: Enriched,
  kind: EventKind,
  known: KnownParts | null,
  measurements: Measurements,
  metadata: Metadata,
  prices: PriceBook,
): void {
  begin(into);
  if (known !== null) {
    enrichSpelled(into, kind, known, measurements, metadata, prices, NOTHING_TOLD);
    return;
  }
  into.model = nameOf(into, 'metadata.model', metadata.model);
  into.provider = nameOf(into, 'metadata.provider', metadata.provider);
  into.latencyMs = plainLatency(into, measurements);
  let isUsage = false;
  if (isAbsent(metadata.tokens)) {
    into.prompt = -1;
    into.completion = -1;
  } else isUsage = readUsage(into, metadata.tokens, 'metadata.tokens', false);
  let costUsd = usdOf(into, 'metadata.cost', metadata.cost);
  if (isUsage && Number.isNaN(costUsd)) costUsd = usageUsd(into, metadata, prices);
  if (Number.isNaN(costUsd)) {
    costUsd = usdOf(into, 'measurements.cost', measurements.cost);
    if (!Number.isNaN(costUsd)) into.unpriced = 0;
  }
  into.costUsd = costUsd;
  into.success = plainSuccess(into, kind, measurements, metadata);
}

/** The same of a record of a file, in which what the event measures and what describes it stand together. */
export function enrichRecord(
  into: Enriched,
  kind: EventKind,
  known: KnownParts,
  told: Told,
  metadata: Metadata,
  prices: PriceBook,
): void {
  begin(into);
  enrichSpelled(into, kind, known, NOTHING, metadata, prices, told);
}

const NOTHING: Measurements = Object.freeze({});

function begin(into: Enriched): void {
  into.totalTokens = -1;
  into.tokensCanonical = false;
  into.costComputed = false;
  into.unpriced = 0;
}

function plainLatency(into: Enriched, measurements: Measurements): number {
  const { duration } = measurements;
  if (duration !== undefined) {
    const durationNs = numberOf(into, 'measurements.duration', duration);
    if (!Number.isNaN(durationNs)) return durationNs / 1e6;
  }
  for (const key of PLAIN_MS) {
    const value = measurements[key];
    if (value === undefined) continue;
    const latencyMs = numberOf(into, `measurements.${key}`, value);
    if (!Number.isNaN(latencyMs)) return latencyMs;
  }
  return Number.NaN;
}

/** The plain ones of latencies in milliseconds. */
const PLAIN_MS = ['durationMs', 'latencyMs', 'latency_ms'] as const;

function plainSuccess(
  into: Enriched,
  { isException }: EventKind,
  measurements: Measurements,
  metadata: Metadata,
): boolean | null {
  if (isException || metadata.error || metadata.exception) return false;
  const told =
    statusOf(into, 'measurements.status', measurements.status) ??
    statusOf(into, 'metadata.status', metadata.status);
  return told ?? (isAbsent(metadata.response) ? null : true);
}

// ── Events with other keys than the plain ones ─────────────────────────────────────────────────────

function enrichSpelled(
  into: Enriched,
  kind: EventKind,
  known: KnownParts,
  measurements: Measurements,
  metadata: Metadata,
  prices: PriceBook,
  told: Told,
): void {
  const { offered } = into;
  offered.count = 0;
  offer(offered, known, 'measurements', measurements);
  offer(offered, known, 'metadata', metadata);
  into.model = told.model ?? firstName(into, 'model', kind);
  into.provider = told.provider ?? firstName(into, 'provider', kind);
  const tellsTokens = told.promptTokens !== null || told.completionTokens !== null;
  const isUsage = tellsTokens ? readTold(into, told) : readTokens(into);
  into.latencyMs = told.latencyMs ?? firstLatency(into);
  let costUsd = told.costUsd ?? firstUsd(into, 'USD');
  if (isUsage && Number.isNaN(costUsd)) costUsd = usageUsd(into, metadata, prices);
  if (Number.isNaN(costUsd)) {
    costUsd = firstUsd(into, 'USD after the table');
    if (!Number.isNaN(costUsd)) into.unpriced = 0;
  }
  into.costUsd = costUsd;
  into.success = kind.isException ? false : (told.success ?? firstOutcome(into));
  // They are the emitter's, and not to be kept.
  for (let i = 0; i < offered.count; i++) offered.values[i] = undefined;
}

/** Adds what stands under keys of the table, in its order. */
function offer(
  offered: Offered,
  known: KnownParts,
  part: Part,
  source: Readonly<Record<string, unknown>>,
): void {
  const { keys, spellings } = known[part];
  let index = 0;
  for (const key in source) {
    const spelling = keys[index] === key ? spellings[index] : learn(known, part, index, key);
    index++;
    if (spelling === undefined) continue;
    const value = source[key];
    if (value === undefined) continue;
    let at = offered.count++;
    for (; at > 0 && offered.spellings[at - 1].rank > spelling.rank; at--) {
      offered.spellings[at] = offered.spellings[at - 1];
      offered.values[at] = offered.values[at - 1];
    }
    offered.spellings[at] = spelling;
    offered.values[at] = value;
  }
}

function learn(known: KnownParts, part: Part, index: number, key: string): Spelling | undefined {
  const spelling = spellingOf(part, key);
  known[part].keys[index] = key;
  known[part].spellings[index] = spelling;
  return spelling;
}

function firstName(
  into: Enriched,
  quantity: 'model' | 'provider',
  { ownsModelName }: EventKind,
): string | null {
  const { count, spellings, values } = into.offered;
  for (let i = 0; i < count; i++) {
    const { rule, path, key } = spellings[i];
    if (rule.quantity !== quantity || (ownsModelName && isModelName(key))) continue;
    const name = nameOf(into, path, values[i]);
    if (name !== null) return name;
  }
  return null;
}

function isModelName(key: string): boolean {
  return key === 'modelName' || key === 'model_name';
}

/** Milliseconds. */
function firstLatency(into: Enriched): number {
  const { count, spellings, values } = into.offered;
  for (let i = 0; i < count; i++) {
    const { rule, path, key } = spellings[i];
    if (rule.quantity !== 'latencyMs') continue;
    const isSpan = rule.reading === 'span';
    // The other end is read with the first.
    if (isSpan && key === 'stop') continue;
    const latencyMs = isSpan ? spanOf(into, values[i]) : inMs(rule.reading, numberOf(into, path, values[i]));
    if (!Number.isNaN(latencyMs)) return latencyMs;
  }
  return Number.NaN;
}

function inMs(unit: Reading, value: number): number {
  switch (unit) {
    case 'nanoseconds':
      return value / 1e6;
    case 'microseconds':
      return value / 1e3;
    case 'seconds':
      return value * 1e3;
    default:
      return value;
  }
}

function spanOf(into: Enriched, start: unknown): number {
  const { count, spellings, values } = into.offered;
  const at = spellings.findIndex(
    ({ rule, key }, i) => i < count && rule.reading === 'span' && key === 'stop',
  );
  // One end without the other says nothing.
  if (at === -1) return Number.NaN;
  const stop = values[at];
  // Large ones lose their last digits as numbers.
  if (typeof start === 'bigint' && typeof stop === 'bigint') return Number(stop - start) / 1e6;
  const startNs = numberOf(into, 'measurements.start', start);
  const span = numberOf(into, 'measurements.stop', stop) - startNs;
  if (Number.isFinite(span)) return span / 1e6;
  if (span === Number.POSITIVE_INFINITY || span === Number.NEGATIVE_INFINITY) {
    noteMalformed(into, 'measurements.stop');
  }
  return Number.NaN;
}

function firstUsd(into: Enriched, reading: 'USD' | 'USD after the table'): number {
  const { count, spellings, values } = into.offered;
  for (let i = 0; i < count; i++) {
    const { rule, path } = spellings[i];
    if (rule.reading !== reading) continue;
    const costUsd = usdOf(into, path, values[i]);
    if (!Number.isNaN(costUsd)) return costUsd;
  }
  return Number.NaN;
}

function firstOutcome(into: Enriched): boolean | null {
  const { count, spellings, values } = into.offered;
  for (let i = 0; i < count; i++) {
    const { rule, path } = spellings[i];
    if (rule.quantity !== 'success' || values[i] === null) continue;
    const outcome = outcomeOf(into, rule.reading, path, values[i]);
    if (outcome !== null) return outcome;
  }
  return null;
}

function outcomeOf(into: Enriched, reading: Reading, path: string, value: unknown): boolean | null {
  switch (reading) {
    case 'failure':
      return value ? false : null;
    case 'response':
      return true;
    case 'status':
      return statusOf(into, path, value);
    case 'HTTP status': {
      const outcome = outcomeOfStatus(value);
      if (outcome === null && !isHttpStatus(value)) noteMalformed(into, path);
      return outcome;
    }
    default: {
      const outcome = outcomeOfFlag(value);
      if (outcome === null) noteMalformed(into, path);
      return outcome;
    }
  }
}

/** Reads the first counts that say anything. @returns false where there are none, not even unknown ones */
function readTokens(into: Enriched): boolean {
  const { offered, usage } = into;
  const { count, spellings, values } = offered;
  let isOffered = false;
  let hasCounts = false;
  for (let i = 0; i < count; i++) {
    const { rule, path } = spellings[i];
    if (rule.reading === 'count') hasCounts = true;
    if (rule.reading !== 'usage' && rule.reading !== 'any usage') continue;
    if (values[i] === null || !readUsage(into, values[i], path, rule.reading === 'any usage')) continue;
    if (into.prompt >= 0) return true;
    isOffered = true;
  }
  if (!hasCounts) {
    if (!isOffered) takeUsage(into, false);
    return isOffered;
  }
  usage.clear();
  addCounts(into);
  takeUsage(into, usage.settle());
  return true;
}

function addCounts(into: Enriched): void {
  const { count, spellings, values } = into.offered;
  for (let i = 0; i < count; i++) {
    const { rule, key, path } = spellings[i];
    if (rule.reading === 'count') into.usage.add(key, values[i], path.slice(0, -key.length - 1), into);
  }
}

/** The counts that are told, and what the event says of others. */
function readTold(into: Enriched, { promptTokens, completionTokens, isPartial }: Told): true {
  const { usage } = into;
  usage.clear();
  if (promptTokens !== null || isPartial) usage.add('prompt', promptTokens, '', into);
  if (completionTokens !== null || isPartial) usage.add('completion', completionTokens, '', into);
  addCounts(into);
  takeUsage(into, usage.settle());
  return true;
}

// ── Values ─────────────────────────────────────────────────────────────────────────────────────────

/**
 * Reads an object of counts.
 * @param isAny - whether it may be about something else
 * @returns false where it says nothing of tokens, not even that they are unknown
 */
function readUsage(into: Enriched, value: unknown, path: string, isAny: boolean): boolean {
  const { usage } = into;
  takeUsage(into, false);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    if (!isAny) noteMalformed(into, path);
    return false;
  }
  try {
    const parts = value as Readonly<Record<string, unknown>>;
    const { prompt, completion, total } = parts;
    if (isCount(prompt) && isCount(completion) && total === prompt + completion && hasThreeKeys(parts)) {
      into.prompt = prompt;
      into.completion = completion;
      if (path === 'metadata.tokens') into.tokensCanonical = true;
      else usage.set(prompt, completion);
      return true;
    }
    usage.clear();
    if (!usage.addAll(parts, path, into)) {
      // A promise is what an SDK gives where the answer is streamed, and says nothing yet.
      if (isAny ? value instanceof Promise : isNotEmpty(parts)) noteMalformed(into, path);
      return false;
    }
    takeUsage(into, usage.settle());
    return true;
  } catch {
    // A getter of it threw.
    noteMalformed(into, path);
    return false;
  }
}

function takeUsage(into: Enriched, isKnown: boolean): void {
  const { usage } = into;
  into.prompt = isKnown ? usage.prompt : -1;
  into.completion = isKnown ? usage.completion : -1;
  into.totalTokens = isKnown ? usage.total : -1;
}

function isNotEmpty(object: object): boolean {
  for (const _ in object) return true;
  return object instanceof Promise || object instanceof Map;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value && value >= 0;
}

/** Whether the object's own keys are prompt, completion and total and no more. */
function hasThreeKeys(parts: Readonly<Record<string, unknown>>): boolean {
  let keys = 0;
  for (const key in parts) {
    if (key !== 'prompt' && key !== 'completion' && key !== 'total') return false;
    keys++;
  }
  return keys === 3;
}

/** What the tokens that were read cost: as told with them, or by the table; NaN, and why, where neither tells. */
function usageUsd(into: Enriched, metadata: Metadata, prices: PriceBook): number {
  const { model, prompt, completion, usage, tokensCanonical } = into;
  if (!tokensCanonical && !Number.isNaN(usage.costUsd)) return usage.costUsd;
  if (model === null) return Number.NaN;
  const rates = prices.ratesOf(model, prompt, into.timestampUs) ?? ratesOfAnswered(into, metadata, prices);
  let costUsd: number | null = null;
  if (rates === null) into.unpriced = UNPRICED_MODEL;
  else if (tokensCanonical) costUsd = plainCost(rates, prompt, completion);
  else if (prompt < 0 || usage.isPartial) into.unpriced = UNPRICED_TOKENS;
  else {
    costUsd = costOf(rates, usage);
    if (costUsd === null) into.unpriced = UNPRICED_RATE;
  }
  if (costUsd === null) return Number.NaN;
  into.costComputed = true;
  return costUsd;
}

/** Of the model that has answered: what was asked for may be a deployment, a route or an alias, which has no price. */
function ratesOfAnswered(
  { prompt, timestampUs }: Enriched,
  { responseModel }: Metadata,
  prices: PriceBook,
): ModelRates | null {
  return typeof responseModel === 'string' ? prices.ratesOf(responseModel, prompt, timestampUs) : null;
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function nameOf(into: Enriched, path: string, value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!isAbsent(value)) noteMalformed(into, path);
  return null;
}

function usdOf(into: Enriched, path: string, value: unknown): number {
  return isAbsent(value) ? Number.NaN : numberOf(into, path, value);
}

/** The value as a number up to VALUE_MAX; NaN for everything that is none, which is malformed, numeric text included. */
function numberOf(into: Enriched, path: string, value: unknown): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number === 'number' && Math.abs(number) <= VALUE_MAX) return number;
  noteMalformed(into, path);
  return Number.NaN;
}

/** What a status says; null where that is neither success nor failure, or where it is none, which is noted. */
function statusOf(into: Enriched, path: string, value: unknown): boolean | null {
  if (value === undefined) return null;
  const outcome = outcomeOfStatus(value);
  if (outcome === null && isUnusable(value)) noteMalformed(into, path);
  return outcome;
}

function outcomeOfStatus(value: unknown): boolean | null {
  switch (typeof value) {
    case 'string':
      return value === 'ok' ? true : (outcomeOfHttpStatus(value) ?? outcomeOfWord(value));
    case 'number':
      return outcomeOfHttpStatus(value);
    case 'bigint':
      return outcomeOfHttpStatus(Number(value));
    case 'boolean':
      return value;
    default:
      return null;
  }
}

/** Whether no status is such a value: a text may say anything, a number is one of HTTP. */
function isUnusable(value: unknown): boolean {
  return value !== null && typeof value !== 'string' && !isHttpStatus(value);
}

function outcomeOfFlag(value: unknown): boolean | null {
  if (value === true || value === 1 || value === 'true') return true;
  if (value === false || value === 0 || value === 'false') return false;
  return typeof value === 'string' ? outcomeOfWord(value) : null;
}

// ── For readers and importers ──────────────────────────────────────────────────────────────────────

/** The tokens of a row, from its columns. */
export function tokensOf(prompt: number, completion: number): Tokens | null {
  if (prompt < 0 && completion < 0) return null;
  const known = { prompt: Math.max(prompt, 0), completion: Math.max(completion, 0), total: 0 };
  known.total = known.prompt + known.completion;
  return known;
}

/** What an event with these parts says of its success, whatever its name. */
export function toldSuccess(measurements: Measurements, metadata: Metadata): boolean | null {
  if (!mentionsSuccess('measurements', measurements) && !mentionsSuccess('metadata', metadata)) return null;
  const found = emptyEnriched();
  offer(found.offered, spanParts, 'measurements', measurements);
  offer(found.offered, spanParts, 'metadata', metadata);
  return firstOutcome(found);
}

const spanParts = newKnownParts();

function mentionsSuccess(part: Part, source: Readonly<Record<string, unknown>>): boolean {
  for (const key in source) if (spellingOf(part, key)?.rule.quantity === 'success') return true;
  return false;
}

/** The tokens that an event with these parts has, where it has no others. */
export function toldTokens(
  measurements: Record<string, Json>,
  metadata: Record<string, Json>,
): Tokens | null {
  const found = emptyEnriched();
  const known = newKnownParts();
  offer(found.offered, known, 'measurements', measurements);
  offer(found.offered, known, 'metadata', metadata);
  readTokens(found);
  const tokens = tokensOf(found.prompt, found.completion);
  if (tokens !== null && found.totalTokens >= 0) tokens.total = found.totalTokens;
  return tokens;
}

/** A name that the metadata tell. */
export function toldName(
  quantity: 'model' | 'provider',
  event: string,
  metadata: Record<string, Json>,
): string | null {
  const { ownsModelName } = kindOfEvent(event);
  for (const key of keysOfName(quantity)) {
    const name = metadata[key];
    if (typeof name === 'string' && !(ownsModelName && isModelName(key))) return name;
  }
  return null;
}
