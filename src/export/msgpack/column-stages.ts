/** Columns of the batch that is being gathered for a columnar snapshot. */

import { endianness } from 'node:os';
import { writeWholeNumbers } from '../../formats/columns/whole-numbers.js';
import { wellFormed } from '../../formats/text.js';

/** Numbers, and where there are none. */
export class NumberStage {
  readonly #isWhole: boolean;
  readonly #values: Float64Array;
  readonly #nulls: Uint8Array;
  #nullCount = 0;

  /** @param isWhole - the file has 64-bit integers */
  constructor(isWhole: boolean, capacity: number) {
    this.#isWhole = isWhole;
    this.#values = new Float64Array(capacity);
    this.#nulls = new Uint8Array(capacity / 8);
  }

  set(row: number, value: number | null): void {
    this.#values[row] = value ?? 0;
    if (value !== null) return;
    this.#nulls[row >> 3] |= 1 << (row & 7);
    this.#nullCount++;
  }

  /** The column as the file has it, and a new beginning; null when there is no value in it. */
  take(rows: number): object | null {
    const nullCount = this.#nullCount;
    const nulls = this.#nulls.slice(0, Math.ceil(rows / 8));
    this.#nulls.fill(0);
    this.#nullCount = 0;
    if (nullCount === rows) return null;
    const values = this.#values.subarray(0, rows);
    return {
      values: littleEndian(this.#isWhole ? wholeNumbers(values) : values),
      ...(nullCount > 0 && { nulls }),
    };
  }
}

/** Texts and booleans: those that occur, and each row's code, which is 0 for null. */
export class ValueStage {
  readonly codes: Uint32Array;
  readonly #codeOf = new Map<string | boolean, number>();
  #values: unknown[] = [];

  constructor(capacity: number) {
    this.codes = new Uint32Array(capacity);
  }

  /** @returns how many characters of text it has taken in */
  set(row: number, value: string | boolean | null): number {
    const known = value === null ? 0 : this.#codeOf.get(value);
    if (known !== undefined || value === null) {
      this.codes[row] = known ?? 0;
      return 0;
    }
    const code = this.#values.push(typeof value === 'string' ? wellFormed(value) : value);
    this.#codeOf.set(value, code);
    this.codes[row] = code;
    return typeof value === 'string' ? value.length : 0;
  }

  /** The column as the file has it, and a new beginning; null when there is no value in it. */
  take(rows: number): object | null {
    const values = this.#values;
    this.#values = [];
    this.#codeOf.clear();
    if (values.length === 0) return null;
    const codes = this.codes.subarray(0, rows);
    const narrowed =
      values.length < 2 ** 8
        ? Uint8Array.from(codes)
        : values.length < 2 ** 16
          ? Uint16Array.from(codes)
          : codes;
    return { values, codes: littleEndian(narrowed) };
  }
}

/** Doubles that are whole, as int64. */
function wholeNumbers(values: Float64Array): Float64Array {
  const numbers = new Float64Array(values.length);
  writeWholeNumbers(values, values.length, numbers.buffer, 0);
  return numbers;
}

function littleEndian(numbers: Float64Array | Uint8Array | Uint16Array | Uint32Array): Uint8Array {
  const bytes = Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  if (endianness() === 'LE' || numbers.BYTES_PER_ELEMENT === 1) return bytes;
  const swapped = Buffer.from(bytes);
  if (numbers.BYTES_PER_ELEMENT === 2) return swapped.swap16();
  return numbers.BYTES_PER_ELEMENT === 4 ? swapped.swap32() : swapped.swap64();
}
