/** Experiments as they run, as text. */
import { wilsonInterval } from '../../stats/proportions.js';
import type { Watched } from '../commands/watch.js';
import {
  formatCount,
  formatNumber,
  formatShare,
  millisecondDecimals,
  usdDecimals,
} from '../terminal/numbers.js';
import { sparkline } from '../terminal/sparkline.js';
import { visible } from '../terminal/text.js';
import { wrap } from '../terminal/width.js';
import { decidedOf, group, measureRow, measureTable, type ReportOptions, withoutEmpty } from './measures.js';

const TREND_WIDTH = 24;

export function watchLines(watched: readonly Watched[], options: ReportOptions): string[] {
  const { style, width } = options;
  const groups = watched.map(({ figures }) => figures.group);
  const msDecimals = millisecondDecimals(groups.map(({ latency }) => latency.p50));
  const costs = groups.map(({ cost }) => (cost.count === 0 ? null : cost.total));
  const costDecimals = usdDecimals(costs);
  const trend = Math.max(
    8,
    Math.min(TREND_WIDTH, Math.floor((width - 30) / Math.max(1, watched.length)) - 3),
  );
  const highest = Math.max(0, ...watched.flatMap(({ p50 }) => p50.slice(-trend).map((value) => value ?? 0)));
  const ms = (name: string, pick: (latency: (typeof groups)[number]['latency']) => number | null) =>
    measureRow(name, groups, ({ latency }) => formatNumber(pick(latency), msDecimals));
  const rows = [
    ...group('', [
      measureRow('condition', watched, ({ descriptor }) => visible(descriptor.condition)),
      measureRow('status', watched, ({ descriptor }) => descriptor.status),
      measureRow('events of', watched, ({ figures }) => visible(figures.kind)),
    ]),
    ...group('events', [
      measureRow('count', groups, ({ count }) => formatNumber(count)),
      measureRow('rate, 1/s', watched, ({ events, intervalUs }) =>
        formatNumber(
          events.length === 0 ? null : (events.at(-2) ?? (events[0] as number)) / (intervalUs / 1e6),
          1,
        ),
      ),
      measureRow('recent', watched, ({ events }) => sparkline(events, trend, { low: 0 })),
    ]),
    ...group('latency, ms', [
      ms('mean', ({ mean }) => mean),
      ms('p50', ({ p50 }) => p50),
      ms('p95', ({ p95 }) => p95),
      ms('p99', ({ p99 }) => p99),
      // One scale for all, so that heights compare.
      measureRow('p50, recent', watched, ({ p50 }) => sparkline(p50, trend, { low: 0, high: highest })),
    ]),
    ...group('success, %', [
      measureRow('rate', groups, ({ reliability }) => formatShare(decidedOf(reliability)?.successRate)),
      ...([0, 1] as const).map((end) =>
        measureRow(end === 0 ? '95 % low' : '95 % high', groups, ({ reliability }) => {
          const decided = decidedOf(reliability);
          return formatShare(
            decided === null
              ? null
              : wilsonInterval(decided.successful, decided.decidedRequests).confidenceInterval?.[end],
          );
        }),
      ),
    ]),
    ...group('cost, USD', [measureRow('total', costs, (cost) => formatNumber(cost, costDecimals))]),
    ...group('lost', [
      measureRow('dropped', watched, ({ descriptor }) => formatNumber(descriptor.counts.dropped)),
    ]),
  ];
  const names = watched.map(({ descriptor }) => ({ name: visible(descriptor.name) }));
  const seconds = watched[0] === undefined ? 0 : watched[0].intervalUs / 1e6;
  return [
    ...measureTable(names, withoutEmpty(rows), options),
    ...wrap(
      `recent: one mark is ${formatNumber(seconds, seconds < 1 ? 2 : 0)} s; quantiles within 1 %`,
      width,
      '  ',
      '  ',
    ).map(style.dim),
  ];
}

/** The same in one plain line, for a log. */
export function watchLogLine(watched: readonly Watched[]): string {
  return watched
    .map(({ descriptor, figures: { group: sums } }) => {
      const { p50, p95 } = sums.latency;
      const decimals = millisecondDecimals([p50]);
      const latency =
        p50 === null ? '' : `, p50 ${formatNumber(p50, decimals)} ms, p95 ${formatNumber(p95, decimals)} ms`;
      return `${visible(descriptor.name)} ${descriptor.status}: ${formatCount(sums.count, 'event')}${latency}`;
    })
    .join(' · ');
}
