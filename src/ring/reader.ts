/**
 * The reader side of the ring: optimistic copies.
 *
 * A reader takes no lock and holds nothing up. It notes a chunk's generation and published count, copies the
 * rows below that count, and compares the generation again: if it changed, the chunk was reused meanwhile and
 * the copy is thrown away. Rows below a published count are never written again within a generation.
 */
import {
  CHUNK_BLOB_END_OFFSET,
  CHUNK_ENTRY_BYTES,
  CHUNK_GENERATION_OFFSET,
  CHUNK_PRODUCER_OFFSET,
  CHUNK_PUBLISHED_OFFSET,
  CHUNK_ROWS,
  CHUNK_SEQUENCE_OFFSET,
  CHUNK_TIME_MAX_OFFSET,
  CHUNK_TIME_MIN_OFFSET,
  COLUMN_COST_OFFSET,
  COLUMN_LATENCY_OFFSET,
  COLUMN_TAG_OFFSET,
  COLUMN_TIME_OFFSET,
  COLUMN_TOKENS_OFFSET,
} from '../../assembly/layout.js';
import type { Batch } from './batch.js';
import { type Geometry, isWordColumn } from './memory.js';
import type { SharedMemory } from './wasm.js';

/** Of a row, declared columns aside. */
const COLUMN_BYTES = 40;

/** A chunk as it stood when it was listed. */
export interface ChunkView {
  readonly chunk: number;
  readonly generation: number;
  /** Order of the claim. */
  readonly sequence: number;
  readonly producer: number;
  readonly rows: number;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
}

export class RingReader {
  readonly #geometry: Geometry;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #i64: BigInt64Array;
  readonly #bytes: Buffer;

  constructor(memory: SharedMemory, geometry: Geometry) {
    this.#geometry = geometry;
    this.#i32 = new Int32Array(memory.buffer);
    this.#f64 = new Float64Array(memory.buffer);
    this.#i64 = new BigInt64Array(memory.buffer);
    this.#bytes = Buffer.from(memory.buffer);
  }

  /** The chunks that hold rows, in the order they were claimed: a snapshot of the whole ring. */
  chunks(): ChunkView[] {
    const views: ChunkView[] = [];
    for (let chunk = 0; chunk < this.#geometry.chunkCount; chunk++) {
      const view = this.#view(chunk);
      if (view) views.push(view);
    }
    return views.sort((a, b) => a.sequence - b.sequence);
  }

  #view(chunk: number): ChunkView | undefined {
    const entry = this.#entry(chunk);
    const generation = Atomics.load(this.#i32, (entry + CHUNK_GENERATION_OFFSET) >> 2);
    if (generation === 0 || (generation & 1) !== 0) return undefined;
    const rows = Atomics.load(this.#i32, (entry + CHUNK_PUBLISHED_OFFSET) >> 2);
    if (rows === 0) return undefined;
    const view = {
      chunk,
      generation,
      sequence: Number(this.#i64[(entry + CHUNK_SEQUENCE_OFFSET) >> 3]),
      producer: this.#i32[(entry + CHUNK_PRODUCER_OFFSET) >> 2],
      rows,
      timeMinUs: this.#f64[(entry + CHUNK_TIME_MIN_OFFSET) >> 3],
      timeMaxUs: this.#f64[(entry + CHUNK_TIME_MAX_OFFSET) >> 3],
    };
    return this.#unchanged(view) ? view : undefined;
  }

  /** Copies the chunk's rows as of when it was listed; undefined when the reader was lapped. */
  read(view: ChunkView): Batch | undefined {
    const { chunkStrideBytes, chunksAddress, blobOffsetBytes, columns } = this.#geometry;
    const { chunk, rows } = view;
    const entry = this.#entry(chunk);
    const address = chunksAddress + chunk * chunkStrideBytes;
    const [f64, i32] = [this.#f64, this.#i32];
    // One allocation for all columns: one for each costs more than the copying.
    const buffer = new ArrayBuffer(rows * (COLUMN_BYTES + 8 * columns.length));
    let used = 0;
    const place = (bytes: number) => {
      used += bytes;
      return used - bytes;
    };
    const doubles = (offsetBytes: number) => {
      const column = new Float64Array(buffer, place(rows * 8), rows);
      const start = (address + offsetBytes) >> 3;
      column.set(f64.subarray(start, start + rows));
      return column;
    };
    const words = (offsetBytes: number) => {
      const column = new Int32Array(buffer, place(rows * 8), rows);
      const start = (address + offsetBytes) >> 2;
      column.set(i32.subarray(start, start + rows));
      return column;
    };
    const tokens = (address + COLUMN_TOKENS_OFFSET) >> 2;
    const tags = (address + COLUMN_TAG_OFFSET) >> 2;
    const blobBytes = this.#i32[(entry + CHUNK_BLOB_END_OFFSET) >> 2];
    const blobAddress = address + blobOffsetBytes;
    const batch: Batch = {
      firstSequence: view.sequence * CHUNK_ROWS,
      producer: view.producer,
      rows,
      timeUs: doubles(COLUMN_TIME_OFFSET),
      latencyMs: doubles(COLUMN_LATENCY_OFFSET),
      costUsd: doubles(COLUMN_COST_OFFSET),
      promptTokens: everySecond(i32, tokens, new Int32Array(buffer, place(rows * 4), rows)),
      completionTokens: everySecond(i32, tokens + 1, new Int32Array(buffer, place(rows * 4), rows)),
      tags: everySecond(i32, tags, new Uint32Array(buffer, place(rows * 4), rows)),
      blobOffsets: everySecond(i32, tags + 1, new Uint32Array(buffer, place(rows * 4), rows)),
      blob: Buffer.from(this.#bytes.subarray(blobAddress, blobAddress + blobBytes)),
      declared: columns.map(({ type, offsetBytes }) =>
        isWordColumn(type) ? words(offsetBytes) : doubles(offsetBytes),
      ),
    };
    return this.#unchanged(view) ? batch : undefined;
  }

  /**
   * Whether the chunk is still what the view says. A read-modify-write, because a plain atomic load would let
   * the processor move earlier reads of the rows past it.
   */
  #unchanged(view: { chunk: number; generation: number }): boolean {
    const index = (this.#entry(view.chunk) + CHUNK_GENERATION_OFFSET) >> 2;
    return Atomics.add(this.#i32, index, 0) === view.generation;
  }

  #entry(chunk: number): number {
    return this.#geometry.directoryAddress + chunk * CHUNK_ENTRY_BYTES;
  }
}

function everySecond<T extends Int32Array | Uint32Array>(pairs: Int32Array, start: number, into: T): T {
  for (let i = 0; i < into.length; i++) into[i] = pairs[start + 2 * i];
  return into;
}
