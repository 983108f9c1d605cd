/**
 * Turning a finished segment into Parquet.
 *
 * The Parquet file is written under a temporary name, synced, read again and compared with the segment, value by
 * value, and only then given its name. The segment stays: whoever owns the experiment's document deletes it once the
 * document lists the Parquet file. So whenever the power goes, a file that is whole is there, and is the one listed.
 */
import { dirname, join } from 'node:path';
import { StorageError } from '../../errors.js';
import type { Batch } from '../../ring/batch.js';
import { guarded, storageError } from '../../system-errors.js';
import {
  type ExperimentDocument,
  permissionsIn,
  readDocument,
  type SegmentRecord,
  writeDocument,
} from '../disk/document.js';
import { clearUp, ifThere, isCorrupt } from '../disk/errors.js';
import type { FileSystem } from '../disk/file-system.js';
import { compactedName, parseTemporaryName, segmentName, temporaryName } from '../disk/paths.js';
import { isSameJson } from '../disk/shape.js';
import type { BatchEntry } from '../segment/format.js';
import { readBatch } from '../segment/reader.js';
import { type SegmentIndex, scanSegment } from '../segment/scan.js';
import { readParquetIndex } from './parquet-footer.js';
import { ParquetFileReader } from './parquet-reader.js';
import { type RowGroupValues, SegmentTexts, valuesOf } from './parquet-rows.js';
import { GROUP_BYTES, GROUP_ROWS, parquetColumns } from './parquet-schema.js';
import { type RowGroup, writeParquetFile } from './parquet-writer.js';

/**
 * Writes the Parquet file of a finished segment.
 * @param record - of the segment, in Arrow's format; nobody else may be at it
 * @returns bytes of the Parquet file
 * @throws StorageError ERR_SEGMENT_CORRUPT when the segment is not as it was written, which is left as it is then;
 *   ERR_STORAGE_FULL, ERR_STORAGE_IO
 */
export async function compactSegment(
  files: FileSystem,
  folder: string,
  record: Pick<SegmentRecord, 'segment' | 'bytes' | 'rows'>,
): Promise<number> {
  const name = compactedName(record.segment);
  const temporary = join(folder, temporaryName(name));
  let source: ArrowSource | undefined;
  try {
    removeTemporary(files, folder, name);
    source = new ArrowSource(files, join(folder, segmentName(record.segment)), record);
    const bytes = await write(files, temporary, source);
    await verify(files, temporary, source).catch((error) => {
      // It is not the segment that is not as it was written.
      throw isCorrupt(error) ? different(temporary, error.message, error) : error;
    });
    files.rename(temporary, join(folder, name));
    files.syncFolder(folder);
    return bytes;
  } catch (error) {
    clearUp(() => files.unlink(temporary));
    throw storageError(error, 'compact a segment at', { path: folder, segment: record.segment });
  } finally {
    source?.close();
  }
}

/**
 * The document that lists a segment's Parquet file in the place of the Arrow one.
 * @returns undefined when it lists no such segment: it has expired
 */
export function withCompacted(
  document: ExperimentDocument,
  segment: number,
  bytes: number,
): ExperimentDocument | undefined {
  const at = document.segments.findIndex((record) => record.segment === segment);
  if (at < 0) return undefined;
  // The Parquet file is synced, whatever the Arrow file was.
  const { unsyncedRows: _, ...rest } = document.segments[at];
  const record: SegmentRecord = { ...rest, form: 'parquet', bytes };
  return { ...document, segments: document.segments.with(at, record) };
}

/**
 * Lists a segment's Parquet file and deletes the Arrow one, for who holds the experiment's lock while nobody captures.
 * @throws StorageError
 */
export function listCompacted(files: FileSystem, folder: string, segment: number, bytes: number): void {
  const document = withCompacted(readDocument(files, folder), segment, bytes);
  if (document === undefined) return;
  writeDocument(files, folder, document);
  const path = join(folder, segmentName(segment));
  guarded('delete a segment at', path, () => ifThere(() => files.unlink(path)));
}

/** Removes what attempts at a file have left that did not come to an end. */
function removeTemporary(files: FileSystem, folder: string, name: string): void {
  for (const other of files.list(folder)) {
    if (parseTemporaryName(other) === name) files.unlink(join(folder, other));
  }
}

/** A segment whose batches are read in the groups that become row groups. */
class ArrowSource {
  readonly index: SegmentIndex;
  readonly texts: SegmentTexts;
  readonly groups: readonly (readonly BatchEntry[])[];
  readonly #path: string;
  readonly #files: FileSystem;
  readonly #fd: number;

  constructor(files: FileSystem, path: string, record: Pick<SegmentRecord, 'bytes' | 'rows'>) {
    this.#path = path;
    this.index = scanSegment(files, path, { limitBytes: record.bytes });
    const { entries, damage, validBytes, bindings, strings } = this.index;
    const rows = entries.reduce((sum, entry) => sum + entry.rows, 0);
    if (damage.length > 0 || validBytes < record.bytes || rows !== record.rows) {
      throw this.unsound(damage[0]?.reason ?? 'it is shorter than it was');
    }
    this.texts = new SegmentTexts(bindings, strings);
    this.groups = grouped(entries);
    this.#files = files;
    this.#fd = files.open(path, 'r');
  }

