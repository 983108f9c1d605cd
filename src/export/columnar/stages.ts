/**
 * Columns of the rows gathered so far.
 *
 * Null is a value of its own: NaN among numbers, which no exported number is, and 0 among flags and codes. So a
 * column is one typed array, and is filled by copying.
 *
 * Most of what a row says is the same for all rows of its binding. Rows of a binding refer to a template, which
 * has a value for each column; what a row has of its own stands in the column itself. `resolve` brings both
 * together, and finds out where all rows have one value.
 */

import type { TextSet } from './text-set.js';

export type Values = Float64Array | Int32Array | Uint8Array;

/** The template of rows that have values of their own; they are null where such a row has none. */
export const OWN = 0;

export const FLAG_NULL = 0;
export const FLAG_FALSE = 1;
export const FLAG_TRUE = 2;

const FIRST_TEMPLATES = 64;

/** Numbers (NaN = null), flags (FLAG_*) or codes of texts (0 = null, else 1 + the text's index). */
export class ValueStage<T extends Values = Values> {
  /** One a row; where `isConstant`, only the first counts, and it is every row's. */
  values: T;
  isConstant = false;
  private templates: T;
  /** Whether rows since the last reset have values of their own. */
  private hasOwn = false;
  private readonly nullValue: number;
  private readonly make: (length: number) => T;

  constructor(make: (length: number) => T, nullValue: number, capacity: number) {
    this.make = make;
    this.nullValue = nullValue;
    this.values = make(capacity);
    this.templates = make(FIRST_TEMPLATES);
    this.templates.fill(nullValue);
  }

  reset(): void {
    this.isConstant = false;
    this.hasOwn = false;
  }

  set(row: number, value: number): void {
    if (!this.hasOwn) {
      this.hasOwn = true;
      this.values.fill(this.nullValue);
    }
    this.values[row] = value;
  }

  setTemplate(template: number, value: number): void {
    if (template >= this.templates.length) {
      const larger = this.make(2 * template);
      larger.fill(this.nullValue);
      larger.set(this.templates);
      this.templates = larger;
    }
    this.templates[template] = value;
  }

  /**
   * Puts the templates' values in their places.
   * @param ids - each row's template
   * @param used - the templates among them
   */
  resolve(ids: Int32Array, rows: number, used: readonly number[]): void {
    const { values, templates, nullValue } = this;
    const templateValue = (template: number) =>
      template < templates.length ? templates[template] : nullValue;
    if (this.hasOwn) {
      for (let row = 0; row < rows; row++) if (ids[row] !== OWN) values[row] = templateValue(ids[row]);
      return;
    }
    const first = templateValue(used[0] ?? OWN);
    if (used.every((template) => Object.is(templateValue(template), first))) {
      this.isConstant = true;
      values[0] = first;
      return;
    }
    const highest = used.reduce((most, template) => Math.max(most, template), 0);
    if (highest >= templates.length) this.setTemplate(highest, nullValue);
    const complete = this.templates;
    for (let row = 0; row < rows; row++) values[row] = complete[ids[row]];
  }
}

export const numberStage = (capacity: number): ValueStage<Float64Array> =>
  new ValueStage((length) => new Float64Array(length), Number.NaN, capacity);
export const flagStage = (capacity: number): ValueStage<Uint8Array> =>
  new ValueStage((length) => new Uint8Array(length), FLAG_NULL, capacity);
export const codeStage = (capacity: number): ValueStage<Int32Array> =>
  new ValueStage((length) => new Int32Array(length), 0, capacity);

const FIRST_BYTES = 1 << 16;
const HEX = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
/** Digits of an event id's producer and sequence, and the dashes before them. */
const ID_TAIL_BYTES = 14;

/** Texts written out, one behind the other. Rows are set in ascending order. */
export class TextStage {
  bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** Where each row's text begins; one more than there are rows. Complete after `resolve`. */
  readonly offsets: Int32Array;
  /** 1 where there is a text. */
  readonly valid: Uint8Array;
  nullCount = 0;
  private end = 0;
  /** Rows whose offset is set. */
  private placed = 0;
  private present = 0;
  private readonly templates: (Buffer | undefined)[] = [];

