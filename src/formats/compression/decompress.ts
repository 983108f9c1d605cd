/**
 * What Parquet pages and Arrow buffers are compressed by. Each says how many bytes come out, and no more may. Long ones
 * are decompressed by threads of Node's, or here with rests in between; of Zstandard, before Node 22.15, at once.
 */

import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { Decompress } from 'fzstd';
import { ImportError } from '../../errors.js';
import type { Pace } from '../../pace.js';
import { ZstdFrame } from './zstd-frames.js';

interface Limit {
  readonly maxOutputLength: number;
}
type Sync = (input: Uint8Array, options: Limit) => Buffer;
type Async = (input: Uint8Array, options: Limit, done: (error: Error | null, output: Buffer) => void) => void;

/** Node has Zstandard from 22.15 on; the types of Node 20 do not tell. */
const { zstdDecompressSync, zstdDecompress } = zlib as { zstdDecompressSync?: Sync; zstdDecompress?: Async };

/** More than that is decompressed by another thread. */
const SHORT_BYTES = 128 * 1024;
/** Done between two looks at the clock. */
const BYTES_A_LOOK = 256 * 1024;
/** Codecs, as parquet.thrift numbers them. */
const SNAPPY = 1;
const GZIP = 2;
const LZO = 3;
const BROTLI = 4;
const LZ4 = 5;
const ZSTD = 6;
const LZ4_RAW = 7;

/**
 * A page of Parquet.
 * @throws RangeError for bytes that are not compressed so, or give another number of bytes than `outputBytes`
 * @throws ImportError for a codec that is not supported
 */
export async function decompress(
  codec: number,
  input: Uint8Array,
  outputBytes: number,
  pace: Pace,
): Promise<Buffer> {
  switch (codec) {
    case SNAPPY:
      return snappy(input, outputBytes, pace);
    case GZIP:
      return byNode(input, outputBytes, zlib.gunzipSync as Sync, zlib.gunzip as Async);
    case BROTLI:
      return byNode(input, outputBytes, zlib.brotliDecompressSync as Sync, zlib.brotliDecompress as Async);
    case ZSTD:
      return zstd(input, outputBytes, pace);
    case LZ4:
      return lz4Hadoop(input, outputBytes, pace);
    case LZ4_RAW:
      return lz4Raw(input, outputBytes, pace);
    default: {
      const name = codec === LZO ? 'LZO' : `number ${codec}`;
      const message = `Parquet with the codec ${name} is an unsupported feature`;
      throw new ImportError('ERR_UNSUPPORTED_FORMAT', message, { feature: `codec ${name}` });
    }
  }
}

async function byNode(input: Uint8Array, outputBytes: number, sync: Sync, async: Async): Promise<Buffer> {
  // zlib takes no limit of 0.
  const options = { maxOutputLength: Math.max(1, outputBytes) };
  let output: Buffer;
  try {
    output = outputBytes <= SHORT_BYTES ? sync(input, options) : await promisify(async)(input, options);
  } catch (cause) {
    throw new RangeError(`bytes cannot be decompressed: ${(cause as Error).message}`, { cause });
  }
  return exactly(output, output.length, outputBytes);
}

function exactly(output: Buffer, bytes: number, expected: number): Buffer {
  if (bytes !== expected)
    throw new RangeError(`${bytes} of ${expected} bytes come out of what is compressed`);
  return output;
}

const tooMany = () => new RangeError('more bytes come out of what is compressed than it says');
const endsEarly = () => new RangeError('what is compressed ends early');

/** @throws RangeError for bytes that are none of its own, or give more or less */
export async function zstd(input: Uint8Array, outputBytes: number, pace: Pace): Promise<Buffer> {
  if (zstdDecompressSync !== undefined && zstdDecompress !== undefined) {
    return byNode(input, outputBytes, zstdDecompressSync, zstdDecompress);
  }
  const { windowBytes, blocks } = await checkZstd(input, outputBytes, pace);
  if (windowBytes * blocks > ZSTD_MOVED_BYTES_MAX) {
    throw unsupportedZstd(`a page of ${outputBytes} bytes`);
  }
  const output = Buffer.alloc(outputBytes);
  let written = 0;
  let isEnded = false;
  const stream = new Decompress((chunk, isLast) => {
    if (chunk.length > outputBytes - written) throw tooMany();
    output.set(chunk, written);
    written += chunk.length;
    isEnded ||= isLast === true;
  });
  // With each block the library moves all of its window, and a block takes three bytes or more.
  const piece = Math.max(16, Math.min(4096, Math.floor((3 * ZSTD_MOVED_BYTES_A_LOOK) / (windowBytes + 1))));
  try {
    for (let at = 0; at < input.length; at += piece) {
      // What is pushed is kept and changed.
      stream.push(input.slice(at, at + piece), at + piece >= input.length);
      if (pace.isDue) await pace.rest();
    }
  } catch (cause) {
    throw new RangeError(`bytes cannot be decompressed: ${(cause as Error).message}`, { cause });
  }
  if (!isEnded) throw endsEarly();
  return exactly(output, written, outputBytes);
}

