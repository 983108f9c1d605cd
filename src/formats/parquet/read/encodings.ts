/**
 * The encodings of values in Parquet's pages, each as a function that gives the next value. All are read a value at a
 * time, so that no page is decoded at once. What leads outside of a page's bytes throws a RangeError.
 */

import { unsupported } from './metadata.js';
import {
  BOOLEAN,
  BYTE_ARRAY,
  DOUBLE,
  FIXED_LEN_BYTE_ARRAY,
  FLOAT,
  INT32,
  INT64,
  INT96,
  type LeafType,
  type Stored,
} from './types.js';

/** Encodings, as parquet.thrift numbers them. */
const PLAIN = 0;
export const PLAIN_DICTIONARY = 2;
const RLE = 3;
const DELTA_BINARY_PACKED = 5;
const DELTA_LENGTH_BYTE_ARRAY = 6;
const DELTA_BYTE_ARRAY = 7;
export const RLE_DICTIONARY = 8;
const BYTE_STREAM_SPLIT = 9;

const NAMES: Readonly<Record<number, string>> = {
  [PLAIN]: 'PLAIN',
  [RLE]: 'RLE',
  4: 'BIT_PACKED',
  [DELTA_BINARY_PACKED]: 'DELTA_BINARY_PACKED',
  [DELTA_LENGTH_BYTE_ARRAY]: 'DELTA_LENGTH_BYTE_ARRAY',
  [DELTA_BYTE_ARRAY]: 'DELTA_BYTE_ARRAY',
  [BYTE_STREAM_SPLIT]: 'BYTE_STREAM_SPLIT',
};
const TYPES = ['BOOLEAN', 'INT32', 'INT64', 'INT96', 'FLOAT', 'DOUBLE', 'BYTE_ARRAY', 'FIXED_LEN_BYTE_ARRAY'];

export type Next<Value> = () => Value;

/** @throws ImportError for an encoding that is not supported */
export function valuesOf(page: Buffer, encoding: number, type: LeafType): Next<Stored> {
  const { physical } = type;
  switch (encoding) {
    case PLAIN:
      return plain(page, type);
    case RLE:
      // Behind the length of what follows.
      if (physical === BOOLEAN) {
        const bits = hybrid(page.subarray(4, 4 + page.readUInt32LE(0)), 1);
        return () => bits() !== 0;
      }
      break;
    case DELTA_BINARY_PACKED:
      if (physical === INT32 || physical === INT64) return new Deltas(page, physical === INT32).next;
      break;
    case DELTA_LENGTH_BYTE_ARRAY:
      if (physical === BYTE_ARRAY) return deltaLengths(page);
      break;
    case DELTA_BYTE_ARRAY:
      if (physical === BYTE_ARRAY || physical === FIXED_LEN_BYTE_ARRAY) return deltaTexts(page, type);
      break;
    case BYTE_STREAM_SPLIT: {
      const size = sizeOf(type);
      if (size > 0) return split(page, size, type);
      break;
    }
  }
  throw unsupported(`the encoding ${NAMES[encoding] ?? encoding} of ${TYPES[physical]}`);
}

/** Bytes of a value; 0 for those of no fixed number, or of less than one. */
function sizeOf({ physical, bytes }: LeafType): number {
  switch (physical) {
    case INT32:
    case FLOAT:
      return 4;
    case INT64:
    case DOUBLE:
      return 8;
    case FIXED_LEN_BYTE_ARRAY:
      return bytes;
    default:
      return 0;
  }
}

function plain(page: Buffer, { physical, bytes }: LeafType): Next<Stored> {
  let at = 0;
  const move = (size: number): number => {
    const from = at;
    if (size > page.length - from) throw new RangeError('a page has fewer values than it says');
    at = from + size;
    return from;
  };
  switch (physical) {
    case BOOLEAN: {
      let bit = 0;
      return () => {
        const byte = page[bit >>> 3];
        if (byte === undefined) throw new RangeError('a page has fewer values than it says');
        return ((byte >> (bit++ & 7)) & 1) !== 0;
      };
    }
    case INT32:
      return () => page.readInt32LE(move(4));
    case INT64:
      return () => int64(page, move(8));
    case INT96:
      return () => slice(page, move(12), 12);
    case FLOAT:
      return () => page.readFloatLE(move(4));
    case DOUBLE:
      return () => page.readDoubleLE(move(8));
    case BYTE_ARRAY:
      return () => {
        const size = page.readUInt32LE(move(4));
        return slice(page, move(size), size);
      };
    default:
      return () => slice(page, move(bytes), bytes);
  }
}

