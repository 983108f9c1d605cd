/**
 * CSV with flattened columns.
 *
 * Columns are the union over all rows: the base and extra columns, the category fields (`learning_rate`), and
 * `measurement_<key>` and `metadata_<key>[_<key2>…]`, all of them sorted by name in code-unit order, as the
 * reference sorts its own. Where two different paths give one name ({a_b} and {a: {b}}), the later path in
 * code-unit order gets `_2`, so no value hides another. With `flatten: false` there are the 15 base columns.
 *
 * A list is its elements joined with commas; a list that holds lists or objects is JSON text; null is empty.
 * Fields are quoted only where a comma, quote, CR or LF needs it; lines end in LF.
 */

import type { EventRow, Json } from '../schema/event.js';
import { BASE_COLUMNS, type Column, EXTRA_COLUMNS } from './columns.js';
import type { EncodeOptions, EventSource, RowEncoder, RowFormatDefinition } from './encoder.js';
import { type ColumnNode, ColumnPlan } from './plan.js';
import { jsonText, wellFormed } from './text.js';

export const csvFormat: RowFormatDefinition = { format: 'csv', extension: 'csv', open: openCsv };

/** Reads the source once for its columns when flattening. */
export async function openCsv(source: EventSource, options: EncodeOptions = {}): Promise<RowEncoder> {
  const safe = options.csvSafe === true;
  if (options.flatten === false) return new FixedEncoder(BASE_COLUMNS, safe);
  const plan = new ColumnPlan();
  for await (const event of source()) plan.add(event);
  return new FlatEncoder(plan, safe);
}

class FixedEncoder implements RowEncoder {
  readonly columns: readonly string[];
  readonly #columns: readonly Column[];
  readonly #safe: boolean;

  constructor(columns: readonly Column[], safe: boolean) {
    this.#columns = columns;
    this.columns = columns.map((column) => column.name);
    this.#safe = safe;
  }

  header(): string {
    return csvLine(this.columns);
  }

  row(event: EventRow): string {
    return csvLine(this.#columns.map((column) => cellText(column.read(event), this.#safe)));
  }
}

class FlatEncoder implements RowEncoder {
  readonly columns: readonly string[];
  readonly #plan: ColumnPlan;
  readonly #places = new Map<ColumnNode, number>();
  readonly #fixed: { readonly place: number; readonly column: Column }[] = [];
  readonly #safe: boolean;

  constructor(plan: ColumnPlan, safe: boolean) {
    const columns = plan.layout([...BASE_COLUMNS, ...EXTRA_COLUMNS]);
    this.columns = columns.map(({ name }) => name);
    this.#plan = plan;
    this.#safe = safe;
    for (const [place, { fixed, node }] of columns.entries()) {
      if (node !== null) this.#places.set(node, place);
      else this.#fixed.push({ place, column: fixed });
    }
  }

  header(): string {
    return csvLine(this.columns.map((name) => (this.#safe ? guarded(name) : name)));
  }

  /** @throws RangeError when the row has a column that the first pass did not see */
  row(event: EventRow): string {
    const cells = new Array<string>(this.columns.length).fill('');
    for (const { place, column } of this.#fixed) cells[place] = cellText(column.read(event), this.#safe);
    this.#plan.visit(event, (node, value) => {
      const place = this.#places.get(node);
      // Dropping the value silently would be worse: the file would look complete.
      if (place === undefined)
        throw new RangeError('the events changed between the two passes of a CSV export');
      cells[place] = cellText(value, this.#safe);
    });
    return csvLine(cells);
  }
}

/** The text of one cell, before quoting. Numbers are JavaScript's shortest text; what is not finite is empty. */
export function cellText(value: Json, safe: boolean): string {
  if (typeof value === 'string') return safe ? guarded(value) : value;
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : '';
  if (typeof value === 'boolean') return String(value);
  if (value === null || value === undefined) return '';
  const scalars = Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null);
  const text = scalars ? value.map((item) => cellText(item, false)).join(',') : jsonText(value);
  return safe ? guarded(text) : text;
}

/** Text a spreadsheet would take for a formula, made text by an apostrophe. */
function guarded(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

/** Fields as one line: quoted where needed, well formed, ended by LF. */
export function csvLine(fields: readonly string[]): string {
  // A single empty field would be a blank line, which readers skip.
  if (fields.length === 1 && fields[0] === '') return '""\n';
  return `${wellFormed(fields.map(quotedIfNeeded).join(','))}\n`;
}

function quotedIfNeeded(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
