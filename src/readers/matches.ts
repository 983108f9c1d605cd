/** The rows that pass a filter, batch by batch, in capture order. */
import { TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Batch, BatchRoom, Columns } from '../ring/batch.js';
import type { Binding } from '../ring/bindings.js';
import type { EventRow } from '../schema/event.js';
import type { CompiledFilter } from './filter.js';
import { Pace } from './pace.js';
import { decodeRow, type RowSource, successOf } from './rows.js';
import type { View } from './source.js';

export interface MatchingRows {
  /** Indices of the rows that passed. */
  readonly rows: Uint32Array;
  /** Beside `rows`: the events that the filter had to look at. Undefined where it had to look at none. */
  readonly events: readonly (EventRow | undefined)[] | undefined;
}

export interface Matches extends MatchingRows {
  readonly batch: Batch;
}

/**
 * Reads each batch once, holds one at a time, and leaves out those of which no row passes.
 * @param room - for batches that nobody wants any more when the next one is asked for
 */
export async function* matches({ source, filter, refs }: View, room?: BatchRoom): AsyncGenerator<Matches> {
  const columns = new ColumnFilter(source, filter);
  const pace = new Pace();
  for (const ref of refs) {
    if (pace.isDue) await pace.rest();
    const read = ref.read(room);
    const batch = read instanceof Promise ? await read : read;
    if (batch === undefined) continue;
    const candidates = columns.rowsOf(batch, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    const passed = testEvents(filter, batch, candidates, (row) => decodeRow(source, batch, row));
    if (passed.rows.length > 0) yield { batch, ...passed };
  }
}

// What is remembered of a binding.
const BINDING_PASSES = 1;
const BINDING_FAILS = 2;

/** What times, tags and bindings decide: everything that can be decided without decoding an event. */
export class ColumnFilter {
  readonly #source: RowSource;
  readonly #filter: CompiledFilter;
  readonly #bindings = new Uint8Array(TAG_BINDING_MASK + 1);
  #identity = new Uint32Array(0);

  constructor(source: RowSource, filter: CompiledFilter) {
    this.#source = source;
    this.#filter = filter;
    // A row without a binding has its names in the event.
    this.#bindings[0] = BINDING_PASSES;
  }

  /** The rows that may pass with a time in [fromUs, toUs), ascending by index. Not to be written to. */
  rowsOf(batch: Batch, fromUs: number, toUs: number): Uint32Array {
    const { rows, timeUs, tags } = batch;
    const { success, binding, timeMinUs, timeMaxUs } = this.#filter;
    const lowestUs = Math.max(fromUs, timeMinUs);
    const anyTime =
      lowestUs === Number.NEGATIVE_INFINITY && Math.min(toUs, timeMaxUs) === Number.POSITIVE_INFINITY;
    if (anyTime && success === undefined && binding === undefined) return this.#allRows(rows);
    const passed = anyTime ? this.#allRows(rows).slice() : new Uint32Array(rows);
    let count = rows;
    if (!anyTime) {
      count = 0;
      // Stored in any case, and kept by moving on: which rows pass follows no pattern.
      for (let row = 0; row < rows; row++) {
        const time = Math.floor(timeUs[row]);
        passed[count] = row;
        count += time >= lowestUs && time < toUs && time <= timeMaxUs ? 1 : 0;
      }
    }
    if (success !== undefined) count = this.#keepOutcome(passed, count, tags, success);
    if (binding !== undefined) count = this.#keepBound(passed, count, tags, binding);
    return passed.subarray(0, count);
  }

  /** 0, 1, 2 and so on. */
  #allRows(rows: number): Uint32Array {
    if (this.#identity.length < rows) this.#identity = Uint32Array.from({ length: rows }, (_, row) => row);
    return this.#identity.subarray(0, rows);
  }

  /** Moves rows with the outcome to the front. @returns how many there are */
  #keepOutcome(rows: Uint32Array, count: number, tags: Uint32Array, success: boolean | null): number {
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i];
      rows[kept] = row;
      kept += successOf(tags[row]) === success ? 1 : 0;
    }
    return kept;
  }

  /** The same for rows whose binding passes. */
  #keepBound(
    rows: Uint32Array,
    count: number,
    tags: Uint32Array,
    passes: (binding: Binding) => boolean,
  ): number {
    const bindings = this.#bindings;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i];
      const id = tags[row] & TAG_BINDING_MASK;
      if (bindings[id] === 0) {
        bindings[id] = passes(this.#source.binding(id)) ? BINDING_PASSES : BINDING_FAILS;
      }
      rows[kept] = row;
      kept += bindings[id] === BINDING_PASSES ? 1 : 0;
    }
    return kept;
  }
}

/** Those of `candidates` whose events pass as well, in the order given. */
export function testEvents(
  filter: CompiledFilter,
  columns: Columns,
  candidates: Uint32Array,
  decode: (row: number) => EventRow,
): MatchingRows {
  if (filter.event === undefined && filter.unboundEvent === undefined) {
    return { rows: candidates, events: undefined };
  }
  const rows = new Uint32Array(candidates.length);
  const events: (EventRow | undefined)[] = [];
  for (const row of candidates) {
    const bound = (columns.tags[row] & TAG_BINDING_MASK) !== 0;
    const test = bound ? filter.event : filter.unboundEvent;
    const event = test && decode(row);
    if (event !== undefined && !test?.(event)) continue;
    rows[events.length] = row;
    events.push(event);
  }
  return { rows: rows.subarray(0, events.length), events };
}
