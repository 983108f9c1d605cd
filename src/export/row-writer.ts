/**
 * RowWriter: rows as text, by the block.
 *
 * Of a row that a recorder wrote, all but a few cells is the same for every row of its binding. That is made once, as
 * a form: text, escaped and quoted, and cells between it, which the kernel fills in from the columns. Any other row is
 * decoded and written by itself, into the same place.
 */
import {
  FLAG_BLOB,
  FLAG_COST_COMPUTED,
  FLAG_DECLARED,
  FLAG_MALFORMED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_PROVIDER,
  FLAG_METADATA_TOKENS,
  TAG_BINDING_MASK,
} from '../../assembly/layout.js';
import {
  BLOCK_BYTES,
  BLOCK_COMPLETION_OFFSET,
  BLOCK_COST_OFFSET,
  BLOCK_LATENCY_OFFSET,
  BLOCK_PRODUCER_OFFSET,
  BLOCK_PROMPT_OFFSET,
  BLOCK_ROWS,
  BLOCK_SEQUENCE_OFFSET,
  BLOCK_TAG_OFFSET,
  BLOCK_TIME_OFFSET,
  CELL_BEFORE_BYTES_OFFSET,
  CELL_BEFORE_OFFSET,
  CELL_BYTES,
  CELL_COMPLETION,
  CELL_CONSTANT,
  CELL_COST,
  CELL_DATETIME,
  CELL_END,
  CELL_HAS_COST,
  CELL_HAS_TOKENS,
  CELL_KIND_OFFSET,
  CELL_LATENCY,
  CELL_NULL_BYTES_OFFSET,
  CELL_NULL_OFFSET,
  CELL_PLACE,
  CELL_PROMPT,
  CELL_SKIP_OFFSET,
  CELL_SUCCESS,
  CELL_TEXT_BYTES_OFFSET,
  CELL_TEXT_OFFSET,
  CELL_TIMESTAMP,
  CELL_TOKENS,
  CELL_VALUE_BYTES_MAX,
  FORM_CELLS_OFFSET,
  FORM_ROW_BYTES_OFFSET,
  TEXT_SLACK_BYTES,
} from '../../assembly/text-layout.js';
import { TextKernels } from '../kernels/text.js';
import type { OrderedRows } from '../readers/ordered.js';
import type { RowSource } from '../readers/rows.js';
import type { EventRow } from '../schema/event.js';

/** A cell that the columns fill in. */
export interface Cell {
  readonly kind: number;
  /** What is written, up to 8 bytes; for those that write a text. */
  readonly text?: string;
  /** Cells, each with the text before it, that are left out where there are no tokens. */
  readonly skip?: number;
}

export const LATENCY: Cell = { kind: CELL_LATENCY };
export const COST: Cell = { kind: CELL_COST };
export const PROMPT_TOKENS: Cell = { kind: CELL_PROMPT };
export const COMPLETION_TOKENS: Cell = { kind: CELL_COMPLETION };
export const TOTAL_TOKENS: Cell = { kind: CELL_TOKENS };
export const SUCCESS: Cell = { kind: CELL_SUCCESS };
export const TIMESTAMP: Cell = { kind: CELL_TIMESTAMP };
/** The end of an event's id, from the producer on. */
export const PLACE: Cell = { kind: CELL_PLACE };

/** @param mark - one character, or none, before a year with a sign */
export function datetime(mark: string): Cell {
  return { kind: CELL_DATETIME, text: mark };
}

/** `text` where the row has a cost. */
export function ifCost(text: string): Cell {
  return { kind: CELL_HAS_COST, text };
}

/** Nothing where the row has tokens; else no value, and the next cells are left out. */
export function ifTokens(cells: number): Cell {
  return { kind: CELL_HAS_TOKENS, skip: cells };
}

export function constant(text: string): Cell {
  return { kind: CELL_CONSTANT, text };
}

/** Text or a cell. */
export type Part = string | Cell;

/** How rows look in a format of text. */
export interface TextFormat {
  /** What stands where there is no value; up to 8 bytes. */
  readonly absent: string;
  /** The row, with what ends it. */
  row(event: EventRow): string;
  /** The same for all rows of a binding, of which `event` is one: with cells where they differ. */
  form(event: EventRow): readonly Part[];
}

/** A row with one of these is not all in its binding and the number columns. */
const REFUSED =
  FLAG_BLOB |
  FLAG_DECLARED |
  FLAG_MALFORMED |
  FLAG_COST_COMPUTED |
  FLAG_METADATA_MODEL |
  FLAG_METADATA_PROVIDER |
  FLAG_METADATA_TOKENS;

