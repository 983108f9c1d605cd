/** Results of analysis, as SEMANTICS of the reference in camelCase. Latencies in ms, costs in USD. */

export type * from './compare/types.js';

export interface LatencyStats {
  count: number;
  mean: number;
  median: number;
  /** Sample standard deviation (n − 1); null for a single value. */
  stdDev: number | null;
  /** Population standard deviation (n). */
  stdDevPopulation: number;
  min: number;
  max: number;
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  p999: number;
}

export interface CostStats {
  total: number;
  count: number;
  meanPerRequest: number;
  medianPerRequest: number;
  costPer1kRequests: number;
  costPer1mRequests: number;
}

export interface ReliabilityStats {
  /** All events. */
  totalRequests: number;
  /** Events whose success is known; the rates are over these. */
  decidedRequests: number;
  successful: number;
  failed: number;
  successRate: number;
  failureRate: number;
  sla99: boolean;
  sla999: boolean;
  sla9999: boolean;
}

export interface TokenStats {
  count: number;
  totalPrompt: number;
  totalCompletion: number;
  total: number;
  meanPrompt: number;
  meanCompletion: number;
  meanTotal: number;
}

/**
 * What is known where there are no values. No other key of the statistics is there; naming them is for the compiler,
 * which so takes `latency.mean?.toFixed(1)`.
 */
export type NoStats<Stats, Known> = Known & { readonly [Key in Exclude<keyof Stats, keyof Known>]?: never };

export interface Summary {
  totalEvents: number;
  timeRange: { start: number | null; end: number | null };
  durationSeconds: number;
  eventTypes: Record<string, number>;
  wallClockSeconds: number;
  activeSeconds: number;
  pausedSeconds: number;
}

/** What is known of one outcome that was asked for. */
export interface OutcomeMetrics {
  of: string;
  /** Of a ratio: what is below. */
  per?: string;
  kind: 'mean' | 'rate' | 'quantile' | 'ratio';
  /** Events that have it. */
  n: number;
  /** Of the kind: the mean, rate, quantile or ratio; null for none. */
  estimate: number | null;
  /** Of the estimate: t, Wilson, order statistics, delta method. Events are taken as independent. */
  confidenceInterval: readonly [low: number, high: number] | null;
  /** Of a rate. */
  successes?: number;
  /** The following of means and quantiles, where there are values. */
  sum?: number;
  mean?: number;
  /** Denominator n − 1; null for a single value. */
  stdDev?: number | null;
  min?: number;
  max?: number;
  p50?: number;
  p90?: number;
  p95?: number;
  p99?: number;
  p999?: number;
}

export interface Metrics {
  /** By name, those that were asked for; absent where none were. */
  outcomes?: Record<string, OutcomeMetrics>;
  summary: Summary;
  latency: LatencyStats | NoStats<LatencyStats, { count: 0 }>;
  cost: CostStats | NoStats<CostStats, { count: 0; total: 0 }>;
  reliability: ReliabilityStats | { totalRequests: number; decidedRequests: 0; successRate: null };
  tokens: TokenStats | NoStats<TokenStats, { count: 0 }>;
  events: Record<string, { count: number }>;
}

/** The metrics of the events that share a value. */
export interface MetricsGroup {
  /** The value as text, 'true' or 'false' for a bool; null where events have none. */
  key: string | null;
  metrics: Metrics;
}

/** Streaming moments are exact; the quantiles carry a relative error of at most 1 %. */
export interface StreamingDistribution {
  count: number;
  sum: number;
  mean: number | null;
  stdDev: number | null;
  min: number | null;
  max: number | null;
  p50: number | null;
  p90: number | null;
  p95: number | null;
  p99: number | null;
  p999: number | null;
}

export interface StreamingGroup {
  count: number;
  latency: StreamingDistribution;
  cost: StreamingDistribution & {
    total: number;
    meanPerRequest: number | null;
    costPer1kRequests: number | null;
    costPer1mRequests: number | null;
  };
  reliability:
    | ReliabilityStats
    | { totalRequests: number; decidedRequests: 0; successful: 0; failed: 0; successRate: null };
  tokens: TokenStats | NoStats<TokenStats, { count: 0 }>;
}

export interface StreamingMetrics extends StreamingGroup {
  /** Of the live columns, by name. What a recorder is bound to is no value of a row. Of booleans, true counts as 1. */
  columns: Record<string, StreamingDistribution>;
  eventCounts: Record<string, number>;
  byEvent: Record<string, StreamingGroup>;
  recorders: (StreamingGroup & {
    event: string;
    model: string | null;
    provider: string | null;
    bound: Record<string, unknown>;
  })[];
}

/** An outcome in one window, with the quantiles that were asked for: p50, p95, p99 by default. */
export type WindowOutcome = OutcomeMetrics & { readonly [quantile: `p${number}`]: number | undefined };

/** One window of `windowedMetrics`, times in µs since the epoch, [windowStart, windowEnd). */
export interface WindowRow {
  windowStart: number;
  windowEnd: number;
  eventCount: number;
  meanLatency: number | null;
  /** Sample standard deviation (n − 1). */
  stdDevLatency: number | null;
  /** By name: p50, p95, p99 or those asked for; null where no event has a latency. */
  latencyQuantiles: Record<string, number | null>;
  totalCost: number;
  successCount: number;
  failureCount: number;
  promptTokens: number;
  completionTokens: number;
  /** By name, those that were asked for; absent where none were. */
  outcomes?: Record<string, WindowOutcome>;
}
