/** The prices of `@pydantic/genai-prices`, which an application may bring, as a table. It is never imported here. */
import { createHash } from 'node:crypto';
import type { DatedRates, ModelMatch, ModelPrice, ModelRates, PriceTable, PriceTier } from './prices.js';

type Tiered = number | { readonly base: number; readonly tiers: readonly { start: number; price: number }[] };
type GenaiRates = Readonly<Record<string, Tiered | undefined>>;

interface Conditional {
  readonly constraint?: { readonly type: string; readonly start_date?: string } | undefined;
  readonly prices: GenaiRates;
}

/** The package, as far as it is used here: `import * as genai from '@pydantic/genai-prices'`. */
export interface GenaiPrices {
  findProvider(options: { readonly providerId: string }):
    | {
        readonly id: string;
        readonly models: readonly {
          readonly match: ModelMatch;
          readonly prices: object;
        }[];
      }
    | undefined;
}

/** Makers of models before those who pass them on, whose names for them overlap. */
const PROVIDERS: readonly string[] = [
  ...['openai', 'anthropic', 'google', 'mistral', 'deepseek', 'x-ai', 'cohere', 'perplexity', 'moonshotai'],
  ...[
    'groq',
    'cerebras',
    'fireworks',
    'together',
    'aws',
    'azure',
    'openrouter',
    'novita',
    'huggingface_together',
  ],
];

/** Our names for theirs, which are per million tokens. */
const RATES: Readonly<Record<string, keyof Omit<ModelRates, 'tiers'>>> = {
  input_mtok: 'input',
  output_mtok: 'output',
  cache_read_mtok: 'cached',
  cache_write_mtok: 'cacheWrite',
  cache_write_1h_mtok: 'cacheWrite1h',
  output_reasoning_mtok: 'reasoning',
};

/**
 * A price table of all models that the package knows at these providers: `prices: genaiPrices(genai)`. Its version is made
 * of its contents. Prices that hold at times of the day are left out, and so are those of anything but tokens of text.
 * @param providers - the package's ids of providers, those that count first; default: the well-known ones
 */
export function genaiPrices(genai: GenaiPrices, providers: readonly string[] = PROVIDERS): PriceTable {
  const matches: { match: ModelMatch; price: ModelPrice }[] = [];
  for (const providerId of providers) {
    for (const { match, prices } of genai.findProvider({ providerId })?.models ?? []) {
      const price = Array.isArray(prices) ? datedOf(prices as Conditional[]) : ratesOf(prices as GenaiRates);
      if (price !== null) matches.push({ match, price });
    }
  }
  const digest = createHash('sha256').update(JSON.stringify(matches)).digest('hex');
  return { version: `genai-prices:${digest.slice(0, 12)}`, models: {}, matches };
}

function datedOf(prices: readonly Conditional[]): readonly DatedRates[] | null {
  const dated = prices.flatMap(({ constraint, prices: rates }): DatedRates[] => {
    const told = ratesOf(rates);
    if (told === null || (constraint !== undefined && constraint.start_date === undefined)) return [];
    return [{ ...told, ...(constraint?.start_date === undefined ? null : { from: constraint.start_date }) }];
  });
  return dated.length === 0 ? null : dated;
}

function ratesOf(prices: GenaiRates): ModelRates | null {
  const rates: Partial<Record<(typeof RATES)[string], number>> = {};
  const tiers = new Map<number, Record<string, number>>();
  for (const [theirs, ours] of Object.entries(RATES)) {
    const price = prices[theirs];
    if (price === undefined) continue;
    if (typeof price === 'number') {
      rates[ours] = price;
      continue;
    }
    rates[ours] = price.base;
    for (const { start, price: usd } of price.tiers) {
      tiers.set(start, { ...tiers.get(start), [ours]: usd });
    }
  }
  const { input = 0, output = 0 } = rates;
  if (rates.input === undefined && rates.output === undefined) return null;
  const steps = [...tiers].sort(([a], [b]) => a - b);
  let last: Record<string, number> = {};
  const all = steps.map(([above, tier]): PriceTier => {
    last = { ...last, ...tier };
    return { above, ...last };
  });
  return { ...rates, input, output, ...(all.length === 0 ? null : { tiers: all }) };
}
