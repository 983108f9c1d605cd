/** What a comparison is asked for, and what it gives: plain data, fit to cross a thread. */
import type { Assignment } from '../../schema/assignment.js';
import type { Filter } from '../../schema/event.js';
import type { AdjustmentMethod } from '../../stats/multiplicity.js';
import type { Interval } from '../../stats/options.js';
import type { Metrics } from '../types.js';

export type MetricName = 'latencyMean' | 'latencyP95' | 'costMean' | 'successRate' | 'tokensMean';

/** What is compared of the arms' events. */
export interface Outcome {
  /** Under which the result has it; default: the measure, as 'score', 'score.p95' or 'costUsd/success'. */
  readonly name?: string;
  /**
   * 'latencyMs', 'ttftMs', 'costUsd', 'success', 'tokensTotal', 'tokensPrompt', 'tokensCompletion' or a declared column
   * of type f64, i32, u32 or bool.
   */
  readonly of: string;
  /** Default: the mean, which is a rate where the measure is a yes or no. */
  readonly summary?: 'mean' | 'rate' | { readonly quantile: number };
  /** A ratio of sums: of 'costUsd' per 'success' is the cost of a success. */
  readonly per?: string;
  /** Which is better; default: lower latency and cost, higher success, neither of anything else. */
  readonly direction?: 'higher' | 'lower' | 'neutral';
  /**
   * 'secondary' by default. Primaries are adjusted among themselves, and secondaries among themselves. A guardrail needs a
   * margin; all of them must hold beside the primary.
   */
  readonly role?: 'primary' | 'secondary' | 'guardrail';
  /** Non-inferiority: how much worse is still acceptable, in the measure's unit or relative to the baseline. */
  readonly margin?: number | { readonly relative: number };
  /**
   * A measure known before the treatment, such as a user's latency of the week before: what it explains is taken out
   * (CUPED). Of means and rates.
   */
  readonly covariate?: string;
}

/** To be fixed before the first look. */
export interface SequentialOptions {
  /** Observations of both arms together at which intervals are to be tightest; 5,000 by default. */
  readonly tuning?: number;
  readonly alpha?: number;
}

export interface CompareOptions {
  /** Applied to every arm. */
  readonly filter?: Filter;
  /** Of every interval; 0.95 by default. */
  readonly confidenceLevel?: number;
  /** 1 − confidenceLevel: another name of the same choice. */
  readonly alpha?: number;
  /** How p-values are adjusted for the number of questions: all metrics × all treatments. Holm by default. */
  readonly adjust?: AdjustmentMethod | 'none';
  /** Default: the five that have names. */
  readonly metrics?: readonly (MetricName | Outcome)[];
  /**
   * Which events are compared: those of this name; those that a span of this name ended with (`.stop`, `.exception`); or
   * 'all', as the reference does. Default: the kind of which every arm has most, see `Comparison.event`.
   */
  readonly event?: string;
  /** Of the bootstrap and of random samples, a whole number; equal seeds give equal results. 1 by default. */
  readonly seed?: number;
  /** Of the bootstrap, 100 to 1,000,000; 10,000 by default. */
  readonly resamples?: number;
  /** By sampleId. 'auto', the default, pairs where both arms share at least 80 % of their samples. */
  readonly paired?: boolean | 'auto';
  /** Events that were planned per arm, in the order of the arms, up to a factor; equal by default. */
  readonly expectedRatio?: readonly number[];
  /**
   * What was randomised: 'event' by default; 'userId', 'sessionId', 'sampleId' or a path into the metadata, as
   * 'tenant.id'. Standard errors are by unit then, and the sample ratio is that of units.
   */
  readonly unit?: string;
  /**
   * Beside `unit`: the study that has assigned units to arms, which are those compared, in their order. Units that are found
   * in another arm are a warning, `misassignedUnits`. Of each arm the first 100,000 units are looked at.
   */
  readonly assigned?: Assignment;
  /**
   * 'model', 'provider', 'eventName' or a declared column of type dict or bool, which the treatment cannot change: means
   * and rates are post-stratified to the mix of both arms.
   */
  readonly strata?: string;
  /**
   * Parts of the events that were declared beforehand, each compared on its own; their p-values are adjusted together,
   * apart from those of all events.
   */
  readonly segments?: Readonly<Record<string, Filter>>;
  /** Results that hold at every look, so that a running experiment may be watched and stopped. Off by default. */
  readonly sequential?: boolean | SequentialOptions;
}

