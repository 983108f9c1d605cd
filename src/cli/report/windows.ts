/** Windows over time as text. */

import type { WindowRow } from '../../analysis/types.js';
import { bar } from '../terminal/bar.js';
import {
  decimalsFor,
  formatCount,
  formatNumber,
  formatShare,
  formatTime,
  millisecondDecimals,
  UNKNOWN,
  usdDecimals,
} from '../terminal/numbers.js';
import { sparkline } from '../terminal/sparkline.js';
import { type TableColumn, tableLines } from '../terminal/table.js';
import { visible } from '../terminal/text.js';
import { wrap } from '../terminal/width.js';
import type { Maybe, ReportOptions } from './measures.js';

export interface WindowsReportOptions extends ReportOptions {
  stepUs: number;
  /** How many windows to show, the last ones. */
  limit: number;
  /** With the shape of the series: for eyes, not for programs. */
  drawn: boolean;
}

const BAR_WIDTH = 12;
const OVERVIEW_MAX = 60;
const OVERVIEW_MIN = 20;

/** A line for each window, in the order given. A measure that no window has is no column. */
export function windowLines(windows: readonly WindowRow[], options: WindowsReportOptions): string[] {
  const { style, width, stepUs, limit, drawn } = options;
  const shown = windows.slice(-limit);
  const left = windows.length - shown.length;
  const note = `${formatCount(left, 'earlier window')} left out: --limit N shows more, --from and --to others, --json all`;
  return [
    ...(drawn && left > 0 ? [overviewLine(windows, stepUs, width)] : []),
    ...(left > 0 ? wrap(note, width, '  … ', '    ').map(style.dim) : []),
    ...windowTable(shown, options),
  ];
}

function windowTable(windows: readonly WindowRow[], options: WindowsReportOptions): string[] {
  const { stepUs, drawn } = options;
  const means = windows.map(({ meanLatency }) => meanLatency);
  const costs = windows.map(({ totalCost }) => totalCost);
  const msDecimals = millisecondDecimals(means);
  const ms = (pick: (row: WindowRow) => Maybe) => windows.map((row) => formatNumber(pick(row), msDecimals));
  const tokens = windows.map(({ promptTokens, completionTokens }) => promptTokens + completionTokens);
  // Windows do not tell a sum of nothing from one of zeros.
  const sums = (values: readonly number[], decimals: number) =>
    values.some((value) => value !== 0) ? values.map((value) => formatNumber(value, decimals)) : [];
  const quantiles = Object.keys(windows[0]?.latencyQuantiles ?? {});

  const { label, values } = drawnMeasure(windows);
  const highest = Math.max(...values.map((value) => value ?? 0));
  const bars = {
    header: '',
    align: 'left',
    optional: 5,
    isDrawing: true,
    cells: values.map((value) => bar(value === null ? null : value / highest, BAR_WIDTH)),
  } as const;
  const measures: (TableColumn & { cells: string[] })[] = [
    { header: 'events', align: 'right', cells: windows.map(({ eventCount }) => formatNumber(eventCount)) },
    ...(drawn && label === 'events' ? [bars] : []),
    { header: 'mean, ms', align: 'right', cells: ms(({ meanLatency }) => meanLatency) },
    ...(drawn && label !== 'events' ? [bars] : []),
    // Where there is no room for all, the first stay.
    ...quantiles.map((name, index) => ({
      header: name,
      align: 'right' as const,
      optional: 2 + index / quantiles.length,
      cells: ms(({ latencyQuantiles }) => latencyQuantiles[name] ?? null),
    })),
    { header: 'cost, USD', align: 'right', optional: 3, cells: sums(costs, usdDecimals(costs)) },
    { header: 'tokens', align: 'right', optional: 4, cells: sums(tokens, 0) },
    {
      header: 'success, %',
      align: 'right',
      optional: 1,
      cells: windows.map(({ successCount, failureCount }) => {
        const decided = successCount + failureCount;
        return formatShare(decided === 0 ? null : successCount / decided);
      }),
    },
  ];
  measures.push(...Object.keys(windows[0]?.outcomes ?? {}).map((name) => outcomeColumn(windows, name)));
  const shown = measures.filter(({ cells }) => cells.some((cell) => cell !== UNKNOWN));
  const { header, starts } = startsOf(windows, options);
  const rows = windows.flatMap(({ windowStart }, index) => {
    const before = windows[index - 1];
    const missing = before === undefined ? 0 : Math.round((windowStart - before.windowStart) / stepUs) - 1;
    return [
      ...(drawn && missing > 0 ? [[`⋮ ${formatNumber(missing)} without events`]] : []),
      [starts[index]!, ...shown.map(({ cells }) => cells[index]!)],
    ];
  });
  const columns: TableColumn[] = [{ header, align: 'left' }, ...shown];
  return tableLines(columns, rows, { ...options, gap: 2, minShrunk: Number.POSITIVE_INFINITY });
}

