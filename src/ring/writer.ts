/**
 * The producer side of the ring: one writer per thread and experiment.
 *
 * A writer owns one open chunk at a time and is the only one to store into it. `position`, the index of the next
 * row in a Float64Array over the whole memory, can always be stored at, so the hot path tests nothing before its
 * stores: where there is no chunk, it is the landing row, a place of the writer's own. Both the landing row and
 * the last row of each batch have `position & 255` = 255, which is the one test, after the stores; `turn` then
 * publishes a batch, or moves what landed into a chunk claimed for it. A chunk is so claimed no sooner than it is
 * needed.
 *
 * The tag is the last store of a row: a row whose tag is set is whole.
 *
 * Fields are not #private here and in Recorder: V8 keeps no representation of private ones.
 */
import {
  BATCH_ROWS,
  CAPTURE_PAUSED,
  CAPTURE_RUNNING,
  CHUNK_ENTRY_BYTES,
  CHUNK_ROWS,
  CHUNK_SEQUENCE_OFFSET,
  CLAIM_BUSY,
  COLUMN_COST_OFFSET,
  COLUMN_LATENCY_OFFSET,
  COLUMN_TAG_OFFSET,
  COLUMN_TOKENS_OFFSET,
  FLAG_BLOB,
  FLAG_MALFORMED,
  HEADER_BLOCK_MS_OFFSET,
  HEADER_CHUNK_STRIDE_OFFSET,
  HEADER_CHUNKS_OFFSET,
  HEADER_DIRECTORY_OFFSET,
  HEADER_OVERWRITTEN_OFFSET,
  HEADER_RELEASES_OFFSET,
  HEADER_SPOOL_DURABLE_OFFSET,
  HEADER_SPOOL_WAKE_OFFSET,
  HEADER_SPOOL_WRITTEN_OFFSET,
  HEADER_STATE_OFFSET,
  LANDING_BYTES,
  PRODUCER_ACTIVE,
  PRODUCER_BLOB_END_OFFSET,
  PRODUCER_BYTES,
  PRODUCER_CHUNK_OFFSET,
  PRODUCER_CUT_OFFSET,
  PRODUCER_FREE,
  PRODUCER_MALFORMED_OFFSET,
  PRODUCER_OVERFLOWED_OFFSET,
  PRODUCER_REFUSED_OFFSET,
  PRODUCER_STATE_OFFSET,
  PRODUCERS,
} from '../../assembly/layout.js';
import { StateError } from '../errors.js';
import { recordedKeys } from './batch.js';
import { forEachPiece, JOINED_BYTES_MAX } from './byte-area.js';
import { insist } from './insist.js';
import { type LossListener, NOBODY } from './losses.js';
import type { MalformedKeys } from './malformed-keys.js';
import type { ColumnPlacement, Geometry } from './memory.js';
import { instantiate, type RingModule, type SharedMemory } from './wasm.js';

// Distances from a row's position, in elements of the view that stores the column.
export const LATENCY_DISTANCE = COLUMN_LATENCY_OFFSET / 8;
export const COST_DISTANCE = COLUMN_COST_OFFSET / 8;
/** The i32 pair columns are indexed by 2 · position. */
export const PROMPT_DISTANCE = COLUMN_TOKENS_OFFSET / 4;
export const COMPLETION_DISTANCE = PROMPT_DISTANCE + 1;
export const TAG_DISTANCE = COLUMN_TAG_OFFSET / 4;
export const BLOB_DISTANCE = TAG_DISTANCE + 1;

/** `position & BATCH_MASK` is BATCH_MASK at the last row of a batch and at the landing row. */
const BATCH_MASK = BATCH_ROWS - 1;

/** A row is large that takes more than this part of a chunk's byte area, as a power of two. */
const LARGE_SHIFT = 3;

/** A thread that waits for room gives up on storage that has kept nothing for so long, as on one that has failed. */
const STALLED_MS = 5000;
/** How often it looks. */
const LOOK_MS = 50;

/** Where recorders of closed experiments store: a landing row that nobody reads. */
const NOWHERE = new SharedArrayBuffer(LANDING_BYTES);

