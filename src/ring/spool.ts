/**
 * What the spooler and the threads that capture tell each other, in shared memory, so that it works while a thread's
 * event loop stands still.
 */
import {
  CHUNK_ENTRY_BYTES,
  CHUNK_GENERATION_OFFSET,
  CHUNK_PUBLISHED_OFFSET,
  CHUNK_SEALED,
  CHUNK_SPOOLED_OFFSET,
  CHUNK_STATE_OFFSET,
  CHUNK_WRITTEN_OFFSET,
  HEADER_OVERWRITTEN_OFFSET,
  HEADER_SPOOL_ATTEMPTED_OFFSET,
  HEADER_SPOOL_BEATS_OFFSET,
  HEADER_SPOOL_COMPLETED_OFFSET,
  HEADER_SPOOL_DURABLE_OFFSET,
  HEADER_SPOOL_EPOCH_OFFSET,
  HEADER_SPOOL_EXPIRED_OFFSET,
  HEADER_SPOOL_EXPIRED_THROUGH_OFFSET,
  HEADER_SPOOL_REQUESTED_OFFSET,
  HEADER_SPOOL_TAKEN_OFFSET,
  HEADER_SPOOL_WAKE_OFFSET,
  HEADER_SPOOL_WRITTEN_OFFSET,
  SPOOLED_ROWS_BITS,
} from '../../assembly/layout.js';
import type { Geometry } from './memory.js';
import { type ChunkView, spooledRows } from './reader.js';
import { instantiate, type RingModule, type SharedMemory } from './wasm.js';

/** Flush numbers wrap round at 2^31, as all counters of 32 bits here. */
const isAtLeast = (number: number, other: number): boolean => ((number - other) | 0) >= 0;

/** The words that both sides use. */
export class SpoolWords {
  readonly #i32: Int32Array;
  readonly #i64: BigInt64Array;

  constructor(memory: SharedMemory) {
    this.#i32 = new Int32Array(memory.buffer);
    this.#i64 = new BigInt64Array(memory.buffer);
  }

  /** Rows handed to the file system by the spoolers of this memory. */
  get written(): number {
    return this.#count(HEADER_SPOOL_WRITTEN_OFFSET);
  }

  /** Of those, rows that are safe from a power cut. */
  get durable(): number {
    return this.#count(HEADER_SPOOL_DURABLE_OFFSET);
  }

  /** Rows in segments that were deleted on purpose. */
  get expired(): number {
    return this.#count(HEADER_SPOOL_EXPIRED_OFFSET);
  }

