/** How pages are compressed. */

import zlib from 'node:zlib';
import type { CompressionCodec } from 'hyparquet';
import { ConfigError } from '../../../errors.js';
import { loadOptional } from '../../../optional.js';

export type PageCompression = 'none' | 'gzip' | 'zstd' | 'snappy';

export interface Codec {
  readonly name: CompressionCodec;
  compress(bytes: Uint8Array): Uint8Array;
}

/** Of Node 22.15 and later; not among the types of Node 20. */
type Zstd = (bytes: Uint8Array, options: { params: Record<number, number> }) => Uint8Array;
const { zstdCompressSync, constants } = zlib as unknown as {
  zstdCompressSync?: Zstd;
  constants: { ZSTD_c_compressionLevel: number };
};

const ZSTD_LEVEL = 1;
const GZIP_LEVEL = 1;

/**
 * @param snappy - the library's
 * @throws ConfigError for an unknown codec, or one that is not to be had here
 */
export async function codecOf(
  compression: PageCompression | undefined,
  snappy: (bytes: Uint8Array) => Uint8Array,
): Promise<Codec> {
  switch (compression ?? (zstdCompressSync === undefined ? 'snappy' : 'zstd')) {
    case 'none':
      return { name: 'UNCOMPRESSED', compress: (bytes) => bytes };
    case 'snappy':
      return { name: 'SNAPPY', compress: snappy };
    case 'gzip':
      return { name: 'GZIP', compress: (bytes) => zlib.gzipSync(bytes, { level: GZIP_LEVEL }) };
    case 'zstd':
      return { name: 'ZSTD', compress: await zstd() };
    default:
      throw new ConfigError('compression', "'zstd', 'snappy', 'gzip' or 'none'", compression);
  }
}

/** Of the optional package; it must not be initialised twice, which mixes up its memories. */
let compressor: Promise<Codec['compress']> | undefined;

async function wasmZstd(): Promise<Codec['compress']> {
  const { init, compress } = loadOptional('@bokuweb/zstd-wasm') as typeof import('@bokuweb/zstd-wasm');
  await init();
  return (bytes) => compress(bytes, ZSTD_LEVEL);
}

/** Node's, else that of an optional package. @throws ConfigError when there is neither */
async function zstd(): Promise<Codec['compress']> {
  if (zstdCompressSync !== undefined) {
    const params = { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
    return (bytes) => zstdCompressSync(bytes, { params });
  }
  try {
    compressor ??= wasmZstd();
    return await compressor;
  } catch {
    const expected = "'snappy', 'gzip' or 'none': zstd needs Node 22.15 or the package @bokuweb/zstd-wasm";
    throw new ConfigError('compression', expected, 'zstd');
  }
}
