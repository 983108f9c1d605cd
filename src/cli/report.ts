/** Metrics and comparisons as text to read. Pure: results in, lines out. */

import type {
  Comparison,
  CostStats,
  LatencyStats,
  Metrics,
  ReliabilityStats,
  StreamingMetrics,
  TokenStats,
  TreatmentComparison,
} from '../analysis/types.js';
import {
  formatDuration,
  formatNumber,
  formatShare,
  formatSigned,
  millisecondDecimals,
  UNKNOWN,
  usdDecimals,
} from './terminal/numbers.js';
import { progressLine } from './terminal/progress.js';
import { sparkline } from './terminal/sparkline.js';
import type { Style } from './terminal/style.js';
import { type TableColumn, tableLines } from './terminal/table.js';
import { wrap } from './terminal/width.js';

export interface ReportOptions {
  style: Style;
  width: number;
}

type Maybe = number | null;

/** A measure of several experiments: a group said once, a name, and one text an experiment. */
type MeasureRow = [group: string, measure: string, ...values: string[]];

// ---------------------------------------------------------------- metrics

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

// ---------------------------------------------------------------- live view

export interface LiveArm {
  name: string;
  done: number;
  target: number;
  streaming: StreamingMetrics;
  /** Mean latencies of recent moments, oldest first; null for a moment without a request. */
  trend: readonly Maybe[];
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
  ];
  return [`  ${progress}`, '', ...measureTable(arms, rows, options)];
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
  const parts = arms.map(({ name, done, target, streaming }) => {
    const { mean } = streaming.latency;
    const latency = mean === null ? '' : `, mean ${formatNumber(mean, millisecondDecimals([mean]))} ms`;
    return `${name} ${formatNumber(done)}/${formatNumber(target)}${latency}`;
  });
  return `${formatDuration(elapsedMs)}: ${parts.join(' · ')}`;
}

// ---------------------------------------------------------------- comparison

export type Interval = readonly [low: number, high: number];

/** 95 % intervals of differences x - y, as the statistics module gives them; null where there is no answer. */
export interface Intervals {
  meanInterval(x: Moments, y: Moments): Interval | null;
  proportionInterval(x: Proportion, y: Proportion): Interval | null;
}

export interface Moments {
  n: number;
  mean: number;
  /** Sample variance (n - 1). */
  variance: number;
}

export interface Proportion {
  successes: number;
  n: number;
}

interface Difference {
  measure: string;
  baseline: Maybe;
  treatment: Maybe;
  /** Significant decimals, the same for all figures of the row. */
  decimals: number;
  /** Factor from the figure to what is shown: 100 for shares. */
  shown: number;
  changePct: Maybe;
  interval: Interval | null;
}

/** Each treatment against the baseline: differences with their intervals, and a sentence. */
export function comparisonLines(
  comparison: Comparison,
  intervals: Intervals,
  options: ReportOptions,
): string[] {
  const { bold } = options.style;
  const baseline = metricsOf(comparison, comparison.baseline.id);
  return comparison.treatments.flatMap((treatment, index) => {
    const measures = differences(treatment, metricsOf(comparison, treatment.id), baseline, intervals);
    const rows = Object.values(measures);
    const columns: TableColumn[] = [
      { header: 'measure', align: 'left' },
      { header: comparison.baseline.name, align: 'right' },
      { header: treatment.name, align: 'right' },
      { header: 'difference', align: 'right' },
      { header: 'change, %', align: 'right' },
      { header: '95 % interval', align: 'right' },
    ];
    const table = rows.map((row) => [
      row.measure,
      formatNumber(times(row.baseline, row.shown), row.decimals),
      formatNumber(times(row.treatment, row.shown), row.decimals),
      formatSigned(times(minus(row.treatment, row.baseline), row.shown), row.decimals),
      formatSigned(row.changePct, 1),
      intervalText(row),
    ]);
    // An interval nowhere known is no column.
    const width = rows.some(({ interval }) => interval !== null) ? columns.length : columns.length - 1;
    return [
      ...(index > 0 ? [''] : []),
      bold(`${treatment.name} against ${comparison.baseline.name}`),
      ...tableLines(columns.slice(0, width), table, { ...options, gap: 2 }),
      '',
      ...wrap(verdict(comparison, treatment, intervals), options.width, '→ ', '  ').map((line) => bold(line)),
    ];
  });
}

