/** Whether a difference of means is small enough: non-inferiority and equivalence, against a margin chosen beforehand. */

import { ConfigError } from '../errors.js';
import { type Arm, armOf } from './arm.js';
import { studentSurvival, studentUpperQuantile } from './distributions.js';
import { type Interval, type Options, type Result, resolveOptions } from './options.js';
import { checkPositive, type Sample, type Summary } from './sample.js';
import { pairedTTest, studentTTest, welchTTest } from './t-tests.js';

/** How much counts as too much: in the values' unit, or as a share of the mean of y. */
export type Margin = number | { readonly relative: number };

export interface MarginOptions extends Pick<Options, 'alpha' | 'confidenceLevel'> {
  readonly margin: Margin;
  /** 'welch' by default; 'paired' takes samples of equal length. */
  readonly test?: 'welch' | 'student' | 'paired' | undefined;
}

export interface NonInferiorityOptions extends MarginOptions {
  /** Which is better; 'higher' by default. */
  readonly direction?: 'higher' | 'lower' | undefined;
}

interface MarginResult extends Result {
  /** mean(x) − mean(y); with a relative margin, mean(x) / mean(y) − 1. */
  readonly estimate: number | null;
  readonly margin: number;
  readonly isRelative: boolean;
  /** Whether the margin is ruled out at level alpha. */
  readonly shown: boolean;
  readonly pValue: number | null;
  readonly alpha: number;
}

export interface NonInferiorityResult extends MarginResult {
  /** Of x against y at the margin, in standard errors; positive speaks for non-inferiority. */
  readonly statistic: number | null;
  readonly df: number | null;
  /** The least good difference (or relative difference) that is not ruled out, at level 1 − alpha: one-sided. */
  readonly bound: number | null;
}

export interface EquivalenceResult extends MarginResult {
  /** At the lower and at the upper margin. */
  readonly statistics: readonly [number | null, number | null];
  readonly df: number | null;
  /** Of level 1 − 2 alpha: equivalence is shown where it lies within the margins. Null with a relative margin. */
  readonly confidenceInterval: Interval | null;
}

/**
 * The test that x is not worse than y by the margin or more: one-sided, at alpha = 0.025 unless told, which is what a
 * two-sided 95 % interval decides. A relative margin is one of mean(y), whose own error is taken into account.
 *
 * Source: Wellek 2010, Testing statistical hypotheses of equivalence and noninferiority; relative: as Fieller 1954.
 */
export function nonInferiority(
  x: Sample | Summary,
  y: Sample | Summary,
  options: NonInferiorityOptions,
): NonInferiorityResult {
  const { alpha } = resolveOptions(levelOf(options), 0.025);
  const { direction = 'higher' } = options;
  if (direction !== 'higher' && direction !== 'lower') {
    throw new ConfigError('direction', "'higher' or 'lower'", direction);
  }
  const { margin, isRelative, test } = resolveMargin(options);
  const sign = direction === 'higher' ? 1 : -1;
  const at = shifted(x, y, -sign * margin, isRelative, test);
  const statistic = at.statistic === null ? null : sign * at.statistic;
  const pValue = statistic === null ? null : studentSurvival(statistic, at.df!);
  return {
    method: `non-inferiority, ${at.method}`,
    assumptions: [...at.assumptions, 'a margin chosen before the data were seen'],
    n: at.n,
    estimate: estimateOf(x, y, isRelative, test),
    margin,
    isRelative,
    shown: pValue !== null && pValue <= alpha,
    pValue,
    alpha,
    statistic,
    df: at.df,
    bound: statistic === null ? null : boundOf(x, y, sign, alpha, isRelative, test),
    ...(at.reason !== undefined && { reason: at.reason }),
  };
}

/**
 * The test that x and y differ by less than the margin, either way: two one-sided tests (TOST), each at alpha = 0.05
 * unless told.
 *
 * Source: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
 */
export function equivalence(
  x: Sample | Summary,
  y: Sample | Summary,
  options: MarginOptions,
): EquivalenceResult {
  const { alpha } = resolveOptions(levelOf(options));
  const { margin, isRelative, test } = resolveMargin(options);
  const [low, high] = [-margin, margin].map((at) => shifted(x, y, at, isRelative, test));
  const pValue =
    low.statistic === null || high.statistic === null
      ? null
      : Math.max(studentSurvival(low.statistic, low.df!), studentSurvival(-high.statistic, high.df!));
  const interval =
    pValue === null || isRelative
      ? null
      : ([1, -1] as const).map((side) => boundOf(x, y, side, alpha, false, test));
  return {
    method: `equivalence (two one-sided tests), ${low.method}`,
    assumptions: [...low.assumptions, 'a margin chosen before the data were seen'],
    n: low.n,
    estimate: estimateOf(x, y, isRelative, test),
    margin,
    isRelative,
    shown: pValue !== null && pValue <= alpha,
    pValue,
    alpha,
    statistics: [low.statistic, high.statistic],
    df: low.df,
    confidenceInterval: interval as Interval | null,
    ...(low.reason !== undefined && { reason: low.reason }),
  };
}

