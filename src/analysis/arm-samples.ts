/** One arm of a comparison, gathered from its rows in one pass. */
import type { Kernels } from '../kernels/kernels.js';
import type { Matches } from '../readers/matches.js';
import type { RowSource } from '../readers/rows.js';
import type { View } from '../readers/source.js';
import { isValue } from '../ring/batch.js';
import type { Binding } from '../ring/bindings.js';
import type { EventRow } from '../schema/event.js';
import { CovariateMoments } from '../stats/covariates.js';
import { Welford } from '../stats/moments.js';
import { PairMoments } from '../stats/ratio.js';
import type { Summary } from '../stats/sample.js';
import { ColumnMix } from './column-mix.js';
import { type ArmSamples, type StratumOfArm, USUAL_MEASURES } from './compare/samples.js';
import { streamSeed } from './compare/streams.js';
import { GatheredValues } from './gathered-values.js';
import { Grouping } from './grouping.js';
import { collected, type ExperimentTimes, MetricsCollector } from './metrics.js';
import { RepeatedIds } from './repeated-ids.js';
import { flagValue, isFlag, numberReader, type ReadNumber, RowCursor, totalTokens } from './row-values.js';
import { UnitCollector } from './unit-sums.js';

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
  /** Outcomes and what was known before, whose sums of products are wanted. */
  readonly covariates?: readonly (readonly [of: string, covariate: string])[];
  /** What strata are told by. */
  readonly strata?: string;
  /** What was randomised: what is summed up by. 'event', the default, sums up nothing. */
  readonly unit?: string;
  /** Measures whose values are kept by unit, because quantiles of them are wanted. */
  readonly quantilesOf?: readonly string[];
  /** Values kept of each measure; default 1,048,576. */
  readonly keptMax?: number;
  /** Distinct sampleIds kept; default 1,000,000. */
  readonly idsMax?: number;
}

type ArmAbout = Pick<
  ArmSamples,
  | 'id'
  | 'name'
  | 'condition'
  | 'metrics'
  | 'allMetrics'
  | 'successes'
  | 'decided'
  | 'timeRange'
  | 'events'
  | 'mix'
>;

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
    const mix = new ColumnMix(view.source);
    return {
      add(rows, staged) {
        if (columns.pass === 1) mix.add(rows);
        collector.add(columns.pass === 1 ? values.add(rows) : rows, staged);
      },
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
          mix: { ...mixOf(collector.bindingCounts()), columns: mix.result() },
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

function mixOf(
  counts: ReturnType<MetricsCollector['bindingCounts']>,
): Omit<NonNullable<ArmSamples['mix']>, 'columns'> {
  const by = (nameOf: (binding: Binding) => string | null) => {
    const rowsOf: Record<string, number> = Object.create(null);
    for (const { binding, rows } of counts) {
      const name = nameOf(binding) ?? '(none)';
      rowsOf[name] = (rowsOf[name] ?? 0) + rows;
    }
    return { ...rowsOf };
  };
  return {
    model: by(({ model }) => model),
    provider: by(({ provider }) => provider),
    event: by(({ event }) => event),
  };
}

class ValuesCollector {
  private readonly cursor: RowCursor;
  private readonly latencyMs: GatheredValues;
  private readonly costUsd: GatheredValues;
  private readonly tokens: GatheredValues;
  private readonly columns: readonly Column[];
  private readonly ratios: readonly Ratio[];
  private readonly covariates: readonly Covariate[];
  private readonly strata: StrataCollector | null;
  private readonly samples: UnitCollector | null;
  private readonly units: UnitCollector | null;
  private readonly repeats: RepeatedIds | null;
  private readonly measures: readonly string[];
  /** Latencies by outcome. */
  private readonly succeeded = new Welford();
  private readonly failed = new Welford();

  constructor(source: RowSource, options: GatherOptions) {
    const {
      withSampleIds,
      seed,
      arm,
      keptMax,
      idsMax = IDS_MAX,
      measures = [],
      ratios = [],
      unit = 'event',
    } = options;
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
    this.measures = [...USUAL_MEASURES, ...measures];
    this.covariates = (options.covariates ?? []).map(([of, covariate]) => ({
      key: `${of}~${covariate}`,
      of: this.measures.indexOf(of),
      covariate: this.measures.indexOf(covariate),
      sums: new CovariateMoments(2),
    }));
    this.strata =
      options.strata === undefined ? null : new StrataCollector(source, options.strata, this.measures);
    const wanted = options.quantilesOf ?? [];
    this.samples = withSampleIds
      ? new UnitCollector(source, 'sampleId', this.measures, [], [], idsMax)
      : null;
    this.units =
      unit === 'event'
        ? null
        : new UnitCollector(
            source,
            unit,
            this.measures,
            this.ratios.map(({ key }) => key),
            wanted,
            idsMax,
          );
    this.repeats = unit === 'event' ? new RepeatedIds(source, withSampleIds) : null;
  }

  /** The same rows, with the events that had to be decoded, for whoever comes next. */
  add(matches: Matches): Matches {
    const { batch, rows, events: known } = matches;
    const { cursor, columns, ratios, samples, units, repeats, measures } = this;
    const events: (EventRow | undefined)[] = [];
    const values = new Float64Array(measures.length);
    const pairs = new Float64Array(2 * ratios.length);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      cursor.move(batch, row, known?.[i]);
      const latencyMs = isValue(batch.latencyMs[row]) ? batch.latencyMs[row] : Number.NaN;
      const costUsd = isValue(batch.costUsd[row]) ? batch.costUsd[row] : Number.NaN;
      const tokens = totalTokens(cursor);
      if (!Number.isNaN(latencyMs)) this.latencyMs.push(latencyMs);
      if (!Number.isNaN(costUsd)) this.costUsd.push(costUsd);
      if (!Number.isNaN(tokens)) this.tokens.push(tokens);
      values[0] = latencyMs;
      values[1] = costUsd;
      values[2] = tokens;
      values[3] = flagValue(batch.tags[row]);
      if (!Number.isNaN(latencyMs) && !Number.isNaN(values[3])) {
        (values[3] === 1 ? this.succeeded : this.failed).push(latencyMs);
      }
      for (let c = 0; c < columns.length; c++) values[USUAL_MEASURES.length + c] = addTo(columns[c], cursor);
      for (let r = 0; r < ratios.length; r++) addRatio(ratios[r], cursor, pairs, 2 * r);
      for (const covariate of this.covariates) addCovariate(covariate, values);
      this.strata?.add(matches, i, values);
      samples?.add(cursor, values, pairs);
      units?.add(cursor, values, pairs);
      repeats?.add(cursor);
      events.push(cursor.decoded);
    }
    return { batch, rows, events };
  }

  result(): Omit<ArmSamples, keyof ArmAbout> {
    const [latencyMs, costUsd, tokens] = [this.latencyMs, this.costUsd, this.tokens].map((values) =>
      values.result(),
    );
    const bySampleId = this.samples?.samples();
    const columns = this.columns.flatMap(({ of, values }) =>
      values ? [[of, values.result()] as const] : [],
    );
    const flags = this.columns.flatMap(({ of, flag }) => (flag ? [[of, { ...flag }] as const] : []));
    return {
      latencyMs,
      costUsd,
      tokens,
      latencyOf: { succeeded: summaryOf(this.succeeded), failed: summaryOf(this.failed) },
      ...(columns.length > 0 && { columns: Object.fromEntries(columns) }),
      ...(flags.length > 0 && { flags: Object.fromEntries(flags) }),
      ...(this.ratios.length > 0 && {
        ratios: Object.fromEntries(this.ratios.map(({ key, sums }) => [key, sums.result()])),
      }),
      ...(this.covariates.length > 0 && {
        covariates: Object.fromEntries(this.covariates.map(({ key, sums }) => [key, sums.result()])),
      }),
      ...(this.strata !== null && { strata: this.strata.result() }),
      ...(bySampleId !== undefined && { bySampleId }),
      ...(this.units !== null && { byUnit: this.units.units() }),
      ...(this.repeats !== null && { repeats: this.repeats.result() }),
    };
  }
}

