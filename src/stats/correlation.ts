/** Association of two measurements of the same things. */

import { ConfigError } from '../errors.js';
import { CompensatedSum } from './compensated.js';
import { studentSurvival, symmetricPValue } from './distributions.js';
import { sampleMoments } from './moments.js';
import { normalQuantile } from './normal.js';
import { type Interval, type Options, type ResolvedOptions, type Result, resolveOptions } from './options.js';
import { PooledRanks } from './ranks.js';
import { type Alternative, checkNonEmpty, type Sample } from './sample.js';

export interface CorrelationResult extends Result {
  /** t = r √(df/(1 − r²)); infinite where |r| is 1. */
  readonly statistic: number | null;
  readonly df: number | null;
  readonly pValue: number | null;
  /** 'less' is a negative correlation. */
  readonly alternative: Alternative;
  /** r or ρ, from −1 to 1. */
  readonly estimate: number | null;
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
}

/**
 * Pearson's correlation of pairs, with the t-test that it is 0 and Fisher's interval. r needs two pairs
 * and variance on both sides, the test three pairs, the interval four.
 *
 * Source: Fisher 1915 and 1921, Biometrika 10, 507-521 and Metron 1, 3-32.
 */
export function pearson(x: Sample, y: Sample, options?: Options): CorrelationResult {
  checkPairs(x, y);
  const labels = {
    method: 'Pearson product-moment correlation',
    assumptions: ['independent pairs', 'jointly normal, for the test and the interval'],
  };
  return correlation(labels, x, y, () => 1, resolveOptions(options));
}

/**
 * Spearman's rank correlation, ties sharing ranks, with the t approximation of its test and the interval of
 * Bonett & Wright 2000, Psychometrika 65, 23-28.
 */
export function spearman(x: Sample, y: Sample, options?: Options): CorrelationResult {
  checkPairs(x, y);
  const labels = {
    method: 'Spearman rank correlation, t approximation',
    assumptions: ['independent pairs', 'at least about ten pairs, for the test and the interval'],
  };
  return correlation(labels, ranksOf(x), ranksOf(y), (rho) => 1 + (rho * rho) / 2, resolveOptions(options));
}

function correlation(
  labels: Pick<Result, 'method' | 'assumptions'>,
  x: Sample,
  y: Sample,
  varianceFactor: (r: number) => number,
  options: ResolvedOptions,
): CorrelationResult {
  const { alternative, confidenceLevel } = options;
  const n = x.length;
  const common = { ...labels, n: [n], alternative, confidenceLevel };
  const r = productMoment(x, y);
  if (typeof r === 'string') {
    const absent = { statistic: null, df: null, pValue: null, estimate: null, confidenceInterval: null };
    return { ...common, ...absent, reason: r };
  }
  const df = n - 2;
  if (df === 0) {
    const absent = { statistic: null, df: null, pValue: null, confidenceInterval: null };
    return { ...common, ...absent, estimate: r, reason: 'two pairs: always on a line' };
  }
  const statistic = r * Math.sqrt(df / ((1 - r) * (1 + r)));
  const tested = {
    ...common,
    statistic,
    df,
    pValue: symmetricPValue(statistic, alternative, (t) => studentSurvival(t, df)),
    estimate: r,
  };
  if (n === 3) return { ...tested, confidenceInterval: null, reason: 'the interval needs four pairs' };
  return { ...tested, confidenceInterval: fisherInterval(r, varianceFactor(r) / (n - 3), options) };
}

function fisherInterval(r: number, variance: number, { alternative, alpha }: ResolvedOptions): Interval {
  const z = -normalQuantile(alternative === 'two-sided' ? alpha / 2 : alpha);
  const centre = Math.atanh(r);
  const margin = z * Math.sqrt(variance);
  return [
    alternative === 'less' ? -1 : Math.tanh(centre - margin),
    alternative === 'greater' ? 1 : Math.tanh(centre + margin),
  ];
}

/** r of pairs, or why it is undefined. Deviations are from means in two doubles, sums compensated. */
function productMoment(x: Sample, y: Sample): number | string {
  const n = x.length;
  if (n < 2) return 'one pair: a correlation needs two';
  const a = sampleMoments(x);
  const b = sampleMoments(y);
  if (a.m2 === 0 || b.m2 === 0) return `${a.m2 === 0 ? 'x' : 'y'} is constant: the correlation is 0/0`;
  const products = new CompensatedSum();
  for (let i = 0; i < n; i++) {
    products.add(((x[i]! - a.mean - a.meanLow) / a.scale) * ((y[i]! - b.mean - b.meanLow) / b.scale));
  }
  const r = products.value / Math.sqrt(a.m2 * b.m2);
  return Math.min(1, Math.max(-1, r));
}

function ranksOf(sample: Sample): Float64Array {
  const ranks = new PooledRanks([sample]);
  return Float64Array.from(sample, (value) => ranks.rankOf(value));
}

function checkPairs(x: Sample, y: Sample): void {
  checkNonEmpty(x, 'x');
  checkNonEmpty(y, 'y');
  if (x.length !== y.length) throw new ConfigError('y', `${x.length} values, as in x`, y.length);
}