/** Estimates of an outcome that was asked for; rates in percent. */
function outcomeColumn(windows: readonly WindowRow[], name: string): TableColumn & { cells: string[] } {
  const outcomes = windows.map((row) => row.outcomes?.[name]);
  const isRate = outcomes[0]?.kind === 'rate';
  const estimates = outcomes.map((outcome) => {
    const estimate = outcome?.estimate ?? null;
    return estimate === null || !isRate ? estimate : 100 * estimate;
  });
  const decimals = isRate ? 1 : decimalsFor(estimates);
  return {
    header: visible(isRate ? `${name}, %` : name),
    align: 'right',
    cells: estimates.map((estimate) => formatNumber(estimate, decimals)),
  };
}

/** When windows start, in UTC: ISO 8601 for programs; for eyes without what all have in common. */
function startsOf(
  windows: readonly WindowRow[],
  { stepUs, drawn }: WindowsReportOptions,
): { header: string; starts: string[] } {
  const decimals = stepUs % 1e6 === 0 ? 0 : stepUs % 1e3 === 0 ? 3 : 6;
  const starts = windows.map(({ windowStart }) => formatTime(windowStart, decimals));
  if (!drawn) return { header: 'start', starts };
  const times = starts.map((start) => start.slice(0, -1).split('T') as [date: string, time: string]);
  const date = times[0]?.[0];
  return times.every(([other]) => other === date)
    ? { header: `${date} UTC`, starts: times.map(([, time]) => time) }
    : { header: 'start, UTC', starts: times.map((parts) => parts.join(' ')) };
}

/** What bars and overview draw: mean latencies, or the numbers of events where there are none. */
function drawnMeasure(windows: readonly WindowRow[]): { label: string; values: Maybe[] } {
  const means = windows.map(({ meanLatency }) => meanLatency);
  return means.some((mean) => mean !== null)
    ? { label: 'mean latency, ms', values: means }
    : { label: 'events', values: windows.map(({ eventCount }) => eventCount) };
}

/** The whole series in a line, time running evenly: each bar is the highest of the windows that begin in its time. */
function overviewLine(windows: readonly WindowRow[], stepUs: number, width: number): string {
  const { label, values } = drawnMeasure(windows);
  const known = values.filter((value) => value !== null);
  const decimals = label === 'events' ? 0 : millisecondDecimals(known);
  const [low, high] = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
  const range = `  ${formatNumber(low, decimals)} to ${formatNumber(high, decimals)}`;
  const room = width - label.length - 4;
  const hasRange = room - range.length >= OVERVIEW_MIN;
  const columns = Math.min(OVERVIEW_MAX, hasRange ? room - range.length : room);
  const startUs = windows[0]!.windowStart;
  const lengthUs = windows.at(-1)!.windowStart + stepUs - startUs;
  const series: Maybe[] = Array.from({ length: columns }, () => null);
  for (const [index, { windowStart }] of windows.entries()) {
    const value = values[index]!;
    const column = Math.floor(((windowStart - startUs) / lengthUs) * columns);
    if (value !== null && value > (series[column] ?? Number.NEGATIVE_INFINITY)) series[column] = value;
  }
  return `  ${label}  ${sparkline(series, columns, { low, high })}${hasRange ? range : ''}`;
}
