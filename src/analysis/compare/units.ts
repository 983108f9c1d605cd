/** Outcomes of arms whose units (users, sessions, …) were randomised, not their events: standard errors by unit. */
import { type ClusterTotals, clusterEstimate, clusteredTest } from '../../stats/clustered.js';
import { studentUpperQuantile } from '../../stats/distributions.js';
import { sampleMoments } from '../../stats/moments.js';
import type { Interval } from '../../stats/options.js';
import { quantileOfSorted } from '../../stats/quantile.js';
import { confidenceSequenceHalfWidth } from '../../stats/sequential.js';
import { differenceSkewness, type SkewedSummary } from '../../stats/skewed.js';
import { type Finding, findingOf, finiteInterval, noFinding, nothingIn } from './finding.js';
import type { Settings } from './options.js';
import type { Question } from './outcomes.js';
import { quantileDifference } from './quantile-difference.js';
import type { UnitTotals } from './samples.js';
import { CORRECTED_TO, correctedWhereSkewed, neededWhereSkewed } from './skewness.js';
import type { ArmEstimate } from './types.js';
import { SEQUENCE_START, watchEstimates, watched } from './watch.js';

export function compareUnits(
  question: Question,
  old: UnitTotals,
  now: UnitTotals,
  settings: Settings,
): Finding {
  const { of, per, summary } = question;
  if (typeof summary === 'object') return compareUnitQuantiles(of, summary.quantile, old, now, settings);
  const totals = (arm: UnitTotals) => (per === null ? arm.measures[of] : arm.ratios[`${of}/${per}`]);
  return compareTotals(totals(old), totals(now), question, settings);
}

function compareTotals(
  old: ClusterTotals,
  now: ClusterTotals,
  { noun }: Question,
  { alpha }: Settings,
): Finding {
  const [baseline, treatment] = [old, now].map((totals) => totalsEstimate(totals, alpha));
  if (baseline.estimate === null || treatment.estimate === null) {
    return noFinding(baseline, treatment, nothingIn(baseline, treatment, noun));
  }
  return totalsFinding(old, now, baseline, treatment, alpha);
}

/**
 * The difference of arms that have both an estimate. Units so unequal in number tell nothing of what is so skewed over
 * them, such as failures of which the smaller arm has none: its standard error is too small by the units that it lacks.
 */
export function totalsFinding(
  old: ClusterTotals,
  now: ClusterTotals,
  baseline: ArmEstimate,
  treatment: ArmEstimate,
  alpha: number,
): Finding {
  const skewness = differenceSkewness(totalsSummary(now), totalsSummary(old));
  const reason = tooSkewedUnits(old, now, skewness);
  if (reason !== null) return noFinding(baseline, treatment, reason);
  const test = correctedWhereSkewed(clusteredTest(now, old, { alpha }), skewness, alpha);
  return findingOf(test, baseline, treatment);
}

/** Why nothing can be said of a difference of these arms; null where something can. */
export function tooSkewedUnits(
  old: ClusterTotals,
  now: ClusterTotals,
  skewness = differenceSkewness(totalsSummary(now), totalsSummary(old)),
): string | null {
  const needed = neededWhereSkewed(skewness, Math.min(old.of.length, now.of.length), CORRECTED_TO);
  if (needed === null) return null;
  return (
    `the arms have different numbers of units, and what is compared is skewed over them (the difference by ${Math.abs(skewness!).toFixed(1)}): ` +
    `the smaller arm is not near enough to normal before it has about ${needed} units`
  );
}

export function totalsEstimate(totals: ClusterTotals, alpha: number): ArmEstimate {
  const { estimate, standardError, df, clusters, n } = clusterEstimate(totals);
  const common = { estimate, n, units: clusters };
  if (estimate === null || standardError === null) return { ...common, confidenceInterval: null };
  const margin = standardError * studentUpperQuantile(alpha / 2, df!);
  return { ...common, confidenceInterval: finiteInterval([estimate - margin, estimate + margin]) };
}

// ── Valid at every look ──────────────────────────────────────────────────────────────────────────

/** As the mean of as many independent values as the units are worth: fewer than there are where some are large. */
export function totalsSummary(totals: ClusterTotals): SkewedSummary {
  const { estimate, standardError, df, clusters } = clusterEstimate(totals);
  if (estimate === null || standardError === null) return { n: 0, mean: null, variance: null };
  const n = Math.max(2, Math.min(clusters, Math.floor(df! + 1)));
  const residuals = Float64Array.from(totals.of, (sum, g) => sum - estimate * totals.per[g]);
  const { m2, m3, n: count } = sampleMoments(residuals);
  const skewness = m2 > 0 ? m3 / count / (m2 / count) ** 1.5 : 0;
  return { n, mean: estimate, variance: standardError ** 2 * n, skewness };
}