function slice(page: Buffer, from: number, size: number): Buffer {
  return page.subarray(from, from + size);
}

function int64(page: Buffer, at: number): number | bigint {
  const value = page.readInt32LE(at + 4) * 2 ** 32 + page.readUInt32LE(at);
  return Number.isSafeInteger(value) ? value : page.readBigInt64LE(at);
}

/**
 * Numbers in runs: of one number repeated, or of eight at a time packed to `width` bits each, least significant first.
 */
export function hybrid(bytes: Buffer, width: number): Next<number> {
  if (width > 32) throw new RangeError(`numbers of ${width} bits`);
  // What has no bits is 0, whatever the runs say.
  if (width === 0) return () => 0;
  const valueBytes = (width + 7) >> 3;
  let at = 0;
  /** Of the present run. */
  let left = 0;
  let repeated = 0;
  /** Where the next number is; -1 in a run of one number. */
  let bit = -1;

  return () => {
    while (left === 0) begin();
    left--;
    if (bit < 0) return repeated;
    if (bit >= 8 * bytes.length) throw ended();
    const value = packed(bytes, bit, width);
    bit += width;
    return value;
  };

  function begin(): void {
    let head = 0;
    for (let shift = 0; ; shift += 7) {
      if (shift > 28 || at >= bytes.length) throw ended();
      const byte = bytes[at++];
      head += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    left = Math.floor(head / 2);
    if (head % 2 === 1) {
      left *= 8;
      bit = at * 8;
      at += (left / 8) * width;
      // The last run may be cut off behind the last number.
      return;
    }
    bit = -1;
    if (valueBytes > bytes.length - at) throw ended();
    repeated = bytes.readUIntLE(at, valueBytes);
    at += valueBytes;
  }
}

function ended(): RangeError {
  return new RangeError('a page has fewer values than it says');
}

/** `width` bits from a bit on, 1 to 32. Bits behind the end are 0. */
function packed(bytes: Uint8Array, bit: number, width: number): number {
  const at = bit >>> 3;
  const shift = bit & 7;
  if (shift + width <= 32) {
    const word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    return ((word >>> shift) & (0xffffffff >>> (32 - width))) >>> 0;
  }
  let value = 0;
  for (let i = 0; i < 5; i++) value += (bytes[at + i] ?? 0) * 2 ** (8 * i);
  return Math.floor(value / 2 ** shift) % 2 ** width;
}

/** Levels of an older form: packed without runs, most significant bit first. */
export function bitPacked(bytes: Buffer, width: number): Next<number> {
  let bit = 0;
  return () => {
    let value = 0;
    for (let i = 0; i < width; i++, bit++) {
      if (bit >>> 3 >= bytes.length) throw ended();
      value = (value << 1) | ((bytes[bit >>> 3] >> (7 - (bit & 7))) & 1);
    }
    return value;
  };
}

const BLOCK_MAX = 2 ** 24;

/** DELTA_BINARY_PACKED: blocks of differences, less the least of them, in miniblocks of a width each. */
class Deltas {
  readonly #bytes: Buffer;
  readonly #isNarrow: boolean;
  readonly #perMiniblock: number;
  readonly #miniblocks: number;
  /** Values that there are in all, and how many were given. */
  readonly count: number;
  #given = 0;
  #at = 0;
  #value: number | bigint;
  #least: number | bigint = 0;
  /** Where the widths of a block's miniblocks are, and which is the next. */
  #widthsAt = 0;
  #miniblock: number;
  #width = 0;
  #bit = 0;
  #left = 0;

  constructor(bytes: Buffer, isNarrow: boolean) {
    this.#bytes = bytes;
    this.#isNarrow = isNarrow;
    const block = Number(this.#varint());
    this.#miniblocks = Number(this.#varint());
    this.count = Number(this.#varint());
    this.#value = this.#zigzag();
    this.#miniblock = this.#miniblocks;
    this.#perMiniblock = block / this.#miniblocks;
    if (!(block <= BLOCK_MAX && Number.isInteger(this.#perMiniblock / 8) && this.#perMiniblock > 0)) {
      throw new RangeError(`${this.#miniblocks} miniblocks in a block of ${block}`);
    }
  }

  readonly next = (): number | bigint => {
    if (this.#given >= this.count) throw ended();
    if (this.#given++ === 0) return this.#value;
    if (this.#left === 0) this.#begin();
    this.#left--;
    this.#value = this.#add(this.#delta());
    return this.#value;
  };

  /** Where the bytes behind the last value begin; all values must have been given. */
  get end(): number {
    return this.#at;
  }

  #begin(): void {
    if (this.#miniblock === this.#miniblocks) {
      this.#least = this.#zigzag();
      this.#widthsAt = this.#at;
      this.#at += this.#miniblocks;
      this.#miniblock = 0;
    }
    const width = this.#bytes[this.#widthsAt + this.#miniblock++];
    if (width === undefined) throw ended();
    if (width > 64) throw new RangeError(`differences of ${width} bits`);
    this.#width = width;
    this.#bit = this.#at * 8;
    this.#left = this.#perMiniblock;
    this.#at += (this.#perMiniblock * width) / 8;
  }

  #delta(): number | bigint {
    const bytes = this.#bytes;
    const bit = this.#bit;
    const width = this.#width;
    if (width === 0) return 0;
    this.#bit += width;
    if (this.#bit > 8 * bytes.length) throw ended();
    if (width <= 32) return packed(bytes, bit, width);
    const low = packed(bytes, bit, 32);
    const high = packed(bytes, bit + 32, width - 32);
    if (width <= 52) return high * 2 ** 32 + low;
    return (BigInt(high) << 32n) | BigInt(low);
  }

  /** Sums wrap around, as those of the writer did. */
  #add(delta: number | bigint): number | bigint {
    const [value, least] = [this.#value, this.#least];
    if (typeof value === 'number' && typeof least === 'number' && typeof delta === 'number') {
      const from = value + least;
      const sum = from + delta;
      if (Number.isSafeInteger(from) && Number.isSafeInteger(sum)) return this.#isNarrow ? sum | 0 : sum;
    }
    const sum = BigInt(value) + BigInt(least) + BigInt(delta);
    return smallest(BigInt.asIntN(this.#isNarrow ? 32 : 64, sum));
  }

  #varint(): number | bigint {
    let value = 0;
    for (let i = 0; i < 7; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    let wide = BigInt(value);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      wide |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return wide;
    }
    throw new RangeError('a number in a page is too long');
  }

  #zigzag(): number | bigint {
    const value = this.#varint();
    if (typeof value === 'number') return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    return smallest(BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n)));
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw ended();
    return byte;
  }
}

function smallest(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

/** Lengths or other sizes in front of the bytes of a page. @returns them, and where the bytes begin */
function sizes(page: Buffer): { all: Int32Array; end: number } {
  const deltas = new Deltas(page, true);
  // Differences of no bits cost nothing, so that a few bytes could say to have any number.
  if (deltas.count > SIZES_PER_BYTE_MAX * page.length + SIZES_FREE) throw ended();
  const all = new Int32Array(deltas.count);
  for (let i = 0; i < all.length; i++) {
    const size = Number(deltas.next());
    if (size < 0) throw new RangeError('a length in a page is negative');
    all[i] = size;
  }
  return { all, end: deltas.end };
}

const SIZES_PER_BYTE_MAX = 1000;
const SIZES_FREE = 2 ** 20;

function deltaLengths(page: Buffer): Next<Buffer> {
  const { all, end } = sizes(page);
  let at = end;
  let i = 0;
  return () => {
    if (i >= all.length || all[i] > page.length - at) throw ended();
    const value = slice(page, at, all[i]);
    at += all[i++];
    return value;
  };
}

/** Texts that begin like the one before: how many bytes they share, and the bytes that follow. */
function deltaTexts(page: Buffer, { physical, bytes }: LeafType): Next<Buffer> {
  const shared = sizes(page);
  const suffixes = deltaLengths(page.subarray(shared.end));
  let last: Buffer = Buffer.alloc(0);
  let i = 0;
  return () => {
    const prefix = shared.all[i++];
    if (prefix === undefined || prefix > last.length) throw ended();
    const suffix = suffixes();
    last = prefix === 0 ? suffix : Buffer.concat([last.subarray(0, prefix), suffix]);
    if (physical === FIXED_LEN_BYTE_ARRAY && last.length !== bytes) throw ended();
    return last;
  };
}

/** The first bytes of all values, then the second ones, and so on. */
function split(page: Buffer, size: number, type: LeafType): Next<Stored> {
  const count = Math.floor(page.length / size);
  let i = 0;
  return () => {
    if (i >= count) throw ended();
    const value = Buffer.allocUnsafe(size);
    for (let byte = 0; byte < size; byte++) value[byte] = page[byte * count + i];
    i++;
    switch (type.physical) {
      case INT32:
        return value.readInt32LE(0);
      case INT64:
        return int64(value, 0);
      case FLOAT:
        return value.readFloatLE(0);
      case DOUBLE:
        return value.readDoubleLE(0);
      default:
        return value;
    }
  };
}
