/** Metrics of a plausible experiment, with round numbers to calculate with. */

import type { LatencyStats, Metrics } from '../../../src/analysis/types.js';

export function plausibleMetrics(mean: number, totalUsd: number, successful: number, decided = 200): Metrics {
  const latency: LatencyStats = {
    count: decided,
    mean,
    median: mean * 0.8,
    stdDev: mean / 2,
    stdDevPopulation: mean / 2,
    min: mean / 4,
    max: mean * 6,
    p50: mean * 0.8,
    p90: mean * 1.5,
    p95: mean * 2,
    p99: mean * 4,
    p999: mean * 5,
  };
  const successRate = successful / decided;
  return {
    summary: {
      totalEvents: 2 * decided,
      timeRange: { start: 0, end: 12_340_000 },
      durationSeconds: 12.34,
      eventTypes: {},
      wallClockSeconds: 13,
      activeSeconds: 13,
      pausedSeconds: 0,
    },
    latency,
    cost: {
      total: totalUsd,
      count: successful,
      meanPerRequest: totalUsd / successful,
      medianPerRequest: totalUsd / successful,
      costPer1kRequests: (totalUsd / successful) * 1e3,
      costPer1mRequests: (totalUsd / successful) * 1e6,
    },
    reliability: {
      totalRequests: 2 * decided,
      decidedRequests: decided,
      successful,
      failed: decided - successful,
      successRate,
      failureRate: 1 - successRate,
      sla99: successRate >= 0.99,
      sla999: successRate >= 0.999,
      sla9999: successRate >= 0.9999,
    },
    tokens: {
      count: successful,
      totalPrompt: 204_000,
      totalCompletion: 42_200,
      total: 246_200,
      meanPrompt: 1020,
      meanCompletion: 211,
      meanTotal: 1231,
    },
    events: {},
  };
}
