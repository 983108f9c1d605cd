/** The comparison of two quantiles that may be looked at as often as one likes, and stopped at any look. */

import { rateLogMixture } from './mixtures.js';
import { type Interval, type Options, type Result, resolveOptions } from './options.js';
import { quantileOfSorted } from './quantile.js';
import { checkNonEmpty, checkOpenUnit, checkPositive, type Sample } from './sample.js';

export interface SequentialQuantileOptions extends Pick<Options, 'alpha' | 'confidenceLevel'> {
  /** Observations of both arms together at which it is to be tightest, fixed before looking; 5,000 by default. */
  readonly tuning?: number | undefined;
}

export interface SequentialQuantileResult extends Result {
  /** Always valid: the chance that it is ever at or below alpha, over all looks, is alpha at most. */
  readonly pValue: number;
  /** Quantile of b − quantile of a, each of type 7. */
  readonly estimate: number;
  /** Of b − a: a member of a confidence sequence; an end is infinite where nothing bounds it yet. */
  readonly confidenceInterval: Interval;
  readonly confidenceLevel: number;
  /** 1/eValue is the p-value where it is below 1. */
  readonly eValue: number;
}

const TUNING_DEFAULT = 5000;
const METHOD = 'confidence sequence of a difference of quantiles, beta-binomial mixtures';
const ASSUMPTIONS: readonly string[] = [
  'independent observations with one distribution per arm',
  'alpha and tuning chosen before the first look',
];

/**
 * The always-valid test of equal quantiles. Holds from the first observation on, whatever the distributions are, in
 * arms of whatever sizes. The interval holds the differences that this test does not reject.
 *
 * Each arm bets that the share of its values below a candidate is p; the evidence against a difference is the least
 * product of both bets over all pairs of candidates that lie so far apart.
 *
 * Source: Howard & Ramdas 2022, Bernoulli 28, 1704-1728 (arXiv 1906.09712), section 5.
 * @param p - between 0 and 1, both excluded
 */
export function sequentialQuantileTest(
  a: Sample,
  b: Sample,
  p: number,
  options: SequentialQuantileOptions = {},
): SequentialQuantileResult {
  checkNonEmpty(a, 'a');
  checkNonEmpty(b, 'b');
  return sequentialQuantilesOfSorted(Float64Array.from(a).sort(), Float64Array.from(b).sort(), p, options);
}

/** The same of ascending values, at least one of each. */
export function sequentialQuantilesOfSorted(
  a: Float64Array,
  b: Float64Array,
  p: number,
  options: SequentialQuantileOptions = {},
): SequentialQuantileResult {
  const { alpha, confidenceLevel } = resolveOptions(options);
  const { tuning = TUNING_DEFAULT } = options;
  checkOpenUnit(p, 'p');
  checkPositive(tuning, 'tuning');
  // Of one arm, which is to have half of the observations.
  const bet = { tOpt: tuning / 2, alphaOpt: alpha };
  const [armA, armB] = [new QuantileBet(a, p, bet), new QuantileBet(b, p, bet)];
  const logE = leastTogether(armA, armB);
  return {
    method: METHOD,
    assumptions: ASSUMPTIONS,
    n: [a.length, b.length],
    pValue: Math.min(1, Math.exp(-logE)),
    estimate: quantileOfSorted(b, p) - quantileOfSorted(a, p),
    confidenceInterval: [-furthest(armB, armA, alpha), furthest(armA, armB, alpha)],
    confidenceLevel,
    eValue: Math.exp(logE),
  };
}

/**
 * The interval of one arm's quantile, of ascending values: a member of a confidence sequence. An end is infinite where
 * nothing bounds it yet.
 */
export function sequentialQuantileInterval(
  sorted: Float64Array,
  p: number,
  alpha: number,
  tuning: number,
): Interval {
  const arm = new QuantileBet(sorted, p, { tOpt: tuning / 2, alphaOpt: alpha });
  const limit = -Math.log(alpha);
  return [arm.valueAt(arm.lowestRank(limit)), arm.valueAt(arm.highestRank(limit) + 1)];
}

/** One arm's evidence that a candidate is not its quantile, by how many of its values are below. */
class QuantileBet {
  readonly sorted: Float64Array;
  /** Where the evidence is least, a fraction of a rank; and how much it is. */
  readonly bestRank: number;
  readonly least: number;
  readonly #log: (below: number, n: number) => number;

  constructor(sorted: Float64Array, p: number, bet: { readonly tOpt: number; readonly alphaOpt: number }) {
    this.sorted = sorted;
    this.#log = rateLogMixture(p, bet);
    this.bestRank = minimumOf((rank) => this.at(rank), 0, sorted.length);
    this.least = this.at(this.bestRank);
  }

