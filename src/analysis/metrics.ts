/** Exact metrics over matching rows, in all and by group. */
import {
  FLAG_BLOB,
  FLAG_FAILED,
  FLAG_METADATA_TOKENS,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
} from '../../assembly/layout.js';
import { StorageError } from '../errors.js';
import {
  type ColumnSummary,
  type ExactColumn,
  ExactColumns,
  type KeepOptions,
} from '../kernels/exact-column.js';
import type { Kernels } from '../kernels/kernels.js';
import { type Matches, matches } from '../readers/matches.js';
import { decodeRow, type RowSource } from '../readers/rows.js';
import type { View } from '../readers/source.js';
import type { BatchRoom } from '../ring/batch.js';
import type { EventRow } from '../schema/event.js';
import { Grouping, type GroupKey } from './grouping.js';
import type {
  CostStats,
  LatencyStats,
  Metrics,
  MetricsGroup,
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
/** How often a read begins anew whose rows expire while they are read. */
const ATTEMPTS_MAX = 10;

/**
 * Metrics of the rows that pass the view's filter. Memory does not grow with their number; where they are very many
 * they are read more than once.
 * @throws StorageError ERR_STORAGE_IO when rows kept disappearing while they were read
 */
export async function metricsOf(
  view: View,
  times: ExperimentTimes,
  kernels: Kernels,
  options?: KeepOptions,
): Promise<Metrics> {
  return collected(kernels, options, view, (columns) => {
    const collector = new MetricsCollector(view.source, columns);
    return {
      add: (rows) => collector.add(rows),
      result: () => collector.result(times),
    };
  });
}

/**
 * The same by group, most events first and groups of as many by key. Rows that have no value for the key are the group
 * null. Of more than 1,000 groups those that come last in capture order are one, whose key is `OTHER_GROUPS`.
 * @param key - 'eventName', 'model', 'provider' or a declared column of type dict or bool
 * @throws ConfigError for a key that is none of these; StorageError as `metricsOf`
 */
export async function metricsBy(
  view: View,
  key: GroupKey,
  times: ExperimentTimes,
  kernels: Kernels,
  options?: KeepOptions,
): Promise<MetricsGroup[]> {
  // What is wrong with the key is told even where there are no rows.
  new Grouping(view.source, key);
  return collected(kernels, options, view, (columns) => {
    const grouping = new Grouping(view.source, key);
    const collectors: MetricsCollector[] = [];
    return {
      add(matches) {
        for (const { group, ...part } of grouping.parts(matches)) {
          collectors[group] ??= new MetricsCollector(view.source, columns);
          collectors[group].add(part);
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

interface Collection<T> {
  add(matches: Matches): void;
  result(): T;
}

/** Reads the view as often as its columns want. */
function collected<T>(
  kernels: Kernels,
  options: KeepOptions | undefined,
  view: View,
  begin: (columns: ExactColumns) => Collection<T>,
): Promise<T> {
  return kernels.exclusively(async () => {
    const { mark } = kernels;
    const room: BatchRoom = {};
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      kernels.release(mark);
      const columns = new ExactColumns(kernels, options);
      const collection = begin(columns);
      for (let outcome = 'again'; outcome === 'again'; ) {
        for await (const rows of matches(view, room)) collection.add(rows);
        outcome = columns.endPass();
        if (outcome === 'done') return collection.result();
      }
    }
    throw new StorageError('ERR_STORAGE_IO', 'rows kept disappearing while they were read');
  });
}

/** Collects rows and says what they add up to. Holds values as `columns` allow, and nothing of the batches. */
class MetricsCollector {
  private readonly source: RowSource;
  private readonly columns: ExactColumns;
  private readonly latency: ExactColumn;
  private readonly cost: ExactColumn;
  /** Rows of each binding, as far as any has been seen; those without one by the name in the event. */
  private bindingRows = new Uint32Array(64);
  private readonly unboundRows = new Map<string, number>();
  private rows = 0;
  private startUs = Number.POSITIVE_INFINITY;
  private endUs = Number.NEGATIVE_INFINITY;
  private succeeded = 0;
  private failed = 0;
  private tokenRows = 0;
  private prompt = 0;
  private completion = 0;
  /** What totals of their own say beyond prompt and completion. */
  private tokensBeyond = 0;

  constructor(source: RowSource, columns: ExactColumns) {
    this.source = source;
    this.columns = columns;
    this.latency = columns.column(LATENCY_QUANTILES);
    this.cost = columns.column(COST_QUANTILES);
  }

  add(matches: Matches): void {
    const { batch, rows } = matches;
    this.latency.add(batch.latencyMs, rows);
    this.cost.add(batch.costUsd, rows);
    // The columns may want the same rows again; nothing else does.
    if (this.columns.pass > 1) return;
    this.rows += rows.length;
    this.addTimes(batch.timeUs, rows);
    this.addTokens(batch.promptTokens, batch.completionTokens, rows);
    this.addTags(matches);
  }

  private addTimes(timeUs: Float64Array, rows: Uint32Array): void {
    let start = this.startUs;
    let end = this.endUs;
    for (let i = 0; i < rows.length; i++) {
      const time = timeUs[rows[i]];
      if (time < start) start = time;
      if (time > end) end = time;
    }
    this.startUs = start;
    this.endUs = end;
  }

  private addTokens(promptTokens: Int32Array, completionTokens: Int32Array, rows: Uint32Array): void {
    let count = 0;
    let promptSum = 0;
    let completionSum = 0;
    for (let i = 0; i < rows.length; i++) {
      const prompt = promptTokens[rows[i]];
      const completion = completionTokens[rows[i]];
      // An absent number is negative; both are where there are no tokens.
      count += (prompt & completion) < 0 ? 0 : 1;
      promptSum += Math.max(prompt, 0);
      completionSum += Math.max(completion, 0);
    }
    this.tokenRows += count;
    this.prompt += promptSum;
    this.completion += completionSum;
  }

  private addTags(matches: Matches): void {
    const { batch, rows } = matches;
    const { tags } = batch;
    let { bindingRows } = this;
    let succeeded = 0;
    let failed = 0;
    for (let i = 0; i < rows.length; i++) {
      const tag = tags[rows[i]];
      const id = tag & TAG_BINDING_MASK;
      if (id >= bindingRows.length) bindingRows = this.makeRoomFor(id);
      bindingRows[id]++;
      if ((tag & FLAG_SUCCEEDED) !== 0) succeeded++;
      else if ((tag & FLAG_FAILED) !== 0) failed++;
      // Names without a binding, and totals of their own, are in the event; the latter only where it was captured whole.
      if (id === 0 || (tag & (FLAG_BLOB | FLAG_METADATA_TOKENS)) === FLAG_BLOB) this.addEvent(matches, i);
    }
    this.succeeded += succeeded;
    this.failed += failed;
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

  private makeRoomFor(id: number): Uint32Array<ArrayBuffer> {
    const larger = new Uint32Array(2 ** Math.ceil(Math.log2(id + 1)));
    larger.set(this.bindingRows);
    this.bindingRows = larger;
    return larger;
  }

  private eventCounts(): Map<string, number> {
    const counts = new Map(this.unboundRows);
    this.bindingRows.forEach((rows, id) => {
      if (rows > 0 && id > 0) increase(counts, this.source.binding(id).event, rows);
    });
    return counts;
  }

  result(times: ExperimentTimes): Metrics {
    const eventTypes = Object.fromEntries([...this.eventCounts()].sort(([a], [b]) => (a < b ? -1 : 1)));
    const timeRange =
      this.rows === 0
        ? { start: null, end: null }
        : { start: Math.floor(this.startUs), end: Math.floor(this.endUs) };
    return {
      summary: {
        totalEvents: this.rows,
        timeRange,
        durationSeconds: this.rows < 2 ? 0 : (Math.floor(this.endUs) - Math.floor(this.startUs)) / 1e6,
        eventTypes,
        ...times,
      },
      latency: latencyStats(this.latency.result()),
      cost: costStats(this.cost.result()),
      reliability: reliabilityStats(this.rows, this.succeeded, this.failed),
      tokens: this.tokenStats(),
      events: Object.fromEntries(Object.entries(eventTypes).map(([event, count]) => [event, { count }])),
    };
  }

  private tokenStats(): TokenStats | { count: 0 } {
    const { tokenRows: count, prompt, completion } = this;
    if (count === 0) return { count: 0 };
    const total = prompt + completion + this.tokensBeyond;
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
