/** Aligned columns of text: words to the left, numbers to the right, nothing drawn between them. */

import { NO_STYLE, type Style } from './style.js';
import { displayWidth, padEnd, padStart, truncate } from './width.js';

export interface TableColumn {
  /** With the unit, where there is one: `mean, ms`. */
  header: string;
  align: 'left' | 'right';
}

export interface TableOptions {
  style?: Style;
  /** Widest line; the first column gives way. */
  width?: number;
  indent?: number;
  /** Columns between two cells. */
  gap?: number;
}

/** The first column is never cut below this. */
const MIN_FIRST = 8;

/** Lines of the table, header first (none if all headers are empty); a short row is filled with blanks. */
export function tableLines(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string[] {
  const { style = NO_STYLE, width = Number.POSITIVE_INFINITY, indent = 2, gap = 3 } = options;
  const headers = columns.map(({ header }) => header);
  const widths = columns.map((_, c) =>
    Math.max(displayWidth(headers[c]!), ...rows.map((row) => displayWidth(row[c] ?? ''))),
  );
  const total = indent + widths.reduce((sum, w) => sum + w, 0) + gap * (columns.length - 1);
  if (total > width) widths[0] = Math.max(MIN_FIRST, widths[0]! - (total - width));

  const line = (cells: readonly string[]) =>
    `${' '.repeat(indent)}${columns
      .map(({ align }, c) => {
        const cell = truncate(cells[c] ?? '', widths[c]!);
        return align === 'right' ? padStart(cell, widths[c]!) : padEnd(cell, widths[c]!);
      })
      .join(' '.repeat(gap))}`.trimEnd();
  const body = rows.map(line);
  return headers.every((header) => header === '') ? body : [style.dim(line(headers)), ...body];
}