  /** ln of the evidence where so many values are below. */
  at(below: number): number {
    return this.#log(below, this.sorted.length);
  }

  /** The candidates of least evidence: between the values on both sides of the best rank. */
  get middle(): Interval {
    return [this.valueAt(Math.ceil(this.bestRank)), this.valueAt(Math.floor(this.bestRank) + 1)];
  }

  /** The value of a 1-based rank. */
  valueAt(rank: number): number {
    if (rank < 1) return Number.NEGATIVE_INFINITY;
    return rank > this.sorted.length ? Number.POSITIVE_INFINITY : this.sorted[rank - 1];
  }

  /** The evidence against a candidate: where it is one of the values, that value counts as whichever is less evidence. */
  against(candidate: number): number {
    const [low, high] = this.middle;
    if (candidate < low) return this.at(countBelow(this.sorted, candidate, true));
    return candidate > high ? this.at(countBelow(this.sorted, candidate, false)) : this.least;
  }

  /** The fewest values below for which the evidence is under the limit. */
  lowestRank(limit: number): number {
    let [fails, holds] = [-1, Math.floor(this.bestRank)];
    if (this.at(holds) >= limit) return Math.ceil(this.bestRank);
    while (holds - fails > 1) {
      const middle = (fails + holds) >> 1;
      if (this.at(middle) < limit) holds = middle;
      else fails = middle;
    }
    return holds;
  }

  /** The most values below for which the evidence is under the limit. */
  highestRank(limit: number): number {
    let [holds, fails] = [Math.ceil(this.bestRank), this.sorted.length + 1];
    if (this.at(holds) >= limit) return Math.floor(this.bestRank);
    while (fails - holds > 1) {
      const middle = (fails + holds) >> 1;
      if (this.at(middle) < limit) holds = middle;
      else fails = middle;
    }
    return holds;
  }
}

/** The least of both arms' evidence together against one candidate: at a value between what is likeliest in each. */
function leastTogether(a: QuantileBet, b: QuantileBet): number {
  const [first, second] = a.middle[1] <= b.middle[1] ? [a, b] : [b, a];
  const [from, to] = [first.middle[1], second.middle[0]];
  if (from >= to) return first.least + second.least;
  const together = (candidate: number) => first.against(candidate) + second.against(candidate);
  let least = Math.min(together(from), together(to));
  for (const { sorted } of [first, second]) {
    const end = countBelow(sorted, to, true);
    for (let i = countBelow(sorted, from, true); i < end; i++) least = Math.min(least, together(sorted[i]));
  }
  return least;
}

/** How far the quantile of `to` may lie above that of `from` for the evidence to stay under 1/alpha. */
function furthest(from: QuantileBet, to: QuantileBet, alpha: number): number {
  const limit = -Math.log(alpha);
  const lowest = from.lowestRank(limit - to.least);
  const candidates = [from.middle[0]];
  const best = Math.floor(from.bestRank);
  const evidence = [from.least];
  for (let rank = lowest; rank <= best; rank++) {
    candidates.push(from.valueAt(rank));
    evidence.push(from.at(rank));
  }
  let distance = Number.NEGATIVE_INFINITY;
  for (const [i, candidate] of candidates.entries()) {
    const rest = limit - evidence[i];
    if (rest <= to.least) continue;
    const reached = to.valueAt(to.highestRank(rest) + 1) - candidate;
    distance = Math.max(distance, reached);
  }
  // Everything is rejected: the interval shrinks to what is likeliest.
  return distance === Number.NEGATIVE_INFINITY ? to.middle[1] - from.middle[0] : distance;
}

/** Values below a candidate, or at it and below. */
function countBelow(sorted: Float64Array, candidate: number, orAt: boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < candidate || (orAt && sorted[middle] === candidate)) low = middle + 1;
    else high = middle;
  }
  return low;
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Where a convex function is least, to about 1e-7 of the range. */
function minimumOf(f: (x: number) => number, from: number, to: number): number {
  let [low, high] = [from, to];
  let [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
  let [atLeft, atRight] = [f(left), f(right)];
  for (let step = 0; step < 36; step++) {
    if (atLeft <= atRight) {
      [high, right, atRight] = [right, left, atLeft];
      left = high - GOLDEN * (high - low);
      atLeft = f(left);
    } else {
      [low, left, atLeft] = [left, right, atRight];
      right = low + GOLDEN * (high - low);
      atRight = f(right);
    }
  }
  return (low + high) / 2;
}