/** What the reference tells of a treatment, of events of all kinds. */
export interface TreatmentDifferences {
  id: string;
  name: string;
  condition: string;
  /** (new − old) / old · 100 of mean latencies; negative is faster. */
  latencyImprovementPct: number | null;
  costDifferenceUsd: number | null;
  successRateImprovementPct: number | null;
  eventCountDifference: number;
}

/** What the reference tells of a comparison. */
export interface ComparisonDifferences {
  baseline: { id: string; name: string; condition: string };
  /** With the metrics of events of all kinds; where a unit was named, how many there are among the events compared. */
  experiments: {
    id: string;
    name: string;
    condition: string;
    metrics: Metrics;
    units?: number;
    /** Events of the arm that cannot be compared, since they are lost; absent where none are. */
    lost?: ArmLosses;
  }[];
  treatments: TreatmentDifferences[];
}

/** Of one arm; n counts events, or pairs in a paired comparison. */
export interface ArmEstimate {
  estimate: number | null;
  n: number;
  /** Units that have some of it; absent where the unit is the event. */
  units?: number;
  confidenceInterval: Interval | null;
}

/**
 * How large a difference is in units of its own, positive where the treatment is above. hedgesG and cohensDz: in
 * standard deviations (of the differences, for dz). cliffsDelta: P(treatment above) − P(treatment below). cohensH:
 * difference of 2·asin√rate.
 */
export interface EffectSize {
  name: 'hedgesG' | 'cliffsDelta' | 'cohensH' | 'cohensDz';
  value: number;
  /** A convention and no more: whether a small effect matters is for the reader to say. */
  magnitude: 'negligible' | 'small' | 'medium' | 'large';
}

/** Values that were looked at. */
export interface SampledCounts {
  baseline: number;
  treatment: number;
}

export interface TestOutcome {
  method: string;
  statistic: number | null;
  df: number | null;
  /** Of this test, two-sided, not adjusted. */
  pValue: number | null;
  effectSize: EffectSize | null;
  assumptions: readonly string[];
  /** What the test looked at where that is a random sample of an arm's values; absent where it is all of them. */
  sampled?: SampledCounts;
  /** Why something is null. */
  reason?: string;
}

export interface MetricComparison {
  /** The outcome's name. */
  metric: string;
  /** The measure, as the outcome has it. */
  of: string;
  /** In words: 'mean latency'. */
  label: string;
  role: 'primary' | 'secondary' | 'guardrail';
  /** Of estimates, difference and interval; 'share' is from 0 to 1, 'number' whatever the column holds. */
  unit: 'ms' | 'USD' | 'share' | 'tokens' | 'number';
  /** Which is: the outcome's `direction`, or what is usual for its measure. */
  better: 'higher' | 'lower' | 'neutral';
  baseline: ArmEstimate;
  treatment: ArmEstimate;
  /** treatment − baseline. */
  difference: number | null;
  /**
   * The difference in percent of the baseline's estimate, with the difference's sign whatever the baseline's. Null where the
   * baseline is 0, or not told from 0: its interval has values of both signs.
   */
  relativePct: number | null;
  /** Of the difference; for this metric alone, not adjusted. */
  confidenceInterval: Interval | null;
  intervalMethod: string | null;
  /** The primary test's. */
  effectSize: EffectSize | null;
  /** The primary test first. */
  tests: TestOutcome[];
  /** The primary test's. */
  pValue: number | null;
  /** To be compared with alpha as if it were alone. */
  adjustedPValue: number | null;
  /** adjustedPValue ≤ alpha. */
  significant: boolean;
  /**
   * Observations per arm (pairs, if paired) with which a difference as large as the observed one would be found with
   * 80 % power at alpha, not adjusted: for planning the next experiment, not for judging this one.
   */
  requiredN: number | null;
  /**
   * How large a difference has to be for experiments like this one to find it with 80 % power, at alpha and not adjusted:
   * what this experiment could see, whatever it saw. Null without an interval, and in the sequential mode.
   */
  detectable: number | null;
  /**
   * Where the outcome has a margin, in its unit: whether it is ruled out that the treatment is worse by as much, at alpha/2
   * one-sided (`shown`), and whether it is ruled out that it is not (`exceeded`). A relative margin is one of the
   * baseline's estimate, whose own error counts.
   */
  noninferiority?: { margin: number; relative?: number; shown: boolean; exceeded: boolean };
  /** With the same margin: whether it is ruled out that the arms differ by as much, either way. */
  equivalence?: { margin: number; shown: boolean };
  /** Where a covariate was taken out: what share of the variance it explains, and the difference without it. */
  covariate?: { name: string; explained: number; unadjustedDifference: number | null };
  /** Where means are post-stratified: by how many strata, and how many events are in strata that one arm lacks. */
  strata?: { count: number; leftOut: number };
  /** Of latencies that were cut at a greatest value: the share that was, from 0 to 1, of each arm. */
  censored?: { baseline: number; treatment: number };
  /** Of mean latency: the same of events that succeeded, which failures that are fast do not flatter. */
  amongSuccesses?: {
    baseline: ArmEstimate;
    treatment: ArmEstimate;
    difference: number | null;
    confidenceInterval: Interval | null;
  };
  /** Unclear unless significant; neutral where neither lower nor higher is better. */
  direction: 'better' | 'worse' | 'neutral' | 'unclear';
  /** Pairs by the sign of treatment − baseline; absent unless paired. */
  pairs?: { higher: number; lower: number; equal: number };
  assumptions: readonly string[];
  verdict: string;
  /** Why something is null; absent when nothing is. */
  reason?: string;
}

