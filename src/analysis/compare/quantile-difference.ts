/** The difference of two quantiles from the intervals of both. */

import { finiteOrNull } from '../../stats/moments.js';
import type { Interval } from '../../stats/options.js';
import { type Finding, noFinding } from './finding.js';
import type { ArmEstimate } from './types.js';

/** An arm's interval at level 1 − alpha; null where the data do not bound it. */
export type IntervalAt = (alpha: number) => Interval | null;

/** p-values are not told apart below this. */
const P_MIN = 1e-6;

/**
 * MOVER: the square of the distance to each limit is the sum of the squares of the arms' own. The p-value is the level at
 * which the interval of the difference reaches 0.
 *
 * Source: Zou & Donner 2008, Statistics in Medicine 27, 1693-1702.
 */
export function quantileDifference(
  baseline: ArmEstimate,
  treatment: ArmEstimate,
  old: IntervalAt,
  now: IntervalAt,
  alpha: number,
  told: {
    /** How both intervals make one; 'union': by Bonferroni, which asks nothing of how they come about. */
    readonly combine: 'mover' | 'union';
    readonly method: string;
    readonly assumptions: readonly string[];
    readonly reason: string;
  },
): Finding {
  const difference = treatment.estimate! - baseline.estimate!;
  const intervalAt = (level: number) =>
    told.combine === 'union'
      ? union(old(level / 2), now(level / 2))
      : mover(baseline.estimate!, old(level), treatment.estimate!, now(level));
  const interval = intervalAt(alpha);
  if (interval === null) return noFinding(baseline, treatment, told.reason);
  const isConstant = interval[0] === interval[1];
  const pValue = isConstant ? null : levelOf(intervalAt);
  const reason = isConstant ? 'within each arm nothing varies there' : undefined;
  const { method, assumptions } = told;
  return {
    baseline,
    treatment,
    difference: finiteOrNull(difference),
    confidenceInterval: isConstant ? null : interval,
    intervalMethod: method,
    tests: [
      {
        method,
        statistic: null,
        df: null,
        pValue,
        effectSize: null,
        assumptions,
        ...(reason !== undefined && { reason }),
      },
    ],
    requiredN: null,
    assumptions,
    ...(told.combine === 'union' && {
      scaledInterval: (factor: number) => {
        const interval = old(alpha / 2);
        const scaled = interval?.map((end) => end * factor).sort((a, b) => a - b) as Interval | undefined;
        return union(scaled ?? null, now(alpha / 2));
      },
    }),
    reason,
  };
}

function mover(old: number, ofOld: Interval | null, now: number, ofNow: Interval | null): Interval | null {
  if (ofOld === null || ofNow === null) return null;
  const difference = now - old;
  return [
    difference - Math.hypot(now - ofNow[0], ofOld[1] - old),
    difference + Math.hypot(ofNow[1] - now, old - ofOld[0]),
  ];
}

function union(ofOld: Interval | null, ofNow: Interval | null): Interval | null {
  return ofOld && ofNow && [ofNow[0] - ofOld[1], ofNow[1] - ofOld[0]];
}

/** The largest level at which 0 is inside. An interval that the data do not bound holds everything. */
function levelOf(intervalAt: IntervalAt): number {
  const holdsNothing = (level: number) => {
    const interval = intervalAt(level);
    return interval === null || (interval[0] <= 0 && interval[1] >= 0);
  };
  if (holdsNothing(1 - 1e-9)) return 1;
  if (!holdsNothing(P_MIN)) return P_MIN;
  let [low, high] = [Math.log(P_MIN), 0];
  for (let step = 0; step < 30; step++) {
    const middle = (low + high) / 2;
    if (holdsNothing(Math.exp(middle))) low = middle;
    else high = middle;
  }
  return Math.exp(low);
}
