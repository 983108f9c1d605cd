/**
 * RowWriter: rows as text, by the block.
 *
 * Of a row that a recorder wrote, all but a few cells is the same for every row of its binding; of one that was
 * captured, for every row of its binding whose metadata have the same shape. That is made once, as a form: text,
 * escaped and quoted, and cells between it, which the kernel fills in from the columns and from what is stored with
 * the row. Any other row is decoded and written by itself, into the same place.
 */
import { FLAG_BLOB, FLAG_METADATA_TOKENS, TAG_BINDING_MASK } from '../../assembly/layout.js';
import {
  BLOCK_BYTES,
  BLOCK_COMPLETION_OFFSET,
  BLOCK_COST_OFFSET,
  BLOCK_LATENCY_OFFSET,
  BLOCK_PRODUCER_OFFSET,
  BLOCK_PROMPT_OFFSET,
  BLOCK_ROWS,
  BLOCK_SEQUENCE_OFFSET,
  BLOCK_STORED_OFFSET,
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
  CELL_SLOT_OFFSET,
  CELL_STORED_NUMBER,
  CELL_SUCCESS,
  CELL_TEXT_BYTES_OFFSET,
  CELL_TEXT_OFFSET,
  CELL_TIMESTAMP,
  CELL_TOKENS,
  CELL_VALUE_BYTES_MAX,
  FORM_CELLS_OFFSET,
  FORM_FLAGS_OFFSET,
  FORM_GROWTH_OFFSET,
  FORM_ROW_BYTES_OFFSET,
  FORM_SHAPE_OFFSET,
  SHAPE_BYTES_OFFSET,
  SHAPE_LENGTH_OFFSET,
  SHAPE_PART_BYTES,
  SHAPE_SLOT_OFFSET,
  STORED_GROWTH,
  TEXT_SLACK_BYTES,
} from '../../assembly/text-layout.js';
import { TextKernels } from '../kernels/text.js';
import type { OrderedRows } from '../readers/ordered.js';
import type { RowSource } from '../readers/rows.js';
import type { EventRow } from '../schema/event.js';
import { COST_OF_EVENT } from './columnar/fixed.js';
import { ByShape, Marks, SHAPE_FLAGS, type StoredShape, UNSHAPED_FLAGS } from './stored-shape.js';

/** A cell that the columns fill in. */
export interface Cell {
  readonly kind: number;
  /** What is written, up to 8 bytes; for those that write a text. */
  readonly text?: string;
  /** Cells, each with the text before it, that are left out where there are no tokens. */
  readonly skip?: number;
  /** Place of the stored value; for those that write one. */
  readonly slot?: number;
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

/** The cell of a column, where there are such cells: not for a cost that was computed, whose source is a text. */
export function cellOf(cells: ReadonlyMap<string, Cell>, name: string, event: EventRow): Cell | undefined {
  const isComputed = event.costSource !== null && event.costSource !== COST_OF_EVENT;
  return name === 'cost_source' && isComputed ? undefined : cells.get(name);
}

/** Text or a cell. */
export type Part = string | Cell;

/** How rows look in a format of text. */
export interface TextFormat {
  /** What stands where there is no value; up to 8 bytes. */
  readonly absent: string;
  /** How a stored text is written: CELL_STORED_*. */
  readonly storedText: number;
  /** What stands around a text; undefined where a stored value is only written as a whole part. */
  readonly quote: string | undefined;
  /** The row, with what ends it. */
  row(event: EventRow): string;
  /** The same for all rows of a binding, of which `event` is one: with cells where they differ. */
  form(event: EventRow): readonly Part[];
}

/** Room for what is stored with the rows of a block; what does not fit is decoded. */
const STORED_BYTES = 4 * 1024 * 1024;
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
  readonly source: RowSource;
  /** Address of the forms' addresses, by binding. */
  readonly address: number;
  readonly states: Uint8Array;
  /** The same for rows with SHAPE_FLAGS: of each binding the form that was used last. */
  readonly shapedAddress: number;
  /** Addresses of their forms; 0 where they have none. */
  readonly shaped: ByShape<number>;
}

export class RowWriter {
  readonly #format: TextFormat;
  readonly #kernels = new TextKernels();
  readonly #block: number;
  readonly #outStart: number;
  readonly #outEnd: number;
  readonly #stored: number;
  /** Addresses that are all 0, for experiments that find no room for others. */
  readonly #noForms: number;
  readonly #marks = new Marks();
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
    this.#stored = this.#kernels.allocate(STORED_BYTES + TEXT_SLACK_BYTES);
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

