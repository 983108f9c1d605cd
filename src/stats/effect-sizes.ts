/** How large a difference is, apart from whether it is there. */

import { armOf, meanDifference, varianceProblem } from './arm.js';
import { noncentralStudentSurvival } from './distributions.js';
import { stirlingError } from './gamma.js';
import { normalQuantile } from './normal.js';
import { type Interval, type Options, type ResolvedOptions, type Result, resolveOptions } from './options.js';
import { PooledRanks } from './ranks.js';
import { findRoot } from './root.js';
import { checkNonEmpty, type Sample, type Summary } from './sample.js';
import { pooledStdDev } from './t-tests.js';
import { scaled, scaleOf } from './tiny.js';

/** Positive where x is above y. */
export interface EffectSizeResult extends Result {
  readonly estimate: number | null;
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
}

/**
 * Cohen's d: the difference of means in units of the pooled standard deviation. The interval is exact for
 * normal data (it inverts the noncentral t). Needs two observations a side and some variance.
 *
 * Source: Cohen 1988, Statistical power analysis for the behavioral sciences; the interval is in Steiger &
 * Fouladi 1997.
 */
export function cohensD(x: Sample | Summary, y: Sample | Summary, options?: Options): EffectSizeResult {
  return standardizedDifference("Cohen's d", () => 1, x, y, options);
}

/**
 * Hedges' g: Cohen's d without its small-sample bias, by the exact factor
 * J = Γ(df/2)/(√(df/2) Γ((df − 1)/2)).
 *
 * Source: Hedges 1981, Journal of Educational Statistics 6, 107-128.
 */
export function hedgesG(x: Sample | Summary, y: Sample | Summary, options?: Options): EffectSizeResult {
  return standardizedDifference("Hedges' g", biasFactor, x, y, options);
}

/** ln J by Stirling's formula on paper: the large logarithms of both gamma functions cancel there. */
function biasFactor(df: number): number {
  const a = df / 2;
  return Math.exp(-(a - 1) * Math.log1p(-0.5 / a) - 0.5 + stirlingError(a) - stirlingError(a - 0.5));
}

function standardizedDifference(
  method: string,
  factorOf: (df: number) => number,
  x: Sample | Summary,
  y: Sample | Summary,
  options: Options | undefined,
): EffectSizeResult {
  const resolved = resolveOptions(options);
  const scale = scaleOf(x, y);
  const [a, b] = [
    armOf(scale === 1 ? x : scaled(x, scale), 'x'),
    armOf(scale === 1 ? y : scaled(y, scale), 'y'),
  ];
  const common = {
    method,
    assumptions: ['independent observations', 'equal variances', 'normal data, for the interval'],
    n: [a.n, b.n],
    confidenceLevel: resolved.confidenceLevel,
  };
  const problem = varianceProblem(a, b);
  if (problem !== null) return { ...common, estimate: null, confidenceInterval: null, reason: problem };
  const df = a.n + b.n - 2;
  const factor = factorOf(df);
  const d = meanDifference(a, b) / pooledStdDev(a, b);
  if (!Number.isFinite(d)) {
    const reason = 'the ratio exceeds the range of a double';
    return { ...common, estimate: null, confidenceInterval: null, reason };
  }
  const perShift = Math.sqrt(1 / a.n + 1 / b.n);
  const [low, high] = shiftInterval(d / perShift, df, resolved);
  return {
    ...common,
    estimate: factor * d,
    confidenceInterval: [factor * low * perShift, factor * high * perShift],
  };
}

/** Noncentralities that leave an observed t outside neither tail of size alpha/2 (one-sided: alpha). */
function shiftInterval(t: number, df: number, { alternative, alpha }: ResolvedOptions): Interval {
  const tail = alternative === 'two-sided' ? alpha / 2 : alpha;
  return [
    alternative === 'less' ? Number.NEGATIVE_INFINITY : lowerShift(t, df, tail),
    alternative === 'greater' ? Number.POSITIVE_INFINITY : -lowerShift(-t, df, tail),
  ];
}

/** The shift for which P(T > t) is `tail`. */
function lowerShift(t: number, df: number, tail: number): number {
  const survival = (shift: number) =>
    // T mirrored has the shift mirrored; the integral is for t >= 0.
    t >= 0 ? noncentralStudentSurvival(t, df, shift) : 1 - noncentralStudentSurvival(-t, df, -shift);
  const excess = (shift: number) => survival(shift) - tail;
  let low = t;
  for (let stride = 1; excess(low) > 0; stride *= 2) low -= stride;
  let high = t;
  for (let stride = 1; excess(high) < 0; stride *= 2) high += stride;
  return findRoot(excess, low, high);
}

/**
 * Cliff's delta: P(x > y) − P(x < y), from −1 to 1; for samples of any distribution. The interval is
 * null with fewer than two observations a side.
 *
 * Source: Cliff 1996, Multivariate Behavioral Research 31, 331-350; the asymmetric interval is that of
 * Feng & Cliff 2004, Journal of Modern Applied Statistical Methods 3, 322-332.
 */
export function cliffsDelta(x: Sample, y: Sample, options?: Options): EffectSizeResult {
  const { alternative, alpha, confidenceLevel } = resolveOptions(options);
  checkNonEmpty(x, 'x');
  checkNonEmpty(y, 'y');
  const [m, n] = [x.length, y.length];
  const u = new PooledRanks([x, y]).rankSum(x) - (m * (m + 1)) / 2;
  const estimate = (2 * u) / (m * n) - 1;
  const common = {
    method: "Cliff's delta",
    assumptions: ['independent observations', 'large samples, for the interval'],
    n: [m, n],
    estimate,
    confidenceLevel,
  };
  if (m < 2 || n < 2) {
    return { ...common, confidenceInterval: null, reason: 'the interval needs two observations a side' };
  }
  const z = -normalQuantile(alternative === 'two-sided' ? alpha / 2 : alpha);
  const spread = z * z * dominanceVariance(x, y, estimate);
  const centre = estimate - estimate ** 3;
  const margin = Math.sqrt(spread * ((1 - estimate ** 2) ** 2 + spread));
  const scale = 1 - estimate ** 2 + spread;
  if (scale === 0) {
    const reason = 'the samples do not overlap: their dominance has no variance';
    return { ...common, confidenceInterval: null, reason };
  }
  return {
    ...common,
    confidenceInterval: [
      alternative === 'less' ? -1 : (centre - margin) / scale,
      alternative === 'greater' ? 1 : (centre + margin) / scale,
    ],
  };
}

/** The unbiased variance of the mean of sign(xᵢ − yⱼ), at least 0. */
function dominanceVariance(x: Sample, y: Sample, delta: number): number {
  const [m, n] = [x.length, y.length];
  const ranksInX = new PooledRanks([x]);
  const ranksInY = new PooledRanks([y]);
  let rows = 0;
  let ties = 0;
  for (let i = 0; i < m; i++) {
    const { below, equal } = ranksInY.position(x[i]!);
    ties += equal;
    rows += ((2 * below + equal) / n - 1 - delta) ** 2;
  }
  let columns = 0;
  for (let j = 0; j < n; j++) {
    const { below, equal } = ranksInX.position(y[j]!);
    columns += (1 - (2 * below + equal) / m - delta) ** 2;
  }
  const cells = m * n - ties - m * n * delta * delta;
  return Math.max(0, (n * n * rows + m * m * columns - cells) / (m * n * (m - 1) * (n - 1)));
}
