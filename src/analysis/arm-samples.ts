/** One arm of a comparison, gathered from its rows in one pass. */
import { FLAG_BLOB, FLAG_DECLARED, FLAG_METADATA_TOKENS, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Matches } from '../readers/matches.js';
import { decodeRow, type RowSource, successOf } from '../readers/rows.js';
import type { View } from '../readers/source.js';
import { type Batch, isValue } from '../ring/batch.js';
import { lifted } from '../schema/enrich.js';
import type { EventRow, Json } from '../schema/event.js';
import type { ArmSamples, SamplesById } from './compare/samples.js';
import { collected, type ExperimentTimes, MetricsCollector } from './metrics.js';

/**
 * Holds the values of the arm, and nothing of its rows.
 * @param withSampleIds - whether to gather by sampleId as well: events that were captured whole must be decoded for it
 */
export async function gatherArm(
  view: View,
  times: ExperimentTimes,
  withSampleIds: boolean,
  kernels: Kernels,
): Promise<ArmSamples> {
  return collected(kernels, undefined, view, (columns) => {
    const collector = new MetricsCollector(view.source, columns);
    const values = new ValuesCollector(view.source, withSampleIds);
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

/** A Float64Array that grows. */
class Values {
  private values = new Float64Array(1024);
  private length = 0;

  push(value: number): void {
    if (this.length === this.values.length) {
      const larger = new Float64Array(this.length * 2);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
  }

  /** As they came, in memory of their own. */
  all(): Float64Array {
    return this.values.slice(0, this.length);
  }
}

class ValuesCollector {
  private readonly source: RowSource;
  private readonly latencyMs = new Values();
  private readonly costUsd = new Values();
  private readonly tokens = new Values();
  private readonly samples: SampleCollector | null;

  constructor(source: RowSource, withSampleIds: boolean) {
    this.source = source;
    this.samples = withSampleIds ? new SampleCollector(source) : null;
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
    const [latencyMs, costUsd, tokens] = [this.latencyMs, this.costUsd, this.tokens].map((v) => v.all());
    const bySampleId = this.samples?.result();
    return { latencyMs, costUsd, tokens, ...(bySampleId !== undefined && { bySampleId }) };
  }
}

function hasTokens(batch: Batch, row: number): boolean {
  return batch.promptTokens[row] >= 0 || batch.completionTokens[row] >= 0;
}

/** Only an event that was captured whole may tell a total of its own. */
function mayTellTotal(batch: Batch, row: number): boolean {
  const captured = (batch.tags[row] & (FLAG_BLOB | FLAG_METADATA_TOKENS)) === FLAG_BLOB;
  return captured && hasTokens(batch, row);
}

/** NaN where there are none. */
function totalTokens(batch: Batch, row: number, event: EventRow | undefined): number {
  if (!hasTokens(batch, row)) return Number.NaN;
  const sum = Math.max(batch.promptTokens[row], 0) + Math.max(batch.completionTokens[row], 0);
  return event?.tokens?.total ?? sum;
}

/** Means per sampleId, of what each of its events has. */
class SampleCollector {
  private readonly source: RowSource;
  /** Whether a declared column may hold the sampleId. */
  private readonly declared: boolean;
  private readonly places = new Map<string, number>();
  private readonly latencyMs = new Means();
  private readonly costUsd = new Means();
  private readonly tokens = new Means();
  private readonly successRate = new Means();
  private events = 0;

  constructor(source: RowSource) {
    this.source = source;
    this.declared = source.columns.some(({ name }) => name === 'sampleId' || name === 'sample_id');
  }

  /** Whether the row's sampleId, if it has one, is told by its event alone. */
  needsEvent(batch: Batch, row: number): boolean {
    return (batch.tags[row] & (this.declared ? FLAG_BLOB | FLAG_DECLARED : FLAG_BLOB)) !== 0;
  }

  add(batch: Batch, row: number, event: EventRow | undefined, tokens: number): void {
    const tag = batch.tags[row];
    const id = event?.sampleId ?? lifted(this.source.binding(tag & TAG_BINDING_MASK).bound, 'sampleId');
    if (id === null) return;
    const key = keyOf(id);
    const place = this.places.get(key) ?? this.places.size;
    this.places.set(key, place);
    this.events++;
    const success = successOf(tag);
    this.latencyMs.add(place, isValue(batch.latencyMs[row]) ? batch.latencyMs[row] : Number.NaN);
    this.costUsd.add(place, isValue(batch.costUsd[row]) ? batch.costUsd[row] : Number.NaN);
    this.tokens.add(place, tokens);
    this.successRate.add(place, success === null ? Number.NaN : Number(success));
  }

  result(): SamplesById {
    return {
      ids: [...this.places.keys()],
      latencyMs: this.latencyMs.result(),
      costUsd: this.costUsd.result(),
      tokens: this.tokens.result(),
      successRate: this.successRate.result(),
      events: this.events,
    };
  }
}

/** 1 and '1' are one sample: whoever logs ids as text in one arm and as numbers in the other means the same. */
function keyOf(id: Json): string {
  return typeof id === 'string' ? id : JSON.stringify(id);
}

/** A mean per place; NaN is no value. */
class Means {
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
  result(): Float64Array {
    return Float64Array.from(this.sums, (sum, place) => sum / this.counts[place]);
  }
}
