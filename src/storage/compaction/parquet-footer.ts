/**
 * What a Parquet segment says of itself, in its footer's key-value metadata, and how that is found again.
 *
 * Under `crucible.segment` stands JSON: the segment's identity, its batches, its row groups with a checksum each, and
 * its dictionaries. Under `crucible.seal`, the last entry, stands a text of fixed length: where that JSON is in the
 * footer, and a CRC-32 over all of the footer with the checksum's own digits as zeros. So the index is found and
 * verified without a Parquet reader, at once, and every byte of the file is covered by a checksum.
 */
import { crc32 } from 'node:zlib';
import { StorageError } from '../../errors.js';
import { type FileSystem, readFully } from '../disk/file-system.js';
import { fits, isNumber, isText, type Shape } from '../disk/shape.js';
import {
  type BatchPlace,
  FORMAT_VERSION,
  IDENTITY_KEY,
  isBindingText,
  isPlace,
  type SegmentIdentity,
} from '../segment/format.js';
import { isComplete } from '../segment/message.js';

/** `PAR1`, with which the file begins and ends. */
export const MAGIC = Buffer.from('PAR1');
/** The footer's length and the magic bytes: what follows the footer's own bytes. */
const TRAILER_BYTES = 8;

const SEAL_KEY = 'crucible.seal';
const SEAL_START = 'crucible seal crc=';
const DIGITS = 8;
const ZEROS = '0'.repeat(DIGITS);
const SEAL = `${SEAL_START}${ZEROS} at=${ZEROS} bytes=${ZEROS}`;
const CRC_AT = SEAL_START.length;
const AT_AT = CRC_AT + DIGITS + ' at='.length;
const BYTES_AT = AT_AT + DIGITS + ' bytes='.length;

/** A row group and the part of the file that it takes up; the first one's begins with the file. */
export interface ParquetGroup {
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
  readonly firstRow: number;
  readonly rows: number;
  /** The batches whose rows these are, in `places`. */
  readonly firstBatch: number;
  readonly batches: number;
}

export interface ParquetIndex {
  readonly identity: SegmentIdentity;
  readonly places: readonly BatchPlace[];
  readonly groups: readonly ParquetGroup[];
  readonly bindings: readonly string[];
  readonly strings: readonly string[];
  readonly fileBytes: number;
}

/** As it stands in the file: what can be worked out is left out. */
interface StoredIndex extends SegmentIdentity {
  /** Bytes, CRC-32 and number of batches. */
  readonly groups: readonly (readonly [number, number, number])[];
  /** Chunk, first row, rows, producer, time range, overwritten, refused, malformed, overflowed, cut. */
  readonly batches: readonly (readonly number[])[];
  readonly bindings: readonly string[];
  readonly strings: readonly string[];
}

/** JSON for the footer. @param groups - in the order of the file */
export function indexText(index: Omit<ParquetIndex, 'fileBytes'>): string {
  const { identity, places, groups, bindings, strings } = index;
  const stored: StoredIndex = {
    ...identity,
    groups: groups.map(({ bytes, crc, batches }) => [bytes, crc, batches]),
    batches: places.map(({ chunk, firstRow, rows, producer, timeMinUs, timeMaxUs, losses }) => [
      chunk,
      firstRow,
      rows,
      producer,
      timeMinUs,
      timeMaxUs,
      losses.overwritten,
      losses.refused,
      losses.malformed,
      losses.overflowed,
      losses.cut,
    ]),
    bindings,
    strings,
  };
  return JSON.stringify(stored);
}

/** The footer's key-value metadata; `sealFooter` fills in the seal. */
export function footerEntries(text: string): { key: string; value: string }[] {
  return [
    { key: IDENTITY_KEY, value: text },
    { key: SEAL_KEY, value: SEAL },
  ];
}

/**
 * Fills in the seal.
 * @param footer - everything after the row groups, to the end of the file
 * @param text - the JSON that is in it
 */
export function sealFooter(footer: Buffer, text: string): void {
  const seal = sealIn(footer);
  footer.write(hex(footer.indexOf(text)), seal + AT_AT);
  footer.write(hex(Buffer.byteLength(text)), seal + BYTES_AT);
  footer.write(hex(checksumOf(footer, seal)), seal + CRC_AT);
}

/**
 * What is in a Parquet segment. Reads the footer only.
 * @throws StorageError ERR_SEGMENT_CORRUPT when it is not as it was written, ERR_SEGMENT_VERSION when it is in another
 * version of the format; and what `files` throws
 */
export function readParquetIndex(files: FileSystem, path: string): ParquetIndex {
  const fd = files.open(path, 'r');
  try {
    const index = indexOf(readFooter(files, fd, path), files.stat(fd).bytes, path);
    // Row groups have a checksum each, the first one over these bytes too; but there may be none.
    const first = Buffer.alloc(MAGIC.length);
    readFully(files, fd, first, 0);
    if (!first.equals(MAGIC)) throw unsound(path, 0, 'it does not begin as a Parquet file');
    return index;
  } finally {
    files.close(fd);
  }
}

/**
 * The verified footer of a Parquet segment, with what follows it.
 * @throws StorageError ERR_SEGMENT_CORRUPT
 */
