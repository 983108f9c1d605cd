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
  /** Means of products of three deviations: of³, of²·per, of·per², per³. Where given, the ratio's skewness is known. */
  readonly thirds?: readonly [number, number, number, number];
}

/** Moments of pairs of values, one by one or merged; the sums of two threads, files or machines add up. */
export class PairMoments {
  #n = 0;
  #meanOf = 0;
  #meanPer = 0;
  #m2Of = 0;
  #m2Per = 0;
  #product = 0;
  readonly #thirds: [number, number, number, number] = [0, 0, 0, 0];

  static from({
    n,
    meanOf,
    meanPer,
    varianceOf,
    variancePer,
    covariance,
    thirds = [0, 0, 0, 0],
  }: RatioSums): PairMoments {
    const pairs = new PairMoments();
    const df = Math.max(0, n - 1);
    pairs.#n = n;
    pairs.#meanOf = meanOf;
    pairs.#meanPer = meanPer;
    pairs.#m2Of = varianceOf * df;
    pairs.#m2Per = variancePer * df;
    pairs.#product = covariance * df;
    for (let i = 0; i < thirds.length; i++) pairs.#thirds[i] = thirds[i] * n;
    return pairs;
  }

  push(of: number, per: number): void {
    const n = ++this.#n;
    const deltaOf = of - this.#meanOf;
    const deltaPer = per - this.#meanPer;
    this.#addThirds(deltaOf, deltaPer, n - 1, 1, 0, 0, 0);
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
    this.#addThirds(deltaOf, deltaPer, this.#n, other.#n, other.#m2Of, other.#product, other.#m2Per);
    for (let i = 0; i < this.#thirds.length; i++) this.#thirds[i] += other.#thirds[i];
    this.#m2Of += other.#m2Of + deltaOf * deltaOf * weight;
    this.#m2Per += other.#m2Per + deltaPer * deltaPer * weight;
    this.#product += other.#product + deltaOf * deltaPer * weight;
    this.#meanOf += deltaOf * share;
    this.#meanPer += deltaPer * share;
    this.#n = n;
  }

  /** What the gap between two means adds, from the sums of squares before they are merged (Pébay 2008, SAND2008-6212). */
  #addThirds(of: number, per: number, n: number, m: number, m2Of: number, product: number, m2Per: number) {
    const total = n + m;
    const cubes = (n * m * (n - m)) / (total * total);
    const ofOf = (n * m2Of - m * this.#m2Of) / total;
    const both = (n * product - m * this.#product) / total;
    const perPer = (n * m2Per - m * this.#m2Per) / total;
    const thirds = this.#thirds;
    thirds[0] += of * of * of * cubes + 3 * of * ofOf;
    thirds[1] += of * of * per * cubes + 2 * of * both + per * ofOf;
    thirds[2] += of * per * per * cubes + of * perPer + 2 * per * both;
    thirds[3] += per * per * per * cubes + 3 * per * perPer;
  }

  result(): RatioSums {
    const df = Math.max(1, this.#n - 1);
    const [ooo, oop, opp, ppp] = this.#thirds.map((sum) => sum / Math.max(1, this.#n));
    return {
      n: this.#n,
      meanOf: this.#meanOf,
      meanPer: this.#meanPer,
      varianceOf: this.#m2Of / df,
      variancePer: this.#m2Per / df,
      covariance: this.#product / df,
      thirds: [ooo, oop, opp, ppp],
    };
  }
}

/** g₁ of what units deviate from their ratio by; null where it is not known, and 0 where nothing deviates. */
export function ratioSkewness(sums: RatioSums): number | null {
  const { n, meanOf, meanPer, varianceOf, variancePer, covariance, thirds } = sums;
  const ratio = meanOf / meanPer;
  if (thirds === undefined || n < 2 || !Number.isFinite(ratio)) return null;
  const square = ((varianceOf - 2 * ratio * covariance + ratio * ratio * variancePer) * (n - 1)) / n;
  const [ooo, oop, opp, ppp] = thirds;
  const cube = ooo - 3 * ratio * oop + 3 * ratio ** 2 * opp - ratio ** 3 * ppp;
  if (!(square > 0)) return 0;
  return Number.isFinite(cube) ? cube / square ** 1.5 : null;
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
