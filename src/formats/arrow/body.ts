/** The body of a record batch: gathered columns as Arrow's buffers. */

import type { FileColumn } from '../columns/column.js';
import { FLAG_FALSE, FLAG_TRUE, type Stage, type TextStage, type ValueStage } from '../columns/stages.js';
import { writeWholeNumbers } from '../columns/whole-numbers.js';
import { ALIGN_BYTES } from './message.js';

export type IndexBits = 8 | 16 | 32;

/** The least signed integers that hold indices of a dictionary. */
export function indexBitsOf(valueCount: number): IndexBits {
  return valueCount <= 128 ? 8 : valueCount <= 32_768 ? 16 : 32;
}

export class BatchBody {
  /** Of each column its length and its count of nulls. */
  nodes: number[] = [];
  /** Of each buffer its offset in the body and its length. */
  buffers: number[] = [];
  private buffer = new ArrayBuffer(0);
  private headBytes = 0;
  private end = 0;
  private rows = 0;

  /** Begins a body of `rows` rows behind room for `headBytes` bytes, a multiple of 8. */
  begin(headBytes: number, rows: number): void {
    this.nodes = [];
    this.buffers = [];
    this.headBytes = headBytes;
    this.end = headBytes;
    this.rows = rows;
    this.reserve(0);
  }

  /** The room for the head, and the body; until the next `begin`. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.buffer, 0, this.end);
  }

  get bodyBytes(): number {
    return this.end - this.headBytes;
  }

  add(column: FileColumn, stage: Stage): void {
    switch (stage.kind) {
      case 'numbers':
        this.addNumbers(column, stage.stage);
        break;
      case 'flags':
        this.addFlags(column, stage.stage);
        break;
      case 'codes':
        this.addCodes(column, stage.stage);
        break;
      case 'texts':
        this.addTexts(column, stage.stage);
        break;
    }
  }

  private addNumbers({ type, nullable }: FileColumn, { values, isConstant }: ValueStage<Float64Array>): void {
    const { rows } = this;
    if (isConstant) values.fill(values[0], 1, rows);
    this.addValidity(nullable, (bits) => presentNumbers(values, rows, bits));
    switch (type) {
      case 'float64': {
        const at = this.take(8 * rows);
        new Float64Array(this.buffer, at, rows).set(values.subarray(0, rows));
        return;
      }
      case 'int32':
      case 'uint32': {
        const at = this.take(4 * rows);
        // A signed and an unsigned number of the same bits; NaN becomes 0.
        const out = new Int32Array(this.buffer, at, rows);
        for (let row = 0; row < rows; row++) out[row] = values[row];
        return;
      }
      default: {
        const at = this.take(8 * rows);
        writeWholeNumbers(values, rows, this.buffer, at);
      }
    }
  }

  private addFlags({ nullable }: FileColumn, { values, isConstant }: ValueStage<Uint8Array>): void {
    const { rows } = this;
    if (isConstant) values.fill(values[0], 1, rows);
    this.addValidity(nullable, (bits) => presentWords(values, rows, bits));
    const bytes = Math.ceil(rows / 8);
    const at = this.take(bytes);
    const bits = new Uint8Array(this.buffer, at, bytes);
    if (values[0] === FLAG_FALSE && areEqual(values, rows)) bits.fill(0);
    else packEqual(values, FLAG_TRUE, rows, bits);
  }

  private addCodes({ nullable, texts }: FileColumn, { values, isConstant }: ValueStage<Int32Array>): void {
    const { rows } = this;
    const bits = indexBitsOf(texts!.size);
    if (isConstant || areEqual(values, rows)) {
      const isNull = values[0] === 0;
      this.addValidity(nullable, (into) => {
        if (isNull) into.fill(0);
        return isNull ? rows : 0;
      });
      const at = this.take((bits / 8) * rows);
      this.words(bits, at).fill(isNull ? 0 : values[0] - 1);
      return;
    }
    this.addValidity(nullable, (into) => presentWords(values, rows, into));
    const at = this.take((bits / 8) * rows);
    const out = this.words(bits, at);
    for (let row = 0; row < rows; row++) out[row] = Math.max(values[row] - 1, 0);
  }

  private addTexts({ nullable }: FileColumn, { bytes, offsets, valid, length, nullCount }: TextStage): void {
    const { rows } = this;
    this.addValidity(nullable || nullCount > 0, (bits) =>
      nullCount === 0 ? 0 : presentWords(valid, rows, bits),
    );
    const offsetsAt = this.take(4 * (rows + 1));
    new Int32Array(this.buffer, offsetsAt, rows + 1).set(offsets.subarray(0, rows + 1));
    const at = this.take(length);
    new Uint8Array(this.buffer, at, length).set(bytes.subarray(0, length));
  }

  /** Adds a bitmap, which `write` fills and counts the nulls of; an empty one where there are none. */
  private addValidity(nullable: boolean, write: (bits: Uint8Array) => number): void {
    const start = this.end;
    let nulls = 0;
    if (nullable) {
      const bytes = Math.ceil(this.rows / 8);
      const at = this.take(bytes);
      nulls = write(new Uint8Array(this.buffer, at, bytes));
    }
    this.nodes.push(this.rows, nulls);
    if (nulls > 0) return;
    this.end = start;
    if (nullable) this.buffers.splice(-2);
    this.buffers.push(start - this.headBytes, 0);
  }

