/** How pages are compressed. */

import zlib from 'node:zlib';
import type { CompressionCodec } from 'hyparquet';
import { ConfigError } from '../../errors.js';
import type { EncodeOptions } from '../encoder.js';

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

/** @param snappy - the library's. @throws ConfigError for an unknown codec, or one that this Node does not have */
export function codecOf(
  compression: EncodeOptions['compression'],
  snappy: (bytes: Uint8Array) => Uint8Array,
): Codec {
  switch (compression ?? (zstdCompressSync === undefined ? 'snappy' : 'zstd')) {
    case 'none':
      return { name: 'UNCOMPRESSED', compress: (bytes) => bytes };
    case 'snappy':
      return { name: 'SNAPPY', compress: snappy };
    case 'gzip':
      return { name: 'GZIP', compress: (bytes) => zlib.gzipSync(bytes, { level: GZIP_LEVEL }) };
    case 'zstd':
      if (zstdCompressSync === undefined) {
        throw new ConfigError(
          'compression',
          "'snappy', 'gzip' or 'none': zstd needs Node 22.15",
          compression,
        );
      }
      return {
        name: 'ZSTD',
        compress: (bytes) =>
          zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } }),
      };
    default:
      throw new ConfigError('compression', "'zstd', 'snappy', 'gzip' or 'none'", compression);
  }
}
