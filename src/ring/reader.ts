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
  CHUNK_FREE,
  CHUNK_GENERATION_OFFSET,
  CHUNK_PRODUCER_OFFSET,
  CHUNK_PUBLISHED_OFFSET,
  CHUNK_ROWS,
  CHUNK_SEALED,
  CHUNK_SEQUENCE_OFFSET,
  CHUNK_STATE_OFFSET,
  CHUNK_TIME_MAX_OFFSET,
  CHUNK_TIME_MIN_OFFSET,
  CHUNK_WRITTEN_OFFSET,
  COLUMN_COST_OFFSET,
  COLUMN_LATENCY_OFFSET,
  COLUMN_TAG_OFFSET,
  COLUMN_TIME_OFFSET,
  COLUMN_TOKENS_OFFSET,
  FLAG_BLOB,
  FLAGS_TO_PRICE,
  HEADER_NEXT_SEQUENCE_OFFSET,
  SPOOLED_ROWS_BITS,
  UNPRICED_MASK,
} from '../../assembly/layout.js';
import { isWordColumn } from '../row/declared.js';
import type { Batch, BatchRoom, DeclaredValues, Words } from './batch.js';
import { BYTE_AREA_BYTES_MAX, forEachPiece } from './byte-area.js';
import type { Geometry } from './memory.js';
import type { SharedMemory } from './wasm.js';

/** A chunk as it stood when it was listed. */
export interface ChunkView {
  readonly chunk: number;
  readonly generation: number;
  /** Order of the claim. */
  readonly sequence: number;
  readonly producer: number;
  readonly rows: number;
  /** No more rows will be written to it. */
  readonly sealed: boolean;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
}

/** Of a row, declared columns aside. */
const COLUMN_BYTES = 40;

/** Room for rows; a reader that reads many chunks and keeps none uses the same one for all. */
export class BatchBuffers {
  readonly timeUs: Float64Array;
  readonly latencyMs: Float64Array;
  readonly costUsd: Float64Array;
  readonly promptTokens: Int32Array;
  readonly completionTokens: Int32Array;
  readonly tags: Uint32Array;
  readonly blobOffsets: Uint32Array;
  readonly blob: Buffer;
  readonly declared: readonly DeclaredValues[];

  constructor(
    { columns, blobBytes }: Geometry,
    rows = CHUNK_ROWS,
    blobRoom = blobBytes,
    placed: BatchRoom['place'] = (bytes) => ({ buffer: new ArrayBuffer(bytes), byteOffset: 0 }),
  ) {
    // One allocation for all columns: one for each costs more than the copying.
    const { buffer, byteOffset } = placed(rows * (COLUMN_BYTES + 8 * columns.length));
    let used = byteOffset;
    const place = (bytes: number) => {
      used += rows * bytes;
      return used - rows * bytes;
    };
    this.timeUs = new Float64Array(buffer, place(8), rows);
    this.latencyMs = new Float64Array(buffer, place(8), rows);
    this.costUsd = new Float64Array(buffer, place(8), rows);
    this.declared = columns.map(({ type }) =>
      isWordColumn(type) ? new Int32Array(buffer, place(8), rows) : new Float64Array(buffer, place(8), rows),
    );
    this.promptTokens = new Int32Array(buffer, place(4), rows);
    this.completionTokens = new Int32Array(buffer, place(4), rows);
    this.tags = new Uint32Array(buffer, place(4), rows);
    this.blobOffsets = new Uint32Array(buffer, place(4), rows);
    this.blob = Buffer.allocUnsafe(blobRoom);
  }
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

