/** Metrics of experiments, and of groups of their events, as text. */

import type {
  CostStats,
  LatencyStats,
  Metrics,
  MetricsGroup,
  ReliabilityStats,
  TokenStats,
} from '../../analysis/types.js';
import { wilsonInterval } from '../../stats/proportions.js';
import {
  decimalsFor,
  formatNumber,
  formatShare,
  millisecondDecimals,
  UNKNOWN,
  usdDecimals,
} from '../terminal/numbers.js';
import { type TableColumn, tableLines } from '../terminal/table.js';
import { visible } from '../terminal/text.js';
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

/** Events that have tokens and no cost, mostly of models without a price; null for none. */
function unknownCosts({ cost, tokens }: Metrics): number | null {
  const count = (tokens.count ?? 0) - (cost.count ?? 0);
  return count > 0 ? count : null;
}

/**
 * Metrics of one or more experiments, side by side. Figures of one row have the same number of decimals.
 * @param detailed - every metric of the events there is, rather than those to look at first
 */
export function metricsLines(
  experiments: readonly { name: string; metrics: Metrics }[],
  options: ReportOptions,
  detailed = false,
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
  const ofCost = (pick: (cost: CostStats) => number) => costs.map((cost) => cost && pick(cost));
  const ofTokens = (measure: string, pick: (tokens: TokenStats) => number, decimals = 0): MeasureRow =>
    measureRow(measure, tokens, (t) => formatNumber(t && pick(t), decimals));
  const details = (...rows: MeasureRow[]) => (detailed ? rows : []);

  const rows: MeasureRow[] = [
    // Where details are asked for, a line above the table has this.
    ...(detailed
      ? []
      : group('events', [
          measureRow('all', all, ({ summary }) => formatNumber(summary.totalEvents)),
          measureRow('span, s', all, ({ summary }) => formatNumber(summary.durationSeconds, 1)),
        ])),
    ...group('requests', [
      measureRow('decided', decided, (r) => formatNumber(r?.decidedRequests ?? 0)),
      ...details(measureRow('succeeded', decided, (r) => formatNumber(r?.successful))),
      measureRow('failed', decided, (r) => formatNumber(r?.failed)),
      measureRow('success, %', decided, (r) => formatShare(r?.successRate)),
      ...details(
        measureRow('95 % low', decided, (r) => formatShare(successInterval(r)?.[0])),
        measureRow('95 % high', decided, (r) => formatShare(successInterval(r)?.[1])),
        measureRow('SLA met, %', decided, levelMet),
      ),
    ]),
    ...group('latency, ms', [
      ...details(measureRow('count', latencies, (latency) => formatNumber(latency?.count))),
      ms('mean', ({ mean }) => mean),
      ms('std dev', ({ stdDev }) => stdDev),
      ...details(ms('min', ({ min }) => min)),
      ms('p50', ({ p50 }) => p50),
      ms('p90', ({ p90 }) => p90),
      ms('p95', ({ p95 }) => p95),
      ms('p99', ({ p99 }) => p99),
      ...details(ms('p99.9', ({ p999 }) => p999)),
      ms('max', ({ max }) => max),
    ]),
    ...group('cost, USD', [
      ...details(measureRow('count', costs, (cost) => formatNumber(cost?.count))),
      measureRow('not known', all, (m) => formatNumber(unknownCosts(m))),
      usd(
        'total',
        ofCost(({ total }) => total),
      ),
      ...details(
        usd(
          'mean',
          ofCost(({ meanPerRequest }) => meanPerRequest),
        ),
        usd(
          'median',
          ofCost(({ medianPerRequest }) => medianPerRequest),
        ),
      ),
      usd('a request', all.map(costPerRequest)),
    ]),
    ...group('tokens', [
      ...details(ofTokens('count', ({ count }) => count)),
      ofTokens('prompt', ({ totalPrompt }) => totalPrompt),
      ofTokens('completion', ({ totalCompletion }) => totalCompletion),
      ...details(ofTokens('total', ({ total }) => total)),
    ]),
    ...details(
      ...group('mean tokens', [
        ofTokens('prompt', ({ meanPrompt }) => meanPrompt, 1),
        ofTokens('completion', ({ meanCompletion }) => meanCompletion, 1),
        ofTokens('total', ({ meanTotal }) => meanTotal, 1),
      ]),
    ),
  ];
  // A measure that no experiment has would only be a row of dashes.
  return measureTable(experiments, withoutEmpty(rows), options);
}

/** Wilson's 95 % interval of the success rate. */
function successInterval(reliability: ReliabilityStats | null): readonly [number, number] | null {
  if (reliability === null) return null;
  return wilsonInterval(reliability.successful, reliability.decidedRequests).confidenceInterval;
}

