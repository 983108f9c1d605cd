/** Success rates of two arms whose events are independent of each other. */
import { fisherExact } from '../../stats/contingency.js';
import { bernoulliConfidenceInterval } from '../../stats/mixtures.js';
import { proportionPower } from '../../stats/power.js';
import { type Proportion, twoProportionZ, wilsonInterval } from '../../stats/proportions.js';
import { sequentialMeanTest, sequentialProportionTest } from '../../stats/sequential.js';
import {
  effectSize,
  type Finding,
  finiteInterval,
  missingFrom,
  noFinding,
  outcomeOf,
  POWER,
} from './finding.js';
import type { Settings } from './options.js';
import type { ArmEstimate } from './types.js';
import { scaledSummary } from './watch.js';

/** Below this, a count expected under the null makes the exact test the primary one. */
const EXPECTED_MIN = 5;

/** `what` names what is counted: 'events whose success is known'. */
export function compareRates(old: Proportion, now: Proportion, what: string, { alpha }: Settings): Finding {
  const estimateOf = ({ successes, n }: Proportion): ArmEstimate => ({
    estimate: n === 0 ? null : successes / n,
    n,
    confidenceInterval: n === 0 ? null : wilsonInterval(successes, n, 1 - alpha).confidenceInterval,
  });
  const baseline = estimateOf(old);
  const treatment = estimateOf(now);
  const missing = missingFrom(old.n, now.n, what);
  if (missing !== null) return noFinding(baseline, treatment, missing);
  const z = twoProportionZ(now, old, { alpha });
  const h = cohensH(old.successes / old.n, now.successes / now.n);
  const tests = [outcomeOf(z, h)];
  // Where all had one outcome neither test has anything to say.
  if (z.pValue !== null && fewestExpected(old, now) < EXPECTED_MIN) {
    const { method, assumptions, pValue } = fisherExact([counts(now), counts(old)]);
    tests.unshift(outcomeOf({ method, assumptions, pValue }, h));
  }
  return {
    baseline,
    treatment,
    difference: z.estimate,
    confidenceInterval: z.confidenceInterval,
    intervalMethod: 'Newcombe interval from Wilson scores',
    tests,
    requiredN: requiredN(old.successes / old.n, now.successes / now.n, alpha),
    assumptions: tests[0].assumptions,
    reason: z.reason && 'all events of both arms had the same outcome',
  };
}

function counts({ successes, n }: Proportion): [number, number] {
  return [successes, n - successes];
}

function fewestExpected(a: Proportion, b: Proportion): number {
  const successes = a.successes + b.successes;
  const total = a.n + b.n;
  return (Math.min(a.n, b.n) * Math.min(successes, total - successes)) / total;
}

/** Positive where the second rate is above the first. */
export function cohensH(before: number, after: number) {
  return effectSize('cohensH', 2 * Math.asin(Math.sqrt(after)) - 2 * Math.asin(Math.sqrt(before)));
}

/** A rate of 0 or 1 has no variance to plan with. */
function requiredN(p1: number, p2: number, alpha: number): number | null {
  if (p1 === p2 || Math.min(p1, p2) <= 0 || Math.max(p1, p2) >= 1) return null;
  return proportionPower({ p1, p2, alpha, power: POWER }).nCeiling;
}

/** Valid at every look, from the first event on. */
export function watchRates(
  old: Proportion,
  now: Proportion,
  what: string,
  { alpha, sequential }: Settings,
  shareOfBaseline: number,
): Finding {
  const tOpt = sequential!.tuning;
  const estimateOf = ({ successes, n }: Proportion): ArmEstimate => ({
    estimate: n === 0 ? null : successes / n,
    n,
    confidenceInterval: n === 0 ? null : bernoulliConfidenceInterval(successes, n, alpha, { tOpt }),
  });
  const baseline = estimateOf(old);
  const treatment = estimateOf(now);
  const missing = missingFrom(old.n, now.n, what);
  if (missing !== null) return noFinding(baseline, treatment, missing);
  const test = sequentialProportionTest(old, now, {
    alpha,
    method: 'exact',
    tuning: tOpt,
    shareOfA: shareOfBaseline,
  });
  return {
    baseline,
    treatment,
    difference: test.estimate,
    confidenceInterval: finiteInterval(test.confidenceInterval),
    intervalMethod: test.method,
    tests: [outcomeOf(test, cohensH(old.successes / old.n, now.successes / now.n))],
    requiredN: null,
    assumptions: test.assumptions,
    // The exact bet is of differences only; against a multiple of the baseline's rate, as means of zeros and ones.
    scaledInterval: (factor) =>
      finiteInterval(
        sequentialMeanTest(scaledSummary(zerosAndOnes(old), factor), zerosAndOnes(now), {
          alpha,
          tuning: tOpt,
        }).confidenceInterval,
      ),
    reason: test.reason,
  };
}

function zerosAndOnes({ successes, n }: Proportion) {
  const mean = successes / n;
  return { n, mean, variance: mean * (1 - mean) };
}
