/** One side of a mean comparison, from a sample or from its summary. */

import { ConfigError } from '../errors.js';
import { sampleMoments } from './moments.js';
import { checkCount, checkNonEmpty, type Sample, type Summary, tooFewSamples } from './sample.js';

export interface Arm {
  readonly n: number;
  readonly mean: number;
  /** What rounding took from `mean`. */
  readonly meanLow: number;
  /** Denominator n − 1; null below two observations and where it exceeds the range of a double. */
  readonly variance: number | null;
}

/** Throws AnalysisError for an empty sample, ConfigError for one that is not finite numbers throughout. */
export function armOf(input: Sample | Summary, path: string): Arm {
  if (isSummary(input)) return armOfSummary(input, path);
  checkNonEmpty(input, path);
  const { n, mean, meanLow, m2, scale } = sampleMoments(input);
  const variance = (m2 / (n - 1)) * scale * scale;
  return { n, mean, meanLow, variance: Number.isFinite(variance) ? variance : null };
}

export function isSummary(input: Sample | Summary): input is Summary {
  return input !== null && typeof input === 'object' && !('length' in input) && 'mean' in input;
}

function armOfSummary({ n, mean, variance, meanLow = 0 }: Summary, path: string): Arm {
  checkCount(n, `${path}.n`);
  if (n === 0) throw tooFewSamples(path, 1, 0);
  if (!(typeof mean === 'number' && Number.isFinite(mean))) {
    throw new ConfigError(`${path}.mean`, 'a finite number', mean);
  }
  if (!Number.isFinite(meanLow)) throw new ConfigError(`${path}.meanLow`, 'a finite number', meanLow);
  if (n === 1 || variance === null) return { n, mean, meanLow, variance: null };
  if (!(typeof variance === 'number' && Number.isFinite(variance) && variance >= 0)) {
    throw new ConfigError(`${path}.variance`, 'a finite number, 0 or more', variance);
  }
  return { n, mean, meanLow, variance };
}

/** mean(x) − mean(y), from the unrounded means. */
export function meanDifference(x: Arm, y: Arm): number {
  return x.mean - y.mean + (x.meanLow - y.meanLow);
}

/** Why a comparison that needs both variances is undefined; null if it is defined. */
export function varianceProblem(x: Arm, y: Arm): string | null {
  for (const [arm, name] of [
    [x, 'x'],
    [y, 'y'],
  ] as const) {
    if (arm.n < 2) return `${name} has ${arm.n} observation: its variance is undefined`;
    if (arm.variance === null) return `the variance of ${name} is missing or exceeds the range of a double`;
  }
  if (x.variance === 0 && y.variance === 0) return 'both samples are constant: the standard error is 0';
  return null;
}
