/** What the reports share: figures that may be missing, and rows of measures over experiments. */

import type { CostStats, Metrics, ReliabilityStats } from '../../analysis/types.js';
import { UNKNOWN } from '../terminal/numbers.js';
import type { Style } from '../terminal/style.js';
import { type TableColumn, tableLines } from '../terminal/table.js';

export interface ReportOptions {
  style: Style;
  /** Of sentences. */
  width: number;
  /** Of tables, where that is another: there is no end to a pipe's lines. */
  tableWidth?: number;
}

export type Maybe = number | null;

/** A measure of several experiments: a group said once, a name, and one text an experiment. */
export type MeasureRow = [group: string, measure: string, ...values: string[]];

/** The statistics, or null for the empty form that says only `count: 0`. */
export function known<T extends { count: number }>(stats: T | { count: 0 }): T | null {
  return stats.count === 0 ? null : (stats as T);
}

export function decidedOf(reliability: ReliabilityStats | { decidedRequests: 0 }): ReliabilityStats | null {
  return reliability.decidedRequests === 0 ? null : (reliability as ReliabilityStats);
}

/**
 * All cost over the requests that came to an end, so that what a request costs on other events (a duplicate,
 * a vote) counts with it; where no success is known, the mean over events that have a cost.
 */
export function costPerRequest({ cost, reliability }: Metrics): Maybe {
  const stats = known<CostStats>(cost);
  if (stats === null) return null;
  const decided = decidedOf(reliability);
  return decided === null ? stats.meanPerRequest : stats.total / decided.decidedRequests;
}

export function measureRow<T>(measure: string, values: readonly T[], text: (value: T) => string): MeasureRow {
  return ['', measure, ...values.map(text)];
}

/** Says the group's name on its first row only. */
export function group(name: string, rows: MeasureRow[]): MeasureRow[] {
  return rows.map(([, ...rest], index) => [index === 0 ? name : '', ...rest]);
}

/** Drops rows without a single figure; a group's name moves to its first remaining row. */
export function withoutEmpty(rows: readonly MeasureRow[]): MeasureRow[] {
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

export function measureTable(
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