function summaryOf({ n, mean, variance, meanLow }: Welford): Summary {
  return { n, mean, variance, meanLow };
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

/** Of events that have the outcome. */
interface Covariate {
  readonly key: string;
  /** Places among the measures. */
  readonly of: number;
  readonly covariate: number;
  readonly sums: CovariateMoments;
}

function addCovariate({ of, covariate, sums }: Covariate, values: Float64Array): void {
  if (Number.isNaN(values[of])) return;
  const known = values[covariate];
  sums.push(Number.isNaN(known) ? [values[of], 0, 0] : [values[of], known, 1]);
}

/** Means of each measure, stratum by stratum. */
class StrataCollector {
  readonly #grouping: Grouping;
  readonly #measures: readonly string[];
  readonly #groups: { events: number; readonly moments: readonly Welford[] }[] = [];

  constructor(source: RowSource, key: string, measures: readonly string[]) {
    this.#grouping = new Grouping(source, key);
    this.#measures = measures;
  }

  add(matches: Matches, i: number, values: Float64Array): void {
    const group = this.#grouping.groupOf(matches, i);
    this.#groups[group] ??= { events: 0, moments: this.#measures.map(() => new Welford()) };
    const { moments } = this.#groups[group];
    this.#groups[group].events++;
    for (let m = 0; m < moments.length; m++) if (!Number.isNaN(values[m])) moments[m].push(values[m]);
  }

  result(): StratumOfArm[] {
    return this.#groups.map(({ events, moments }, group) => ({
      key: this.#grouping.key(group),
      events,
      measures: Object.fromEntries(this.#measures.map((of, m) => [of, summaryOf(moments[m])])),
    }));
  }
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

function addRatio({ of, per, sums }: Ratio, cursor: RowCursor, into: Float64Array, at: number): void {
  const [above, below] = [of(cursor), per(cursor)];
  // An unknown cost is not a cost of 0.
  const isKnown = !Number.isNaN(above) && !Number.isNaN(below);
  into[at] = isKnown ? above : Number.NaN;
  into[at + 1] = isKnown ? below : Number.NaN;
  if (isKnown) sums.push(above, below);
}
