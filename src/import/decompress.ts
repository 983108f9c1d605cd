/** What Parquet pages and Arrow buffers are compressed by. Each says how many bytes come out, and no more may. */

import * as zlib from 'node:zlib';
import type { Compressors } from 'hyparquet';
import { decompressLz4, decompressLz4Raw, decompressZstd } from 'hyparquet-compressors';

/** Node has Zstandard from 22.15 on; the types of Node 20 do not tell. */
const { zstdDecompressSync } = zlib as {
  zstdDecompressSync?: (input: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;
};

/** Of Parquet; hyparquet knows Snappy itself. */
export const compressors: Compressors = {
  GZIP: (input, outputBytes) => zlib.gunzipSync(input, limit(outputBytes)),
  BROTLI: (input, outputBytes) => zlib.brotliDecompressSync(input, limit(outputBytes)),
  ZSTD: zstd,
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
};

/** @throws RangeError, Error for bytes that are none of its own, or give more */
export function zstd(input: Uint8Array, outputBytes: number): Uint8Array {
  if (zstdDecompressSync !== undefined) return zstdDecompressSync(input, limit(outputBytes));
  return decompressZstd(input, new Uint8Array(outputBytes));
}

/** zlib takes no limit of 0. */
function limit(outputBytes: number): { maxOutputLength: number } {
  return { maxOutputLength: Math.max(1, outputBytes) };
}

const LZ4_MAGIC = 0x184d2204;
const LZ4_VERSION = 1;
const MIN_MATCH = 4;

/**
 * LZ4 in its frame format, whose blocks may refer to what came out of earlier ones. Checksums are passed over: Arrow has
 * none to compare.
 * @throws RangeError for bytes that are no frame, or give more or less than `outputBytes`
 */
export function lz4Frame(input: Uint8Array, outputBytes: number): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length < 7 || view.getUint32(0, true) !== LZ4_MAGIC) throw new RangeError('no frame of LZ4');
  const flags = input[4];
  if (flags >> 6 !== LZ4_VERSION) throw new RangeError('an unknown version of LZ4');
  const hasBlockChecksum = (flags & 0x10) !== 0;
  const hasContentSize = (flags & 0x08) !== 0;
  const hasDictionaryId = (flags & 0x01) !== 0;
  const output = new Uint8Array(outputBytes);
  let written = 0;
  let at = 7 + (hasContentSize ? 8 : 0) + (hasDictionaryId ? 4 : 0);
  for (;;) {
    const head = view.getUint32(at, true);
    at += 4;
    if (head === 0) break;
    const bytes = head & 0x7fffffff;
    if (bytes > input.length - at) throw new RangeError('a block of LZ4 ends early');
    const block = input.subarray(at, at + bytes);
    if (head >>> 31 === 1) {
      if (bytes > outputBytes - written) throw new RangeError('LZ4 gives more bytes than it says');
      output.set(block, written);
      written += bytes;
    } else {
      written = lz4Block(block, output, written);
    }
    at += bytes + (hasBlockChecksum ? 4 : 0);
  }
  if (written !== outputBytes) throw new RangeError(`LZ4 gives ${written} of ${outputBytes} bytes`);
  return output;
}

/** Decompresses one block behind `from` of the output. @returns where it ends there */
function lz4Block(block: Uint8Array, output: Uint8Array, from: number): number {
  let to = from;
  let at = 0;
  const next = (): number => {
    if (at >= block.length) throw new RangeError('a block of LZ4 ends early');
    return block[at++];
  };
  const length = (first: number): number => {
    if (first < 15) return first;
    let sum = first;
    for (let byte = 255; byte === 255; sum += byte) byte = next();
    return sum;
  };
  while (at < block.length) {
    const token = next();
    const literals = length(token >> 4);
    if (literals > block.length - at || literals > output.length - to)
      throw new RangeError('LZ4 gives too much');
    output.set(block.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    // The last sequence has literals only.
    if (at === block.length) break;
    const distance = next() | (next() << 8);
    const matched = length(token & 15) + MIN_MATCH;
    if (distance === 0 || distance > to || matched > output.length - to) {
      throw new RangeError('a match of LZ4 is outside of what came out');
    }
    // Byte by byte, since a match may overlap itself.
    for (let i = 0; i < matched; i++, to++) output[to] = output[to - distance];
  }
  return to;
}
