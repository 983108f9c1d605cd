/**
 * Allocation and verification of an experiment's shared memory. What lies where is said in assembly/layout.ts.
 */

import {
  ACCUMULATORS_BYTES,
  BANDS_END,
  CHUNK_ALIGN_BYTES,
  CHUNK_ENTRY_BYTES,
  CHUNK_ROWS,
  COLUMN_GAP_BYTES,
  COLUMNS_END_OFFSET,
  EVENT_BYTES_MAX,
  HEADER_ACCUMULATORS_OFFSET,
  HEADER_ANCHOR_NS_OFFSET,
  HEADER_ANCHOR_US_OFFSET,
  HEADER_BLOB_BYTES_OFFSET,
  HEADER_BLOB_OFFSET_OFFSET,
  HEADER_BLOCK_MS_OFFSET,
  HEADER_BYTES,
  HEADER_CHUNK_COUNT_OFFSET,
  HEADER_CHUNK_STRIDE_OFFSET,
  HEADER_CHUNKS_OFFSET,
  HEADER_DIRECTORY_OFFSET,
  HEADER_LIVE_OFFSET,
  HEADER_MAGIC_OFFSET,
  HEADER_MEMORY_BYTES_OFFSET,
  HEADER_NEXT_EVENT_SLOT_OFFSET,
  HEADER_NEXT_SLOT_OFFSET,
  HEADER_OVERFLOW_OFFSET,
  HEADER_PRODUCER_COUNT_OFFSET,
  HEADER_SCRATCH_OFFSET,
  HEADER_SPARE_COUNT_OFFSET,
  HEADER_STREAMING_OFFSET,
  HEADER_VERSION_OFFSET,
  HEADER_WAKE_EVERY_OFFSET,
  LANDING_BYTES,
  LAYOUT_MAGIC,
  LAYOUT_VERSION,
  LIVE_BOOLEANS,
  LIVE_COUNT_OFFSET,
  LIVE_NUMBERS,
  LIVE_PLACE_BYTES,
  LIVE_PLACES_OFFSET,
  LIVE_SLOTS_OFFSET,
  MEMORY_BYTES_MAX,
  OVERFLOW_BLOCK,
  OVERFLOW_OVERWRITE,
  OVERFLOW_REJECT,
  PAGE_BYTES,
  ROW_CHAIN,
  SLOT_BYTES,
  SLOT_EVENT_START,
} from '../../assembly/layout.js';
import { ConfigError, LayoutError } from '../errors.js';
import { isWordColumn } from '../row/declared.js';
import type { ColumnType, DeclaredColumn } from '../schema/columns.js';
import { reserveMemory, type SharedMemory } from './wasm.js';

export type OverflowPolicy = 'overwrite' | 'reject' | 'block';

const OVERFLOW_CODES: Record<OverflowPolicy, number> = {
  overwrite: OVERFLOW_OVERWRITE,
  reject: OVERFLOW_REJECT,
  block: OVERFLOW_BLOCK,
};

/** Room for undeclared metadata where memory allows it; only what is used is ever touched. */
const BLOB_BYTES_PER_ROW = 256;
const BLOB_BYTES_PER_ROW_MIN = 16;

/** A declared column inside a chunk. Numbers are f64 with NaN = null; bool and dict are u32 with 0 = null. */
export interface ColumnPlacement {
  readonly name: string;
  readonly type: ColumnType;
  readonly offsetBytes: number;
  /** Whether streaming metrics are kept of it. */
  readonly live: boolean;
}

/** Sizes and addresses, all in bytes but for the counts; immutable for the life of the memory. */
export interface Geometry {
  /** Chunks that hold rows. */
  readonly chunkCount: number;
  /** Chunks behind those, which are only ever joined to one of them: room for one event of the largest size. */
  readonly spareCount: number;
  readonly chunkStrideBytes: number;
  readonly blobOffsetBytes: number;
  readonly blobBytes: number;
  readonly scratchBytes: number;
  readonly producerCount: number;
  readonly accumulatorsAddress: number;
  /** 0 where no column is live. */
  readonly liveAddress: number;
  readonly scratchAddress: number;
  readonly landingAddress: number;
  readonly directoryAddress: number;
  readonly chunksAddress: number;
  readonly memoryBytes: number;
  readonly columns: readonly ColumnPlacement[];
}