/** Room for text; a block that takes more is put together from several parts. */
const OUT_BYTES = 8 * 1024 * 1024;
/** The most that a character of a JavaScript string takes in UTF-8. */
const CHARACTER_BYTES = 3;

// What is known of a binding.
const UNKNOWN = 0;
const HAS_FORM = 1;
const HAS_NONE = 2;

const BINDINGS = TAG_BINDING_MASK + 1;
const FORMS_BYTES = 4 * BINDINGS;

/** The forms of an experiment's bindings. */
interface Forms {
  /** Address of the forms' addresses, by binding. */
  readonly address: number;
  readonly states: Uint8Array;
}

export class RowWriter {
  readonly #format: TextFormat;
  readonly #kernels = new TextKernels();
  readonly #block: number;
  readonly #outStart: number;
  readonly #outEnd: number;
  /** Addresses that are all 0, for experiments that find no room for others. */
  readonly #noForms: number;
  readonly #sources = new Map<RowSource, Forms>();
  /** Where the next text goes. */
  #out: number;
  /** What did not find room any more. */
  #parts: Buffer[] = [];

  constructor(format: TextFormat) {
    this.#format = format;
    this.#block = this.#kernels.allocate(BLOCK_BYTES);
    this.#outStart = this.#kernels.allocate(OUT_BYTES);
    this.#outEnd = this.#outStart + OUT_BYTES;
    this.#noForms = this.#kernels.allocate(FORMS_BYTES);
    this.#out = this.#outStart;
  }

  /** @returns bytes that are valid until the next call */
  rows(source: RowSource, block: OrderedRows): Uint8Array {
    const forms = this.#sources.get(source) ?? this.#newSource(source);
    for (let start = 0; start < block.rows.length; start += BLOCK_ROWS) {
      this.#writeBlock(source, block, start, Math.min(BLOCK_ROWS, block.rows.length - start), forms);
    }
    return this.#taken();
  }

  /** @returns bytes that are valid until the next call */
  events(events: readonly EventRow[]): Uint8Array {
    for (const event of events) this.#append(this.#format.row(event));
    return this.#taken();
  }

