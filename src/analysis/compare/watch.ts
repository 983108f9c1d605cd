/** Estimates with a standard error, as sequences that hold at every look take them. */
import type { Interval } from '../../stats/options.js';
import { confidenceSequenceHalfWidth, SKEWNESS_MAX, sequentialMeanTest } from '../../stats/sequential.js';
import { differenceSkewness, type SkewedSummary } from '../../stats/skewed.js';
import { type Finding, finiteInterval, noFinding, outcomeOf } from './finding.js';
import type { Settings } from './options.js';
import type { ArmEstimate } from './types.js';

/** Sequences are asymptotic: before this many observations (or units) per arm they are not heard. */
export const SEQUENCE_START = 30;

/** An estimate that behaves as the mean of n independent values of this variance, with their skewness where it is known. */
export interface Watched {
  readonly estimate: ArmEstimate;
  readonly summary: SkewedSummary;
}

/** With its own sequence. */
export function watched(
  arm: Omit<ArmEstimate, 'confidenceInterval'>,
  summary: SkewedSummary,
  { alpha, sequential }: Settings,
): Watched {
  const { n, mean, variance } = summary;
  let interval: Interval | null = null;
  if (n >= SEQUENCE_START && mean !== null && variance !== null && variance > 0) {
    const margin = confidenceSequenceHalfWidth({ n, variance }, { alpha, tuning: sequential!.tuning });
    interval = finiteInterval([mean - margin, mean + margin]);
  }
  return { estimate: { ...arm, confidenceInterval: interval }, summary };
}

/** @param what - that are counted: 'events', 'units' */
export function watchEstimates(old: Watched, now: Watched, what: string, settings: Settings): Finding {
  const { alpha, sequential } = settings;
  const { tuning } = sequential!;
  const { estimate: baseline } = old;
  const { estimate: treatment } = now;
  if (Math.min(old.summary.n, now.summary.n) < SEQUENCE_START) {
    return noFinding(baseline, treatment, `the sequence begins at ${SEQUENCE_START} ${what} per arm`);
  }
  const skewness = Math.abs(differenceSkewness(now.summary, old.summary) ?? 0);
  if (skewness > SKEWNESS_MAX) {
    const reason = `the arms are of different sizes and their values are skewed (the difference by ${skewness.toFixed(1)}): the sequence has not begun`;
    return noFinding(baseline, treatment, reason);
  }
  const test = sequentialMeanTest(old.summary, now.summary, { alpha, tuning });
  const interval = finiteInterval(test.confidenceInterval);
  const reason =
    test.reason ?? (interval === null ? 'too early for an interval with this tuning' : undefined);
  return {
    baseline,
    treatment,
    difference: test.estimate,
    confidenceInterval: interval,
    intervalMethod: test.method,
    tests: [outcomeOf(test)],
    requiredN: null,
    assumptions: test.assumptions,
    scaledInterval: (factor) =>
      finiteInterval(
        sequentialMeanTest(scaledSummary(old.summary, factor), now.summary, { alpha, tuning })
          .confidenceInterval,
      ),
    reason,
  };
}

export function scaledSummary({ n, mean, variance }: SkewedSummary, factor: number): SkewedSummary {
  return {
    n,
    mean: mean === null ? null : mean * factor,
    variance: variance === null ? null : variance * factor * factor,
  };
}