export function readFooter(files: FileSystem, fd: number, path: string): Buffer {
  const fileBytes = files.stat(fd).bytes;
  const trailer = Buffer.alloc(TRAILER_BYTES);
  if (fileBytes >= TRAILER_BYTES) readFully(files, fd, trailer, fileBytes - TRAILER_BYTES);
  const footerBytes = trailer.readUInt32LE(0) + TRAILER_BYTES;
  if (!trailer.subarray(4).equals(MAGIC) || MAGIC.length + footerBytes > fileBytes) {
    throw unsound(path, fileBytes, 'it does not end as a Parquet file');
  }
  const footer = Buffer.allocUnsafeSlow(footerBytes);
  const offset = fileBytes - footerBytes;
  if (readFully(files, fd, footer, offset) < footerBytes) {
    throw unsound(path, offset, 'the file became shorter while it was read');
  }
  const seal = sealIn(footer);
  if (seal < 0) throw unsound(path, offset, 'its footer has no seal');
  if (numberAt(footer, seal + CRC_AT) !== checksumOf(footer, seal)) {
    throw unsound(path, offset, 'its footer does not match its checksum');
  }
  return footer;
}

function indexOf(footer: Buffer, fileBytes: number, path: string): ParquetIndex {
  const seal = sealIn(footer);
  const at = numberAt(footer, seal + AT_AT);
  const text = footer.toString('utf8', at, at + numberAt(footer, seal + BYTES_AT));
  let stored: StoredIndex;
  try {
    stored = JSON.parse(text) as StoredIndex;
  } catch {
    throw unsound(path, fileBytes - footer.length, 'its index is no JSON');
  }
  const { groups, batches, bindings, strings, ...identity } = stored;
  if (identity.formatVersion !== FORMAT_VERSION) {
    throw new StorageError(
      'ERR_SEGMENT_VERSION',
      `${path} is in version ${identity.formatVersion} of the segment format; this library reads ${FORMAT_VERSION}`,
      { path, expected: FORMAT_VERSION, actual: identity.formatVersion },
    );
  }
  if (!(isComplete(identity) && fits({ groups, batches, bindings, strings }, INDEX))) {
    throw unsound(path, fileBytes - footer.length, 'its index is not complete');
  }
  const index: ParquetIndex = {
    identity,
    places: batches.map(placeOf),
    groups: [],
    bindings,
    strings,
    fileBytes,
  };
  const placed = placedGroups(groups, index.places);
  const grouped = placed.reduce((sum, group) => sum + group.batches, 0);
  if (grouped !== batches.length || !index.places.every(isPlace) || !bindings.every(isBindingText)) {
    throw unsound(path, fileBytes - footer.length, 'its index contradicts itself');
  }
  const last = placed.at(-1);
  const end = last === undefined ? MAGIC.length : last.offset + last.bytes;
  if (end !== fileBytes - footer.length) throw unsound(path, end, 'its row groups do not lead to its footer');
  return { ...index, groups: placed };
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const INDEX = {
  groups: [[isCount]],
  batches: [[isNumber]],
  bindings: [isText],
  strings: [isText],
} as const satisfies Shape;

function placedGroups(groups: StoredIndex['groups'], places: readonly BatchPlace[]): ParquetGroup[] {
  let offset = 0;
  let firstRow = 0;
  let firstBatch = 0;
  return groups.map(([bytes, crc, batches]) => {
    const rows = places.slice(firstBatch, firstBatch + batches).reduce((sum, place) => sum + place.rows, 0);
    const group: ParquetGroup = { offset, bytes, crc, firstRow, rows, firstBatch, batches };
    offset += bytes;
    firstRow += rows;
    firstBatch += batches;
    return group;
  });
}

function placeOf(stored: readonly number[]): BatchPlace {
  const [chunk, firstRow, rows, producer, timeMinUs, timeMaxUs, ...counts] = stored;
  // Earlier versions do not tell the last one.
  const [overwritten, refused, malformed, overflowed, cut = 0] = counts;
  const losses = { overwritten, refused, malformed, overflowed, cut };
  return { chunk, firstRow, rows, producer, timeMinUs, timeMaxUs, losses };
}

/** Where the seal begins; what the footer has after it holds no such text. */
function sealIn(footer: Buffer): number {
  return footer.lastIndexOf(SEAL_START);
}

function checksumOf(footer: Buffer, seal: number): number {
  const digits = seal + CRC_AT;
  const before = crc32(Buffer.from(ZEROS), crc32(footer.subarray(0, digits)));
  return crc32(footer.subarray(digits + DIGITS), before);
}

function hex(value: number): string {
  return value.toString(16).padStart(DIGITS, '0');
}

function numberAt(footer: Buffer, at: number): number {
  return Number.parseInt(footer.toString('latin1', at, at + DIGITS), 16);
}

/** @param offset - from where on the file cannot be used */
export function unsound(path: string, offset: number, reason: string, cause?: unknown): StorageError {
  return new StorageError(
    'ERR_SEGMENT_CORRUPT',
    `${path} is no segment that can be read: ${reason}`,
    { path, offset, reason },
    { cause },
  );
}
