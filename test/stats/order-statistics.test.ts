/** The exact interval of a quantile. */
import { describe, expect, it } from 'vitest';
import { orderStatisticInterval } from '../../src/stats/index.js';
import { seededNormal } from '../support/numeric.js';
import { expectAtMost, runs, shareOf } from '../support/simulated.js';

describe('orderStatisticInterval', () => {
  const ranks = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

  it('is between the ranks of binomial tables', () => {
    // Of 10 values the median lies between the 2nd and the 9th with probability 1 − 2 · 11/1024 = 97.9 %; of 20, the 6th and 15th, 95.9 %.
    expect(orderStatisticInterval(ranks(10), 0.5).confidenceInterval).toEqual([2, 9]);
    expect(orderStatisticInterval(ranks(20), 0.5).confidenceInterval).toEqual([6, 15]);
  });

  it('does not depend on order, mirrors, and is none where nothing bounds the quantile', () => {
    expect(orderStatisticInterval(ranks(20).reverse(), 0.5).confidenceInterval).toEqual([6, 15]);
    const [low, high] = orderStatisticInterval(ranks(100), 0.9).confidenceInterval!;
    expect(orderStatisticInterval(ranks(100), 0.1).confidenceInterval).toEqual([101 - high, 101 - low]);
    // 0.95^71 > 2.5 % ≥ 0.95^72.
    expect(orderStatisticInterval(ranks(71), 0.95)).toMatchObject({
      confidenceInterval: null,
      reason: expect.any(String),
    });
    expect(orderStatisticInterval(ranks(72), 0.95).confidenceInterval![1]).toBe(72);
    expect(() => orderStatisticInterval([], 0.5)).toThrow('x');
    expect(() => orderStatisticInterval([1], 1)).toThrow('p');
  });

  it.each([72, 80, 100, 500])(
    'covers the p95 as often as it says, or more: %d log-normal values of σ 1',
    (n) => {
      const count = runs(500);
      const normal = seededNormal(n);
      const truth = Math.exp(1.6448536269514722);
      const missed = shareOf(count, () => {
        const values = Float64Array.from({ length: n }, () => Math.exp(normal()));
        const [low, high] = orderStatisticInterval(values, 0.95).confidenceInterval!;
        return low > truth || high < truth;
      });
      expectAtMost(missed, 0.05, count, 'missed');
    },
  );
});
