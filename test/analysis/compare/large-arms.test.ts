/** Arms with more values than are kept: what stays exact, what rests on a sample, and that it says so. */

import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import type { ArmSamples, UnkeptSamples } from '../../../src/analysis/compare/samples.js';
import { GatheredValues } from '../../../src/analysis/gathered-values.js';
import type { CompareOptions } from '../../../src/analysis/types.js';
import { describe as describeSample } from '../../../src/stats/describe.js';
import { welchTTest } from '../../../src/stats/t-tests.js';
import { expectInterval, expectRelative } from '../../support/numeric.js';
import { type ArmSpec, armOf, logNormal } from './support.js';

const SEED = 20_261_123;
const MEASURES = ['latencyMs', 'costUsd', 'tokens'] as const;

/** The arm as it is gathered where so many values are kept; its metrics are of all values. */
function keeping(keptMax: number, name: string, spec: ArmSpec, seed = SEED): ArmSamples {
  const whole = armOf(name, spec);
  const measures = MEASURES.map((measure, i) => {
    const gathered = new GatheredValues(seed + 1000 * i, keptMax);
    for (const value of whole[measure] as Float64Array) gathered.push(value);
    return [measure, gathered.result()];
  });
  return { ...whole, ...Object.fromEntries(measures) };
}

const N = 20_000;
const KEPT = 2_000;
const specOf = (factor: number, seed: number, n = N): ArmSpec => ({
  latencyMs: logNormal(n, 100 * factor, seed),
  costUsd: logNormal(n, 0.002 * factor, seed + 1),
  tokens: logNormal(n, 500 * factor, seed + 2).map(Math.round),
  successes: 0.9 * n,
  decided: n,
});
const specs = [specOf(1, SEED), specOf(1.05, SEED + 10)] as const;

function compared(keptMax: number, options?: CompareOptions) {
  const arms = [keeping(keptMax, 'old', specs[0], SEED), keeping(keptMax, 'new', specs[1], SEED + 1)];
  return compareArms(arms, options).treatments[0]!;
}

