/** Descriptive statistics of one sample. */

import { type SampleMoments, sampleMoments } from './moments.js';
import { quantileOfSorted } from './quantile.js';
import { checkSample, type Sample } from './sample.js';

export interface Description {
  readonly n: number;
  readonly sum: number;
  readonly mean: number | null;
  /** Denominator n − 1; null below two values. */
  readonly variance: number | null;
  /** Square root of `variance`. */
  readonly stdDev: number | null;
  /** Denominator n. */
  readonly stdDevPopulation: number | null;
  readonly min: number | null;
  readonly max: number | null;
  /** g₁ = m₃/m₂^(3/2) with central moments of denominator n; null for a constant. */
  readonly skewness: number | null;
  /** Excess kurtosis g₂ = m₄/m₂² − 3, 0 for a normal distribution; null for a constant. */
  readonly kurtosis: number | null;
  /** Quantile type 7 at ½. */
  readonly median: number | null;
  /** Why a field is null; absent when none is. */
  readonly reason?: string;
}

/**
 * Describes a sample of finite numbers; the sample is not changed. Two passes with compensated sums: the
 * standard deviation keeps about 15 digits at any offset. Throws ConfigError for a value that is not
 * finite; an empty sample is described by nulls.
 */
export function describe(x: Sample): Description {
  checkSample(x, 'x');
  if (x.length === 0) return { ...EMPTY };
  const moments = sampleMoments(x);
  const { n, sum, mean, min, max, m2, scale } = moments;
  const stdDev = n > 1 ? Math.sqrt(m2 / (n - 1)) * scale : null;
  const variance = n > 1 ? (m2 / (n - 1)) * scale * scale : null;
  const overflowed = variance === Number.POSITIVE_INFINITY;
  const reason = reasonForNull(n, m2, overflowed);
  return {
    n,
    sum,
    mean,
    variance: overflowed ? null : variance,
    stdDev,
    stdDevPopulation: Math.sqrt(m2 / n) * scale,
    min,
    max,
    ...shape(moments),
    median: quantileOfSorted(Float64Array.from(x).sort(), 0.5),
    ...(reason === null ? {} : { reason }),
  };
}

const EMPTY: Description = {
  n: 0,
  sum: 0,
  mean: null,
  variance: null,
  stdDev: null,
  stdDevPopulation: null,
  min: null,
  max: null,
  skewness: null,
  kurtosis: null,
  median: null,
  reason: 'the sample is empty',
};

function shape({ n, m2, m3, m4 }: SampleMoments): Pick<Description, 'skewness' | 'kurtosis'> {
  if (m2 === 0) return { skewness: null, kurtosis: null };
  const second = m2 / n;
  return { skewness: m3 / n / second ** 1.5, kurtosis: m4 / n / (second * second) - 3 };
}

function reasonForNull(n: number, m2: number, overflowed: boolean): string | null {
  if (n === 1) return 'one observation: spread and shape are undefined';
  if (m2 === 0) return 'all values are equal: shape is undefined';
  return overflowed ? 'the variance exceeds the range of a double' : null;
}
