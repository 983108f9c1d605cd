/** Token usage in the shapes of providers and SDKs: counts with one meaning, and what they cost. */

import { describe, expect, it } from 'vitest';
import type { Metadata } from '../../src/schema/event.js';
import type { PriceTable } from '../../src/schema/prices.js';
import { useBench } from '../capture/support.js';
import { useEnrich } from './support.js';

const bench = useBench();
const enriched = useEnrich(bench);

/** Whole USD per million tokens, each a digit of its own. */
const PRICES: PriceTable = {
  version: 't',
  models: { m: { input: 1e6, output: 1e9, cached: 1e12, cacheWrite: 1e15, cacheWrite1h: 1e18 } },
};
const inParts = (plain: number, output: number, cached = 0, cacheWrite = 0) =>
  plain + output * 1e3 + cached * 1e6 + cacheWrite * 1e9;

interface Shape {
  readonly of: string;
  readonly usage: unknown;
  readonly tokens: { readonly prompt: number; readonly completion: number; readonly total?: number };
  readonly costUsd: number;
}

const SHAPES: readonly Shape[] = [
  {
    of: 'OpenAI, chat completions',
    usage: {
      prompt_tokens: 9,
      completion_tokens: 5,
      total_tokens: 14,
      prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 3, audio_tokens: 0, accepted_prediction_tokens: 0 },
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(5, 5, 4),
  },
  {
    of: 'OpenAI, responses',
    usage: {
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 4, cache_write_tokens: 2 },
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 3 },
      total_tokens: 14,
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(3, 5, 4, 2),
  },
  {
    of: 'OpenAI, embeddings',
    usage: { prompt_tokens: 9, total_tokens: 9 },
    tokens: { prompt: 9, completion: 0 },
    costUsd: inParts(9, 0),
  },
  {
    of: 'Anthropic',
    usage: {
      input_tokens: 3,
      cache_creation_input_tokens: 2,
      cache_read_input_tokens: 4,
      cache_creation: { ephemeral_5m_input_tokens: 2, ephemeral_1h_input_tokens: 0 },
      output_tokens: 5,
      service_tier: 'standard',
      server_tool_use: null,
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(3, 5, 4, 2),
  },
  {
    of: 'Anthropic without caches',
    usage: {
      input_tokens: 3,
      cache_creation_input_tokens: null,
      cache_read_input_tokens: null,
      output_tokens: 5,
    },
    tokens: { prompt: 3, completion: 5 },
    costUsd: inParts(3, 5),
  },
  {
    of: 'Anthropic, through LiteLLM',
    usage: {
      prompt_tokens: 9,
      completion_tokens: 5,
      total_tokens: 14,
      prompt_tokens_details: { cached_tokens: 4 },
      cache_creation_input_tokens: 2,
      cache_read_input_tokens: 4,
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(3, 5, 4, 2),
  },
  {
    of: 'Bedrock, converse',
    usage: {
      inputTokens: 3,
      outputTokens: 5,
      totalTokens: 14,
      cacheReadInputTokens: 4,
      cacheWriteInputTokens: 2,
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(3, 5, 4, 2),
  },
  {
    of: 'Gemini',
    usage: {
      promptTokenCount: 7,
      toolUsePromptTokenCount: 2,
      candidatesTokenCount: 2,
      thoughtsTokenCount: 3,
      cachedContentTokenCount: 4,
      totalTokenCount: 14,
      promptTokensDetails: [{ modality: 'TEXT', tokenCount: 7 }],
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(5, 5, 4),
  },
  {
    of: 'Gemini that has only thought',
    usage: { promptTokenCount: 7, thoughtsTokenCount: 3, totalTokenCount: 10 },
    tokens: { prompt: 7, completion: 3 },
    costUsd: inParts(7, 3),
  },
  {
    of: 'AI SDK 4',
    usage: { promptTokens: 9, completionTokens: 5, totalTokens: 14 },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(9, 5),
  },
  {
    of: 'AI SDK 5',
    usage: { inputTokens: 9, outputTokens: 5, totalTokens: 14, reasoningTokens: 3, cachedInputTokens: 4 },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(5, 5, 4),
  },
  {
    of: 'AI SDK 5, whose output may leave out reasoning, as its total tells',
    usage: {
      inputTokens: 9,
      outputTokens: 2,
      totalTokens: 14,
      reasoningTokens: 3,
      cachedInputTokens: undefined,
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(9, 5),
  },
  {
    of: 'AI SDK 5, whose input may leave out the cache, as their sizes tell',
    usage: { inputTokens: 3, outputTokens: 5, totalTokens: 8, cachedInputTokens: 6 },
    tokens: { prompt: 9, completion: 5, total: 8 },
    costUsd: inParts(3, 5, 6),
  },
  {
    of: 'AI SDK 6 and 7',
    usage: {
      inputTokens: 9,
      inputTokenDetails: { noCacheTokens: 3, cacheReadTokens: 4, cacheWriteTokens: 2 },
      outputTokens: 5,
      outputTokenDetails: { textTokens: 2, reasoningTokens: 3 },
      totalTokens: 14,
      raw: { input_tokens: 99 },
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(3, 5, 4, 2),
  },
  {
    of: 'AI SDK 6 and 7, a model’s own result',
    usage: {
      inputTokens: { total: 9, noCache: 3, cacheRead: 4, cacheWrite: 2 },
      outputTokens: { total: 5, text: 2, reasoning: 3 },
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(3, 5, 4, 2),
  },
  {
    of: 'AI SDK, embeddings',
    usage: { tokens: 9 },
    tokens: { prompt: 9, completion: 0 },
    costUsd: inParts(9, 0),
  },
  {
    of: 'LangChain',
    usage: {
      input_tokens: 9,
      output_tokens: 5,
      total_tokens: 14,
      input_token_details: { cache_read: 4, cache_creation: 2 },
      output_token_details: { reasoning: 3 },
    },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(3, 5, 4, 2),
  },
  {
    of: 'DeepSeek',
    usage: { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14, prompt_cache_hit_tokens: 4 },
    tokens: { prompt: 9, completion: 5 },
    costUsd: inParts(5, 5, 4),
  },
  {
    of: 'an hour in the cache',
    usage: {
      input_tokens: 3,
      cache_creation_input_tokens: 2,
      cache_creation: { ephemeral_5m_input_tokens: 1, ephemeral_1h_input_tokens: 1 },
      output_tokens: 0,
    },
    tokens: { prompt: 5, completion: 0 },
    costUsd: inParts(3, 0, 0, 1) + 1e12,
  },
];

const withTotal = ({ tokens }: Shape) => ({ total: tokens.prompt + tokens.completion, ...tokens });

describe.each(SHAPES)('$of', (shape) => {
  it.each(['tokens', 'usage', 'usage_metadata'])('as metadata.%s', async (key) => {
    const row = await enriched({}, { model: 'm', [key]: shape.usage }, 'e', PRICES);
    expect(row).toMatchObject({ tokens: withTotal(shape), costSource: 'table:t', malformed: false });
    expect(row.costUsd! / shape.costUsd).toBeCloseTo(1, 12);
  });

  it('as measurements.usage', async () => {
    const row = await enriched({ usage: shape.usage }, { model: 'm' }, 'e', PRICES);
    expect(row).toMatchObject({ tokens: withTotal(shape), malformed: false });
    expect(row.costUsd! / shape.costUsd).toBeCloseTo(1, 12);
  });

  it('is in the metrics and in a file as it is in the event', async () => {
    const experiment = bench.crucible({ prices: PRICES }).startExperiment({ name: 'shape', capacity: 1024 });
    for (let i = 0; i < 3; i++)
      experiment.capture('e', { i }, { model: 'm', usage: shape.usage, n: `n${i}` });
    const { prompt, completion, total } = withTotal(shape);
    const metrics = await experiment.metrics();
    expect(metrics.tokens).toMatchObject({
      count: 3,
      totalPrompt: 3 * prompt,
      totalCompletion: 3 * completion,
      total: 3 * total,
    });
    let lines = '';
    for await (const part of experiment.exportStream('jsonl')) lines += part;
    for (const line of lines.trim().split('\n')) {
      expect(JSON.parse(line)).toMatchObject({
        tokens: { prompt, completion, total },
        cost_source: 'table:t',
      });
    }
    expect(lines.trim().split('\n')).toHaveLength(3);
  });
});

describe('attributes', () => {
  it.each<[string, Metadata]>([
    [
      'OpenTelemetry',
      {
        'gen_ai.request.model': 'm',
        'gen_ai.provider.name': 'p',
        'gen_ai.usage.input_tokens': 9,
        'gen_ai.usage.output_tokens': 5,
        'gen_ai.usage.cache_read.input_tokens': 4,
        'gen_ai.usage.cache_creation.input_tokens': 2,
        'gen_ai.usage.reasoning.output_tokens': 3,
      },
    ],
    [
      'OpenLLMetry',
      {
        'gen_ai.response.model': 'm',
        'gen_ai.system': 'p',
        'gen_ai.usage.prompt_tokens': 9,
        'gen_ai.usage.completion_tokens': 5,
        'llm.usage.total_tokens': 14,
        'gen_ai.usage.cache_read_input_tokens': 4,
        'gen_ai.usage.cache_creation_input_tokens': 2,
      },
    ],
    [
      'OpenInference',
      {
        'llm.model_name': 'm',
        'llm.provider': 'p',
        'llm.token_count.prompt': 9,
        'llm.token_count.completion': 5,
        'llm.token_count.total': 14,
        'llm.token_count.prompt_details.cache_read': 4,
        'llm.token_count.prompt_details.cache_write': 2,
      },
    ],
    [
      'AI SDK',
      {
        'ai.model.id': 'm',
        'ai.model.provider': 'p',
        'ai.usage.inputTokens': 9,
        'ai.usage.outputTokens': 5,
        'ai.usage.totalTokens': 14,
        'ai.usage.inputTokenDetails.cacheReadTokens': 4,
        'ai.usage.inputTokenDetails.cacheWriteTokens': 2,
      },
    ],
  ])('of %s', async (_, metadata) => {
    const row = await enriched({}, metadata, 'e', PRICES);
    expect(row).toMatchObject({
      model: 'm',
      provider: 'p',
      tokens: { prompt: 9, completion: 5, total: 14 },
      malformed: false,
    });
    expect(row.costUsd! / inParts(3, 5, 4, 2)).toBeCloseTo(1, 12);
  });

  it('may be a usage object spread over the event', async () => {
    const usage = {
      input_tokens: 3,
      cache_read_input_tokens: 4,
      cache_creation_input_tokens: 2,
      output_tokens: 5,
    };
    expect(await enriched({ duration: 5, ...usage }, { model: 'm' }, 'e', PRICES)).toMatchObject({
      tokens: { prompt: 9, completion: 5, total: 14 },
    });
  });
});

describe('usage that is not known', () => {
  it.each<[string, unknown, readonly string[]]>([
    [
      'NaN, as AI SDK 4 has it',
      { promptTokens: Number.NaN, completionTokens: Number.NaN },
      ['promptTokens', 'completionTokens'],
    ],
    [
      'undefined, as AI SDK 5 has it',
      { inputTokens: undefined, outputTokens: undefined, totalTokens: undefined },
      [],
    ],
    ['null', { prompt_tokens: null, completion_tokens: null }, []],
    ['nested', { inputTokens: { total: undefined }, outputTokens: { total: undefined } }, []],
  ])('%s is no 0, and costs nothing known', async (_, usage, malformed) => {
    for (const [key, spread] of [
      ['tokens', { tokens: usage }],
      ['usage', { usage }],
    ] as const) {
      const row = await enriched({}, { model: 'm', ...spread }, 'e', PRICES);
      expect(row).toMatchObject({ tokens: null, costUsd: null, costSource: 'unpriced:tokens' });
      expect(row.malformedKeys).toEqual(malformed.map((name) => `metadata.${key}.${name}`));
    }
  });

  it('enters no statistic', async () => {
    const experiment = bench.start();
    for (const inputTokens of [Number.NaN, undefined, 100]) {
      experiment.capture(
        'e',
        {},
        { model: 'gpt-4', tokens: { inputTokens, outputTokens: inputTokens && 50 } },
      );
    }
    const { tokens, cost } = await experiment.metrics();
    expect(tokens).toMatchObject({ count: 1, meanPrompt: 100, meanCompletion: 50 });
    expect(cost).toMatchObject({ count: 1, meanPerRequest: 0.006 });
  });

  it.each<[string, unknown]>([
    ['undefined', { prompt: 3, completion: undefined }],
    ['null', { prompt: 3, completion: null }],
    ['NaN', { prompt: 3, completion: Number.NaN }],
    ['text', { prompt: 3, completion: '4' }],
    ['negative', { prompt: 3, completion: -4 }],
  ])('in one part is 0 there, and costs nothing known: %s', async (_, tokens) => {
    expect(await enriched({}, { model: 'm', tokens }, 'e', PRICES)).toMatchObject({
      tokens: { prompt: 3, completion: 0, total: 3 },
      costUsd: null,
      costSource: 'unpriced:tokens',
    });
  });

  it('leaves what another key tells', async () => {
    const row = await enriched(
      {},
      { model: 'm', tokens: { inputTokens: undefined }, usage: { inputTokens: 3, outputTokens: 4 } },
      'e',
      PRICES,
    );
    expect(row).toMatchObject({ tokens: { prompt: 3, completion: 4 }, costSource: 'table:t' });
  });

  it('leaves a cost that the event tells', async () => {
    expect(await enriched({ cost: 2 }, { model: 'm', tokens: { prompt: null } }, 'e', PRICES)).toMatchObject({
      costUsd: 2,
      costSource: 'event',
    });
  });
});

describe('what is no usage', () => {
  it.each<[string, unknown]>([
    ['a number', 0.73],
    ['text', 'high'],
    ['an object about something else', { cpu: 0.5, memory: 12 }],
    ['a list', [1, 2]],
  ])('under the name usage is left alone: %s', async (_, usage) => {
    expect(await enriched({ usage }, { usage })).toMatchObject({ tokens: null, malformed: false });
  });

  it.each<[string, unknown]>([
    ['a number', 150],
    ['an object about something else', { words: 5 }],
    ['a list', [1, 2]],
    ['a promise', Promise.resolve({ inputTokens: 1 })],
  ])('under the name tokens is told: %s', async (_, tokens) => {
    expect(await enriched({ tokens })).toMatchObject({
      tokens: null,
      malformedKeys: ['measurements.tokens'],
    });
    expect(await enriched({}, { tokens })).toMatchObject({
      tokens: null,
      malformedKeys: ['metadata.tokens'],
    });
  });

  it('a promise of usage is told, since nobody has awaited it', async () => {
    const usage = Promise.resolve({ inputTokens: 1 });
    expect(await enriched({}, { usage })).toMatchObject({ tokens: null, malformedKeys: ['metadata.usage'] });
  });

  it('a getter in it that throws costs no more than the usage', async () => {
    const usage = {
      get inputTokens(): number {
        throw new Error('no');
      },
    };
    expect(await enriched({ latencyMs: 5 }, { usage, model: 'm' })).toMatchObject({
      latencyMs: 5,
      model: 'm',
      tokens: null,
      malformedKeys: ['metadata.usage'],
    });
  });
});

describe('a cost in the usage', () => {
  const usage = { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14, cost: 0.95 };

  it('is what the call cost, as OpenRouter tells it', async () => {
    expect(await enriched({}, { model: 'm', usage }, 'e', PRICES)).toMatchObject({
      costUsd: 0.95,
      costSource: 'event',
      tokens: { total: 14 },
    });
  });

  it('comes after a cost in the metadata and before one that was measured', async () => {
    expect((await enriched({ cost: 3 }, { usage, cost: 2 })).costUsd).toBe(2);
    expect((await enriched({ cost: 3 }, { usage })).costUsd).toBe(0.95);
  });
});
