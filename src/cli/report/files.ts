/** Written files as text. */

import { formatNumber } from '../terminal/numbers.js';
import { type TableColumn, tableLines } from '../terminal/table.js';
import type { ReportOptions } from './measures.js';

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
  // Paths are to be copied: never cut.
  return tableLines(columns, rows, { ...options, minShrunk: Number.POSITIVE_INFINITY });
}