export interface MemoryOptions {
  /** Rows to keep; rounded up to whole chunks. */
  capacityRows: number;
  columns: readonly DeclaredColumn[];
  producerCount: number;
  overflow: OverflowPolicy;
  /** How long 'block', and no other policy, waits for a chunk; 0, the default, where nothing is ever released. */
  blockMs?: number;
  /** Chunks are written to disk, by a thread that is woken when some are ready. Default false. */
  spooled?: boolean;
  /** The same instant on both clocks: monotonic nanoseconds and microseconds since the Unix epoch. */
  anchorNs: bigint;
  anchorUs: number;
}

/** Chunks that are sealed between two wake-ups of the spooler, at most; fewer in a small ring. */
const WAKE_EVERY_MAX = 16;

const alignUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/**
 * Distance between the regions of one experiment's memory and the next one's.
 *
 * Memories are reserved at addresses that differ in their high bits only. Some processors tell lines of the L1
 * cache apart by fewer bits than that: the same columns of two experiments, written in turn, would push each
 * other out (measured with four: 23 ns a row instead of 15).
 */
const STAGGER_BYTES = 17 * CHUNK_ALIGN_BYTES;
const STAGGERS = 64;
let memoriesAllocated = 0;

/** Bytes of a chunk that has all the room for undeclared metadata that one may have. */
export function chunkBytesOf(columns: readonly { type: ColumnType }[]): number {
  const { blobOffsetBytes } = placeColumns(columns);
  return alignUp(blobOffsetBytes + BLOB_BYTES_PER_ROW * CHUNK_ROWS, CHUNK_ALIGN_BYTES);
}

/** Where the declared columns of a chunk begin, and what follows them. */
function placeColumns(columns: readonly { type: ColumnType }[]): {
  offsetsBytes: number[];
  blobOffsetBytes: number;
} {
  let blobOffsetBytes = COLUMNS_END_OFFSET + COLUMN_GAP_BYTES;
  const offsetsBytes = columns.map(({ type }) => {
    const offsetBytes = blobOffsetBytes;
    blobOffsetBytes += CHUNK_ROWS * (isWordColumn(type) ? 4 : 8) + COLUMN_GAP_BYTES;
    return offsetBytes;
  });
  return { offsetsBytes, blobOffsetBytes };
}

