/** One arm of a comparison, gathered from its rows in one pass. */
import {
  FLAG_BLOB,
  FLAG_CORRECTED,
  FLAG_DECLARED,
  FLAG_METADATA_TOKENS,
  TAG_BINDING_MASK,
} from '../../assembly/layout.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Matches } from '../readers/matches.js';
import { decodeRow, type RowSource, successOf } from '../readers/rows.js';
import type { View } from '../readers/source.js';
import { type Batch, isValue } from '../ring/batch.js';
import type { EventRow, Json } from '../schema/event.js';
import { lifted } from '../schema/fields.js';
import type { ArmSamples, SamplesById, UnkeptSamples } from './compare/samples.js';
import { streamSeed } from './compare/streams.js';
import { GatheredValues } from './gathered-values.js';
import { collected, type ExperimentTimes, MetricsCollector } from './metrics.js';

/** About 200 MB. */
const IDS_MAX = 1_000_000;

export interface GatherOptions {
  /** Whether to gather by sampleId as well: events that were captured whole must be decoded for it. */
  readonly withSampleIds: boolean;
  /** Of the random samples, a whole number. */
  readonly seed: number;
  /** The arm's place among those compared: equal seeds draw different places of the arms' values. */
  readonly arm: number;
  /** Values kept of each measure; default 1,048,576. */
  readonly keptMax?: number;
  /** Distinct sampleIds kept; default 1,000,000. */
  readonly idsMax?: number;
}

/** Holds values of the arm, as many as the options allow, and nothing of its rows. */
export async function gatherArm(
  view: View,
  times: ExperimentTimes,
  options: GatherOptions,
  kernels: Kernels,
): Promise<ArmSamples> {
  return collected(kernels, undefined, view, (columns) => {
    const collector = new MetricsCollector(view.source, columns);
    const values = new ValuesCollector(view.source, options);
    return {
      add: (rows, staged) => collector.add(columns.pass === 1 ? values.add(rows) : rows, staged),
      result() {
        const metrics = collector.result(times);
        const { totalEvents, timeRange } = metrics.summary;
        const { reliability } = metrics;
        return {
          id: view.source.experimentId,
          name: view.source.experimentName,
          condition: view.source.condition,
          metrics,
          ...values.result(),
          successes: 'successful' in reliability ? reliability.successful : 0,
          decided: reliability.decidedRequests,
          timeRange:
            timeRange.start === null || timeRange.end === null ? null : [timeRange.start, timeRange.end],
          events: totalEvents,
        };
      },
    };
  });
}

class ValuesCollector {
  private readonly source: RowSource;
  private readonly latencyMs: GatheredValues;
  private readonly costUsd: GatheredValues;
  private readonly tokens: GatheredValues;
  private readonly samples: SampleCollector | null;

  constructor(source: RowSource, { withSampleIds, seed, arm, keptMax, idsMax }: GatherOptions) {
    const [latencyMs, costUsd, tokens] = [0, 1, 2].map(
      (measure) => new GatheredValues(streamSeed(seed, 'sample', 3 * arm + measure), keptMax),
    );
    this.source = source;
    this.latencyMs = latencyMs;
    this.costUsd = costUsd;
    this.tokens = tokens;
    this.samples = withSampleIds ? new SampleCollector(source, idsMax) : null;
  }

  /** The same rows, with the events that had to be decoded, for whoever comes next. */
  add({ batch, rows, events: known }: Matches): Matches {
    const events: (EventRow | undefined)[] = [];
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const tellsTotal = mayTellTotal(batch, row);
      const needed = tellsTotal || this.samples?.needsEvent(batch, row);
      const event = known?.[i] ?? (needed ? decodeRow(this.source, batch, row) : undefined);
      const tokens = totalTokens(batch, row, tellsTotal ? event : undefined);
      if (isValue(batch.latencyMs[row])) this.latencyMs.push(batch.latencyMs[row]);
      if (isValue(batch.costUsd[row])) this.costUsd.push(batch.costUsd[row]);
      if (!Number.isNaN(tokens)) this.tokens.push(tokens);
      this.samples?.add(batch, row, event, tokens);
      events.push(event);
    }
    return { batch, rows, events };
  }

  result(): Pick<ArmSamples, 'latencyMs' | 'costUsd' | 'tokens' | 'bySampleId'> {
    const [latencyMs, costUsd, tokens] = [this.latencyMs, this.costUsd, this.tokens].map((values) =>
      values.result(),
    );
    const bySampleId = this.samples?.result();
    return { latencyMs, costUsd, tokens, ...(bySampleId !== undefined && { bySampleId }) };
  }
}

