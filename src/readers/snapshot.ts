/** Snapshot: private copies of all rows that were readable at one moment, and the order to read them in. */
import { FLAG_FAILED, FLAG_SUCCEEDED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import { type Batch, timeUsOf } from '../ring/batch.js';
import type { RingReader } from '../ring/reader.js';
import type { EventRow } from '../schema/event.js';
import type { CompiledFilter } from './filter.js';
import { decodeRow, type RowSource } from './rows.js';

export interface Snapshot {
  /** In the order they were captured. */
  readonly batches: readonly Batch[];
  /** Rows whose chunk was reused while it was being copied. */
  readonly lappedRows: number;
}

/** Copies every readable row whose chunk may hold events in the time range. */
export function takeSnapshot(reader: RingReader, filter: CompiledFilter): Snapshot {
  const batches: Batch[] = [];
  let lappedRows = 0;
  for (const view of reader.chunks()) {
    if (view.timeMaxUs < filter.timeMinUs || Math.floor(view.timeMinUs) > filter.timeMaxUs) continue;
    const batch = reader.read(view);
    if (batch) batches.push(batch);
    else lappedRows += view.rows;
  }
  return { batches, lappedRows };
}

/** A row that passed a filter: where it is, and the decoded event if the filter had to look at one. */
export interface Match {
  readonly batch: Batch;
  readonly index: number;
  readonly event: EventRow | undefined;
}

/** The rows that pass, in capture order. Columns are looked at first; events are decoded only if needed. */
export function* matches(source: RowSource, snapshot: Snapshot, filter: CompiledFilter): Generator<Match> {
  if (filter.nothing) return;
  const bindings = new Map<number, boolean>();
  const bindingPasses = (id: number) => {
    let passes = bindings.get(id);
    if (passes === undefined) {
      passes = id === 0 || filter.binding(source.binding(id));
      bindings.set(id, passes);
    }
    return passes;
  };
  for (const batch of snapshot.batches) {
    for (let index = 0; index < batch.rows; index++) {
      const time = timeUsOf(batch, index);
      if (time < filter.timeMinUs || time > filter.timeMaxUs) continue;
      const tag = batch.tags[index];
      if (filter.success !== undefined && successOf(tag) !== filter.success) continue;
      const id = tag & TAG_BINDING_MASK;
      if (!bindingPasses(id)) continue;
      const test = id === 0 ? filter.unboundEvent : filter.event;
      let event: EventRow | undefined;
      if (test !== undefined) {
        event = decodeRow(source, batch, index);
        if (!test(event)) continue;
      }
      yield { batch, index, event };
    }
  }
}

export function successOf(tag: number): boolean | null {
  return (tag & FLAG_SUCCEEDED) !== 0 ? true : (tag & FLAG_FAILED) !== 0 ? false : null;
}

/** Matching rows ascending by time; ties keep capture order. */
export function orderedMatches(source: RowSource, snapshot: Snapshot, filter: CompiledFilter): Match[] {
  const found = [...matches(source, snapshot, filter)];
  const timeOf = ({ batch, index }: Match) => timeUsOf(batch, index);
  const inOrder = found.every((match, i) => i === 0 || timeOf(found[i - 1]) <= timeOf(match));
  return inOrder ? found : found.sort((a, b) => timeOf(a) - timeOf(b));
}

export function eventOf(source: RowSource, match: Match): EventRow {
  return match.event ?? decodeRow(source, match.batch, match.index);
}
