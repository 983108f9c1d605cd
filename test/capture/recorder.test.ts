/** Recorders and spans. */

import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import { Crucible } from '../../src/experiment/crucible.js';
import { START_US, useBench } from './support.js';

const bench = useBench();

describe('a recorder', () => {
  it('stores what it is told, at the clock’s time', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('req_llm.request.stop', { model: 'gpt-4', provider: 'openai' });
    bench.clock.advance(5);
    recorder.record(12.5, 0.25, 100, 20, true);
    const [row] = await experiment.query();
    expect(row).toMatchObject({
      eventName: 'req_llm.request.stop',
      timestamp: START_US + 5000,
      latencyMs: 12.5,
      costUsd: 0.25,
      costSource: 'event',
      tokens: { prompt: 100, completion: 20, total: 120 },
      success: true,
      model: 'gpt-4',
      provider: 'openai',
      metadata: { model: 'gpt-4', provider: 'openai' },
      measurements: {},
      malformed: false,
    });
  });

  it('stores the event’s own time with recordAt', async () => {
    const experiment = bench.start();
    experiment.recorder('e').recordAt(1_600_000_000_000_001, 1);
    expect((await experiment.query())[0]?.timestamp).toBe(1_600_000_000_000_001);
  });

  it('leaves out what is left out: NaN, -1, null or nothing', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    recorder.record(Number.NaN);
    recorder.record(Number.NaN, Number.NaN, -1, -1, null);
    recorder.recordAt(START_US, Number.NaN, undefined, undefined, undefined, undefined);
    for (const row of await experiment.query()) {
      expect(row).toMatchObject({
        latencyMs: null,
        costUsd: null,
        costSource: null,
        tokens: null,
        success: null,
      });
      expect(row.malformed).toBe(false);
    }
    expect(await experiment.metrics()).toMatchObject({
      latency: { count: 0 },
      cost: { count: 0 },
      tokens: { count: 0 },
    });
  });

  it.each([
    [true, true],
    [false, false],
    [null, null],
    [undefined, null],
  ])('keeps a success of %s as %s', async (success, expected) => {
    const experiment = bench.start();
    experiment.recorder('e').record(1, 1, 1, 1, success);
    expect((await experiment.query())[0]?.success).toBe(expected);
  });

  it('adds its bound columns to every row it records, and to no other', async () => {
    const experiment = bench.start();
    experiment.recorder('e', { sessionId: 's-1', model: 'm', arm: { deep: [1] } }).record(1);
    experiment.recorder('e').record(2);
    experiment.capture('e', { latencyMs: 3 });
    const rows = await experiment.query();
    expect(rows.map(({ metadata }) => metadata)).toEqual([
      { model: 'm', sessionId: 's-1', arm: { deep: [1] } },
      {},
      {},
    ]);
    expect(rows[0]).toMatchObject({ sessionId: 's-1', model: 'm' });
    expect(await experiment.query({ sessionId: 's-1' })).toHaveLength(1);
  });

  it('shares its row storage with captures: order is order of capture', async () => {
    const experiment = bench.start();
    const [a, b] = [experiment.recorder('a'), experiment.recorder('b')];
    for (let i = 0; i < 1000; i++) {
      if (i % 3 === 0) a.record(i);
      else if (i % 3 === 1) b.record(i);
      else experiment.capture('c', { latencyMs: i }, { i });
    }
    const rows = await experiment.query();
    expect(rows.map(({ latencyMs }) => latencyMs)).toEqual([...Array(1000).keys()]);
    expect(rows.every(({ sequence }, i) => i === 0 || sequence > rows[i - 1]!.sequence)).toBe(true);
  });

  it('counts infinite values as malformed, and they enter no statistic', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    recorder.record(Number.POSITIVE_INFINITY, 1);
    recorder.record(5, Number.NEGATIVE_INFINITY);
    recorder.record(7, 3);
    const metrics = await experiment.metrics();
    expect(metrics.latency).toMatchObject({ count: 2, mean: 6 });
    expect(metrics.cost).toMatchObject({ count: 2, total: 4 });
    expect(experiment.streamingMetrics()).toMatchObject({
      latency: { count: 2, mean: 6 },
      cost: { count: 2, sum: 4 },
    });
    expect(experiment.counts).toMatchObject({ captured: 3, malformed: 2 });
    expect((await experiment.query()).map(({ malformed }) => malformed)).toEqual([true, true, false]);
  });

  it('counts by key what it was given that is no number, as its rows tell it', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 1000; i++) recorder.record(i % 10 === 0 ? Number.POSITIVE_INFINITY : i);
    recorder.record(1, Number.NEGATIVE_INFINITY);
    recorder.record(Number.NaN, Number.NaN);
    recorder.recordAt(Number.NaN, 5);
    experiment.capture('captured', { durationMs: 'long' });
    recorder.record(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    const { malformed, malformedKeys } = experiment.counts;
    expect(malformedKeys).toEqual({
      latencyMs: 101,
      costUsd: 2,
      'measurements.durationMs': 1,
      timestamp: 1,
    });
    const rows = await experiment.query();
    expect(rows.filter((row) => row.malformed)).toHaveLength(malformed);
    const told = rows.flatMap((row) => row.malformedKeys);
    for (const [key, events] of Object.entries(malformedKeys))
      expect(told.filter((each) => each === key)).toHaveLength(events);
  });

  it.each<[string, unknown, unknown]>([
    ['event', '', {}],
    ['event', 5, {}],
    ['bound', 'e', null],
    ['bound', 'e', 'model'],
    ['bound.model', 'e', { model: 5 }],
    ['bound.provider', 'e', { provider: {} }],
    ['bound', 'e', { big: 10n }],
  ])('refuses a bad %s: %s', (path, event, bound) => {
    const make = () => bench.start().recorder(event as string, bound as Record<string, unknown>);
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(`${path}: expected`);
  });
});