/** The highest of the usual service levels that the success rate reaches. */
function levelMet(reliability: ReliabilityStats | null): string {
  if (reliability === null) return UNKNOWN;
  const { sla99, sla999, sla9999 } = reliability;
  return sla9999 ? '99.99' : sla999 ? '99.9' : sla99 ? '99' : 'none';
}

/** Long enough to tell event names apart; rather than cutting them further, columns are left out. */
const KEY_WIDTH = 26;

/** A line for each group, in the order given. A measure that no group has is no column. */
export function groupLines(key: string, groups: readonly MetricsGroup[], options: ReportOptions): string[] {
  const all = groups.map(({ metrics }) => metrics);
  const latencies = all.map(({ latency }) => known<LatencyStats>(latency));
  const costs = all.map(({ cost }) => known<CostStats>(cost)?.total ?? null);
  const decided = all.map(({ reliability }) => decidedOf(reliability));
  const tokens = all.map((m) => known<TokenStats>(m.tokens)?.total ?? null);
  const msDecimals = millisecondDecimals(latencies.map((latency) => latency?.mean));
  const ms = (pick: (latency: LatencyStats) => number) =>
    latencies.map((latency) => formatNumber(latency && pick(latency), msDecimals));

  const measures: (Pick<TableColumn, 'optional'> & { header: string; cells: string[] })[] = [
    { header: 'events', cells: all.map(({ summary }) => formatNumber(summary.totalEvents)) },
    { header: 'mean, ms', optional: 1, cells: ms(({ mean }) => mean) },
    { header: 'p50', optional: 5, cells: ms(({ p50 }) => p50) },
    { header: 'p95', optional: 2, cells: ms(({ p95 }) => p95) },
    { header: 'p99', optional: 6, cells: ms(({ p99 }) => p99) },
    {
      header: 'cost, USD',
      optional: 4,
      cells: costs.map((cost) => formatNumber(cost, usdDecimals(costs))),
    },
    { header: 'success, %', optional: 3, cells: decided.map((r) => formatShare(r?.successRate)) },
    {
      header: '95 % interval',
      optional: 8,
      cells: decided.map(
        (r) =>
          successInterval(r)
            ?.map((bound) => formatShare(bound))
            .join(' to ') ?? UNKNOWN,
      ),
    },
    { header: 'tokens', optional: 7, cells: tokens.map((count) => formatNumber(count)) },
  ];
  const shown = measures.filter(({ cells }) => cells.some((cell) => cell !== UNKNOWN));
  const columns: TableColumn[] = [
    { header: key, align: 'left' },
    ...shown.map(({ header, optional }) => ({
      header,
      align: 'right' as const,
      ...(optional !== undefined && { optional }),
    })),
  ];
  const rows = groups.map(({ key }, index) => [
    key === null ? '(none)' : visible(key),
    ...shown.map(({ cells }) => cells[index]!),
  ]);
  return tableLines(columns, rows, { ...options, gap: 2, minShrunk: KEY_WIDTH });
}

/**
 * A line for each outcome that was asked for, and each group.
 * @param by - what the groups are by; null where there is one of all events
 */
export function outcomeLines(
  groups: readonly MetricsGroup[],
  by: string | null,
  options: ReportOptions,
): string[] {
  const rows = groups.flatMap(({ key, metrics: { outcomes = {} } }) =>
    Object.entries(outcomes).map(([name, outcome]) => ({ key, name, outcome })),
  );
  if (rows.length === 0) return [];
  const columns: TableColumn[] = [
    { header: 'outcome', align: 'left', shrinks: true },
    ...(by === null ? [] : [{ header: by, align: 'left' } as const]),
    { header: 'events', align: 'right' },
    { header: 'estimate', align: 'right' },
    { header: '95 % interval', align: 'right' },
    { header: 'std dev', align: 'right', optional: 1 },
    { header: 'p50', align: 'right', optional: 2 },
    { header: 'p95', align: 'right', optional: 3 },
  ];
  const cells = rows.map(({ key, name, outcome }) => {
    const { kind, n, estimate, confidenceInterval, stdDev, p50, p95 } = outcome;
    // As many decimals as the estimate and its interval need; rates are shown in percent.
    const factor = kind === 'rate' ? 100 : 1;
    const decimals = decimalsFor([estimate, ...(confidenceInterval ?? [])].map((v) => v && v * factor));
    const text = (value: Maybe | undefined) =>
      formatNumber(value === null || value === undefined ? null : value * factor, decimals);
    return [
      visible(kind === 'rate' ? `${name}, %` : name),
      ...(by === null ? [] : [visible(key ?? UNKNOWN)]),
      formatNumber(n),
      text(estimate),
      confidenceInterval?.map(text).join(' to ') ?? UNKNOWN,
      text(stdDev),
      text(p50),
      text(p95),
    ];
  });
  return ['', ...tableLines(columns, cells, options)];
}
