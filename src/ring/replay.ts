/** Replay: rows of an earlier life of the experiment go into the accumulators of a new memory. */
import {
  COLUMN_COST_OFFSET,
  COLUMN_LATENCY_OFFSET,
  COLUMN_TAG_OFFSET,
  COLUMN_TIME_OFFSET,
  COLUMN_TOKENS_OFFSET,
  PRODUCER_BYTES,
  PRODUCER_STATS_VERSION_OFFSET,
  PRODUCERS,
} from '../../assembly/layout.js';
import { isWordColumn } from '../row/declared.js';
import type { Batch } from './batch.js';
import type { ColumnPlacement, Geometry } from './memory.js';
import { instantiate, type RingModule, type SharedMemory } from './wasm.js';

/** The chunk and the producer that are borrowed for it. */
const CHUNK = 0;
const PRODUCER = 0;
const VERSION = (PRODUCERS + PRODUCER * PRODUCER_BYTES + PRODUCER_STATS_VERSION_OFFSET) >> 2;

/** To be used before anybody captures: it borrows the memory's first chunk. */
export class Replay {
  readonly #module: RingModule;
  readonly #f64: Float64Array;
  readonly #i32: Int32Array;
  readonly #address: number;
  readonly #columns: readonly ColumnPlacement[];

  constructor(memory: SharedMemory, { chunksAddress, columns }: Geometry) {
    this.#columns = columns;
    this.#module = instantiate(memory);
    this.#f64 = new Float64Array(memory.buffer);
    this.#i32 = new Int32Array(memory.buffer);
    this.#address = chunksAddress;
    // Readers pass over a producer that has never published.
    const version = PRODUCERS + PRODUCER * PRODUCER_BYTES + PRODUCER_STATS_VERSION_OFFSET;
    Atomics.add(this.#i32, version >> 2, 2);
  }

  add(batch: Batch): void {
    this.#f64.set(batch.timeUs, (this.#address + COLUMN_TIME_OFFSET) >> 3);
    this.#f64.set(batch.latencyMs, (this.#address + COLUMN_LATENCY_OFFSET) >> 3);
    this.#f64.set(batch.costUsd, (this.#address + COLUMN_COST_OFFSET) >> 3);
    this.#pairs(COLUMN_TOKENS_OFFSET, batch.promptTokens, batch.completionTokens);
    this.#pairs(COLUMN_TAG_OFFSET, batch.tags, batch.blobOffsets);
    for (const [column, { type, offsetBytes, live }] of this.#columns.entries()) {
      if (!live) continue;
      const [into, width] = isWordColumn(type) ? [this.#i32, 4] : [this.#f64, 8];
      into.set(batch.declared[column]!, (this.#address + offsetBytes) / width);
    }
    this.#module.replay(PRODUCER, CHUNK, batch.rows);
    // Accumulators whose version is 0 have never been used, for all that readers know.
    Atomics.add(this.#i32, VERSION, 2);
  }

  #pairs(offsetBytes: number, first: ArrayLike<number>, second: ArrayLike<number>): void {
    const start = (this.#address + offsetBytes) >> 2;
    for (let i = 0; i < first.length; i++) {
      this.#i32[start + 2 * i] = first[i];
      this.#i32[start + 2 * i + 1] = second[i];
    }
  }
}
