/** Exact metrics over matching rows, in all and by group. */
import { FLAG_CORRECTED, FLAG_METADATA_TOKENS, TAG_BINDING_MASK } from '../../assembly/layout.js';
import {
  type ColumnSummary,
  type ExactColumn,
  ExactColumns,
  type KeepOptions,
} from '../kernels/exact-column.js';
import type { Kernels } from '../kernels/kernels.js';
import { Staging } from '../kernels/staging.js';
import { type Matches, matches } from '../readers/matches.js';
import { decodeRow, type RowSource } from '../readers/rows.js';
import type { View } from '../readers/source.js';
import type { Batch } from '../ring/batch.js';
import type { Binding } from '../ring/bindings.js';
import type { EventRow } from '../schema/event.js';
import { checkMeasured, type Question, resolveQuestions } from './compare/outcomes.js';
import { Grouping, type GroupKey } from './grouping.js';
import { ALPHA, OutcomesCollector } from './outcome-metrics.js';
import { StagedFilter } from './staged-filter.js';
import type {
  CostStats,
  LatencyStats,
  MetricName,
  Metrics,
  MetricsGroup,
  Outcome,
  ReliabilityStats,
  TokenStats,
} from './types.js';

/** How long the experiment has run, in seconds. */
export interface ExperimentTimes {
  wallClockSeconds: number;
  activeSeconds: number;
  pausedSeconds: number;
}

const LATENCY_QUANTILES = [0.5, 0.9, 0.95, 0.99, 0.999];
const COST_QUANTILES = [0.5];
/** Counters of bindings to begin with. */
const BINDINGS_MIN = 64;
/** Numbers that `foldRows` leaves: two times and five counts. */
const SUMS = 7;

/**
 * Metrics of the rows that pass the view's filter. Memory does not grow with their number; where they are very many
 * they are read more than once.
 */
export async function metricsOf(
  view: View,
  times: ExperimentTimes,
  kernels: Kernels,
  options?: MetricsOptions,
): Promise<Metrics> {
  const questions = questionsFor(view.source, options);
  return collected(kernels, options, view, (columns) => {
    const group = new GroupCollector(view.source, columns, questions);
    return {
      add: (matches, staged) => group.add(matches, staged),
      result: () => group.result(times),
    };
  });
}

export interface MetricsOptions extends KeepOptions {
  /** Outcomes that are wanted besides. */
  readonly of?: readonly (MetricName | Outcome)[];
}

/** @throws ConfigError naming what is wrong with an outcome */
export function questionsFor(
  source: RowSource,
  { of }: Pick<MetricsOptions, 'of'> = {},
): readonly Question[] {
  if (of === undefined) return [];
  const questions = resolveQuestions(of);
  checkMeasured(questions, source.columns);
  return questions;
}

/** What there is of one group of rows. */
class GroupCollector {
  readonly #metrics: MetricsCollector;
  readonly #outcomes: OutcomesCollector | null;

  constructor(source: RowSource, columns: ExactColumns, questions: readonly Question[]) {
    this.#metrics = new MetricsCollector(source, columns);
    this.#outcomes = questions.length === 0 ? null : new OutcomesCollector(source, columns, questions, ALPHA);
  }

  add(matches: Matches, staged: StagedBatch): void {
    this.#metrics.add(matches, staged);
    this.#outcomes?.add(matches, staged);
  }

  result(times: ExperimentTimes): Metrics {
    const metrics = this.#metrics.result(times);
    return this.#outcomes === null ? metrics : { ...metrics, outcomes: this.#outcomes.result() };
  }
}

/**
 * The same by group, most events first and groups of as many by key. Rows that have no value for the key are the group
 * null. Of more than 1,000 groups those that come last in capture order are one, whose key is `OTHER_GROUPS`.
 * @param key - 'eventName', 'model', 'provider' or a declared column of type dict or bool
 * @throws ConfigError for any other key
 */
