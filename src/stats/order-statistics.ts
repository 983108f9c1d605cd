/** The interval of a quantile from order statistics: exact, whatever the values' distribution is. */
import { incompleteBeta } from './beta.js';
import { type Interval, type Options, type Result, resolveOptions } from './options.js';
import { quantileOfSorted } from './quantile.js';
import { checkNonEmpty, checkOpenUnit, type Sample } from './sample.js';

export interface OrderStatisticResult extends Result {
  /** Type 7. */
  readonly estimate: number;
  /** Null where there are too few values to bound the quantile on both sides. */
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
}

/**
 * The two-sided interval of a quantile: between two of the values, whose ranks the binomial distribution gives, so that
 * each end is beyond the quantile with probability alpha/2 at most.
 *
 * Source: Conover 1999, Practical nonparametric statistics, section 3.2.
 */
export function orderStatisticInterval(
  x: Sample,
  p: number,
  options?: Pick<Options, 'alpha' | 'confidenceLevel'>,
): OrderStatisticResult {
  const { alpha, confidenceLevel } = resolveOptions(options);
  checkNonEmpty(x, 'x');
  checkOpenUnit(p, 'p');
  const sorted = Float64Array.from(x).sort();
  const interval = intervalOfSorted(sorted, p, alpha);
  return {
    method: 'order statistics, binomial',
    assumptions: ['independent observations'],
    n: [sorted.length],
    estimate: quantileOfSorted(sorted, p),
    confidenceInterval: interval,
    confidenceLevel,
    ...(interval === null && { reason: 'too few values to bound the quantile on both sides' }),
  };
}

/** The same of ascending values. */
export function intervalOfSorted(sorted: Float64Array, p: number, alpha: number): Interval | null {
  const ranks = intervalRanks(sorted.length, p, alpha);
  return ranks && [sorted[ranks[0] - 1], sorted[ranks[1] - 1]];
}

/** The 1-based ranks of both ends among n values; null where too few of them bound the quantile. */
export function intervalRanks(n: number, p: number, alpha: number): [low: number, high: number] | null {
  // P(at most k of n values lie below the quantile).
  const atMost = (k: number) => (k < 0 ? 0 : k >= n ? 1 : incompleteBeta(n - k, k + 1, 1 - p, p).lower);
  // The most values that may be below with probability alpha/2, and the fewest that may be with 1 − alpha/2.
  const low = firstWhere(-1, n, (k) => atMost(k) > alpha / 2);
  const high = firstWhere(-1, n, (k) => atMost(k) >= 1 - alpha / 2) + 1;
  return low < 1 || high > n ? null : [low, high];
}

/** The first whole number above `from` of which it holds, given that it holds of `to`. */
function firstWhere(from: number, to: number, holds: (k: number) => boolean): number {
  let [fails, known] = [from, to];
  while (known - fails > 1) {
    const middle = (fails + known) >> 1;
    if (holds(middle)) known = middle;
    else fails = middle;
  }
  return known;
}
