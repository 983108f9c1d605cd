/**
 * What tokens cost: a pluggable table, never consulted for a model it does not name.
 *
 * A model's name is looked for as it is, then without what says where it is served and which snapshot it is
 * (`openai/gpt-4-0613` is gpt-4). Nothing else is taken off: gpt-4o, gpt-4-32k and ft:gpt-4 are other models.
 */
import { type Clock, systemClock } from '../clock.js';
import { ConfigError } from '../errors.js';

/** USD per million tokens. Input is all of the prompt, output all of the answer, reasoning included. */
export interface ModelRates {
  readonly input: number;
  readonly output: number;
  /** Of input tokens that were read from a cache. */
  readonly cached?: number;
  /** Of input tokens that were written to a cache. */
  readonly cacheWrite?: number;
  /** Of those, what is kept there for an hour. */
  readonly cacheWrite1h?: number;
  /** Of output tokens that are reasoning; default: as the others. */
  readonly reasoning?: number;
  /** Rates of calls with long prompts. Of those whose prompt is longer than `above`, the last one counts. */
  readonly tiers?: readonly PriceTier[];
}

/** Rates for all tokens of a call whose prompt has more than so many; those that it does not name are the model's. */
export interface PriceTier extends Partial<Omit<ModelRates, 'tiers'>> {
  readonly above: number;
}

/** Rates for a time. */
export interface DatedRates extends ModelRates {
  /** ISO 8601, inclusive; default: since ever. Without a time of day it is midnight, UTC. */
  readonly from?: string;
  /** Exclusive; default: for ever. */
  readonly until?: string;
}

/**
 * USD per million tokens: rates by name, or [input, output]; or rates by their time, of which the last that holds at the
 * time of an event counts.
 */
export type ModelPrice = ModelRates | readonly [inputUsd: number, outputUsd: number] | readonly DatedRates[];

/** Which names of models are meant. */
export type ModelMatch =
  | { readonly equals: string }
  | { readonly starts_with: string }
  | { readonly ends_with: string }
  | { readonly contains: string }
  | { readonly regex: string }
  | { readonly and: readonly ModelMatch[] }
  | { readonly or: readonly ModelMatch[] };

export interface PriceTable {
  /** Stored with every cost computed from the table. */
  readonly version: string;
  /** By the models' names. */
  readonly models: Readonly<Record<string, ModelPrice>>;
  /** For models that have no price by their name: the first that matches. */
  readonly matches?: readonly { readonly match: ModelMatch; readonly price: ModelPrice }[];
}

/**
 * The reference implementation's prices. The rates of cached tokens are Anthropic's published ones: 0.1 of input for
 * reading, 1.25 for writing, 2 for an hour (docs.anthropic.com, about-claude/pricing). The other models have none.
 */
export const REFERENCE_PRICES: PriceTable = {
  version: 'reference-0.5.0',
  models: {
    'gemini-2.0-flash-exp': [0.075, 0.3],
    'gpt-4': [30, 60],
    'gpt-4-turbo': [10, 30],
    'gpt-3.5-turbo': [0.5, 1.5],
    'claude-3-opus': { input: 15, output: 75, cached: 1.5, cacheWrite: 18.75, cacheWrite1h: 30 },
    'claude-3-sonnet': { input: 3, output: 15, cached: 0.3, cacheWrite: 3.75, cacheWrite1h: 6 },
  },
};

const RATES = [
  'input',
  'output',
  'cached',
  'cacheWrite',
  'cacheWrite1h',
  'reasoning',
] as const satisfies (keyof ModelRates)[];

/** Tokens of one call by what they cost. The cached and written ones are among the prompt's. */
export interface PricedTokens {
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
  readonly cacheWrite: number;
  /** Among `cacheWrite`. */
  readonly cacheWrite1h: number;
  /** Among the completion. */
  readonly reasoning: number;
}

/** USD for tokens without caches. */
export function plainCost({ input, output }: ModelRates, prompt: number, completion: number): number {
  return (prompt / 1e6) * input + (completion / 1e6) * output;
}