type TestName = NonNullable<MarginOptions['test']>;

function levelOf({ alpha, confidenceLevel }: MarginOptions): Options {
  return { alpha, confidenceLevel };
}

function resolveMargin(options: MarginOptions): { margin: number; isRelative: boolean; test: TestName } {
  const { margin, test = 'welch' } = options ?? {};
  const isRelative = typeof margin === 'object' && margin !== null;
  const size = isRelative ? margin.relative : margin;
  checkPositive(size, isRelative ? 'margin.relative' : 'margin');
  if (test !== 'welch' && test !== 'student' && test !== 'paired') {
    throw new ConfigError('test', "'welch', 'student' or 'paired'", test);
  }
  return { margin: size, isRelative, test };
}

interface Shifted {
  readonly method: string;
  readonly assumptions: readonly string[];
  readonly n: readonly number[];
  readonly statistic: number | null;
  readonly df: number | null;
  readonly estimate: number;
  readonly standardError: number | null;
  readonly reason?: string;
}

/** The test of mean(x) = mean(y) + at, or of mean(x) = (1 + at) · mean(y). */
function shifted(
  x: Sample | Summary,
  y: Sample | Summary,
  at: number,
  isRelative: boolean,
  test: TestName,
): Shifted {
  const found = testOf(x, isRelative ? times(y, 1 + at) : y, test);
  if (found.standardError === null) return { ...found, statistic: null };
  const estimate = isRelative ? found.estimate : found.estimate - at;
  // Against a negative mean the larger share is below.
  const sign = isRelative && meanOf(y) < 0 ? -1 : 1;
  return { ...found, statistic: (sign * estimate) / found.standardError };
}

function testOf(x: Sample | Summary, y: Sample | Summary, test: TestName) {
  if (test === 'paired') return pairedTTest(x as Sample, y as Sample);
  return (test === 'student' ? studentTTest : welchTTest)(x, y);
}

function times(input: Sample | Summary, factor: number): Sample | Summary {
  if ('length' in input) return Float64Array.from(input, (value) => value * factor);
  const { n, mean, variance } = input;
  return {
    n,
    mean: mean === null ? null : mean * factor,
    variance: variance === null ? null : variance * factor * factor,
  };
}

function meanOf(input: Sample | Summary): number {
  const { mean, meanLow }: Arm = armOf(input, 'y');
  return mean + meanLow;
}

function estimateOf(
  x: Sample | Summary,
  y: Sample | Summary,
  isRelative: boolean,
  test: TestName,
): number | null {
  const { estimate } = testOf(x, y, test);
  const value = isRelative ? estimate / Math.abs(meanOf(y)) : estimate;
  return Number.isFinite(value) ? value : null;
}

/** The difference that the one-sided test at alpha just does not rule out, on the side of `sign`; null if none. */
function boundOf(
  x: Sample | Summary,
  y: Sample | Summary,
  sign: number,
  alpha: number,
  isRelative: boolean,
  test: TestName,
): number | null {
  const { estimate, standardError, df } = testOf(x, y, test);
  if (standardError === null) return null;
  if (!isRelative) return estimate - sign * standardError * studentUpperQuantile(alpha, df!);
  const excess = (at: number) => {
    const { statistic, df: own } = shifted(x, y, at, true, test);
    return statistic === null ? Number.NaN : sign * statistic - studentUpperQuantile(alpha, own!);
  };
  // Further and further to the worse, until it is ruled out.
  const start = estimate / Math.abs(meanOf(y));
  let [inside, outside] = [start, start];
  for (let stride = 1e-6; !(excess(outside) >= 0); stride *= 2) {
    if (stride > 1e6) return null;
    inside = outside;
    outside = start - sign * stride;
  }
  for (let step = 0; step < 100; step++) {
    const middle = (inside + outside) / 2;
    if (excess(middle) >= 0) outside = middle;
    else inside = middle;
  }
  return outside;
}
