/** Means and ratios of observations that come in clusters, such as the requests of a user. */

import { ConfigError } from '../errors.js';
import { studentUpperQuantile } from './distributions.js';
import {
  type Interval,
  intervalAround,
  type Options,
  type ResolvedOptions,
  type Result,
  resolveOptions,
} from './options.js';
import { checkSample, type Sample, tooFewSamples } from './sample.js';
import { studentResult, type TTestResult } from './t-tests.js';

/**
 * What each cluster adds to a ratio of sums: of a mean, the sum of its values and their number. In any order; the
 * totals of a cluster that is in several parts of the data add up.
 */
export interface ClusterTotals {
  readonly of: ArrayLike<number>;
  readonly per: ArrayLike<number>;
}

export interface ClusterEstimate {
  /** Null where what is below adds up to 0. */
  readonly estimate: number | null;
  readonly standardError: number | null;
  readonly df: number | null;
  /** That add anything. */
  readonly clusters: number;
  /** The sum of what is below: of a mean, the observations. */
  readonly n: number;
}

/**
 * The sum of what is above over the sum of what is below, with a standard error that takes clusters as they are: CR2,
 * which is unbiased where observations are independent, whatever the clusters' sizes. Degrees of freedom by Satterthwaite
 * for clusters whose observations are alike: the fewest that any dependence within them leaves. With one observation a
 * cluster both are those of Student's t.
 *
 * Source: Bell & McCaffrey 2002, Survey Methodology 28, 169-181; Pustejovsky & Tipton 2018, Journal of Business &
 * Economic Statistics 36, 672-683. For one mean I − H has one eigenvalue that is not 1 per cluster, so that CR2 has a
 * closed form.
 */
export function clusterEstimate({ of, per }: ClusterTotals): ClusterEstimate {
  let clusters = 0;
  let above = 0;
  let n = 0;
  for (let g = 0; g < of.length; g++) {
    above += of[g];
    n += per[g];
    if (of[g] !== 0 || per[g] !== 0) clusters++;
  }
  const estimate = above / n;
  if (clusters === 0 || !Number.isFinite(estimate))
    return { estimate: null, standardError: null, df: null, clusters, n };
  let variance = 0;
  // Of Satterthwaite's ratio. With v the clusters' variances and w their weights, the weighted residuals have covariances
  // √w_g √w_h (v_g [g = h] − s_g v_h − s_h v_g + s_g s_h V), where s is a share of n: sums of products of one factor each.
  let total = 0;
  for (let g = 0; g < of.length; g++) total += per[g] * per[g];
  let trace = 0;
  let own = 0;
  const sums = { vv: 0, vs: 0, ss: 0, diagonal: 0 };
  for (let g = 0; g < of.length; g++) {
    const share = per[g] / n;
    if (!(share < 1)) return { estimate, standardError: null, df: null, clusters, n };
    const weight = 1 / (1 - share);
    const residual = of[g] - estimate * per[g];
    variance += residual * residual * weight;
    const v = (per[g] * per[g]) / total;
    const shared = -2 * share * v + share * share;
    trace += weight * (v + shared);
    own += (weight * (v + shared)) ** 2;
    sums.vv += weight * v * v;
    sums.vs += weight * v * share;
    sums.ss += weight * share * share;
    sums.diagonal += (weight * shared) ** 2;
  }
  // Σ_gh w_g w_h (s_g v_h + s_h v_g − s_g s_h)², and its diagonal replaced by what stands there.
  const { vv, vs, ss, diagonal } = sums;
  const all = 2 * ss * vv + 2 * vs * vs - 4 * ss * vs + ss * ss;
  const traceOfSquare = all - diagonal + own;
  const df = (trace * trace) / traceOfSquare;
  return { estimate, standardError: Math.sqrt(variance) / Math.abs(n), df, clusters, n };
}

export interface ClusteredMeanResult extends Result {
  readonly estimate: number | null;
  readonly standardError: number | null;
  readonly df: number | null;
  readonly clusters: number;
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
}