/**
 * The comparison in a sentence: `hedged is 38 % faster on mean latency at +61 % cost a request; success +2.1
 * points`. A difference whose interval holds zero is called what it is.
 */
export function verdict(
  comparison: Comparison,
  treatment: TreatmentComparison,
  intervals: Intervals,
): string {
  const { latency, success, cost } = differences(
    treatment,
    metricsOf(comparison, treatment.id),
    metricsOf(comparison, comparison.baseline.id),
    intervals,
  );
  const names = { treatment: treatment.name, baseline: comparison.baseline.name };
  return `${latencyClause(latency, names)}${costClause(cost)}${successClause(success)}`;
}

function latencyClause(row: Difference, names: { treatment: string; baseline: string }): string {
  if (row.changePct === null) return `${names.treatment} and ${names.baseline} have no latency in common`;
  if (row.changePct === 0 || holdsZero(row.interval)) {
    const change = row.changePct === 0 ? '' : ` (${percentText(row.changePct, true)}, within chance)`;
    return `${names.treatment} is not clearly faster or slower than ${names.baseline} on mean latency${change}`;
  }
  const direction = row.changePct < 0 ? 'faster' : 'slower';
  return `${names.treatment} is ${percentText(Math.abs(row.changePct))} ${direction} on mean latency`;
}

function costClause(row: Difference): string {
  if (row.changePct === null) return '';
  return Math.abs(row.changePct) < 0.05
    ? ' at the same cost a request'
    : ` at ${percentText(row.changePct, true)} cost a request`;
}

function successClause(row: Difference): string {
  const points = times(minus(row.treatment, row.baseline), 100);
  if (points === null) return '';
  if (Math.abs(points) < 0.05) return '; success the same';
  return `; success ${formatSigned(points, 1)} points${holdsZero(row.interval) ? ' (within chance)' : ''}`;
}

function differences(
  treatment: TreatmentComparison,
  x: Metrics,
  y: Metrics,
  intervals: Intervals,
): Record<'latency' | 'p95' | 'success' | 'cost', Difference> {
  const [xLatency, yLatency] = [known<LatencyStats>(x.latency), known<LatencyStats>(y.latency)];
  const [xDecided, yDecided] = [decidedOf(x.reliability), decidedOf(y.reliability)];
  const [xMoments, yMoments] = [momentsOf(xLatency), momentsOf(yLatency)];
  const [xCost, yCost] = [costPerRequest(x), costPerRequest(y)];
  const msDecimals = millisecondDecimals([xLatency?.mean, yLatency?.mean]);

  return {
    latency: {
      measure: 'mean latency, ms',
      baseline: yLatency?.mean ?? null,
      treatment: xLatency?.mean ?? null,
      decimals: msDecimals,
      shown: 1,
      changePct: treatment.latencyImprovementPct,
      interval: xMoments === null || yMoments === null ? null : intervals.meanInterval(xMoments, yMoments),
    },
    p95: {
      measure: 'p95 latency, ms',
      baseline: yLatency?.p95 ?? null,
      treatment: xLatency?.p95 ?? null,
      decimals: msDecimals,
      shown: 1,
      changePct: changePct(xLatency?.p95 ?? null, yLatency?.p95 ?? null),
      interval: null,
    },
    success: {
      measure: 'success, %',
      baseline: yDecided?.successRate ?? null,
      treatment: xDecided?.successRate ?? null,
      decimals: 2,
      shown: 100,
      changePct: treatment.successRateImprovementPct,
      interval:
        xDecided === null || yDecided === null
          ? null
          : intervals.proportionInterval(proportionOf(xDecided), proportionOf(yDecided)),
    },
    cost: {
      measure: 'request cost, USD',
      baseline: yCost,
      treatment: xCost,
      decimals: usdDecimals([xCost, yCost]),
      shown: 1,
      changePct: changePct(xCost, yCost),
      interval: null,
    },
  };
}

