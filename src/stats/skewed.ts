/**
 * What skewness does to a difference of means. Where arms are of one size the skewness of one takes that of the other
 * away; where they are not, the mean of the smaller one is skewed and its standard error goes with it: rare large values
 * are missing from both. Tests that take the difference as normal then find what is not there.
 */

import { isSummary } from './arm.js';
import { studentSurvival, studentUpperQuantile, symmetricPValue } from './distributions.js';
import { sampleMoments } from './moments.js';
import { type Options, resolveOptions } from './options.js';
import type { Sample, Summary } from './sample.js';
import { type TTestResult, welchTTest } from './t-tests.js';

/** A summary that knows how skewed its values are: g₁ = m₃/m₂^1.5; null or absent where that is not known. */
export interface SkewedSummary extends Summary {
  readonly skewness?: number | null;
}

/**
 * The skewness of mean(x) − mean(y) where both arms are of one distribution, whose own is pooled within the arms: of the
 * smaller one alone it cannot be told. Null where it is not known.
 */
export function differenceSkewness(x: Sample | SkewedSummary, y: Sample | SkewedSummary): number | null {
  const [a, b] = [thirdMoment(x), thirdMoment(y)];
  if (a === null || b === null) return null;
  const n = a.n + b.n;
  const squares = a.m2 + b.m2;
  if (!(squares > 0)) return 0;
  // As shares, so that no cube of the data is formed.
  const [shareA, shareB] = [a.m2 / squares, b.m2 / squares];
  const pooled =
    Math.sqrt(n) * (a.skewness * shareA ** 1.5 * a.n ** -0.5 + b.skewness * shareB ** 1.5 * b.n ** -0.5);
  const skewness = (pooled * (a.n ** -2 - b.n ** -2)) / (1 / a.n + 1 / b.n) ** 1.5;
  return Number.isFinite(skewness) ? skewness : null;
}

function thirdMoment(input: Sample | SkewedSummary): { n: number; m2: number; skewness: number } | null {
  if (isSummary(input)) {
    const { n, variance } = input;
    const skewness = (input as SkewedSummary).skewness ?? null;
    if (variance === 0) return { n, m2: 0, skewness: 0 };
    return variance === null || skewness === null ? null : { n, m2: variance * (n - 1), skewness };
  }
  const { n, m2, m3, scale } = sampleMoments(input as Sample);
  return { n, m2: m2 * scale * scale, skewness: m2 > 0 ? m3 / n / (m2 / n) ** 1.5 : 0 };
}

export interface SkewedTestResult extends TTestResult {
  /** Of the difference; null where it is not known, and nothing was corrected. */
  readonly skewness: number | null;
}

/**
 * Welch's test of mean(x) = mean(y), corrected for skewness by Hall's cubic transformation of its statistic, which is
 * monotone, so that the interval follows from it. Up to a skewness of the difference of about 0.7 it errs as often as it
 * says; where the arms are of one size it is Welch's test.
 *
 * Source: Hall 1992, Journal of the Royal Statistical Society B 54, 221-228, with the third cumulant of a difference.
 */
export function skewCorrectedTTest(
  x: Sample | SkewedSummary,
  y: Sample | SkewedSummary,
  options?: Options,
): SkewedTestResult {
  const skewness = differenceSkewness(x, y);
  return { ...correctedForSkewness(welchTTest(x, y, options), skewness, options), skewness };
}

/** What a test of a difference by Student's t has. */
export type StudentTest = Pick<
  TTestResult,
  'method' | 'statistic' | 'df' | 'standardError' | 'alternative' | 'pValue' | 'confidenceInterval'
> & { readonly estimate: number | null };

/** A test of a difference whose skewness is known, by the same transformation; unchanged where there is none. */
export function correctedForSkewness<T extends StudentTest>(
  test: T,
  skewness: number | null,
  options?: Options,
): T {
  const { statistic, df, standardError, estimate, alternative } = test;
  if (statistic === null || estimate === null || skewness === null || skewness === 0) return test;
  const { alpha } = resolveOptions(options);
  const limit = (tail: number, sign: 1 | -1) =>
    estimate - standardError! * untransformed(sign * studentUpperQuantile(tail, df!), skewness);
  const tail = alternative === 'two-sided' ? alpha / 2 : alpha;
  return {
    ...test,
    method: `${test.method}, corrected for skewness by Hall’s transformation`,
    pValue: symmetricPValue(transformed(statistic, skewness), alternative, (t) => studentSurvival(t, df!)),
    confidenceInterval: [
      alternative === 'less' ? Number.NEGATIVE_INFINITY : limit(tail, 1),
      alternative === 'greater' ? Number.POSITIVE_INFINITY : limit(tail, -1),
    ],
  };
}

function transformed(t: number, skewness: number): number {
  return t + (skewness * t * t) / 3 + (skewness * skewness * t ** 3) / 27 + skewness / 6;
}

function untransformed(z: number, skewness: number): number {
  return (3 / skewness) * (Math.cbrt(1 + skewness * (z - skewness / 6)) - 1);
}
