/** Ratios of sums of two arms, such as the cost of a success. */
import { normalQuantile } from '../../stats/normal.js';
import { type RatioSums, ratioEstimate, ratioOfMeans, ratioSkewness } from '../../stats/ratio.js';
import { type Finding, findingOf, finiteInterval, noFinding, nothingIn } from './finding.js';
import type { Settings } from './options.js';
import type { ArmEstimate } from './types.js';
import { watchEstimates, watched } from './watch.js';

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
  return findingOf(ratioOfMeans(now!, old!, { alpha }), baseline, treatment);
}

/** Valid at every look: what each event deviates from its arm's ratio by has a mean of 0, and behaves as any mean. */
export function watchRatios(
  old: RatioSums | undefined,
  now: RatioSums | undefined,
  what: string,
  settings: Settings,
): Finding {
  const [before, after] = [old, now].map((sums) => {
    if (sums === undefined)
      return watched({ estimate: null, n: 0 }, { n: 0, mean: null, variance: null }, settings);
    const { estimate, standardError } = ratioEstimate(sums);
    const variance = standardError === null ? null : standardError ** 2 * sums.n;
    const skewness = Math.sign(sums.meanPer) * (ratioSkewness(sums) ?? 0);
    return watched({ estimate, n: sums.n }, { n: sums.n, mean: estimate, variance, skewness }, settings);
  });
  const [baseline, treatment] = [before.estimate, after.estimate];
  if (baseline.estimate === null || treatment.estimate === null) {
    const missing = nothingIn(baseline, treatment, what);
    return noFinding(baseline, treatment, `${missing}: what is below adds up to 0`);
  }
  return watchEstimates(before, after, 'events', settings);
}

function estimateOf(sums: RatioSums | undefined, alpha: number): ArmEstimate {
  if (sums === undefined) return { estimate: null, n: 0, confidenceInterval: null };
  const { estimate, standardError } = ratioEstimate(sums);
  if (estimate === null || standardError === null) return { estimate, n: sums.n, confidenceInterval: null };
  const margin = -normalQuantile(alpha / 2) * standardError;
  return { estimate, n: sums.n, confidenceInterval: finiteInterval([estimate - margin, estimate + margin]) };
}