describe('a comparison of arms with more values than are kept', () => {
  const all = compared(N);
  const some = compared(KEPT);
  const of = (n: number, name: string) => `2,000 of ${n.toLocaleString('en-US')} values of the ${name}`;
  const text = `on a random sample of ${of(N, 'baseline')} and ${of(N, 'treatment')}, seed 1`;

  it('is exact as long as all are kept', () => {
    const plain = compareArms([armOf('old', specs[0]), armOf('new', specs[1])]).treatments[0]!;
    expect(all).toEqual(plain);
    expect(JSON.stringify(all)).not.toContain('random sample');
  });

  it.each(['latencyMean', 'costMean', 'tokensMean'] as const)('has the %s of all values', (metric) => {
    const [found, exact] = [some.metrics[metric]!, all.metrics[metric]!];
    for (const side of ['baseline', 'treatment'] as const) {
      expect(found[side].n).toBe(N);
      expectRelative(found[side].estimate, exact[side].estimate!, 1e-14);
      expectInterval(found[side].confidenceInterval, exact[side].confidenceInterval!, 1e-11);
    }
    expect(found.tests[0]!.method).toBe(exact.tests[0]!.method);
    expect(found.tests[0]!.sampled).toBeUndefined();
    expectRelative(found.pValue, exact.pValue!, 1e-9, 'p');
    expectRelative(found.tests[0]!.statistic, exact.tests[0]!.statistic!, 1e-11, 't');
    expectInterval(found.confidenceInterval, exact.confidenceInterval!, 1e-11);
    expectRelative(found.effectSize!.value, exact.effectSize!.value, 1e-11, 'g');
    expect(found.requiredN).toBe(exact.requiredN);
  });

  it('has the success rate of all events', () => {
    expect(some.metrics.successRate).toEqual(all.metrics.successRate);
  });

  it('ranks the sample, and says so', () => {
    for (const metric of ['latencyMean', 'costMean', 'tokensMean'] as const) {
      const [rank, exact] = [some.metrics[metric]!.tests[1]!, all.metrics[metric]!.tests[1]!];
      expect(rank.method).toBe(`${exact.method}, ${text}`);
      expect(rank.sampled).toEqual({ baseline: KEPT, treatment: KEPT });
      expect(exact.sampled).toBeUndefined();
      // Cliff's delta of m and m values without much difference has a standard deviation of √(2/3m).
      const error = Math.abs(rank.effectSize!.value - exact.effectSize!.value);
      expect(error).toBeLessThan(4 * Math.sqrt(2 / (3 * KEPT)));
      expect(error).toBeGreaterThan(0);
    }
  });

  it('has the p95 of all values, with an interval as wide as that of the sample, around it', () => {
    const [found, exact] = [some.metrics.latencyP95!, all.metrics.latencyP95!];
    const width = (interval: readonly [number, number] | null) => interval![1] - interval![0];
    for (const side of ['baseline', 'treatment'] as const) {
      expect(found[side].n).toBe(N);
      expectRelative(found[side].estimate, exact[side].estimate!, 1e-12);
      const [low, high] = found[side].confidenceInterval!;
      expect(low).toBeLessThan(found[side].estimate!);
      expect(high).toBeGreaterThan(found[side].estimate!);
    }
    expectRelative(found.difference, exact.difference!, 1e-9);
    const ratio = width(found.confidenceInterval) / width(exact.confidenceInterval);
    expect(ratio).toBeGreaterThan(0.7 * Math.sqrt(N / KEPT));
    expect(ratio).toBeLessThan(1.4 * Math.sqrt(N / KEPT));
    expect(found.pValue).toBeGreaterThanOrEqual(exact.pValue!);
    expect(found.intervalMethod).toBe(`${exact.intervalMethod}, ${text}`);
    expect(found.tests[0]).toMatchObject({
      method: found.intervalMethod,
      sampled: { baseline: KEPT, treatment: KEPT },
    });
    expect(found.assumptions.at(-1)).toContain('conservative');
    // An estimate of the same number, from fewer values.
    expect(found.requiredN! / exact.requiredN!).toBeGreaterThan(0.4);
    expect(found.requiredN! / exact.requiredN!).toBeLessThan(2.5);
  });

  it('warns once', () => {
    const warnings = some.warnings.filter(({ code }) => code === 'sampledValues');
    expect(warnings).toHaveLength(1);
    const both = '2,000 of 20,000 of old and 2,000 of 20,000 of new';
    expect(warnings[0]!.message).toContain(
      `a random sample of latencies (${both}), costs (${both}) and tokens (${both})`,
    );
    expect(all.warnings.map(({ code }) => code)).not.toContain('sampledValues');
  });

  it('names the arm that is sampled where the other is not', () => {
    const arms = [armOf('old', specOf(1, SEED, 500)), keeping(KEPT, 'new', specs[1])];
    const options = { metrics: ['latencyMean'], seed: 7, expectedRatio: [1, 40] } as const;
    const { metrics, warnings } = compareArms(arms, options).treatments[0]!;
    const [welch, rank] = metrics.latencyMean!.tests;
    expect(welch!.method).not.toContain('sample of');
    expect(rank!.method).toContain(`, on a random sample of ${of(N, 'treatment')}, seed 7`);
    expect(rank!.sampled).toEqual({ baseline: 500, treatment: KEPT });
    expect(warnings).toContainEqual({
      code: 'sampledValues',
      message: expect.stringContaining('sample of latencies (2,000 of 20,000 of new); means'),
    });
  });

  it('needs no sample in the sequential mode, and does not warn of one', () => {
    const watched = compared(KEPT, { sequential: true });
    expect(JSON.stringify(watched)).not.toContain('random sample');
    const exact = compared(N, { sequential: true });
    expect(watched.metrics.latencyP95).toMatchObject({
      pValue: null,
      reason: expect.stringContaining('more than are held'),
    });
    expectRelative(watched.metrics.latencyMean!.pValue, exact.metrics.latencyMean!.pValue!, 1e-9);
  });

  it('is the same for the same samples and seed', () => {
    expect(compared(KEPT)).toEqual(some);
    expect(compared(KEPT, { seed: 2 })).not.toEqual(some);
  });

  it('sees a tail that the sample has missed', () => {
    const latencyMs = logNormal(N, 100, SEED);
    latencyMs[N - 1] = 1e9;
    const arms = [keeping(KEPT, 'old', specs[0]), keeping(KEPT, 'new', { latencyMs })];
    const { sample } = arms[1]!.latencyMs as { sample: Float64Array };
    expect(sample.includes(1e9)).toBe(false);
    const { warnings } = compareArms(arms, { metrics: ['latencyMean'] }).treatments[0]!;
    expect(warnings).toContainEqual({
      code: 'heavyTail',
      message: expect.stringMatching(
        /latencies of new .*and there are 20000; the largest is 100 % of their sum/,
      ),
    });
  });

  it('tells ties of the sample as such', () => {
    const latencyMs = Float64Array.from({ length: N }, (_, i) => (i % 3 === 0 ? i : 5));
    const arms = [keeping(KEPT, 'old', specs[0]), keeping(KEPT, 'new', { latencyMs })];
    const { warnings } = compareArms(arms, { metrics: ['latencyMean'] }).treatments[0]!;
    expect(warnings).toContainEqual({
      code: 'manyTies',
      message: expect.stringMatching(
        /^1[234]\d\d of the 2000 latencies of new in the random sample are one value$/,
      ),
    });
  });
});

