/** Options shared by tests and intervals, and the parts their results share. */

import { ConfigError } from '../errors.js';
import { type Alternative, checkOpenUnit } from './sample.js';

/**
 * `alternative` says what the test is for: 'less' is x below y, 'greater' x above y.
 * `confidenceLevel` and `alpha` = 1 − confidenceLevel are two names of one choice; give either.
 */
export interface Options {
  readonly alternative?: Alternative | undefined;
  readonly confidenceLevel?: number | undefined;
  readonly alpha?: number | undefined;
}

export interface ResolvedOptions {
  readonly alternative: Alternative;
  readonly confidenceLevel: number;
  readonly alpha: number;
}

/** What every result says of itself. */
export interface Result {
  /** The procedure by name. */
  readonly method: string;
  /** What must hold for the answer to mean what it says. */
  readonly assumptions: readonly string[];
  /** Observations per sample. */
  readonly n: readonly number[];
  /** Why a field of the result is null; absent when none is. */
  readonly reason?: string;
}

/** A two-sided interval, or a one-sided one with an infinite end. */
export type Interval = readonly [low: number, high: number];

/** Fills in two-sided and 95 %. Throws ConfigError for a level outside (0, 1) or an unknown alternative. */
export function resolveOptions(options: Options = {}, alphaDefault = 0.05): ResolvedOptions {
  if (options === null || typeof options !== 'object') throw new ConfigError('options', 'an object', options);
  const { alternative = 'two-sided', alpha, confidenceLevel } = options;
  checkAlternative(alternative);
  if (alpha !== undefined) checkOpenUnit(alpha, 'alpha');
  if (confidenceLevel !== undefined) checkOpenUnit(confidenceLevel, 'confidenceLevel');
  if (alpha !== undefined && confidenceLevel !== undefined && Math.abs(alpha + confidenceLevel - 1) > 1e-12) {
    throw new ConfigError('alpha', `1 − confidenceLevel = ${1 - confidenceLevel}`, alpha);
  }
  if (alpha !== undefined) return { alternative, alpha, confidenceLevel: 1 - alpha };
  if (confidenceLevel !== undefined) return { alternative, alpha: 1 - confidenceLevel, confidenceLevel };
  return { alternative, alpha: alphaDefault, confidenceLevel: 1 - alphaDefault };
}

export function checkAlternative(alternative: Alternative): void {
  if (alternative !== 'two-sided' && alternative !== 'less' && alternative !== 'greater') {
    throw new ConfigError('alternative', "'two-sided', 'less' or 'greater'", alternative);
  }
}

/**
 * estimate ± standardError · quantile, on the side or sides that the alternative leaves open. A test at
 * level alpha rejects exactly when the interval excludes the null value. `quantile` maps an upper-tail
 * probability to a multiple of the standard error.
 */
export function intervalAround(
  estimate: number,
  standardError: number,
  { alternative, alpha }: ResolvedOptions,
  quantile: (tail: number) => number,
): Interval {
  const margin = standardError * quantile(alternative === 'two-sided' ? alpha / 2 : alpha);
  return [
    alternative === 'less' ? Number.NEGATIVE_INFINITY : estimate - margin,
    alternative === 'greater' ? Number.POSITIVE_INFINITY : estimate + margin,
  ];
}
