/**
 * The difference of two arms' quantiles, by the bootstrap.
 *
 * A quantile of a resample depends on two of its order statistics only, and where those lie among the data is known
 * in distribution: the k-th smallest of n draws with replacement is the value at n·U, with U the k-th smallest of n
 * uniform numbers, a ratio of gamma variates. So a resample takes four random variates however many values there
 * are, and the result is distributed as that of drawing n values and sorting them.
 *
 * Percentile intervals: the jackknife is inconsistent for quantiles, so that BCa has no acceleration to go by
 * (Efron & Tibshirani 1993, section 11.5).
 */

import { finiteOrNull } from '../../stats/moments.js';
import { normalQuantile } from '../../stats/normal.js';
import type { Interval } from '../../stats/options.js';
import { intervalOfSorted } from '../../stats/order-statistics.js';
import { quantileOfSorted } from '../../stats/quantile.js';
import { SeededRandom } from '../../stats/random.js';
import { sequentialQuantileInterval, sequentialQuantilesOfSorted } from '../../stats/sequential-quantiles.js';
import { type Finding, finiteInterval, missingFrom, noFinding, outcomeOf, POWER } from './finding.js';
import type { Observed } from './observed.js';
import type { Settings } from './options.js';
import { onSample, samplingOf } from './sampling.js';
import { streamSeed } from './streams.js';
import type { ArmEstimate, TestOutcome } from './types.js';

const CONSERVATIVE =
  'conservative: the estimates are of all values, but their spread is that of a random sample, which is wider';

/** Fewest values of which one lies beyond the quantile, on either side, with probability 1 − alpha/2: 72 at p95 and 5 %. */
export function fewestFor(p: number, alpha: number): number {
  return Math.ceil(Math.log(alpha / 2) / Math.log(Math.max(p, 1 - p)));
}

/** An arm's quantile. */
export interface ArmQuantile {
  readonly observed: Observed;
  /** From 0 to 1. */
  readonly p: number;
  /** Of all values; null where there are none, or only their summary is known. */
  readonly estimate: number | null;
  /** Of the arm's resamples, in the order drawn; null where there are too few values for it, or nobody asked. */
  readonly resampled: Float64Array | null;
}

/** `exact` is of all values, where they are more than are kept. */
export function quantileOf(observed: Observed, p: number, exact: number | null): ArmQuantile {
  const { n, sorted, sampled } = observed;
  if (sorted === null || n === 0) return { observed, p, estimate: null, resampled: null };
  const estimate = sampled === null ? null : exact;
  return { observed, p, estimate: estimate ?? quantileOfSorted(sorted, p), resampled: null };
}

/**
 * With resamples. Those of a random sample are spread as its percentile is, and that is wider than the percentile of
 * all values; they are moved to lie around the latter, which is known.
 */
export function resampledQuantile(quantile: ArmQuantile, stream: number, settings: Settings): ArmQuantile {
  const { p, observed } = quantile;
  const { sorted } = observed;
  if (sorted === null || sorted.length < fewestFor(p, settings.alpha)) return quantile;
  const random = new SeededRandom(streamSeed(settings.seed, 'bootstrap', stream));
  const shift = observed.sampled === null ? 0 : quantile.estimate! - quantileOfSorted(sorted, p);
  const resampled = Float64Array.from(
    { length: settings.resamples },
    () => resampleQuantile(sorted, p, random) + shift,
  );
  return { ...quantile, resampled };
}

/** Quantile (type 7) of one resample of the ascending values, of which there are at least two. */
export function resampleQuantile(sorted: Float64Array, p: number, random: SeededRandom): number {
  const n = sorted.length;
  const position = (n - 1) * p + 1;
  const rank = Math.min(Math.floor(position), n - 1);
  // The n + 1 gaps that n uniform numbers leave, as shares of a sum of exponential variates.
  const below = gamma(rank, random);
  const gap = gamma(1, random);
  const above = gamma(n - rank, random);
  const total = below + gap + above;
  const low = sorted[Math.min(n - 1, Math.floor((below / total) * n))];
  const high = sorted[Math.min(n - 1, Math.floor(((below + gap) / total) * n))];
  return low + (high - low) * (position - rank);
}

/**
 * A gamma variate of scale 1 and shape 1 or more.
 *
 * Source: Marsaglia & Tsang 2000, ACM Transactions on Mathematical Software 26, 363-372.
 */
function gamma(shape: number, random: SeededRandom): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normalQuantile(uniform(random));
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(uniform(random)) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Between 0 and 1, neither included. */
function uniform(random: SeededRandom): number {
  return (random.nextUint32() + 0.5) / 2 ** 32;
}