/**
 * The mean of values in clusters, with a cluster-robust standard error (CR2).
 * @param clusters - beside `x`: of which cluster each value is
 */
export function clusteredMean(
  x: Sample,
  clusters: ArrayLike<string | number>,
  options?: Pick<Options, 'alpha' | 'confidenceLevel'>,
): ClusteredMeanResult {
  const resolved = resolveOptions(options);
  const found = clusterEstimate(clusterTotals(x, clusters));
  const { estimate, standardError, df } = found;
  const reason = standardError === null ? 'fewer than two clusters: nothing shows how clusters differ' : null;
  return {
    method: METHOD,
    assumptions: ASSUMPTIONS,
    n: [x.length],
    estimate,
    standardError,
    df,
    clusters: found.clusters,
    confidenceInterval:
      standardError === null
        ? null
        : intervalAround(estimate!, standardError, resolved, (tail) => studentUpperQuantile(tail, df!)),
    confidenceLevel: resolved.confidenceLevel,
    ...(reason !== null && { reason }),
  };
}

const METHOD = 'cluster-robust standard error (CR2), Satterthwaite degrees of freedom';
const ASSUMPTIONS: readonly string[] = [
  'independent clusters, of whatever dependence within them',
  'no cluster so large that it decides alone',
];

/** Totals of each cluster, in the order in which the clusters are met. */
export function clusterTotals(x: Sample, clusters: ArrayLike<string | number>): ClusterTotals {
  checkSample(x, 'x');
  if (x.length === 0) throw tooFewSamples('x', 1, 0);
  if (clusters.length !== x.length)
    throw new ConfigError('clusters', `${x.length} names, as values in x`, clusters.length);
  const places = new Map<string | number, number>();
  const of: number[] = [];
  const per: number[] = [];
  for (let i = 0; i < x.length; i++) {
    const name = clusters[i];
    let place = places.get(name);
    if (place === undefined) {
      place = of.push(0) - 1;
      per.push(0);
      places.set(name, place);
    }
    of[place] += x[i];
    per[place]++;
  }
  return { of, per };
}

export interface ClusteredTestResult extends Omit<TTestResult, 'estimate'> {
  /** Of x − of y. */
  readonly estimate: number | null;
}

/**
 * The test of two means or ratios whose observations come in clusters, those of x being others than those of y. With
 * one observation a cluster it is Welch's.
 */
export function clusteredTest(x: ClusterTotals, y: ClusterTotals, options?: Options): ClusteredTestResult {
  return clusteredDifference(clusterEstimate(x), clusterEstimate(y), resolveOptions(options));
}

function clusteredDifference(
  a: ClusterEstimate,
  b: ClusterEstimate,
  options: ResolvedOptions,
): ClusteredTestResult {
  const { alternative, confidenceLevel } = options;
  const labels = { method: `t-test, ${METHOD}`, assumptions: ASSUMPTIONS, n: [a.clusters, b.clusters] };
  const estimate = a.estimate === null || b.estimate === null ? null : a.estimate - b.estimate;
  const reason = problemOf(a, b);
  if (reason !== null) {
    const nothing = {
      statistic: null,
      df: null,
      pValue: null,
      standardError: null,
      confidenceInterval: null,
    };
    return { ...labels, ...nothing, alternative, estimate, confidenceLevel, reason };
  }
  const [fromA, fromB] = [a.standardError! ** 2, b.standardError! ** 2];
  const share = fromA / (fromA + fromB);
  const df = 1 / (share ** 2 / a.df! + (1 - share) ** 2 / b.df!);
  const standardError = Math.sqrt(fromA + fromB);
  return { ...labels, ...studentResult(estimate!, standardError, df, options) };
}

function problemOf(a: ClusterEstimate, b: ClusterEstimate): string | null {
  if (a.estimate === null || b.estimate === null) return 'what is below adds up to 0';
  if (a.standardError === null || b.standardError === null) {
    return 'fewer than two clusters in an arm: nothing shows how clusters differ';
  }
  return a.standardError === 0 && b.standardError === 0 ? 'within each arm all clusters are alike' : null;
}
