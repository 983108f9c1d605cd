/** Batch: rows as columns, private to the reader that copied them. The currency of everything downstream. */

import { VALUE_MAX } from '../../assembly/layout.js';
import type { BatchBuffers } from './reader.js';

/** A declared column's values, one per row. Numbers: NaN = null. Words: bool 1 false, 2 true; dict an id; 0 = null. */
export type DeclaredValues = Float64Array | Int32Array;

/** Rows as columns. */
export interface Columns {
  readonly rows: number;
  /** Microseconds since the Unix epoch. */
  readonly timeUs: Float64Array;
  /** Milliseconds; NaN = absent. */
  readonly latencyMs: Float64Array;
  /** USD; NaN = absent. */
  readonly costUsd: Float64Array;
  /** -1 = absent. */
  readonly promptTokens: Int32Array;
  readonly completionTokens: Int32Array;
  /** Binding and flags; see TAG_* and FLAG_* of the layout. */
  readonly tags: Uint32Array;
  /** Where the row's part of `blob` begins; valid only where FLAG_BLOB is set, and ascending there. */
  readonly blobOffsets: Uint32Array;
  /** MessagePack of what has no column. */
  readonly blob: Buffer;
  /** In the order of the experiment's declared columns; valid only where FLAG_DECLARED is set. */
  readonly declared: readonly DeclaredValues[];
}

/** Rows of one chunk, in the order they were captured. */
export interface Batch extends Columns {
  /** Sequence of row 0; the others follow without gaps. */
  readonly firstSequence: number;
  readonly producer: number;
  /**
   * Beside `declared`, for columns whose values are of something that several rows may share, such as a sample: a number
   * of that, so that it is counted once. Null for other columns, absent where there are none.
   */
  readonly shared?: readonly (Float64Array | null)[] | undefined;
}

/** Rows that can be read: where they stand in capture order, and their time range. */
export interface BatchRef {
  /** Sequence of row 0: the chunk's sequence × 1,024 + the row's place in it. */
  readonly firstSequence: number;
  readonly rows: number;
  readonly producer: number;
  /** Microseconds, not floored. The rows' times lie between them, but need not reach them. */
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  /** Known once somebody has read all rows; for whoever gets the same ref again. */
  zone?: Zone;
  /**
   * The rows; undefined when they are gone: overwritten meanwhile, or damaged. Whoever made the ref counts those.
   * @param room - where they may be put; the next read into the same room overwrites them
   */
  read(room?: BatchRoom): Batch | undefined | Promise<Batch | undefined>;
}

/** What the rows of a ref are. */
export interface Zone {
  /** Bits for outcomes that occur. */
  readonly outcomes: number;
  /** Bindings that occur; null where they are too many to be remembered. */
  readonly bindings: Uint16Array | null;
  readonly latencyMs: ValueRange;
  readonly costUsd: ValueRange;
}

/** Values of a column. */
export interface ValueRange {
  /** Reversed where there is no value. */
  readonly least: number;
  readonly greatest: number;
  /** Whether a row has none. */
  readonly hasAbsent: boolean;
}

export type Words = Int32Array | Uint32Array;

/** Room for one batch at a time; for refs of one experiment. */
export interface BatchRoom {
  /** Takes memory for the columns; absent, they get memory of their own. */
  readonly place?: (bytes: number) => { readonly buffer: ArrayBufferLike; readonly byteOffset: number };
  /**
   * Splits pairs of words into columns that are in this room, as many as there are pairs, sooner than it is done word
   * by word; up to three words behind their ends may change.
   */
  readonly split?: (pairs: Int32Array, first: Words, second: Words) => void;
  /** Made by the first read that uses them. */
  buffers?: BatchBuffers;
}

/** Rows [from, end) of a batch, without a copy. The byte area stays whole, so that offsets into it hold. */
export function subBatch(batch: Batch, from: number, end: number): Batch {
  if (from === 0 && end === batch.rows) return batch;
  return {
    firstSequence: batch.firstSequence + from,
    producer: batch.producer,
    rows: end - from,
    timeUs: batch.timeUs.subarray(from, end),
    latencyMs: batch.latencyMs.subarray(from, end),
    costUsd: batch.costUsd.subarray(from, end),
    promptTokens: batch.promptTokens.subarray(from, end),
    completionTokens: batch.completionTokens.subarray(from, end),
    tags: batch.tags.subarray(from, end),
    blobOffsets: batch.blobOffsets.subarray(from, end),
    blob: batch.blob,
    declared: batch.declared.map((values) => values.subarray(from, end)),
    ...(batch.shared && { shared: batch.shared.map((numbers) => numbers?.subarray(from, end) ?? null) }),
  };
}

/** The rows of a ref whose sequences lie in [from, end). */
export function partOf(ref: BatchRef, from: number, end: number): BatchRef {
  const isWhole = from === ref.firstSequence && end === ref.firstSequence + ref.rows;
  return isWhole ? ref : new TrimmedRef(ref, from, end);
}

class TrimmedRef implements BatchRef {
  readonly firstSequence: number;
  readonly rows: number;
  readonly producer: number;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  readonly #whole: BatchRef;

  constructor(whole: BatchRef, from: number, end: number) {
    this.firstSequence = from;
    this.rows = end - from;
    this.producer = whole.producer;
    this.timeMinUs = whole.timeMinUs;
    this.timeMaxUs = whole.timeMaxUs;
    this.#whole = whole;
  }

  read(room?: BatchRoom): Batch | undefined | Promise<Batch | undefined> {
    const whole = this.#whole.read(room);
    return whole instanceof Promise ? whole.then((batch) => this.#trim(batch)) : this.#trim(whole);
  }

  #trim(batch: Batch | undefined): Batch | undefined {
    if (batch === undefined) return undefined;
    const from = this.firstSequence - batch.firstSequence;
    return subBatch(batch, from, from + this.rows);
  }
}

/** Whether a latency or cost is one, and neither absent nor too large to be counted. */
export function isValue(value: number): boolean {
  return Math.abs(value) <= VALUE_MAX;
}

export function valueOrNull(value: number): number | null {
  return isValue(value) ? value : null;
}

/** What a recorder was given that is no number, or else no time, of a row that is malformed. */
export function recordedKeys(latencyMs: number, costUsd: number): string[] {
  const isOdd = (value: number) => !Number.isNaN(value) && !isValue(value);
  const keys = [...(isOdd(latencyMs) ? ['latencyMs'] : []), ...(isOdd(costUsd) ? ['costUsd'] : [])];
  return keys.length > 0 ? keys : ['timestamp'];
}

/** A row's time as readers tell it: whole microseconds. */
export function timeUsOf(batch: Columns, index: number): number {
  return Math.floor(batch.timeUs[index]);
}
