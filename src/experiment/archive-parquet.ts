/**
 * An archive as one Parquet file: written as a segment is when it is compacted, so that it keeps everything that a
 * segment keeps, and read again event by event.
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import {
  archiveDiffers,
  EventDigest,
  RowSummary,
  type SchemaColumn,
  type StagedFile,
} from '../export/index.js';
import { decodeRow, type RowSource } from '../readers/rows.js';
import type { Batch } from '../ring/batch.js';
import type { Binding } from '../ring/bindings.js';
import type { Json } from '../schema/event.js';
import { newStaging, stagedPath } from '../staging.js';
import { readParquetIndex } from '../storage/compaction/parquet-footer.js';
import { ParquetFileReader } from '../storage/compaction/parquet-reader.js';
import { SegmentTexts } from '../storage/compaction/parquet-rows.js';
import { parquetColumns } from '../storage/compaction/parquet-schema.js';
import { type RowGroup, writeParquetFile } from '../storage/compaction/parquet-writer.js';
import { clearUp, isCorrupt } from '../storage/disk/errors.js';
import { ensureFolder, type FileSystem, nodeFileSystem, readFully } from '../storage/disk/file-system.js';
import {
  type BatchPlace,
  FORMAT_VERSION,
  NO_LOSSES,
  type SegmentIdentity,
} from '../storage/segment/format.js';
import { storageError } from '../system-errors.js';
import { VERSION } from '../version.js';
import type { ArchiveParts } from './archive.js';
import type { Stores } from './stores.js';

/** Rows of a row group: they are encoded in one go, during which the process does nothing else. */
const GROUP_ROWS = 8192;
const GROUP_BYTES = 8 << 20;
const BLOCK_BYTES = 1 << 20;

/** A complete, verified file under a temporary name, until it gets its own or is discarded. */
export interface StagedArchive extends StagedFile {
  readonly summary: RowSummary;
  /** In file order. */
  readonly schema: readonly SchemaColumn[];
}

/** @throws StorageError, and the signal's reason; nothing is left of the file then */
export async function stageParquet(path: string, parts: ArchiveParts): Promise<StagedArchive> {
  const { modes } = parts;
  const files = nodeFileSystem;
  const folder = dirname(path);
  const temporary = stagedPath(path, newStaging());
  const discard = async () => clearUp(() => files.unlink(temporary));
  try {
    ensureFolder(files, folder, modes.folderMode);
    const written = await write(files, temporary, parts, modes.fileMode);
    const { source } = parts.view;
    const sha256 = await verify(files, temporary, path, source, written.digest, parts.signal).catch(
      (error) => {
        throw isCorrupt(error) ? archiveDiffers(path, error.message, error) : error;
      },
    );
    return {
      bytes: written.bytes,
      sha256,
      summary: written.summary,
      schema: parquetColumns(source.columns).map(told),
      temporaryPath: temporary,
      discard,
    };
  } catch (error) {
    await discard();
    parts.signal?.throwIfAborted();
    throw storageError(error, 'write an archive at', { path });
  }
}

const UNITS: Readonly<Record<string, string>> = {
  timestamp: 'us',
  latency_ms: 'ms',
  cost_usd: 'USD',
  prompt_tokens: 'tokens',
  completion_tokens: 'tokens',
};

function told({ name, type, nullable }: ReturnType<typeof parquetColumns>[number]): SchemaColumn {
  return {
    name,
    type,
    nullable,
    ...(Object.hasOwn(UNITS, name) && { unit: UNITS[name] }),
    ...(name === 'binding' && { encoding: 'json' as const }),
  };
}

async function write(files: FileSystem, path: string, parts: ArchiveParts, fileMode?: number) {
  const digest = new EventDigest();
  const summary = new RowSummary();
  const fd = files.open(path, 'wx', fileMode);
  try {
    const groups = rowGroups(parts, digest, summary);
    const bytes = await writeParquetFile(files, fd, identityOf(parts), textsOf(parts.stores), groups);
    files.sync(fd);
    return { bytes, digest, summary };
  } finally {
    clearUp(() => files.close(fd));
  }
}