/** Events that an arm took in, or was offered, and does not have. */
export interface ArmLosses {
  /** All of them: replaced by later ones in a full ring, refused by one, or damaged. */
  dropped: number;
  /** Of those, in files that are missing or not as they were written. */
  damaged: number;
}

export type WarningCode =
  | 'noEvents'
  | 'lostEvents'
  | 'noCommonEvent'
  | 'otherEvents'
  | 'missingMetric'
  | 'tooFewSamples'
  | 'insensitive'
  | 'unequalShares'
  | 'unknownCosts'
  | 'unlikeFailures'
  | 'censored'
  | 'zeroVariance'
  | 'heavyTail'
  | 'unequalSkew'
  | 'unequalMix'
  | 'manyTies'
  | 'sampledValues'
  | 'sampleRatioMismatch'
  | 'littleTimeOverlap'
  | 'unequalTimeSpans'
  | 'repeatedSamples'
  | 'repeatedUnits'
  | 'serialCorrelation'
  | 'withoutUnit'
  | 'sharedUnits'
  | 'misassignedUnits'
  | 'unequalRequests'
  | 'covariateDiffers'
  | 'strataLeftOut'
  | 'unpairedSamples';

export interface ComparisonWarning {
  code: WarningCode;
  message: string;
}

export interface Pairing {
  used: boolean;
  /** Samples that both arms have. */
  pairs: number;
  /** Samples that only one arm has. */
  unpaired: { baseline: number; treatment: number };
  /** Why pairs are used, or are not. */
  reason: string;
}

/** What primary outcomes and guardrails come to together. */
export interface ComparisonDecision {
  /**
   * 'better': a primary is, none is worse, and all guardrails hold. 'worse': a primary is, or a guardrail's margin is
   * exceeded. 'noninferior': the primaries' margins and all guardrails hold. 'undecided' otherwise.
   */
  outcome: 'better' | 'worse' | 'noninferior' | 'undecided';
  /** In sentences. */
  reasons: string[];
  guardrails: { metric: string; margin: number | null; holds: boolean; exceeded: boolean }[];
}

/** One segment of both arms. */
export interface SegmentComparison {
  metrics: Record<string, MetricComparison>;
  warnings: ComparisonWarning[];
  verdict: string;
}

export interface TreatmentComparison extends TreatmentDifferences {
  /** Those asked for. */
  metrics: { [metric in MetricName]?: MetricComparison } & Record<string, MetricComparison>;
  pairing: Pairing;
  warnings: ComparisonWarning[];
  /** What differs, by how much, and what is not shown, in sentences. */
  verdict: string;
  /** Where an outcome is a primary or a guardrail. */
  decision?: ComparisonDecision;
  /** Those that were declared, by name. */
  segments?: Record<string, SegmentComparison>;
}

/** What the numbers depend on besides the data. */
export interface ComparisonSettings {
  confidenceLevel: number;
  alpha: number;
  adjust: AdjustmentMethod | 'none';
  /** p-values that were adjusted together. */
  questions: number;
  /** Those of all segments, which were adjusted together; 0 without segments. */
  segmentQuestions: number;
  /** What was taken as randomised. */
  unit: string;
  /** By what means are post-stratified, and which outcomes are not; null where none are. */
  strata: { by: string; without: string[] } | null;
  seed: number;
  resamples: number;
  /** Null: the results hold for one look, at a time that was fixed beforehand. */
  sequential: {
    tuning: number;
    /** p-values and intervals hold at every look. */
    validAtEveryLook: true;
  } | null;
}

export interface Comparison extends ComparisonDifferences {
  /** The events that were compared: their name, that of their kind where they have several, or 'all'. */
  event: string;
  treatments: TreatmentComparison[];
  settings: ComparisonSettings;
}
