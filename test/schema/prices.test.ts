/** Prices: rates by kind of tokens, and the models that a table names. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PriceTable } from '../../src/schema/prices.js';
import { useBench } from '../capture/support.js';
import { useEnrich } from './support.js';

const bench = useBench();
const enriched = useEnrich(bench);
const TOKENS = { prompt: 1_000_000, completion: 1_000_000 };

describe('a model is found', () => {
  it.each([
    ['gpt-4-0613', 90],
    ['gpt-4-0314', 90],
    ['gpt-4-turbo-2024-04-09', 40],
    ['gpt-3.5-turbo-0125', 2],
    ['openai/gpt-4', 90],
    ['openai:gpt-4', 90],
    ['openrouter/openai/gpt-4-0613', 90],
    ['azure/gpt-4', 90],
    ['models/gemini-2.0-flash-exp', 0.375],
    ['google/gemini-2.0-flash-exp', 0.375],
    ['publishers/google/models/gemini-2.0-flash-exp', 0.375],
    ['anthropic/claude-3-sonnet-20240229', 18],
    ['claude-3-sonnet-20240229', 18],
    ['claude-3-opus@20240229', 90],
    ['claude-3-opus-latest', 90],
    ['anthropic.claude-3-sonnet-20240229-v1:0', 18],
    ['us.anthropic.claude-3-sonnet-20240229-v1:0', 18],
    ['apac.anthropic.claude-3-opus-20240229-v1:0', 90],
    ['bedrock/anthropic.claude-3-opus-20240229-v1:0', 90],
  ])('%s', async (model, costUsd) => {
    const row = await enriched({}, { model, tokens: TOKENS });
    expect(row.costUsd).toBeCloseTo(costUsd, 12);
    expect(row).toMatchObject({ model, costSource: 'table:reference-0.5.0' });
  });
});

describe('another model is not taken for it', () => {
  it.each([
    'gpt-4o',
    'gpt-4o-2024-05-13',
    'gpt-4.1',
    'gpt-4-32k',
    'gpt-4-32k-0613',
    'gpt-4-vision-preview',
    'gpt-4-1106-preview',
    'gpt-4-turbo-preview',
    'gpt-4:free',
    'ft:gpt-4:acme',
    'ft:gpt-4-0613:acme::id',
    'my-company/gpt-4',
    'gpt-3.5-turbo-16k',
    'gpt-3.5-turbo-instruct',
    'claude-3-5-sonnet-20241022',
    'claude-3-haiku-20240307',
    'claude-3-opus-v2',
    'anthropic.claude-v2:1',
    'gpt-4-9999',
    'gpt-4-2024-13-01',
    'GPT-4',
    'gpt-4 ',
    '',
    'toString',
  ])('%j', async (model) => {
    expect(await enriched({}, { model, tokens: TOKENS })).toMatchObject({
      costUsd: null,
      costSource: 'unpriced:model',
      malformed: false,
    });
  });
});

describe('a table of one’s own', () => {
  const priced = async (prices: PriceTable, model: string, tokens: object = TOKENS) =>
    enriched({}, { model, tokens }, 'e', prices);

  it('is asked for the whole name first', async () => {
    const prices = {
      version: 'own',
      models: { 'gpt-4': [1, 0], 'gpt-4-0613': [2, 0], 'openai/gpt-4-0613': [3, 0], 'ft:gpt-4:x': [4, 0] },
    } as const;
    expect((await priced(prices, 'gpt-4')).costUsd).toBe(1);
    expect((await priced(prices, 'gpt-4-0314')).costUsd).toBe(1);
    expect((await priced(prices, 'gpt-4-0613')).costUsd).toBe(2);
    expect((await priced(prices, 'azure/gpt-4-0613')).costUsd).toBe(2);
    expect((await priced(prices, 'openai/gpt-4-0613')).costUsd).toBe(3);
    expect((await priced(prices, 'ft:gpt-4:x')).costUsd).toBe(4);
  });

  it('takes numbered snapshots of Gemini for their model', async () => {
    const prices = { version: 'own', models: { 'gemini-2.0-flash': [1, 0] } } as const;
    expect((await priced(prices, 'gemini-2.0-flash-001')).costUsd).toBe(1);
    expect((await priced(prices, 'gemini-2.0-flash-lite')).costUsd).toBeNull();
  });

  it.each<[string, object, object, number | null]>([
    ['cached', { cachedTokens: 400_000 }, { cached: 0.5 }, 0.6 + 0.2],
    ['cached', { cachedTokens: 400_000 }, {}, null],
    ['cached', { cachedTokens: 0 }, {}, 1],
    ['cacheWrite', { cacheWriteTokens: 400_000 }, { cacheWrite: 2 }, 0.6 + 0.8],
    ['cacheWrite', { cacheWriteTokens: 400_000 }, { cached: 0.5 }, null],
    ['cached, a rate of 0', { cachedTokens: 400_000 }, { cached: 0 }, 0.6],
  ])('has a rate for what was used, or there is no cost: %s %j %j', async (_, used, rates, costUsd) => {
    const prices = { version: 'own', models: { m: { input: 1, output: 1, ...rates } } };
    const row = await priced(prices, 'm', { input: 1_000_000, output: 0, ...used });
    if (costUsd === null) expect(row).toMatchObject({ costUsd: null, costSource: 'unpriced:rate' });
    else expect(row.costUsd).toBeCloseTo(costUsd, 12);
    expect(row.tokens).toEqual({ prompt: 1_000_000, completion: 0, total: 1_000_000 });
  });

  it('an hour in the cache has its own rate', async () => {
    const usage = {
      input_tokens: 0,
      output_tokens: 0,
      cache_creation_input_tokens: 1_000_000,
      cache_creation: { ephemeral_1h_input_tokens: 1_000_000 },
    };
    expect((await enriched({}, { model: 'claude-3-opus', usage })).costUsd).toBeCloseTo(30, 12);
    const prices = { version: 'own', models: { m: { input: 1, output: 1, cacheWrite: 1 } } };
    expect((await priced(prices, 'm', usage)).costSource).toBe('unpriced:rate');
  });
});

describe('the reference table', () => {
  it('has Anthropic’s rates of cached tokens', async () => {
    const usage = {
      input_tokens: 3,
      cache_creation_input_tokens: 12_304,
      cache_read_input_tokens: 1000,
      output_tokens: 550,
    };
    const row = await enriched({}, { model: 'claude-3-sonnet', usage });
    expect(row.costUsd).toBeCloseTo((3 * 3 + 12_304 * 3.75 + 1000 * 0.3 + 550 * 15) / 1e6, 15);
    expect(row.tokens).toEqual({ prompt: 13_307, completion: 550, total: 13_857 });
  });

  it.each(['gpt-4', 'gpt-4-turbo', 'gpt-3.5-turbo', 'gemini-2.0-flash-exp'])(
    '%s has none, so cached tokens cost nothing known',
    async (model) => {
      const usage = { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } };
      expect(await enriched({}, { model, usage })).toMatchObject({
        costUsd: null,
        costSource: 'unpriced:rate',
      });
      usage.prompt_tokens_details.cached_tokens = 0;
      expect(await enriched({}, { model, usage })).toMatchObject({ costSource: 'table:reference-0.5.0' });
    },
  );
});

describe('why there is no cost', () => {
  it('is in every format, and comes back', async () => {
    const events = [
      { model: 'gpt-4o', tokens: { prompt: 1, completion: 2, total: 3 } },
      { model: 'gpt-4', tokens: { input_tokens: 5, output_tokens: 1, cachedTokens: 2 } },
      { model: 'gpt-4', usage: { prompt_tokens: null } },
      { model: 'gpt-4', tokens: { prompt: 1, completion: 2, total: 3 } },
      { model: 'gpt-4' },
    ];
    const expected = ['unpriced:model', 'unpriced:rate', 'unpriced:tokens', 'table:reference-0.5.0', null];
    const experiment = bench.start();
    // Often enough that rows are written by their shape.
    for (let i = 0; i < 20; i++) for (const metadata of events) experiment.capture('e', { i }, metadata);
    const folder = mkdtempSync(join(tmpdir(), 'crucible-unpriced-'));
    try {
      for (const format of ['csv', 'jsonl', 'msgpack', 'arrow', 'parquet'] as const) {
        const path = join(folder, `events.${format}`);
        await experiment.export(format, { path });
        const back = bench.start();
        await back.importFile(path);
        const rows = (await back.query()).sort((a, b) => a.sequence - b.sequence);
        expect(rows).toHaveLength(100);
        for (const [i, row] of rows.entries()) expect(row.costSource, `${format} ${i}`).toBe(expected[i % 5]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('can be asked for', async () => {
    const experiment = bench.start();
    experiment.capture('e', {}, { model: 'gpt-4o', tokens: { prompt: 1, completion: 2 } });
    experiment.capture('e', {}, { model: 'gpt-4', tokens: { prompt: 1, completion: 2 } });
    expect(await experiment.query({ where: { costSource: 'unpriced:model' } })).toHaveLength(1);
  });
});

describe('a table that is none', () => {
  it.each<[string, unknown]>([
    ['prices.models["m"]', { input: 1 }],
    ['prices.models["m"]', { input: 1, output: '2' }],
    ['prices.models["m"].cached', { input: 1, output: 2, cached: -1 }],
    ['prices.models["m"].cacheRead', { input: 1, output: 2, cacheRead: 1 }],
  ])('is an error that says where: %s', (path, price) => {
    const prices = { version: 'v', models: { m: price } } as PriceTable;
    expect(() => bench.crucible({ prices })).toThrow(path);
  });
});

describe('rates of kinds, lengths and times', () => {
  const at = async (price: unknown, metadata: object, time?: string) => {
    const prices = { version: 'own', models: { m: price } } as PriceTable;
    const experiment = bench.crucible({ prices }).startExperiment({ name: 'priced', capacity: 1024 });
    const event = { model: 'm', ...metadata };
    if (time === undefined) experiment.capture('e', {}, event);
    else experiment.captureAt(Date.parse(time) * 1000, 'e', {}, event);
    return (await experiment.query())[0]!;
  };
  const M = 1_000_000;

  it('reasoning has a rate of its own, or that of the output', async () => {
    const usage = {
      prompt_tokens: 0,
      completion_tokens: M,
      completion_tokens_details: { reasoning_tokens: M / 4 },
    };
    expect((await at({ input: 1, output: 2, reasoning: 6 }, { usage })).costUsd).toBeCloseTo(1.5 + 1.5, 12);
    expect((await at({ input: 1, output: 2 }, { usage })).costUsd).toBeCloseTo(2, 12);
  });

  it('long prompts have the rates of their tier, for all of their tokens', async () => {
    const price = {
      ...{ input: 1, output: 2 },
      tiers: [
        { above: 100, input: 10 },
        { above: 200, input: 100, output: 200 },
      ],
    };
    const cost = async (prompt: number) =>
      (await at(price, { tokens: { prompt, completion: M, total: prompt + M } })).costUsd;
    expect(await cost(100)).toBeCloseTo(2 + 100e-6, 12);
    expect(await cost(101)).toBeCloseTo(2 + 1010e-6, 12);
    expect(await cost(201)).toBeCloseTo(200 + 20_100e-6, 12);
  });

  it('prices hold at the time of the event', async () => {
    const price = [
      { input: 1, output: 0, until: '2024-06-01' },
      { input: 2, output: 0, from: '2024-06-01', until: '2025-01-01T12:00:00Z' },
    ];
    const tokens = { prompt: M, completion: 0, total: M };
    const cost = async (time?: string) => (await at(price, { tokens }, time)).costUsd;
    expect(await cost('2024-05-31T23:59:59.999Z')).toBe(1);
    expect(await cost('2024-06-01T00:00:00Z')).toBe(2);
    expect(await cost('2025-01-01T11:59:59Z')).toBe(2);
    expect(await cost('2025-01-01T12:00:00Z')).toBeNull();
    // The clock of the experiment is at 2023.
    expect(await cost()).toBe(1);
  });

  it('models may be meant by what their names are like', async () => {
    const prices: PriceTable = {
      version: 'own',
      models: { 'gpt-5': [9, 0] },
      matches: [
        { match: { and: [{ starts_with: 'gpt-5' }, { ends_with: 'mini' }] }, price: [1, 0] },
        { match: { or: [{ contains: 'mini' }, { regex: '^o\\d' }, { equals: 'x' }] }, price: [2, 0] },
      ],
    };
    const cost = async (model: string) =>
      (await enriched({}, { model, tokens: TOKENS }, 'e', prices)).costUsd;
    expect(
      await Promise.all(['gpt-5', 'gpt-5-mini', 'openai/gpt-5-mini', 'a-mini-b', 'o3', 'x', 'xx'].map(cost)),
    ).toEqual([9, 1, 2, 2, 2, 2, null]);
  });

  it.each<[string, object]>([
    ['prices.models["m"][0].from', { models: { m: [{ input: 1, output: 1, from: 'soon' }] } }],
    [
      'prices.models["m"].tiers[1].above',
      { models: { m: { input: 1, output: 1, tiers: [{ above: 5 }, { above: 5 }] } } },
    ],
    [
      'prices.models["m"].tiers[0].x',
      { models: { m: { input: 1, output: 1, tiers: [{ above: 5, x: 1 }] } } },
    ],
    ['prices.models["m"]', { models: { m: [] } }],
    ['prices.matches[0].match', { models: {}, matches: [{ match: { like: 'x' }, price: [1, 1] }] }],
    ['prices.matches[0].match', { models: {}, matches: [{ match: { regex: '(' }, price: [1, 1] }] }],
    ['prices.matches[0].price', { models: {}, matches: [{ match: { equals: 'x' } }] }],
  ])('what is none is an error that says where: %s', (path, table) => {
    const prices = { version: 'own', ...table } as PriceTable;
    expect(() => bench.crucible({ prices })).toThrow(path);
  });
});
