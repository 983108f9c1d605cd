/** The prices of @pydantic/genai-prices as a table: what it says of a call is what the package says. */
import * as genai from '@pydantic/genai-prices';
import { describe, expect, it } from 'vitest';
import { genaiPrices } from '../../src/schema/genai-prices.js';
import { checkPrices, costOf, PriceBook } from '../../src/schema/prices.js';

const table = genaiPrices(genai);
const only = (providerId: string) => new PriceBook(genaiPrices(genai, [providerId]));
const NOW_US = Date.now() * 1000;

function ours(book: PriceBook, model: string, prompt: number, completion: number, cached: number) {
  const rates = book.ratesOf(model, prompt, NOW_US);
  const none = { cacheWrite: 0, cacheWrite1h: 0, reasoning: 0 };
  return rates && costOf(rates, { prompt, completion, cached, ...none });
}

it('is a table that can be sent to threads, and says which one it is', () => {
  expect(checkPrices(structuredClone(table))).toEqual(table);
  expect(table.version).toMatch(/^genai-prices:[0-9a-f]{12}$/);
  expect(genaiPrices(genai, ['openai']).version).not.toBe(table.version);
});

describe.each(['openai', 'anthropic', 'google'])('models of %s', (providerId) => {
  const models = genai.findProvider({ providerId })!.models.filter(({ prices }) => !Array.isArray(prices));
  it.each([
    [1000, 100, 0],
    [200_000, 100, 0],
    [200_001, 100, 0],
    [300_000, 1000, 10_000],
  ])('cost what the package says, of %i and %i tokens, %i of them cached', (prompt, completion, cached) => {
    const book = only(providerId);
    let compared = 0;
    for (const { id, prices } of models) {
      const { input_mtok, cache_read_mtok } = prices as Record<string, unknown>;
      if (input_mtok === undefined || (cached > 0 && cache_read_mtok === undefined)) continue;
      const usage = { input_tokens: prompt, output_tokens: completion, cache_read_tokens: cached };
      const theirs = genai.calcPrice(usage, id, { providerId });
      if (theirs === null || theirs.model.id !== id) continue;
      compared++;
      expect(ours(book, id, prompt, completion, cached), id).toBeCloseTo(theirs.total_price, 9);
    }
    expect(compared).toBeGreaterThan(5);
  });
});

it('knows no other models', () => {
  expect(ours(new PriceBook(table), 'my-own-model', 1, 1, 0)).toBeNull();
});