export class RingWriter {
  readonly producer: number;
  readonly columns: readonly ColumnPlacement[];
  /** Views over the whole memory, so that a chunk's change needs no new ones. */
  f64: Float64Array;
  i64: BigInt64Array;
  i32: Int32Array;
  u8: Uint8Array;
  /** Next row's index into `f64`: of the open chunk, or the landing row. */
  position: number;
  /** Position of the open chunk's first row; 0 without one. */
  base = 0;
  /** Bytes used in the open chunk's byte area. */
  blobEnd = 0;
  /** Bytes of a chunk's byte area; what is larger takes other chunks in. */
  readonly blobBytes: number;
  readonly scratchAddress: number;
  readonly scratchBytes: number;

  private module: RingModule;
  private readonly geometry: Geometry;
  private landing: number;
  private readonly block: number;
  private readonly blobOffsetBytes: number;
  private readonly chunksAddress: number;
  private readonly chunkStrideBytes: number;
  /** Of the open chunk: its index, the bytes it has room for together with those joined to it, its sequence. */
  private chunk = 0;
  private blobRoom = 0;
  private chunkSequence = 0;
  private publishedRows = 0;
  private resumeAt = 0;
  private suspended = false;
  private closed = false;
  /** What is refused for, once it is closed. */
  private closedAs: 'closed' | 'stopped' = 'closed';
  /** Releases counted when chunks were last refused, and how many were wanted. */
  private refusedAt: number | undefined;
  private refusedChunks = 1;
  private readonly losses: LossListener;
  /** Where it is counted what could not be understood. */
  malformedKeys: MalformedKeys | null = null;
  /** Malformed events of this producer that have told what was so. */
  private malformedKnown = 0;
  // Made once: what is made as rows come is garbage of theirs.
  private readonly publishOnce = (force: 0 | 1) =>
    this.module.publish(this.producer, this.rows, this.blobEnd, force);
  private readonly claimOnce = (force: 0 | 1) => this.module.claim(this.producer, force);
  private readonly tryClaim = () => insist(this.claimOnce, CLAIM_BUSY);

  /** Becomes one of the memory's producers. @throws StateError when all are taken */
  constructor(memory: SharedMemory, geometry: Geometry, losses: LossListener = NOBODY) {
    const buffer = memory.buffer;
    this.losses = losses;
    this.f64 = new Float64Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.geometry = geometry;
    this.columns = geometry.columns;
    this.blobBytes = geometry.blobBytes;
    this.blobOffsetBytes = geometry.blobOffsetBytes;
    this.module = instantiate(memory);
    this.producer = takeProducer(this.i32, geometry.producerCount);
    this.block = PRODUCERS + this.producer * PRODUCER_BYTES;
    this.i32[(this.block + PRODUCER_CHUNK_OFFSET) >> 2] = -1;
    this.chunksAddress = this.i32[HEADER_CHUNKS_OFFSET >> 2];
    this.chunkStrideBytes = this.i32[HEADER_CHUNK_STRIDE_OFFSET >> 2];
    this.scratchBytes = geometry.scratchBytes;
    this.scratchAddress = geometry.scratchAddress + this.producer * geometry.scratchBytes;
    this.malformedKnown = this.malformed;
    this.landing = (geometry.landingAddress + this.producer * LANDING_BYTES) / 8 + BATCH_MASK;
    this.position = this.landing;
  }

  /** Rows written to the open chunk. */
  private get rows(): number {
    return (this.suspended ? this.resumeAt : this.position) - this.base;
  }

  /** Whether the open chunk's byte area goes on in others. */
  get hasJoined(): boolean {
    return this.blobRoom > this.blobBytes;
  }

  /** Rows written and not yet published. */
  private get pendingRows(): number {
    return this.base === 0 ? 0 : this.rows - this.publishedRows;
  }

  /** Called after a row was stored at the last position of a batch, or at the landing row. */
  turn(): void {
    if (this.position !== this.landing + 1) {
      this.publish();
      if (this.position - this.base === CHUNK_ROWS) this.seal();
      else if (!this.wanted()) this.suspend();
      return;
    }
    this.position = this.landing;
    if (!this.ready()) return;
    moveRow(this.f64, this.i32, this.landing, this.position);
    this.commit();
  }

