/** Metrics of experiments as text. */

import type { CostStats, LatencyStats, Metrics, TokenStats } from '../../analysis/types.js';
import { formatNumber, formatShare, millisecondDecimals, usdDecimals } from '../terminal/numbers.js';
import {
  costPerRequest,
  decidedOf,
  group,
  known,
  type Maybe,
  type MeasureRow,
  measureRow,
  measureTable,
  type ReportOptions,
  withoutEmpty,
} from './measures.js';

/** Metrics of one or more experiments, side by side. Figures of one row have the same number of decimals. */
export function metricsLines(
  experiments: readonly { name: string; metrics: Metrics }[],
  options: ReportOptions,
): string[] {
  const all = experiments.map(({ metrics }) => metrics);
  const latencies = all.map(({ latency }) => known<LatencyStats>(latency));
  const costs = all.map(({ cost }) => known<CostStats>(cost));
  const tokens = all.map((m) => known<TokenStats>(m.tokens));
  const decided = all.map(({ reliability }) => decidedOf(reliability));
  const msDecimals = millisecondDecimals(latencies.map((latency) => latency?.mean));

  const ms = (measure: string, pick: (latency: LatencyStats) => Maybe): MeasureRow =>
    measureRow(measure, latencies, (latency) => formatNumber(latency && pick(latency), msDecimals));
  const usd = (measure: string, amounts: readonly Maybe[]): MeasureRow =>
    measureRow(measure, amounts, (amount) => formatNumber(amount, usdDecimals(amounts)));
  const count = (measure: string, counts: readonly Maybe[], decimals = 0): MeasureRow =>
    measureRow(measure, counts, (n) => formatNumber(n, decimals));

  const rows: MeasureRow[] = [
    ...group('events', [
      count(
        'all',
        all.map(({ summary }) => summary.totalEvents),
      ),
      measureRow('span, s', all, ({ summary }) => formatNumber(summary.durationSeconds, 1)),
    ]),
    ...group('requests', [
      count(
        'decided',
        decided.map((r) => r?.decidedRequests ?? 0),
      ),
      count(
        'failed',
        decided.map((r) => r?.failed ?? null),
      ),
      measureRow('success, %', decided, (r) => formatShare(r?.successRate)),
    ]),
    ...group('latency, ms', [
      ms('mean', ({ mean }) => mean),
      ms('std dev', ({ stdDev }) => stdDev),
      ms('p50', ({ p50 }) => p50),
      ms('p90', ({ p90 }) => p90),
      ms('p95', ({ p95 }) => p95),
      ms('p99', ({ p99 }) => p99),
      ms('max', ({ max }) => max),
    ]),
    ...group('cost, USD', [
      usd(
        'total',
        costs.map((cost) => cost?.total ?? null),
      ),
      usd('a request', all.map(costPerRequest)),
    ]),
    ...group('tokens', [
      count(
        'prompt',
        tokens.map((t) => t?.totalPrompt ?? null),
      ),
      count(
        'completion',
        tokens.map((t) => t?.totalCompletion ?? null),
      ),
    ]),
  ];
  // A measure that no experiment has would only be a row of dashes.
  return measureTable(experiments, withoutEmpty(rows), options);
}
