/** Ratios of sums, such as the cost of a success, by the delta method. */

import { ConfigError } from '../errors.js';
import { symmetricPValue } from './distributions.js';
import { normalQuantile, normalSurvival } from './normal.js';
import { type Interval, intervalAround, type Options, type Result, resolveOptions } from './options.js';
import { type Alternative, checkSample, type Sample, tooFewSamples } from './sample.js';

/** What a ratio needs of units that have two values each. Variances and covariance have the n − 1 denominator. */
export interface RatioSums {
  readonly n: number;
  /** Means over the units of what is above, and of what is below. */
  readonly meanOf: number;
  readonly meanPer: number;
  /** 0 below two units. */
  readonly varianceOf: number;
  readonly variancePer: number;
  readonly covariance: number;
}

/** Moments of pairs of values, one by one or merged; the sums of two threads, files or machines add up. */
export class PairMoments {
  #n = 0;
  #meanOf = 0;
  #meanPer = 0;
  #m2Of = 0;
  #m2Per = 0;
  #product = 0;

  static from({ n, meanOf, meanPer, varianceOf, variancePer, covariance }: RatioSums): PairMoments {
    const pairs = new PairMoments();
    const df = Math.max(0, n - 1);
    pairs.#n = n;
    pairs.#meanOf = meanOf;
    pairs.#meanPer = meanPer;
    pairs.#m2Of = varianceOf * df;
    pairs.#m2Per = variancePer * df;
    pairs.#product = covariance * df;
    return pairs;
  }

  push(of: number, per: number): void {
    const n = ++this.#n;
    const deltaOf = of - this.#meanOf;
    const deltaPer = per - this.#meanPer;
    this.#meanOf += deltaOf / n;
    this.#meanPer += deltaPer / n;
    this.#m2Of += deltaOf * (of - this.#meanOf);
    this.#m2Per += deltaPer * (per - this.#meanPer);
    this.#product += deltaOf * (per - this.#meanPer);
  }

  merge(other: PairMoments): void {
    const n = this.#n + other.#n;
    if (other.#n === 0) return;
    const share = other.#n / n;
    const deltaOf = other.#meanOf - this.#meanOf;
    const deltaPer = other.#meanPer - this.#meanPer;
    const weight = this.#n * share;
    this.#m2Of += other.#m2Of + deltaOf * deltaOf * weight;
    this.#m2Per += other.#m2Per + deltaPer * deltaPer * weight;
    this.#product += other.#product + deltaOf * deltaPer * weight;
    this.#meanOf += deltaOf * share;
    this.#meanPer += deltaPer * share;
    this.#n = n;
  }

  result(): RatioSums {
    const df = Math.max(1, this.#n - 1);
    return {
      n: this.#n,
      meanOf: this.#meanOf,
      meanPer: this.#meanPer,
      varianceOf: this.#m2Of / df,
      variancePer: this.#m2Per / df,
      covariance: this.#product / df,
    };
  }
}

export interface RatioEstimate {
  /** Null where what is below adds up to 0. */
  readonly estimate: number | null;
  /** By the delta method; null below two units, and without an estimate. */
  readonly standardError: number | null;
}

/** Sum of what is above over sum of what is below. */
export function ratioEstimate({
  n,
  meanOf,
  meanPer,
  varianceOf,
  variancePer,
  covariance,
}: RatioSums): RatioEstimate {
  const estimate = meanOf / meanPer;
  if (n === 0 || !Number.isFinite(estimate)) return { estimate: null, standardError: null };
  if (n < 2) return { estimate, standardError: null };
  const variance = varianceOf - 2 * estimate * covariance + estimate * estimate * variancePer;
  return { estimate, standardError: Math.sqrt(Math.max(0, variance) / n) / Math.abs(meanPer) };
}

export interface RatioResult extends Result {
  /** The estimate in standard errors. */
  readonly statistic: number | null;
  readonly pValue: number | null;
  readonly alternative: Alternative;
  /** ratio(x) − ratio(y). */
  readonly estimate: number | null;
  readonly standardError: number | null;
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
}

/** Pairs of values of equal length, or what they add up to. */
export type RatioInput = { readonly of: Sample; readonly per: Sample } | RatioSums;

/**
 * The test of ratio(x) = ratio(y), each the sum of `of` over the sum of `per`. Units (events, or users with their
 * totals) are independent; what is above and below may depend on each other in any way.
 *
 * Source: Deng, Knoblich & Lu 2018, KDD (arXiv 1803.06336), the delta method.
 */
export function ratioOfMeans(x: RatioInput, y: RatioInput, options?: Options): RatioResult {
  const resolved = resolveOptions(options);
  const [a, b] = [sumsOf(x, 'x'), sumsOf(y, 'y')];
  const [ratioX, ratioY] = [ratioEstimate(a), ratioEstimate(b)];
  const common = {
    method: 'z-test of two ratios of sums, by the delta method',
    assumptions: ['independent units', 'sums nearly normal, and those below far from 0'],
    n: [a.n, b.n],
    alternative: resolved.alternative,
    confidenceLevel: resolved.confidenceLevel,
  };
  const estimate =
    ratioX.estimate === null || ratioY.estimate === null ? null : ratioX.estimate - ratioY.estimate;
  const reason = problemOf(ratioX, ratioY);
  if (estimate === null || reason !== null) {
    return {
      ...common,
      statistic: null,
      pValue: null,
      estimate,
      standardError: null,
      confidenceInterval: null,
      reason: reason!,
    };
  }
  const standardError = Math.hypot(ratioX.standardError!, ratioY.standardError!);
  const statistic = estimate / standardError;
  return {
    ...common,
    statistic,
    pValue: symmetricPValue(statistic, resolved.alternative, normalSurvival),
    estimate,
    standardError,
    confidenceInterval: intervalAround(estimate, standardError, resolved, (tail) => -normalQuantile(tail)),
  };
}

function problemOf(x: RatioEstimate, y: RatioEstimate): string | null {
  if (x.estimate === null || y.estimate === null) return 'what is below adds up to 0: there is no ratio';
  if (x.standardError === null || y.standardError === null) return 'one unit has no spread';
  return x.standardError === 0 && y.standardError === 0 ? 'within each arm nothing varies' : null;
}

function sumsOf(input: RatioInput, path: string): RatioSums {
  if (typeof input !== 'object' || input === null) throw new ConfigError(path, '{ of, per } or sums', input);
  if (!('of' in input)) {
    if (input.n === 0) throw tooFewSamples(path, 1, 0);
    return input;
  }
  checkSample(input.of, `${path}.of`);
  checkSample(input.per, `${path}.per`);
  const { length } = input.of;
  if (input.per.length !== length)
    throw new ConfigError(`${path}.per`, `${length} values, as in of`, input.per.length);
  if (length === 0) throw tooFewSamples(path, 1, 0);
  const pairs = new PairMoments();
  for (let i = 0; i < length; i++) pairs.push(input.of[i]!, input.per[i]!);
  return pairs.result();
}