function intervalText({ interval, decimals, shown }: Difference): string {
  if (interval === null) return '';
  return interval.map((bound) => formatSigned(bound * shown, decimals)).join(' to ');
}

function holdsZero(interval: Interval | null): boolean {
  return interval !== null && interval[0] <= 0 && interval[1] >= 0;
}

/** A change for a sentence: whole percents, tenths below ten. */
function percentText(percent: number, signed = false): string {
  const decimals = Math.abs(percent) < 10 ? 1 : 0;
  return `${signed ? formatSigned(percent, decimals) : formatNumber(percent, decimals)} %`;
}

function metricsOf(comparison: Comparison, id: string): Metrics {
  const found = comparison.experiments.find((experiment) => experiment.id === id);
  if (found === undefined) throw new RangeError(`comparison holds no metrics of experiment ${id}`);
  return found.metrics;
}

// ---------------------------------------------------------------- files

export function filesLines(
  files: readonly { path: string; rows: number; bytes: number }[],
  options: ReportOptions,
): string[] {
  const columns: TableColumn[] = [
    { header: 'path', align: 'left' },
    { header: 'rows', align: 'right' },
    { header: 'bytes', align: 'right' },
  ];
  const rows = files.map(({ path, rows, bytes }) => [path, formatNumber(rows), formatNumber(bytes)]);
  return tableLines(columns, rows, options);
}

// ---------------------------------------------------------------- shared

/** The statistics, or null for the empty form that says only `count: 0`. */
function known<T extends { count: number }>(stats: T | { count: 0 }): T | null {
  return stats.count === 0 ? null : (stats as T);
}

function decidedOf(reliability: ReliabilityStats | { decidedRequests: 0 }): ReliabilityStats | null {
  return reliability.decidedRequests === 0 ? null : (reliability as ReliabilityStats);
}

/**
 * All cost over the requests that came to an end, so that what a request costs on other events (a duplicate,
 * a vote) counts with it; where no success is known, the mean over events that have a cost.
 */
function costPerRequest({ cost, reliability }: Metrics): Maybe {
  const stats = known<CostStats>(cost);
  if (stats === null) return null;
  const decided = decidedOf(reliability);
  return decided === null ? stats.meanPerRequest : stats.total / decided.decidedRequests;
}

function momentsOf(latency: LatencyStats | null): Moments | null {
  if (latency === null || latency.stdDev === null) return null;
  return { n: latency.count, mean: latency.mean, variance: latency.stdDev ** 2 };
}

function proportionOf(decided: ReliabilityStats): Proportion {
  return { successes: decided.successful, n: decided.decidedRequests };
}

function changePct(value: Maybe, base: Maybe): Maybe {
  return value === null || base === null || base === 0 ? null : ((value - base) / base) * 100;
}

function minus(a: Maybe, b: Maybe): Maybe {
  return a === null || b === null ? null : a - b;
}

function times(a: Maybe, factor: number): Maybe {
  return a === null ? null : a * factor;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function measureRow<T>(measure: string, values: readonly T[], text: (value: T) => string): MeasureRow {
  return ['', measure, ...values.map(text)];
}

/** Says the group's name on its first row only. */
function group(name: string, rows: MeasureRow[]): MeasureRow[] {
  return rows.map(([, ...rest], index) => [index === 0 ? name : '', ...rest]);
}

/** Drops rows without a single figure; a group's name moves to its first remaining row. */
function withoutEmpty(rows: readonly MeasureRow[]): MeasureRow[] {
  let name = '';
  const kept: MeasureRow[] = [];
  for (const [groupName, measure, ...values] of rows) {
    if (groupName !== '') name = groupName;
    if (values.every((value) => value === UNKNOWN)) continue;
    kept.push([name, measure, ...values]);
    name = '';
  }
  return kept;
}

function measureTable(
  experiments: readonly { name: string }[],
  rows: readonly MeasureRow[],
  options: ReportOptions,
): string[] {
  const columns: TableColumn[] = [
    { header: '', align: 'left' },
    { header: '', align: 'left' },
    ...experiments.map(({ name }) => ({ header: name, align: 'right' as const })),
  ];
  return tableLines(columns, rows, options);
}
