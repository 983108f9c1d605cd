/** Rows on disk and rows in memory as one: every row once, whatever overlaps. */
import { type BatchRef, partOf } from '../ring/batch.js';

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
      if (from < onDisk.firstSequence) merged.push(partOf(ref, from, onDisk.firstSequence));
      merged.push(onDisk);
      covered = endOf(onDisk);
      from = Math.max(from, covered);
    }
    if (from < end) merged.push(partOf(ref, from, end));
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
    kept.push(partOf(ref, from, endOf(ref)));
    covered = endOf(ref);
  }
  return kept;
}

function endOf(ref: BatchRef): number {
  return ref.firstSequence + ref.rows;
}
