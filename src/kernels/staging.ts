/** Staging: where the kernels find columns that are read batch by batch. */
import { CHUNK_ROWS } from '../../assembly/layout.js';
import type { BatchRoom, Words } from '../ring/batch.js';
import type { Kernels } from './kernels.js';

type Column = Float64Array | Int32Array | Uint32Array;

interface Place {
  readonly address: number;
  readonly bytes: number;
  /** What was copied last. */
  column?: Column;
}

/** Of a column; what is longer gets room of its own length. */
const BYTES_MIN = 8192;

export class Staging {
  /** Batches that are read into it are in the kernels' memory from the start. */
  readonly room: BatchRoom;
  readonly #kernels: Kernels;
  readonly #places = new Map<string, Place>();
  /** Where pairs are split. */
  #pairs: number | undefined;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.room = {
      place: (bytes) => ({ buffer: kernels.buffer, byteOffset: kernels.allocate(bytes) }),
      split: (pairs, first, second) => this.#split(pairs, first, second),
    };
  }

  /** Columns of the room have places for whole fours, and nobody reads beyond their ends. */
  #split(pairs: Int32Array, first: Words, second: Words): void {
    this.#pairs ??= this.#kernels.allocate(8 * CHUNK_ROWS);
    this.#kernels.i32.set(pairs, this.#pairs >> 2);
    this.#kernels.module.splitPairs(this.#pairs, pairs.length / 2, first.byteOffset, second.byteOffset);
  }

  /**
   * The column's address; one that is elsewhere is copied to the place for columns of this name. It must not change
   * while it is the last of that name.
   */
  addressOf(name: string, column: Column): number {
    const { buffer, u8 } = this.#kernels;
    if (column.buffer === buffer) return column.byteOffset;
    let place = this.#places.get(name);
    if (place === undefined || place.bytes < column.byteLength) {
      const bytes = Math.max(BYTES_MIN, column.byteLength);
      place = { address: this.#kernels.allocate(bytes), bytes };
      this.#places.set(name, place);
    }
    if (place.column === column) return place.address;
    place.column = column;
    u8.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), place.address);
    return place.address;
  }
}
