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
  readonly #reused: boolean;

  /**
   * @param reused - whether chunks may be reused while somebody reads. Then a snapshot copies its rows at once;
   *   otherwise they are copied batch by batch, as they are read.
   */
  constructor(reader: RingReader, source: RowSource, reused: boolean) {
    this.#reader = reader;
    this.source = source;
    this.#reused = reused;
  }

  snapshot(timeMinUs: number, timeMaxUs: number): Snapshot {
    const refs: BatchRef[] = [];
    for (const view of this.#reader.chunks()) {
      if (!meets(view, timeMinUs, timeMaxUs)) continue;
      if (!this.#reused) {
        refs.push(refTo(view, (room) => this.#read(view, room)));
        continue;
      }
      const batch = this.#read(view);
      if (batch !== undefined) refs.push(refTo(view, () => batch));
    }
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
