/** A run while it runs, as text. */

import type { StreamingMetrics } from '../../analysis/types.js';
import {
  formatCount,
  formatDuration,
  formatNumber,
  formatShare,
  millisecondDecimals,
  usdDecimals,
} from '../terminal/numbers.js';
import { progressLine } from '../terminal/progress.js';
import { sparkline } from '../terminal/sparkline.js';
import {
  decidedOf,
  group,
  type Maybe,
  type MeasureRow,
  measureRow,
  measureTable,
  type ReportOptions,
} from './measures.js';

export interface LiveArm {
  name: string;
  done: number;
  target: number;
  streaming: StreamingMetrics;
  /** Mean latencies of recent moments, oldest first; null for a moment without a request. */
  trend: readonly Maybe[];
  /** Events, those of them that no crash can take any more, and what is in the way; null in memory. */
  storage: { captured: number; durable: number; error: Error | null } | null;
}

const TREND_WIDTH = 12;

/** What a run looks like while it runs: progress, then the arms side by side. */
export function liveLines(arms: readonly LiveArm[], elapsedMs: number, options: ReportOptions): string[] {
  const progress = progressLine(
    {
      label: 'questions',
      done: sum(arms.map(({ done }) => done)),
      total: sum(arms.map(({ target }) => target)),
      elapsedMs,
    },
    options.width - 3,
    options.style,
  );
  const all = arms.map(({ streaming }) => streaming);
  const msDecimals = millisecondDecimals(all.map(({ latency }) => latency.mean));
  const ms = (measure: string, pick: (latency: StreamingMetrics['latency']) => Maybe): MeasureRow =>
    measureRow(measure, all, ({ latency }) => formatNumber(pick(latency), msDecimals));
  const costDecimals = usdDecimals(all.map(({ cost }) => cost.total));
  const trendHigh = Math.max(...arms.flatMap(({ trend }) => trend.filter((ms) => ms !== null)), 0);

  const stored = arms.map(({ storage }) => storage);
  const events: MeasureRow[] = stored.every((storage) => storage === null)
    ? []
    : group('events', [
        measureRow('captured', stored, (storage) => formatNumber(storage?.captured)),
        measureRow('durable', stored, (storage) => formatNumber(storage?.durable)),
      ]);

  const rows: MeasureRow[] = [
    ...group('requests', [
      measureRow('done', arms, ({ done, target }) => `${formatNumber(done)}/${formatNumber(target)}`),
      measureRow('rate, 1/s', arms, ({ done }) =>
        formatNumber(elapsedMs > 0 ? (done / elapsedMs) * 1000 : null, 1),
      ),
      measureRow('success, %', all, ({ reliability }) => formatShare(decidedOf(reliability)?.successRate)),
    ]),
    ...group('latency, ms', [
      ms('mean', ({ mean }) => mean),
      ms('p50', ({ p50 }) => p50),
      ms('p95', ({ p95 }) => p95),
      ms('p99', ({ p99 }) => p99),
      // One scale for all arms, so that their heights compare.
      measureRow('recent', arms, ({ trend }) => sparkline(trend, TREND_WIDTH, { low: 0, high: trendHigh })),
    ]),
    ...group('cost, USD', [measureRow('total', all, ({ cost }) => formatNumber(cost.total, costDecimals))]),
    ...events,
  ];
  const errors = arms.flatMap(({ name, storage }) =>
    storage === null || storage.error === null ? [] : [`  ! ${name}: ${storage.error.message}`],
  );
  return [`  ${progress}`, '', ...measureTable(arms, rows, options), ...errors.map(options.style.red)];
}

/** Turns running totals into a series: the mean latency of what came between two looks. */
export class LatencyTrend {
  readonly means: Maybe[] = [];
  private count = 0;
  private sum = 0;

  observe(latency: { count: number; sum: number }): void {
    const count = latency.count - this.count;
    this.means.push(count > 0 ? (latency.sum - this.sum) / count : null);
    if (this.means.length > TREND_WIDTH) this.means.shift();
    this.count = latency.count;
    this.sum = latency.sum;
  }
}

/** The same in one plain line, for a log. */
export function progressLogLine(arms: readonly LiveArm[], elapsedMs: number): string {
  const parts = arms.map(({ name, done, target, streaming, storage }) => {
    const { mean } = streaming.latency;
    const latency = mean === null ? '' : `, mean ${formatNumber(mean, millisecondDecimals([mean]))} ms`;
    const durable =
      storage === null
        ? ''
        : `, ${formatNumber(storage.durable)} of ${formatCount(storage.captured, 'event')} durable`;
    return `${name} ${formatNumber(done)}/${formatNumber(target)}${latency}${durable}`;
  });
  return `${formatDuration(elapsedMs)}: ${parts.join(' · ')}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
