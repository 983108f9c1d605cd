/**
 * What every file reader yields, whatever the format.
 *
 * A reader takes bytes in chunks of any size, holds at most one record (bounded by `maxRecordChars`) plus one
 * chunk, and never ends on bad input: what cannot be read comes out as a `BadRecord` in its place.
 */

import type { Json } from '../schema/event.js';

export type ByteChunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** A file whose parts can be read in any order. */
export interface ReachableFile {
  readonly path: string;
  /** Bytes; null for what is no regular file, which cannot be reached. */
  readonly size: number | null;
  /** Of the file as a whole; such a file cannot be reached either. */
  readonly compression: string | null;
  /** Bytes [start, end). @throws RangeError for what is outside of the file; StorageError; ImportError */
  slice(start: number, end: number): Promise<ArrayBuffer>;
  /** Reports how far the reader has come. @throws ImportError when the file has changed since it was opened */
  advance(bytes: number): Promise<void>;
  /** Bytes that may come out of so many. */
  outputMax(bytes: number): number;
}

/** Why a record, or a part of it, is not in the experiment as it is in the file. */
export type ImportReason =
  /** It is not what the format says. Left out. */
  | 'unreadable'
  /** It has more or fewer fields than there are columns. Left out, unless told otherwise. */
  | 'ragged'
  /** It has bytes that are not of the encoding. Left out. */
  | 'encoding'
  /** It is longer than `maxRecordChars`, or has more keys or fields than `COLUMNS_MAX`. Left out. */
  | 'tooLong'
  /** Its time cannot be understood. Left out, unless told otherwise. */
  | 'time'
  /** A field of the event is not what it should be, such as a number. Kept without that field. */
  | 'value'
  /** NaN, an infinity or a number beyond a double. Kept, with null. */
  | 'nonFinite'
  /** A column without a name, or with another's. Kept under a name of its own. */
  | 'header'
  /** A value is beyond what an event may have, such as its nesting, or of another type than its declared column. Kept as far as it goes. */
  | 'limit'
  /** It has no value in the column that tells experiments apart. Left out. */
  | 'condition';

/** One record as the file says it, before any mapping. CSV values are text. */
export interface RawRecord {
  /** Line of the file on which the record begins, from 1. */
  readonly line: number;
  readonly record: Record<string, Json>;
  /** Set when the record was kept although something about it is wrong (a ragged CSV row). */
  readonly error: string | null;
  readonly reason?: ImportReason;
}

/** A record that could not be read. */
export interface BadRecord {
  readonly line: number;
  readonly record: null;
  readonly error: string;
  /** Absent: it is unreadable. */
  readonly reason?: ImportReason;
}

export type RawItem = RawRecord | BadRecord;

/**
 * A file of a known format. `line` of its items is the record's number, from 1, where the format has no lines.
 */
export interface RecordReader {
  /** Names of the columns, known once the first records have come; null where each record names its own. */
  readonly columns: readonly string[] | null;
  /** Values are text, as in CSV: numbers are recognised in metadata, and empty fields are left out of it. */
  readonly textual: boolean;
  /**
   * Whether it is one of our own exports, as the file itself says, known as soon as the columns are; null where the
   * format has no place to say so.
   */
  readonly isOwn: boolean | null;
  /** Of text: whether fractions have a comma. What is a number has a point in its place already. */
  readonly hasDecimalCommas?: boolean;
  /** Records in file order, some at a time. @throws ImportError where the file cannot be read further */
  batches(): AsyncIterable<readonly RawItem[]>;
}

/** Readers let the process do other things at least so often, as far as one value allows. */
export const DECODE_MS = 8;

/** The most columns, or keys of one record, that a file may have. */
export const COLUMNS_MAX = 16_384;

/**
 * Longest record held in memory, in UTF-16 code units, unless an option says otherwise: 256 Mi. An event may have 32 MiB,
 * each byte of which JSON may need six characters for.
 */
export const DEFAULT_MAX_RECORD_CHARS = 256 * 1024 * 1024;
/** The same of CSV, which doubles quotes; a record may be held twice, since a quote may never be closed. */
export const CSV_MAX_RECORD_CHARS = 80 * 1024 * 1024;

/**
 * A record of these columns, all null, to be copied (`{ ...blank }`) and filled. A copy has its shape at once; objects
 * that are given many properties by computed names become hash tables, which cost ten times as much.
 */
export function blankRecord(columns: readonly string[]): Record<string, Json> {
  const nulls = [...new Set(columns)].map((column) => `${JSON.stringify(column)}:null`);
  return JSON.parse(`{${nulls.join()}}`) as Record<string, Json>;
}

/** Assigns as an own property, also where the key is `__proto__`, which a plain assignment would swallow. */
export function setOwn(target: Record<string, Json>, key: string, value: Json): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[key] = value;
  }
}