  /** Makes all rows written so far readable and folds them into the accumulators. */
  publish(): void {
    if (this.pendingRows === 0) return;
    insist(this.publishOnce, 0);
    const from = this.publishedRows;
    this.publishedRows = this.rows;
    // Values of recorders are looked at no sooner.
    if (this.malformed !== this.malformedKnown) this.noteRecorded(from, this.publishedRows);
  }

  /** Events of this producer that were malformed. */
  private get malformed(): number {
    return this.f64[(this.block + PRODUCER_MALFORMED_OFFSET) >> 3];
  }

  /** Tells which values of the rows [from, to), which are published, are no numbers, or no times. */
  private noteRecorded(from: number, to: number): void {
    this.malformedKnown = this.malformed;
    for (let position = this.base + from; position < this.base + to; position++) {
      const tag = this.i32[2 * position + TAG_DISTANCE];
      // What was captured has told its own.
      if ((tag & FLAG_MALFORMED) === 0 || (tag & FLAG_BLOB) !== 0) continue;
      const keys = recordedKeys(this.f64[position + LATENCY_DISTANCE], this.f64[position + COST_DISTANCE]);
      this.losses.malformed(undefined, keys[0]);
      for (const key of keys) this.malformedKeys?.count(key);
    }
  }

  /**
   * Ensures that there is a row to store at and `bytes` free in its chunk's byte area.
   * @returns the row's position, or -1 when the row is refused, and counted
   */
  reserve(bytes: number): number {
    if ((this.base === 0 || this.suspended) && !this.ready()) return -1;
    if (this.blobEnd + bytes <= this.blobRoom) return this.position;
    // Of small rows a chunk holds about as many as it has places for; of large ones it would hold a few.
    const isLarge = bytes > this.blobBytes >> LARGE_SHIFT;
    if (isLarge && this.blobEnd < JOINED_BYTES_MAX && this.tryJoin(bytes) >= 0) return this.position;
    if (this.position > this.base) {
      this.publish();
      this.seal();
      if (!this.ready()) return -1;
    }
    if (bytes <= this.blobBytes) return this.position;
    return this.obtain(this.joinsFor(bytes), () => this.tryJoin(bytes)) < 0 ? -1 : this.position;
  }

  /** The sequence that a row gets at a position that `reserve` gave. */
  sequenceAt(position: number): number {
    return this.chunkSequence * CHUNK_ROWS + position - this.base;
  }

  /** Counts the row at `position` as stored. */
  commit(): void {
    const position = this.position;
    this.position = position + 1;
    if ((position & BATCH_MASK) === BATCH_MASK) this.turn();
  }

  /** Copies `bytes` from `source` (an address) into the byte area. @returns their offset there */
  appendBlob(source: number, bytes: number): number {
    const offset = this.blobEnd;
    this.module.copy(this.base * 8 + this.blobOffsetBytes + offset, source, bytes);
    this.blobEnd = offset + bytes;
    this.i32[(this.block + PRODUCER_BLOB_END_OFFSET) >> 2] = this.blobEnd;
    return offset;
  }

  /** As `appendBlob`, for bytes from elsewhere, which may reach into joined chunks. */
  appendLarge(source: Uint8Array): number {
    const { i32, u8, geometry } = this;
    const offset = this.blobEnd;
    const end = offset + source.length;
    let used = 0;
    forEachPiece(i32, geometry, this.chunk, offset, end, (address, bytes) => {
      u8.set(source.subarray(used, used + bytes), address);
      used += bytes;
    });
    this.blobEnd = end;
    i32[(this.block + PRODUCER_BLOB_END_OFFSET) >> 2] = end;
    return offset;
  }

  /**
   * To be called after a row that may have had chunks joined to its own. One that has many is sealed, so that others
   * get them as soon as may be: it would keep them for as long as its thread has nothing to capture.
   */
  sealLarge(): void {
    if (this.blobEnd < JOINED_BYTES_MAX) return;
    this.publish();
    this.seal();
  }

  /** Refuses what is captured until `resume`. Rows written before stay. */
  suspend(): void {
    if (this.suspended) return;
    this.publish();
    this.resumeAt = this.position;
    this.position = this.landing;
    this.suspended = true;
  }

  resume(): void {
    if (!this.suspended) return;
    this.suspended = false;
    this.position = this.resumeAt;
  }

