/**
 * What of hyparquet-writer is used, its internals included: the one file that leans on them. Only who writes Parquet
 * loads it.
 */

import type { ByteWriter, ParquetWriter } from 'hyparquet-writer';

export type WritePageHeader = typeof import('hyparquet-writer/src/datapage.js')['writePageHeader'];

export interface ParquetLibrary {
  readonly ByteWriter: typeof ByteWriter;
  readonly ParquetWriter: typeof ParquetWriter;
  readonly writePageHeader: WritePageHeader;
  readonly snappyCompress: (bytes: Uint8Array) => Uint8Array;
}

export async function parquetLibrary(): Promise<ParquetLibrary> {
  const [{ ByteWriter, ParquetWriter }, { writePageHeader }, { snappyCompress }] = await Promise.all([
    import('hyparquet-writer'),
    import('hyparquet-writer/src/datapage.js'),
    import('hyparquet-writer/src/snappy.js'),
  ]);
  return { ByteWriter, ParquetWriter, writePageHeader, snappyCompress };
}
