/** The rows that pass a filter, batch by batch, in capture order. */
import { TAG_BINDING_MASK } from '../../assembly/layout.js';
import { Pace } from '../pace.js';
import type { Batch, BatchRoom } from '../ring/batch.js';
import type { CompiledFilter } from './filter.js';
import { type MatchingRows, RowTests } from './row-tests.js';
import { decodeRow, successOf } from './rows.js';
import type { View } from './source.js';
import { ZoneFilter } from './zones.js';

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
  { source, filter, refs, signal }: View,
  { room, rowsOf }: Reading = {},
): AsyncGenerator<Matches> {
  const tests = new RowTests(source, filter);
  const columns = new ColumnFilter(filter, tests);
  const zones = new ZoneFilter(filter, tests);
  const pace = new Pace();
  for (const ref of refs) {
    signal?.throwIfAborted();
    if (zones.skips(ref)) continue;
    if (pace.isDue) await pace.rest();
    const read = ref.read(room);
    const batch = read instanceof Promise ? await read : read;
    if (batch === undefined) continue;
    zones.learn(ref, batch);
    const candidates =
      rowsOf?.(batch) ?? columns.rowsOf(batch, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    const passed = tests.apply(batch, candidates, (row) => decodeRow(source, batch, row));
    if (passed.rows.length > 0) yield { batch, ...passed };
  }
}

// What is remembered of a binding.
const BINDING_PASSES = 1;
const BINDING_FAILS = 2;

/** What times, tags and bindings decide: everything that can be decided without decoding an event. */
export class ColumnFilter {
  readonly #filter: CompiledFilter;
  readonly #tests: RowTests;
  readonly #bindings = new Uint8Array(TAG_BINDING_MASK + 1);

  constructor(filter: CompiledFilter, tests: RowTests) {
    this.#filter = filter;
    this.#tests = tests;
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
      this.#bindings[id] = this.#tests.excludes(id) ? BINDING_FAILS : BINDING_PASSES;
    }
    return this.#bindings[id] === BINDING_PASSES;
  }
}
