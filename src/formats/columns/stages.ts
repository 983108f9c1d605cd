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

import { dataViewOf } from '../data-view.js';
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
/** The hexadecimal digits of each byte and of each two bytes, as their characters. */
const HEX2 = Uint16Array.from({ length: 2 ** 8 }, (_, value) =>
  Buffer.from(value.toString(16).padStart(2, '0')).readUInt16LE(),
);
const HEX4 = Uint32Array.from({ length: 2 ** 16 }, (_, value) =>
  Buffer.from(value.toString(16).padStart(4, '0')).readUInt32LE(),
);
/** What an event id ends in: two digits of the producer and ten of the sequence, each behind a dash. */
const ID_TAIL = Buffer.from('-00-0000000000');

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
  private view = dataViewOf(this.bytes);
  /** The experiment whose ids' common parts stand in the bytes up to `filledEnd`, if nothing else does. */
  private filledId: Buffer | undefined;
  private filledEnd = 0;
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

  /** Sets a text that is there as UTF-8, in bytes [from, to). */
  setBytes(row: number, source: Buffer, from: number, to: number): void {
    this.place(row);
    this.reserve(to - from);
    this.end += source.copy(this.bytes, this.end, from, to);
  }

  setTemplate(template: number, text: string): void {
    this.templates[template] = Buffer.from(text);
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

  /**
   * Event ids of rows from `row` on.
   * @param rows - where they stand in `producers` and `sequences`
   * @returns false where there are producers beyond 255 or sequences from 2^40 on, whose ids have more digits; then
   *   none is set
   */
  setIds(
    row: number,
    experimentId: Buffer,
    rows: Uint32Array,
    producers: Int32Array,
    sequences: Float64Array,
  ): boolean {
    const count = rows.length;
    const width = experimentId.length + ID_TAIL.length;
    this.reserve(count * width);
    this.fillIds(experimentId, count);
    const { view, offsets } = this;
    let start = this.end;
    let producerAt = start + experimentId.length + 1;
    /** Bits that there are no digits for. */
    let more = 0;
    for (let i = 0; i < count; i++) {
      const from = rows[i];
      const producer = producers[from];
      const sequence = sequences[from];
      const high = (sequence / 2 ** 32) >>> 0;
      const low = sequence >>> 0;
      more |= (producer | high) >>> 8;
      offsets[row + i] = start;
      view.setUint16(producerAt, HEX2[producer & 0xff], true);
      view.setUint16(producerAt + 3, HEX2[high & 0xff], true);
      view.setUint32(producerAt + 5, HEX4[low >>> 16], true);
      view.setUint32(producerAt + 9, HEX4[low & 0xffff], true);
      start += width;
      producerAt += width;
    }
    if (more !== 0) return false;
    this.valid.fill(1, row, row + count);
    this.end = start;
    this.placed = row + count;
    this.present += count;
    return true;
  }

  /** Writes what all ids of an experiment have alike; does nothing where it stands there from earlier rows. */
  private fillIds(experimentId: Buffer, count: number): void {
    const width = experimentId.length + ID_TAIL.length;
    const start = this.end;
    const end = start + count * width;
    const isAligned = experimentId === this.filledId && start % width === 0 && start <= this.filledEnd;
    if (isAligned && end <= this.filledEnd) return;
    this.bytes.set(experimentId, start);
    this.bytes.set(ID_TAIL, start + experimentId.length);
    for (let done = width; done < end - start; done *= 2) {
      this.bytes.copyWithin(start + done, start, start + Math.min(done, end - start - done));
    }
    if (isAligned || start === 0) {
      this.filledId = experimentId;
      this.filledEnd = end;
    } else {
      this.filledId = undefined;
    }
  }

  resolve(rows: number): void {
    this.offsets.fill(this.end, this.placed, rows + 1);
    this.nullCount = rows - this.present;
  }

  private place(row: number): void {
    this.offsets.fill(this.end, this.placed, row + 1);
    this.placed = row + 1;
    this.filledId = undefined;
    this.valid[row] = 1;
    this.present++;
  }

  private reserve(more: number): void {
    const needed = this.end + more;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.bytes.length));
    this.bytes.copy(larger, 0, 0, this.end);
    this.bytes = larger;
    this.view = dataViewOf(larger);
    this.filledId = undefined;
  }
}

/** A column of the rows gathered. */
export type Stage =
  | { readonly kind: 'numbers'; readonly stage: ValueStage<Float64Array> }
  | { readonly kind: 'flags'; readonly stage: ValueStage<Uint8Array> }
  | { readonly kind: 'codes'; readonly stage: ValueStage<Int32Array>; readonly texts: TextSet }
  | { readonly kind: 'texts'; readonly stage: TextStage };
