/**
 * experiment.json: what an experiment is, and which of its segments are finished.
 *
 * A person can read it. It is replaced as a whole: whenever the power goes, either the old document is there or the
 * new one. Only the holder of the experiment's lock writes it.
 */

import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { LayoutError, NotFoundError, StorageError } from '../../errors.js';
import { PRIVATE_FILE } from '../../make-folder.js';
import type { Json } from '../../schema/event.js';
import { guarded } from '../../system-errors.js';
import { NO_LOSSES, type RingLosses } from '../segment/format.js';
import { clearUp, ifThere } from './errors.js';
import { type FileSystem, writeFully } from './file-system.js';
import { DOCUMENT, parseTemporaryName, type SegmentForm, temporaryName } from './paths.js';
import { isFlag, isNumber, isObject, isText, oneOf, orNull, requireShape, type Shape } from './shape.js';

export const FORMAT = 'crucible-telemetry';
export const FORMAT_VERSION = 1;

/** No document is larger, or nested deeper: what is so is not read, and cannot be written. */
export const DOCUMENT_BYTES_MAX = 64 << 20;
export const DOCUMENT_DEPTH_MAX = 100;

/** A finished segment, as it must be found: its bytes no longer change. */
export interface SegmentRecord {
  /** From 1; later segments hold later rows. */
  readonly segment: number;
  readonly form: SegmentForm;
  readonly bytes: number;
  readonly rows: number;
  /** Least and greatest timestamp, in microseconds since the Unix epoch; null without rows. */
  readonly timeMinUs: number | null;
  readonly timeMaxUs: number | null;
  /** Sequence of the newest chunk with rows in it; null without rows. */
  readonly lastChunk: number | null;
  /** Whether it was ended in good order; false for one that a crash left behind. */
  readonly ended: boolean;
  /** Of `rows`, those that no sync has confirmed, if there are any: a power cut may take them. */
  readonly unsyncedRows?: number;
}

export interface ExperimentDocument {
  readonly format: typeof FORMAT;
  readonly formatVersion: typeof FORMAT_VERSION;
  /** The version that wrote it. */
  readonly libraryVersion: string;
  /** Everything an experiment has besides its rows. */
  readonly experiment: { readonly [key: string]: Json };
  /** Finished segments, oldest first. */
  readonly segments: readonly SegmentRecord[];
  /** The segment being written; null when nobody writes. */
  readonly current: number | null;
  /** What was removed because it was too old or too much, in total. */
  readonly expired: {
    /** Segments up to this one are gone; 0 = none. */
    readonly throughSegment: number;
    /** Sequence of the newest chunk that had rows in them; null = none. Later rows are numbered on from there. */
    readonly lastChunk: number | null;
    readonly segments: number;
    readonly rows: number;
    readonly bytes: number;
  };
  /** As of when it was written; batches may have been written since, which say so too. */
  readonly losses: RingLosses;
  /** Microseconds since the Unix epoch. */
  readonly updatedAtUs: number;
}

const SEGMENT = {
  segment: isNumber,
  form: oneOf('arrow', 'parquet'),
  bytes: isNumber,
  rows: isNumber,
  timeMinUs: orNull(isNumber),
  timeMaxUs: orNull(isNumber),
  lastChunk: orNull(isNumber),
  ended: isFlag,
} as const satisfies Readonly<Record<Exclude<keyof SegmentRecord, 'unsyncedRows'>, Shape>>;

const SHAPE = {
  format: oneOf(FORMAT),
  formatVersion: oneOf(FORMAT_VERSION),
  libraryVersion: isText,
  experiment: isObject,
  segments: [SEGMENT],
  current: orNull(isNumber),
  expired: {
    throughSegment: isNumber,
    lastChunk: orNull(isNumber),
    segments: isNumber,
    rows: isNumber,
    bytes: isNumber,
  },
  losses: { overwritten: isNumber, refused: isNumber, malformed: isNumber, overflowed: isNumber },
  updatedAtUs: isNumber,
} as const satisfies Readonly<Record<keyof ExperimentDocument, Shape>>;

/**
 * @throws NotFoundError when there is none; StorageError ERR_SEGMENT_CORRUPT when it is damaged, ERR_SEGMENT_VERSION
 *   when it is whole and not as this version writes it, or ERR_STORAGE_IO; LayoutError when another version of the
 *   format was written
 */