/** USD for the tokens; null where there is no rate for some of them. */
export function costOf(rates: ModelRates, tokens: PricedTokens): number | null {
  const { prompt, completion, cached, cacheWrite, cacheWrite1h } = tokens;
  let costUsd = plainCost(rates, prompt - cached - cacheWrite, completion);
  if (rates.reasoning !== undefined) {
    costUsd += (tokens.reasoning / 1e6) * (rates.reasoning - rates.output);
  }
  if (cached === 0 && cacheWrite === 0) return costUsd;
  for (const [count, rate] of [
    [cached, rates.cached],
    [cacheWrite - cacheWrite1h, rates.cacheWrite],
    [cacheWrite1h, rates.cacheWrite1h],
  ] as const) {
    if (count === 0) continue;
    if (rate === undefined) return null;
    costUsd += (count / 1e6) * rate;
  }
  return costUsd;
}

/** Who made a model or passes it on at its maker's price, as it stands before a name with a slash or colon behind it. */
export const MODEL_VENDORS: readonly string[] = [
  ...[
    'amazon-bedrock',
    'anthropic',
    'azure',
    'azure_ai',
    'bedrock',
    'cohere',
    'deepseek',
    'gemini',
    'google',
  ],
  ...['google-vertex', 'meta-llama', 'mistral', 'mistralai', 'models', 'openai', 'openrouter', 'perplexity'],
  ...['publishers', 'qwen', 'vertex', 'vertex_ai', 'x-ai', 'xai'],
];

const VENDOR = new RegExp(`^(?:${MODEL_VENDORS.join('|')})[/:]`);
/** Amazon Bedrock: a region or none, and the maker. */
const BEDROCK_VENDOR =
  /^(?:[a-z]{2,6}(?:-[a-z]+)?\.)?(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen)\./;

const DAY = '(?:0[1-9]|[12]\\d|3[01])';
const MONTH = '(?:0[1-9]|1[0-2])';
/** A snapshot's date (-0613, -20240229, -2024-04-09, @20240229) or number (-001), or the newest one. */
const SNAPSHOT = new RegExp(
  `(?:[-@](?:20\\d\\d${MONTH}${DAY}|20\\d\\d-${MONTH}-${DAY})(?:-v\\d+(?::\\d+)?)?|-${MONTH}${DAY}|-00\\d|-latest|@default)$`,
);

/** The names under which a model may be in a table, the whole one first. */
export function* namesOfModel(model: string): Generator<string> {
  yield model;
  let name = model;
  while (VENDOR.test(name)) {
    name = name.replace(VENDOR, '');
    yield name;
  }
  name = name.replace(BEDROCK_VENDOR, '');
  yield name;
  yield name.replace(SNAPSHOT, '');
}

/** Models whose rates are remembered: a name may be anything, and must not fill the heap. */
const KNOWN_MAX = 1024;

/** What a model's tokens cost, at any time, for prompts of any length. */
type Known =
  | { readonly rates: ModelRates; readonly dated: null }
  | { readonly rates: null; readonly dated: readonly Dated[] };

interface Dated {
  readonly rates: ModelRates;
  readonly fromUs: number;
  readonly untilUs: number;
}

/** What tokens cost at a time and for prompts of a length. */
export interface PriceBand {
  /** µs since the Unix epoch, inclusive. */
  readonly fromUs: number;
  /** Exclusive. */
  readonly untilUs: number;
  /** Prompts have more tokens than this. */
  readonly above: number;
  /** USD per million. */
  readonly inputUsd: number;
  readonly outputUsd: number;
}

/** A table with the names of models found in it. */
export class PriceBook {
  readonly #table: PriceTable;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known | null>();

  /** @param clock - tells when now is */
  constructor(table: PriceTable, clock: Clock = systemClock) {
    this.#table = table;
    this.#clock = clock;
  }