  #writeBlock(source: RowSource, block: OrderedRows, start: number, count: number, forms: Forms): void {
    const kernels = this.#kernels;
    const { table, rows, events } = block;
    this.#stage(table, rows.subarray(start, start + count));
    for (let row = 0, seen = -1; ; ) {
      row = kernels.module.writeRows(
        this.#block,
        row,
        count,
        UNSHAPED_FLAGS,
        forms.address,
        forms.shapedAddress,
        this.#out,
        this.#outEnd,
        kernels.tables,
      );
      this.#out = kernels.end;
      if (row === count) return;
      const index = rows[start + row];
      // A row that the kernel stops at again, though something was done for it, is one that it cannot write.
      const isNew = row !== seen;
      seen = row;
      if (isNew && this.#isReady(forms, table, index)) continue;
      this.#append(this.#format.row(events?.[start + row] ?? table.event(source, index)));
      row++;
    }
  }

  /** Does what the kernel may want to write the row: makes its form, or room. @returns false where it never can */
  #isReady(forms: Forms, table: OrderedRows['table'], index: number): boolean {
    const { u32 } = this.#kernels;
    const tag = table.tags[index];
    const binding = tag & TAG_BINDING_MASK;
    if ((tag & UNSHAPED_FLAGS) !== 0) return false;
    if ((tag & SHAPE_FLAGS) !== 0) {
      const form = forms.shapedAddress === this.#noForms ? undefined : forms.shaped.get(table, index);
      if (form === undefined || form === 0) return false;
      const place = (forms.shapedAddress >> 2) + binding;
      if (u32[place] === form) this.#makeRoom();
      u32[place] = form;
      return true;
    }
    const { states } = forms;
    if (states[binding] === HAS_FORM) this.#makeRoom();
    if (states[binding] !== UNKNOWN) return states[binding] === HAS_FORM;
    const form = this.#makeForm(table.event(forms.source, index), 0, undefined);
    u32[(forms.address >> 2) + binding] = form;
    states[binding] = form === 0 ? HAS_NONE : HAS_FORM;
    return form !== 0;
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
    this.#stageStored(table, rows);
  }

  /** Puts what is stored with the rows where the kernel reads it, as far as it fits. */
  #stageStored({ tags, blob, blobOffsets, blobEnds }: OrderedRows['table'], rows: Uint32Array): void {
    const { u32, bytes } = this.#kernels;
    const addresses = (this.#block + BLOCK_STORED_OFFSET) >> 2;
    let start = blob.length;
    let end = 0;
    for (const row of rows) {
      if ((tags[row] & FLAG_BLOB) === 0) continue;
      start = Math.min(start, blobOffsets[row]);
      end = Math.max(end, blobEnds[row]);
    }
    if (end === 0) return;
    // Rows in the order in which they were captured are stored one behind the other.
    if (end - start <= STORED_BYTES) {
      bytes.set(blob.subarray(start, end), this.#stored);
      for (let i = 0; i < rows.length; i++) u32[addresses + i] = this.#stored + blobOffsets[rows[i]] - start;
      return;
    }
    for (let i = 0, used = 0; i < rows.length; i++) {
      const [from, to] = [blobOffsets[rows[i]], blobEnds[rows[i]]];
      const fits = (tags[rows[i]] & FLAG_BLOB) !== 0 && used + to - from <= STORED_BYTES;
      u32[addresses + i] = fits ? this.#stored + used : 0;
      if (fits) used += blob.copy(bytes, this.#stored + used, from, to);
    }
  }

  /**
   * @param event - one of the form's; where it has SHAPE_FLAGS, with marks for values
   * @returns the form's address; 0 where there can be none
   */
  #makeForm(event: EventRow, flags: number, shape: StoredShape | undefined): number {
    if (!this.#marks.sumsTokens(event)) return 0;
    const kernels = this.#kernels;
    const cells: { readonly before: Buffer; readonly cell: Cell }[] = [];
    const made = this.#format.form(event);
    const parts = flags === 0 ? made : this.#unmarked(made, flags);
    if (parts === undefined) return 0;
    let text = '';
    for (const part of [...parts, { kind: CELL_END }]) {
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
    const shapeBytes = (shape?.parts ?? []).reduce(
      (sum, part) => sum + SHAPE_PART_BYTES + part.bytes.length,
      0,
    );
    if (rowBytes > OUT_BYTES || bytes + shapeBytes + 4 * TEXT_SLACK_BYTES > kernels.room) return 0;
    const form = kernels.allocate(bytes);
    const view = new DataView(kernels.u32.buffer, form, bytes);
    const absent = Buffer.from(this.#format.absent);
    view.setUint32(FORM_ROW_BYTES_OFFSET, rowBytes, true);
    view.setUint32(FORM_FLAGS_OFFSET, flags, true);
    if (shape !== undefined) view.setUint32(FORM_SHAPE_OFFSET, this.#putShape(shape), true);
    view.setUint32(FORM_GROWTH_OFFSET, STORED_GROWTH * mostOften(cells.map(({ cell }) => cell.slot)), true);
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
      view.setUint32(place + CELL_SLOT_OFFSET, cell.slot ?? 0, true);
      at += before.length;
    });
    return form;
  }

  /** @returns the shape's address */
  #putShape({ parts }: StoredShape): number {
    const kernels = this.#kernels;
    const texts = parts.length * SHAPE_PART_BYTES;
    const textBytes = parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const address = kernels.allocate(texts + textBytes + TEXT_SLACK_BYTES);
    const view = new DataView(kernels.u32.buffer, address, texts);
    let at = address + texts;
    parts.forEach(({ bytes, slot }, index) => {
      const place = index * SHAPE_PART_BYTES;
      kernels.bytes.set(bytes, at);
      view.setUint32(place + SHAPE_BYTES_OFFSET, at, true);
      view.setUint32(place + SHAPE_LENGTH_OFFSET, bytes.length, true);
      view.setUint32(place + SHAPE_SLOT_OFFSET, slot, true);
      at += bytes.length;
    });
    return address;
  }

  /** Puts cells in the places of marks. @returns undefined where a mark has become part of something else */
  #unmarked(parts: readonly Part[], flags: number): Part[] | undefined {
    const { text, number, counts } = this.#marks.pattern;
    const { quote, storedText } = this.#format;
    const mark = `${quote ?? ''}${text}${quote ?? ''}|${number}|(?<![\\d.])${counts}(?![\\d.])`;
    const pattern = new RegExp(quote === undefined ? `^(?:${mark})$` : mark, 'g');
    const found: Part[] = [];
    for (const part of parts) {
      if (typeof part !== 'string') {
        found.push(part);
        continue;
      }
      let from = 0;
      for (const { index, 0: all, 1: textSlot, 2: numberSlot, 3: count } of part.matchAll(pattern)) {
        if (count !== undefined && (flags & FLAG_METADATA_TOKENS) === 0) continue;
        found.push(part.slice(from, index));
        if (textSlot !== undefined) found.push({ kind: storedText, slot: Number(textSlot) });
        else if (numberSlot !== undefined) found.push({ kind: CELL_STORED_NUMBER, slot: Number(numberSlot) });
        else found.push(this.#countCell(Number(count)));
        from = index + all.length;
      }
      found.push(part.slice(from));
    }
    return found.some((part) => typeof part === 'string' && this.#marks.isIn(part)) ? undefined : found;
  }

  #countCell(mark: number): Cell {
    if (mark === this.#marks.prompt) return PROMPT_TOKENS;
    return mark === this.#marks.completion ? COMPLETION_TOKENS : TOTAL_TOKENS;
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
    const hasRoom = this.#kernels.room >= 2 * FORMS_BYTES;
    const addresses = () => (hasRoom ? this.#kernels.allocate(FORMS_BYTES) : this.#noForms);
    const forms = {
      source,
      address: addresses(),
      states: new Uint8Array(BINDINGS).fill(hasRoom ? UNKNOWN : HAS_NONE),
      shapedAddress: addresses(),
      shaped: new ByShape(source, this.#marks, (event, flags, shape) => this.#makeForm(event, flags, shape)),
    };
    this.#sources.set(source, forms);
    return forms;
  }
}

/** How often the most frequent of them is there. */
function mostOften(slots: readonly (number | undefined)[]): number {
  const counts = new Map<number, number>();
  for (const slot of slots) if (slot !== undefined) counts.set(slot, (counts.get(slot) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}

type Column = Float64Array | Int32Array | Uint32Array;

function copyRun(from: Column, rows: Uint32Array, into: Column, at: number): void {
  into.set(from.subarray(rows[0], rows[0] + rows.length), at);
}

function gather(from: Column, rows: Uint32Array, into: Column, at: number): void {
  for (let i = 0; i < rows.length; i++) into[at + i] = from[rows[i]];
}
