/** Parquet's encodings of values without nulls. */

import type { Bytes } from './bytes.js';

/** A run of equal values this long is written as one; a shorter one is not worth ending a packed run for. */
const RUN_MIN = 16;

/** Bits that a code up to `most` takes; at least 1, since not all readers know values of no bits. */
export function bitWidthOf(most: number): number {
  return Math.max(1, 32 - Math.clz32(most));
}

/**
 * RLE and bit-packed runs of codes.
 * @param width - bits of a code, up to 24
 */
export function writeRuns(out: Bytes, codes: Int32Array | Uint8Array, count: number, width: number): void {
  let packedFrom = 0;
  let at = 0;
  while (at < count) {
    const code = codes[at];
    let end = at + 1;
    while (end < count && codes[end] === code) end++;
    if (end - at >= RUN_MIN) {
      // Packed runs hold whole groups of 8: what is missing is taken from this one.
      const packed = at - packedFrom;
      const groups = Math.ceil(packed / 8);
      if (groups > 0) {
        writePacked(out, codes, packedFrom, packedFrom + 8 * groups, width);
        at = packedFrom + 8 * groups;
      }
      writeRun(out, code, end - at, width);
      packedFrom = end;
    }
    at = end;
  }
  if (packedFrom < count) writePacked(out, codes, packedFrom, count, width);
}

/** One run of `count` equal codes. */
export function writeRun(out: Bytes, code: number, count: number, width: number): void {
  out.varint(2 * count);
  for (let bits = 0; bits < width; bits += 8) out.byte((code >>> bits) & 0xff);
}

function writePacked(
  out: Bytes,
  codes: Int32Array | Uint8Array,
  from: number,
  end: number,
  width: number,
): void {
  const groups = Math.ceil((end - from) / 8);
  out.varint(2 * groups + 1);
  let at = out.take(groups * width);
  const { array } = out;
  let buffer = 0;
  let bits = 0;
  for (let i = from; i < from + 8 * groups; i++) {
    buffer |= (i < end ? codes[i] : 0) << bits;
    bits += width;
    while (bits >= 8) {
      array[at++] = buffer;
      buffer >>>= 8;
      bits -= 8;
    }
  }
}

const BLOCK_VALUES = 128;
const MINIBLOCKS = 4;
const MINIBLOCK_VALUES = BLOCK_VALUES / MINIBLOCKS;
/** Values further apart could have differences that doubles do not hold. */
export const DELTA_RANGE_MAX = 2 ** 51;

const deltas = new Float64Array(BLOCK_VALUES);

/**
 * DELTA_BINARY_PACKED of whole numbers: int32, whose differences wrap around, or doubles no two of which are further
 * apart than DELTA_RANGE_MAX.
 */
export function writeDeltas(out: Bytes, values: Float64Array | Int32Array, count: number): void {
  const wraps = values instanceof Int32Array;
  out.varint(BLOCK_VALUES);
  out.varint(MINIBLOCKS);
  out.varint(count);
  if (count === 0) {
    out.varint(0);
    return;
  }
  out.zigzag(values[0]);
  for (let from = 1; from < count; from += BLOCK_VALUES) {
    const size = Math.min(BLOCK_VALUES, count - from);
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < size; i++) {
      const difference = values[from + i] - values[from + i - 1];
      const delta = wraps ? difference | 0 : difference;
      deltas[i] = delta;
      if (delta < least) least = delta;
    }
    out.zigzag(least);
    const widthsAt = out.take(MINIBLOCKS);
    for (let block = 0; block < MINIBLOCKS; block++) {
      const start = block * MINIBLOCK_VALUES;
      const end = Math.min(start + MINIBLOCK_VALUES, size);
      let most = 0;
      for (let i = start; i < end; i++) {
        deltas[i] -= least;
        if (deltas[i] > most) most = deltas[i];
      }
      const width =
        most < 2 ** 32 ? (most === 0 ? 0 : 32 - Math.clz32(most)) : 64 - Math.clz32(most / 2 ** 32);
      out.array[widthsAt + block] = width;
      if (width > 0) writeMiniblock(out, start, end, width);
    }
  }
}

function writeMiniblock(out: Bytes, start: number, end: number, width: number): void {
  let at = out.take((MINIBLOCK_VALUES / 8) * width);
  const { array } = out;
  let buffer = 0;
  let bits = 0;
  for (let i = start; i < start + MINIBLOCK_VALUES; i++) {
    let rest = i < end ? deltas[i] : 0;
    // With what is left over from the value before, up to 7 bits, a piece has to fit 32 bits.
    for (let left = width; left > 0; left -= 24) {
      const piece = Math.min(left, 24);
      buffer |= (left > 24 ? rest % 2 ** 24 : rest) << bits;
      if (left > 24) rest = Math.floor(rest / 2 ** 24);
      bits += piece;
      while (bits >= 8) {
        array[at++] = buffer;
        buffer >>>= 8;
        bits -= 8;
      }
    }
  }
}

/** BYTE_STREAM_SPLIT: all first bytes of the doubles, then all second ones, and so on. */
export function writeSplit(out: Bytes, values: Float64Array, count: number): void {
  const from = new Uint8Array(values.buffer, values.byteOffset, 8 * count);
  const start = out.take(8 * count);
  const { array } = out;
  for (let byte = 0; byte < 8; byte++) {
    let at = start + byte * count;
    for (let i = byte; i < 8 * count; i += 8) array[at++] = from[i];
  }
}

/** DELTA_LENGTH_BYTE_ARRAY of texts that stand one behind the other. @param offsets - one more than texts */
export function writeTexts(out: Bytes, bytes: Uint8Array, offsets: Int32Array, count: number): void {
  const lengths = new Int32Array(count);
  for (let i = 0; i < count; i++) lengths[i] = offsets[i + 1] - offsets[i];
  writeDeltas(out, lengths, count);
  out.append(bytes.subarray(offsets[0], offsets[count]));
}

/** DELTA_BYTE_ARRAY: of each text the length of what it begins with as the one before, and the rest. */
export function writeSuffixes(out: Bytes, bytes: Uint8Array, offsets: Int32Array, count: number): void {
  const prefixes = new Int32Array(count);
  const suffixOffsets = new Int32Array(count + 1);
  const suffixes = new Uint8Array(offsets[count] - offsets[0]);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const at = offsets[i];
    const length = offsets[i + 1] - at;
    let prefix = 0;
    if (i > 0) {
      const before = offsets[i - 1];
      const most = Math.min(length, at - before);
      while (prefix < most && bytes[before + prefix] === bytes[at + prefix]) prefix++;
    }
    prefixes[i] = prefix;
    for (let byte = prefix; byte < length; byte++) suffixes[end++] = bytes[at + byte];
    suffixOffsets[i + 1] = end;
  }
  writeDeltas(out, prefixes, count);
  writeTexts(out, suffixes, suffixOffsets, count);
}
