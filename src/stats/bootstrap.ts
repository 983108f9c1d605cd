/** Bootstrap intervals for any statistic of one or several samples. */

import { ConfigError } from '../errors.js';
import { compensatedSum } from './compensated.js';
import { sampleMoments } from './moments.js';
import { normalCdf, normalQuantile } from './normal.js';
import { type Interval, type Options, type Result, resolveOptions } from './options.js';
import { quantileOfSorted } from './quantile.js';
import { SeededRandom } from './random.js';
import { checkNonEmpty, type Sample } from './sample.js';

/** Any function of the samples to one finite number. It may reorder what it is given. */
export type Statistic = (...samples: Float64Array[]) => number;

export interface BootstrapOptions extends Pick<Options, 'confidenceLevel' | 'alpha'> {
  /** 10,000 by default. */
  readonly resamples?: number | undefined;
  /** 'bca' (bias-corrected and accelerated) by default. */
  readonly method?: 'percentile' | 'bca' | undefined;
  /** A whole number; equal seeds give equal intervals. 1 by default. */
  readonly seed?: number | undefined;
}

export interface BootstrapResult extends Result {
  /** The statistic of the data. */
  readonly estimate: number | null;
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
  /** Standard deviation of the statistic over the resamples. */
  readonly standardError: number | null;
  readonly resamples: number;
  readonly seed: number;
}

const NAMED: Record<'mean' | 'median', Statistic> = {
  mean: (sample) => compensatedSum(sample!) / sample!.length,
  median: (sample) => quantileOfSorted(sample!.sort(), 0.5),
};

/**
 * An interval for a statistic, by drawing resamples with replacement. Several samples are given as an
 * array of samples; each is resampled on its own and the statistic takes them in order. Undefined when the
 * statistic is not a number, or the same in every resample.
 *
 * Cost: one evaluation of the statistic per resample, and for 'bca' one more per observation.
 *
 * Source: Efron 1987, Journal of the American Statistical Association 82, 171-185; Efron & Tibshirani
 * 1993, An introduction to the bootstrap, chapter 14 (several samples as in SciPy's bootstrap).
 */
export function bootstrapInterval(
  x: Sample | readonly Sample[],
  statistic: Statistic | 'mean' | 'median',
  options: BootstrapOptions = {},
): BootstrapResult {
  const { confidenceLevel, alpha } = resolveOptions(options);
  const { resamples = 10_000, method = 'bca', seed = 1 } = options;
  if (!(Number.isSafeInteger(resamples) && resamples >= 1)) {
    throw new ConfigError('resamples', 'a whole number, 1 or more', resamples);
  }
  if (method !== 'percentile' && method !== 'bca') {
    throw new ConfigError('method', "'percentile' or 'bca'", method);
  }
  if (!Number.isSafeInteger(seed)) throw new ConfigError('seed', 'a whole number', seed);
  const evaluate = typeof statistic === 'string' ? NAMED[statistic] : statistic;
  if (typeof evaluate !== 'function') {
    throw new ConfigError('statistic', "a function of the sample, 'mean' or 'median'", statistic);
  }
  const samples = samplesOf(x);
  const estimate = evaluate(...samples.map((sample) => sample.slice()));
  const common = {
    method: method === 'bca' ? 'bootstrap, bias-corrected and accelerated' : 'bootstrap, percentile',
    assumptions: ['independent observations', 'samples large enough to stand for their populations'],
    n: samples.map(({ length }) => length),
    estimate: Number.isFinite(estimate) ? estimate : null,
    confidenceLevel,
    resamples,
    seed,
  };
  const undefinedBecause = (reason: string, standardError: number | null = null): BootstrapResult => ({
    ...common,
    confidenceInterval: null,
    standardError,
    reason,
  });
  if (!Number.isFinite(estimate)) return undefinedBecause('the statistic of the data is not a finite number');
  const distribution = resampled(samples, evaluate, resamples, new SeededRandom(seed)).sort();
  if (!distribution.every(Number.isFinite)) {
    return undefinedBecause('the statistic of some resample is not a finite number');
  }
  if (distribution[0] === distribution[resamples - 1]) {
    return undefinedBecause('the statistic is the same in every resample', 0);
  }
  const { m2, scale } = sampleMoments(distribution);
  const standardError = Math.sqrt(m2 / (resamples - 1)) * scale;
  const tails =
    method === 'percentile'
      ? ([alpha / 2, 1 - alpha / 2] as const)
      : correctedTails(alpha, estimate, distribution, jackknife(samples, evaluate));
  if (tails === null) {
    return undefinedBecause(
      'the bias correction is infinite: the data lie outside the resamples',
      standardError,
    );
  }
  return {
    ...common,
    confidenceInterval: [quantileOfSorted(distribution, tails[0]), quantileOfSorted(distribution, tails[1])],
    standardError,
  };
}

function samplesOf(x: Sample | readonly Sample[]): Float64Array[] {
  const several = Array.isArray(x) && x.length > 0 && typeof x[0] === 'object';
  const samples = several ? (x as readonly Sample[]) : [x as Sample];
  return samples.map((sample, i) => {
    checkNonEmpty(sample, several ? `x[${i}]` : 'x');
    return Float64Array.from(sample);
  });
}

function resampled(
  samples: readonly Float64Array[],
  evaluate: Statistic,
  resamples: number,
  random: SeededRandom,
): Float64Array {
  const drawn = samples.map(({ length }) => new Float64Array(length));
  return Float64Array.from({ length: resamples }, () => {
    for (const [k, sample] of samples.entries()) {
      const target = drawn[k]!;
      for (let i = 0; i < target.length; i++) target[i] = sample[random.nextIndex(sample.length)]!;
    }
    return evaluate(...drawn);
  });
}

/** Per sample, the statistic with each observation in turn left out; nothing where only one is there. */
function jackknife(samples: readonly Float64Array[], evaluate: Statistic): Float64Array[] {
  return samples.map((sample, k) =>
    Float64Array.from(sample.length > 1 ? sample : [], (_, left) => {
      const reduced = samples.map((other) => other.slice());
      reduced[k] = sample.filter((_value, i) => i !== left);
      return evaluate(...reduced);
    }),
  );
}

/** The probabilities at which BCa reads the distribution; null where its bias correction is infinite. */
function correctedTails(
  alpha: number,
  estimate: number,
  distribution: Float64Array,
  leftOut: readonly Float64Array[],
): readonly [number, number] | null {
  let below = 0;
  let equal = 0;
  for (const value of distribution) {
    if (value < estimate) below++;
    else if (value === estimate) equal++;
  }
  const bias = normalQuantile((below + equal / 2) / distribution.length);
  if (!Number.isFinite(bias)) return null;
  const a = acceleration(leftOut);
  const corrected = (z: number) => normalCdf(bias + (bias + z) / (1 - a * (bias + z)));
  const z = normalQuantile(alpha / 2);
  return [corrected(z), corrected(-z)];
}

/** Σ U³ / (6 (Σ U²)^1.5) over influence values U; 0 where leaving out an observation never matters. */
function acceleration(leftOut: readonly Float64Array[]): number {
  let squares = 0;
  let cubes = 0;
  for (const values of leftOut) {
    const n = values.length;
    const mean = compensatedSum(values) / n;
    for (const value of values) {
      const influence = ((n - 1) / n) * (mean - value);
      squares += influence ** 2;
      cubes += influence ** 3;
    }
  }
  const a = cubes / (6 * squares ** 1.5);
  return Number.isFinite(a) ? a : 0;
}
