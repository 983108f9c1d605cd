/** Means and rates with what was known before the treatment taken out of them (CUPED). */
import { type ClusterTotals, clusterEstimate } from '../../stats/clustered.js';
import { anytimeValidLinear, type CovariateSums, cuped } from '../../stats/covariates.js';
import { finiteOrNull } from '../../stats/moments.js';
import { type Finding, findingOf, finiteInterval, missingFrom, noFinding } from './finding.js';
import type { Settings } from './options.js';
import type { UnitTotals } from './samples.js';
import type { ArmEstimate } from './types.js';
import { totalsEstimate, totalsFinding, totalsSummary } from './units.js';
import { SEQUENCE_START, watchEstimates, watched } from './watch.js';

const NONE: CovariateSums = { n: 0, means: [0, 0, 0], products: new Array(9).fill(0) };

/** By event. An event without the covariate is as if it had the mean of those that have it. */
export function compareAdjusted(
  name: string,
  old: CovariateSums = NONE,
  now: CovariateSums = NONE,
  what: string,
  settings: Settings,
): Finding {
  const { alpha, sequential } = settings;
  const arm = (sums: CovariateSums, estimate: number | null): ArmEstimate => ({
    estimate,
    n: sums.n,
    confidenceInterval: null,
  });
  const missing = missingFrom(old.n, now.n, what);
  if (missing !== null) {
    return noFinding(
      arm(old, old.n > 0 ? old.means[0] : null),
      arm(now, now.n > 0 ? now.means[0] : null),
      missing,
    );
  }
  const watching = sequential !== null;
  const test = watching
    ? anytimeValidLinear(old, now, { alpha, tuning: sequential.tuning, variances: 'unequal' })
    : cuped(now, old, { alpha });
  const adjusted = watching ? test.adjustedMeans : [test.adjustedMeans[1], test.adjustedMeans[0]];
  const [baseline, treatment] = [arm(old, adjusted[0]), arm(now, adjusted[1])];
  if (watching && Math.min(old.n, now.n) < SEQUENCE_START) {
    return noFinding(baseline, treatment, `the sequence begins at ${SEQUENCE_START} observations per arm`);
  }
  return {
    ...findingOf(test, baseline, treatment),
    covariate: {
      name,
      explained: test.explained,
      unadjustedDifference: finiteOrNull(now.means[0] - old.means[0]),
    },
    scaledInterval: (factor) => {
      const scaled = scaledSums(old, factor);
      const found = watching
        ? anytimeValidLinear(scaled, now, { alpha, tuning: sequential.tuning, variances: 'unequal' })
        : cuped(now, scaled, { alpha });
      return finiteInterval(found.confidenceInterval);
    },
  };
}

/** The outcome times a factor; covariates as they are. */
function scaledSums({ n, means, products }: CovariateSums, factor: number): CovariateSums {
  const size = means.length;
  const times = (i: number) => (i === 0 ? factor : 1);
  return {
    n,
    means: means.map((mean, i) => mean * times(i)),
    products: products.map((product, i) => product * times(Math.floor(i / size)) * times(i % size)),
  };
}

/** By unit: what the units' totals of the covariate explain is taken off their totals of the outcome. */
export function compareAdjustedUnits(
  of: string,
  name: string,
  old: UnitTotals,
  now: UnitTotals,
  settings: Settings,
): Finding {
  const { alpha } = settings;
  const arms = [old, now].map((arm) => ({ outcome: arm.measures[of], covariate: arm.measures[name] }));
  const mean = meanOf(arms.map(({ covariate }) => covariate));
  const centred = arms.map(({ outcome, covariate }) => ({ outcome, x: centredTotals(covariate, mean) }));
  const { theta, explained } = pooledSlope(centred);
  const adjusted = centred.map(
    ({ outcome, x }): ClusterTotals => ({
      of: Float64Array.from(outcome.of, (sum, g) => sum - theta * x[g]),
      per: outcome.per,
    }),
  );
  const [baseline, treatment] = adjusted.map((totals) => totalsEstimate(totals, alpha));
  if (baseline.estimate === null || treatment.estimate === null) {
    return noFinding(
      baseline,
      treatment,
      missingFrom(baseline.n, treatment.n, `values of ${of}`) ?? 'no estimate',
    );
  }
  const [before, after] = arms.map(({ outcome }) => clusterEstimate(outcome).estimate!);
  const covariate = { name, explained, unadjustedDifference: finiteOrNull(after - before) };
  if (settings.sequential !== null) {
    const [a, b] = adjusted.map((totals, i) =>
      watched([baseline, treatment][i], totalsSummary(totals), settings),
    );
    return { ...watchEstimates(a, b, 'units', settings), covariate };
  }
  const found = totalsFinding(adjusted[0], adjusted[1], baseline, treatment, alpha);
  if (found.intervalMethod === null) return { ...found, covariate };
  return {
    ...found,
    intervalMethod: `${found.intervalMethod}, of outcomes adjusted by a covariate (CUPED)`,
    assumptions: [...found.assumptions, 'a covariate that was known before the treatment'],
    covariate,
  };
}

function meanOf(arms: readonly ClusterTotals[]): number {
  let [sum, count] = [0, 0];
  for (const { of, per } of arms) {
    for (let g = 0; g < of.length; g++) {
      sum += of[g];
      count += per[g];
    }
  }
  return count === 0 ? 0 : sum / count;
}

/** Of each unit: its sum less as many means as it has values. */
function centredTotals({ of, per }: ClusterTotals, mean: number): Float64Array {
  return Float64Array.from(of, (sum, g) => sum - mean * per[g]);
}

/** Of the units' deviations from their arm's ratio, within both arms. */
function pooledSlope(arms: readonly { readonly outcome: ClusterTotals; readonly x: Float64Array }[]) {
  let [xx, xy, yy] = [0, 0, 0];
  for (const { outcome, x } of arms) {
    const { estimate, n } = clusterEstimate(outcome);
    const ofX = x.reduce((sum, value) => sum + value, 0) / n;
    for (let g = 0; g < x.length; g++) {
      const dx = x[g] - ofX * outcome.per[g];
      const dy = outcome.of[g] - (estimate ?? 0) * outcome.per[g];
      xx += dx * dx;
      xy += dx * dy;
      yy += dy * dy;
    }
  }
  if (!(xx > 0) || !(yy > 0)) return { theta: 0, explained: 0 };
  return { theta: xy / xx, explained: Math.min(1, (xy * xy) / xx / yy) };
}
