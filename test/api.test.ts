/** The public names and shapes, as other programs rely on them. */

import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest';
import * as api from '../src/index.js';
import * as stats from '../src/stats/index.js';
import { countsOf } from './support/counts.js';

const exported = { ...api };

describe('crucible-telemetry exports', () => {
  it.each([
    'Crucible',
    'Experiment',
    'Recorder',
    'Span',
    'ExperimentWriter',
    'EventRegistry',
    'TelemetryError',
    'ConfigError',
    'NotFoundError',
    'StateError',
    'ExportError',
    'AnalysisError',
    'StorageError',
    'LayoutError',
    'MemoryError',
  ] as const)('the class %s', (name) => {
    expect(exported[name]).toBeTypeOf('function');
    expect(exported[name].prototype).toBeTypeOf('object');
    expect(exported[name].name).toBe(name);
  });

  it('the bus, the registry, attachExperiment, the clock, the prices and the version', () => {
    for (const method of ['execute', 'span', 'attach', 'detach'] as const)
      expect(api.telemetry[method]).toBeTypeOf('function');
    for (const method of ['standard', 'byCategory', 'info', 'register'] as const) {
      expect(api.events[method]).toBeTypeOf('function');
    }
    expect(api.events).toBeInstanceOf(api.EventRegistry);
    expect(api.attachExperiment).toBeTypeOf('function');
    expect(Number.isSafeInteger(api.systemClock.nowUs())).toBe(true);
    expect(api.systemClock.monotonicNs()).toBeTypeOf('bigint');
    expect(api.REFERENCE_PRICES.models['gpt-4']).toEqual([30, 60]);
    expect(api.VERSION).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('errors that are Errors, named after their class, with a stable code', () => {
    const cases: [api.TelemetryError, string, string][] = [
      [new api.ConfigError('path', 'a number', 'x'), 'ConfigError', 'ERR_CONFIG_INVALID'],
      [new api.NotFoundError('experiment', 'x'), 'NotFoundError', 'ERR_NOT_FOUND'],
      [new api.StateError('ERR_ALREADY_PAUSED', 'm'), 'StateError', 'ERR_ALREADY_PAUSED'],
      [new api.StateError('ERR_NOT_PAUSED', 'm'), 'StateError', 'ERR_NOT_PAUSED'],
      [new api.StateError('ERR_NOT_RUNNING', 'm'), 'StateError', 'ERR_NOT_RUNNING'],
      [new api.StateError('ERR_CLOSED', 'm'), 'StateError', 'ERR_CLOSED'],
      [new api.ExportError('ERR_NO_DATA', 'm'), 'ExportError', 'ERR_NO_DATA'],
      [new api.ExportError('ERR_UNSUPPORTED_FORMAT', 'm'), 'ExportError', 'ERR_UNSUPPORTED_FORMAT'],
      [new api.ExportError('ERR_EXPORT_PATH', 'm'), 'ExportError', 'ERR_EXPORT_PATH'],
      [new api.AnalysisError('ERR_TOO_FEW_EXPERIMENTS', 'm'), 'AnalysisError', 'ERR_TOO_FEW_EXPERIMENTS'],
      [new api.AnalysisError('ERR_TOO_FEW_SAMPLES', 'm'), 'AnalysisError', 'ERR_TOO_FEW_SAMPLES'],
      [new api.StorageError('ERR_STORAGE_FULL', 'm'), 'StorageError', 'ERR_STORAGE_FULL'],
      [new api.StorageError('ERR_STORAGE_IO', 'm'), 'StorageError', 'ERR_STORAGE_IO'],
      [new api.StorageError('ERR_SEGMENT_CORRUPT', 'm'), 'StorageError', 'ERR_SEGMENT_CORRUPT'],
      [new api.LayoutError('version', 1, 2), 'LayoutError', 'ERR_LAYOUT_VERSION'],
      [new api.MemoryError('an experiment', 1, null), 'MemoryError', 'ERR_MEMORY_RESERVE'],
    ];
    for (const [error, name, code] of cases) {
      expect(error).toBeInstanceOf(Error);
      expect(error).toBeInstanceOf(api.TelemetryError);
      expect(error).toMatchObject({ name, code });
      expect(error.message).not.toBe('');
    }
  });

  it.each<[string, unknown, string]>([
    ['text', 'x', 'got "x"'],
    ['long text', 'x'.repeat(100), 'got a string of 100 characters'],
    ['null', null, 'got null'],
    ['a bigint', 5n, 'got a bigint'],
    ['a list', [1], 'got an array'],
    ['a symbol', Symbol('s'), 'got a symbol'],
    [
      'an object that cannot be text',
      {
        toString() {
          throw new Error('never called');
        },
      },
      'got a object',
    ],
  ])('a ConfigError that tells of %s without calling into it', (_, value, expected) => {
    expect(new api.ConfigError('path', 'a number', value).message).toBe(
      `path: expected a number, ${expected}`,
    );
  });
});

describe('crucible-telemetry/stats exports', () => {
  it('moments, quantiles and the sketch', () => {
    const moments = new stats.Welford();
    for (const value of [1, 2, 3, 4]) moments.push(value);
    expect(moments).toMatchObject({ count: 4, mean: 2.5, min: 1, max: 4 });
    expect(moments.variance).toBeCloseTo(5 / 3, 12);
    const other = new stats.Welford();
    other.push(10);
    moments.merge(other);
    expect(moments.mean).toBe(4);
    expect(stats.quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(stats.quantile([1, 2, 3, 4], [0, 1])).toEqual([1, 4]);
    const sketch = new stats.QuantileSketch(0.01);
    for (let i = 1; i <= 100; i++) sketch.push(i);
    sketch.merge(new stats.QuantileSketch(0.01));
    expect(Math.abs((sketch.quantile(0.5) as number) - 50)).toBeLessThanOrEqual(1.5);
  });
});

describe('an Experiment', () => {
  let crucible: api.Crucible;
  let experiment: api.Experiment;
  beforeEach(() => {
    crucible = new api.Crucible();
    experiment = crucible.startExperiment({ name: 'shape', capacity: 1024 });
  });
  afterEach(() => crucible.close());

  it('comes from Crucible.startExperiment', () => {
    expect(experiment).toBeInstanceOf(api.Experiment);
    expect(crucible.experiment(experiment.id)).toBe(experiment);
    expect(crucible.experiments()).toEqual([experiment]);
    expect(crucible[Symbol.asyncDispose]).toBeTypeOf('function');
  });

  it('captures without returning anything', () => {
    const recorder = experiment.recorder('e', { model: 'm', provider: 'p', column: 1 });
    expect(recorder).toBeInstanceOf(api.Recorder);
    expect(recorder.record(1, 2, 3, 4, true)).toBeUndefined();
    expect(recorder.recordAt(1, 1, 2, 3, 4, null)).toBeUndefined();
    const span = recorder.start();
    expect(span).toBeInstanceOf(api.Span);
    expect(span.stop({ costUsd: 1, promptTokens: 2, completionTokens: 3, success: true })).toBeUndefined();
    expect(recorder.start().fail(new Error('e'))).toBeUndefined();
    expect(experiment.capture('e', {}, {})).toBeUndefined();
    expect(experiment.captureAt(1, 'e', {}, {})).toBeUndefined();
    expect(experiment.run(() => 5, { k: 1 })).toBe(5);
    expect(experiment.counts).toEqual(countsOf({ captured: 6 }));
  });

  it('answers what it is asked in the documented shapes', async () => {
    experiment.capture(
      'e',
      { latencyMs: 1, cost: 1, status: 'ok' },
      { tokens: { prompt: 1, completion: 1 } },
    );
    expect(await experiment.flush()).toEqual({
      captured: 1,
      durable: 0,
      pending: 1,
      deadlineExceeded: false,
      lost: { total: 0, refused: countsOf({}).refused, overwritten: 0, damaged: 0, malformed: 0, cut: 0 },
    });
    expect(await experiment.query()).toHaveLength(1);
    expect(await experiment.window({ lastN: 1 })).toHaveLength(1);
    expect(experiment.events()[Symbol.asyncIterator]).toBeTypeOf('function');
    expect(experiment.exportStream('jsonl').destroy()).toBeInstanceOf(Readable);
    const metrics = await experiment.metrics();
    expect(Object.keys(metrics)).toEqual(['summary', 'latency', 'cost', 'reliability', 'tokens', 'events']);
    expect(Object.keys(metrics.summary)).toEqual(
      expect.arrayContaining([
        'totalEvents',
        'timeRange',
        'durationSeconds',
        'eventTypes',
        'wallClockSeconds',
        'activeSeconds',
        'pausedSeconds',
      ]),
    );
    expect(Object.keys(metrics.latency)).toEqual(
      expect.arrayContaining([
        'count',
        'mean',
        'median',
        'stdDev',
        'stdDevPopulation',
        'min',
        'max',
        'p50',
        'p90',
        'p95',
        'p99',
      ]),
    );
    expect(Object.keys(metrics.cost)).toEqual(
      expect.arrayContaining([
        'total',
        'count',
        'meanPerRequest',
        'medianPerRequest',
        'costPer1kRequests',
        'costPer1mRequests',
      ]),
    );
    expect(Object.keys(metrics.reliability)).toEqual(
      expect.arrayContaining([
        'totalRequests',
        'decidedRequests',
        'successful',
        'failed',
        'successRate',
        'failureRate',
        'sla99',
        'sla999',
        'sla9999',
      ]),
    );
    expect(Object.keys(metrics.tokens)).toEqual(
      expect.arrayContaining([
        'count',
        'totalPrompt',
        'totalCompletion',
        'total',
        'meanPrompt',
        'meanCompletion',
        'meanTotal',
      ]),
    );
    const streaming = experiment.streamingMetrics();
    expect(Object.keys(streaming)).toEqual(
      expect.arrayContaining([
        'count',
        'latency',
        'cost',
        'reliability',
        'tokens',
        'eventCounts',
        'byEvent',
        'recorders',
      ]),
    );
    expect(Object.keys(streaming.latency)).toEqual(
      expect.arrayContaining(['count', 'mean', 'stdDev', 'min', 'max', 'p50', 'p90', 'p95', 'p99', 'p999']),
    );
    const [window] = await experiment.windowedMetrics({ sizeUs: 1e6, stepUs: 1e6 });
    expect(Object.keys(window!)).toEqual(
      expect.arrayContaining([
        'windowStart',
        'windowEnd',
        'eventCount',
        'meanLatency',
        'totalCost',
        'successCount',
        'failureCount',
      ]),
    );
    expect(experiment.resetStreamingMetrics()).toBeUndefined();
    expect(experiment.stopStreamingMetrics()).toBeUndefined();
  });

  it('is handed to other threads as something that can be cloned', () => {
    const handle = experiment.share();
    const clone = structuredClone(handle);
    const writer = api.attachExperiment(clone);
    expect(writer).toBeInstanceOf(api.ExperimentWriter);
    writer.capture('e', {});
    writer.close();
    expect(experiment.counts.captured).toBe(1);
  });

  it('has the documented types', () => {
    expectTypeOf(experiment.status).toEqualTypeOf<'running' | 'paused' | 'stopped' | 'archived'>();
    expectTypeOf(experiment.counts).toEqualTypeOf<api.ExperimentCounts>();
    expectTypeOf(experiment.query).returns.toEqualTypeOf<Promise<api.EventRow[]>>();
    expectTypeOf(experiment.metrics).returns.toEqualTypeOf<Promise<api.Metrics>>();
    expectTypeOf(experiment.windowedMetrics).returns.toEqualTypeOf<Promise<api.WindowRow[]>>();
    expectTypeOf(experiment.run<number>).returns.toEqualTypeOf<number>();
    expectTypeOf(experiment.events).returns.toExtend<AsyncIterable<api.EventRow>>();
    expectTypeOf(crucible.compare).returns.toEqualTypeOf<Promise<api.Comparison>>();
    expectTypeOf<api.Crucible>().toExtend<AsyncDisposable>();
    expectTypeOf<api.ExportFormat>().toEqualTypeOf<'csv' | 'jsonl' | 'msgpack' | 'parquet' | 'arrow'>();
  });

  it('says by a code that a format is unknown, and that there is nothing to export', async () => {
    await expect(experiment.export('xml' as api.ExportFormat)).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
    });
    await expect(experiment.export('csv')).rejects.toMatchObject({ code: 'ERR_NO_DATA' });
    await expect(crucible.exportMultiple([experiment], 'csv')).rejects.toMatchObject({ code: 'ERR_NO_DATA' });
  });
});
