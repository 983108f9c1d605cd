/** Rows on disk and rows in memory as one: every row once, whatever overlaps. */
import { type Batch, type BatchRef, type BatchRoom, subBatch } from '../ring/batch.js';

/**
 * Refs that cover every sequence of `disk` and `memory` exactly once, ascending. The disk's may overlap one another
 * (a batch written again after a failure) and the memory's. What is on disk is read from there: it stays, while a
 * chunk whose rows are safe may be reused.
 */
export function mergeRefs(disk: readonly BatchRef[], memory: readonly BatchRef[]): BatchRef[] {
  const kept = disjoint(disk);
  const merged: BatchRef[] = [];
  let next = 0;
  let covered = 0;
  for (const ref of disjoint(memory)) {
    const end = endOf(ref);
    let from = Math.max(ref.firstSequence, covered);
    for (; next < kept.length && kept[next].firstSequence < end; next++) {
      const onDisk = kept[next];
      if (from < onDisk.firstSequence) merged.push(part(ref, from, onDisk.firstSequence));
      merged.push(onDisk);
      covered = endOf(onDisk);
      from = Math.max(from, covered);
    }
    if (from < end) merged.push(part(ref, from, end));
  }
  for (; next < kept.length; next++) merged.push(kept[next]);
  return merged;
}

/** The same rows, each once, ascending. */
function disjoint(refs: readonly BatchRef[]): BatchRef[] {
  const ascending = [...refs].sort((a, b) => a.firstSequence - b.firstSequence || b.rows - a.rows);
  const kept: BatchRef[] = [];
  let covered = 0;
  for (const ref of ascending) {
    const from = Math.max(ref.firstSequence, covered);
    if (from >= endOf(ref)) continue;
    kept.push(part(ref, from, endOf(ref)));
    covered = endOf(ref);
  }
  return kept;
}

function endOf(ref: BatchRef): number {
  return ref.firstSequence + ref.rows;
}

function part(ref: BatchRef, from: number, end: number): BatchRef {
  return from === ref.firstSequence && end === endOf(ref) ? ref : new TrimmedRef(ref, from, end);
}

/** The rows of a ref whose sequences lie in [from, end). */
class TrimmedRef implements BatchRef {
  readonly firstSequence: number;
  readonly rows: number;
  readonly producer: number;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  readonly #whole: BatchRef;

  constructor(whole: BatchRef, from: number, end: number) {
    this.firstSequence = from;
    this.rows = end - from;
    this.producer = whole.producer;
    this.timeMinUs = whole.timeMinUs;
    this.timeMaxUs = whole.timeMaxUs;
    this.#whole = whole;
  }

  read(room?: BatchRoom): Batch | undefined | Promise<Batch | undefined> {
    const whole = this.#whole.read(room);
    return whole instanceof Promise ? whole.then((batch) => this.#trim(batch)) : this.#trim(whole);
  }

  #trim(batch: Batch | undefined): Batch | undefined {
    if (batch === undefined) return undefined;
    const from = this.firstSequence - batch.firstSequence;
    return subBatch(batch, from, from + this.rows);
  }
}
