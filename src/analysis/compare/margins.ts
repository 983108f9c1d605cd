/** Whether a difference is small enough: against the margin of an outcome. */

import { finiteOrNull } from '../../stats/moments.js';
import type { Interval } from '../../stats/options.js';
import type { Finding } from './finding.js';
import type { Question } from './outcomes.js';
import type { ArmEstimate, MetricComparison } from './types.js';

type Margins = Pick<MetricComparison, 'noninferiority' | 'equivalence'>;

/** Nothing where the outcome has no margin, or one relative to a baseline that has no estimate. */
export function againstMargin({ margin, better }: Question, finding: Finding): Margins {
  if (margin === null) return {};
  const { baseline } = finding;
  if (typeof margin === 'number') {
    const interval = finding.confidenceInterval;
    return told(
      margin,
      null,
      better,
      interval && excess(interval, margin),
      interval && excess(interval, -margin),
    );
  }
  const { relative } = margin;
  if (baseline.estimate === null || baseline.estimate === 0) return {};
  const share = relative * Math.sign(baseline.estimate);
  const [above, below] = [1 + share, 1 - share].map((factor) => scaledInterval(finding, factor));
  return told(relative * Math.abs(baseline.estimate), relative, better, above, below);
}

/** @param above - of what the difference is beyond the margin upwards @param below - beyond the margin downwards */
function told(
  margin: number,
  relative: number | null,
  better: Question['better'],
  above: Interval | null,
  below: Interval | null,
): Margins {
  const isBelowTop = above !== null && above[1] < 0;
  const isAboveBottom = below !== null && below[0] > 0;
  const isLowerBetter = better === 'lower';
  return {
    noninferiority: {
      margin,
      ...(relative !== null && { relative }),
      shown: isLowerBetter ? isBelowTop : isAboveBottom,
      exceeded: isLowerBetter ? above !== null && above[0] > 0 : below !== null && below[1] < 0,
    },
    equivalence: { margin, shown: isBelowTop && isAboveBottom },
  };
}

function excess([low, high]: Interval, margin: number): Interval {
  return [low - margin, high - margin];
}

/** Of treatment − factor · baseline. */
function scaledInterval({ baseline, treatment, confidenceInterval, ...finding }: Finding, factor: number) {
  // Where there is no interval of the difference, for whatever reason, there is none of this.
  if (confidenceInterval === null) return null;
  if (finding.scaledInterval !== undefined) return finding.scaledInterval(factor);
  return moverInterval(baseline, treatment, factor);
}

/**
 * From the arms' own intervals: the square of the distance to each limit is the sum of the squares of the arms' own.
 *
 * Source: Zou & Donner 2008, Statistics in Medicine 27, 1693-1702.
 */
function moverInterval(baseline: ArmEstimate, treatment: ArmEstimate, factor: number): Interval | null {
  const [old, now] = [baseline.confidenceInterval, treatment.confidenceInterval];
  if (old === null || now === null || baseline.estimate === null || treatment.estimate === null) return null;
  const [before, after] = [factor * baseline.estimate, treatment.estimate];
  const [low, high] = factor < 0 ? [factor * old[1], factor * old[0]] : [factor * old[0], factor * old[1]];
  const difference = after - before;
  const limits = [
    difference - Math.hypot(after - now[0], high - before),
    difference + Math.hypot(now[1] - after, before - low),
  ] as const;
  return limits.every((limit) => finiteOrNull(limit) !== null) ? limits : null;
}
