/** One arm of a comparison, gathered from its rows in one pass. */
import { FLAG_BLOB, FLAG_DECLARED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Matches } from '../readers/matches.js';
import { type RowSource, successOf } from '../readers/rows.js';
import type { View } from '../readers/source.js';
import { isValue } from '../ring/batch.js';
import type { EventRow, Json } from '../schema/event.js';
import { lifted } from '../schema/fields.js';
import { PairMoments } from '../stats/ratio.js';
import type { ArmSamples, SamplesById, UnkeptSamples } from './compare/samples.js';
import { streamSeed } from './compare/streams.js';
import { GatheredValues } from './gathered-values.js';
import { collected, type ExperimentTimes, MetricsCollector } from './metrics.js';
import { isFlag, numberReader, type ReadNumber, RowCursor, totalTokens } from './row-values.js';

/** About 200 MB. */
const IDS_MAX = 1_000_000;

export interface GatherOptions {
  /** Whether to gather by sampleId as well: events that were captured whole must be decoded for it. */
  readonly withSampleIds: boolean;
  /** Of the random samples, a whole number. */
  readonly seed: number;
  /** The arm's place among those compared: equal seeds draw different places of the arms' values. */
  readonly arm: number;
  /** Measures to gather besides latency, cost, tokens and success. */
  readonly measures?: readonly string[];
  /** Pairs of measures whose sums are compared. */
  readonly ratios?: readonly (readonly [of: string, per: string])[];
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
  private readonly cursor: RowCursor;
  private readonly latencyMs: GatheredValues;
  private readonly costUsd: GatheredValues;
  private readonly tokens: GatheredValues;
  private readonly columns: readonly Column[];
  private readonly ratios: readonly Ratio[];
  private readonly samples: SampleCollector | null;

  constructor(source: RowSource, options: GatherOptions) {
    const { withSampleIds, seed, arm, keptMax, idsMax, measures = [], ratios = [] } = options;
    const gathered = (measure: number) =>
      new GatheredValues(streamSeed(seed, 'sample', (3 + measures.length) * arm + measure), keptMax);
    this.cursor = new RowCursor(source);
    this.latencyMs = gathered(0);
    this.costUsd = gathered(1);
    this.tokens = gathered(2);
    this.columns = measures.map((of, i) => ({
      of,
      read: numberReader(source, of),
      ...(isFlag(source, of) ? { flag: { successes: 0, n: 0 } } : { values: gathered(3 + i) }),
    }));
    this.ratios = ratios.map(([of, per]) => ({
      key: `${of}/${per}`,
      of: numberReader(source, of),
      per: numberReader(source, per),
      sums: new PairMoments(),
    }));
    this.samples = withSampleIds ? new SampleCollector(source, measures, idsMax) : null;
  }

  /** The same rows, with the events that had to be decoded, for whoever comes next. */
  add({ batch, rows, events: known }: Matches): Matches {
    const { cursor, columns, ratios, samples } = this;
    const events: (EventRow | undefined)[] = [];
    const others = new Float64Array(columns.length);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      cursor.move(batch, row, known?.[i]);
      const tokens = totalTokens(cursor);
      if (isValue(batch.latencyMs[row])) this.latencyMs.push(batch.latencyMs[row]);
      if (isValue(batch.costUsd[row])) this.costUsd.push(batch.costUsd[row]);
      if (!Number.isNaN(tokens)) this.tokens.push(tokens);
      for (let c = 0; c < columns.length; c++) others[c] = addTo(columns[c], cursor);
      for (const { of, per, sums } of ratios) addRatio(sums, of(cursor), per(cursor));
      samples?.add(cursor, tokens, others);
      events.push(cursor.decoded);
    }
    return { batch, rows, events };
  }

  result(): Pick<
    ArmSamples,
    'latencyMs' | 'costUsd' | 'tokens' | 'columns' | 'flags' | 'ratios' | 'bySampleId'
  > {
    const [latencyMs, costUsd, tokens] = [this.latencyMs, this.costUsd, this.tokens].map((values) =>
      values.result(),
    );
    const bySampleId = this.samples?.result();
    const columns = this.columns.flatMap(({ of, values }) =>
      values ? [[of, values.result()] as const] : [],
    );
    const flags = this.columns.flatMap(({ of, flag }) => (flag ? [[of, { ...flag }] as const] : []));
    return {
      latencyMs,
      costUsd,
      tokens,
      ...(columns.length > 0 && { columns: Object.fromEntries(columns) }),
      ...(flags.length > 0 && { flags: Object.fromEntries(flags) }),
      ...(this.ratios.length > 0 && {
        ratios: Object.fromEntries(this.ratios.map(({ key, sums }) => [key, sums.result()])),
      }),
      ...(bySampleId !== undefined && { bySampleId }),
    };
  }
}

