/** The experiment's shared control words: capture state and counters. */
import {
  CAPTURE_PAUSED,
  CAPTURE_RUNNING,
  CAPTURE_STOPPED,
  HEADER_NEXT_SEQUENCE_OFFSET,
  HEADER_OVERWRITTEN_OFFSET,
  HEADER_STATE_OFFSET,
  HEADER_STREAMING_OFFSET,
  PRODUCER_ACTIVE,
  PRODUCER_BYTES,
  PRODUCER_CUT_OFFSET,
  PRODUCER_MALFORMED_OFFSET,
  PRODUCER_OVERFLOWED_OFFSET,
  PRODUCER_PUBLISHED_OFFSET,
  PRODUCER_REFUSED_OFFSET,
  PRODUCER_STATE_OFFSET,
  PRODUCERS,
} from '../../assembly/layout.js';
import { insist } from './insist.js';
import type { Geometry } from './memory.js';
import { instantiate, type RingModule, type SharedMemory } from './wasm.js';

/** At a lock that is held for microseconds. */
const PUBLISH_TRIES = 1000;

export interface RingCounts {
  /** Rows published, by all producers. */
  published: number;
  /** Published rows whose chunk was reused. */
  overwritten: number;
  /** Rows that a full ring refused. */
  refused: number;
  /** Events stored with only what could be read of them. */
  malformed: number;
  /** Events whose name found the dictionary full. */
  overflowed: number;
  /** Events that were too large to be kept whole; malformed, too. */
  cut: number;
}

export class RingControl {
  readonly #memory: SharedMemory;
  readonly #geometry: Geometry;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #i64: BigInt64Array;
  #module: RingModule | undefined;

  constructor(memory: SharedMemory, geometry: Geometry) {
    this.#memory = memory;
    this.#geometry = geometry;
    this.#i32 = new Int32Array(memory.buffer);
    this.#f64 = new Float64Array(memory.buffer);
    this.#i64 = new BigInt64Array(memory.buffer);
  }

  /** Whether capture is wanted. Producers on other threads look at every 256th row and on their timer. */
  get isRunning(): boolean {
    return Atomics.load(this.#i32, HEADER_STATE_OFFSET >> 2) === CAPTURE_RUNNING;
  }

  get isStopped(): boolean {
    return Atomics.load(this.#i32, HEADER_STATE_OFFSET >> 2) === CAPTURE_STOPPED;
  }

  run(): void {
    Atomics.store(this.#i32, HEADER_STATE_OFFSET >> 2, CAPTURE_RUNNING);
  }

  pause(): void {
    Atomics.store(this.#i32, HEADER_STATE_OFFSET >> 2, CAPTURE_PAUSED);
  }

  stop(): void {
    Atomics.store(this.#i32, HEADER_STATE_OFFSET >> 2, CAPTURE_STOPPED);
  }

  /** Whether rows are folded into the accumulators when they are published. */
  set streaming(wanted: boolean) {
    Atomics.store(this.#i32, HEADER_STREAMING_OFFSET >> 2, wanted ? 1 : 0);
  }

  /** Sequence of the next chunk to be claimed; to be set before anybody captures. */
  set nextSequence(sequence: number) {
    Atomics.store(this.#i64, HEADER_NEXT_SEQUENCE_OFFSET >> 3, BigInt(sequence));
  }

  counts(): RingCounts {
    const counts = {
      published: 0,
      overwritten: Number(Atomics.load(this.#i64, HEADER_OVERWRITTEN_OFFSET >> 3)),
      refused: 0,
      malformed: 0,
      overflowed: 0,
      cut: 0,
    };
    for (let producer = 0; producer < this.#geometry.producerCount; producer++) {
      const block = PRODUCERS + producer * PRODUCER_BYTES;
      counts.published += this.#f64[(block + PRODUCER_PUBLISHED_OFFSET) >> 3];
      counts.refused += this.#f64[(block + PRODUCER_REFUSED_OFFSET) >> 3];
      counts.malformed += this.#f64[(block + PRODUCER_MALFORMED_OFFSET) >> 3];
      counts.overflowed += this.#f64[(block + PRODUCER_OVERFLOWED_OFFSET) >> 3];
      counts.cut += this.#f64[(block + PRODUCER_CUT_OFFSET) >> 3];
    }
    return counts;
  }

  /** Producers that have not given themselves back. */
  activeProducers(): number[] {
    const active: number[] = [];
    for (let producer = 0; producer < this.#geometry.producerCount; producer++) {
      const state = (PRODUCERS + producer * PRODUCER_BYTES + PRODUCER_STATE_OFFSET) >> 2;
      if (Atomics.load(this.#i32, state) === PRODUCER_ACTIVE) active.push(producer);
    }
    return active;
  }

  /**
   * Makes what all threads have written readable, although they have not got round to publishing it. Waits for nobody: who
   * holds a producer's lock is just publishing its rows.
   */
  publishAll(): void {
    this.#module ??= instantiate(this.#memory);
    for (const producer of this.activeProducers()) {
      for (let tries = 0; tries < PUBLISH_TRIES && this.#module.publishWritten(producer, 0) === 0; tries++);
    }
  }

  /**
   * Publishes what producers of threads that ended without a word had written. Only after `stop`: a thread
   * that still runs would be writing to the same chunk.
   */
  adopt(producers: readonly number[]): void {
    this.#module ??= instantiate(this.#memory);
    const ring = this.#module;
    for (const producer of producers) insist((force) => ring.publishWritten(producer, force), 0);
  }
}
