/** Reading one record batch of a segment. */

import { crc32 } from 'node:zlib';
import { CHUNK_ROWS } from '../../../assembly/layout.js';
import { StorageError } from '../../errors.js';
import type { Batch } from '../../ring/batch.js';
import { FALSE, NONE, TRUE } from '../../row/declared.js';
import { type FileSystem, readFully } from '../disk/file-system.js';
import { flawIn } from './flaws.js';
import type { BatchEntry, BatchPlace, Dictionaries, SegmentColumns } from './format.js';
import { batchContentOf, openMessage, parsed, placeOf, Unsound } from './message.js';
import {
  BINDING,
  bitsPerRow,
  bufferCount,
  COMPLETION_TOKENS,
  COST,
  DECLARED,
  FLAGS,
  LATENCY,
  PAYLOAD,
  PAYLOAD_BYTES_BUFFER,
  PROMPT_TOKENS,
  TIMESTAMP,
  validityBuffer,
  valuesBuffer,
} from './schema.js';
import { headBytesOf, verifyBody } from './seal.js';

const HIGH_WORD = 2 ** 32;

/**
 * Reads and verifies a batch. Its columns are views over a buffer of their own.
 * @param fd - the segment, open for reading
 * @param columns - of the segment's identity
 * @param texts - the segment's dictionaries, which its rows refer to
 * @throws StorageError ERR_SEGMENT_CORRUPT when the file does not hold there what `entry` says
 */
export function readBatch(
  files: FileSystem,
  fd: number,
  entry: BatchEntry,
  columns: SegmentColumns,
  texts: Dictionaries,
): Batch {
  const { offset, bytes } = entry;
  try {
    // Not from Node's pool: views over it begin at multiples of 8.
    const message = Buffer.allocUnsafeSlow(bytes);
    if (readFully(files, fd, message, offset) < bytes) throw new Unsound('the file ends within the batch');
    const batch = decode(message, entry, columns);
    const flaw = flawIn(batch, columns, texts);
    if (flaw !== undefined) throw new Unsound(flaw);
    return batch;
  } catch (error) {
    if (!(error instanceof Unsound)) throw error;
    throw new StorageError(
      'ERR_SEGMENT_CORRUPT',
      `the record batch at byte ${offset} cannot be used: ${error.message}`,
      { offset, bytes, reason: error.message },
      { cause: error },
    );
  }
}

/** @throws Unsound */
function decode(message: Buffer, entry: BatchEntry, columns: SegmentColumns): Batch {
  const headBytes = parsed(() => headBytesOf(message));
  const head = message.subarray(0, headBytes);
  const opened = openMessage(head);
  const place = placeOf(head);
  if (headBytes + opened.bodyBytes !== entry.bytes || !isSamePlace(place, entry)) {
    throw new Unsound('another message is in its place');
  }
  const content = batchContentOf(opened, place);
  const body = message.subarray(headBytes);
  parsed(() => verifyBody(head, crc32(body)));

  const { rows } = content;
  const bits = bitsPerRow(columns);
  if (content.buffers.length !== 2 * bufferCount(columns)) throw new Unsound('it has other columns');
  /** Where a buffer begins in the message's memory; it holds all rows. */
  const at = (buffer: number): number => {
    if (content.buffers[2 * buffer + 1] * 8 < rows * bits[buffer]) throw new Unsound('a column is too short');
    return body.byteOffset + content.buffers[2 * buffer];
  };
  const memory = body.buffer as ArrayBuffer;
  const doubles = (column: number) => new Float64Array(memory, at(valuesBuffer(column)), rows);
  const words = (column: number) => new Int32Array(memory, at(valuesBuffer(column)), rows);
  const bitmap = (buffer: number) => new Uint8Array(memory, at(buffer), Math.ceil(rows / 8));
  const blobBytes = content.buffers[2 * PAYLOAD_BYTES_BUFFER + 1];

  return {
    firstSequence: place.chunk * CHUNK_ROWS + place.firstRow,
    producer: place.producer,
    rows,
    timeUs: timesInPlace(doubles(TIMESTAMP)),
    latencyMs: doubles(LATENCY),
    costUsd: doubles(COST),
    promptTokens: words(PROMPT_TOKENS),
    completionTokens: words(COMPLETION_TOKENS),
    tags: tagsInPlace(
      new Uint32Array(memory, at(valuesBuffer(BINDING)), rows),
      new Uint16Array(memory, at(valuesBuffer(FLAGS)), rows),
    ),
    blobOffsets: new Uint32Array(memory, at(valuesBuffer(PAYLOAD)), rows),
    blob: Buffer.from(memory, at(PAYLOAD_BYTES_BUFFER), blobBytes),
    declared: columns.map(({ type }, index) => {
      const column = DECLARED + index;
      if (type === 'f64') return doubles(column);
      if (type === 'dict') return words(column);
      const valid = bitmap(validityBuffer(column));
      if (type === 'bool') return boolCodes(valid, bitmap(valuesBuffer(column)), rows);
      const IntegerArray = type === 'u32' ? Uint32Array : Int32Array;
      return integers(valid, new IntegerArray(memory, at(valuesBuffer(column)), rows));
    }),
  };
}

function isSamePlace(place: BatchPlace, entry: BatchEntry): boolean {
  return (
    place.chunk === entry.chunk &&
    place.firstRow === entry.firstRow &&
    place.rows === entry.rows &&
    place.producer === entry.producer &&
    place.timeMinUs === entry.timeMinUs &&
    place.timeMaxUs === entry.timeMaxUs &&
    place.losses.overwritten === entry.losses.overwritten &&
    place.losses.refused === entry.losses.refused &&
    place.losses.malformed === entry.losses.malformed &&
    place.losses.overflowed === entry.losses.overflowed &&
    place.losses.cut === entry.losses.cut
  );
}

/** Makes int64 into doubles where they stand; each was one before it was written. */
function timesInPlace(times: Float64Array): Float64Array {
  const words = new Int32Array(times.buffer, times.byteOffset, 2 * times.length);
  for (let row = 0; row < times.length; row++) {
    times[row] = words[2 * row + 1] * HIGH_WORD + (words[2 * row] >>> 0);
  }
  return times;
}

/** Puts the flags back above the bindings. */
function tagsInPlace(bindings: Uint32Array, flags: Uint16Array): Uint32Array {
  for (let row = 0; row < bindings.length; row++) bindings[row] |= flags[row] << 16;
  return bindings;
}

function integers(valid: Uint8Array, values: Int32Array | Uint32Array): Float64Array {
  const doubles = new Float64Array(values.length);
  for (let row = 0; row < values.length; row++) doubles[row] = hasBit(valid, row) ? values[row] : Number.NaN;
  return doubles;
}

function boolCodes(valid: Uint8Array, truths: Uint8Array, rows: number): Int32Array {
  const codes = new Int32Array(rows);
  for (let row = 0; row < rows; row++)
    codes[row] = hasBit(valid, row) ? (hasBit(truths, row) ? TRUE : FALSE) : NONE;
  return codes;
}

function hasBit(bits: Uint8Array, row: number): boolean {
  return ((bits[row >> 3] >> (row & 7)) & 1) !== 0;
}
