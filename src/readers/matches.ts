/** The rows that pass a filter, batch by batch, in capture order. */
import { TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Batch, BatchRoom, Columns } from '../ring/batch.js';
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

export interface Reading {
  /** For batches that nobody wants any more when the next one is asked for. */
  readonly room?: BatchRoom;
  /** Says of which rows the columns decide that they may pass, ascending; until the next batch. */
  readonly rowsOf?: (batch: Batch) => Uint32Array;
}

/** Reads each batch once, holds one at a time, and leaves out those of which no row passes. */
export async function* matches(
  { source, filter, refs }: View,
  { room, rowsOf }: Reading = {},
): AsyncGenerator<Matches> {
  const columns = new ColumnFilter(source, filter);
  const pace = new Pace();
  for (const ref of refs) {
    if (pace.isDue) await pace.rest();
    const read = ref.read(room);
    const batch = read instanceof Promise ? await read : read;
    if (batch === undefined) continue;
    const candidates =
      rowsOf?.(batch) ?? columns.rowsOf(batch, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
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

  constructor(source: RowSource, filter: CompiledFilter) {
    this.#source = source;
    this.#filter = filter;
    // A row without a binding has its names in the event.
    this.#bindings[0] = BINDING_PASSES;
  }

  /** The rows that may pass with a time in [fromUs, toUs), ascending by index. */
  rowsOf(batch: Batch, fromUs: number, toUs: number): Uint32Array {
    const { rows, timeUs, tags } = batch;
    const { timeMinUs, timeMaxUs, success } = this.#filter;
    const bindings = this.#bindings;
    const lowestUs = Math.max(fromUs, timeMinUs);
    const passed = new Uint32Array(rows);
    let count = 0;
    for (let row = 0; row < rows; row++) {
      const time = Math.floor(timeUs[row]);
      if (time < lowestUs || time >= toUs || time > timeMaxUs) continue;
      const tag = tags[row];
      if (success !== undefined && successOf(tag) !== success) continue;
      const id = tag & TAG_BINDING_MASK;
      if (bindings[id] !== BINDING_PASSES && !this.#bindingPasses(id)) continue;
      passed[count++] = row;
    }
    return passed.subarray(0, count);
  }

  #bindingPasses(id: number): boolean {
    if (this.#bindings[id] === 0) {
      const passes = this.#filter.binding?.(this.#source.binding(id)) ?? true;
      this.#bindings[id] = passes ? BINDING_PASSES : BINDING_FAILS;
    }
    return this.#bindings[id] === BINDING_PASSES;
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