  addWritten(rows: number): void {
    Atomics.add(this.#i64, HEADER_SPOOL_WRITTEN_OFFSET >> 3, BigInt(rows));
  }

  addDurable(rows: number): void {
    Atomics.add(this.#i64, HEADER_SPOOL_DURABLE_OFFSET >> 3, BigInt(rows));
  }

  /**
   * For a spooler that takes over.
   * @param rows - written, and durable but for `unsyncedRows`; `expiredRows` of them have been deleted since, in
   *   segments up to `throughSegment`
   */
  setKept(rows: number, unsyncedRows: number, expiredRows: number, throughSegment: number): void {
    Atomics.store(this.#i64, HEADER_SPOOL_EXPIRED_THROUGH_OFFSET >> 3, BigInt(throughSegment));
    Atomics.store(this.#i64, HEADER_SPOOL_WRITTEN_OFFSET >> 3, BigInt(rows));
    Atomics.store(this.#i64, HEADER_SPOOL_DURABLE_OFFSET >> 3, BigInt(rows - unsyncedRows));
    Atomics.store(this.#i64, HEADER_SPOOL_EXPIRED_OFFSET >> 3, BigInt(expiredRows));
  }

  /** The last segment that was deleted on purpose. */
  get expiredThrough(): number {
    return this.#count(HEADER_SPOOL_EXPIRED_THROUGH_OFFSET);
  }

  addExpired(rows: number, throughSegment: number): void {
    Atomics.store(this.#i64, HEADER_SPOOL_EXPIRED_THROUGH_OFFSET >> 3, BigInt(throughSegment));
    Atomics.add(this.#i64, HEADER_SPOOL_EXPIRED_OFFSET >> 3, BigInt(rows));
  }

  // ── Asking ─────────────────────────────────────────────────────────────────────────────────────

  /** Asks for everything published so far to be made durable. @returns the flush's number */
  request(): number {
    const ticket = (Atomics.add(this.#i32, HEADER_SPOOL_REQUESTED_OFFSET >> 2, 1) + 1) | 0;
    this.wake();
    return ticket;
  }

  wake(): void {
    Atomics.add(this.#i32, HEADER_SPOOL_WAKE_OFFSET >> 2, 1);
    Atomics.notify(this.#i32, HEADER_SPOOL_WAKE_OFFSET >> 2);
  }

  isAttempted(ticket: number): boolean {
    return isAtLeast(Atomics.load(this.#i32, HEADER_SPOOL_ATTEMPTED_OFFSET >> 2), ticket);
  }

  isCompleted(ticket: number): boolean {
    return isAtLeast(Atomics.load(this.#i32, HEADER_SPOOL_COMPLETED_OFFSET >> 2), ticket);
  }

  /** Blocks this thread until the flush was tried, at most so long. @returns whether it was */
  waitAttempted(ticket: number, timeoutMs: number): boolean {
    const word = HEADER_SPOOL_ATTEMPTED_OFFSET >> 2;
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const seen = Atomics.load(this.#i32, word);
      if (isAtLeast(seen, ticket)) return true;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) return false;
      Atomics.wait(this.#i32, word, seen, leftMs);
    }
  }

  /** Changes whenever the spooler does anything. */
  get beats(): number {
    return Atomics.load(this.#i32, HEADER_SPOOL_BEATS_OFFSET >> 2);
  }

  /** Makes every spooler there is stop before its next file operation. @returns the number of the next one */
  nextEpoch(): number {
    return (Atomics.add(this.#i32, HEADER_SPOOL_EPOCH_OFFSET >> 2, 1) + 1) | 0;
  }

  // ── Answering ──────────────────────────────────────────────────────────────────────────────────

  get epoch(): number {
    return Atomics.load(this.#i32, HEADER_SPOOL_EPOCH_OFFSET >> 2);
  }

  get requested(): number {
    return Atomics.load(this.#i32, HEADER_SPOOL_REQUESTED_OFFSET >> 2);
  }

  beat(): void {
    Atomics.add(this.#i32, HEADER_SPOOL_BEATS_OFFSET >> 2, 1);
  }

  /** Says what became of all flushes up to `ticket`. */
  answer(ticket: number, completed: boolean): void {
    if (completed) Atomics.store(this.#i32, HEADER_SPOOL_COMPLETED_OFFSET >> 2, ticket);
    Atomics.store(this.#i32, HEADER_SPOOL_ATTEMPTED_OFFSET >> 2, ticket);
    Atomics.notify(this.#i32, HEADER_SPOOL_ATTEMPTED_OFFSET >> 2);
  }

  /** Changes with every wake-up; note it before looking for work, and wait for it to change after. */
  get wakes(): number {
    return Atomics.load(this.#i32, HEADER_SPOOL_WAKE_OFFSET >> 2);
  }

  /** Blocks until somebody wakes the spooler, at most so long. */
  sleep(wakesSeen: number, timeoutMs: number): void {
    Atomics.wait(this.#i32, HEADER_SPOOL_WAKE_OFFSET >> 2, wakesSeen, timeoutMs);
  }

  #count(offset: number): number {
    return Number(Atomics.load(this.#i64, offset >> 3));
  }
}

/** The ring as the spooler takes rows from it. One spooler at a time. */
export class SpoolRing {
  readonly #i32: Int32Array;
  readonly #i64: BigInt64Array;
  readonly #module: RingModule;
  readonly #geometry: Geometry;

  constructor(memory: SharedMemory, geometry: Geometry) {
    this.#i32 = new Int32Array(memory.buffer);
    this.#i64 = new BigInt64Array(memory.buffer);
    this.#module = instantiate(memory);
    this.#geometry = geometry;
  }

  /**
   * Publishes what a thread has written and not got round to.
   * @param force - although somebody holds its lock, who must be gone
   * @returns false when somebody holds its lock
   */
  publishFor(producer: number, force: boolean): boolean {
    return this.#module.publishWritten(producer, force ? 1 : 0) !== 0;
  }

  /** Rows of the chunk that have been taken. */
  taken(chunk: number, generation: number): number {
    return spooledRows(Atomics.load(this.#i32, this.#spooled(chunk)), generation);
  }

  /** Rows of the chunk that are, or were, in a segment. */
  written(chunk: number, generation: number): number {
    return spooledRows(Atomics.load(this.#i32, this.#entry(chunk, CHUNK_WRITTEN_OFFSET)), generation);
  }

  setWritten(chunk: number, generation: number, rows: number): void {
    Atomics.store(
      this.#i32,
      this.#entry(chunk, CHUNK_WRITTEN_OFFSET),
      (generation << SPOOLED_ROWS_BITS) | rows,
    );
  }

  /** Rows that have been taken and not given back, of all chunks there ever were. */
  get takenRows(): number {
    return Number(Atomics.load(this.#i64, HEADER_SPOOL_TAKEN_OFFSET >> 3));
  }

  addTaken(rows: number): void {
    Atomics.add(this.#i64, HEADER_SPOOL_TAKEN_OFFSET >> 3, BigInt(rows));
  }

  /** Takes rows [from, to): from now on they count as kept. @returns false when the chunk was reused meanwhile */
  take({ chunk, generation }: ChunkView, from: number, to: number): boolean {
    const base = generation << SPOOLED_ROWS_BITS;
    const expected = base | from;
    // First, so that rows of a spooler that dies here are missed and not forgotten.
    this.addTaken(to - from);
    if (Atomics.compareExchange(this.#i32, this.#spooled(chunk), expected, base | to) === expected)
      return true;
    this.addTaken(from - to);
    return false;
  }

  /** Gives rows from `from` on back, which could not be kept. @returns false when the chunk was reused meanwhile */
  untake(chunk: number, generation: number, from: number): boolean {
    const base = generation << SPOOLED_ROWS_BITS;
    for (;;) {
      const taken = this.taken(chunk, generation);
      if (taken <= from)
        return Atomics.load(this.#i32, this.#entry(chunk, CHUNK_GENERATION_OFFSET)) === generation;
      const expected = base | taken;
      if (Atomics.compareExchange(this.#i32, this.#spooled(chunk), expected, base | from) === expected) {
        this.addTaken(from - taken);
        if (this.written(chunk, generation) > from) this.setWritten(chunk, generation, from);
        return true;
      }
    }
  }

  /** Lets a chunk be used again if it is sealed and no more than `kept` rows long. @returns whether that is done with */
  release(chunk: number, generation: number, kept: number): boolean {
    if (Atomics.load(this.#i32, this.#entry(chunk, CHUNK_GENERATION_OFFSET)) !== generation) return true;
    // The state before the count: when it says sealed, the count is final.
    if (Atomics.load(this.#i32, this.#entry(chunk, CHUNK_STATE_OFFSET)) !== CHUNK_SEALED) return false;
    if (Atomics.load(this.#i32, this.#entry(chunk, CHUNK_PUBLISHED_OFFSET)) > kept) return false;
    this.#module.release(chunk);
    return true;
  }

  /** Counts rows as lost that were taken and can be kept no more. */
  loseTaken(rows: number): void {
    this.addTaken(-rows);
    Atomics.add(this.#i64, HEADER_OVERWRITTEN_OFFSET >> 3, BigInt(rows));
  }

  #spooled(chunk: number): number {
    return this.#entry(chunk, CHUNK_SPOOLED_OFFSET);
  }

  /** Index of a word of the chunk's directory entry. */
  #entry(chunk: number, offsetBytes: number): number {
    return (this.#geometry.directoryAddress + chunk * CHUNK_ENTRY_BYTES + offsetBytes) >> 2;
  }
}
