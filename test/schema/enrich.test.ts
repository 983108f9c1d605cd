/** What events mean for latency, cost, tokens, success, ids and category fields. */

import { describe, expect, it } from 'vitest';
import type { EventRow, Measurements, Metadata } from '../../src/schema/event.js';
import { events } from '../../src/schema/registry.js';
import { lastEvent, useBench } from '../capture/support.js';
import { useEnrich } from './support.js';

const bench = useBench();

const enriched = useEnrich(bench);

describe('latency', () => {
  it.each<[string, Measurements, number | null]>([
    ['duration is nanoseconds', { duration: 104_435_761 }, 104.435761],
    ['duration may be a bigint', { duration: 104_435_761n }, 104.435761],
    ['a duration of 0 counts', { duration: 0 }, 0],
    [
      'duration wins over stop − start and milliseconds',
      { duration: 1e6, start: 0, stop: 9e6, latencyMs: 7 },
      1,
    ],
    ['stop − start is nanoseconds', { start: 1000, stop: 5_617_904 }, 5.616904],
    ['stop − start may be bigints', { start: 9_007_199_254_740_993n, stop: 9_007_199_254_841_993n }, 0.101],
    ['start and stop may be of both kinds', { start: 1_000_000n, stop: 3_500_000 }, 2.5],
    ['stop − start wins over milliseconds', { start: 0, stop: 2e6, durationMs: 9 }, 2],
    ['durationMs is milliseconds', { durationMs: 12.5 }, 12.5],
    ['latencyMs is milliseconds', { latencyMs: 12.5 }, 12.5],
    ['latency_ms is milliseconds', { latency_ms: 12.5 }, 12.5],
    ['milliseconds may be a bigint', { latencyMs: 12n }, 12],
    ['a start without a stop says nothing', { start: 5 }, null],
    ['a stop without a start says nothing', { stop: 5 }, null],
    ['nothing measured is no latency', { system_time: 3 }, null],
    ['a negative duration is kept as it is', { duration: -2e6 }, -2],
    ['a stop before its start is kept as it is', { start: 3e6, stop: 1e6 }, -2],
  ])('%s', async (_, measurements, expected) => {
    const row = await enriched(measurements);
    expect(row.latencyMs).toBe(expected);
    expect(row.malformed).toBe(false);
  });

  it.each<[string, Measurements]>([
    ['null', { duration: null }],
    ['text', { duration: '104435761' }],
    ['a boolean', { duration: true }],
    ['an object', { duration: { ns: 5 } }],
    ['NaN', { duration: Number.NaN }],
    ['Infinity', { duration: Number.POSITIVE_INFINITY }],
    ['a bigint beyond every double', { duration: 10n ** 400n }],
    ['text in latencyMs', { latencyMs: '5' }],
    ['text in durationMs', { durationMs: '5' }],
    ['null in latency_ms', { latency_ms: null }],
    ['Infinity in latency_ms', { latency_ms: Number.NEGATIVE_INFINITY }],
    ['a start that is text', { start: 'now', stop: 5 }],
    ['a stop that is null', { start: 5, stop: null }],
    ['a difference beyond every double', { start: -1.7e308, stop: 1.7e308 }],
  ])('%s is malformed, not fatal', async (_, measurements) => {
    const row = await enriched(measurements, { model: 'gpt-4', response: 'ok' });
    expect(row).toMatchObject({ latencyMs: null, malformed: true, model: 'gpt-4', success: true });
  });

  it('is read from what remains where the duration is malformed', async () => {
    expect(await enriched({ duration: 'x', start: 0, stop: 4e6 })).toMatchObject({
      latencyMs: 4,
      malformed: true,
    });
    expect(await enriched({ duration: null, latencyMs: 3 })).toMatchObject({ latencyMs: 3, malformed: true });
  });

  it.each(['durationMs', 'latencyMs', 'latency_ms'])(
    'a null %s is malformed like a null duration',
    async (name) => {
      expect(await enriched({ [name]: null })).toMatchObject({ latencyMs: null, malformed: true });
    },
  );
});

