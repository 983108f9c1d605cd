/** Where the bytes of a chunk's byte area are: in the chunk itself, and then in the chunks that are joined to it. */
import { CHUNK_ENTRY_BYTES, CHUNK_NEXT_OFFSET, EVENT_BYTES_MAX } from '../../assembly/layout.js';
import type { Geometry } from './memory.js';

/** A chunk whose rows have so many bytes takes no more. */
export const JOINED_BYTES_MAX = 8 * 1024 * 1024;
/** The last of its rows may be as large as any. */
export const BYTE_AREA_BYTES_MAX = JOINED_BYTES_MAX + EVENT_BYTES_MAX;

/** So many more chunks hold what does not fit one chunk's byte area. */
export function joinedChunks({ blobBytes, chunkStrideBytes }: Geometry, bytes: number): number {
  return bytes <= blobBytes ? 0 : Math.ceil((bytes - blobBytes) / chunkStrideBytes);
}

/**
 * Goes over bytes [from, end) of a chunk's byte area, piece by piece.
 * @param i32 - the whole memory
 * @returns false when chunks are missing: this one was reused meanwhile, and `visit` may have seen anything
 */
export function forEachPiece(
  i32: Int32Array,
  geometry: Geometry,
  chunk: number,
  from: number,
  end: number,
  visit: (address: number, bytes: number) => void,
): boolean {
  const { chunkCount, spareCount, directoryAddress, chunksAddress, chunkStrideBytes } = geometry;
  /** Of the piece that `current` holds: where it begins and ends in the byte area, and in the memory. */
  let start = 0;
  let pieceEnd = geometry.blobBytes;
  let address = chunksAddress + chunk * chunkStrideBytes + geometry.blobOffsetBytes;
  for (let current = chunk; ; ) {
    const first = Math.max(from, start);
    const last = Math.min(end, pieceEnd);
    if (first < last) visit(address + first - start, last - first);
    if (end <= pieceEnd) return true;
    current = i32[(directoryAddress + current * CHUNK_ENTRY_BYTES + CHUNK_NEXT_OFFSET) >> 2];
    if (!(current >= 0 && current < chunkCount + spareCount)) return false;
    start = pieceEnd;
    pieceEnd += chunkStrideBytes;
    address = chunksAddress + current * chunkStrideBytes;
  }
}
