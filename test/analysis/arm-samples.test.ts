/** What a comparison works on, gathered from experiments. */

import { describe, expect, it } from 'vitest';
import type { GatherOptions } from '../../src/analysis/arm-samples.js';
import type { Experiment } from '../../src/capture/experiment.js';
import { useBench } from '../capture/support.js';

const bench = useBench();
const gather = (experiment: Experiment, options: Partial<GatherOptions> = {}) =>
  experiment.armSamples(undefined, { withSampleIds: true, seed: 1, arm: 0, ...options });

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

  it('by sampleId are the means of what each sample’s events have', async () => {
    const experiment = bench.start();
    experiment.capture('e', { latencyMs: 10 }, { sampleId: 'a', cost: 1, status: 'ok' });
    experiment.capture('e', { latencyMs: 30 }, { sample_id: 'a', status: 'error' });
    experiment.capture('e', {}, { sampleId: 7, tokens: { prompt: 1, completion: 2 } });
    experiment.capture('e', { latencyMs: 50 }, { sampleId: '7' });
    experiment.capture('e', { latencyMs: 999 });
    experiment.recorder('r', { sampleId: 'bound' }).record(70);
    const { bySampleId } = await gather(experiment);
    expect(bySampleId).toEqual({
      ids: ['a', '7', 'bound'],
      latencyMs: Float64Array.of(20, 50, 70),
      costUsd: Float64Array.of(1, Number.NaN, Number.NaN),
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
