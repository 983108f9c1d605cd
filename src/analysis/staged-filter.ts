/** StagedFilter: what a filter's columns decide, by one pass of a kernel over times and tags. */
import { FLAG_FAILED, FLAG_SUCCEEDED, FLAGS_DECIDED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Staging } from '../kernels/staging.js';
import { RowTests } from '../readers/row-tests.js';
import type { View } from '../readers/source.js';
import type { Batch } from '../ring/batch.js';

// What is known of a binding.
const FAILS = 0;
const PASSES = 1;
const UNKNOWN = 2;

/** What `pickRows` needs behind the rows, u32. */
const PICKING_ROOM = 68;

export class StagedFilter {
  readonly #kernels: Kernels;
  readonly #staging: Staging;
  readonly #tests: RowTests;
  readonly #filter: View['filter'];
  /** Of the tag: which bits the filter looks at, and what they must be. */
  readonly #mask: number;
  readonly #wanted: number;
  readonly #picksAll: boolean;
  /** u8 by the binding's id. */
  readonly #bindings: number;
  /** Indices of rows; 0 before there is room for any. */
  #rows = 0;
  #roomRows = 0;

  constructor(kernels: Kernels, staging: Staging, { source, filter }: View) {
    const { success, timeMinUs, timeMaxUs } = filter;
    this.#kernels = kernels;
    this.#staging = staging;
    this.#tests = new RowTests(source, filter);
    this.#filter = filter;
    [this.#mask, this.#wanted] = outcomeBits(success);
    this.#bindings = kernels.allocate(TAG_BINDING_MASK + 1);
    kernels.u8.fill(
      this.#tests.isEmpty ? PASSES : UNKNOWN,
      this.#bindings,
      this.#bindings + TAG_BINDING_MASK + 1,
    );
    // A row without a binding has its names in the event.
    kernels.u8[this.#bindings] = PASSES;
    this.#picksAll =
      success === undefined &&
      this.#tests.isEmpty &&
      timeMinUs === Number.NEGATIVE_INFINITY &&
      timeMaxUs === Number.POSITIVE_INFINITY;
  }

  /** The rows that may pass, ascending; until the next call. */
  rowsOf(batch: Batch): Uint32Array {
    const { rows, timeUs, tags } = batch;
    this.#makeRoom(rows);
    if (!this.#picksAll) {
      const times = this.#staging.addressOf('timeUs', timeUs);
      const tagsAddress = this.#staging.addressOf('tags', tags);
      const count = this.#pick(times, tagsAddress, rows);
      if (count >= 0) return this.#picked(count);
      this.#learn(tags);
      return this.#picked(this.#pick(times, tagsAddress, rows));
    }
    return this.#picked(rows);
  }

  #pick(times: number, tags: number, rows: number): number {
    const { timeMinUs, timeMaxUs } = this.#filter;
    const { module } = this.#kernels;
    const bindings = this.#bindings;
    return module.pickRows(
      times,
      tags,
      rows,
      timeMinUs,
      timeMaxUs,
      this.#mask,
      this.#wanted,
      bindings,
      this.#rows,
    );
  }

  #picked(count: number): Uint32Array {
    return this.#kernels.u32.subarray(this.#rows >> 2, (this.#rows >> 2) + count);
  }

  /** Finds out about the bindings of these rows. */
  #learn(tags: Uint32Array): void {
    const { u8 } = this.#kernels;
    for (const tag of tags) {
      const id = tag & TAG_BINDING_MASK;
      if (u8[this.#bindings + id] !== UNKNOWN) continue;
      u8[this.#bindings + id] = this.#tests.excludes(id) ? FAILS : PASSES;
    }
  }

  /** All rows are picked where nothing else is asked for. */
  #makeRoom(rows: number): void {
    if (rows <= this.#roomRows) return;
    this.#rows = this.#kernels.allocate(4 * (rows + PICKING_ROOM));
    this.#roomRows = rows;
    if (this.#picksAll)
      this.#picked(rows).forEach((_, row, all) => {
        all[row] = row;
      });
  }
}

function outcomeBits(success: boolean | null | undefined): [mask: number, wanted: number] {
  if (success === undefined) return [0, 0];
  if (success === null) return [FLAGS_DECIDED, 0];
  return success ? [FLAG_SUCCEEDED, FLAG_SUCCEEDED] : [FLAGS_DECIDED, FLAG_FAILED];
}
