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

  constructor(reader: RingReader, source: RowSource) {
    this.#reader = reader;
    this.source = source;
  }

  /** Rows are copied as they are read: what is overwritten until then is gone, as it is from the ring. */
  snapshot(timeMinUs: number, timeMaxUs: number): Snapshot {
    const views = this.#reader.chunks().filter((view) => meets(view, timeMinUs, timeMaxUs));
    return { refs: views.map((view) => refTo(view, (room) => this.#read(view, room))) };
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
