/** Ratios of sums of two arms, such as the cost of a success. */
import { normalQuantile } from '../../stats/normal.js';
import { type RatioSums, ratioEstimate, ratioOfMeans } from '../../stats/ratio.js';
import { type Finding, finiteInterval, noFinding, nothingIn, outcomeOf } from './finding.js';
import type { Settings } from './options.js';
import type { ArmEstimate } from './types.js';

export function compareRatios(
  old: RatioSums | undefined,
  now: RatioSums | undefined,
  what: string,
  { alpha }: Settings,
): Finding {
  const baseline = estimateOf(old, alpha);
  const treatment = estimateOf(now, alpha);
  if (baseline.estimate === null || treatment.estimate === null) {
    const missing = nothingIn(baseline, treatment, what);
    const isUnknown = [baseline, treatment].some(({ estimate, n }) => estimate === null && n === 0);
    const why = isUnknown ? 'no event has both' : 'what is below adds up to 0';
    return noFinding(baseline, treatment, `${missing}: ${why}`);
  }
  const test = ratioOfMeans(now!, old!, { alpha });
  return {
    baseline,
    treatment,
    difference: test.estimate,
    confidenceInterval: finiteInterval(test.confidenceInterval),
    intervalMethod: test.method,
    tests: [outcomeOf(test)],
    requiredN: null,
    standardError: test.standardError,
    assumptions: test.assumptions,
    reason: test.reason,
  };
}

/** Why the sequential mode has nothing to say of it. */
export function watchRatios(
  old: RatioSums | undefined,
  now: RatioSums | undefined,
  { alpha }: Settings,
): Finding {
  const [baseline, treatment] = [old, now].map((sums) => ({
    ...estimateOf(sums, alpha),
    confidenceInterval: null,
  }));
  return noFinding(
    baseline,
    treatment,
    'a ratio has no sequential version here: compare once, at a time fixed beforehand',
  );
}

function estimateOf(sums: RatioSums | undefined, alpha: number): ArmEstimate {
  if (sums === undefined) return { estimate: null, n: 0, confidenceInterval: null };
  const { estimate, standardError } = ratioEstimate(sums);
  if (estimate === null || standardError === null) return { estimate, n: sums.n, confidenceInterval: null };
  const margin = -normalQuantile(alpha / 2) * standardError;
  return { estimate, n: sums.n, confidenceInterval: finiteInterval([estimate - margin, estimate + margin]) };
}
