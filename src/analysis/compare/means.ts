/** Means of two arms whose events are independent of each other. */
import { studentUpperQuantile } from '../../stats/distributions.js';
import { hedgesG } from '../../stats/effect-sizes.js';
import { finiteOrNull } from '../../stats/moments.js';
import { tTestPower } from '../../stats/power.js';
import { mannWhitneyOfSorted } from '../../stats/rank-tests.js';
import type { Summary } from '../../stats/sample.js';
import { SKEWNESS_MAX } from '../../stats/sequential.js';
import { differenceSkewness, type SkewedSummary } from '../../stats/skewed.js';
import { type TTestResult, welchTTest } from '../../stats/t-tests.js';
import {
  effectSize,
  type Finding,
  finiteInterval,
  missingFrom,
  noFinding,
  outcomeOf,
  POWER,
} from './finding.js';
import type { Observed } from './observed.js';
import type { Settings } from './options.js';
import { onSample, samplingOf } from './sampling.js';
import { CORRECTED_TO, correctedWhereSkewed, neededWhereSkewed } from './skewness.js';
import type { ArmEstimate, TestOutcome } from './types.js';
import { SEQUENCE_START, scaledSummary, watchEstimates, watched } from './watch.js';

/** `what` names the values: 'latencies'. */
export function compareMeans(old: Observed, now: Observed, what: string, settings: Settings): Finding {
  const { alpha } = settings;
  const baseline = meanEstimate(old, alpha);
  const treatment = meanEstimate(now, alpha);
  const missing = missingFrom(old.n, now.n, what);
  if (missing !== null) return noFinding(baseline, treatment, missing);
  const welch = meansTest(old, now, alpha);
  const g = hedgesG(now.summary, old.summary).estimate;
  return {
    baseline,
    treatment,
    difference: finiteOrNull(welch.estimate),
    confidenceInterval: finiteInterval(welch.confidenceInterval),
    intervalMethod: welch.method,
    tests: [outcomeOf(welch, effectSize('hedgesG', g)), rankTest(old, now, settings)],
    requiredN: requiredN(old.summary, now.summary, welch.estimate, alpha),
    assumptions: welch.assumptions,
    scaledInterval: (factor) =>
      finiteInterval(
        welchTTest(now.summary, scaledSummary(old.summary, factor), { alpha }).confidenceInterval,
      ),
    reason: spreadless(old, now, what) ?? welch.reason,
  };
}

const skewed = ({ summary, skewness }: Observed): SkewedSummary => ({ ...summary, skewness });

/** Welch's test; where arms of different sizes have skewed values, corrected for it, or without an answer. */
function meansTest(old: Observed, now: Observed, alpha: number): TTestResult {
  const skewness = differenceSkewness(skewed(now), skewed(old));
  const test = correctedWhereSkewed(welchTTest(now.summary, old.summary, { alpha }), skewness, alpha);
  const reason = tooSkewed(old, now, false, skewness);
  if (reason === null) return test;
  return {
    ...test,
    statistic: null,
    df: null,
    pValue: null,
    standardError: null,
    confidenceInterval: null,
    reason,
  };
}

/** Why nothing can be said of a difference of means of these arms; null where something can. */
export function tooSkewed(
  old: Observed,
  now: Observed,
  watching: boolean,
  skewness = differenceSkewness(skewed(now), skewed(old)),
): string | null {
  if (old.n === 0 || now.n === 0) return null;
  const needed = neededWhereSkewed(skewness, Math.min(old.n, now.n), watching ? SKEWNESS_MAX : CORRECTED_TO);
  if (needed === null) return null;
  return (
    `the arms are of different sizes and their values are skewed (the difference by ${Math.abs(skewness!).toFixed(1)}): the mean of ` +
    `the smaller arm is not near enough to normal before it has about ${needed} values`
  );
}

/** Why there is no spread to judge a difference by, in the words of this place. */
function spreadless(old: Observed, now: Observed, what: string): string | undefined {
  if (old.n < 2 || now.n < 2) {
    const both = old.n < 2 && now.n < 2;
    const who = both ? 'each arm has' : `the ${old.n < 2 ? 'baseline' : 'treatment'} has`;
    return `${who} only one of the ${what}, which shows no spread`;
  }
  if (old.summary.variance === 0 && now.summary.variance === 0) {
    return `within each arm all ${what} are equal, so that there is no spread to judge the difference by`;
  }
  return undefined;
}

function meanEstimate({ n, summary: { mean, variance } }: Observed, alpha: number): ArmEstimate {
  if (n === 0 || mean === null) return { estimate: null, n, confidenceInterval: null };
  if (variance === null) return { estimate: mean, n, confidenceInterval: null };
  const margin = Math.sqrt(variance / n) * studentUpperQuantile(alpha / 2, n - 1);
  return { estimate: mean, n, confidenceInterval: finiteInterval([mean - margin, mean + margin]) };
}

function rankTest(old: Observed, now: Observed, settings: Settings): TestOutcome {
  if (old.sorted === null || now.sorted === null) {
    const reason = 'needs the values, and only their summary is known';
    return outcomeOf({ ...RANK_TEST, pValue: null, reason });
  }
  const test = mannWhitneyOfSorted(now.sorted, old.sorted);
  const outcome = outcomeOf(test, effectSize('cliffsDelta', 2 * test.estimate - 1));
  return onSample(outcome, samplingOf(old, now, settings));
}

const RANK_TEST = { method: 'Mann-Whitney U test', assumptions: [] };

/** Per arm, with both arms as large and their variances as observed. */
function requiredN(old: Summary, now: Summary, difference: number, alpha: number): number | null {
  if (old.variance === null || now.variance === null) return null;
  const stdDev = Math.sqrt(old.variance / 2 + now.variance / 2);
  const ratio = Math.abs(difference) / stdDev;
  if (!(Number.isFinite(ratio) && ratio > 0)) return null;
  return tTestPower({ delta: ratio, alpha, power: POWER }).nCeiling;
}

// ── Valid at every look ──────────────────────────────────────────────────────────────────────────

export function watchMeans(old: Observed, now: Observed, what: string, settings: Settings): Finding {
  const [before, after] = [old, now].map((arm) =>
    watched({ estimate: arm.summary.mean, n: arm.n }, skewed(arm), settings),
  );
  const missing = missingFrom(old.n, now.n, what);
  if (missing !== null) return noFinding(before.estimate, after.estimate, missing);
  const unheard = Math.min(old.n, now.n) < SEQUENCE_START ? null : tooSkewed(old, now, true);
  if (unheard !== null) return noFinding(before.estimate, after.estimate, unheard);
  const finding = watchEstimates(before, after, 'observations', settings);
  const g = effectSize('hedgesG', hedgesG(now.summary, old.summary).estimate);
  return { ...finding, tests: finding.tests.map((test) => ({ ...test, effectSize: g })) };
}