function hasTokens(batch: Batch, row: number): boolean {
  return batch.promptTokens[row] >= 0 || batch.completionTokens[row] >= 0;
}

/** A total of its own is among what is kept beside an event. */
function mayTellTotal(batch: Batch, row: number): boolean {
  const isCorrected = (batch.tags[row] & (FLAG_CORRECTED | FLAG_METADATA_TOKENS)) === FLAG_CORRECTED;
  return isCorrected && hasTokens(batch, row);
}

/** NaN where there are none. */
function totalTokens(batch: Batch, row: number, event: EventRow | undefined): number {
  if (!hasTokens(batch, row)) return Number.NaN;
  const sum = Math.max(batch.promptTokens[row], 0) + Math.max(batch.completionTokens[row], 0);
  return event?.tokens?.total ?? sum;
}

/** Means per sampleId, of what each of its events has; nothing once there are too many of them. */
class SampleCollector {
  private readonly source: RowSource;
  private readonly idsMax: number;
  /** Whether a declared column may hold the sampleId. */
  private readonly declared: boolean;
  private kept: KeptSamples | null = new KeptSamples();
  private events = 0;

  constructor(source: RowSource, idsMax = IDS_MAX) {
    this.source = source;
    this.idsMax = idsMax;
    this.declared = source.columns.some(({ name }) => name === 'sampleId' || name === 'sample_id');
  }

  /** Whether the row's sampleId, if it has one, is told by its event alone. */
  needsEvent(batch: Batch, row: number): boolean {
    if (this.kept === null) return false;
    return (batch.tags[row] & (this.declared ? FLAG_BLOB | FLAG_DECLARED : FLAG_BLOB)) !== 0;
  }

  add(batch: Batch, row: number, event: EventRow | undefined, tokens: number): void {
    if (this.kept === null) return;
    const tag = batch.tags[row];
    const id = event?.sampleId ?? lifted(this.source.binding(tag & TAG_BINDING_MASK).bound, 'sampleId');
    if (id === null) return;
    const place = this.kept.place(keyOf(id));
    if (place === this.idsMax) {
      this.kept = null;
      return;
    }
    this.events++;
    this.kept.add(place, batch, row, tokens);
  }

  result(): SamplesById | UnkeptSamples {
    const { kept, idsMax, events } = this;
    return kept === null ? { ids: null, idsMax, events } : { ...kept.result(), events };
  }
}

class KeptSamples {
  private readonly places = new Map<string, number>();
  private readonly latencyMs = new Sums();
  private readonly costUsd = new Sums();
  private readonly tokens = new Sums();
  private readonly successRate = new Sums();

  /** Of the id; the next one if it is new. */
  place(id: string): number {
    const known = this.places.get(id);
    if (known !== undefined) return known;
    this.places.set(id, this.places.size);
    return this.places.size - 1;
  }

  add(place: number, batch: Batch, row: number, tokens: number): void {
    const success = successOf(batch.tags[row]);
    this.latencyMs.add(place, isValue(batch.latencyMs[row]) ? batch.latencyMs[row] : Number.NaN);
    this.costUsd.add(place, isValue(batch.costUsd[row]) ? batch.costUsd[row] : Number.NaN);
    this.tokens.add(place, tokens);
    this.successRate.add(place, success === null ? Number.NaN : Number(success));
  }

  result(): Omit<SamplesById, 'events'> {
    return {
      ids: [...this.places.keys()],
      latencyMs: this.latencyMs.means(),
      costUsd: this.costUsd.totals(),
      tokens: this.tokens.totals(),
      successRate: this.successRate.means(),
    };
  }
}

/** 1 and '1' are one sample: whoever logs ids as text in one arm and as numbers in the other means the same. */
function keyOf(id: Json): string {
  return typeof id === 'string' ? id : JSON.stringify(id);
}

/** Sums per place; NaN is no value. */
class Sums {
  private readonly sums: number[] = [];
  private readonly counts: number[] = [];

  add(place: number, value: number): void {
    while (this.sums.length <= place) {
      this.sums.push(0);
      this.counts.push(0);
    }
    if (Number.isNaN(value)) return;
    this.sums[place] += value;
    this.counts[place]++;
  }

  /** 0/0 is NaN, as it should be. */
  means(): Float64Array {
    return Float64Array.from(this.sums, (sum, place) => sum / this.counts[place]);
  }

  totals(): Float64Array {
    return Float64Array.from(this.sums, (sum, place) => (this.counts[place] === 0 ? Number.NaN : sum));
  }
}
