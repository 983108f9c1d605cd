/** How events lie in time, and latencies among them, in a few lines of blocks: for eyes, not for programs. */
import type { LatencyStats, Metrics, WindowRow } from '../../analysis/types.js';
import type { Filter } from '../../index.js';
import type { LibraryExperiment } from '../library.js';
import { formatDuration, formatNumber, millisecondDecimals } from '../terminal/numbers.js';
import { sparkline } from '../terminal/sparkline.js';
import { padEnd, wrap } from '../terminal/width.js';
import { known, type ReportOptions } from './measures.js';

/** Marks of a line, and events below which there is no shape. */
const MARKS = 32;
const EVENTS_MIN = 20;
const PERCENTS = Array.from({ length: 99 }, (_, i) => (i + 1) / 100);

/** What the lines are drawn of. */
export interface EventShape {
  /** As many as marks at most; those without an event are not among them. */
  readonly windows: readonly WindowRow[];
  readonly stepUs: number;
  readonly startUs: number;
  /** Latencies at PERCENTS; null where too few have one. */
  readonly quantiles: readonly number[] | null;
}

/** @returns null where there are too few events to have a shape */
export async function shapeOf(
  experiment: Pick<LibraryExperiment, 'windowedMetrics'>,
  { summary, latency }: Pick<Metrics, 'summary' | 'latency'>,
  filter: Filter | null,
): Promise<EventShape | null> {
  const { start, end } = summary.timeRange;
  if (summary.totalEvents < EVENTS_MIN || start === null || end === null || end <= start) return null;
  const spanUs = end - start + 1;
  const stepUs = Math.ceil(spanUs / MARKS);
  const how = (sizeUs: number, quantiles: number[]) => ({
    ...{ sizeUs, stepUs: sizeUs, quantiles },
    ...(filter === null ? {} : { filter }),
  });
  const windows = await experiment.windowedMetrics(how(stepUs, [0.5]));
  const hasShape = (known<LatencyStats>(latency)?.count ?? 0) >= EVENTS_MIN;
  const [whole] = hasShape ? await experiment.windowedMetrics(how(spanUs, PERCENTS)) : [];
  const quantiles = whole === undefined ? [] : Object.values(whole.latencyQuantiles);
  const isWhole = quantiles.length === PERCENTS.length && quantiles.every((value) => value !== null);
  return { windows, stepUs, startUs: start, quantiles: isWhole ? (quantiles as number[]) : null };
}

/** A line: its values by mark, and from where to where they go. */
interface Row {
  readonly name: string;
  readonly range: string;
  readonly draw: (marks: number) => string;
}

const NAME_WIDTH = 9;
const GAP = 3;

export function shapeLines(
  { windows, stepUs, startUs, quantiles }: EventShape,
  options: ReportOptions,
): string[] {
  const series = (pick: (row: WindowRow) => number | null, otherwise: number | null) => {
    const values: (number | null)[] = Array.from({ length: MARKS }, () => otherwise);
    for (const row of windows) values[Math.floor((row.windowStart - startUs) / stepUs)] = pick(row);
    return values;
  };
  const p50 = series(({ latencyQuantiles }) => latencyQuantiles.p50 ?? null, null);
  const failed = series(({ failureCount }) => failureCount, 0);
  const rows = [
    seriesRow(
      'events',
      series(({ eventCount }) => eventCount, 0),
      0,
    ),
    ...(p50.some((value) => value !== null) ? [seriesRow('p50, ms', p50, null)] : []),
    ...(failed.some((value) => value !== 0) ? [seriesRow('failed', failed, 0)] : []),
    ...(quantiles === null ? [] : [densityRow(quantiles)]),
  ];
  const widest = Math.max(...rows.map(({ range }) => range.length));
  const marks = Math.max(8, Math.min(MARKS, options.width - NAME_WIDTH - widest - 2 - 2 * GAP));
  const stretch = formatDuration((stepUs * MARKS) / marks / 1000);
  const scale = quantiles === null ? '' : `; latencies from p1 to p99${isWide(quantiles) ? ', log' : ''}`;
  const gap = ' '.repeat(GAP);
  return [
    '',
    ...wrap(`over time, a mark is ${stretch}${scale}`, options.width, '  ', '    ').map(options.style.dim),
    ...rows.map(
      ({ name, range, draw }) =>
        `  ${padEnd(name, NAME_WIDTH)}${gap}${padEnd(draw(marks), marks)}${gap}${range}`,
    ),
  ];
}

/** @param low - of the scale; null: that of the values */
function seriesRow(name: string, values: readonly (number | null)[], low: number | null): Row {
  const all = values.filter((value): value is number => value !== null);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const decimals = low === null ? millisecondDecimals([least]) : 0;
  return {
    name,
    range: `${formatNumber(least, decimals)} to ${formatNumber(most, decimals)}`,
    draw: (marks) => sparkline(resampled(values, marks), marks, low === null ? {} : { low }),
  };
}

/** Means of neighbours, where there is no room for all. */
function resampled(values: readonly (number | null)[], marks: number): (number | null)[] {
  if (marks === values.length) return [...values];
  return Array.from({ length: marks }, (_, i) => {
    const from = Math.floor((i * values.length) / marks);
    const own = values
      .slice(from, Math.max(from + 1, Math.floor(((i + 1) * values.length) / marks)))
      .filter((value): value is number => value !== null);
    return own.length === 0 ? null : own.reduce((sum, value) => sum + value, 0) / own.length;
  });
}

/** Whether latencies are told apart by their logarithms only. */
function isWide(quantiles: readonly number[]): boolean {
  return quantiles[0]! > 0 && quantiles.at(-1)! / quantiles[0]! > 4;
}

/** Shares of values between equal steps, from the first percent to the last. */
function densityRow(quantiles: readonly number[]): Row {
  const [low, high] = [quantiles[0]!, quantiles.at(-1)!];
  const edge = (share: number) =>
    isWide(quantiles) ? low * (high / low) ** share : low + (high - low) * share;
  const decimals = millisecondDecimals([low]);
  return {
    name: 'latencies',
    range: `${formatNumber(low, decimals)} to ${formatNumber(high, decimals)} ms`,
    draw(marks) {
      if (high === low) return '';
      const below = Array.from({ length: marks + 1 }, (_, i) => shareBelow(quantiles, edge(i / marks)));
      const shares = below.slice(1).map((share, i) => share - below[i]!);
      return sparkline(shares, marks, { low: 0 });
    },
  };
}

/** By straight lines between the quantiles. */
function shareBelow(quantiles: readonly number[], value: number): number {
  const after = quantiles.findIndex((each) => each > value);
  if (after === -1) return 1;
  if (after === 0) return 0;
  const [before, next] = [quantiles[after - 1]!, quantiles[after]!];
  return (after - 1 + (value - before) / (next - before)) / (quantiles.length - 1);
}