describe('cost', () => {
  const tokens = { prompt: 189, completion: 53, total: 242 };
  const fromTable = (189 / 1e6) * 30 + (53 / 1e6) * 60;

  it.each<[string, Measurements, Metadata, number | null, string | null]>([
    ['metadata.cost comes first', { cost: 3 }, { cost: 2, model: 'gpt-4', tokens }, 2, 'event'],
    ['a metadata.cost of 0 counts', { cost: 3 }, { cost: 0, model: 'gpt-4', tokens }, 0, 'event'],
    [
      'tokens with a model come second',
      { cost: 3 },
      { model: 'gpt-4', tokens },
      fromTable,
      'table:reference-0.5.0',
    ],
    [
      'a null metadata.cost is absent',
      { cost: 3 },
      { cost: null, model: 'gpt-4', tokens },
      fromTable,
      'table:reference-0.5.0',
    ],
    ['measurements.cost comes third', { cost: 3 }, { model: 'gpt-4' }, 3, 'event'],
    ['a measured cost of 0 counts', { cost: 0 }, {}, 0, 'event'],
    ['tokens without a model cost nothing known', {}, { tokens }, null, null],
    ['a model without tokens costs nothing known', {}, { model: 'gpt-4' }, null, null],
    [
      'an unknown model costs null, not an invented price',
      {},
      { model: 'foo-model', tokens },
      null,
      'unpriced:model',
    ],
    [
      'where the model that was asked has no price, that of the one that has answered counts',
      {},
      { model: 'my-deployment', tokens, responseModel: 'gpt-4-0613' },
      fromTable,
      'table:reference-0.5.0',
    ],
    [
      'also with further keys',
      {},
      { model: 'my-deployment', tokens, responseModel: 'gpt-4-0613', statusCode: 200 },
      fromTable,
      'table:reference-0.5.0',
    ],
    [
      'the price of the model that was asked comes first',
      {},
      { model: 'gpt-4', tokens, responseModel: 'gpt-3.5-turbo' },
      fromTable,
      'table:reference-0.5.0',
    ],
    ['an unknown model leaves the measured cost', { cost: 3 }, { model: 'foo-model', tokens }, 3, 'event'],
    [
      'a model named as a property of every object is unknown',
      {},
      { model: 'constructor', tokens },
      null,
      'unpriced:model',
    ],
    ['an object without counts costs nothing known', {}, { model: 'gpt-4', tokens: {} }, null, null],
    ['a cost may be a bigint', {}, { cost: 2n }, 2, 'event'],
  ])('%s', async (_, measurements, metadata, expected, source) => {
    const row = await enriched(measurements, metadata);
    expect(row).toMatchObject({ costUsd: expected, costSource: source, malformed: false });
  });

  it.each<[string, number, number]>([
    ['gemini-2.0-flash-exp', 0.075, 0.3],
    ['gpt-4', 30, 60],
    ['gpt-4-turbo', 10, 30],
    ['gpt-3.5-turbo', 0.5, 1.5],
    ['claude-3-opus', 15, 75],
    ['claude-3-sonnet', 3, 15],
  ])('%s costs the reference price by default', async (model, input, output) => {
    const row = await enriched({}, { model, tokens: { prompt: 2_000_000, completion: 1_000_000 } });
    expect(row.costUsd).toBeCloseTo(2 * input + output, 12);
  });

  it('comes from a table of one’s own, and names its version', async () => {
    const prices = { version: 'mine-7', models: { 'foo-model': [1, 2] as const } };
    const row = await enriched({}, { model: 'foo-model', tokens }, 'any.event', prices);
    expect(row.costSource).toBe('table:mine-7');
    expect(row.costUsd).toBeCloseTo(189e-6 + 106e-6, 15);
    expect((await enriched({}, { model: 'gpt-4', tokens }, 'any.event', prices)).costUsd).toBeNull();
  });

  it.each<[string, unknown]>([
    ['text', '0.5'],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a boolean', true],
    ['an object', {}],
  ])('%s is malformed, and the next source is asked', async (_, cost) => {
    expect(await enriched({ cost: 3 }, { cost })).toMatchObject({ costUsd: 3, malformed: true });
    expect(await enriched({ cost }, {})).toMatchObject({ costUsd: null, malformed: true });
  });

  it.each<[string, Measurements, Metadata, number]>([
    ['ensemble.vote.completed', { totalCost: 0.25 }, {}, 0.25],
    ['ensemble.vote.completed', { total_cost: 0.25 }, {}, 0.25],
    ['ensemble.vote.completed', {}, { totalCost: 0.25 }, 0.25],
    ['hedging.request.stop', {}, { duplication_cost: 8e-5 }, 8e-5],
    ['hedging.request.stop', { duplicationCost: 8e-5 }, {}, 8e-5],
    ['hedging.request.duplicated', {}, { duplicationCost: 0 }, 0],
  ])('of %s counts under its own name %j %j', async (event, measurements, metadata, expected) => {
    expect(await enriched(measurements, metadata, event)).toMatchObject({
      costUsd: expected,
      costSource: 'event',
    });
  });

  it('an event’s cost wins over its vote’s or duplicate’s', async () => {
    const row = await enriched({ totalCost: 9 }, { cost: 1 }, 'ensemble.vote.completed');
    expect(row.costUsd).toBe(1);
  });
});

