/** Whole files compressed on their way. */

import type { Transform } from 'node:stream';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import { ConfigError } from '../../errors.js';

/** Formats whose files may be compressed as a whole; the others compress inside, or are read in pieces. */
const WHOLE_FILE: ReadonlySet<string> = new Set(['csv', 'jsonl', 'msgpack']);
const SUFFIXES = { gzip: '.gz', zstd: '.zst' } as const;

export type WholeFileCodec = keyof typeof SUFFIXES;

/** Node has it since 22.15; its types know it only then. */
const { createZstdCompress, constants } = zlib as unknown as {
  createZstdCompress?: (options: { params: Record<number, number> }) => Transform;
  constants: { ZSTD_c_checksumFlag: number };
};

/**
 * How the whole file is to be compressed, if at all.
 * @throws ConfigError for a codec that the format or this Node.js does not have
 */
export function wholeFileCodec(
  format: string,
  { compression = 'none' }: { readonly compression?: string },
): WholeFileCodec | undefined {
  if (compression === 'none' || !WHOLE_FILE.has(format)) return undefined;
  if (compression === 'gzip') return 'gzip';
  if (compression !== 'zstd') throw new ConfigError('compression', "'none', 'gzip' or 'zstd'", compression);
  if (createZstdCompress === undefined) {
    throw new ConfigError('compression', "'gzip'; zstd needs Node.js 22.15 or later", compression);
  }
  return 'zstd';
}

/** What the codec adds to a file's name. */
export function suffixOf(codec: WholeFileCodec | undefined): string {
  return codec === undefined ? '' : SUFFIXES[codec];
}

/** With a checksum of what is in it, as gzip has. */
function zstd(): Transform {
  return createZstdCompress!({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

/** The chunks compressed, if so wanted. They may be used again once the next one has been asked for. */
export async function* compressed(
  chunks: AsyncIterable<Uint8Array>,
  codec: WholeFileCodec | undefined,
): AsyncGenerator<Uint8Array> {
  if (codec === undefined) {
    yield* chunks;
    return;
  }
  const through = codec === 'gzip' ? zlib.createGzip() : zstd();
  const fed = pipeline(Readable.from(copies(chunks)), through);
  // Told by the loop below, which ends with the same error.
  fed.catch(() => {});
  for await (const bytes of through) yield bytes as Uint8Array;
  await fed;
}

/** The stream takes chunks ahead of what it has compressed. */
async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of chunks) yield new Uint8Array(bytes);
}
