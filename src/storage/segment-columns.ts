/**
 * The loops that turn a batch's columns into Arrow's buffers.
 *
 * All of them take the staging area's view and an index into it. They hold for any values at all, since the rows may
 * be overwritten while they are copied. Bitmaps are written in words of 32 rows, of which the buffer's padding to 8
 * bytes has room for the last one. Those that write a bitmap return how many of its bits are set.
 */
import { FLAG_BLOB, FLAG_DECLARED, TAG_BINDING_MASK, VALUE_MAX } from '../../assembly/layout.js';
import type { DeclaredValues } from '../ring/batch.js';

const WORD_ROWS = 32;
const HIGH_WORD = 2 ** 32;

export interface TimeRange {
  minUs: number;
  maxUs: number;
}

/** Writes whole microseconds as int64 and notes their range. */
export function writeTimes(
  times: Float64Array,
  rows: number,
  words: Int32Array,
  at: number,
  range: TimeRange,
): void {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < rows; row++) {
    const timeUs = Math.floor(times[row]);
    const high = Math.floor(timeUs / HIGH_WORD);
    words[at + 2 * row] = timeUs - high * HIGH_WORD;
    words[at + 2 * row + 1] = high;
    if (timeUs < min) min = timeUs;
    if (timeUs > max) max = timeUs;
  }
  // An int64 has no -0.
  range.minUs = min + 0;
  range.maxUs = max + 0;
}

/** Bits of the values that are some, and neither absent nor too large (see isValue). */
export function writeValueBits(values: Float64Array, rows: number, words: Int32Array, at: number): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) bits |= (Math.abs(values[row]) <= VALUE_MAX ? 1 : 0) << row;
    words[at++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Bits of the tokens that are not -1. */
export function writeTokenBits(tokens: Int32Array, rows: number, words: Int32Array, at: number): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) bits |= (tokens[row] === -1 ? 0 : 1) << row;
    words[at++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Bits of the tags that have any of `flags`. */
export function writeFlagBits(
  tags: Uint32Array,
  flags: number,
  rows: number,
  words: Int32Array,
  at: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) bits |= ((tags[row] & flags) === 0 ? 0 : 1) << row;
    words[at++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Both halves of the tags: bindings as 32-bit indices, flags as 16 bits. */
export function writeTags(
  tags: Uint32Array,
  rows: number,
  words: Int32Array,
  bindingsAt: number,
  shorts: Uint16Array,
  flagsAt: number,
): void {
  for (let row = 0; row < rows; row++) {
    const tag = tags[row];
    words[bindingsAt + row] = tag & TAG_BINDING_MASK;
    shorts[flagsAt + row] = tag >>> 16;
  }
}

/** What the rows' bindings are in another dictionary. @param indices - by binding */
export function writeIndices(
  tags: Uint32Array,
  indices: Int32Array,
  rows: number,
  words: Int32Array,
  at: number,
): void {
  for (let row = 0; row < rows; row++) words[at + row] = indices[tags[row] & TAG_BINDING_MASK];
}

/** As writeIndices, for indices that are -1 where the binding has no value: those become 0, and no bit. */
export function writeNullableIndices(
  tags: Uint32Array,
  indices: Int32Array,
  rows: number,
  words: Int32Array,
  at: number,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) {
      const index = indices[tags[row] & TAG_BINDING_MASK];
      const absent = index >> 31;
      words[at + row] = index & ~absent;
      bits |= (absent + 1) << row;
    }
    words[bitsAt++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Where the first payload of the rows begins in the batch's byte area; `blobBytes` when there is none. */
export function payloadStart(
  tags: Uint32Array,
  blobOffsets: Uint32Array,
  rows: number,
  blobBytes: number,
): number {
  for (let row = 0; row < rows; row++) {
    if ((tags[row] & FLAG_BLOB) !== 0) return Math.min(blobOffsets[row], blobBytes);
  }
  return blobBytes;
}

/** Where each row's payload begins and the last one ends, counted from `start`: one more than there are rows. */
export function writePayloadOffsets(
  tags: Uint32Array,
  blobOffsets: Uint32Array,
  start: number,
  payloadBytes: number,
  rows: number,
  words: Int32Array,
  at: number,
): void {
  let next = payloadBytes;
  words[at + rows] = next;
  for (let row = rows - 1; row >= 0; row--) {
    // A payload ends where the next one begins, so no row may begin behind the one that follows.
    if ((tags[row] & FLAG_BLOB) !== 0) next = Math.max(0, Math.min(blobOffsets[row] - start, next));
    words[at + row] = next;
  }
}

/** Numbers of a declared column where the row has any, else NaN. */
export function writeDeclaredDoubles(
  values: DeclaredValues,
  tags: Uint32Array,
  rows: number,
  doubles: Float64Array,
  at: number,
  words: Int32Array,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) {
      const value = (tags[row] & FLAG_DECLARED) === 0 ? Number.NaN : values[row];
      doubles[at + row] = value;
      bits |= (Number.isNaN(value) ? 0 : 1) << row;
    }
    words[bitsAt++] = bits;
    set += ones(bits);
  }
  return set;
}

/** As writeDeclaredDoubles, for whole numbers of 32 bits, signed or not: 0 where there is none. */
export function writeDeclaredIntegers(
  values: DeclaredValues,
  tags: Uint32Array,
  rows: number,
  words: Int32Array,
  at: number,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) {
      const value = (tags[row] & FLAG_DECLARED) === 0 ? Number.NaN : values[row];
      words[at + row] = value;
      bits |= (Number.isNaN(value) ? 0 : 1) << row;
    }
    words[bitsAt++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Ids of a declared column of texts: 0 where there is none. */
export function writeDeclaredIds(
  values: DeclaredValues,
  tags: Uint32Array,
  rows: number,
  words: Int32Array,
  at: number,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) {
      const id = (tags[row] & FLAG_DECLARED) === 0 ? 0 : values[row];
      words[at + row] = id;
      bits |= (id === 0 ? 0 : 1) << row;
    }
    words[bitsAt++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Codes of a declared column of truth values (1 false, 2 true) as two bitmaps. */
export function writeDeclaredBools(
  values: DeclaredValues,
  tags: Uint32Array,
  rows: number,
  words: Int32Array,
  at: number,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    let truths = 0;
    for (let row = start; row < end; row++) {
      const code = (tags[row] & FLAG_DECLARED) === 0 ? 0 : values[row];
      bits |= (code === 0 ? 0 : 1) << row;
      truths |= (code === 2 ? 1 : 0) << row;
    }
    words[bitsAt++] = bits;
    words[at++] = truths;
    set += ones(bits);
  }
  return set;
}

function ones(word: number): number {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
