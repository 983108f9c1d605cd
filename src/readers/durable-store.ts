/** DurableStore: the rows of a durable experiment, on disk and, where they are not there yet, in its ring. */
import { CHUNK_ROWS } from '../../assembly/layout.js';
import type { BatchRef } from '../ring/batch.js';
import type { RingReader } from '../ring/reader.js';
import type { Segments } from '../storage/segments.js';
import { mergeRefs } from './merge-refs.js';
import type { RowSource } from './rows.js';
import { meets, type RowStore, type Snapshot } from './source.js';

/** The ring is not reused so often while a few chunks are copied. */
const ATTEMPTS_MAX = 100;

export class DurableStore implements RowStore {
  readonly source: RowSource;
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
    this.#learn = learn;
  }

  snapshot(timeMinUs: number, timeMaxUs: number): Snapshot {
    for (let attempt = 1; ; attempt++) {
      const refs = this.#tryRefs();
      if (refs !== undefined || attempt === ATTEMPTS_MAX) {
        return { refs: (refs ?? []).filter((ref) => meets(ref, timeMinUs, timeMaxUs)) };
      }
    }
  }

  /** @returns undefined when a chunk was reused between being listed and being copied; its rows are on disk by now */
  #tryRefs(): BatchRef[] | undefined {
    // The ring first: what has left it by the time the segments are listed is in them.
    const views = this.#reader.chunks();
    const onDisk = this.#segments.refs();
    this.#learn(this.#segments.texts);
    const ends = new Map<number, number>();
    for (const { firstSequence, rows } of onDisk) {
      const chunk = Math.floor(firstSequence / CHUNK_ROWS);
      const end = firstSequence - chunk * CHUNK_ROWS + rows;
      if (end > (ends.get(chunk) ?? 0)) ends.set(chunk, end);
    }
    const inRing: BatchRef[] = [];
    for (const view of views) {
      const from = ends.get(view.sequence) ?? 0;
      if (from >= view.rows) continue;
      // Copied at once: when somebody wants the rows, their chunk may hold others.
      const batch = this.#reader.read(view, from);
      if (batch === undefined) return undefined;
      const { timeMinUs, timeMaxUs } = view;
      const { firstSequence, rows, producer } = batch;
      inRing.push({ firstSequence, rows, producer, timeMinUs, timeMaxUs, read: () => batch });
    }
    return mergeRefs(onDisk, inRing);
  }
}
