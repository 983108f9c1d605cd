/** Outcomes of arms whose units (users, sessions, …) were randomised, not their events: standard errors by unit. */
import { type ClusterTotals, clusterEstimate, clusteredTest } from '../../stats/clustered.js';
import { studentUpperQuantile } from '../../stats/distributions.js';
import type { Interval } from '../../stats/options.js';
import { quantileOfSorted } from '../../stats/quantile.js';
import { type Finding, finiteInterval, noFinding, nothingIn, outcomeOf } from './finding.js';
import { finiteOrNull } from './observed.js';
import type { Settings } from './options.js';
import type { Question } from './outcomes.js';
import { quantileDifference } from './quantile-difference.js';
import type { UnitTotals } from './samples.js';
import type { ArmEstimate } from './types.js';

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
  const test = clusteredTest(now, old, { alpha });
  return {
    baseline,
    treatment,
    difference: test.estimate === null ? null : finiteOrNull(test.estimate),
    confidenceInterval: finiteInterval(test.confidenceInterval),
    intervalMethod: test.method,
    tests: [outcomeOf(test)],
    requiredN: null,
    standardError: test.standardError,
    df: test.df,
    assumptions: test.assumptions,
    reason: test.reason,
  };
}

function totalsEstimate(totals: ClusterTotals, alpha: number): ArmEstimate {
  const { estimate, standardError, df, clusters, n } = clusterEstimate(totals);
  const common = { estimate, n, units: clusters };
  if (estimate === null || standardError === null) return { ...common, confidenceInterval: null };
  const margin = standardError * studentUpperQuantile(alpha / 2, df!);
  return { ...common, confidenceInterval: finiteInterval([estimate - margin, estimate + margin]) };
}

/** Why the sequential mode has nothing to say of it. */
export function watchUnits(
  question: Question,
  old: UnitTotals,
  now: UnitTotals,
  settings: Settings,
): Finding {
  const { baseline, treatment } = compareUnits(question, old, now, settings);
  const [before, after] = [baseline, treatment].map((arm) => ({ ...arm, confidenceInterval: null }));
  return noFinding(
    before,
    after,
    'what is randomised by unit has no sequential version here: compare once, at a time fixed beforehand',
  );
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
  { alpha }: Settings,
): Finding {
  const arms = [held(of, old), held(of, now)];
  const nothing = { estimate: null, n: 0, confidenceInterval: null };
  if (arms.some((arm) => arm === null)) {
    return noFinding(nothing, nothing, 'an arm has more values than are held by unit');
  }
  const [before, after] = arms as [Held, Held];
  const baseline = quantileEstimate(before, p, alpha);
  const treatment = quantileEstimate(after, p, alpha);
  if (before.sorted.length === 0 || after.sorted.length === 0) {
    return noFinding(baseline, treatment, `an arm has no values of ${of}`);
  }
  const intervals = [before, after].map((arm) => (level: number) => unitInterval(arm, p, level));
  return quantileDifference(baseline, treatment, intervals[0], intervals[1], alpha, {
    method: 'Woodruff intervals by unit (CR2), their difference by MOVER',
    assumptions: [
      'independent units, of whatever dependence within them',
      'enough units beyond the quantile',
    ],
    reason: 'too few units beyond the quantile to bound it',
  });
}

function quantileEstimate(arm: Held, p: number, alpha: number): ArmEstimate {
  const { sorted, unitCount } = arm;
  if (sorted.length === 0) return { estimate: null, n: 0, units: 0, confidenceInterval: null };
  const estimate = quantileOfSorted(sorted, p);
  return { estimate, n: sorted.length, units: unitCount, confidenceInterval: unitInterval(arm, p, alpha) };
}

/**
 * Where the share of values below lies between the limits of its own interval; null where those reach beyond the data.
 *
 * Source: Woodruff 1952, Journal of the American Statistical Association 47, 635-646.
 */
function unitInterval({ sorted, units, unitCount }: Held, p: number, alpha: number): Interval | null {
  const n = sorted.length;
  const cut = quantileOfSorted(sorted, p);
  const of = new Float64Array(unitCount);
  const per = new Float64Array(unitCount);
  for (let i = 0; i < n; i++) {
    per[units[i]]++;
    if (sorted[i] <= cut) of[units[i]]++;
  }
  const { standardError, df } = clusterEstimate({ of, per });
  if (standardError === null) return null;
  const margin = standardError * studentUpperQuantile(alpha / 2, df!);
  const [low, high] = [Math.floor(n * (p - margin)), Math.ceil(n * (p + margin)) + 1];
  return low < 1 || high > n ? null : [sorted[low - 1], sorted[high - 1]];
}
