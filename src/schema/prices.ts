/**
 * What tokens cost: a pluggable table, never consulted for a model it does not name.
 *
 * A model's name is looked for as it is, then without what says where it is served and which snapshot it is
 * (`openai/gpt-4-0613` is gpt-4). Nothing else is taken off: gpt-4o, gpt-4-32k and ft:gpt-4 are other models.
 */
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
}

/** USD per million tokens: rates by name, or [input, output]. */
export type ModelPrice = ModelRates | readonly [inputUsd: number, outputUsd: number];

export interface PriceTable {
  /** Stored with every cost computed from the table. */
  readonly version: string;
  /** By the models' names. */
  readonly models: Readonly<Record<string, ModelPrice>>;
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
] as const satisfies (keyof ModelRates)[];

/** Tokens of one call by what they cost. The cached and written ones are among the prompt's. */
export interface PricedTokens {
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
  readonly cacheWrite: number;
  /** Among `cacheWrite`. */
  readonly cacheWrite1h: number;
}

/** USD for tokens without caches. */
export function plainCost({ input, output }: ModelRates, prompt: number, completion: number): number {
  return (prompt / 1e6) * input + (completion / 1e6) * output;
}

/** USD for the tokens; null where there is no rate for some of them. */
export function costOf(rates: ModelRates, tokens: PricedTokens): number | null {
  const { prompt, completion, cached, cacheWrite, cacheWrite1h } = tokens;
  let costUsd = plainCost(rates, prompt - cached - cacheWrite, completion);
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

/** A table with the names of models found in it. */
export class PriceBook {
  readonly #models: PriceTable['models'];
  readonly #known = new Map<string, ModelRates | null>();

  constructor({ models }: PriceTable) {
    this.#models = models;
  }

  /** Null for a model that the table does not name. */
  ratesOf(model: string): ModelRates | null {
    const known = this.#known.get(model);
    if (known !== undefined) return known;
    const found = this.#find(model);
    if (this.#known.size < KNOWN_MAX) this.#known.set(model, found);
    return found;
  }

  #find(model: string): ModelRates | null {
    for (const name of namesOfModel(model)) {
      if (Object.hasOwn(this.#models, name)) return ratesIn(this.#models[name]);
    }
    return null;
  }
}

function ratesIn(price: ModelPrice): ModelRates {
  return isPair(price) ? { input: price[0], output: price[1] } : price;
}

function isPair(price: ModelPrice): price is readonly [number, number] {
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
  return table as PriceTable;
}

function checkPrice(path: string, price: unknown): void {
  if (Array.isArray(price)) {
    if (price.length === 2 && price.every(isRate)) return;
  } else if (typeof price === 'object' && price !== null) {
    for (const [name, rate] of Object.entries(price)) {
      if (!(RATES as readonly string[]).includes(name)) {
        throw new ConfigError(`${path}.${name}`, `one of the rates ${RATES.join(', ')}`, name);
      }
      if (rate !== undefined && !isRate(rate))
        throw new ConfigError(`${path}.${name}`, 'USD ≥ 0 per million', rate);
    }
    const { input, output } = price as Partial<ModelRates>;
    if (isRate(input) && isRate(output)) return;
  }
  throw new ConfigError(path, 'two USD amounts ≥ 0, [input, output] or { input, output, … }', price);
}

function isRate(usd: unknown): usd is number {
  return typeof usd === 'number' && Number.isFinite(usd) && usd >= 0;
}
