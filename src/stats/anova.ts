/** Analysis of variance: whether several groups have one mean. */

import { ConfigError } from '../errors.js';
import { type Arm, armOf, meanDifference } from './arm.js';
import { fSurvival } from './distributions.js';
import type { Result } from './options.js';
import type { Sample, Summary } from './sample.js';
import { scaled, scaleOf } from './tiny.js';

export interface AnovaResult extends Result {
  /** F = msBetween / msWithin. */
  readonly statistic: number | null;
  /** Between and within groups: k − 1 and N − k. */
  readonly df: readonly [between: number, within: number];
  readonly pValue: number | null;
  readonly ssBetween: number;
  readonly ssWithin: number;
  readonly msBetween: number;
  readonly msWithin: number | null;
  /** η² = ssBetween / (ssBetween + ssWithin), the share of the variance explained in this sample. */
  readonly etaSquared: number | null;
  /** ω², that share without its bias upwards; may be below 0. */
  readonly omegaSquared: number | null;
}

/**
 * One-way analysis of variance, from samples or their summaries. Sums of squares are of deviations from
 * means kept in two doubles, so an offset of 10^12 costs no digits of F beyond those the data have lost.
 *
 * Source: Fisher 1925, Statistical methods for research workers, chapter 7.
 */
export function anova(groups: readonly (Sample | Summary)[]): AnovaResult {
  const scale = Array.isArray(groups) ? scaleOf(...groups) : 1;
  if (scale !== 1) return inUnit(anova(groups.map((group) => scaled(group, scale))), scale);
  const arms = armsOf(groups);
  const total = arms.reduce((sum, { n }) => sum + n, 0);
  const df = [arms.length - 1, total - arms.length] as const;
  // Means relative to the first group's, where they are exact; then to the grand mean.
  const offsets = arms.map((arm) => meanDifference(arm, arms[0]!));
  const grandOffset = arms.reduce((sum, { n }, i) => sum + offsets[i]! * (n / total), 0);
  let ssBetween = 0;
  let ssWithin = 0;
  for (const [i, { n, variance }] of arms.entries()) {
    ssBetween += n * (offsets[i]! - grandOffset) ** 2;
    if (n > 1) ssWithin += (variance ?? Number.POSITIVE_INFINITY) * (n - 1);
  }
  const msBetween = ssBetween / df[0];
  const msWithin = ssWithin / df[1];
  const common = {
    method: 'one-way analysis of variance',
    assumptions: ['independent observations', 'equal variances', 'normal data, or large groups'],
    n: arms.map(({ n }) => n),
    df,
    ssBetween,
    ssWithin,
    msBetween,
  };
  const undefinedBecause = (reason: string): AnovaResult => ({
    ...common,
    statistic: null,
    pValue: null,
    msWithin: df[1] > 0 ? msWithin : null,
    etaSquared: null,
    omegaSquared: null,
    reason,
  });
  if (df[1] === 0) return undefinedBecause('one observation per group: no variance within groups');
  if (ssWithin === 0) return undefinedBecause('every group is constant: the variance within groups is 0');
  if (!(Number.isFinite(ssBetween) && Number.isFinite(ssWithin))) {
    return undefinedBecause('a sum of squares exceeds the range of a double');
  }
  const statistic = msBetween / msWithin;
  return {
    ...common,
    statistic,
    pValue: fSurvival(statistic, df[0], df[1]),
    msWithin,
    etaSquared: ssBetween / (ssBetween + ssWithin),
    omegaSquared: (ssBetween - df[0] * msWithin) / (ssBetween + ssWithin + msWithin),
  };
}

export interface WelchAnovaResult extends Result {
  readonly statistic: number | null;
  readonly df: readonly [between: number, within: number] | null;
  readonly pValue: number | null;
}

/**
 * Welch's test of equal means with variances free to differ. Needs two observations and some variance in
 * every group. With two groups it is Welch's t-test, F = t².
 *
 * Source: Welch 1951, Biometrika 38, 330-336.
 */
export function welchAnova(groups: readonly (Sample | Summary)[]): WelchAnovaResult {
  const scale = Array.isArray(groups) ? scaleOf(...groups) : 1;
  if (scale !== 1) return welchAnova(groups.map((group) => scaled(group, scale)));
  const arms = armsOf(groups);
  const k = arms.length;
  const common = {
    method: 'Welch analysis of variance',
    assumptions: ['independent observations', 'normal data, or large groups'],
    n: arms.map(({ n }) => n),
  };
  const problem = arms.map(weightProblem).find((reason) => reason !== null);
  if (problem !== undefined) return { ...common, statistic: null, df: null, pValue: null, reason: problem };
  const weights = arms.map(({ n, variance }) => n / variance!);
  const totalWeight = weights.reduce((sum, weight) => sum + weight, 0);
  const offsets = arms.map((arm) => meanDifference(arm, arms[0]!));
  const grandOffset = offsets.reduce((sum, offset, i) => sum + offset * (weights[i]! / totalWeight), 0);
  let between = 0;
  let lambda = 0;
  for (const [i, weight] of weights.entries()) {
    between += weight * (offsets[i]! - grandOffset) ** 2;
    lambda += (1 - weight / totalWeight) ** 2 / (arms[i]!.n - 1);
  }
  const statistic = between / (k - 1) / (1 + ((2 * (k - 2)) / (k * k - 1)) * lambda);
  const df = [k - 1, (k * k - 1) / (3 * lambda)] as const;
  return { ...common, statistic, df, pValue: fSurvival(statistic, df[0], df[1]) };
}

/** Sums of squares of the values before they were scaled. */
function inUnit(result: AnovaResult, scale: number): AnovaResult {
  const back = (square: number) => square / scale / scale;
  const { ssBetween, ssWithin, msBetween, msWithin } = result;
  return {
    ...result,
    ssBetween: back(ssBetween),
    ssWithin: back(ssWithin),
    msBetween: back(msBetween),
    msWithin: msWithin === null ? null : back(msWithin),
  };
}

function weightProblem({ n, variance }: Arm, group: number): string | null {
  if (n < 2) return `groups[${group}] has one observation: its variance is undefined`;
  if (variance === null)
    return `the variance of groups[${group}] is missing or exceeds the range of a double`;
  return variance === 0 ? `groups[${group}] is constant: its weight is infinite` : null;
}

function armsOf(groups: readonly (Sample | Summary)[]): Arm[] {
  if (!(Array.isArray(groups) && groups.length >= 2)) {
    throw new ConfigError('groups', 'an array of two samples or more', groups);
  }
  return groups.map((group: Sample | Summary, i) => armOf(group, `groups[${i}]`));
}