/** The rows of the view; the event loop has a turn after each group. @param summary - told of them, as is the digest */
async function* rowGroups(
  { view, signal }: ArchiveParts,
  digest: EventDigest,
  summary: RowSummary,
): AsyncGenerator<RowGroup> {
  let batches: Batch[] = [];
  let rows = 0;
  let bytes = 0;
  for (const ref of view.refs) {
    const batch = await ref.read();
    if (batch === undefined) continue;
    if (batches.length > 0 && (rows + batch.rows > GROUP_ROWS || bytes + batch.blob.length > GROUP_BYTES)) {
      yield groupOf(batches);
      await turn();
      signal?.throwIfAborted();
      batches = [];
      rows = 0;
      bytes = 0;
    }
    batches.push(batch);
    rows += batch.rows;
    bytes += batch.blob.length;
    for (let row = 0; row < batch.rows; row++) {
      const event = decodeRow(view.source, batch, row);
      summary.add(event);
      digest.add(event);
    }
  }
  if (batches.length > 0) yield groupOf(batches);
}

function groupOf(batches: readonly Batch[]): RowGroup {
  return { batches, places: batches.map(placeOf) };
}

/** @returns the file's SHA-256. @throws StorageError unless it holds the events that were to be written */
async function verify(
  files: FileSystem,
  temporary: string,
  path: string,
  source: RowSource,
  written: EventDigest,
  signal: AbortSignal | undefined,
): Promise<string> {
  const index = readParquetIndex(files, temporary);
  const bindings = index.bindings.map(bindingOf);
  // Whatever is in the file is taken from there.
  const own: RowSource = { ...source, binding: (id) => bindings[id], text: (id) => index.strings[id] };
  const digest = new EventDigest();
  const reader = new ParquetFileReader(files, temporary, index);
  try {
    for (const group of index.groups) {
      for (const batch of await reader.batches(group)) {
        for (let row = 0; row < batch.rows; row++) digest.add(decodeRow(own, batch, row));
      }
      await turn();
      signal?.throwIfAborted();
    }
  } finally {
    reader.close();
  }
  if (digest.value !== written.value) throw archiveDiffers(path, 'it holds other events');
  return hashOf(files, temporary);
}

function hashOf(files: FileSystem, path: string): string {
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  const fd = files.open(path, 'r');
  try {
    let position = 0;
    for (let read = -1; read !== 0; position += read) {
      read = readFully(files, fd, block, position);
      hash.update(block.subarray(0, read));
    }
  } finally {
    files.close(fd);
  }
  return hash.digest('hex');
}

function identityOf({ view, metadata, priceVersion, createdUs }: ArchiveParts): SegmentIdentity {
  return {
    formatVersion: FORMAT_VERSION,
    libraryVersion: VERSION,
    experimentId: view.source.experimentId,
    segment: 1,
    createdUs,
    columns: view.source.columns,
    priceVersion,
    experiment: metadata,
  };
}

/** The memory's dictionaries, in which those of all segments are. */
function textsOf({ bindings, strings }: Stores): SegmentTexts {
  const bindingTexts = Array.from({ length: bindings.size }, (_, id) => {
    const { event, model, provider, bound } = bindings.binding(id);
    return JSON.stringify([event, model, provider, bound]);
  });
  const texts = Array.from({ length: strings.size }, (_, id) => strings.text(id));
  return new SegmentTexts(bindingTexts, texts);
}

function bindingOf(text: string): Binding {
  const [event, model, provider, bound] = JSON.parse(text) as [
    string,
    string | null,
    string | null,
    Record<string, Json>,
  ];
  return { event, model, provider, bound };
}

function placeOf(batch: Batch): BatchPlace {
  let timeMinUs = Number.POSITIVE_INFINITY;
  let timeMaxUs = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < batch.rows; row++) {
    const timeUs = Math.floor(batch.timeUs[row]);
    timeMinUs = Math.min(timeMinUs, timeUs);
    timeMaxUs = Math.max(timeMaxUs, timeUs);
  }
  const chunk = Math.floor(batch.firstSequence / CHUNK_ROWS);
  return {
    chunk,
    firstRow: batch.firstSequence - chunk * CHUNK_ROWS,
    rows: batch.rows,
    producer: batch.producer,
    timeMinUs,
    timeMaxUs,
    losses: NO_LOSSES,
  };
}
