/** What a comparison works on: plain data of each arm, fit to cross a thread. */
import type { ClusterTotals } from '../../stats/clustered.js';
import type { CovariateSums } from '../../stats/covariates.js';
import type { Proportion } from '../../stats/proportions.js';
import type { RatioSums } from '../../stats/ratio.js';
import type { Summary } from '../../stats/sample.js';
import type { ArmLosses, Metrics } from '../types.js';

/** Measures that are gathered without being asked for, in the order in which a row's values stand. */
export const USUAL_MEASURES = ['latencyMs', 'costUsd', 'tokensTotal', 'success'] as const;

/** Values too many to be held: their moments, exact, and some of them drawn at random. */
export interface SampledValues extends Summary {
  /** Each of the n values is as likely to be here as any other; in any order. */
  readonly sample: Float64Array;
  /** g₁ = m₃/m₂^1.5 of all values; null for a constant, and where m₃ is out of a double's range. */
  readonly skewness: number | null;
  /** The largest magnitude in the sum of all magnitudes. */
  readonly largestShare: number;
}

/**
 * The values of one measure, one per event that has it, in any order, or a random sample of them; or what they add up
 * to, which is enough for means and for the sequential mode, and for nothing that looks at order. Values that are not
 * finite are left out.
 */
export type Observations = Float64Array | SampledValues | Summary;

/** An arm's events by sampleId: means of latency and success, and sums of cost and tokens, over the events of each. */
export interface SamplesById {
  /** Distinct. */
  readonly ids: readonly string[];
  /** Beside `ids`; NaN where no event of the sample has a latency (a cost, tokens). */
  readonly latencyMs: Float64Array;
  readonly costUsd: Float64Array;
  readonly tokens: Float64Array;
  /** Beside `ids`: successes among the sample's events whose success is known; NaN where there are none. */
  readonly successRate: Float64Array;
  /** Further measures by name, beside `ids`: means over the sample's events. */
  readonly columns?: Readonly<Record<string, Float64Array>>;
  /** Events that carry a sampleId. */
  readonly events: number;
}

/** An arm's events by what was randomised: what each unit adds to the sums over all events. */
export interface UnitTotals {
  /** 'userId', … */
  readonly unit: string;
  /** Distinct. */
  readonly ids: readonly string[];
  /** By measure, beside `ids`: the sum of the unit's values, and their number. */
  readonly measures: Readonly<Record<string, ClusterTotals>>;
  /** By `of/per`. */
  readonly ratios: Readonly<Record<string, ClusterTotals>>;
  /** By measure: all values, and the place of each one's unit; null where they were too many. */
  readonly values: Readonly<
    Record<string, { readonly values: Float64Array; readonly units: Uint32Array } | null>
  >;
  /** Events that belong to a unit, and that do not. */
  readonly events: number;
  readonly without: number;
}

/** What an arm has of one stratum. */
export interface StratumOfArm {
  /** Null: events that have none. */
  readonly key: string | null;
  readonly events: number;
  readonly measures: Readonly<Record<string, Summary>>;
}

/** How many events share an id, as far as they were looked at. */
export interface RepeatedId {
  readonly key: 'userId' | 'sessionId' | 'sampleId';
  readonly ids: number;
  /** Events that carry one. */
  readonly events: number;
  /** Whether all events were looked at. */
  readonly isComplete: boolean;
}

/** More samples than are kept: they are not paired. */
export interface UnkeptSamples {
  readonly ids: null;
  /** Distinct sampleIds that would have been kept. */
  readonly idsMax: number;
  /** Events that carried one of so many, when one more came. */
  readonly events: number;
}

/** Events by what they have in common. */
export type Mix = Readonly<Record<string, number>>;

export interface ArmSamples {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  /** Of the events that are compared. */
  readonly metrics: Metrics;
  /** Of all kinds of events; absent where those are the ones compared. */
  readonly allMetrics?: Metrics;
  readonly latencyMs: Observations;
  readonly costUsd: Observations;
  /** Prompt and completion together, per event that has any. */
  readonly tokens: Observations;
  /** Of the `decided` events. */
  readonly successes: number;
  /** Events whose success is known. */
  readonly decided: number;
  /** First and last event, µs since the epoch. */
  readonly timeRange: readonly [startUs: number, endUs: number] | null;
  readonly events: number;
  /** Further measures that were asked for, by name. */
  readonly columns?: Readonly<Record<string, Observations>>;
  /** Those of them that are yes or no, over the events that say which. */
  readonly flags?: Readonly<Record<string, Proportion>>;
  /** Sums of two measures over the events that have both, by `of/per`. */
  readonly ratios?: Readonly<Record<string, RatioSums>>;
  /**
   * By `of~covariate`, of events that have the outcome: sums of it, of the covariate (0 where an event has none), and of
   * whether the event has one.
   */
  readonly covariates?: Readonly<Record<string, CovariateSums>>;
  /** By stratum, of each measure: where strata were named. */
  readonly strata?: readonly StratumOfArm[];
  /** Latencies of events that succeeded, and of those that failed. */
  readonly latencyOf?: { readonly succeeded: Summary; readonly failed: Summary };
  /** Events by model, provider and name, as far as bindings tell, and by the values of declared dictionary columns. */
  readonly mix?: Readonly<Record<'model' | 'provider' | 'event', Mix>> & {
    readonly columns: Readonly<Record<string, Mix>>;
  };
  /** Where a unit was named. */
  readonly byUnit?: UnitTotals;
  /** Where none was: ids that several events share, most events per id first. */
  readonly repeats?: readonly RepeatedId[];
  /** Of all its events, whatever their kind; absent: none. */
  readonly lost?: ArmLosses;
  /** Needed for a paired comparison only. */
  readonly bySampleId?: SamplesById | UnkeptSamples;
}

const NO_VALUES = new Float64Array(0);

/** The values of a measure; none where the arm has nothing of the kind. */
export function valuesOf(arm: ArmSamples, of: string): Observations {
  if (of === 'latencyMs' || of === 'costUsd') return arm[of];
  if (of === 'tokensTotal') return arm.tokens;
  return arm.columns?.[of] ?? NO_VALUES;
}

/** Null where the measure is not one of yes and no, as far as the arm can tell. */
export function flagOf(arm: ArmSamples, of: string): Proportion | null {
  if (of === 'success') return { successes: arm.successes, n: arm.decided };
  return arm.flags?.[of] ?? null;
}

/** Beside `ids`, a measure of each sample. */
export function sampleValues(samples: SamplesById, of: string): Float64Array {
  if (of === 'latencyMs' || of === 'costUsd') return samples[of];
  if (of === 'tokensTotal') return samples.tokens;
  if (of === 'success') return samples.successRate;
  return samples.columns?.[of] ?? new Float64Array(samples.ids.length).fill(Number.NaN);
}
