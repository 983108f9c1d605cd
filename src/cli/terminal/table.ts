/** Aligned columns of text: words to the left, numbers to the right, nothing drawn between them. */

import { NO_STYLE, type Style } from './style.js';
import { printable } from './text.js';
import { displayWidth, padEnd, padStart, truncate, wrap } from './width.js';

export interface TableColumn {
  /** With the unit, where there is one: `mean, ms`. */
  header: string;
  align: 'left' | 'right';
  /** Gives way where a line would be too wide; the first column by default. */
  shrinks?: true;
  /** Left out where a line would be too wide all the same, the highest number first; a line beneath says so. */
  optional?: number;
  /** Tells nothing that other columns do not tell. */
  isDrawing?: true;
}

export interface TableOptions {
  style?: Style;
  /** Widest line. */
  width?: number;
  /** Of tables, where that is another: a program that reads along wants every column. */
  tableWidth?: number;
  indent?: number;
  /** Columns between two cells. */
  gap?: number;
  /** The column that shrinks is never cut below this. */
  minShrunk?: number;
}

/**
 * Lines of the table, header first (none if all headers are empty); a short row is filled with blanks. A table that is
 * too wide even without its optional columns becomes a block of lines for each row.
 */
export function tableLines(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string[] {
  const { style = NO_STYLE, indent = 2, gap = 3, minShrunk = 8 } = options;
  const width = options.tableWidth ?? options.width ?? Number.POSITIVE_INFINITY;
  const headers = columns.map(({ header }) => printable(header));
  const cells = rows.map((row) => columns.map((_, c) => printable(row[c] ?? '')));
  const widths = headers.map((header, c) =>
    Math.max(displayWidth(header), ...cells.map((row) => displayWidth(row[c]!))),
  );
  const shrinking = Math.max(
    0,
    columns.findIndex(({ shrinks }) => shrinks),
  );
  const minimum = Math.min(minShrunk, widths[shrinking]!);
  const shown = columns.map((_, c) => c);
  const excess = () => indent + shown.reduce((sum, c) => sum + widths[c]! + gap, -gap) - width;
  const isTooWide = () => excess() > widths[shrinking]! - minimum;
  while (isTooWide()) {
    const rank = (c: number) => columns[c]!.optional ?? 0;
    const leastWanted = shown.reduce((a, b) => (rank(b) > rank(a) ? b : a));
    if (rank(leastWanted) === 0) break;
    shown.splice(shown.indexOf(leastWanted), 1);
  }
  if (isTooWide()) return blockLines(headers, cells, style, indent);
  widths[shrinking] = Math.max(minimum, widths[shrinking]! - Math.max(0, excess()));

  const line = (row: readonly string[]) =>
    `${' '.repeat(indent)}${shown
      .map((c) => {
        const cell = truncate(row[c]!, widths[c]!);
        return columns[c]!.align === 'right' ? padStart(cell, widths[c]!) : padEnd(cell, widths[c]!);
      })
      .join(' '.repeat(gap))}`.trimEnd();
  const leftOut = columns.flatMap(({ isDrawing }, c) =>
    shown.includes(c) || isDrawing ? [] : [headers[c]!],
  );
  const body = cells.map(line);
  return [
    ...(headers.every((header) => header === '') ? body : [style.dim(line(headers)), ...body]),
    ...leftOutLines(leftOut, width, indent).map(style.dim),
  ];
}

function leftOutLines(headers: readonly string[], width: number, indent: number): string[] {
  if (headers.length === 0) return [];
  const text = `no room for: ${headers.join(' · ')}; a wider terminal, a pipe or --json shows more`;
  return wrap(text, width, ' '.repeat(indent), ' '.repeat(indent + 2));
}

/** Cells without a header begin a block; the others stand one beneath the other. */
function blockLines(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  style: Style,
  indent: number,
): string[] {
  const nameWidth = Math.max(...headers.map(displayWidth));
  const margin = ' '.repeat(indent);
  return rows.flatMap((row, index) => {
    const title = row.filter((cell, c) => headers[c] === '' && cell !== '').join(' ');
    const named = headers.flatMap((header, c) => (header === '' ? [] : [[header, row[c]!] as const]));
    const inner = title === '' ? margin : `${margin}  `;
    return [
      ...(index > 0 && title === '' ? [''] : []),
      ...(title === '' ? [] : [`${margin}${title}`]),
      ...named.map(([header, cell]) => `${inner}${style.dim(padEnd(header, nameWidth))}   ${cell}`.trimEnd()),
    ];
  });
}