export function watchUnits(
  question: Question,
  old: UnitTotals,
  now: UnitTotals,
  settings: Settings,
): Finding {
  const { of, per, summary, noun } = question;
  if (typeof summary === 'object') return compareUnitQuantiles(of, summary.quantile, old, now, settings);
  const [before, after] = [old, now].map((arm) => {
    const totals = per === null ? arm.measures[of] : arm.ratios[`${of}/${per}`];
    const { confidenceInterval: _, ...estimate } = totalsEstimate(totals, settings.alpha);
    return watched(estimate, totalsSummary(totals), settings);
  });
  const [baseline, treatment] = [before.estimate, after.estimate];
  if (baseline.estimate === null || treatment.estimate === null) {
    return noFinding(baseline, treatment, nothingIn(baseline, treatment, noun));
  }
  return watchEstimates(before, after, 'units', settings);
}

// ── Quantiles ────────────────────────────────────────────────────────────────────────────────────

interface Held {
  readonly sorted: Float64Array;
  /** The place of each value's unit, beside `sorted`. */
  readonly units: Uint32Array;
  readonly unitCount: number;
}

function held(of: string, { values, ids }: UnitTotals): Held | null {
  const known = values[of];
  if (known === null || known === undefined) return null;
  const order = Uint32Array.from(known.values.keys()).sort((a, b) => known.values[a] - known.values[b]);
  return {
    sorted: Float64Array.from(order, (i) => known.values[i]),
    units: Uint32Array.from(order, (i) => known.units[i]),
    unitCount: ids.length,
  };
}

function compareUnitQuantiles(
  of: string,
  p: number,
  old: UnitTotals,
  now: UnitTotals,
  { alpha, sequential }: Settings,
): Finding {
  const tuning = sequential?.tuning ?? null;
  const arms = [held(of, old), held(of, now)];
  const nothing = { estimate: null, n: 0, confidenceInterval: null };
  if (arms.some((arm) => arm === null)) {
    return noFinding(nothing, nothing, 'an arm has more values than are held by unit');
  }
  const [before, after] = arms as [Held, Held];
  const baseline = quantileEstimate(before, p, alpha, tuning);
  const treatment = quantileEstimate(after, p, alpha, tuning);
  if (before.sorted.length === 0 || after.sorted.length === 0) {
    return noFinding(baseline, treatment, `an arm has no values of ${of}`);
  }
  const intervals = [before, after].map((arm) => (level: number) => unitInterval(arm, p, level, tuning));
  if (tuning !== null) {
    return quantileDifference(baseline, treatment, intervals[0], intervals[1], alpha, {
      combine: 'union',
      method: 'confidence sequences of the shares below, by unit (CR2), their difference by the union bound',
      assumptions: [
        'independent units, of whatever dependence within them',
        'alpha and tuning chosen before the first look',
        'asymptotic: tens of units per arm beyond the quantile',
      ],
      reason: `too few units beyond the quantile, or fewer than ${SEQUENCE_START} per arm`,
    });
  }
  return quantileDifference(baseline, treatment, intervals[0], intervals[1], alpha, {
    combine: 'mover',
    method: 'Woodruff intervals by unit (CR2), their difference by MOVER',
    assumptions: [
      'independent units, of whatever dependence within them',
      'enough units beyond the quantile',
    ],
    reason: 'too few units beyond the quantile to bound it',
  });
}

function quantileEstimate(arm: Held, p: number, alpha: number, tuning: number | null): ArmEstimate {
  const { sorted, unitCount } = arm;
  if (sorted.length === 0) return { estimate: null, n: 0, units: 0, confidenceInterval: null };
  const estimate = quantileOfSorted(sorted, p);
  return {
    estimate,
    n: sorted.length,
    units: unitCount,
    confidenceInterval: unitInterval(arm, p, alpha, tuning),
  };
}

/**
 * Where the share of values below lies between the limits of its own interval; null where those reach beyond the data.
 *
 * Source: Woodruff 1952, Journal of the American Statistical Association 47, 635-646.
 */
function unitInterval(
  { sorted, units, unitCount }: Held,
  p: number,
  alpha: number,
  tuning: number | null,
): Interval | null {
  const n = sorted.length;
  const cut = quantileOfSorted(sorted, p);
  const of = new Float64Array(unitCount);
  const per = new Float64Array(unitCount);
  for (let i = 0; i < n; i++) {
    per[units[i]]++;
    if (sorted[i] <= cut) of[units[i]]++;
  }
  const { standardError, df, clusters } = clusterEstimate({ of, per });
  if (standardError === null) return null;
  let margin = standardError * studentUpperQuantile(alpha / 2, df!);
  if (tuning !== null) {
    const worth = Math.min(clusters, Math.floor(df! + 1));
    if (worth < SEQUENCE_START || standardError === 0) return null;
    const variance = standardError ** 2 * worth;
    margin = confidenceSequenceHalfWidth({ n: worth, variance }, { alpha, tuning: tuning / 2 });
  }
  const [low, high] = [Math.floor(n * (p - margin)), Math.ceil(n * (p + margin)) + 1];
  return low < 1 || high > n ? null : [sorted[low - 1], sorted[high - 1]];
}