  /** Counts an event that is not taken, by what the experiment or this writer is. */
  refuse(): void {
    if (this.closed) this.losses.refused(this.closedAs);
    else if (Atomics.load(this.i32, HEADER_STATE_OFFSET >> 2) === CAPTURE_PAUSED)
      this.losses.refused('paused');
    else this.losses.refused('stopped');
  }

  /** @param key - what could not be understood of it, where that is known */
  countMalformed(event: string | undefined, key?: string): void {
    this.f64[(this.block + PRODUCER_MALFORMED_OFFSET) >> 3]++;
    this.malformedKnown++;
    this.losses.malformed(event, key);
  }

  countCut(event: string | undefined): void {
    this.f64[(this.block + PRODUCER_CUT_OFFSET) >> 3]++;
    this.losses.cut(event);
  }

  /** Events of this producer that are cut. */
  get cuts(): number {
    return this.f64[(this.block + PRODUCER_CUT_OFFSET) >> 3];
  }

  countOverflowed(): void {
    this.f64[(this.block + PRODUCER_OVERFLOWED_OFFSET) >> 3]++;
  }

  /**
   * Publishes and seals, gives the producer back and lets go of the memory.
   * @param as - why events are refused from then on
   */
  close(as: 'closed' | 'stopped' = 'closed'): void {
    if (this.closed) return;
    this.suspend();
    this.seal();
    this.closed = true;
    this.closedAs = as;
    Atomics.store(this.i32, (this.block + PRODUCER_STATE_OFFSET) >> 2, PRODUCER_FREE);
    this.f64 = new Float64Array(NOWHERE);
    this.i64 = new BigInt64Array(NOWHERE);
    this.i32 = new Int32Array(NOWHERE);
    this.u8 = new Uint8Array(NOWHERE);
    this.module = CLOSED_MODULE;
    this.landing = BATCH_MASK;
    this.position = BATCH_MASK;
  }

  /** Whether the experiment is running, as far as all its threads know. */
  private wanted(): boolean {
    return Atomics.load(this.i32, HEADER_STATE_OFFSET >> 2) === CAPTURE_RUNNING;
  }

  /**
   * Makes `position` one of a chunk if capture is wanted: where it was before a pause, or in a chunk claimed now.
   * A refusal is counted.
   */
  private ready(): boolean {
    if (this.closed || !this.wanted()) {
      this.refuse();
      return false;
    }
    this.resume();
    if (this.base !== 0) return true;
    const chunk = this.obtain(1, this.tryClaim);
    if (chunk < 0) return false;
    this.noteOverwritten();
    this.chunk = chunk;
    this.base = (this.chunksAddress + chunk * this.chunkStrideBytes) / 8;
    const entry = this.i32[HEADER_DIRECTORY_OFFSET >> 2] + chunk * CHUNK_ENTRY_BYTES;
    // By its halves: the whole would be a BigInt. It stays below 2^53.
    const sequence = (entry + CHUNK_SEQUENCE_OFFSET) >> 2;
    this.chunkSequence = this.i32[sequence + 1] * 2 ** 32 + (this.i32[sequence] >>> 0);
    this.publishedRows = 0;
    this.blobEnd = 0;
    this.blobRoom = this.blobBytes;
    this.position = this.base;
    return true;
  }

  /** How many chunks so many more bytes need. */
  private joinsFor(bytes: number): number {
    return Math.ceil((this.blobEnd + bytes - this.blobRoom) / this.chunkStrideBytes);
  }

  /** Joins them to the open one. @returns -1 when they cannot be had */
  private tryJoin(bytes: number): number {
    const count = this.joinsFor(bytes);
    if (this.module.join(this.producer, count) === 0) return -1;
    this.noteOverwritten();
    this.blobRoom += count * this.chunkStrideBytes;
    return count;
  }

  /**
   * What `attempt` gives once it is not negative, or -1 when it finds no such number of chunks. With OVERFLOW_BLOCK it
   * waits for them, once per shortage: the rows after a wait in vain are refused at once until a chunk is released.
   */
  private obtain(chunks: number, attempt: () => number): number {
    const { releases } = this;
    // Nothing was released since the last refusal: there is no use in trying every chunk again.
    if (releases === this.refusedAt && chunks >= this.refusedChunks) return this.refuseFull();
    let result = attempt();
    if (result >= 0) return result;
    this.refusedAt = releases;
    this.refusedChunks = chunks;
    const blockMs = this.i32[HEADER_BLOCK_MS_OFFSET >> 2];
    if (blockMs > 0) result = this.waitFor(attempt, blockMs);
    return result < 0 ? this.refuseFull() : result;
  }

