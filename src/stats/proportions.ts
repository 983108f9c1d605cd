/** Proportions: intervals for one, and the test of two. */

import { ConfigError } from '../errors.js';
import { betaQuantile, symmetricPValue } from './distributions.js';
import { normalQuantile, normalSurvival } from './normal.js';
import { type Interval, intervalAround, type Options, type Result, resolveOptions } from './options.js';
import { type Alternative, checkCount, checkOpenUnit, tooFewSamples } from './sample.js';

/** Successes among n independent trials. */
export interface Proportion {
  readonly successes: number;
  readonly n: number;
}

export interface ProportionIntervalResult extends Result {
  /** successes / n. */
  readonly estimate: number;
  readonly confidenceInterval: Interval;
  readonly confidenceLevel: number;
}

export type ProportionIntervalMethod = 'wilson' | 'clopper-pearson' | 'agresti-coull' | 'jeffreys';

/** Wilson's score interval for a proportion: close to its level for any n, and never outside [0, 1]. */
export function wilsonInterval(
  successes: number,
  n: number,
  confidenceLevel = 0.95,
): ProportionIntervalResult {
  return proportionInterval(successes, n, { confidenceLevel, method: 'wilson' });
}

/**
 * A two-sided interval for a proportion. 'clopper-pearson' is exact: it never covers less than its level,
 * and usually more.
 *
 * Source: Brown, Cai & DasGupta 2001, Statistical Science 16, 101-133.
 */
export function proportionInterval(
  successes: number,
  n: number,
  options: { readonly confidenceLevel?: number; readonly method?: ProportionIntervalMethod } = {},
): ProportionIntervalResult {
  const { confidenceLevel = 0.95, method = 'wilson' } = options;
  checkOpenUnit(confidenceLevel, 'confidenceLevel');
  checkProportion({ successes, n }, '');
  const formula = INTERVALS[method];
  if (formula === undefined) {
    throw new ConfigError('method', "'wilson', 'clopper-pearson', 'agresti-coull' or 'jeffreys'", method);
  }
  return {
    method: formula.name,
    assumptions: ['independent trials with one probability'],
    n: [n],
    estimate: successes / n,
    confidenceInterval: formula.interval(successes, n, (1 - confidenceLevel) / 2),
    confidenceLevel,
  };
}

const INTERVALS: Record<
  ProportionIntervalMethod,
  { name: string; interval: (successes: number, n: number, tail: number) => Interval }
> = {
  wilson: { name: 'Wilson score interval', interval: wilson },
  'clopper-pearson': {
    name: 'Clopper-Pearson exact interval',
    interval: (successes, n, tail) => [
      successes === 0 ? 0 : betaQuantile(tail, successes, n - successes + 1),
      successes === n ? 1 : betaQuantile(1 - tail, successes + 1, n - successes),
    ],
  },
  'agresti-coull': {
    name: 'Agresti-Coull interval',
    interval: (successes, n, tail) => {
      const z = -normalQuantile(tail);
      const trials = n + z * z;
      const centre = (successes + (z * z) / 2) / trials;
      const margin = z * Math.sqrt((centre * (1 - centre)) / trials);
      return [Math.max(0, centre - margin), Math.min(1, centre + margin)];
    },
  },
  jeffreys: {
    name: 'Jeffreys equal-tailed interval',
    interval: (successes, n, tail) => [
      betaQuantile(tail, successes + 0.5, n - successes + 0.5),
      betaQuantile(1 - tail, successes + 0.5, n - successes + 0.5),
    ],
  },
};

function wilson(successes: number, n: number, tail: number): Interval {
  const z = -normalQuantile(tail);
  const p = successes / n;
  const shrink = 1 + (z * z) / n;
  const centre = (p + (z * z) / (2 * n)) / shrink;
  const margin = (z / shrink) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return [successes === 0 ? 0 : centre - margin, successes === n ? 1 : centre + margin];
}

export interface TwoProportionResult extends Result {
  /** z, with the proportion pooled over both arms. */
  readonly statistic: number | null;
  readonly pValue: number | null;
  readonly alternative: Alternative;
  /** p(x) − p(y). */
  readonly estimate: number;
  /** Newcombe's interval of the difference, from the Wilson intervals of both arms. */
  readonly confidenceInterval: Interval;
  /** The unpooled normal interval of the difference, within [−1, 1] where it is finite; null where both arms are all successes or all failures. */
  readonly waldInterval: Interval | null;
  readonly confidenceLevel: number;
}

/**
 * The z-test that two proportions are equal. Undefined when all trials of both arms had one outcome; the
 * interval is defined even then.
 *
 * Source: the interval is method 10 of Newcombe 1998, Statistics in Medicine 17, 873-890.
 */
export function twoProportionZ(x: Proportion, y: Proportion, options?: Options): TwoProportionResult {
  const resolved = resolveOptions(options);
  const { alternative, alpha, confidenceLevel } = resolved;
  checkProportion(x, 'x.');
  checkProportion(y, 'y.');
  const px = x.successes / x.n;
  const py = y.successes / y.n;
  const estimate = px - py;
  const unpooledError = Math.sqrt((px * (1 - px)) / x.n + (py * (1 - py)) / y.n);
  const common = {
    method: 'two-proportion z-test, pooled',
    assumptions: ['independent trials', 'at least about five successes and five failures per arm'],
    n: [x.n, y.n],
    alternative,
    estimate,
    confidenceInterval: newcombe(x, y, alternative, alpha),
    waldInterval:
      unpooledError > 0
        ? withinDifferences(
            intervalAround(estimate, unpooledError, resolved, (tail) => -normalQuantile(tail)),
          )
        : null,
    confidenceLevel,
  };
  const pooled = (x.successes + y.successes) / (x.n + y.n);
  if (pooled === 0 || pooled === 1) {
    const reason = 'all trials had the same outcome: the standard error under the null is 0';
    return { ...common, statistic: null, pValue: null, reason };
  }
  const statistic = estimate / Math.sqrt(pooled * (1 - pooled) * (1 / x.n + 1 / y.n));
  return { ...common, statistic, pValue: symmetricPValue(statistic, alternative, normalSurvival) };
}

function newcombe(x: Proportion, y: Proportion, alternative: Alternative, alpha: number): Interval {
  const tail = alternative === 'two-sided' ? alpha / 2 : alpha;
  const [lowX, highX] = wilson(x.successes, x.n, tail);
  const [lowY, highY] = wilson(y.successes, y.n, tail);
  const px = x.successes / x.n;
  const py = y.successes / y.n;
  return [
    alternative === 'less' ? -1 : px - py - Math.hypot(px - lowX, highY - py),
    alternative === 'greater' ? 1 : px - py + Math.hypot(highX - px, py - lowY),
  ];
}

/** Throws unless 0 <= successes <= n, both counts, and n is at least 1. */
export function checkProportion({ successes, n }: Proportion, prefix: string): void {
  checkCount(n, `${prefix}n`);
  checkCount(successes, `${prefix}successes`);
  if (n === 0) throw tooFewSamples(`${prefix}n`, 1, 0);
  if (successes > n) throw new ConfigError(`${prefix}successes`, `at most n = ${n}`, successes);
}

/** An end that the alternative leaves open stays so. */
function withinDifferences([low, high]: Interval): Interval {
  return [Number.isFinite(low) ? Math.max(-1, low) : low, Number.isFinite(high) ? Math.min(1, high) : high];
}