export async function metricsBy(
  view: View,
  key: GroupKey,
  times: ExperimentTimes,
  kernels: Kernels,
  options?: MetricsOptions,
): Promise<MetricsGroup[]> {
  // What is wrong with the key is told even where there are no rows.
  new Grouping(view.source, key);
  const questions = questionsFor(view.source, options);
  return collected(kernels, options, view, (columns) => {
    const grouping = new Grouping(view.source, key);
    const collectors: GroupCollector[] = [];
    return {
      add(matches, staged) {
        for (const { group, ...part } of grouping.parts(matches)) {
          collectors[group] ??= new GroupCollector(view.source, columns, questions);
          collectors[group].add(part, staged);
        }
      },
      result() {
        // A group whose number is taken may have no rows; there is nothing in its place then.
        return collectors
          .flatMap((collector, group) => [{ key: grouping.key(group), metrics: collector.result(times) }])
          .sort(
            (a, b) =>
              b.metrics.summary.totalEvents - a.metrics.summary.totalEvents ||
              ((a.key ?? '') < (b.key ?? '') ? -1 : 1),
          );
      },
    };
  });
}

/** What is made of matching rows. */
export interface Collection<T> {
  add(matches: Matches, staged: StagedBatch): void;
  result(): T;
}

/** Reads the view as often as its columns want; begins anew, in one pass, when rows disappeared between two. */
export function collected<T>(
  kernels: Kernels,
  options: KeepOptions | undefined,
  view: View,
  begin: (columns: ExactColumns) => Collection<T>,
): Promise<T> {
  return kernels.exclusively(async () => {
    const { mark } = kernels;
    // Where rows disappear between two passes, one has to do: then all values are kept.
    for (const keep of [options, { keepMax: Number.POSITIVE_INFINITY }]) {
      kernels.release(mark);
      const staging = new Staging(kernels);
      const filter = new StagedFilter(kernels, staging, view);
      const reading = { room: staging.room, rowsOf: (batch: Batch) => filter.rowsOf(batch) };
      const columns = new ExactColumns(kernels, keep);
      const collection = begin(columns);
      for (let outcome = 'again'; outcome === 'again'; ) {
        for await (const rows of matches(view, reading)) {
          collection.add(rows, new StagedBatch(staging, rows.batch));
        }
        outcome = columns.endPass();
        if (outcome === 'done') return collection.result();
      }
    }
    throw new RangeError('a single pass is never to be begun afresh');
  });
}

/** Where in the kernels' memory the columns of a batch are. */
export class StagedBatch {
  readonly timeUs: number;
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly tags: number;
  private readonly staging: Staging;
  private readonly batchRows: number;

  constructor(staging: Staging, batch: Batch) {
    this.timeUs = staging.addressOf('timeUs', batch.timeUs);
    this.latencyMs = staging.addressOf('latencyMs', batch.latencyMs);
    this.costUsd = staging.addressOf('costUsd', batch.costUsd);
    this.promptTokens = staging.addressOf('promptTokens', batch.promptTokens);
    this.completionTokens = staging.addressOf('completionTokens', batch.completionTokens);
    this.tags = staging.addressOf('tags', batch.tags);
    this.staging = staging;
    this.batchRows = batch.rows;
  }

  /** The address of indices of the batch's rows, ascending; 0 where they are all. Until the next call. */
  rows(rows: Uint32Array): number {
    return rows.length === this.batchRows ? 0 : this.staging.addressOf('rows', rows);
  }
}

/** Collects rows and says what they add up to. Holds values as `columns` allow, and nothing of the batches. */
export class MetricsCollector {
  private readonly source: RowSource;
  private readonly columns: ExactColumns;
  private readonly latency: ExactColumn;
  private readonly cost: ExactColumn;
  /** What `foldRows` leaves. */
  private readonly sums: number;
  /** Rows of each binding, u32, as far as any has been seen. */
  private bindingRows: number;
  private bindingCapacity = BINDINGS_MIN;
  /** Rows without a binding by the name in the event. */
  private readonly unboundRows = new Map<string, number>();
  private rows = 0;
  /** What totals of their own say beyond prompt and completion. */
  private tokensBeyond = 0;

