/** Differences of means within strata, such as models or countries, weighted to one mix: post-stratification. */

import { ConfigError } from '../errors.js';
import { armOf, meanDifference } from './arm.js';
import { type Options, type Result, resolveOptions } from './options.js';
import type { Sample, Summary } from './sample.js';
import { studentResult, type TTestResult } from './t-tests.js';

/** One stratum of both arms. */
export interface Stratum {
  readonly x: Sample | Summary;
  readonly y: Sample | Summary;
}

export interface PostStratifiedResult extends Omit<TTestResult, 'estimate'> {
  readonly estimate: number | null;
  /** Means of both arms as they would be in the mix of both together. */
  readonly means: readonly [x: number | null, y: number | null];
  /** Strata that both arms have two observations of. */
  readonly strata: number;
  /** Observations of the others, which are in no figure. */
  readonly leftOut: number;
}

const LABELS: Pick<Result, 'method' | 'assumptions'> = {
  method: 't-test of means post-stratified to the mix of both arms',
  assumptions: [
    'independent observations',
    'strata that the treatment does not change',
    'means nearly normal within strata, or many observations',
  ],
};

/**
 * The difference of means within strata, each weighted by its share of both arms together, so that arms of different
 * mixes are compared as if they had one. The strata must be what the treatment cannot change.
 *
 * Source: Miratrix, Sekhon & Yu 2013, Journal of the Royal Statistical Society B 75, 369-396; the variance has a term for
 * the strata's shares being those of a sample.
 */
export function postStratifiedTest(strata: readonly Stratum[], options?: Options): PostStratifiedResult {
  const resolved = resolveOptions(options);
  if (!Array.isArray(strata)) throw new ConfigError('strata', 'an array of { x, y }', strata);
  const arms = (strata as readonly Stratum[]).map(({ x, y }, i) => ({
    x: isNothing(x) ? null : armOf(x, `strata[${i}].x`),
    y: isNothing(y) ? null : armOf(y, `strata[${i}].y`),
  }));
  const kept = arms.flatMap(({ x, y }) =>
    x !== null && y !== null && x.variance !== null && y.variance !== null ? [{ x, y }] : [],
  );
  const total = kept.reduce((sum, { x, y }) => sum + x.n + y.n, 0);
  const all = arms.reduce((sum, { x, y }) => sum + (x?.n ?? 0) + (y?.n ?? 0), 0);
  const n = [kept.reduce((sum, { x }) => sum + x.n, 0), kept.reduce((sum, { y }) => sum + y.n, 0)];
  const common = { ...LABELS, n, strata: kept.length, leftOut: all - total };
  const weighted = kept.map(({ x, y }) => ({ x, y, weight: (x.n + y.n) / total }));
  const estimate = weighted.reduce((sum, { x, y, weight }) => sum + weight * meanDifference(x, y), 0);
  const parts = weighted.flatMap(({ x, y, weight }) =>
    [x, y].map((arm) => ({ variance: (weight * weight * arm.variance!) / arm.n, df: arm.n - 1 })),
  );
  const within = parts.reduce((sum, { variance }) => sum + variance, 0);
  const between = weighted.reduce(
    (sum, { x, y, weight }) => sum + weight * (meanDifference(x, y) - estimate) ** 2,
    0,
  );
  const standardError = Math.sqrt(within + between / total);
  if (kept.length === 0 || !(standardError > 0)) {
    return {
      ...common,
      estimate: kept.length === 0 ? null : estimate,
      means: kept.length === 0 ? [null, null] : meansOf(weighted),
      statistic: null,
      df: null,
      pValue: null,
      alternative: resolved.alternative,
      standardError: null,
      confidenceInterval: null,
      confidenceLevel: resolved.confidenceLevel,
      reason:
        kept.length === 0
          ? 'no stratum has two observations of each arm'
          : 'within each stratum of each arm nothing varies: the standard error is 0',
    };
  }
  // Satterthwaite's; where only the shares vary, of all observations.
  const df =
    within > 0
      ? within ** 2 / parts.reduce((sum, part) => sum + part.variance ** 2 / part.df, 0)
      : total - 2 * kept.length;
  return { ...common, means: meansOf(weighted), ...studentResult(estimate, standardError, df, resolved) };
}

function meansOf(
  weighted: readonly { x: { mean: number }; y: { mean: number }; weight: number }[],
): [number, number] {
  return [
    weighted.reduce((sum, { x, weight }) => sum + weight * x.mean, 0),
    weighted.reduce((sum, { y, weight }) => sum + weight * y.mean, 0),
  ];
}

function isNothing(input: Sample | Summary): boolean {
  return typeof input === 'object' && input !== null && ('length' in input ? input.length : input.n) === 0;
}