  /** Makes attempts for `blockMs`, or until the storage has not moved for STALLED_MS. */
  private waitFor(attempt: () => number, blockMs: number): number {
    const untilMs = performance.now() + blockMs;
    let stalledAtMs = performance.now() + STALLED_MS;
    let kept = this.keptRows;
    for (;;) {
      const { releases } = this;
      const result = attempt();
      if (result >= 0) return result;
      this.refusedAt = releases;
      const nowMs = performance.now();
      if (kept !== this.keptRows) {
        kept = this.keptRows;
        stalledAtMs = nowMs + STALLED_MS;
      }
      const leftMs = Math.min(untilMs, stalledAtMs) - nowMs;
      if (leftMs <= 0 || !this.wanted()) return -1;
      Atomics.add(this.i32, HEADER_SPOOL_WAKE_OFFSET >> 2, 1);
      Atomics.notify(this.i32, HEADER_SPOOL_WAKE_OFFSET >> 2);
      Atomics.wait(this.i32, HEADER_RELEASES_OFFSET >> 2, releases, Math.min(leftMs, LOOK_MS));
    }
  }

  /** Changes whenever a chunk is sealed or becomes free. */
  private get releases(): number {
    return Atomics.load(this.i32, HEADER_RELEASES_OFFSET >> 2);
  }

  /** Changes whenever rows are written or synced; wraps round. */
  private get keptRows(): number {
    const written = Atomics.load(this.i32, HEADER_SPOOL_WRITTEN_OFFSET >> 2);
    return (written + Atomics.load(this.i32, HEADER_SPOOL_DURABLE_OFFSET >> 2)) | 0;
  }

  private noteOverwritten(): void {
    if (Atomics.load(this.i32, HEADER_OVERWRITTEN_OFFSET >> 2) !== 0) this.losses.overwritten();
  }

  /** Counts a row that the ring has no room for. */
  private refuseFull(): -1 {
    this.f64[(this.block + PRODUCER_REFUSED_OFFSET) >> 3]++;
    this.losses.refused('full');
    return -1;
  }

  private seal(): void {
    if (this.base === 0) return;
    this.module.seal(this.producer);
    this.base = 0;
    this.publishedRows = 0;
    this.resumeAt = this.landing;
    this.position = this.landing;
  }
}

/** Copies the columns of a row; its byte area and declared columns are never used at the landing row. */
function moveRow(f64: Float64Array, i32: Int32Array, from: number, to: number): void {
  f64[to] = f64[from];
  f64[to + LATENCY_DISTANCE] = f64[from + LATENCY_DISTANCE];
  f64[to + COST_DISTANCE] = f64[from + COST_DISTANCE];
  i32[2 * to + PROMPT_DISTANCE] = i32[2 * from + PROMPT_DISTANCE];
  i32[2 * to + COMPLETION_DISTANCE] = i32[2 * from + COMPLETION_DISTANCE];
  i32[2 * to + TAG_DISTANCE] = i32[2 * from + TAG_DISTANCE];
}

/** What a closed writer calls: nothing is left to do, and its memory can be collected. */
const CLOSED_MODULE: RingModule = {
  claim: () => -1,
  join: () => 0,
  seal: () => {},
  release: () => {},
  publish: () => 1,
  publishWritten: () => 1,
  replay: () => {},
  copy: () => {},
};

/** Wins a free producer block by compare-and-swap. */
function takeProducer(words: Int32Array, count: number): number {
  for (let producer = 0; producer < count; producer++) {
    const state = (PRODUCERS + producer * PRODUCER_BYTES + PRODUCER_STATE_OFFSET) >> 2;
    if (Atomics.compareExchange(words, state, PRODUCER_FREE, PRODUCER_ACTIVE) === PRODUCER_FREE)
      return producer;
  }
  throw new StateError('ERR_CLOSED', `all ${count} producers of this experiment are taken`, {
    producers: count,
  });
}
