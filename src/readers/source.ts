/** Where rows come from: memory, disk or both. From here on nobody can tell which. */
import type { BatchRef } from '../ring/batch.js';
import type { CompiledFilter } from './filter.js';
import { limited, type SnapshotLimit } from './limit.js';
import type { RowSource } from './rows.js';

/** All readable rows of an experiment at one moment. */
export interface Snapshot {
  /** Ascending by `firstSequence`; no row is in two of them. */
  readonly refs: readonly BatchRef[];
}

/** What has been found lost of rows that were on disk. It grows as they are read. */
export interface KnownDamage {
  readonly rows: number;
}

export interface RowStore {
  readonly source: RowSource;
  /** Absent where nothing is on disk. */
  readonly damage?: KnownDamage;
  /** What can be read now; may leave out what holds no time of the range (µs, both ends inclusive). */
  snapshot(timeMinUs: number, timeMaxUs: number): Snapshot;
}

/** A filter put to a snapshot. It can be read as often as wanted, and gives the same rows each time. */
export interface View {
  readonly source: RowSource;
  readonly filter: CompiledFilter;
  /** Those of the snapshot whose time range meets the filter's. */
  readonly refs: readonly BatchRef[];
  /** Of the store. */
  readonly damage?: KnownDamage | undefined;
  /** Ends whatever reads the view, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** @param limit - what had been captured when the view was asked for; absent, whatever has been by now */
export function openView(
  store: RowStore,
  filter: CompiledFilter,
  limit?: SnapshotLimit,
  signal?: AbortSignal,
): View {
  const { source, damage } = store;
  const { timeMinUs, timeMaxUs, nothing } = filter;
  if (nothing) return { source, filter, refs: [], damage, signal };
  const { refs } = store.snapshot(timeMinUs, timeMaxUs);
  const within = limit === undefined ? refs : limited(refs, limit);
  const refsWithin = within.filter((ref) => meets(ref, timeMinUs, timeMaxUs));
  return { source, filter, refs: refsWithin, damage, signal };
}

/** Whether rows of that time range may lie in the given one, both ends inclusive. */
export function meets(
  rows: { readonly timeMinUs: number; readonly timeMaxUs: number },
  timeMinUs: number,
  timeMaxUs: number,
): boolean {
  // What readers tell as a row's time is floored, and may lie below the range's lower end.
  return rows.timeMaxUs >= timeMinUs && Math.floor(rows.timeMinUs) <= timeMaxUs;
}