describe('success', () => {
  it.each<[string, Measurements, Metadata, boolean | null]>([
    ['an error comes first', { status: 'ok' }, { error: 'timeout', response: 'ok' }, false],
    ['an exception comes second', { status: 'ok' }, { exception: { kind: 'exit' }, response: 'ok' }, false],
    ['a false error is none', { status: 'ok' }, { error: false }, true],
    ['a null error is none', {}, { error: null, response: 'x' }, true],
    ['a measured status ok is success', { status: 'ok' }, {}, true],
    ['a measured status error is failure', { status: 'error' }, { response: 'x' }, false],
    ['metadata.status ok is success', {}, { status: 'ok' }, true],
    ['metadata.status error is failure', {}, { status: 'error', response: 'x' }, false],
    ['the measured status wins over metadata’s', { status: 'ok' }, { status: 'error' }, true],
    ['a null status leaves metadata.status to be read', { status: null }, { status: 'error' }, false],
    ['another status says nothing', { status: 'pending' }, {}, null],
    ['a response is success', {}, { response: '' }, true],
    ['a null response says nothing', {}, { response: null }, null],
    ['nothing said is null', {}, {}, null],
  ])('%s', async (_, measurements, metadata, expected) => {
    expect((await enriched(measurements, metadata)).success).toBe(expected);
  });

  it.each(['req_llm.request.exception', 'altar.tool.exception', 'my.own.exception'])(
    '%s is a failure whatever else it says',
    async (event) => {
      expect((await enriched({ status: 'ok' }, { response: 'ok' }, event)).success).toBe(false);
    },
  );

  it.each([100, 600, 'pending'])(
    'a measured status of %j leaves metadata.status to be read',
    async (status) => {
      expect((await enriched({ status }, { status: 'error' })).success).toBe(false);
    },
  );
});