const ZSTD_MOVED_BYTES_MAX = 8 * 1024 ** 3;
const ZSTD_MOVED_BYTES_A_LOOK = 32 * 1024 * 1024;
/** Encoders have windows up to this one unless they are told to use more, whatever comes out. */
const ZSTD_WINDOW_FREE_BYTES = 8 * 1024 * 1024;

/**
 * What the frames say of themselves, by the heads of their blocks: the library believes it.
 * @throws RangeError where they do not end with the input, or more would come out of them than may
 */
async function checkZstd(
  input: Uint8Array,
  outputBytes: number,
  pace: Pace,
): Promise<{ windowBytes: number; blocks: number }> {
  let windowBytes = 0;
  let blocks = 0;
  for (let at = 0; at < input.length; ) {
    const frame = new ZstdFrame();
    while (!frame.isWhole && at < input.length) {
      at += frame.push(input.subarray(at, at + BYTES_A_LOOK));
      if (pace.isDue) await pace.rest();
    }
    if (frame.isDamaged) throw new RangeError('bytes are not compressed by Zstandard');
    const { head } = frame;
    if (head !== null) {
      if (head.contentBytes > outputBytes) throw tooMany();
      if (head.windowBytes > Math.max(ZSTD_WINDOW_FREE_BYTES, 2 * outputBytes))
        throw unsupportedZstd(`a window of ${head.windowBytes} bytes`);
      windowBytes = Math.max(windowBytes, head.windowBytes);
    }
    if (!frame.isWhole) throw endsEarly();
    blocks += frame.blocks;
  }
  return { windowBytes, blocks };
}

function unsupportedZstd(what: string): ImportError {
  const message = `Zstandard with ${what} is an unsupported feature before Node 22.15`;
  return new ImportError('ERR_UNSUPPORTED_FORMAT', message, { feature: `Zstandard with ${what}` });
}

/** @throws RangeError as `zstd` */
async function snappy(input: Uint8Array, outputBytes: number, pace: Pace): Promise<Buffer> {
  let at = 0;
  const next = (): number => {
    if (at >= input.length) throw endsEarly();
    return input[at++];
  };
  let stated = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = next();
    if (shift > 28) throw new RangeError('bytes are not compressed by Snappy');
    stated += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  const output = exactly(Buffer.alloc(outputBytes), stated, outputBytes);
  let to = 0;
  let look = BYTES_A_LOOK;
  while (at < input.length) {
    const tag = input[at++];
    let length = tag >> 2;
    let distance = 0;
    switch (tag & 3) {
      case 0: {
        let extra = 0;
        if (length >= 60) {
          for (let i = 0; i < length - 59; i++) extra += next() * 2 ** (8 * i);
          length = extra;
        }
        length++;
        if (length > input.length - at) throw endsEarly();
        if (length > outputBytes - to) throw tooMany();
        output.set(input.subarray(at, at + length), to);
        at += length;
        to += length;
        break;
      }
      case 1:
        distance = ((tag >> 5) << 8) | next();
        length = (length & 7) + 4;
        to = repeat(output, to, distance, length);
        break;
      default: {
        distance = next() | (next() << 8);
        if ((tag & 3) === 3) distance += (next() | (next() << 8)) * 65_536;
        to = repeat(output, to, distance, length + 1);
      }
    }
    if (to >= look) {
      look = to + BYTES_A_LOOK;
      if (pace.isDue) await pace.rest();
    }
  }
  return exactly(output, to, outputBytes);
}

