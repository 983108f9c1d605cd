/**
 * RowWriter: rows as text, by the block.
 *
 * Of a row that a recorder wrote, all but a few cells is the same for every row of its binding; of one that was
 * captured, for every row of its binding whose metadata have the same shape. That is made once, as a form: text,
 * escaped and quoted, and cells between it, which the kernel fills in from the columns and from what is stored with
 * the row. Any other row is decoded and written by itself, into the same place.
 */
import { FLAG_BLOB, TAG_BINDING_MASK } from '../../assembly/layout.js';
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
  TEXT_SLACK_BYTES,
} from '../../assembly/text-layout.js';
import { TextKernels } from '../kernels/text.js';
import type { OrderedRows } from '../readers/ordered.js';
import type { RowSource } from '../readers/rows.js';
import type { EventRow } from '../schema/event.js';
import type { BlockWriter } from './row-file.js';
import { ByShape, SHAPE_FLAGS, UNSHAPED_TEXT_FLAGS } from './stored-shape.js';
import type { TextFormat } from './text-format.js';
import { TextForms } from './text-forms.js';

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

export class RowWriter implements BlockWriter {
  readonly #format: TextFormat;
  readonly #kernels = new TextKernels();
  readonly #block: number;
  readonly #outStart: number;
  readonly #outEnd: number;
  readonly #stored: number;
  /** Addresses that are all 0, for experiments that find no room for others. */
  readonly #noForms: number;
  readonly #forms: TextForms;
  readonly #sources = new Map<RowSource, Forms>();
  /** Where the next text goes. */
  #out: number;
  /** What did not find room any more. */
  #parts: Buffer[] = [];

  constructor(format: TextFormat) {
    this.#format = format;
    this.#forms = new TextForms(format, this.#kernels, OUT_BYTES);
    this.#block = this.#kernels.allocate(BLOCK_BYTES);
    this.#outStart = this.#kernels.allocate(OUT_BYTES);
    this.#outEnd = this.#outStart + OUT_BYTES;
    this.#stored = this.#kernels.allocate(STORED_BYTES + TEXT_SLACK_BYTES);
    this.#noForms = this.#kernels.allocate(FORMS_BYTES);
    this.#out = this.#outStart;
  }

  rows(source: RowSource, block: OrderedRows): Uint8Array {
    const forms = this.#sources.get(source) ?? this.#newSource(source);
    for (let start = 0; start < block.rows.length; start += BLOCK_ROWS) {
      this.#writeBlock(source, block, start, Math.min(BLOCK_ROWS, block.rows.length - start), forms);
    }
    return this.#taken();
  }

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
        UNSHAPED_TEXT_FLAGS,
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
    if ((tag & UNSHAPED_TEXT_FLAGS) !== 0) return false;
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
    const form = this.#forms.make(table.event(forms.source, index), 0, undefined);
    u32[(forms.address >> 2) + binding] = form;
    states[binding] = form === 0 ? HAS_NONE : HAS_FORM;
    return form !== 0;
  }

  /** Puts the rows' columns where the kernel reads them. */
  #stage(table: OrderedRows['table'], rows: Uint32Array): void {
    const { f64, i32, u32 } = this.#kernels;
    const block = this.#block;
    let isRun = true;
    let tags = table.tags[rows[0]];
    for (let i = 1; i < rows.length; i++) {
      isRun = isRun && rows[i] === rows[i - 1] + 1;
      tags |= table.tags[rows[i]];
    }
    const put = isRun ? copyRun : gather;
    put(table.timeUs, rows, f64, (block + BLOCK_TIME_OFFSET) >> 3);
    put(table.latencyMs, rows, f64, (block + BLOCK_LATENCY_OFFSET) >> 3);
    put(table.costUsd, rows, f64, (block + BLOCK_COST_OFFSET) >> 3);
    put(table.sequences, rows, f64, (block + BLOCK_SEQUENCE_OFFSET) >> 3);
    put(table.promptTokens, rows, i32, (block + BLOCK_PROMPT_OFFSET) >> 2);
    put(table.completionTokens, rows, i32, (block + BLOCK_COMPLETION_OFFSET) >> 2);
    put(table.producers, rows, i32, (block + BLOCK_PRODUCER_OFFSET) >> 2);
    put(table.tags, rows, u32, (block + BLOCK_TAG_OFFSET) >> 2);
    if ((tags & FLAG_BLOB) !== 0) this.#stageStored(table, rows);
  }

  /** Puts what is stored with the rows where the kernel reads it, as far as it fits. */
  #stageStored({ tags, blob, blobOffsets, blobEnds }: OrderedRows['table'], rows: Uint32Array): void {
    const { u32, bytes } = this.#kernels;
    const addresses = (this.#block + BLOCK_STORED_OFFSET) >> 2;
    let start = blob.length;
    let end = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      if ((tags[row] & FLAG_BLOB) === 0) continue;
      start = Math.min(start, blobOffsets[row]);
      end = Math.max(end, blobEnds[row]);
    }
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
      shaped: new ByShape(source, this.#forms.marks, (event, flags, shape) =>
        this.#forms.make(event, flags, shape),
      ),
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