  constructor(capacity: number) {
    this.offsets = new Int32Array(capacity + 1);
    this.valid = new Uint8Array(capacity);
  }

  /** Bytes of all texts so far. */
  get length(): number {
    return this.end;
  }

  reset(): void {
    this.end = 0;
    this.placed = 0;
    this.present = 0;
    this.valid.fill(0);
  }

  /** @param text - well formed */
  set(row: number, text: string): void {
    this.place(row);
    // Three bytes is the most that a UTF-16 code unit takes.
    this.reserve(3 * text.length);
    this.end += this.bytes.write(text, this.end);
  }

  setTemplate(template: number, text: string): void {
    this.templates[template] = Buffer.from(text);
  }

  get hasTemplates(): boolean {
    return this.templates.length > 0;
  }

  /** Writes out what the row's template says. */
  setFrom(template: number, row: number): void {
    const text = this.templates[template];
    if (text === undefined) return;
    this.place(row);
    this.reserve(text.length);
    this.bytes.set(text, this.end);
    this.end += text.length;
  }

  /** Event ids of `count` rows from `row` on; all of them must have the tail's usual length. */
  setIds(
    row: number,
    experimentId: Buffer,
    rows: Uint32Array,
    producers: Int32Array,
    sequences: Float64Array,
  ): void {
    const count = rows.length;
    const head = experimentId.length;
    const width = head + ID_TAIL_BYTES;
    this.reserve(count * width);
    const { bytes, offsets } = this;
    let at = this.end;
    this.placed = row;
    for (let i = 0; i < count; i++) {
      const from = rows[i];
      const sequence = sequences[from];
      const producer = producers[from];
      offsets[row + i] = at;
      for (let byte = 0; byte < head; byte++) bytes[at + byte] = experimentId[byte];
      at += head;
      bytes[at] = 0x2d;
      bytes[at + 1] = HEX[producer >>> 4];
      bytes[at + 2] = HEX[producer & 15];
      bytes[at + 3] = 0x2d;
      const high = (sequence / 2 ** 32) | 0;
      bytes[at + 4] = HEX[high >>> 4];
      bytes[at + 5] = HEX[high & 15];
      const low = sequence >>> 0;
      bytes[at + 6] = HEX[low >>> 28];
      bytes[at + 7] = HEX[(low >>> 24) & 15];
      bytes[at + 8] = HEX[(low >>> 20) & 15];
      bytes[at + 9] = HEX[(low >>> 16) & 15];
      bytes[at + 10] = HEX[(low >>> 12) & 15];
      bytes[at + 11] = HEX[(low >>> 8) & 15];
      bytes[at + 12] = HEX[(low >>> 4) & 15];
      bytes[at + 13] = HEX[low & 15];
      at += ID_TAIL_BYTES;
    }
    this.valid.fill(1, row, row + count);
    this.end = at;
    this.placed = row + count;
    this.present += count;
  }

  resolve(rows: number): void {
    this.offsets.fill(this.end, this.placed, rows + 1);
    this.nullCount = rows - this.present;
  }

  private place(row: number): void {
    this.offsets.fill(this.end, this.placed, row + 1);
    this.placed = row + 1;
    this.valid[row] = 1;
    this.present++;
  }

  private reserve(more: number): void {
    const needed = this.end + more;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.bytes.length));
    this.bytes.copy(larger, 0, 0, this.end);
    this.bytes = larger;
  }
}

/** A column of the rows gathered. */
export type Stage =
  | { readonly kind: 'numbers'; readonly stage: ValueStage<Float64Array> }
  | { readonly kind: 'flags'; readonly stage: ValueStage<Uint8Array> }
  | { readonly kind: 'codes'; readonly stage: ValueStage<Int32Array>; readonly texts: TextSet }
  | { readonly kind: 'texts'; readonly stage: TextStage };