  /**
   * The chunks that hold rows, in the order they were claimed: a snapshot of the whole ring.
   * @param known - says which generation of a chunk and how many of its rows the caller has no use for
   */
  chunks(known?: (chunk: number, generation: number, rows: number) => boolean): ChunkView[] {
    // Chunks claimed while the directory is gone through are left out: one that is seen may have been preceded by one
    // that was passed by before, and what is read is to be a prefix of what each producer wrote.
    const limit = this.nextSequence;
    const views: ChunkView[] = [];
    for (let chunk = 0; chunk < this.#geometry.chunkCount; chunk++) {
      if (known !== undefined && this.#isKnown(chunk, known)) continue;
      const view = this.#view(chunk);
      if (view !== undefined && view.sequence < limit) views.push(view);
    }
    return views.sort((a, b) => a.sequence - b.sequence);
  }

  #isKnown(chunk: number, known: (chunk: number, generation: number, rows: number) => boolean): boolean {
    const entry = this.#entry(chunk);
    const generation = Atomics.load(this.#i32, (entry + CHUNK_GENERATION_OFFSET) >> 2);
    return known(chunk, generation, Atomics.load(this.#i32, (entry + CHUNK_PUBLISHED_OFFSET) >> 2));
  }

  #view(chunk: number): ChunkView | undefined {
    const entry = this.#entry(chunk);
    const generation = Atomics.load(this.#i32, (entry + CHUNK_GENERATION_OFFSET) >> 2);
    if ((generation & 1) !== 0) return undefined;
    // The state before the count: when it says sealed, the count is final.
    const state = Atomics.load(this.#i32, (entry + CHUNK_STATE_OFFSET) >> 2);
    // Given back: its rows are kept elsewhere, or were and are wanted no more.
    if (state === CHUNK_FREE) return undefined;
    const sealed = state === CHUNK_SEALED;
    const rows = Atomics.load(this.#i32, (entry + CHUNK_PUBLISHED_OFFSET) >> 2);
    if (rows === 0) return undefined;
    const view = {
      chunk,
      generation,
      sequence: Number(this.#i64[(entry + CHUNK_SEQUENCE_OFFSET) >> 3]),
      producer: this.#i32[(entry + CHUNK_PRODUCER_OFFSET) >> 2],
      rows,
      sealed,
      timeMinUs: this.#f64[(entry + CHUNK_TIME_MIN_OFFSET) >> 3],
      timeMaxUs: this.#f64[(entry + CHUNK_TIME_MAX_OFFSET) >> 3],
    };
    return this.#unchanged(view) ? view : undefined;
  }

  /** Rows of the chunks that are being filled, by the chunk's sequence. Costs little, however many chunks there are. */
  openRows(): Map<number, number> {
    const open = new Map<number, number>();
    for (let chunk = 0; chunk < this.#geometry.chunkCount; chunk++) {
      const state = Atomics.load(this.#i32, (this.#entry(chunk) + CHUNK_STATE_OFFSET) >> 2);
      if (state === CHUNK_SEALED || state === CHUNK_FREE) continue;
      const view = this.#view(chunk);
      if (view !== undefined && !view.sealed) open.set(view.sequence, view.rows);
    }
    return open;
  }

  /** Sequence of the next chunk to be claimed. */
  get nextSequence(): number {
    return Number(Atomics.load(this.#i64, HEADER_NEXT_SEQUENCE_OFFSET >> 3));
  }

  /** Rows of the chunk that are, or were, in a segment. */
  written({ chunk, generation }: ChunkView): number {
    return spooledRows(Atomics.load(this.#i32, (this.#entry(chunk) + CHUNK_WRITTEN_OFFSET) >> 2), generation);
  }

  /** As `read` of all rows, but into the room, until the next such call. */
  readInto(room: BatchRoom, view: ChunkView): Batch | undefined {
    room.buffers ??= new BatchBuffers(this.#geometry, undefined, undefined, room.place);
    return this.read(view, 0, room.buffers, room.split);
  }

  /**
   * Copies the chunk's rows from `fromRow` on, as of when it was listed; undefined when the reader was lapped.
   * @param buffers - room that the batch is made of and that the next such call reuses; absent, it has its own
   * @param split - for columns that are stored in pairs
   */
  read(view: ChunkView, fromRow = 0, buffers?: BatchBuffers, split = splitWords): Batch | undefined {
    const { chunkStrideBytes, chunksAddress, columns } = this.#geometry;
    const { chunk } = view;
    const rows = view.rows - fromRow;
    const blobEnd = this.#i32[(this.#entry(chunk) + CHUNK_BLOB_END_OFFSET) >> 2];
    const into = buffers ?? new BatchBuffers(this.#geometry, rows, 0);
    const address = chunksAddress + chunk * chunkStrideBytes;
    const doubles = (offsetBytes: number, target: Float64Array) => {
      const start = ((address + offsetBytes) >> 3) + fromRow;
      target.set(this.#f64.subarray(start, start + rows));
      return upTo(rows, target);
    };
    const words = (offsetBytes: number, target: Int32Array) => {
      const start = ((address + offsetBytes) >> 2) + fromRow;
      target.set(this.#i32.subarray(start, start + rows));
      return upTo(rows, target);
    };
    const pairs = (offsetBytes: number, first: Words, second: Words) => {
      const start = ((address + offsetBytes) >> 2) + 2 * fromRow;
      split(this.#i32.subarray(start, start + 2 * rows), first, second);
    };
    pairs(COLUMN_TOKENS_OFFSET, into.promptTokens, into.completionTokens);
    pairs(COLUMN_TAG_OFFSET, into.tags, into.blobOffsets);
    const batch: Batch = {
      firstSequence: view.sequence * CHUNK_ROWS + fromRow,
      producer: view.producer,
      rows,
      timeUs: doubles(COLUMN_TIME_OFFSET, into.timeUs),
      latencyMs: doubles(COLUMN_LATENCY_OFFSET, into.latencyMs),
      costUsd: doubles(COLUMN_COST_OFFSET, into.costUsd),
      promptTokens: upTo(rows, into.promptTokens),
      completionTokens: upTo(rows, into.completionTokens),
      tags: upTo(rows, into.tags),
      blobOffsets: upTo(rows, into.blobOffsets),
      blob: this.#blob(chunk, blobEnd, into, rows),
      declared: columns.map(({ offsetBytes }, i) => {
        const target = into.declared[i];
        return target instanceof Int32Array ? words(offsetBytes, target) : doubles(offsetBytes, target);
      }),
    };
    settleReasons(batch);
    return this.#unchanged(view) ? batch : undefined;
  }

  /**
   * Copies the part of the byte area that the rows in `into` use, and moves their offsets to its start. What is larger
   * than the room gets memory of its own.
   */
  #blob(chunk: number, end: number, { tags, blobOffsets, blob }: BatchBuffers, rows: number): Buffer {
    const nothing = blob.subarray(0, 0);
    if (end === 0) return nothing;
    let first = 0;
    while (first < rows && (tags[first] & FLAG_BLOB) === 0) first++;
    if (first === rows) return nothing;
    const start = blobOffsets[first];
    // A copy that was lapped may hold anything; it is thrown away after this.
    if (!(start <= end && end <= BYTE_AREA_BYTES_MAX)) return nothing;
    const copy = end - start <= blob.byteLength ? blob : Buffer.allocUnsafe(end - start);
    let used = 0;
    const isWhole = forEachPiece(this.#i32, this.#geometry, chunk, start, end, (address, bytes) => {
      copy.set(this.#bytes.subarray(address, address + bytes), used);
      used += bytes;
    });
    if (!isWhole) return nothing;
    if (start > 0) for (let i = first; i < rows; i++) blobOffsets[i] -= start;
    return copy.subarray(0, end - start);
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

/** The first rows of a column; a view costs as much as copying a few hundred rows. */
function upTo<T extends Float64Array | Words>(rows: number, column: T): T {
  return rows === column.length ? column : (column.subarray(0, rows) as T);
}

/** Recorders mark all rows that may need a reason for having no cost: those that have one need none, and who has no tokens. */
function settleReasons({ rows, tags, costUsd, promptTokens, completionTokens }: Batch): void {
  for (let i = 0; i < rows; i++) {
    const tag = tags[i];
    if ((tag & UNPRICED_MASK) === 0 || (tag & FLAG_BLOB) !== 0) continue;
    if (!Number.isNaN(costUsd[i]) || (promptTokens[i] & completionTokens[i]) < 0) {
      tags[i] = tag & ~FLAGS_TO_PRICE;
    }
  }
}

function splitWords(pairs: Int32Array, first: Words, second: Words): void {
  const count = pairs.length / 2;
  for (let i = 0; i < count; i++) {
    first[i] = pairs[2 * i];
    second[i] = pairs[2 * i + 1];
  }
}

/** Rows that a spooled or written word of the directory tells of a generation. */
export function spooledRows(word: number, generation: number): number {
  const isSame = word >> SPOOLED_ROWS_BITS === (generation << SPOOLED_ROWS_BITS) >> SPOOLED_ROWS_BITS;
  return isSame ? word & ((1 << SPOOLED_ROWS_BITS) - 1) : 0;
}
