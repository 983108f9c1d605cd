/** Exact metrics over matching rows. */
import { FLAG_BLOB, FLAG_METADATA_TOKENS, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Matches } from '../readers/matches.js';
import { decodeRow, type RowSource, successOf } from '../readers/rows.js';
import { isValue, timeUsOf } from '../ring/batch.js';
import type { EventRow } from '../schema/event.js';
import { describe } from '../stats/describe.js';
import { sampleMoments } from '../stats/moments.js';
import { quantileOfSorted } from '../stats/quantile.js';
import type { CostStats, LatencyStats, Metrics, ReliabilityStats, TokenStats } from './types.js';

/** How long the experiment has run, in seconds. */
export interface ExperimentTimes {
  wallClockSeconds: number;
  activeSeconds: number;
  pausedSeconds: number;
}

/** A Float64Array that grows. */
export class Values {
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

  /** The values ascending; the collector's own memory. */
  sorted(): Float64Array {
    return this.values.subarray(0, this.length).sort();
  }
}

/** Collects rows and says what they add up to. Holds their values, and nothing of the batches. */
export class MetricsCollector {
  private readonly source: RowSource;
  private readonly latencies = new Values();
  private readonly costs = new Values();
  /** Rows of each binding; those without one by the name in the event. */
  private readonly bindingRows = new Float64Array(TAG_BINDING_MASK + 1);
  private readonly unboundRows = new Map<string, number>();
  private rows = 0;
  private startUs = Number.POSITIVE_INFINITY;
  private endUs = Number.NEGATIVE_INFINITY;
  private succeeded = 0;
  private failed = 0;
  private tokenRows = 0;
  private prompt = 0;
  private completion = 0;
  private tokens = 0;

  constructor(source: RowSource) {
    this.source = source;
  }

  add({ batch, rows, events }: Matches): void {
    this.rows += rows.length;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const timeUs = timeUsOf(batch, row);
      if (timeUs < this.startUs) this.startUs = timeUs;
      if (timeUs > this.endUs) this.endUs = timeUs;
      const latencyMs = batch.latencyMs[row];
      if (isValue(latencyMs)) this.latencies.push(latencyMs);
      const costUsd = batch.costUsd[row];
      if (isValue(costUsd)) this.costs.push(costUsd);
      const tag = batch.tags[row];
      const success = successOf(tag);
      if (success === true) this.succeeded++;
      else if (success === false) this.failed++;
      const id = tag & TAG_BINDING_MASK;
      // Only an event that was captured whole may tell a total of its own.
      const mayDiffer = (tag & FLAG_BLOB) !== 0 && (tag & FLAG_METADATA_TOKENS) === 0;
      const prompt = batch.promptTokens[row];
      const completion = batch.completionTokens[row];
      const hasTokens = prompt >= 0 || completion >= 0;
      const event =
        id === 0 || (hasTokens && mayDiffer)
          ? (events?.[i] ?? decodeRow(this.source, batch, row))
          : undefined;
      if (hasTokens)
        this.addTokens(Math.max(prompt, 0), Math.max(completion, 0), mayDiffer ? event : undefined);
      if (id !== 0) this.bindingRows[id]++;
      else if (event !== undefined) increase(this.unboundRows, event.eventName, 1);
    }
  }

  private addTokens(prompt: number, completion: number, event: EventRow | undefined): void {
    this.tokenRows++;
    this.prompt += prompt;
    this.completion += completion;
    this.tokens += event?.tokens?.total ?? prompt + completion;
  }

  private eventCounts(): Map<string, number> {
    const counts = new Map(this.unboundRows);
    this.bindingRows.forEach((rows, id) => {
      if (rows > 0) increase(counts, this.source.binding(id).event, rows);
    });
    return counts;
  }

  result(times: ExperimentTimes): Metrics {
    const eventTypes = Object.fromEntries([...this.eventCounts()].sort(([a], [b]) => (a < b ? -1 : 1)));
    return {
      summary: {
        totalEvents: this.rows,
        timeRange: this.rows === 0 ? { start: null, end: null } : { start: this.startUs, end: this.endUs },
        durationSeconds: this.rows < 2 ? 0 : (this.endUs - this.startUs) / 1e6,
        eventTypes,
        ...times,
      },
      latency: latencyStats(this.latencies.sorted()),
      cost: costStats(this.costs.sorted()),
      reliability: reliabilityStats(this.rows, this.succeeded, this.failed),
      tokens: this.tokenStats(),
      events: Object.fromEntries(Object.entries(eventTypes).map(([event, count]) => [event, { count }])),
    };
  }

  private tokenStats(): TokenStats | { count: 0 } {
    const count = this.tokenRows;
    if (count === 0) return { count: 0 };
    return {
      count,
      totalPrompt: this.prompt,
      totalCompletion: this.completion,
      total: this.tokens,
      meanPrompt: this.prompt / count,
      meanCompletion: this.completion / count,
      meanTotal: this.tokens / count,
    };
  }
}

function increase(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

const QUANTILES = [0.5, 0.9, 0.95, 0.99, 0.999];

function latencyStats(sorted: Float64Array): LatencyStats | { count: 0 } {
  if (sorted.length === 0) return { count: 0 };
  const { mean, stdDev, stdDevPopulation } = describe(sorted);
  const [p50, p90, p95, p99, p999] = QUANTILES.map((p) => quantileOfSorted(sorted, p));
  return {
    count: sorted.length,
    mean: mean as number,
    median: p50,
    stdDev,
    stdDevPopulation: stdDevPopulation as number,
    min: sorted[0],
    max: sorted[sorted.length - 1],
    p50,
    p90,
    p95,
    p99,
    p999,
  };
}

function costStats(sorted: Float64Array): CostStats | { count: 0; total: 0 } {
  if (sorted.length === 0) return { count: 0, total: 0 };
  const { sum, mean } = sampleMoments(sorted);
  return {
    total: sum,
    count: sorted.length,
    meanPerRequest: mean,
    medianPerRequest: quantileOfSorted(sorted, 0.5),
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