/** Places everything for `capacityRows`, `staggerBytes` (a multiple of 2 KiB) further on than it could be. @throws ConfigError when it cannot fit one memory of 2 GiB */
export function planGeometry(
  capacityRows: number,
  columns: readonly DeclaredColumn[],
  producerCount: number,
  staggerBytes = 0,
): Geometry {
  const chunkCount = Math.ceil(capacityRows / CHUNK_ROWS);
  const { offsetsBytes, blobOffsetBytes } = placeColumns(columns);
  const placements = columns.map(({ name, type, live = false }, i) => ({
    name,
    type,
    offsetBytes: offsetsBytes[i],
    live,
  }));

  const accumulatorsAddress = alignUp(BANDS_END, PAGE_BYTES) + staggerBytes;
  const liveCount = placements.filter(({ live }) => live).length;
  const behindAccumulators = accumulatorsAddress + producerCount * ACCUMULATORS_BYTES;
  const liveAddress = liveCount === 0 ? 0 : behindAccumulators;
  const liveBytes = liveCount === 0 ? 0 : LIVE_SLOTS_OFFSET + producerCount * liveCount * SLOT_BYTES;
  const scratchAddress = alignUp(behindAccumulators + liveBytes, CHUNK_ALIGN_BYTES);
  const scratchBytes = 4 * BLOB_BYTES_PER_ROW * CHUNK_ROWS;
  const landingAddress = alignUp(scratchAddress + producerCount * scratchBytes, CHUNK_ALIGN_BYTES);
  const directoryAddress = landingAddress + producerCount * LANDING_BYTES;
  const blobBytesMin = BLOB_BYTES_PER_ROW_MIN * CHUNK_ROWS;
  const spareCountMax = Math.ceil(EVENT_BYTES_MAX / (blobOffsetBytes + blobBytesMin));
  const directoryBytes = (chunkCount + spareCountMax) * CHUNK_ENTRY_BYTES;
  const chunksAddress = alignUp(directoryAddress + directoryBytes, CHUNK_ALIGN_BYTES);

  if (chunksAddress - directoryBytes > MEMORY_BYTES_MAX) {
    throw new ConfigError('producers', 'a number whose accumulators fit one 2 GiB memory', producerCount);
  }
  // The spare ones take up to a chunk more than an event.
  const roomBytes = Math.floor((MEMORY_BYTES_MAX - chunksAddress - EVENT_BYTES_MAX) / (chunkCount + 1));
  const blobRoomBytes = Math.floor(roomBytes / CHUNK_ALIGN_BYTES) * CHUNK_ALIGN_BYTES - blobOffsetBytes;
  const blobBytes = Math.min(BLOB_BYTES_PER_ROW * CHUNK_ROWS, blobRoomBytes);
  if (blobBytes < blobBytesMin) {
    throw new ConfigError('capacity', 'a number of rows that fits one 2 GiB memory', capacityRows);
  }
  const chunkStrideBytes = alignUp(blobOffsetBytes + blobBytes, CHUNK_ALIGN_BYTES);
  const spareCount = Math.ceil(EVENT_BYTES_MAX / chunkStrideBytes);
  return {
    chunkCount,
    spareCount,
    chunkStrideBytes,
    blobOffsetBytes,
    blobBytes: chunkStrideBytes - blobOffsetBytes,
    scratchBytes,
    producerCount,
    accumulatorsAddress,
    liveAddress,
    scratchAddress,
    landingAddress,
    directoryAddress,
    chunksAddress,
    memoryBytes: alignUp(chunksAddress + (chunkCount + spareCount) * chunkStrideBytes, PAGE_BYTES),
    columns: placements,
  };
}

/** Reserves an experiment's memory in full and writes its header. Pages cost nothing until they are touched. @throws MemoryError */
export function allocateMemory(options: MemoryOptions): { memory: SharedMemory; geometry: Geometry } {
  const staggerBytes = (memoriesAllocated++ % STAGGERS) * STAGGER_BYTES;
  const geometry = planGeometry(options.capacityRows, options.columns, options.producerCount, staggerBytes);
  const memory = reserveMemory(geometry.memoryBytes / PAGE_BYTES, 'an experiment');
  const header = new DataView(memory.buffer);
  const words: [number, number][] = [
    [HEADER_MEMORY_BYTES_OFFSET, geometry.memoryBytes],
    [HEADER_CHUNK_COUNT_OFFSET, geometry.chunkCount],
    [HEADER_SPARE_COUNT_OFFSET, geometry.spareCount],
    [HEADER_CHUNK_STRIDE_OFFSET, geometry.chunkStrideBytes],
    [HEADER_BLOB_OFFSET_OFFSET, geometry.blobOffsetBytes],
    [HEADER_BLOB_BYTES_OFFSET, geometry.blobBytes],
    [HEADER_ACCUMULATORS_OFFSET, geometry.accumulatorsAddress],
    [HEADER_LIVE_OFFSET, geometry.liveAddress],
    ...liveWords(geometry),
    [HEADER_SCRATCH_OFFSET, geometry.scratchAddress],
    [HEADER_DIRECTORY_OFFSET, geometry.directoryAddress],
    [HEADER_CHUNKS_OFFSET, geometry.chunksAddress],
    [HEADER_PRODUCER_COUNT_OFFSET, geometry.producerCount],
    [HEADER_OVERFLOW_OFFSET, OVERFLOW_CODES[options.overflow]],
    [HEADER_NEXT_SLOT_OFFSET, 1],
    [HEADER_NEXT_EVENT_SLOT_OFFSET, SLOT_EVENT_START],
    [HEADER_STREAMING_OFFSET, 1],
    [HEADER_VERSION_OFFSET, LAYOUT_VERSION],
    [HEADER_BLOCK_MS_OFFSET, options.overflow === 'block' ? (options.blockMs ?? 0) : 0],
    [HEADER_WAKE_EVERY_OFFSET, options.spooled ? wakeEvery(geometry.chunkCount) : 0],
  ];
  for (const [offset, value] of words) header.setUint32(offset, value, true);
  header.setBigInt64(HEADER_ANCHOR_NS_OFFSET, options.anchorNs, true);
  header.setFloat64(HEADER_ANCHOR_US_OFFSET, options.anchorUs, true);
  const chain = new Uint16Array(memory.buffer, ROW_CHAIN, CHUNK_ROWS);
  for (let row = 0; row < CHUNK_ROWS; row++) chain[row] = row + 2;
  // The magic comes last: a memory that carries it is complete.
  header.setUint32(HEADER_MAGIC_OFFSET, LAYOUT_MAGIC, true);
  return { memory, geometry };
}