describe('a span', () => {
  it('records the time from start to stop, as a success unless told otherwise', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('work', { model: 'm' });
    const first = recorder.start();
    bench.clock.advance(40);
    const second = recorder.start();
    bench.clock.advance(2);
    first.stop({ costUsd: 0.5, promptTokens: 10, completionTokens: 3 });
    second.stop({ success: null });
    const third = recorder.start();
    third.stop({ success: false });
    expect(await experiment.query()).toMatchObject([
      { latencyMs: 42, costUsd: 0.5, tokens: { prompt: 10, completion: 3 }, success: true, model: 'm' },
      { latencyMs: 2, costUsd: null, tokens: null, success: null },
      { latencyMs: 0, success: false },
    ]);
  });

  it('counts only its first end', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('work');
    const [a, b] = [recorder.start(), recorder.start()];
    a.stop();
    a.stop({ costUsd: 9 });
    a.fail(new Error('late'));
    b.fail(new Error('first'));
    b.stop();
    b.fail(new Error('second'));
    const rows = await experiment.query();
    expect(rows.map(({ success }) => success)).toEqual([true, false]);
    expect(rows[1]?.metadata.error).toEqual({ name: 'Error', message: 'first' });
  });

  it('keeps a failure’s error, its time and what is bound', async () => {
    const experiment = bench.start();
    const span = experiment.recorder('work', { model: 'm', sessionId: 's' }).start();
    bench.clock.advance(7);
    span.fail(Object.assign(new TypeError('boom'), { code: 'E42' }));
    expect(await experiment.query()).toMatchObject([
      {
        eventName: 'work',
        latencyMs: 7,
        success: false,
        model: 'm',
        sessionId: 's',
        metadata: { model: 'm', sessionId: 's', error: { name: 'TypeError', message: 'boom', code: 'E42' } },
      },
    ]);
  });

  it.each<[string, unknown, unknown]>([
    ['text', 'timeout', 'timeout'],
    ['nothing', undefined, true],
    ['null', null, true],
    ['an object', { code: 5 }, { code: 5 }],
    ['an empty text', '', ''],
    ['the number 0', 0, 0],
    ['false', false, false],
  ])('that fails with %s has failed', async (_, error, kept) => {
    const experiment = bench.start();
    experiment.recorder('work').start().fail(error);
    expect(await experiment.query()).toMatchObject([{ success: false, metadata: { error: kept } }]);
  });

  it('has no negative duration on a clock that runs backwards, and none on one that stands', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('work');
    const [back, frozen, failed] = [recorder.start(), recorder.start(), recorder.start()];
    frozen.stop();
    bench.clock.advance(-1000);
    back.stop();
    failed.fail('x');
    const rows = await experiment.query();
    expect(rows.map(({ latencyMs }) => latencyMs)).toEqual([0, 0, 0]);
  });
});

describe('the order of events', () => {
  it('is kept by their sequence on a clock that is frozen or runs backwards', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 3000; i++) {
      if (i >= 1000) bench.clock.advance(-1);
      if (i % 2 === 0) recorder.record(i);
      else experiment.capture('e', { latencyMs: i });
    }
    const rows = await experiment.query();
    expect(rows.every(({ timestamp }, i) => i === 0 || timestamp >= rows[i - 1]!.timestamp)).toBe(true);
    rows.sort((a, b) => a.sequence - b.sequence);
    expect(rows.map(({ latencyMs }) => latencyMs)).toEqual([...Array(3000).keys()]);
    expect(new Set(rows.map(({ sequence }) => sequence)).size).toBe(3000);
  });

  it('of events at the same time is order of capture', async () => {
    const experiment = bench.start();
    for (let i = 0; i < 50; i++) experiment.captureAt(START_US + (i % 2), 'e', { latencyMs: i });
    const order = (await experiment.query()).map(({ latencyMs }) => latencyMs as number);
    expect(order).toEqual(
      [...Array(25).keys()].map((i) => 2 * i).concat([...Array(25).keys()].map((i) => 2 * i + 1)),
    );
  });
});

describe('on the system’s clock', () => {
  it('times lie between before and after, and never decrease', async () => {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'real', capacity: 4096 });
    const before = Date.now() * 1000;
    const recorder = experiment.recorder('e');
    const span = recorder.start();
    for (let i = 0; i < 500; i++) {
      recorder.record(1);
      experiment.capture('e', {});
    }
    span.stop();
    const after = (Date.now() + 1) * 1000;
    const rows = await experiment.query();
    expect(rows).toHaveLength(1001);
    // The wall clock may have been stepped since the process began; a second allows for its slewing.
    expect(rows[0]!.timestamp).toBeGreaterThan(before - 1e6);
    expect(rows.at(-1)!.timestamp).toBeLessThan(after + 1e6);
    expect(rows.every(({ sequence }, i) => i === 0 || sequence > rows[i - 1]!.sequence)).toBe(true);
    expect(rows.every(({ timestamp }) => Number.isSafeInteger(timestamp))).toBe(true);
    expect(rows.at(-1)!.latencyMs).toBeGreaterThanOrEqual(0);
  });
});