  /**
   * Null for a model that the table has no price for.
   * @param prompt - tokens of the prompt, where they are known
   * @param timestampUs - of the event, µs since the Unix epoch; NaN for now
   */
  ratesOf(model: string, prompt: number, timestampUs: number): ModelRates | null {
    let known = this.#known.get(model);
    if (known === undefined) {
      known = this.#find(model);
      if (this.#known.size < KNOWN_MAX) this.#known.set(model, known);
    }
    if (known === null) return null;
    const rates =
      known.rates ?? ratesAt(known.dated, Number.isNaN(timestampUs) ? this.#clock.nowUs() : timestampUs);
    return rates?.tiers === undefined ? rates : tierOf(rates, rates.tiers, prompt);
  }

  /** All prices of a model, for tokens without caches; of those that hold for a call the last one counts. */
  bandsOf(model: string): PriceBand[] {
    const known = this.#find(model);
    if (known === null) return [];
    const dated = known.dated ?? [
      { rates: known.rates, fromUs: Number.NEGATIVE_INFINITY, untilUs: Number.POSITIVE_INFINITY },
    ];
    return dated.flatMap(({ rates, fromUs, untilUs }) =>
      [{ above: Number.NEGATIVE_INFINITY }, ...(rates.tiers ?? [])].map(
        (tier: Partial<ModelRates> & PriceTier) => ({
          fromUs,
          untilUs,
          above: tier.above,
          inputUsd: tier.input ?? rates.input,
          outputUsd: tier.output ?? rates.output,
        }),
      ),
    );
  }

  #find(model: string): Known | null {
    const { models, matches = [] } = this.#table;
    const names = [...namesOfModel(model)];
    for (const name of names) if (Object.hasOwn(models, name)) return knownOf(models[name]);
    for (const name of names) {
      const found = matches.find(({ match }) => isMatch(match, name));
      if (found !== undefined) return knownOf(found.price);
    }
    return null;
  }
}

function knownOf(price: ModelPrice): Known {
  if (isPair(price)) return { rates: { input: price[0], output: price[1] }, dated: null };
  if (!isDated(price)) return { rates: price, dated: null };
  const dated = price.map((rates) => ({
    rates,
    fromUs: rates.from === undefined ? Number.NEGATIVE_INFINITY : Date.parse(rates.from) * 1000,
    untilUs: rates.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(rates.until) * 1000,
  }));
  return { rates: null, dated };
}

function ratesAt(dated: readonly Dated[], atUs: number): ModelRates | null {
  return dated.findLast(({ fromUs, untilUs }) => fromUs <= atUs && atUs < untilUs)?.rates ?? null;
}

function tierOf(rates: ModelRates, tiers: readonly PriceTier[], prompt: number): ModelRates {
  const tier = tiers.findLast(({ above }) => prompt > above);
  return tier === undefined ? rates : { ...rates, ...tier };
}

function isMatch(match: ModelMatch, name: string): boolean {
  if ('equals' in match) return name === match.equals;
  if ('starts_with' in match) return name.startsWith(match.starts_with);
  if ('ends_with' in match) return name.endsWith(match.ends_with);
  if ('contains' in match) return name.includes(match.contains);
  if ('regex' in match) return new RegExp(match.regex).test(name);
  if ('and' in match) return match.and.every((part) => isMatch(part, name));
  return match.or.some((part) => isMatch(part, name));
}

function isPair(price: ModelPrice): price is readonly [number, number] {
  return Array.isArray(price) && typeof price[0] === 'number';
}

function isDated(price: ModelPrice): price is readonly DatedRates[] {
  return Array.isArray(price);
}

/** @throws ConfigError naming what is wrong */
export function checkPrices(table: unknown): PriceTable {
  if (typeof table !== 'object' || table === null) throw new ConfigError('prices', 'a price table', table);
  const { version, models } = table as Partial<PriceTable>;
  if (typeof version !== 'string') throw new ConfigError('prices.version', 'a string', version);
  if (typeof models !== 'object' || models === null) {
    throw new ConfigError(
      'prices.models',
      'an object of model to its price in USD per million tokens',
      models,
    );
  }
  for (const [model, price] of Object.entries(models)) {
    checkPrice(`prices.models[${JSON.stringify(model)}]`, price);
  }
  const { matches = [] } = table as Partial<PriceTable>;
  if (!Array.isArray(matches)) throw new ConfigError('prices.matches', 'a list of { match, price }', matches);
  for (const [i, entry] of (matches as readonly unknown[]).entries()) {
    const { match, price } = (entry ?? {}) as { readonly match?: unknown; readonly price?: unknown };
    checkMatch(`prices.matches[${i}].match`, match);
    checkPrice(`prices.matches[${i}].price`, price);
  }
  return table as PriceTable;
}

function checkPrice(path: string, price: unknown): void {
  if (!Array.isArray(price)) {
    checkRates(path, price, ['tiers']);
    return;
  }
  if (price.length === 2 && price.every(isRate)) return;
  if (price.length === 0 || price.some((rates) => typeof rates !== 'object')) throw noPrice(path, price);
  for (const [i, rates] of price.entries()) {
    checkRates(`${path}[${i}]`, rates, ['tiers', 'from', 'until']);
    for (const name of ['from', 'until']) {
      const date = (rates as Readonly<Record<string, unknown>>)[name];
      if (date === undefined || (typeof date === 'string' && !Number.isNaN(Date.parse(date)))) continue;
      throw new ConfigError(`${path}[${i}].${name}`, 'a date as ISO 8601 has it', date);
    }
  }
}

function checkRates(path: string, rates: unknown, further: readonly string[]): void {
  if (typeof rates !== 'object' || rates === null) throw noPrice(path, rates);
  checkNames(path, rates, further);
  const { input, output, tiers } = rates as Partial<ModelRates>;
  if (!isRate(input) || !isRate(output)) throw noPrice(path, rates);
  if (tiers === undefined) return;
  if (!Array.isArray(tiers)) throw new ConfigError(`${path}.tiers`, 'a list of rates with above', tiers);
  let last = -1;
  for (const [i, tier] of tiers.entries()) {
    const { above } = (tier ?? {}) as Partial<PriceTier>;
    if (typeof above !== 'number' || !(above > last)) {
      throw new ConfigError(`${path}.tiers[${i}].above`, 'tokens, more than those of the tier before', above);
    }
    last = above;
    checkNames(`${path}.tiers[${i}]`, tier as object, ['above']);
  }
}

function checkNames(path: string, rates: object, further: readonly string[]): void {
  for (const [name, rate] of Object.entries(rates)) {
    if (further.includes(name)) continue;
    if (!(RATES as readonly string[]).includes(name)) {
      throw new ConfigError(`${path}.${name}`, `one of the rates ${RATES.join(', ')}`, name);
    }
    if (rate !== undefined && !isRate(rate)) {
      throw new ConfigError(`${path}.${name}`, 'USD ≥ 0 per million', rate);
    }
  }
}

function noPrice(path: string, price: unknown): ConfigError {
  return new ConfigError(path, 'two USD amounts ≥ 0, [input, output] or { input, output, … }', price);
}

function checkMatch(path: string, match: unknown): void {
  const [[kind, value], ...others] = Object.entries((match ?? {}) as object).concat([['', undefined]]);
  const isList = kind === 'and' || kind === 'or';
  if (
    others.length > 1 ||
    !(isList ? Array.isArray(value) : MATCHES.includes(kind) && typeof value === 'string')
  ) {
    throw new ConfigError(path, `one of ${MATCHES.join(', ')}, and, or`, match);
  }
  if (isList)
    for (const [i, part] of (value as unknown[]).entries()) checkMatch(`${path}.${kind}[${i}]`, part);
  if (kind !== 'regex') return;
  try {
    new RegExp(value as string);
  } catch {
    throw new ConfigError(path, 'a regular expression', value);
  }
}

const MATCHES: readonly string[] = ['equals', 'starts_with', 'ends_with', 'contains', 'regex'];

function isRate(usd: unknown): usd is number {
  return typeof usd === 'number' && Number.isFinite(usd) && usd >= 0;
}