  /** The next buffer. @returns its position, a multiple of 8 */
  private take(bytes: number): number {
    const at = this.end;
    this.buffers.push(at - this.headBytes, bytes);
    this.end = at + Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;
    this.reserve(at + bytes);
    return at;
  }

  /** Makes room up to the end, and clears what lies behind `from` as padding. */
  private reserve(from: number): void {
    if (this.end > this.buffer.byteLength) {
      const larger = new ArrayBuffer(Math.max(this.end, 2 * this.buffer.byteLength));
      new Uint8Array(larger).set(new Uint8Array(this.buffer));
      this.buffer = larger;
    }
    if (from < this.end) new Uint8Array(this.buffer, from, this.end - from).fill(0);
  }

  private words(bits: IndexBits, at: number): Int8Array | Int16Array | Int32Array {
    if (bits === 8) return new Int8Array(this.buffer, at, this.rows);
    return bits === 16
      ? new Int16Array(this.buffer, at, this.rows)
      : new Int32Array(this.buffer, at, this.rows);
  }
}

/** Whether sums say so, which one NaN makes NaN; and infinities, now and then. */
function mayHoldNaN(values: Float64Array, rows: number): boolean {
  let row = 0;
  for (; row + 4 <= rows; row += 4) {
    if (Number.isNaN(values[row] + values[row + 1] + (values[row + 2] + values[row + 3]))) return true;
  }
  while (row < rows && !Number.isNaN(values[row])) row++;
  return row < rows;
}

function areEqual(values: Uint8Array | Int32Array, rows: number): boolean {
  const first = values[0];
  let row = 1;
  while (row < rows && values[row] === first) row++;
  return row >= rows;
}

/** Sets a bit for each number that is not NaN, if any is. @returns how many are NaN */
function presentNumbers(values: Float64Array, rows: number, bits: Uint8Array): number {
  if (!mayHoldNaN(values, rows)) return 0;
  let present = 0;
  for (let byte = 0; byte < bits.length; byte++) {
    const start = 8 * byte;
    const end = Math.min(start + 8, rows);
    let packed = 0;
    for (let row = start; row < end; row++) {
      if (Number.isNaN(values[row])) continue;
      packed |= 1 << (row - start);
      present++;
    }
    bits[byte] = packed;
  }
  return rows - present;
}

/** Sets a bit for each word that is not 0, if any is. @returns how many are 0 */
function presentWords(values: Uint8Array | Int32Array, rows: number, bits: Uint8Array): number {
  let first = 0;
  while (first < rows && values[first] !== 0) first++;
  if (first === rows) return 0;
  let present = 0;
  for (let byte = 0; byte < bits.length; byte++) {
    const start = 8 * byte;
    const end = Math.min(start + 8, rows);
    let packed = 0;
    for (let row = start; row < end; row++) {
      if (values[row] === 0) continue;
      packed |= 1 << (row - start);
      present++;
    }
    bits[byte] = packed;
  }
  return rows - present;
}

function packEqual(values: Uint8Array, to: number, rows: number, bits: Uint8Array): void {
  for (let start = 0, byte = 0; start < rows; start += 8, byte++) {
    const end = Math.min(start + 8, rows);
    let packed = 0;
    for (let row = start; row < end; row++) if (values[row] === to) packed |= 1 << (row - start);
    bits[byte] = packed;
  }
}