/** `what` names the values: 'latencies'. */
export function compareQuantiles(
  old: ArmQuantile,
  now: ArmQuantile,
  what: string,
  settings: Settings,
): Finding {
  const { alpha, resamples, seed } = settings;
  const baseline = estimateOf(old, alpha);
  const treatment = estimateOf(now, alpha);
  const missing = missingFrom(old.observed.n, now.observed.n, what);
  if (missing !== null) return noFinding(baseline, treatment, missing);
  if (old.resampled === null || now.resampled === null) {
    const summaries = old.observed.sorted === null || now.observed.sorted === null;
    const reason = summaries
      ? 'needs the values, and only their summary is known'
      : `fewer than ${fewestFor(old.p, alpha)} ${what} in an arm: nothing bounds its ${percentile(old.p)} from ${old.p < 0.5 ? 'below' : 'above'}`;
    return noFinding(baseline, treatment, reason);
  }
  const oldDraws = old.resampled;
  const differences = now.resampled.map((value, i) => value - oldDraws[i]).sort();
  const sampling = samplingOf(old.observed, now.observed, settings);
  const assumptions = [
    'independent observations, of the arms as well, paired or not',
    `enough values beyond the ${percentile(old.p)} to show how they are spread`,
    ...(sampling === null ? [] : [CONSERVATIVE]),
  ];
  const nothingVaries = differences[0] === differences[resamples - 1];
  const reason = nothingVaries ? 'the difference is the same in every resample' : undefined;
  const outcome: TestOutcome = {
    method: `percentile bootstrap of order statistics, ${resamples} resamples, seed ${seed}`,
    statistic: null,
    df: null,
    pValue: nothingVaries ? null : signPValue(differences),
    effectSize: null,
    assumptions,
    ...(reason !== undefined && { reason }),
  };
  const test = onSample(outcome, sampling);
  const difference = finiteOrNull(treatment.estimate! - baseline.estimate!);
  return {
    baseline,
    treatment,
    difference,
    confidenceInterval: nothingVaries ? null : finiteInterval(percentileInterval(differences, alpha)),
    intervalMethod: test.method,
    tests: [test],
    requiredN: requiredN(old, now, difference, alpha),
    assumptions,
    reason,
  };
}

/** Valid at every look, from the first value on. */
export function watchQuantiles(
  old: ArmQuantile,
  now: ArmQuantile,
  what: string,
  settings: Settings,
): Finding {
  const { alpha } = settings;
  const { tuning } = settings.sequential!;
  const [baseline, treatment] = [old, now].map(({ observed: { n, sorted, sampled }, p, estimate }) => ({
    estimate,
    n,
    confidenceInterval:
      sorted === null || sampled !== null || n === 0
        ? null
        : finiteInterval(sequentialQuantileInterval(sorted, p, alpha, tuning)),
  }));
  const missing = missingFrom(old.observed.n, now.observed.n, what);
  if (missing !== null) return noFinding(baseline, treatment, missing);
  const [before, after] = [old.observed.sorted, now.observed.sorted];
  if (before === null || after === null || old.observed.sampled !== null || now.observed.sampled !== null) {
    return noFinding(baseline, treatment, 'needs all values, and an arm has more than are held');
  }
  const test = sequentialQuantilesOfSorted(before, after, old.p, { alpha, tuning });
  const interval = finiteInterval(test.confidenceInterval);
  return {
    baseline,
    treatment,
    difference: finiteOrNull(test.estimate),
    confidenceInterval: interval,
    intervalMethod: test.method,
    tests: [outcomeOf(test)],
    requiredN: null,
    assumptions: test.assumptions,
    scaledInterval: (factor) => {
      if (!(factor > 0)) return null;
      const scaled = before.map((value) => value * factor);
      return finiteInterval(
        sequentialQuantilesOfSorted(scaled, after, old.p, { alpha, tuning }).confidenceInterval,
      );
    },
    ...(interval === null && { reason: 'too early for an interval that is bounded on both sides' }),
  };
}

function estimateOf({ observed, p, estimate, resampled }: ArmQuantile, alpha: number): ArmEstimate {
  const { n } = observed;
  // Of all values the exact interval is known; around those of a sample, the resamples' own.
  const { sorted, sampled } = observed;
  const interval =
    sampled === null
      ? sorted && intervalOfSorted(sorted, p, alpha)
      : resampled && finiteInterval(percentileInterval(resampled.slice().sort(), alpha));
  return { estimate, n, confidenceInterval: interval };
}

/** '95th percentile', '99.9 % quantile'. */
function percentile(p: number): string {
  const percent = Number((100 * p).toPrecision(10));
  return percent > 3 && percent < 100 && Number.isInteger(percent) && ![1, 2, 3].includes(percent % 10)
    ? `${percent}th percentile`
    : `${percent} % quantile`;
}

function percentileInterval(ascending: Float64Array, alpha: number): Interval {
  return [quantileOfSorted(ascending, alpha / 2), quantileOfSorted(ascending, 1 - alpha / 2)];
}

/** Twice the share of resamples on the other side of 0, or on it; never 0 of however many. */
function signPValue(differences: Float64Array): number {
  let above = 0;
  let below = 0;
  for (const difference of differences) {
    if (difference >= 0) above++;
    if (difference <= 0) below++;
  }
  return Math.min(1, (2 * (1 + Math.min(above, below))) / (1 + differences.length));
}

/** Per arm, the bootstrap's variances shrinking as 1/n. */
function requiredN(
  old: ArmQuantile,
  now: ArmQuantile,
  difference: number | null,
  alpha: number,
): number | null {
  if (difference === null || difference === 0) return null;
  const perValue = [old, now].reduce(
    (sum, { observed, resampled }) => sum + observed.sorted!.length * varianceOf(resampled!),
    0,
  );
  const quantiles = normalQuantile(1 - alpha / 2) + normalQuantile(POWER);
  const n = Math.ceil((perValue * quantiles ** 2) / difference ** 2);
  return Number.isSafeInteger(n) && n > 0 ? n : null;
}

function varianceOf(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value / values.length, 0);
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}