  constructor(source: RowSource, columns: ExactColumns) {
    const { kernels } = columns;
    this.source = source;
    this.columns = columns;
    this.latency = columns.column(LATENCY_QUANTILES);
    this.cost = columns.column(COST_QUANTILES);
    this.sums = kernels.allocate(8 * SUMS);
    const start = this.sums >> 3;
    kernels.f64.fill(0, start, start + SUMS);
    kernels.f64[start] = Number.POSITIVE_INFINITY;
    kernels.f64[start + 1] = Number.NEGATIVE_INFINITY;
    this.bindingRows = this.bindingCounters();
  }

  add(matches: Matches, staged: StagedBatch): void {
    const count = matches.rows.length;
    const rows = staged.rows(matches.rows);
    this.latency.add(staged.latencyMs, rows, count);
    this.cost.add(staged.costUsd, rows, count);
    // The columns may want the same rows again; nothing else does.
    if (this.columns.pass > 1) return;
    this.rows += count;
    const { timeUs, promptTokens, completionTokens, tags } = staged;
    const { module } = this.columns.kernels;
    if (module.foldRows(timeUs, promptTokens, completionTokens, tags, rows, count, this.sums) !== 0) {
      this.addEvents(matches);
    }
    this.countBindings(matches, tags, rows);
  }

  private countBindings({ batch, rows: indices }: Matches, tags: number, rows: number): void {
    const { module } = this.columns.kernels;
    const { length } = indices;
    for (let i = 0; ; ) {
      const at = rows === 0 ? 0 : rows + 4 * i;
      const from = rows === 0 ? tags + 4 * i : tags;
      i += module.countBindings(from, at, length - i, this.bindingRows, this.bindingCapacity);
      if (i === length) return;
      const { bindingRows, bindingCapacity } = this;
      this.bindingCapacity = 2 ** Math.ceil(Math.log2((batch.tags[indices[i]] & TAG_BINDING_MASK) + 1));
      this.bindingRows = this.bindingCounters();
      module.copy(this.bindingRows, bindingRows, 4 * bindingCapacity);
    }
  }

  /** Room for as many as there are to be, all 0. */
  private bindingCounters(): number {
    const { kernels } = this.columns;
    const address = kernels.allocate(4 * this.bindingCapacity);
    kernels.u32.fill(0, address >> 2, (address >> 2) + this.bindingCapacity);
    return address;
  }

  /** Names without a binding, and totals of their own, are in the event; the latter among what is kept beside it. */
  private addEvents(matches: Matches): void {
    const { batch, rows } = matches;
    for (let i = 0; i < rows.length; i++) {
      const tag = batch.tags[rows[i]];
      const isBound = (tag & TAG_BINDING_MASK) !== 0;
      if (!isBound || (tag & (FLAG_CORRECTED | FLAG_METADATA_TOKENS)) === FLAG_CORRECTED)
        this.addEvent(matches, i);
    }
  }

  private addEvent({ batch, rows, events }: Matches, i: number): void {
    const row = rows[i];
    const isBound = (batch.tags[row] & TAG_BINDING_MASK) !== 0;
    const prompt = batch.promptTokens[row];
    const completion = batch.completionTokens[row];
    const hasTokens = prompt >= 0 || completion >= 0;
    if (isBound && !hasTokens) return;
    const event: EventRow = events?.[i] ?? decodeRow(this.source, batch, row);
    if (!isBound) increase(this.unboundRows, event.eventName, 1);
    if (event.tokens !== null) {
      this.tokensBeyond += event.tokens.total - Math.max(prompt, 0) - Math.max(completion, 0);
    }
  }

  /** Rows by what their bindings say; those without one are in none. */
  bindingCounts(): { readonly binding: Binding; readonly rows: number }[] {
    const { u32 } = this.columns.kernels;
    const start = this.bindingRows >> 2;
    return Array.from({ length: this.bindingCapacity }, (_, id) => ({ id, rows: u32[start + id] }))
      .filter(({ id, rows }) => id > 0 && rows > 0)
      .map(({ id, rows }) => ({ binding: this.source.binding(id), rows }));
  }