/** Where the live columns stand, as words at addresses. */
function liveWords({ liveAddress, columns }: Geometry): [number, number][] {
  const live = columns.filter((column) => column.live);
  if (live.length === 0) return [];
  return [
    [liveAddress + LIVE_COUNT_OFFSET, live.length],
    ...live.flatMap(({ type, offsetBytes }, i): [number, number][] => {
      const place = liveAddress + LIVE_PLACES_OFFSET + i * LIVE_PLACE_BYTES;
      return [
        [place, offsetBytes],
        [place + 4, type === 'bool' ? LIVE_BOOLEANS : LIVE_NUMBERS],
      ];
    }),
  ];
}

function wakeEvery(chunkCount: number): number {
  return Math.max(1, Math.min(WAKE_EVERY_MAX, chunkCount >> 2));
}

/** Checks that a memory handed over by another thread is one of ours. @throws LayoutError */
export function verifyMemory(memory: SharedMemory): void {
  const expect = (what: string, expected: number, actual: number) => {
    if (actual !== expected) throw new LayoutError(what, expected, actual);
  };
  if (memory.buffer.byteLength < HEADER_BYTES) {
    throw new LayoutError('size in bytes', HEADER_BYTES, memory.buffer.byteLength);
  }
  const header = new DataView(memory.buffer);
  expect('magic', LAYOUT_MAGIC, header.getUint32(HEADER_MAGIC_OFFSET, true));
  expect('version', LAYOUT_VERSION, header.getUint32(HEADER_VERSION_OFFSET, true));
  expect('size in bytes', header.getUint32(HEADER_MEMORY_BYTES_OFFSET, true), memory.buffer.byteLength);
}

/** Smallest page size in use; touching one byte of each page is enough. */
const OS_PAGE_BYTES = 4096;

/** Touches the pages of all chunks' columns, so that capture never waits for the system to supply them. */
export function prefaultChunks(
  memory: SharedMemory,
  { chunkCount, chunkStrideBytes, chunksAddress, blobOffsetBytes }: Geometry,
): void {
  const bytes = new Uint8Array(memory.buffer);
  for (let chunk = 0; chunk < chunkCount; chunk++) {
    const start = chunksAddress + chunk * chunkStrideBytes;
    // Adding 0 writes; a plain store of 0 to a fresh page could be dropped by the compiler.
    for (let at = start; at < start + blobOffsetBytes; at += OS_PAGE_BYTES) Atomics.add(bytes, at, 0);
  }
}
