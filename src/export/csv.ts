/**
 * CSV with flattened columns.
 *
 * Columns are the union over all rows: the base and extra columns, the category fields (`learning_rate`), and
 * `measurement_<key>` and `metadata_<key>[_<key2>…]`, all of them sorted by name in code-unit order, as the
 * reference sorts its own. Where two different paths give one name ({a_b} and {a: {b}}), the later path in
 * code-unit order gets `_2`, so no value hides another. With `flatten: false` there are the 15 base columns.
 *
 * A list is its elements joined with commas; a list that holds lists or objects is JSON text; null is empty.
 * Fields are quoted only where a comma, quote, CR or LF needs it, with `csvSafe` also semicolons and tabs; lines end in LF.
 */

import { CELL_STORED_FIELD, CELL_STORED_SAFE_FIELD } from '../../assembly/text-layout.js';
import { guarded } from '../formats/csv/formula.js';
import { jsonText, numberText, wellFormed } from '../formats/text.js';
import type { EventRow, Json } from '../schema/event.js';
import { BASE_COLUMNS, type Column, EXTRA_COLUMNS, type SchemaColumn, schemaOf } from './columns.js';
import type { EncodeOptions, ExportEncoder, ExportFormatDefinition } from './encoder.js';
import type { ColumnNode, ColumnPlan } from './plan.js';
import { rowFile } from './row-file.js';
import { RowWriter } from './row-writer.js';
import { fixedType, openType } from './schema.js';
import {
  type Cell,
  COMPLETION_TOKENS,
  COST,
  cellOf,
  datetime,
  ifCost,
  LATENCY,
  type Part,
  PLACE,
  PROMPT_TOKENS,
  SUCCESS,
  type TextFormat,
  TIMESTAMP,
  TOTAL_TOKENS,
} from './text-format.js';

export const csvFormat: ExportFormatDefinition = {
  format: 'csv',
  extension: 'csv',
  needsPlan: ({ flatten }) => (flatten === false ? 'none' : 'columns'),
  open: (plan, _about, options) => openCsv(plan, options),
};

/** @param plan - null for the base columns alone */
export function openCsv(plan: ColumnPlan | null, options: EncodeOptions = {}): ExportEncoder {
  const format = new CsvFormat(plan, options.csvSafe === true);
  return {
    schema: format.schema,
    additionalKeys: false,
    encode: (blocks) => rowFile(blocks, Buffer.from(format.header()), new RowWriter(format)),
  };
}

/** Columns that are not the same in all rows of a binding. */
const CELLS: ReadonlyMap<string, Cell> = new Map([
  ['cost_source', ifCost('event')],
  ['cost_usd', COST],
  ['datetime', datetime('')],
  ['event_id', PLACE],
  ['latency_ms', LATENCY],
  ['success', SUCCESS],
  ['timestamp', TIMESTAMP],
  ['tokens_completion', COMPLETION_TOKENS],
  ['tokens_prompt', PROMPT_TOKENS],
  ['tokens_total', TOTAL_TOKENS],
]);

/** The same with csvSafe: a year with a sign looks like a formula. */
const SAFE_CELLS: ReadonlyMap<string, Cell> = new Map([...CELLS, ['datetime', datetime("'")]]);

class CsvFormat implements TextFormat {
  readonly absent = '';
  readonly storedText: number;
  readonly quote = undefined;
  readonly schema: readonly SchemaColumn[];
  readonly #plan: ColumnPlan | null;
  readonly #places = new Map<ColumnNode, number>();
  readonly #fixed: { readonly place: number; readonly column: Column }[] = [];
  readonly #safe: boolean;

  constructor(plan: ColumnPlan | null, safe: boolean) {
    this.#plan = plan;
    this.#safe = safe;
    this.storedText = safe ? CELL_STORED_SAFE_FIELD : CELL_STORED_FIELD;
    const columns =
      plan === null
        ? BASE_COLUMNS.map((fixed) => ({ name: fixed.name, fixed, node: null }))
        : plan.layout([...BASE_COLUMNS, ...EXTRA_COLUMNS]);
    this.schema = schemaOf(
      columns.map(({ name, fixed, node }) => ({
        ...(fixed ?? { nullable: true }),
        name: safe ? guarded(name) : name,
        type: node === null ? fixedType(fixed, plan) : openType(node).type,
      })),
    );
    for (const [place, { fixed, node }] of columns.entries()) {
      if (node !== null) this.#places.set(node, place);
      else this.#fixed.push({ place, column: fixed });
    }
  }

  header(): string {
    return csvLine(
      this.schema.map(({ name }) => name),
      this.#safe,
    );
  }

  row(event: EventRow): string {
    return csvLine(this.#fields(event), this.#safe);
  }

  form(event: EventRow): Part[] {
    const known = this.#safe ? SAFE_CELLS : CELLS;
    const cells = new Map(this.#fixed.map(({ place, column }) => [place, cellOf(known, column.name, event)]));
    const parts = this.#fields(event).flatMap((field, place): Part[] => {
      const cell = cells.get(place);
      const text = quotedIfNeeded(field, this.#safe);
      if (cell === undefined) return [',', text];
      if (cell !== PLACE) return [',', cell];
      const end = event.eventId.slice(event.experimentId.length + 1);
      const at = text.lastIndexOf(end);
      return [',', text.slice(0, at), PLACE, text.slice(at + end.length)];
    });
    return [...parts.slice(1), '\n'];
  }

  /** @throws RangeError when the row has a column that the first pass did not see */
  #fields(event: EventRow): string[] {
    const safe = this.#safe;
    const fields = new Array<string>(this.schema.length).fill('');
    for (const { place, column } of this.#fixed) fields[place] = cellText(column.read(event), safe);
    this.#plan?.visit(event, (node, value) => {
      const place = this.#places.get(node);
      // Dropping the value silently would be worse: the file would look complete.
      if (place === undefined)
        throw new RangeError('the events changed between the two passes of a CSV export');
      fields[place] = cellText(value, safe);
    });
    return fields;
  }
}

/** The text of one cell, before quoting. Numbers are JavaScript's shortest text; what is not finite is empty. */
export function cellText(value: Json, safe: boolean): string {
  if (typeof value === 'string') return safe ? guarded(value) : value;
  if (typeof value === 'number') return Number.isFinite(value) ? numberText(value) : '';
  if (typeof value === 'boolean') return String(value);
  if (value === null || value === undefined) return '';
  const scalars = Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null);
  const text = scalars ? value.map((item) => cellText(item, false)).join(',') : jsonText(value);
  return safe ? guarded(text) : text;
}

/**
 * Fields as one line: quoted where needed, well formed, ended by LF.
 * @param safe - also where a spreadsheet might split them
 */
export function csvLine(fields: readonly string[], safe = false): string {
  // A single empty field would be a blank line, which readers skip.
  if (fields.length === 1 && fields[0] === '') return '""\n';
  return `${wellFormed(fields.map((field) => quotedIfNeeded(field, safe)).join(','))}\n`;
}

function quotedIfNeeded(field: string, safe: boolean): string {
  return (safe ? /[",;\t\r\n]/ : /[",\r\n]/).test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
