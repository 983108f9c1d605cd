/** What is found for one metric of one treatment, before p-values are adjusted and put into words. */

import { finiteOrNull } from '../../stats/moments.js';
import type { Interval } from '../../stats/options.js';
import type { ArmEstimate, EffectSize, MetricComparison, TestOutcome } from './types.js';

/** Chance that a difference as large as the observed one is found, for requiredN. */
export const POWER = 0.8;

export interface Finding {
  readonly baseline: ArmEstimate;
  readonly treatment: ArmEstimate;
  readonly difference: number | null;
  readonly confidenceInterval: Interval | null;
  readonly intervalMethod: string | null;
  /** The primary test first; none where there was nothing to test. */
  readonly tests: readonly TestOutcome[];
  readonly requiredN: number | null;
  /** Of the difference; absent where the method has none. */
  readonly standardError?: number | null;
  /** Of the difference's t distribution; absent for a normal one. */
  readonly df?: number | null;
  readonly pairs?: MetricComparison['pairs'];
  readonly covariate?: MetricComparison['covariate'];
  readonly strata?: MetricComparison['strata'];
  readonly censored?: MetricComparison['censored'];
  /**
   * The interval of treatment − factor · baseline, for relative margins. Absent where the arms are independent and their
   * own intervals give it.
   */
  readonly scaledInterval?: (factor: number) => Interval | null;
  readonly assumptions: readonly string[];
  readonly reason?: string;
}

/** What the tests of src/stats have in common. */
interface StatsResult {
  readonly method: string;
  readonly assumptions: readonly string[];
  readonly pValue: number | null;
  readonly statistic?: number | null;
  readonly df?: number | null;
  readonly reason?: string;
}

export function outcomeOf(result: StatsResult, effectSize: EffectSize | null = null): TestOutcome {
  const { method, assumptions, pValue, statistic = null, df = null, reason } = result;
  return { method, statistic, df, pValue, effectSize, assumptions, ...(reason !== undefined && { reason }) };
}

/** A test of the difference of two arms. */
interface DifferenceResult extends StatsResult {
  readonly estimate: number | null;
  readonly confidenceInterval: Interval | null;
  readonly standardError?: number | null;
}

/** What one test has found. */
export function findingOf(test: DifferenceResult, baseline: ArmEstimate, treatment: ArmEstimate): Finding {
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

/** Nothing can be said of the difference; what is known of the arms is. */
export function noFinding(baseline: ArmEstimate, treatment: ArmEstimate, reason: string): Finding {
  const difference =
    baseline.estimate === null || treatment.estimate === null
      ? null
      : finiteOrNull(treatment.estimate - baseline.estimate);
  return {
    baseline,
    treatment,
    difference,
    confidenceInterval: null,
    intervalMethod: null,
    tests: [],
    requiredN: null,
    assumptions: [],
    reason,
  };
}

/** Which arms have none of what is to be compared; null if both have some. */
export function missingFrom(baseline: number, treatment: number, what: string): string | null {
  if (baseline > 0 && treatment > 0) return null;
  if (baseline > 0) return `the treatment has no ${what}`;
  return treatment > 0 ? `the baseline has no ${what}` : `neither arm has ${what}`;
}

/** The same of arms of which at least one has no estimate. */
export function nothingIn(baseline: ArmEstimate, treatment: ArmEstimate, noun: string): string {
  if (baseline.estimate !== null) return `there is no ${noun} in the treatment`;
  return `there is no ${noun} in ${treatment.estimate === null ? 'either arm' : 'the baseline'}`;
}

/** Both ends, or no interval. */
export function finiteInterval(interval: Interval | null): Interval | null {
  return interval?.every(Number.isFinite) ? interval : null;
}

/** Cohen's conventions for differences in standard deviations and of arcsines. */
const COHEN = [0.2, 0.5, 0.8] as const;
/** Romano et al. 2006 for Cliff's delta. */
const ROMANO = [0.147, 0.33, 0.474] as const;

export function effectSize(name: EffectSize['name'], value: number | null): EffectSize | null {
  if (value === null || !Number.isFinite(value)) return null;
  const [small, medium, large] = name === 'cliffsDelta' ? ROMANO : COHEN;
  const size = Math.abs(value);
  const magnitude = size < small ? 'negligible' : size < medium ? 'small' : size < large ? 'medium' : 'large';
  return { name, value, magnitude };
}
