/** What tokens cost: a pluggable table, never consulted for a model it does not name. */
import { ConfigError } from '../errors.js';

/** USD per million tokens: [prompt, completion]. */
export type ModelPrice = readonly [promptUsd: number, completionUsd: number];

export interface PriceTable {
  /** Stored with every cost computed from the table. */
  readonly version: string;
  readonly models: Readonly<Record<string, ModelPrice>>;
}

/** The reference implementation's prices. */
export const REFERENCE_PRICES: PriceTable = {
  version: 'reference-0.5.0',
  models: {
    'gemini-2.0-flash-exp': [0.075, 0.3],
    'gpt-4': [30, 60],
    'gpt-4-turbo': [10, 30],
    'gpt-3.5-turbo': [0.5, 1.5],
    'claude-3-opus': [15, 75],
    'claude-3-sonnet': [3, 15],
  },
};

/** USD for the tokens, null for a model the table does not name. */
export function priceOf(table: PriceTable, model: string, prompt: number, completion: number): number | null {
  const price = Object.hasOwn(table.models, model) ? table.models[model] : undefined;
  if (price === undefined) return null;
  return (prompt / 1e6) * price[0] + (completion / 1e6) * price[1];
}

/** @throws ConfigError naming what is wrong */
export function checkPrices(table: unknown): PriceTable {
  if (typeof table !== 'object' || table === null) throw new ConfigError('prices', 'a price table', table);
  const { version, models } = table as Partial<PriceTable>;
  if (typeof version !== 'string') throw new ConfigError('prices.version', 'a string', version);
  if (typeof models !== 'object' || models === null) {
    throw new ConfigError(
      'prices.models',
      'an object of model to [prompt, completion] USD per million',
      models,
    );
  }
  for (const [model, price] of Object.entries(models)) {
    const valid =
      Array.isArray(price) && price.length === 2 && price.every((usd) => Number.isFinite(usd) && usd >= 0);
    if (!valid)
      throw new ConfigError(`prices.models[${JSON.stringify(model)}]`, 'two USD amounts ≥ 0', price);
  }
  return table as PriceTable;
}
