/** MemoryStore: the rows of a ring. */
import { CHUNK_ROWS } from '../../assembly/layout.js';
import type { Batch, BatchRef, BatchRoom } from '../ring/batch.js';
import type { ChunkView, RingReader } from '../ring/reader.js';
import type { RowSource } from './rows.js';
import { meets, type RowStore, type Snapshot } from './source.js';

export class MemoryStore implements RowStore {
  readonly source: RowSource;
  /** Rows whose chunk was reused between being listed and being copied. */
  lappedRows = 0;

  readonly #reader: RingReader;
  /** To chunks that are full, by sequence: the same ones for as long as the chunk is in the ring. */
  #sealed = new Map<number, BatchRef>();

  constructor(reader: RingReader, source: RowSource) {
    this.#reader = reader;
    this.source = source;
  }

  /** Rows are copied as they are read: what is overwritten until then is gone, as it is from the ring. */
  snapshot(timeMinUs: number, timeMaxUs: number): Snapshot {
    const sealed = new Map<number, BatchRef>();
    const refs: BatchRef[] = [];
    for (const view of this.#reader.chunks()) {
      const ref = this.#sealed.get(view.sequence) ?? refTo(view, (room) => this.#read(view, room));
      if (view.sealed) sealed.set(view.sequence, ref);
      if (meets(ref, timeMinUs, timeMaxUs)) refs.push(ref);
    }
    this.#sealed = sealed;
    return { refs };
  }

  #read(view: ChunkView, room?: BatchRoom): Batch | undefined {
    const batch = room === undefined ? this.#reader.read(view) : this.#reader.readInto(room, view);
    if (batch === undefined) this.lappedRows += view.rows;
    return batch;
  }
}

function refTo(view: ChunkView, read: BatchRef['read']): BatchRef {
  const { sequence, rows, producer, timeMinUs, timeMaxUs } = view;
  return { firstSequence: sequence * CHUNK_ROWS, rows, producer, timeMinUs, timeMaxUs, read };
}