/** Writes again what came out `distance` bytes ago. @returns where it ends */
function repeat(output: Buffer, to: number, distance: number, length: number): number {
  if (distance === 0 || distance > to) throw new RangeError('what is compressed refers to what is not there');
  if (length > output.length - to) throw tooMany();
  if (distance >= length) output.copyWithin(to, to - distance, to - distance + length);
  // Byte by byte, since it overlaps itself.
  else for (let i = to; i < to + length; i++) output[i] = output[i - distance];
  return to + length;
}

const LZ4_MAGIC = 0x184d2204;
const LZ4_VERSION = 1;
const LZ4_MATCH_MIN = 4;

/** @throws RangeError as `zstd` */
async function lz4Raw(input: Uint8Array, outputBytes: number, pace: Pace): Promise<Buffer> {
  const output = Buffer.alloc(outputBytes);
  return exactly(output, await lz4Block(input, output, 0, pace), outputBytes);
}

/** As Hadoop writes it, blocks behind their lengths; some have written a frame, or one block, instead. */
async function lz4Hadoop(input: Uint8Array, outputBytes: number, pace: Pace): Promise<Buffer> {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length >= 7 && view.getUint32(0, true) === LZ4_MAGIC) return lz4Frame(input, outputBytes, pace);
  const blocks: Uint8Array[] = [];
  let stated = 0;
  let at = 0;
  while (input.length - at >= 8) {
    const bytes = view.getUint32(at + 4);
    if (bytes > input.length - at - 8) break;
    stated += view.getUint32(at);
    blocks.push(input.subarray(at + 8, at + 8 + bytes));
    at += 8 + bytes;
  }
  if (at !== input.length || stated !== outputBytes) return lz4Raw(input, outputBytes, pace);
  const output = Buffer.alloc(outputBytes);
  let to = 0;
  for (const block of blocks) to = await lz4Block(block, output, to, pace);
  return exactly(output, to, outputBytes);
}

/**
 * LZ4 in its frame format, whose blocks may refer to what came out of earlier ones. Checksums are passed over: Arrow has
 * none to compare.
 * @throws RangeError for bytes that are no frame, or give more or less than `outputBytes`
 */
export async function lz4Frame(input: Uint8Array, outputBytes: number, pace: Pace): Promise<Buffer> {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length < 7 || view.getUint32(0, true) !== LZ4_MAGIC) throw new RangeError('no frame of LZ4');
  const flags = input[4];
  if (flags >> 6 !== LZ4_VERSION) throw new RangeError('an unknown version of LZ4');
  const hasBlockChecksum = (flags & 0x10) !== 0;
  const hasContentSize = (flags & 0x08) !== 0;
  const hasDictionaryId = (flags & 0x01) !== 0;
  const output = Buffer.alloc(outputBytes);
  let written = 0;
  let at = 7 + (hasContentSize ? 8 : 0) + (hasDictionaryId ? 4 : 0);
  for (;;) {
    const head = view.getUint32(at, true);
    at += 4;
    if (head === 0) break;
    const bytes = head & 0x7fffffff;
    if (bytes > input.length - at) throw endsEarly();
    const block = input.subarray(at, at + bytes);
    if (head >>> 31 === 1) {
      if (bytes > outputBytes - written) throw tooMany();
      output.set(block, written);
      written += bytes;
    } else {
      written = await lz4Block(block, output, written, pace);
    }
    at += bytes + (hasBlockChecksum ? 4 : 0);
  }
  return exactly(output, written, outputBytes);
}

/** Decompresses one block behind `from` of the output. @returns where it ends there */
async function lz4Block(block: Uint8Array, output: Buffer, from: number, pace: Pace): Promise<number> {
  let to = from;
  let at = 0;
  let look = from + BYTES_A_LOOK;
  const next = (): number => {
    if (at >= block.length) throw endsEarly();
    return block[at++];
  };
  const lengthOf = (first: number): number => {
    if (first < 15) return first;
    let sum = first;
    for (let byte = 255; byte === 255; sum += byte) byte = next();
    return sum;
  };
  while (at < block.length) {
    const token = next();
    const literals = lengthOf(token >> 4);
    if (literals > block.length - at) throw endsEarly();
    if (literals > output.length - to) throw tooMany();
    output.set(block.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    // The last sequence has literals only.
    if (at === block.length) break;
    const distance = next() | (next() << 8);
    to = repeat(output, to, distance, lengthOf(token & 15) + LZ4_MATCH_MIN);
    if (to >= look) {
      look = to + BYTES_A_LOOK;
      if (pace.isDue) await pace.rest();
    }
  }
  return to;
}
