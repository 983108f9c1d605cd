/** What the functions take: samples or their summaries, checked before anything is computed. */

import { AnalysisError, ConfigError } from '../errors.js';

/** Observations in any order; every value finite. */
export type Sample = ArrayLike<number>;

/**
 * What a mean comparison needs of a sample. `variance` has the n − 1 denominator; it is null below two
 * observations. A `Welford` accumulator is one.
 */
export interface Summary {
  readonly n: number;
  readonly mean: number | null;
  readonly variance: number | null;
  /** What rounding took from `mean`; 0 if absent. Keeps the digits of a small difference of large means. */
  readonly meanLow?: number;
}

export type Alternative = 'two-sided' | 'less' | 'greater';

/** Throws ConfigError unless `sample` is array-like and every value is a finite number. */
export function checkSample(sample: Sample, path: string): void {
  if (sample === null || typeof sample !== 'object' || typeof sample.length !== 'number') {
    throw new ConfigError(path, 'an array of numbers', sample);
  }
  for (let i = 0; i < sample.length; i++) {
    const value: unknown = sample[i];
    if (!Number.isFinite(value)) throw new ConfigError(`${path}[${i}]`, 'a finite number', value);
  }
}

/** As checkSample, and at least one value: a sample of nothing supports no estimate at all. */
export function checkNonEmpty(sample: Sample, path: string): void {
  checkSample(sample, path);
  if (sample.length === 0) throw tooFewSamples(path, 1, 0);
}

export function tooFewSamples(path: string, needed: number, actual: number): AnalysisError {
  return new AnalysisError(
    'ERR_TOO_FEW_SAMPLES',
    `${path}: expected at least ${needed} observation${needed === 1 ? '' : 's'}, got ${actual}`,
    { path, needed, actual },
  );
}

/** Throws ConfigError unless `value` is a number in the open interval (0, 1). */
export function checkOpenUnit(value: number, path: string): void {
  if (!(typeof value === 'number' && value > 0 && value < 1)) {
    throw new ConfigError(path, 'a number between 0 and 1, both excluded', value);
  }
}

/** Throws ConfigError unless `value` is a number in [0, 1]. */
export function checkUnit(value: number, path: string): void {
  if (!(typeof value === 'number' && value >= 0 && value <= 1)) {
    throw new ConfigError(path, 'a number from 0 to 1', value);
  }
}

/** Throws ConfigError unless `value` is a finite number above 0. */
export function checkPositive(value: number, path: string): void {
  if (!(Number.isFinite(value) && value > 0)) throw new ConfigError(path, 'a finite number above 0', value);
}

/** Throws ConfigError unless `value` is an integer in [0, 2^53). */
export function checkCount(value: number, path: string): void {
  if (!(Number.isSafeInteger(value) && value >= 0)) {
    throw new ConfigError(path, 'a whole number, 0 or more', value);
  }
}