/** A measure that was asked for besides the usual ones. */
interface Column {
  readonly of: string;
  readonly read: ReadNumber;
  /** One of the two. */
  readonly values?: GatheredValues;
  readonly flag?: { successes: number; n: number };
}

interface Ratio {
  readonly key: string;
  readonly of: ReadNumber;
  readonly per: ReadNumber;
  readonly sums: PairMoments;
}

/** The row's value, NaN where it has none. */
function addTo({ read, values, flag }: Column, cursor: RowCursor): number {
  const value = read(cursor);
  if (Number.isNaN(value)) return value;
  values?.push(value);
  if (flag !== undefined) {
    flag.n++;
    flag.successes += value;
  }
  return value;
}

function addRatio(sums: PairMoments, of: number, per: number): void {
  if (Number.isNaN(of) && Number.isNaN(per)) return;
  sums.push(Number.isNaN(of) ? 0 : of, Number.isNaN(per) ? 0 : per);
}

/** Means per sampleId, of what each of its events has; nothing once there are too many of them. */
class SampleCollector {
  private readonly source: RowSource;
  private readonly idsMax: number;
  private readonly measures: readonly string[];
  /** Whether a declared column may hold the sampleId. */
  private readonly declared: boolean;
  private kept: KeptSamples | null;
  private events = 0;

  constructor(source: RowSource, measures: readonly string[], idsMax = IDS_MAX) {
    this.source = source;
    this.idsMax = idsMax;
    this.measures = measures;
    this.kept = new KeptSamples(measures.length);
    this.declared = source.columns.some(({ name }) => name === 'sampleId' || name === 'sample_id');
  }

  add(cursor: RowCursor, tokens: number, others: Float64Array): void {
    if (this.kept === null) return;
    const { tag } = cursor;
    // The row's sampleId, if it has one, is its binding's, or else told by its event alone.
    const needsEvent = (tag & (this.declared ? FLAG_BLOB | FLAG_DECLARED : FLAG_BLOB)) !== 0;
    const event = needsEvent ? cursor.event : cursor.decoded;
    const id = event?.sampleId ?? lifted(this.source.binding(tag & TAG_BINDING_MASK).bound, 'sampleId');
    if (id === null) return;
    const place = this.kept.place(keyOf(id));
    if (place === this.idsMax) {
      this.kept = null;
      return;
    }
    this.events++;
    this.kept.add(place, cursor, tokens, others);
  }

  result(): SamplesById | UnkeptSamples {
    const { kept, idsMax, events } = this;
    return kept === null ? { ids: null, idsMax, events } : { ...kept.result(this.measures), events };
  }
}

class KeptSamples {
  private readonly places = new Map<string, number>();
  private readonly latencyMs = new Sums();
  private readonly costUsd = new Sums();
  private readonly tokens = new Sums();
  private readonly successRate = new Sums();
  private readonly others: readonly Sums[];

  constructor(others: number) {
    this.others = Array.from({ length: others }, () => new Sums());
  }

  /** Of the id; the next one if it is new. */
  place(id: string): number {
    const known = this.places.get(id);
    if (known !== undefined) return known;
    this.places.set(id, this.places.size);
    return this.places.size - 1;
  }

  add(place: number, { batch, row }: RowCursor, tokens: number, others: Float64Array): void {
    const success = successOf(batch.tags[row]);
    this.latencyMs.add(place, isValue(batch.latencyMs[row]) ? batch.latencyMs[row] : Number.NaN);
    this.costUsd.add(place, isValue(batch.costUsd[row]) ? batch.costUsd[row] : Number.NaN);
    this.tokens.add(place, tokens);
    this.successRate.add(place, success === null ? Number.NaN : Number(success));
    for (let i = 0; i < others.length; i++) this.others[i].add(place, others[i]);
  }

  result(measures: readonly string[]): Omit<SamplesById, 'events'> {
    return {
      ids: [...this.places.keys()],
      latencyMs: this.latencyMs.means(),
      costUsd: this.costUsd.totals(),
      tokens: this.tokens.totals(),
      successRate: this.successRate.means(),
      ...(measures.length > 0 && {
        columns: Object.fromEntries(measures.map((of, i) => [of, this.others[i].means()])),
      }),
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
