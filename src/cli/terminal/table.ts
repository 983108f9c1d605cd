/** Aligned columns of text: words to the left, numbers to the right, nothing drawn between them. */

import { NO_STYLE, type Style } from './style.js';
import { displayWidth, padEnd, padStart, truncate } from './width.js';

export interface TableColumn {
  /** With the unit, where there is one: `mean, ms`. */
  header: string;
  align: 'left' | 'right';
  /** Gives way where a line would be too wide; the first column by default. */
  shrinks?: true;
  /** Left out where a line would be too wide all the same, the highest number first. */
  optional?: number;
}

export interface TableOptions {
  style?: Style;
  /** Widest line. */
  width?: number;
  indent?: number;
  /** Columns between two cells. */
  gap?: number;
  /** The column that shrinks is never cut below this. */
  minShrunk?: number;
}

/** Lines of the table, header first (none if all headers are empty); a short row is filled with blanks. */
export function tableLines(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string[] {
  const { style = NO_STYLE, width = Number.POSITIVE_INFINITY, indent = 2, gap = 3, minShrunk = 8 } = options;
  const widths = columns.map(({ header }, c) =>
    Math.max(displayWidth(header), ...rows.map((row) => displayWidth(row[c] ?? ''))),
  );
  const shrinking = Math.max(
    0,
    columns.findIndex(({ shrinks }) => shrinks),
  );
  const minimum = Math.min(minShrunk, widths[shrinking]!);
  const shown = columns.map((_, c) => c);
  const excess = () => indent + shown.reduce((sum, c) => sum + widths[c]! + gap, -gap) - width;
  while (excess() > widths[shrinking]! - minimum) {
    const rank = (c: number) => columns[c]!.optional ?? 0;
    const leastWanted = shown.reduce((a, b) => (rank(b) > rank(a) ? b : a));
    if (rank(leastWanted) === 0) break;
    shown.splice(shown.indexOf(leastWanted), 1);
  }
  widths[shrinking] = Math.max(minimum, widths[shrinking]! - Math.max(0, excess()));

  const line = (cells: readonly string[]) =>
    `${' '.repeat(indent)}${shown
      .map((c) => {
        const cell = truncate(cells[c] ?? '', widths[c]!);
        return columns[c]!.align === 'right' ? padStart(cell, widths[c]!) : padEnd(cell, widths[c]!);
      })
      .join(' '.repeat(gap))}`.trimEnd();
  const headers = columns.map(({ header }) => header);
  const body = rows.map(line);
  return headers.every((header) => header === '') ? body : [style.dim(line(headers)), ...body];
}