describe('tokens', () => {
  it.each<[string, unknown, unknown]>([
    [
      'prompt, completion, total',
      { prompt: 3, completion: 4, total: 7 },
      { prompt: 3, completion: 4, total: 7 },
    ],
    ['a total of its own', { prompt: 3, completion: 4, total: 20 }, { prompt: 3, completion: 4, total: 20 }],
    ['no total', { prompt: 3, completion: 4 }, { prompt: 3, completion: 4, total: 7 }],
    ['no completion', { prompt: 3 }, { prompt: 3, completion: 0, total: 3 }],
    ['no prompt', { completion: 4 }, { prompt: 0, completion: 4, total: 4 }],
    ['no parts', {}, null],
    ['a total alone', { total: 9 }, { prompt: 0, completion: 0, total: 9 }],
    ['a null part', { prompt: 3, completion: null }, { prompt: 3, completion: 0, total: 3 }],
    ['input, output', { input: 3, output: 4 }, { prompt: 3, completion: 4, total: 7 }],
    [
      'input_tokens, output_tokens',
      { input_tokens: 3, output_tokens: 4 },
      { prompt: 3, completion: 4, total: 7 },
    ],
    [
      'inputTokens, outputTokens',
      { inputTokens: 3, outputTokens: 4 },
      { prompt: 3, completion: 4, total: 7 },
    ],
    [
      'prompt_tokens, completion_tokens, total_tokens',
      { prompt_tokens: 3, completion_tokens: 4, total_tokens: 9 },
      { prompt: 3, completion: 4, total: 9 },
    ],
    [
      'promptTokens, completionTokens',
      { promptTokens: 3, completionTokens: 4 },
      { prompt: 3, completion: 4, total: 7 },
    ],
    ['bigint parts', { prompt: 3n, completion: 4n }, { prompt: 3, completion: 4, total: 7 }],
    [
      'the largest count',
      { prompt: 2 ** 31 - 1 },
      { prompt: 2 ** 31 - 1, completion: 0, total: 2 ** 31 - 1 },
    ],
    ['none', undefined, null],
    ['null', null, null],
  ])('%s', async (_, tokens, expected) => {
    expect(await enriched({}, tokens === undefined ? {} : { tokens })).toMatchObject({
      tokens: expected,
      malformed: false,
    });
  });

  it.each<[string, unknown]>([
    ['a number', 242],
    ['text', '242'],
    ['a list', [189, 53]],
    ['a boolean', true],
  ])('%s instead of an object is malformed, and kept as metadata', async (_, tokens) => {
    const row = await enriched({}, { model: 'gpt-4', tokens });
    expect(row).toMatchObject({ tokens: null, costUsd: null, malformed: true });
    expect(row.metadata.tokens).toEqual(tokens);
  });

  it.each<[string, unknown]>([
    ['negative', -1],
    ['beyond 2^31', 2 ** 31],
    ['text', '5'],
    ['NaN', Number.NaN],
  ])('a %s part is malformed and counts 0', async (_, prompt) => {
    const row = await enriched({}, { tokens: { prompt, completion: 4 } });
    expect(row).toMatchObject({ malformed: true, tokens: { prompt: 0, completion: 4, total: 4 } });
  });

  it('are summed into the metrics with the totals that events told', async () => {
    const experiment = bench.start();
    experiment.capture('e', {}, { tokens: { prompt: 3, completion: 4, total: 7 } });
    experiment.capture('e', {}, { tokens: { prompt: 1, completion: 2, total: 13 } });
    experiment.capture('e', {}, {});
    expect((await experiment.metrics()).tokens).toEqual({
      count: 2,
      totalPrompt: 4,
      totalCompletion: 6,
      total: 20,
      meanPrompt: 2,
      meanCompletion: 3,
      meanTotal: 10,
    });
  });

  it('totalTokens is a total like total_tokens', async () => {
    const row = await enriched({}, { tokens: { promptTokens: 1, completionTokens: 2, totalTokens: 5 } });
    expect(row.tokens).toEqual({ prompt: 1, completion: 2, total: 5 });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -7])(
    'a total of %s is malformed and enters no sum',
    async (total) => {
      const experiment = bench.start();
      experiment.capture('e', {}, { tokens: { prompt: 1, completion: 2, total } });
      expect(await lastEvent(experiment)).toMatchObject({ malformed: true, tokens: { total: 3 } });
      expect((await experiment.metrics()).tokens).toMatchObject({ total: 3, meanTotal: 3 });
    },
  );
});

describe('lifted fields', () => {
  it.each<[keyof EventRow, string]>([
    ['sessionId', 'session_id'],
    ['userId', 'user_id'],
    ['sampleId', 'sample_id'],
    ['correlationId', 'correlation_id'],
    ['traceId', 'trace_id'],
    ['spanId', 'span_id'],
  ])('%s is read under both of its spellings, and stays in the metadata', async (camel, snake) => {
    for (const key of [camel, snake]) {
      const row = await enriched({}, { [key]: 'abc' });
      expect(row[camel]).toBe('abc');
      expect(row.metadata).toEqual({ [key]: 'abc' });
    }
    expect((await enriched({}, { [snake]: 'snake', [camel]: 'camel' }))[camel]).toBe('camel');
    expect((await enriched({}, {}))[camel]).toBeNull();
  });

  it('cohort, model and provider are read under their one name', async () => {
    const row = await enriched({}, { cohort: 'c1', model: 'm', provider: 'p' });
    expect(row).toMatchObject({ cohort: 'c1', model: 'm', provider: 'p' });
    expect(row.metadata).toEqual({ cohort: 'c1', model: 'm', provider: 'p' });
    expect(await enriched({})).toMatchObject({ cohort: null, model: null, provider: null });
  });

  it('ids may be numbers; a model that is no text is metadata only', async () => {
    const row = await enriched({}, { sampleId: 9, model: 5, provider: null });
    expect(row).toMatchObject({ sampleId: 9, model: null, provider: null });
    expect(row.metadata).toEqual({ sampleId: 9, model: 5, provider: null });
  });
});