export function readDocument(files: FileSystem, folder: string): ExperimentDocument {
  const path = join(folder, DOCUMENT);
  const bytes = guarded('read an experiment at', path, () =>
    ifThere(() => files.readFile(path, DOCUMENT_BYTES_MAX)),
  );
  if (bytes === undefined) throw new NotFoundError('experiment', basename(folder));
  const { checksum, ...document } = parse(bytes, path);
  if (document.format !== FORMAT) throw corrupt(path, 'is not a document of this library');
  if (typeof document.formatVersion === 'number' && document.formatVersion !== FORMAT_VERSION) {
    // Not checked any further: another version may have another checksum.
    throw new LayoutError('formatVersion', FORMAT_VERSION, document.formatVersion, path);
  }
  if (checksum !== checksumOf(document)) throw corrupt(path, 'does not match its checksum');
  requireShape(document, SHAPE, path);
  const read = document as unknown as ExperimentDocument;
  // Earlier versions do not tell what was cut.
  return { ...read, losses: { ...NO_LOSSES, ...read.losses } };
}

/**
 * Replaces the document, and removes what earlier attempts left. When it returns, the new one is on the disk; when
 * it throws, either one is there.
 *
 * @param permissions - default: those it has
 * @throws StorageError ERR_STORAGE_FULL or ERR_STORAGE_IO, with cause
 */
export function writeDocument(
  files: FileSystem,
  folder: string,
  document: ExperimentDocument,
  permissions?: number,
): void {
  const path = join(folder, DOCUMENT);
  guarded('write an experiment at', path, () => {
    const bytes = encode(document);
    if (bytes.length > DOCUMENT_BYTES_MAX) throw tooLarge(path, bytes.length);
    removeLeftovers(files, folder);
    const temporary = join(folder, temporaryName(DOCUMENT));
    try {
      writeSynced(files, temporary, bytes, permissions ?? permissionsIn(files, folder));
      files.rename(temporary, path);
    } catch (error) {
      clearUp(() => files.unlink(temporary));
      throw error;
    }
    files.syncFolder(folder);
  });
}

/** Of every file in an experiment's folder: those of its document. */
export function permissionsIn(files: FileSystem, folder: string): number {
  return ifThere(() => files.stat(join(folder, DOCUMENT)).permissions) ?? PRIVATE_FILE;
}

function removeLeftovers(files: FileSystem, folder: string): void {
  for (const name of files.list(folder)) {
    if (parseTemporaryName(name) === DOCUMENT) files.unlink(join(folder, name));
  }
}

function writeSynced(files: FileSystem, path: string, bytes: Uint8Array, permissions: number): void {
  const fd = files.open(path, 'wx', permissions);
  try {
    writeFully(files, fd, [bytes], 0);
    files.sync(fd);
  } catch (error) {
    clearUp(() => files.close(fd));
    throw error;
  }
  files.close(fd);
}

function encode(document: ExperimentDocument): Uint8Array {
  const checksum = checksumOf(document);
  return Buffer.from(`${JSON.stringify({ ...document, checksum }, null, 2)}\n`, 'utf8');
}

/** CRC-32 of the document's JSON, without spaces and without this checksum. It survives being parsed. */
function checksumOf(document: object): number {
  return crc32(JSON.stringify(document));
}

function parse(bytes: Uint8Array, path: string): Record<string, unknown> {
  if (depthOf(bytes) > DOCUMENT_DEPTH_MAX) throw corrupt(path, 'is nested deeper than any document is');
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt(path, 'is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null) throw corrupt(path, 'is not a document of this library');
  return value as Record<string, unknown>;
}

/** How deep objects and lists are nested in JSON. */
function depthOf(json: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let isText = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (isText && byte === BACKSLASH) i++;
    else if (byte === QUOTE) isText = !isText;
    else if (!isText && (byte === BRACE || byte === BRACKET)) deepest = Math.max(deepest, ++depth);
    else if (!isText && (byte === BRACE_END || byte === BRACKET_END)) depth--;
  }
  return deepest;
}

const [QUOTE, BACKSLASH, BRACE, BRACE_END, BRACKET, BRACKET_END] = Buffer.from('"\\{}[]');

function tooLarge(path: string, bytes: number): StorageError {
  return new StorageError(
    'ERR_STORAGE_FULL',
    `${path} would have ${bytes} bytes, and may have ${DOCUMENT_BYTES_MAX}: larger segments (segmentBytes) make it shorter`,
    { path, bytes, bytesMax: DOCUMENT_BYTES_MAX },
  );
}

function corrupt(path: string, what: string, cause?: unknown): StorageError {
  return new StorageError('ERR_SEGMENT_CORRUPT', `${path} ${what}`, { path }, { cause });
}
