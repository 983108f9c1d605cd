/** Exact metrics over matching rows. */
import { FLAG_BLOB, FLAG_METADATA_TOKENS, TAG_BINDING_MASK } from '../../assembly/layout.js';
import { decodeRow, type RowSource } from '../readers/rows.js';
import { eventOf, type Match, successOf } from '../readers/snapshot.js';
import { isValue, timeUsOf } from '../ring/batch.js';
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
class Values {
  #values = new Float64Array(1024);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(this.#length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  /** The values ascending; the collector's own memory. */
  sorted(): Float64Array {
    return this.#values.subarray(0, this.#length).sort();
  }
}

/** Collects rows and says what they add up to. */
export class MetricsCollector {
  readonly #source: RowSource;
  readonly #latencies = new Values();
  readonly #costs = new Values();
  readonly #eventCounts = new Map<string, number>();
  #rows = 0;
  #startUs = Number.POSITIVE_INFINITY;
  #endUs = Number.NEGATIVE_INFINITY;
  #succeeded = 0;
  #failed = 0;
  #tokenRows = 0;
  #prompt = 0;
  #completion = 0;
  #tokens = 0;

  constructor(source: RowSource) {
    this.#source = source;
  }

  add(match: Match): void {
    const { batch, index } = match;
    this.#rows++;
    const timeUs = timeUsOf(batch, index);
    if (timeUs < this.#startUs) this.#startUs = timeUs;
    if (timeUs > this.#endUs) this.#endUs = timeUs;
    const latencyMs = batch.latencyMs[index];
    if (isValue(latencyMs)) this.#latencies.push(latencyMs);
    const costUsd = batch.costUsd[index];
    if (isValue(costUsd)) this.#costs.push(costUsd);
    const tag = batch.tags[index];
    const success = successOf(tag);
    if (success === true) this.#succeeded++;
    else if (success === false) this.#failed++;
    this.#addTokens(match, tag);
    const id = tag & TAG_BINDING_MASK;
    const event = id === 0 ? eventOf(this.#source, match).eventName : this.#source.binding(id).event;
    this.#eventCounts.set(event, (this.#eventCounts.get(event) ?? 0) + 1);
  }

  #addTokens({ batch, index, event }: Match, tag: number): void {
    const prompt = batch.promptTokens[index];
    const completion = batch.completionTokens[index];
    if (prompt < 0 && completion < 0) return;
    this.#tokenRows++;
    this.#prompt += Math.max(prompt, 0);
    this.#completion += Math.max(completion, 0);
    // Only an event that was captured whole may tell a total of its own.
    const mayDiffer = (tag & FLAG_BLOB) !== 0 && (tag & FLAG_METADATA_TOKENS) === 0;
    const tokens = mayDiffer ? (event ?? decodeRow(this.#source, batch, index)).tokens : null;
    this.#tokens += tokens?.total ?? Math.max(prompt, 0) + Math.max(completion, 0);
  }

  result(times: ExperimentTimes): Metrics {
    const eventTypes = Object.fromEntries([...this.#eventCounts].sort(([a], [b]) => (a < b ? -1 : 1)));
    return {
      summary: {
        totalEvents: this.#rows,
        timeRange: this.#rows === 0 ? { start: null, end: null } : { start: this.#startUs, end: this.#endUs },
        durationSeconds: this.#rows < 2 ? 0 : (this.#endUs - this.#startUs) / 1e6,
        eventTypes,
        ...times,
      },
      latency: latencyStats(this.#latencies.sorted()),
      cost: costStats(this.#costs.sorted()),
      reliability: reliabilityStats(this.#rows, this.#succeeded, this.#failed),
      tokens: this.#tokenStats(),
      events: Object.fromEntries(Object.entries(eventTypes).map(([event, count]) => [event, { count }])),
    };
  }

  #tokenStats(): TokenStats | { count: 0 } {
    const count = this.#tokenRows;
    if (count === 0) return { count: 0 };
    return {
      count,
      totalPrompt: this.#prompt,
      totalCompletion: this.#completion,
      total: this.#tokens,
      meanPrompt: this.#prompt / count,
      meanCompletion: this.#completion / count,
      meanTotal: this.#tokens / count,
    };
  }
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
