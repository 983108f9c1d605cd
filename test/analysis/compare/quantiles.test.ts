/** The bootstrap of a quantile by its order statistics. */

import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import { fewestFor, resampleQuantile } from '../../../src/analysis/compare/quantiles.js';
import { incompleteBeta } from '../../../src/stats/beta.js';
import { bootstrapInterval } from '../../../src/stats/bootstrap.js';
import { kolmogorovSmirnov } from '../../../src/stats/kolmogorov-smirnov.js';
import { quantileOfSorted } from '../../../src/stats/quantile.js';
import { SeededRandom } from '../../../src/stats/random.js';
import { armOf, logNormal } from './support.js';

const SEED = 4;

describe('resampleQuantile', () => {
  it('is distributed as the quantile of values drawn one by one', () => {
    const sorted = logNormal(90, 100, SEED).sort();
    const random = new SeededRandom(SEED);
    const drawn = new Float64Array(90);
    const slow = Float64Array.from({ length: 4000 }, () => {
      for (let i = 0; i < 90; i++) drawn[i] = sorted[random.nextIndex(90)]!;
      return quantileOfSorted(drawn.sort(), 0.95);
    });
    const fast = Float64Array.from({ length: 4000 }, () => resampleQuantile(sorted, 0.95, random));
    expect(kolmogorovSmirnov(slow, fast).pValue).toBeGreaterThan(0.01);
    // The check sees a quantile that is off by a little.
    const off = Float64Array.from({ length: 4000 }, () => resampleQuantile(sorted, 0.94, random));
    expect(kolmogorovSmirnov(slow, off).pValue).toBeLessThan(1e-6);
  });

  it.each([2, 20, 1000, 1_000_000])('of %d ascending whole numbers has the beta tails it should', (n) => {
    const sorted = Float64Array.from({ length: n }, (_, i) => i);
    const random = new SeededRandom(SEED);
    const draws = 20_000;
    const rank = Math.floor((n - 1) * 0.95 + 1);
    const position = Math.min(n - 1, rank);
    // At p of that rank itself the quantile is the order statistic: P(index < j) = I_{j/n}(rank, n + 1 − rank).
    const p = (position - 1) / (n - 1);
    const cut = Math.floor(n * 0.95);
    let below = 0;
    for (let i = 0; i < draws; i++) if (resampleQuantile(sorted, p, random) < cut) below++;
    const expected = incompleteBeta(position, n + 1 - position, cut / n, 1 - cut / n).lower;
    expect(Math.abs(below / draws - expected)).toBeLessThan(4 * Math.sqrt(0.25 / draws));
  });
});

describe('the difference of 95th percentiles', () => {
  const p95 = (old: Float64Array, now: Float64Array, seed = 1) =>
    compareArms([armOf('a', { latencyMs: old }), armOf('b', { latencyMs: now })], {
      metrics: ['latencyP95'],
      seed,
    }).treatments[0]!.metrics.latencyP95!;

  it('has the interval of the plain bootstrap', () => {
    const [old, now] = [logNormal(150, 100, SEED), logNormal(150, 140, SEED + 1)];
    const statistic = (x: Float64Array, y: Float64Array) =>
      quantileOfSorted(y.sort(), 0.95) - quantileOfSorted(x.sort(), 0.95);
    const plain = bootstrapInterval([old, now], (x, y) => statistic(x!, y!), {
      method: 'percentile',
      resamples: 10_000,
    });
    const found = p95(old, now);
    expect(found.difference).toBeCloseTo(plain.estimate!, 9);
    const width = plain.confidenceInterval![1] - plain.confidenceInterval![0];
    for (const side of [0, 1] as const) {
      const error = Math.abs(found.confidenceInterval![side] - plain.confidenceInterval![side]);
      expect(error / width).toBeLessThan(0.05);
    }
  });

  it('covers no difference where there is none, about as often as it says', () => {
    let covered = 0;
    for (let run = 0; run < 300; run++) {
      const [old, now] = [logNormal(200, 100, 2 * run), logNormal(200, 100, 2 * run + 1)];
      const [low, high] = compareArms([armOf('a', { latencyMs: old }), armOf('b', { latencyMs: now })], {
        metrics: ['latencyP95'],
        resamples: 400,
        seed: run,
      }).treatments[0]!.metrics.latencyP95!.confidenceInterval!;
      if (low <= 0 && high >= 0) covered++;
    }
    // 95 % of 300 is 285, with a standard deviation below 4.
    expect(covered).toBeGreaterThanOrEqual(273);
  });

  it('is significant where every percentile is far away', () => {
    const old = logNormal(500, 100, SEED);
    const found = p95(
      old,
      old.map((value) => 3 * value),
    );
    expect(found).toMatchObject({ significant: true, direction: 'worse' });
    expect(found.pValue).toBeCloseTo(2 / 10_001, 12);
    expect(found.requiredN).toBeLessThan(500);
  });

  it('needs enough values to be bounded from above', () => {
    expect(fewestFor(0.95, 0.05)).toBe(72);
    // 0.95^71 > 2.5 % ≥ 0.95^72.
    const found = p95(logNormal(71, 100, 1), logNormal(500, 100, 2));
    expect(found).toMatchObject({ pValue: null, confidenceInterval: null, tests: [] });
    expect(found.difference).not.toBeNull();
    expect(found.reason).toContain('fewer than 72 latencies');
    expect(p95(logNormal(72, 100, 1), logNormal(72, 100, 2)).confidenceInterval).not.toBeNull();
  });

  it('takes no longer for a million values, and narrows with them', () => {
    const arms = [100, 101].map((median, i) => ({
      ...armOf(`arm ${i}`, { events: 1_000_000 }),
      latencyMs: logNormal(1_000_000, median, i + 1),
    }));
    const found = compareArms(arms, { metrics: ['latencyP95'] }).treatments[0]!.metrics.latencyP95!;
    expect(found.confidenceInterval![1] - found.confidenceInterval![0]).toBeLessThan(3);
    expect(found.significant).toBe(true);
  });

  it('is null where every resample gives the same', () => {
    const constant = new Float64Array(100).fill(7);
    expect(p95(constant, constant)).toMatchObject({
      difference: 0,
      pValue: null,
      reason: 'the difference is the same in every resample',
    });
  });
});
