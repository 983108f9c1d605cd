/** What a comparison works on, gathered from experiments. */

import { describe, expect, it } from 'vitest';
import { type GatherOptions, gatherArm } from '../../src/analysis/arm-samples.js';
import type { SampledValues } from '../../src/analysis/compare/samples.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import { kernelsOfThread } from '../../src/kernels/kernels.js';
import { useBench } from '../capture/support.js';
import { expectRelative } from '../support/numeric.js';
import { viewOfExperiment } from '../support/views.js';
import { heldBytes } from './compare/support.js';

const bench = useBench();
const gather = (experiment: Experiment, options: Partial<GatherOptions> = {}) =>
  gatherArm(
    viewOfExperiment(experiment),
    experiment.times,
    { withSampleIds: true, seed: 1, arm: 0, ...options },
    kernelsOfThread(),
  );

describe('the samples of an arm', () => {
  it('are the values of its events, whichever way those came', async () => {
    const experiment = bench.start({ name: 'arm', condition: 'b' });
    const recorder = experiment.recorder('r', { model: 'm' });
    recorder.recordAt(2_000_000, 12, 0.5, 10, 5, true);
    recorder.recordAt(1_000_000, 11);
    experiment.captureAt(3_000_000, 'c', { latencyMs: 13 }, { cost: 0.25, status: 'error' });
    experiment.captureAt(4_000_000, 'c', {}, { tokens: { prompt: 3, completion: 4, total: 100 } });
    const samples = await gather(experiment);
    expect(samples).toMatchObject({
      id: experiment.id,
      name: 'arm',
      condition: 'b',
      successes: 1,
      decided: 2,
      timeRange: [1_000_000, 4_000_000],
      events: 4,
    });
    expect([...(samples.latencyMs as Float64Array)].sort()).toEqual([11, 12, 13]);
    expect([...(samples.costUsd as Float64Array)].sort()).toEqual([0.25, 0.5]);
    expect([...(samples.tokens as Float64Array)].sort()).toEqual([100, 15]);
    const metrics = await experiment.metrics();
    expect(samples.metrics).toEqual(metrics);
    expect(structuredClone(samples)).toEqual(samples);
  });

  it('of an arm without events are empty', async () => {
    const samples = await gather(bench.start());
    expect(samples).toMatchObject({ events: 0, decided: 0, successes: 0, timeRange: null });
    expect(samples.latencyMs).toHaveLength(0);
    expect(samples.bySampleId).toMatchObject({ ids: [], events: 0 });
  });

  it('by sampleId are the means of latency and success, and the sums of cost and tokens, of each sample', async () => {
    const experiment = bench.start();
    experiment.capture('e', { latencyMs: 10 }, { sampleId: 'a', cost: 1, status: 'ok' });
    experiment.capture('e', { latencyMs: 30 }, { sample_id: 'a', cost: 0.5, status: 'error' });
    experiment.capture('e', {}, { sampleId: 7, tokens: { prompt: 1, completion: 2 } });
    experiment.capture('e', { latencyMs: 50 }, { sampleId: '7' });
    experiment.capture('e', { latencyMs: 999 });
    experiment.recorder('r', { sampleId: 'bound' }).record(70);
    const { bySampleId } = await gather(experiment);
    expect(bySampleId).toEqual({
      ids: ['a', '7', 'bound'],
      latencyMs: Float64Array.of(20, 50, 70),
      costUsd: Float64Array.of(1.5, Number.NaN, Number.NaN),
      tokens: Float64Array.of(Number.NaN, 3, Number.NaN),
      successRate: Float64Array.of(0.5, Number.NaN, Number.NaN),
      events: 5,
    });
    expect((await gather(experiment, { withSampleIds: false })).bySampleId).toBeUndefined();
  });

  it('find a sampleId in a declared column', async () => {
    const experiment = bench.start({ columns: { sampleId: 'u32' } });
    experiment.capture('e', { latencyMs: 10 }, { sampleId: 3 });
    experiment.recorder('r', { sampleId: 4 }).record(20);
    const { bySampleId } = await gather(experiment);
    expect(bySampleId).toMatchObject({ ids: ['3', '4'], latencyMs: Float64Array.of(10, 20), events: 2 });
  });
});

