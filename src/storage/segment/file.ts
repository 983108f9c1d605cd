/** A segment's file, whichever form it has: what is in it, and its batches by their numbers. */
import { join } from 'node:path';
import type { Batch } from '../../ring/batch.js';
import { type ParquetIndex, readParquetIndex } from '../compaction/parquet-footer.js';
import { type DecodedGroups, groupOf, ParquetFileReader } from '../compaction/parquet-reader.js';
import type { SegmentRecord } from '../disk/document.js';
import type { FileSystem } from '../disk/file-system.js';
import { compactedName, segmentName } from '../disk/paths.js';
import type { BatchEntry, BatchPlace, SegmentColumns } from './format.js';
import { readBatch } from './reader.js';
import { type SegmentIndex, scanSegment } from './scan.js';
import { recordOf } from './writer.js';

export type SegmentFile = ArrowFile | ParquetFile;

/** Where segments are, and what is needed to read them. */
export interface SegmentFolder {
  readonly files: FileSystem;
  readonly path: string;
  readonly columns: SegmentColumns;
  readonly decoded: DecodedGroups;
}

export class ArrowFile {
  readonly form = 'arrow';
  /** The number in its name. */
  readonly number: number;
  readonly name: string;
  readonly index: SegmentIndex;
  readonly #folder: SegmentFolder;
  #fd: number | undefined;

  /**
   * @param limitBytes - takes the file for no longer than this
   * @throws StorageError as `scanSegment` does
   */
  constructor(folder: SegmentFolder, number: number, limitBytes?: number) {
    this.#folder = folder;
    this.number = number;
    this.name = segmentName(number);
    this.index = scanSegment(folder.files, join(folder.path, this.name), { limitBytes });
  }

  get places(): readonly BatchEntry[] {
    return this.index.entries;
  }

  /** Of what is whole. */
  get bytes(): number {
    return this.index.validBytes;
  }

  /** As it is to be listed, once it ends where what is whole of it ends; what follows damage stays in it. */
  get record(): SegmentRecord {
    const { torn, validBytes, fileBytes } = this.index;
    return { ...recordOf(this.number, this.index), bytes: torn ? validBytes : fileBytes };
  }

  /** What a batch adds to the bytes that are read. */
  bytesOf(batch: number): number {
    return this.places[batch].bytes;
  }

  /** @throws StorageError ERR_SEGMENT_CORRUPT, with `offset`, `bytes` and `reason` in its context */
  read(batch: number): Batch {
    const { files, path, columns } = this.#folder;
    this.#fd ??= files.open(join(path, this.name), 'r');
    return readBatch(files, this.#fd, this.places[batch], columns, this.index);
  }

  /** Lets go of the open file; reading opens it again. */
  close(): void {
    if (this.#fd !== undefined) this.#folder.files.close(this.#fd);
    this.#fd = undefined;
  }
}

export class ParquetFile {
  readonly form = 'parquet';
  /** The number in its name. */
  readonly number: number;
  readonly name: string;
  readonly index: ParquetIndex;
  readonly #folder: SegmentFolder;
  #reader: ParquetFileReader | undefined;

  /** @throws StorageError as `readParquetIndex` does */
  constructor(folder: SegmentFolder, number: number) {
    this.#folder = folder;
    this.number = number;
    this.name = compactedName(number);
    this.index = readParquetIndex(folder.files, join(folder.path, this.name));
  }

  get places(): readonly BatchPlace[] {
    return this.index.places;
  }

  get bytes(): number {
    return this.index.fileBytes;
  }

  /** As it is to be listed. */
  get record(): SegmentRecord {
    const { places, fileBytes } = this.index;
    const record = recordOf(this.number, { entries: places, validBytes: fileBytes, ended: true });
    return { ...record, form: this.form };
  }

  /** What a batch adds to the bytes that are read: the first of a row group all of it. */
  bytesOf(batch: number): number {
    const { firstBatch, bytes } = groupOf(this.index, batch);
    return batch === firstBatch ? bytes : 0;
  }

  /** @throws StorageError ERR_SEGMENT_CORRUPT, with `offset`, `bytes` and `reason` of its row group in its context */
  read(batch: number): Promise<Batch> {
    const { files, path, decoded } = this.#folder;
    this.#reader ??= new ParquetFileReader(files, join(path, this.name), this.index);
    return decoded.batch(this.#reader, batch);
  }

  /** Lets go of the open file; reading opens it again. */
  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }
}
