/** DurableStore: the rows of a durable experiment, on disk and, where they are not there yet, in its ring. */
import { CHUNK_ROWS } from '../../assembly/layout.js';
import type { BatchRef } from '../ring/batch.js';
import type { RingReader } from '../ring/reader.js';
import type { Segments } from '../storage/segment/segments.js';
import { mergeRefs } from './merge-refs.js';
import type { RowSource } from './rows.js';
import { type KnownDamage, meets, type RowStore, type Snapshot } from './source.js';

export class DurableStore implements RowStore {
  readonly source: RowSource;
  readonly damage: KnownDamage;
  readonly #reader: RingReader;
  readonly #segments: Segments;

  readonly #learn: (texts: Segments['texts']) => void;

  /** @param learn - is told the dictionaries that the segments' rows refer to, before any row is read */
  constructor(
    segments: Segments,
    reader: RingReader,
    source: RowSource,
    learn: (texts: Segments['texts']) => void,
  ) {
    this.#segments = segments;
    this.#reader = reader;
    this.source = source;
    this.damage = segments.ledger;
    this.#learn = learn;
  }

  snapshot(timeMinUs: number, timeMaxUs: number): Snapshot {
    const refs = this.#refs().filter((ref) => meets(ref, timeMinUs, timeMaxUs));
    return { refs };
  }

  #refs(): BatchRef[] {
    // The ring first: what has left it by the time the segments are listed is in them.
    const views = this.#reader.chunks().map((view) => ({ view, written: this.#reader.written(view) }));
    let onDisk = this.#list();
    const ends = endsOf(onDisk);
    const inRing: BatchRef[] = [];
    let wasLapped = false;
    for (const { view, written } of views) {
      // Rows that were written and are not listed have expired, unless the disk failed and they were taken back.
      const gone = Math.min(written, this.#reader.written(view));
      const from = Math.max(ends.get(view.sequence) ?? 0, gone);
      if (from >= view.rows) continue;
      // Copied at once: when somebody wants the rows, their chunk may hold others.
      const batch = this.#reader.read(view, from);
      if (batch === undefined) {
        wasLapped = true;
        continue;
      }
      const { timeMinUs, timeMaxUs } = view;
      const { firstSequence, rows, producer } = batch;
      inRing.push({ firstSequence, rows, producer, timeMinUs, timeMaxUs, read: () => batch });
    }
    // A chunk that was reused meanwhile had been written before, or is lost.
    if (wasLapped) onDisk = this.#list();
    return mergeRefs(onDisk, inRing);
  }

  #list(): BatchRef[] {
    const refs = this.#segments.refs();
    this.#learn(this.#segments.texts);
    return refs;
  }
}

/** Rows of each chunk that are on disk. */
function endsOf(refs: readonly BatchRef[]): Map<number, number> {
  const ends = new Map<number, number>();
  for (const { firstSequence, rows } of refs) {
    const chunk = Math.floor(firstSequence / CHUNK_ROWS);
    const end = firstSequence - chunk * CHUNK_ROWS + rows;
    if (end > (ends.get(chunk) ?? 0)) ends.set(chunk, end);
  }
  return ends;
}