describe('the samples of a large arm', () => {
  const large = () => {
    const experiment = bench.start();
    for (let i = 0; i < 1000; i++) {
      experiment.capture(
        'e',
        { latencyMs: i, cost: i / 1000 },
        { sampleId: i % 50, tokens: { prompt: i, completion: 1 } },
      );
    }
    return experiment;
  };

  it('are a random sample with the moments of all, drawn anew for every measure, arm and seed', async () => {
    const experiment = large();
    const all = await gather(experiment);
    const some = await gather(experiment, { keptMax: 40 });
    for (const measure of ['latencyMs', 'costUsd', 'tokens'] as const) {
      const { sample, ...known } = some[measure] as SampledValues;
      const values = all[measure] as Float64Array;
      expect(sample).toHaveLength(40);
      expect(new Set(sample).size).toBe(40);
      expect(sample.every((value) => values.includes(value))).toBe(true);
      expect(known.n).toBe(1000);
      expectRelative(known.mean, values.reduce((sum, value) => sum + value, 0) / 1000, 1e-13);
    }
    expect(some.metrics).toEqual(all.metrics);
    expect(await gather(experiment, { keptMax: 40 })).toEqual(some);
    expect(structuredClone(some)).toEqual(some);
    const samples = [
      (some.latencyMs as SampledValues).sample,
      (some.costUsd as SampledValues).sample.map((value) => Math.round(1000 * value)),
      (some.tokens as SampledValues).sample.map((value) => value - 1),
      ...(
        await Promise.all(
          [{ arm: 1 }, { seed: 2 }].map((other) => gather(experiment, { keptMax: 40, ...other })),
        )
      ).map(({ latencyMs }) => (latencyMs as SampledValues).sample),
    ];
    expect(new Set(samples.map((sample) => sample.join())).size).toBe(samples.length);
  });

  it('hold no more than the options allow', async () => {
    const { metrics: _, ...held } = await gather(large(), { keptMax: 40, idsMax: 10 });
    expect(heldBytes(held)).toBeLessThanOrEqual(8 * (3 * 40 + 2));
  });

  it('are not kept by sampleId where those are too many', async () => {
    const experiment = large();
    expect((await gather(experiment, { idsMax: 50 })).bySampleId).toMatchObject({ events: 1000 });
    // The 50th id comes with the 50th event.
    expect((await gather(experiment, { idsMax: 49 })).bySampleId).toEqual({
      ids: null,
      idsMax: 49,
      events: 49,
    });
  });
});

describe('a comparison of experiments', () => {
  it('pairs what `run` gave one sampleId', async () => {
    const crucible = bench.crucible();
    const [old, now] = [bench.start({ name: 'old' }), bench.start({ name: 'new' })];
    for (let i = 0; i < 40; i++) {
      const difficulty = 100 + 10 * i;
      old.run(() => old.capture('e', { latencyMs: difficulty + (i % 3) }, { sampleId: i }));
      now.run(() => now.capture('e', { latencyMs: difficulty - 5 + (i % 2) }, { sampleId: `${i}` }));
    }
    const [treatment] = (await crucible.compare([old, now])).treatments;
    expect(treatment!.pairing).toMatchObject({ used: true, pairs: 40 });
    expect(treatment!.metrics.latencyMean).toMatchObject({ significant: true, direction: 'better' });
    const [plain] = (await crucible.compare([old, now], { paired: false })).treatments;
    expect(plain!.metrics.latencyMean).toMatchObject({ significant: false });
  });

  it('applies the filter to everything it works on', async () => {
    const crucible = bench.crucible();
    const arms = [bench.start(), bench.start()];
    for (const arm of arms) {
      for (let i = 0; i < 10; i++) {
        arm.capture('asked', { latencyMs: i }, { status: 'ok' });
        arm.capture('other', { latencyMs: 1000 + i }, { status: 'error' });
      }
    }
    const { metrics } = (await crucible.compare(arms, { filter: { eventName: 'asked' } })).treatments[0]!;
    expect(metrics.latencyMean!.baseline).toMatchObject({ n: 10, estimate: 4.5 });
    expect(metrics.successRate!.baseline).toMatchObject({ n: 10, estimate: 1 });
  });
});