describe('what rests on a sample', () => {
  it('errs no more often than it says where there is no difference', () => {
    let covered = 0;
    let rejected = 0;
    const runs = 200;
    for (let run = 0; run < runs; run++) {
      const arms = [0, 1].map((arm) =>
        keeping(300, `${arm}`, { latencyMs: logNormal(1200, 100, SEED + 2 * run + arm) }, 2 * run + arm),
      );
      const { metrics } = compareArms(arms, {
        metrics: ['latencyMean', 'latencyP95'],
        resamples: 400,
        seed: run,
      }).treatments[0]!;
      const [low, high] = metrics.latencyP95!.confidenceInterval!;
      if (low <= 0 && high >= 0) covered++;
      if (metrics.latencyMean!.tests[1]!.pValue! <= 0.05) rejected++;
    }
    // The interval is twice as wide as it need be; the rank test is as exact as any, at 10 of 200 with a deviation of 3.
    expect(covered).toBeGreaterThanOrEqual(198);
    expect(rejected).toBeLessThanOrEqual(19);
    expect(rejected).toBeGreaterThan(0);
  });

  it('finds a difference that is there', () => {
    const arms = [1, 1.5].map((factor, arm) =>
      keeping(500, `${arm}`, { latencyMs: logNormal(5000, 100 * factor, SEED + arm) }, arm),
    );
    const { latencyMean, latencyP95 } = compareArms(arms).treatments[0]!.metrics;
    expect(latencyMean!.tests[1]!.pValue).toBeLessThan(1e-6);
    expect(latencyP95).toMatchObject({ significant: true, direction: 'worse' });
  });

  it('would not pass for exact: a mean of the sample alone is off by far more', () => {
    const { sample } = keeping(KEPT, 'old', specs[0]).latencyMs as { sample: Float64Array };
    const exact = describeSample(specs[0].latencyMs!);
    expect(Math.abs(describeSample(sample).mean! - exact.mean!) / exact.mean!).toBeGreaterThan(1e-6);
    const welch = welchTTest(specs[1].latencyMs!, specs[0].latencyMs!);
    const alone = welchTTest(specs[1].latencyMs!, sample);
    expect(Math.abs(alone.statistic! - welch.statistic!)).toBeGreaterThan(1e-3);
  });
});

describe('arms with more samples than are kept', () => {
  const unkept: UnkeptSamples = { ids: null, idsMax: 1_000_000, events: 1_500_000 };
  const arms = [
    armOf('old', { latencyMs: logNormal(500, 100, 1), bySampleId: unkept }),
    armOf('new', { latencyMs: logNormal(500, 50, 2) }),
  ];

  it('are compared without pairs, with the reason', () => {
    const { pairing, metrics, warnings } = compareArms(arms, { metrics: ['latencyMean'] }).treatments[0]!;
    expect(pairing).toMatchObject({
      used: false,
      pairs: 0,
      reason: 'old has more than 1,000,000 samples, too many to be paired',
    });
    expect(metrics.latencyMean!.baseline.n).toBe(500);
    expect(warnings).toEqual([
      {
        code: 'repeatedSamples',
        message: expect.stringContaining('old has 1.5 events per sample among its first 1,000,000'),
      },
    ]);
    const both = [arms[0]!, { ...arms[1]!, bySampleId: unkept }];
    expect(compareArms(both).treatments[0]!.pairing.reason).toContain(
      'old has more than 1,000,000 samples and new has',
    );
  });

  it('are refused where pairs were asked for', () => {
    expect(() => compareArms(arms, { paired: true })).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        message: expect.stringContaining(
          "paired: expected false or 'auto' (old has more than 1,000,000 samples",
        ),
      }),
    );
    expect(compareArms(arms, { paired: false }).treatments[0]!.pairing.reason).toBe('not asked for');
  });
});
