/** What a comparison works on: plain data of each arm, fit to cross a thread. */
import type { Summary } from '../../stats/sample.js';
import type { Metrics } from '../types.js';

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
  /** Events that carry a sampleId. */
  readonly events: number;
}

/** More samples than are kept: they are not paired. */
export interface UnkeptSamples {
  readonly ids: null;
  /** Distinct sampleIds that would have been kept. */
  readonly idsMax: number;
  /** Events that carried one of so many, when one more came. */
  readonly events: number;
}

export interface ArmSamples {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly metrics: Metrics;
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
  /** Needed for a paired comparison only. */
  readonly bySampleId?: SamplesById | UnkeptSamples;
}