  *rowGroups(): Generator<RowGroup> {
    for (const places of this.groups) yield { batches: this.batches(places), places };
  }

  batches(entries: readonly BatchEntry[]): Batch[] {
    const { identity, ...texts } = this.index;
    return entries.map((entry) => readBatch(this.#files, this.#fd, entry, identity.columns, texts));
  }

  close(): void {
    clearUp(() => this.#files.close(this.#fd));
  }

  unsound(reason: string): StorageError {
    const path = this.#path;
    return new StorageError('ERR_SEGMENT_CORRUPT', `${path} cannot be compacted: ${reason}`, {
      path,
      reason,
    });
  }
}

function grouped(entries: readonly BatchEntry[]): BatchEntry[][] {
  const groups: BatchEntry[][] = [];
  let rows = 0;
  let bytes = 0;
  for (const entry of entries) {
    rows += entry.rows;
    bytes += entry.bytes;
    if (groups.length === 0 || rows > GROUP_ROWS || bytes > GROUP_BYTES) {
      groups.push([]);
      rows = entry.rows;
      bytes = entry.bytes;
    }
    groups[groups.length - 1].push(entry);
  }
  return groups;
}

async function write(files: FileSystem, path: string, source: ArrowSource): Promise<number> {
  const fd = files.open(path, 'wx', permissionsIn(files, dirname(path)));
  try {
    const { index, texts } = source;
    const bytes = await writeParquetFile(files, fd, index.identity, texts, source.rowGroups());
    files.sync(fd);
    return bytes;
  } catch (error) {
    throw error instanceof RangeError ? source.unsound(error.message) : error;
  } finally {
    clearUp(() => files.close(fd));
  }
}

/** Reads the file again. @throws StorageError ERR_STORAGE_IO when anything in it is not as it is in the segment */
async function verify(files: FileSystem, path: string, source: ArrowSource): Promise<void> {
  const { identity } = source.index;
  const names = parquetColumns(identity.columns).map(({ name }) => name);
  const index = readParquetIndex(files, path);
  const same =
    isSameJson(index.identity, identity) &&
    isSameJson(index.bindings, source.texts.bindings) &&
    isSameJson(index.strings, source.texts.strings) &&
    index.groups.length === source.groups.length;
  if (!same) throw different(path, 'its index is another');
  const reader = new ParquetFileReader(files, path, index);
  try {
    for (const [i, entries] of source.groups.entries()) {
      const group = index.groups[i];
      const written = source.batches(entries);
      const places = index.places.slice(group.firstBatch, group.firstBatch + group.batches);
      if (!isSameJson(places, entries.map(placeOf))) throw different(path, 'its index is another');
      const expected = valuesOf(written, identity.columns, source.texts);
      const values = await reader.values(group, names);
      const column = names.findIndex((name, i) => !sameValues(expected[i], values.get(name)));
      if (column >= 0) throw different(path, `column ${names[column]} has other values`);
      const read = await reader.batches(group);
      if (!written.every((batch, i) => sameBatch(batch, read[i])))
        throw different(path, 'a batch has other values');
    }
  } finally {
    reader.close();
  }
}

function placeOf({ offset: _, bytes: __, ...place }: BatchEntry) {
  return place;
}

function sameValues(written: ArrayLike<unknown>, read: ReturnType<RowGroupValues['get']>): boolean {
  if (read?.length !== written.length) return false;
  for (let row = 0; row < written.length; row++) {
    const [a, b] = [written[row] ?? null, read[row] ?? null];
    const isEqual = a instanceof Uint8Array ? b instanceof Uint8Array && Buffer.compare(a, b) === 0 : a === b;
    if (!isEqual) return false;
  }
  return true;
}

/** Whether two batches hold the same bits. */
function sameBatch(a: Batch, b: Batch): boolean {
  return (
    a.firstSequence === b.firstSequence &&
    a.producer === b.producer &&
    a.rows === b.rows &&
    sameBytes(a.timeUs, b.timeUs) &&
    sameBytes(a.latencyMs, b.latencyMs) &&
    sameBytes(a.costUsd, b.costUsd) &&
    sameBytes(a.promptTokens, b.promptTokens) &&
    sameBytes(a.completionTokens, b.completionTokens) &&
    sameBytes(a.tags, b.tags) &&
    sameBytes(a.blobOffsets, b.blobOffsets) &&
    sameBytes(a.blob, b.blob) &&
    a.declared.every((values, i) => sameNumbers(values, b.declared[i]))
  );
}

function sameBytes(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return bytes(a).equals(bytes(b));
}

/** Of a declared column all NaN are the same: null. */
function sameNumbers(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}

function different(path: string, reason: string, cause?: unknown): StorageError {
  return new StorageError(
    'ERR_STORAGE_IO',
    `cannot compact a segment: ${path} is not what was written: ${reason}`,
    { path, reason },
    { cause },
  );
}
