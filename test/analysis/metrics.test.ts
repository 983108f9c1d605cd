/** What the retained events add up to, in batch and while they stream. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { START_US, useBench } from '../capture/support.js';

const bench = useBench();

describe('metrics', () => {
  it('of nothing are counts of 0, not NaN', async () => {
    const experiment = bench.start();
    expect(await experiment.metrics()).toEqual({
      summary: {
        totalEvents: 0,
        timeRange: { start: null, end: null },
        durationSeconds: 0,
        eventTypes: {},
        wallClockSeconds: 0,
        activeSeconds: 0,
        pausedSeconds: 0,
      },
      latency: { count: 0 },
      cost: { count: 0, total: 0 },
      reliability: { totalRequests: 0, decidedRequests: 0, successful: 0, failed: 0, successRate: null },
      tokens: { count: 0 },
      events: {},
    });
    expect(experiment.streamingMetrics()).toMatchObject({
      count: 0,
      latency: { count: 0, sum: 0, mean: null, stdDev: null, min: null, max: null, p50: null },
      reliability: { totalRequests: 0, decidedRequests: 0, successRate: null },
      tokens: { count: 0 },
      eventCounts: {},
      byEvent: {},
    });
  });

  it('of one event have a mean and no standard deviation of a sample', async () => {
    const experiment = bench.start();
    experiment.capture('e', { latencyMs: 5, cost: 2, status: 'ok' });
    const { summary, latency, cost, reliability } = await experiment.metrics();
    expect(summary).toMatchObject({ durationSeconds: 0, timeRange: { start: START_US, end: START_US } });
    expect(latency).toEqual({
      count: 1,
      mean: 5,
      median: 5,
      stdDev: null,
      stdDevPopulation: 0,
      min: 5,
      max: 5,
      p50: 5,
      p90: 5,
      p95: 5,
      p99: 5,
      p999: 5,
    });
    expect(cost).toEqual({
      total: 2,
      count: 1,
      meanPerRequest: 2,
      medianPerRequest: 2,
      costPer1kRequests: 2000,
      costPer1mRequests: 2_000_000,
    });
    expect(reliability).toMatchObject({
      successRate: 1,
      failureRate: 0,
      sla99: true,
      sla999: true,
      sla9999: true,
    });
  });

  it('interpolate percentiles linearly at p·(n − 1)', async () => {
    const experiment = bench.start();
    for (const latencyMs of [40, 10, 30, 20]) experiment.capture('e', { latencyMs });
    const { latency } = await experiment.metrics();
    expect(latency).toMatchObject({ median: 25, p50: 25, mean: 25, min: 10, max: 40 });
    const quantiles = latency as { p90: number; p99: number; stdDev: number; stdDevPopulation: number };
    expect(quantiles.p90).toBeCloseTo(37, 12);
    expect(quantiles.p99).toBeCloseTo(39.7, 12);
    expect(quantiles.stdDev).toBeCloseTo(Math.sqrt(500 / 3), 12);
    expect(quantiles.stdDevPopulation).toBeCloseTo(Math.sqrt(125), 12);
  });

  it.each([
    [98, 2, [false, false, false]],
    [99, 1, [true, false, false]],
    [999, 1, [true, true, false]],
    [9999, 1, [true, true, true]],
  ])('of %d successes and %d failures meet the service levels %j', async (successes, failures, levels) => {
    const experiment = bench.start({ capacity: 16_384 });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < successes + failures; i++) recorder.record(1, Number.NaN, -1, -1, i < successes);
    for (let i = 0; i < 5; i++) recorder.record(1);
    for (const { reliability } of [await experiment.metrics(), experiment.streamingMetrics()]) {
      expect(reliability).toMatchObject({
        totalRequests: successes + failures + 5,
        decidedRequests: successes + failures,
        successful: successes,
        failed: failures,
        sla99: levels[0],
        sla999: levels[1],
        sla9999: levels[2],
      });
    }
  });

  it('give costs per request over the events that have one', async () => {
    const experiment = bench.start();
    for (const cost of [0, 1, 5]) experiment.capture('e', { cost });
    experiment.capture('e', {});
    expect((await experiment.metrics()).cost).toMatchObject({
      total: 6,
      count: 3,
      meanPerRequest: 2,
      medianPerRequest: 1,
      costPer1kRequests: 2000,
    });
  });

  it('name every event, whatever its name', async () => {
    const experiment = bench.start();
    for (const event of ['b', '__proto__', 'a', 'constructor', 'b']) experiment.capture(event, {});
    const { summary, events } = await experiment.metrics();
    expect(Object.entries(summary.eventTypes)).toEqual([
      ['__proto__', 1],
      ['a', 1],
      ['b', 2],
      ['constructor', 1],
    ]);
    expect(Object.entries(events).map(([name, { count }]) => [name, count])).toEqual(
      Object.entries(summary.eventTypes),
    );
    expect(Object.entries(experiment.streamingMetrics().eventCounts)).toEqual(
      Object.entries(summary.eventTypes),
    );
  });
});

describe('streaming metrics', () => {
  it('say of each recorder and each event what they say of all', () => {
    const experiment = bench.start();
    experiment.recorder('e', { model: 'm1' }).record(10, 1, 5, 5, true);
    experiment.recorder('e', { model: 'm2', arm: 'x' }).record(20, 3, 5, 5, false);
    experiment.recorder('f').record(60);
    const streaming = experiment.streamingMetrics();
    expect(streaming).toMatchObject({
      count: 3,
      latency: { count: 3, sum: 90, mean: 30, min: 10, max: 60 },
      cost: { count: 2, total: 4, meanPerRequest: 2, costPer1kRequests: 2000, costPer1mRequests: 2_000_000 },
      tokens: { count: 2, total: 20, meanTotal: 10 },
      eventCounts: { e: 2, f: 1 },
      byEvent: { e: { count: 2, latency: { mean: 15 } }, f: { count: 1, latency: { mean: 60 } } },
    });
    expect(streaming.recorders).toMatchObject([
      { event: 'e', model: 'm1', provider: null, bound: {}, count: 1, latency: { mean: 10 } },
      { event: 'e', model: 'm2', bound: { arm: 'x' }, count: 1, latency: { mean: 20 } },
      { event: 'f', model: null, count: 1 },
    ]);
  });

  it('keep what the ring has overwritten', () => {
    const experiment = bench.start({ capacity: 1024 });
    const recorder = experiment.recorder('e');
    for (let i = 1; i <= 10_000; i++) recorder.record(i);
    expect(experiment.streamingMetrics()).toMatchObject({
      count: 10_000,
      latency: { count: 10_000, sum: 50_005_000, mean: 5000.5, min: 1, max: 10_000 },
    });
  });

  it('agree with the batch: moments exactly, quantiles within 1 %', async () => {
    const crucible = bench.crucible();
    const value = fc.double({ min: 1e-3, max: 1e6, noNaN: true });
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 2, maxLength: 400 }), async (latencies) => {
        const experiment = crucible.startExperiment({ name: 's', capacity: 1024, producers: 1 });
        const recorder = experiment.recorder('e');
        for (const [i, latency] of latencies.entries())
          recorder.record(latency, latency / 7, i, 1, i % 3 !== 0);
        const { latency, cost, reliability, tokens } = experiment.streamingMetrics();
        const batch = await experiment.metrics();
        if (!('mean' in batch.latency) || !('meanPerRequest' in batch.cost)) throw new Error('no values');
        const near = (a: number | null | undefined, b: number | null | undefined) =>
          expect(Math.abs((a as number) - (b as number))).toBeLessThanOrEqual(
            1e-9 * Math.abs(b as number) + 1e-9,
          );
        expect(latency).toMatchObject({
          count: latencies.length,
          min: batch.latency.min,
          max: batch.latency.max,
        });
        near(latency.mean, batch.latency.mean);
        near(latency.stdDev, batch.latency.stdDev);
        near(cost.total, batch.cost.total);
        near(cost.costPer1kRequests, batch.cost.costPer1kRequests);
        expect(reliability).toEqual(batch.reliability);
        expect(tokens).toEqual(batch.tokens);
        const sorted = Float64Array.from(latencies).sort();
        for (const [p, estimate] of [
          [0.5, latency.p50],
          [0.9, latency.p90],
          [0.99, latency.p99],
          [0.999, latency.p999],
        ] as const) {
          // Between two order statistics either neighbour may be meant.
          const at = p * (sorted.length - 1);
          expect(estimate).toBeGreaterThanOrEqual(sorted[Math.floor(at)]! * 0.99);
          expect(estimate).toBeLessThanOrEqual(sorted[Math.ceil(at)]! * 1.01);
        }
        await experiment.cleanup();
      }),
      { numRuns: 40 },
    );
  });

  it.each([1e155, 1e300, -1e200, Number.MAX_VALUE])('survive a latency of %s', (extreme) => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    recorder.record(extreme);
    recorder.record(5);
    recorder.record(extreme);
    expect(() => experiment.streamingMetrics()).not.toThrow();
    expect(experiment.streamingMetrics().count).toBe(3);
  });

  it('and batch metrics never say NaN or Infinity', async () => {
    const experiment = bench.start();
    for (let i = 0; i < 3; i++) experiment.capture('e', { latencyMs: 1e308, cost: -1e308 });
    experiment.capture('e', { latencyMs: -1.7e308, cost: 1.7e308 });
    const check = (value: unknown): void => {
      if (typeof value === 'number') expect(Number.isFinite(value)).toBe(true);
      else if (typeof value === 'object' && value !== null)
        for (const inner of Object.values(value)) check(inner);
    };
    check(await experiment.metrics());
    check(experiment.streamingMetrics());
  });
});
