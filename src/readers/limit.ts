/** What had been captured at one moment, so that a snapshot taken a little later, by another thread, stops there. */
import { CHUNK_ROWS } from '../../assembly/layout.js';
import { type BatchRef, partOf } from '../ring/batch.js';
import type { RingReader } from '../ring/reader.js';

/** Structured-cloneable. */
export interface SnapshotLimit {
  /** Chunks claimed later are not in it. */
  readonly nextSequence: number;
  /** Of chunks that were still being filled: how many rows they had, by the chunk's sequence. */
  readonly open: ReadonlyMap<number, number>;
}

/** As of now. Rows that other threads publish at the same moment may be in it or not. */
export function limitNow(reader: RingReader): SnapshotLimit {
  // In this order: a chunk that is claimed in between has no rows that are wanted.
  const { nextSequence } = reader;
  return { nextSequence, open: reader.openRows() };
}

/** What the refs hold: rows that are written later are not in it. */
export function limitOf(refs: readonly BatchRef[]): SnapshotLimit {
  const rows = new Map<number, number>();
  let nextSequence = 0;
  for (const ref of refs) {
    const chunk = Math.floor(ref.firstSequence / CHUNK_ROWS);
    const end = ref.firstSequence + ref.rows - chunk * CHUNK_ROWS;
    nextSequence = Math.max(nextSequence, chunk + 1);
    rows.set(chunk, Math.max(end, rows.get(chunk) ?? 0));
  }
  const open = new Map([...rows].filter(([, count]) => count < CHUNK_ROWS));
  return { nextSequence, open };
}

/** The refs as far as they lie within the limit. */
export function limited(refs: readonly BatchRef[], { nextSequence, open }: SnapshotLimit): BatchRef[] {
  const kept: BatchRef[] = [];
  for (const ref of refs) {
    const chunk = Math.floor(ref.firstSequence / CHUNK_ROWS);
    if (chunk >= nextSequence) continue;
    const rowsThen = open.get(chunk);
    const end = ref.firstSequence + ref.rows;
    const limit = rowsThen === undefined ? end : Math.min(end, chunk * CHUNK_ROWS + rowsThen);
    if (limit > ref.firstSequence) kept.push(partOf(ref, ref.firstSequence, limit));
  }
  return kept;
}
