/** Watching an experiment while it runs: no more false alarms than alpha, however often one looks. */

import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import type { CompareOptions, MetricName } from '../../../src/analysis/types.js';
import { Welford } from '../../../src/stats/moments.js';
import { sequentialMeanTest, sequentialProportionTest } from '../../../src/stats/sequential.js';
import { sequentialQuantileTest } from '../../../src/stats/sequential-quantiles.js';
import { armOf, logNormal, trials } from './support.js';

const SEED = 9;
const METRICS: readonly MetricName[] = ['latencyMean', 'successRate'];

/** A comparison of the first n events of two arms. */
function lookAt(n: number, latencies: Float64Array[], outcomes: Float64Array[], options: CompareOptions) {
  const arms = latencies.map((values, i) => {
    const successes = outcomes[i]!.subarray(0, n).reduce((sum, ok) => sum + ok, 0);
    return armOf(`arm ${i}`, { latencyMs: values.subarray(0, n), successes, decided: n });
  });
  return compareArms(arms, { metrics: METRICS, adjust: 'none', ...options }).treatments[0]!.metrics;
}

describe('the sequential mode', () => {
  const latencies = [logNormal(800, 100, SEED), logNormal(800, 60, SEED + 1)];
  const outcomes = [trials(800, 0.7, SEED + 2), trials(800, 0.95, SEED + 3)];

  it('gives what the sequential tests give, and says that it holds at every look', () => {
    const arms = latencies.map((values, i) => {
      const successes = outcomes[i]!.reduce((sum, ok) => sum + ok, 0);
      return armOf(`arm ${i}`, { latencyMs: values, successes, decided: 800 });
    });
    const { treatments, settings } = compareArms(arms, { sequential: { tuning: 1000, alpha: 0.01 } });
    expect(settings).toMatchObject({
      alpha: 0.01,
      sequential: { tuning: 1000, validAtEveryLook: true },
    });
    const { latencyMean, latencyP95, successRate } = treatments[0]!.metrics;
    const [a, b] = latencies.map((values) => {
      const welford = new Welford();
      for (const value of values) welford.push(value);
      return welford;
    });
    const means = sequentialMeanTest(a!, b!, { tuning: 1000, alpha: 0.01 });
    expect(latencyMean!.pValue! / means.pValue!).toBeCloseTo(1, 6);
    expect(latencyMean!.confidenceInterval![0]).toBeCloseTo(means.confidenceInterval![0], 8);
    expect(latencyMean).toMatchObject({ requiredN: null, significant: true, direction: 'better' });
    const rates = sequentialProportionTest(
      { successes: arms[0]!.successes, n: 800 },
      { successes: arms[1]!.successes, n: 800 },
      { alpha: 0.01, method: 'exact', tuning: 1000 },
    );
    expect(successRate).toMatchObject({ pValue: rates.pValue, confidenceInterval: rates.confidenceInterval });
    const quantiles = sequentialQuantileTest(latencies[0]!, latencies[1]!, 0.95, {
      tuning: 1000,
      alpha: 0.01,
    });
    expect(latencyP95!.pValue).toBeCloseTo(quantiles.pValue, 12);
    expect(latencyP95!.difference).toBeCloseTo(quantiles.estimate, 9);
  });

  it('needs only summaries, which merge', () => {
    const summaries = latencies.map((values, i) => {
      const [first, second] = [new Welford(), new Welford()];
      for (const value of values.subarray(0, 300)) first.push(value);
      for (const value of values.subarray(300)) second.push(value);
      first.merge(second);
      const { n, mean, meanLow, variance } = first;
      return { ...armOf(`arm ${i}`, { events: 800 }), latencyMs: { n, mean, meanLow, variance } };
    });
    const { latencyMean } = compareArms(summaries, { sequential: true }).treatments[0]!.metrics;
    const whole = lookAt(800, latencies, outcomes, { sequential: true }).latencyMean!;
    expect(latencyMean!.pValue! / whole.pValue!).toBeCloseTo(1, 6);
    expect(latencyMean!.significant).toBe(true);
  });

  it('is silent on means before 30 observations an arm, and wider than a single look', () => {
    expect(lookAt(29, latencies, outcomes, { sequential: true }).latencyMean).toMatchObject({
      pValue: null,
      reason: 'the sequence begins at 30 observations per arm',
    });
    const width = (options: CompareOptions) => {
      const [low, high] = lookAt(800, latencies, outcomes, options).latencyMean!.confidenceInterval!;
      return high - low;
    };
    expect(width({ sequential: true })).toBeGreaterThan(1.3 * width({}));
  });

  it('has nothing of the means where the tuning asks for more', () => {
    const early = lookAt(40, latencies, outcomes, { sequential: { tuning: 10 } }).latencyMean!;
    expect(early).toMatchObject({ pValue: 1, confidenceInterval: null });
    expect(early.reason).toContain('too early');
  });
});

describe('150 experiments of two equal arms, looked at after every 40 events an arm, up to 400', () => {
  const RUNS = 150;
  const rejected = (options: CompareOptions) => {
    const count = { latencyMean: 0, successRate: 0 };
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + 10 * run;
      const latencies = [logNormal(400, 100, seed), logNormal(400, 100, seed + 1)];
      const outcomes = [trials(400, 0.7, seed + 2), trials(400, 0.7, seed + 3)];
      const ever = { latencyMean: false, successRate: false };
      for (let n = 40; n <= 400; n += 40) {
        const metrics = lookAt(n, latencies, outcomes, options);
        for (const metric of ['latencyMean', 'successRate'] as const) {
          ever[metric] ||= metrics[metric]!.significant;
        }
      }
      for (const metric of ['latencyMean', 'successRate'] as const) if (ever[metric]) count[metric]++;
    }
    return count;
  };
  // 5 % of 150, and four standard deviations more.
  const MOST = 18;

  it('the sequential mode calls a difference in at most 5 %, and some slack', () => {
    const count = rejected({ sequential: { tuning: 400 } });
    expect(count.latencyMean).toBeLessThanOrEqual(MOST);
    expect(count.successRate).toBeLessThanOrEqual(MOST);
  });

  it('the tests for one look, taken at every look, fail the same check', () => {
    const count = rejected({});
    expect(count.latencyMean).toBeGreaterThan(MOST);
    expect(count.successRate).toBeGreaterThan(MOST);
  });
});
