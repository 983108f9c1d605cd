/** Means and rates as they would be if both arms were made of the same mix of strata. */
import type { Summary } from '../../stats/sample.js';
import { postStratifiedTest } from '../../stats/strata.js';
import { type Finding, findingOf, finiteInterval, missingFrom, noFinding } from './finding.js';
import type { Settings } from './options.js';
import type { Question } from './outcomes.js';
import type { StratumOfArm } from './samples.js';
import type { ArmEstimate } from './types.js';
import { scaledSummary } from './watch.js';

/** Means and rates have strata; quantiles and ratios do not. */
export function isStratified({ per, summary }: Question): boolean {
  return per === null && typeof summary !== 'object';
}

export function compareStrata(
  of: string,
  old: readonly StratumOfArm[],
  now: readonly StratumOfArm[],
  what: string,
  { alpha }: Settings,
): Finding {
  const strata = pairStrata(of, old, now);
  const count = (side: 'x' | 'y') => strata.reduce((sum, stratum) => sum + stratum[side].n, 0);
  const arm = (estimate: number | null, n: number): ArmEstimate => ({
    estimate,
    n,
    confidenceInterval: null,
  });
  const missing = missingFrom(count('y'), count('x'), what);
  if (missing !== null) return noFinding(arm(null, count('y')), arm(null, count('x')), missing);
  const test = postStratifiedTest(strata, { alpha });
  const [baseline, treatment] = [arm(test.means[1], count('y')), arm(test.means[0], count('x'))];
  return {
    ...findingOf(test, baseline, treatment),
    strata: { count: test.strata, leftOut: test.leftOut },
    scaledInterval: (factor) => {
      const scaled = strata.map(({ x, y }) => ({ x, y: scaledSummary(y, factor) }));
      return finiteInterval(postStratifiedTest(scaled, { alpha }).confidenceInterval);
    },
  };
}

const NOTHING: Summary = { n: 0, mean: null, variance: null };

function pairStrata(of: string, old: readonly StratumOfArm[], now: readonly StratumOfArm[]) {
  const keys = [...new Set([...old, ...now].map(({ key }) => key))];
  const summaryOf = (arm: readonly StratumOfArm[], key: string | null) =>
    arm.find((stratum) => stratum.key === key)?.measures[of] ?? NOTHING;
  return keys.map((key) => ({ x: summaryOf(now, key), y: summaryOf(old, key) }));
}