  #writeBlock(
    source: RowSource,
    { table, rows, events }: OrderedRows,
    start: number,
    count: number,
    { address, states }: Forms,
  ): void {
    const kernels = this.#kernels;
    this.#stage(table, rows.subarray(start, start + count));
    let row = 0;
    for (;;) {
      row = kernels.module.writeRows(
        this.#block,
        row,
        count,
        REFUSED,
        address,
        this.#out,
        this.#outEnd,
        kernels.tables,
      );
      this.#out = kernels.end;
      if (row === count) return;
      const index = rows[start + row];
      const tag = table.tags[index];
      const binding = tag & TAG_BINDING_MASK;
      const isPlain = (tag & REFUSED) === 0;
      if (isPlain && states[binding] === HAS_FORM) {
        this.#makeRoom();
        continue;
      }
      const event = events?.[start + row] ?? table.event(source, index);
      if (isPlain && states[binding] === UNKNOWN) {
        const form = this.#makeForm(event);
        kernels.u32[(address >> 2) + binding] = form;
        states[binding] = form === 0 ? HAS_NONE : HAS_FORM;
        continue;
      }
      this.#append(this.#format.row(event));
      row++;
    }
  }

  /** Puts the rows' columns where the kernel reads them. */
  #stage(table: OrderedRows['table'], rows: Uint32Array): void {
    const { f64, i32, u32 } = this.#kernels;
    const block = this.#block;
    let isRun = true;
    for (let i = 1; i < rows.length; i++) isRun = isRun && rows[i] === rows[i - 1] + 1;
    const put = isRun ? copyRun : gather;
    put(table.timeUs, rows, f64, (block + BLOCK_TIME_OFFSET) >> 3);
    put(table.latencyMs, rows, f64, (block + BLOCK_LATENCY_OFFSET) >> 3);
    put(table.costUsd, rows, f64, (block + BLOCK_COST_OFFSET) >> 3);
    put(table.sequences, rows, f64, (block + BLOCK_SEQUENCE_OFFSET) >> 3);
    put(table.promptTokens, rows, i32, (block + BLOCK_PROMPT_OFFSET) >> 2);
    put(table.completionTokens, rows, i32, (block + BLOCK_COMPLETION_OFFSET) >> 2);
    put(table.producers, rows, i32, (block + BLOCK_PRODUCER_OFFSET) >> 2);
    put(table.tags, rows, u32, (block + BLOCK_TAG_OFFSET) >> 2);
  }

  /** @returns the form's address; 0 where the rows of the event's binding cannot have one */
  #makeForm(event: EventRow): number {
    // A total of tokens that is told is not the sum of the columns.
    if (event.metadata.tokens !== undefined) return 0;
    const kernels = this.#kernels;
    const cells: { readonly before: Buffer; readonly cell: Cell }[] = [];
    let text = '';
    for (const part of [...this.#format.form(event), { kind: CELL_END }]) {
      if (typeof part === 'string') {
        text += part;
        continue;
      }
      cells.push({ before: Buffer.from(text), cell: part });
      text = '';
    }
    const textBytes = cells.reduce((sum, { before }) => sum + before.length, 0);
    const rowBytes = textBytes + cells.length * CELL_VALUE_BYTES_MAX + TEXT_SLACK_BYTES;
    const texts = FORM_CELLS_OFFSET + cells.length * CELL_BYTES;
    const bytes = texts + textBytes + TEXT_SLACK_BYTES;
    if (rowBytes > OUT_BYTES || bytes + TEXT_SLACK_BYTES > kernels.room) return 0;
    const form = kernels.allocate(bytes);
    const view = new DataView(kernels.u32.buffer, form, bytes);
    const absent = Buffer.from(this.#format.absent);
    view.setUint32(FORM_ROW_BYTES_OFFSET, rowBytes, true);
    let at = form + texts;
    cells.forEach(({ before, cell }, index) => {
      const place = FORM_CELLS_OFFSET + index * CELL_BYTES;
      kernels.bytes.set(before, at);
      view.setUint32(place + CELL_KIND_OFFSET, cell.kind, true);
      view.setUint32(place + CELL_BEFORE_OFFSET, at, true);
      view.setUint32(place + CELL_BEFORE_BYTES_OFFSET, before.length, true);
      view.setUint32(place + CELL_NULL_BYTES_OFFSET, absent.length, true);
      kernels.bytes.set(absent, form + place + CELL_NULL_OFFSET);
      const short = Buffer.from(cell.text ?? '');
      kernels.bytes.set(short, form + place + CELL_TEXT_OFFSET);
      view.setUint32(place + CELL_TEXT_BYTES_OFFSET, short.length, true);
      view.setUint32(place + CELL_SKIP_OFFSET, (cell.skip ?? 0) * CELL_BYTES, true);
      at += before.length;
    });
    return form;
  }

  /** Appends text that is no form's. What has no UTF-8 form becomes U+FFFD. */
  #append(text: string): void {
    const bytesMax = text.length * CHARACTER_BYTES;
    if (this.#out + bytesMax > this.#outEnd) this.#makeRoom();
    if (bytesMax > OUT_BYTES) this.#parts.push(Buffer.from(text));
    else this.#out += this.#kernels.bytes.write(text, this.#out, bytesMax, 'utf8');
  }

  /** Sets aside what is written. */
  #makeRoom(): void {
    this.#parts.push(Buffer.from(this.#kernels.bytes.subarray(this.#outStart, this.#out)));
    this.#out = this.#outStart;
  }

  #taken(): Uint8Array {
    const last = this.#kernels.bytes.subarray(this.#outStart, this.#out);
    const parts = this.#parts;
    this.#parts = [];
    this.#out = this.#outStart;
    return parts.length === 0 ? last : Buffer.concat([...parts, last]);
  }

  #newSource(source: RowSource): Forms {
    const hasRoom = this.#kernels.room >= FORMS_BYTES;
    const forms = {
      address: hasRoom ? this.#kernels.allocate(FORMS_BYTES) : this.#noForms,
      states: new Uint8Array(BINDINGS).fill(hasRoom ? UNKNOWN : HAS_NONE),
    };
    this.#sources.set(source, forms);
    return forms;
  }
}

type Column = Float64Array | Int32Array | Uint32Array;

function copyRun(from: Column, rows: Uint32Array, into: Column, at: number): void {
  into.set(from.subarray(rows[0], rows[0] + rows.length), at);
}

function gather(from: Column, rows: Uint32Array, into: Column, at: number): void {
  for (let i = 0; i < rows.length; i++) into[at + i] = from[rows[i]];
}
