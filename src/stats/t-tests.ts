/** Tests of a difference of means by Student's t. */

import { ConfigError } from '../errors.js';
import { type Arm, armOf, isSummary, meanDifference, varianceProblem } from './arm.js';
import { studentSurvival, studentUpperQuantile, symmetricPValue } from './distributions.js';
import {
  type Interval,
  intervalAround,
  type Options,
  type ResolvedOptions,
  type Result,
  resolveOptions,
} from './options.js';
import { type Alternative, checkNonEmpty, type Sample, type Summary } from './sample.js';
import { scaled, scaleOf, unscaled } from './tiny.js';

export interface TTestResult extends Result {
  /** t = estimate / standardError. */
  readonly statistic: number | null;
  readonly df: number | null;
  readonly pValue: number | null;
  readonly alternative: Alternative;
  /** mean(x) − mean(y); for pairs, the mean of x − y. */
  readonly estimate: number;
  readonly standardError: number | null;
  /** Of the estimate. */
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
}

/**
 * Welch's test of mean(x) = mean(y), variances free to differ. Needs two observations a side; n = 1 or two
 * constant samples leave t undefined.
 *
 * Source: Welch 1947, Biometrika 34, 28-35; degrees of freedom by Satterthwaite 1946.
 */
export function welchTTest(x: Sample | Summary, y: Sample | Summary, options?: Options): TTestResult {
  const scale = scaleOf(x, y);
  if (scale !== 1) return unscaled(welchTTest(scaled(x, scale), scaled(y, scale), options), scale);
  const resolved = resolveOptions(options);
  const a = armOf(x, 'x');
  const b = armOf(y, 'y');
  const labels = {
    method: 'Welch two-sample t-test',
    assumptions: [
      'independent observations',
      'means nearly normal: normal data, or large samples without extreme skew',
    ],
    n: [a.n, b.n],
  };
  const estimate = meanDifference(a, b);
  const problem = varianceProblem(a, b);
  if (problem !== null) return undefinedTest(labels, estimate, resolved, problem);
  const fromX = a.variance! / a.n;
  const fromY = b.variance! / b.n;
  // As a ratio of shares, so that no fourth power of the data is formed.
  const share = fromX / (fromX + fromY);
  const df = 1 / (share ** 2 / (a.n - 1) + (1 - share) ** 2 / (b.n - 1));
  return tTest(labels, estimate, Math.sqrt(fromX + fromY), df, resolved);
}

/** Student's test of mean(x) = mean(y), with one variance for both. Needs two observations a side. */
export function studentTTest(x: Sample | Summary, y: Sample | Summary, options?: Options): TTestResult {
  const scale = scaleOf(x, y);
  if (scale !== 1) return unscaled(studentTTest(scaled(x, scale), scaled(y, scale), options), scale);
  const resolved = resolveOptions(options);
  const a = armOf(x, 'x');
  const b = armOf(y, 'y');
  const labels = {
    method: 'Student two-sample t-test',
    assumptions: [
      'independent observations',
      'equal variances',
      'means nearly normal: normal data, or large samples without extreme skew',
    ],
    n: [a.n, b.n],
  };
  const estimate = meanDifference(a, b);
  const problem = varianceProblem(a, b);
  if (problem !== null) return undefinedTest(labels, estimate, resolved, problem);
  const standardError = pooledStdDev(a, b) * Math.sqrt(1 / a.n + 1 / b.n);
  return tTest(labels, estimate, standardError, a.n + b.n - 2, resolved);
}

/**
 * The t-test of mean(x − y) = 0 for observations that come in pairs. Takes samples of equal length: two
 * summaries do not say how the pairs vary together.
 */
export function pairedTTest(x: Sample, y: Sample, options?: Options): TTestResult {
  const scale = scaleOf(x, y);
  if (scale !== 1) return unscaled(pairedTTest(scaled(x, scale), scaled(y, scale), options), scale);
  const resolved = resolveOptions(options);
  if (isSummary(x) || isSummary(y)) {
    throw new ConfigError(isSummary(x) ? 'x' : 'y', 'a sample: a paired test needs the pairs', 'a summary');
  }
  checkNonEmpty(x, 'x');
  checkNonEmpty(y, 'y');
  if (x.length !== y.length) throw new ConfigError('y', `${x.length} values, as in x`, y.length);
  const differences = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) differences[i] = x[i]! - y[i]!;
  const { n, variance, mean } = armOf(differences, 'x - y');
  const labels = {
    method: 'paired t-test',
    assumptions: ['independent pairs', 'mean of the differences nearly normal'],
    n: [n, n],
  };
  if (n < 2)
    return undefinedTest(labels, mean, resolved, 'one pair: the variance of differences is undefined');
  if (variance === null) {
    return undefinedTest(labels, mean, resolved, 'the variance of differences exceeds the range of a double');
  }
  if (variance === 0) {
    return undefinedTest(labels, mean, resolved, 'all differences are equal: the standard error is 0');
  }
  return tTest(labels, mean, Math.sqrt(variance / n), n - 1, resolved);
}

/** √ of the variance pooled over both arms, both of which must have one. */
export function pooledStdDev(x: Arm, y: Arm): number {
  const df = x.n + y.n - 2;
  return Math.sqrt(x.variance! * ((x.n - 1) / df) + y.variance! * ((y.n - 1) / df));
}

function tTest(
  labels: Pick<Result, 'method' | 'assumptions' | 'n'>,
  estimate: number,
  standardError: number,
  df: number,
  options: ResolvedOptions,
): TTestResult {
  const statistic = estimate / standardError;
  if (!Number.isFinite(statistic)) {
    return undefinedTest(labels, estimate, options, 'the statistic exceeds the range of a double');
  }
  return { ...labels, ...studentResult(estimate, standardError, df, options) };
}

/** What Student's distribution says of an estimate and its standard error, which is not 0. */
export function studentResult(
  estimate: number,
  standardError: number,
  df: number,
  options: ResolvedOptions,
): Omit<TTestResult, keyof Result> {
  const { alternative, confidenceLevel } = options;
  const statistic = estimate / standardError;
  return {
    statistic,
    df,
    pValue: symmetricPValue(statistic, alternative, (t) => studentSurvival(t, df)),
    alternative,
    estimate,
    standardError,
    confidenceInterval: intervalAround(estimate, standardError, options, (tail) =>
      studentUpperQuantile(tail, df),
    ),
    confidenceLevel,
  };
}

function undefinedTest(
  labels: Pick<Result, 'method' | 'assumptions' | 'n'>,
  estimate: number,
  { alternative, confidenceLevel }: ResolvedOptions,
  reason: string,
): TTestResult {
  return {
    ...labels,
    statistic: null,
    df: null,
    pValue: null,
    alternative,
    estimate,
    standardError: null,
    confidenceInterval: null,
    confidenceLevel,
    reason,
  };
}
