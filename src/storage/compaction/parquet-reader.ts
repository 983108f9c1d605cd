/** Reading a Parquet segment, a row group at a time: verified, then decoded, and kept for the next batch of it. */
import { crc32 } from 'node:zlib';
import type { FileMetaData } from 'hyparquet';
import { StorageError, TelemetryError } from '../../errors.js';
import type { Batch } from '../../ring/batch.js';
import { systemCodeOf } from '../../system-errors.js';
import { isCorrupt } from '../disk/errors.js';
import { type FileSystem, readFully } from '../disk/file-system.js';
import { flawIn } from '../segment/flaws.js';
import { type ParquetGroup, type ParquetIndex, readFooter } from './parquet-footer.js';
import { batchesOf, columnsNeeded, type RowGroupValues, SegmentTexts } from './parquet-rows.js';

/** Row groups that are kept decoded: of one reader the last, and of another. */
const GROUPS_KEPT = 2;

export class ParquetFileReader {
  readonly path: string;
  readonly index: ParquetIndex;
  readonly #files: FileSystem;
  readonly #fd: number;
  #texts: SegmentTexts | undefined;
  #metadata: FileMetaData | undefined;

  /** @param index - of the file, which is opened here and stays open until `close` */
  constructor(files: FileSystem, path: string, index: ParquetIndex) {
    this.#files = files;
    this.path = path;
    this.index = index;
    this.#fd = files.open(path, 'r');
  }

  /** Reads a row group's bytes and compares their checksum. @throws StorageError ERR_SEGMENT_CORRUPT */
  verify(group: ParquetGroup): Buffer {
    const { offset, bytes, crc } = group;
    const section = Buffer.allocUnsafeSlow(bytes);
    if (readFully(this.#files, this.#fd, section, offset) < bytes) {
      throw this.#damaged(group, 'the file ends within a row group');
    }
    if (crc32(section) !== crc) throw this.#damaged(group, 'a row group does not match its checksum');
    return section;
  }

  /** The batches of a row group, views over columns of the whole group. @throws StorageError ERR_SEGMENT_CORRUPT */
  async batches(group: ParquetGroup): Promise<Batch[]> {
    const { identity, places, bindings, strings } = this.index;
    this.#texts ??= new SegmentTexts(bindings, strings);
    const mine = places.slice(group.firstBatch, group.firstBatch + group.batches);
    let batches: Batch[];
    try {
      const values = await this.values(group, columnsNeeded(identity.columns));
      batches = batchesOf(values, mine, identity.columns, this.#texts);
    } catch (error) {
      if (error instanceof TelemetryError || systemCodeOf(error)?.startsWith('ERR_') === false) throw error;
      // The bytes are as they were written: by somebody who did not write what he says.
      throw this.#damaged(group, (error as Error).message, error);
    }
    for (const batch of batches) {
      const flaw = flawIn(batch, identity.columns, { bindings, strings });
      if (flaw !== undefined) throw this.#damaged(group, flaw);
    }
    return batches;
  }

  /** Values of a row group's columns. @throws StorageError ERR_SEGMENT_CORRUPT */
  async values(group: ParquetGroup, names: readonly string[]): Promise<RowGroupValues> {
    // Whatever is needed of the file is read at once: it may be closed while this waits.
    const section = this.verify(group);
    const footer = this.#metadata === undefined ? readFooter(this.#files, this.#fd, this.path) : undefined;
    const { parquetMetadata, parquetScan } = await import('hyparquet');
    if (footer !== undefined) {
      this.#metadata = parquetMetadata(footer, { geoparquet: false });
      // It has been read before, and may be large.
      this.#metadata.key_value_metadata = undefined;
    }
    const rowRange = { rowStart: group.firstRow, rowEnd: group.firstRow + group.rows };
    const scan = await parquetScan({
      file: {
        byteLength: this.index.fileBytes,
        slice: (start, end = this.index.fileBytes) =>
          section.buffer.slice(start - group.offset, end - group.offset) as ArrayBuffer,
      },
      metadata: this.#metadata,
      ...rowRange,
      utf8: false,
      useOffsetIndex: false,
      geoparquet: false,
      parsers: {
        timestampFromMicroseconds: Number,
        // Unlike a TextDecoder it keeps a byte order mark.
        stringFromBytes: (bytes) =>
          Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'),
      },
    });
    const values = new Map<string, ArrayLike<unknown>>();
    for (const column of names) values.set(column, await scan.readColumn({ column, ...rowRange }));
    return values;
  }

  close(): void {
    this.#files.close(this.#fd);
  }

  #damaged({ offset, bytes }: ParquetGroup, reason: string, cause?: unknown): StorageError {
    return new StorageError(
      'ERR_SEGMENT_CORRUPT',
      `the row group at byte ${offset} of ${this.path} cannot be used: ${reason}`,
      { path: this.path, offset, bytes, reason },
      { cause },
    );
  }
}

/** The row group that holds a segment's batch of this number. */
export function groupOf({ groups }: ParquetIndex, batch: number): ParquetGroup {
  const group = groups.findLast(({ firstBatch }) => firstBatch <= batch);
  if (group === undefined) throw new RangeError(`there is no batch ${batch}`);
  return group;
}

/** Batches by their numbers. The row groups used last are kept, since the next batch is most likely in them. */
export class DecodedGroups {
  /** By path and place, the one used last at the end. */
  readonly #kept = new Map<string, Promise<Batch[]>>();

  /** @throws StorageError ERR_SEGMENT_CORRUPT, for every batch of the row group */
  async batch(reader: ParquetFileReader, batch: number): Promise<Batch> {
    const group = groupOf(reader.index, batch);
    const batches = await this.#decoded(reader, group);
    return batches[batch - group.firstBatch];
  }

  clear(): void {
    this.#kept.clear();
  }

  #decoded(reader: ParquetFileReader, group: ParquetGroup): Promise<Batch[]> {
    const key = `${reader.path}:${group.offset}`;
    let decoded = this.#kept.get(key);
    if (decoded === undefined) {
      decoded = reader.batches(group);
      decoded.catch((error) => {
        // The disk may work again; bytes that have changed stay changed.
        if (!isCorrupt(error)) this.#kept.delete(key);
      });
    }
    this.#kept.delete(key);
    this.#kept.set(key, decoded);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= GROUPS_KEPT) break;
      this.#kept.delete(oldest);
    }
    return decoded;
  }
}