  private eventCounts(): Map<string, number> {
    const counts = new Map(this.unboundRows);
    const { u32 } = this.columns.kernels;
    const start = this.bindingRows >> 2;
    for (let id = 1; id < this.bindingCapacity; id++) {
      const rows = u32[start + id];
      if (rows > 0) increase(counts, this.source.binding(id).event, rows);
    }
    return counts;
  }

  result(times: ExperimentTimes): Metrics {
    const eventTypes = Object.fromEntries([...this.eventCounts()].sort(([a], [b]) => (a < b ? -1 : 1)));
    const { kernels } = this.columns;
    const start = this.sums >> 3;
    const startUs = Math.floor(kernels.f64[start]);
    const endUs = Math.floor(kernels.f64[start + 1]);
    const [prompt, completion, tokenRows, succeeded, failed] = Array.from(
      new BigInt64Array(kernels.buffer, 8 * (start + 2), SUMS - 2),
      Number,
    );
    return {
      summary: {
        totalEvents: this.rows,
        timeRange: this.rows === 0 ? { start: null, end: null } : { start: startUs, end: endUs },
        durationSeconds: this.rows < 2 ? 0 : (endUs - startUs) / 1e6,
        eventTypes,
        ...times,
      },
      latency: latencyStats(this.latency.result()),
      cost: costStats(this.cost.result()),
      reliability: reliabilityStats(this.rows, succeeded, failed),
      tokens: tokenStats(tokenRows, prompt, completion, this.tokensBeyond),
      events: Object.fromEntries(Object.entries(eventTypes).map(([event, count]) => [event, { count }])),
    };
  }
}

/** @param beyond - what totals of their own say beyond prompt and completion */
function tokenStats(
  count: number,
  prompt: number,
  completion: number,
  beyond: number,
): TokenStats | { count: 0 } {
  if (count === 0) return { count: 0 };
  const total = prompt + completion + beyond;
  return {
    count,
    totalPrompt: prompt,
    totalCompletion: completion,
    total,
    meanPrompt: prompt / count,
    meanCompletion: completion / count,
    meanTotal: total / count,
  };
}

function increase(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function latencyStats(summary: ColumnSummary | undefined): LatencyStats | { count: 0 } {
  if (summary === undefined) return { count: 0 };
  const { count, mean, stdDev, stdDevPopulation, min, max, quantiles } = summary;
  const [p50, p90, p95, p99, p999] = quantiles;
  return { count, mean, median: p50, stdDev, stdDevPopulation, min, max, p50, p90, p95, p99, p999 };
}

function costStats(summary: ColumnSummary | undefined): CostStats | { count: 0; total: 0 } {
  if (summary === undefined) return { count: 0, total: 0 };
  const { count, sum, mean, quantiles } = summary;
  return {
    total: sum,
    count,
    meanPerRequest: mean,
    medianPerRequest: quantiles[0],
    costPer1kRequests: mean * 1e3,
    costPer1mRequests: mean * 1e6,
  };
}

/** Rates over the events whose success is known. */
export function reliabilityStats(
  totalRequests: number,
  successful: number,
  failed: number,
):
  | ReliabilityStats
  | { totalRequests: number; decidedRequests: 0; successful: 0; failed: 0; successRate: null } {
  const decidedRequests = successful + failed;
  if (decidedRequests === 0) {
    return { totalRequests, decidedRequests: 0, successful: 0, failed: 0, successRate: null };
  }
  const successRate = successful / decidedRequests;
  return {
    totalRequests,
    decidedRequests,
    successful,
    failed,
    successRate,
    failureRate: failed / decidedRequests,
    sla99: successRate >= 0.99,
    sla999: successRate >= 0.999,
    sla9999: successRate >= 0.9999,
  };
}