describe('category fields', () => {
  it.each<[string, Measurements, Metadata, Record<string, unknown>]>([
    [
      'crucible_train.epoch.stop',
      { loss: 0.143, accuracy: 0.42, gradient_norm: 1.5, epoch: 99 },
      { epoch: 6, batch: 2, learning_rate: 0.001, checkpoint_path: '/c' },
      {
        epoch: 6,
        batch: 2,
        learningRate: 0.001,
        loss: 0.143,
        accuracy: 0.42,
        gradientNorm: 1.5,
        checkpointPath: '/c',
      },
    ],
    [
      'crucible_train.batch.stop',
      { epoch: 6, batch: 3, learningRate: 0.01, gradientNorm: 2 },
      { loss: 'of metadata' },
      {
        epoch: 6,
        batch: 3,
        learningRate: 0.01,
        loss: null,
        accuracy: null,
        gradientNorm: 2,
        checkpointPath: null,
      },
    ],
    [
      'crucible_deployment.inference.stop',
      { input_size: 5, outputSize: 6 },
      { model_name: 'm', modelVersion: 'v1', batch_size: 8 },
      { modelName: 'm', modelVersion: 'v1', batchSize: 8, inputSize: 5, outputSize: 6 },
    ],
    [
      'crucible_framework.stage.stop',
      {},
      { pipeline_id: 'p', stageName: 's', stage_index: 2 },
      { pipelineId: 'p', stageName: 's', stageIndex: 2 },
    ],
    [
      'ensemble.vote.completed',
      { agreement: 0.75, total_cost: 0.5 },
      { votes: { a: 3, b: 1 }, winner: 'a' },
      { votes: { a: 3, b: 1 }, agreement: 0.75, winner: 'a', totalCost: 0.5 },
    ],
    [
      'hedging.request.stop',
      { primary_latency: 80, backupLatency: 60 },
      { winner: 'backup', duplication_cost: 8e-5 },
      { winner: 'backup', primaryLatency: 80, backupLatency: 60, duplicationCost: 8e-5 },
    ],
    ['req_llm.request.stop', { loss: 1 }, { epoch: 1 }, {}],
    ['no.standard.event', { loss: 1 }, { epoch: 1 }, {}],
  ])('of %s', async (event, measurements, metadata, expected) => {
    expect((await enriched(measurements, metadata, event)).fields).toEqual(expected);
  });

  it('follow the category that a registered event was given', async () => {
    events.register({ name: 'my.trainer.step', category: 'training', description: 'One of ours' });
    expect((await enriched({ loss: 2 }, {}, 'my.trainer.step')).fields).toMatchObject({
      loss: 2,
      epoch: null,
    });
  });

  it.each(['constructor', 'toString', '__proto__'])(
    'a category named %s is like any other',
    async (category) => {
      events.register({ name: `odd.category.${category}`, category, description: 'One of ours' });
      expect((await enriched({ loss: 2 }, {}, `odd.category.${category}`)).fields).toEqual({});
    },
  );
});

describe('base fields', () => {
  it('say where an event belongs, and keep what was handed in', async () => {
    const experiment = bench.start({ id: 'EXP', name: 'base', condition: 'control', tags: ['g', 't'] });
    experiment.captureAt(1_700_000_000_000_007, 'a.b', { x: 1, status: 'ok' }, { note: 'with,comma' });
    expect(await lastEvent(experiment)).toEqual({
      eventId: 'EXP-00-0000000000',
      eventName: 'a.b',
      timestamp: 1_700_000_000_000_007,
      sequence: 0,
      experimentId: 'EXP',
      experimentName: 'base',
      condition: 'control',
      tags: ['g', 't'],
      measurements: { x: 1, status: 'ok' },
      metadata: { note: 'with,comma' },
      latencyMs: null,
      costUsd: null,
      costSource: null,
      success: true,
      tokens: null,
      model: null,
      provider: null,
      sessionId: null,
      userId: null,
      sampleId: null,
      cohort: null,
      correlationId: null,
      traceId: null,
      spanId: null,
      malformed: false,
      malformedKeys: [],
      fields: {},
    });
  });

  it('give every event an id of its own that is the same at every reading', async () => {
    const experiment = bench.start();
    for (let i = 0; i < 2000; i++) experiment.capture('e', {});
    const ids = (await experiment.query()).map(({ eventId }) => eventId);
    expect(new Set(ids).size).toBe(2000);
    expect((await experiment.query()).map(({ eventId }) => eventId)).toEqual(ids);
  });
});
