/**
 * Rows ascending by time, ties in capture order, in bounded memory however many rows there are and however
 * disordered their times.
 *
 * The time line is cut into slices that should hold `sliceRows` rows each, to judge by the time ranges of the refs.
 * A slice is read from the refs that meet it, gathered in a table and sorted. Where times ascend with capture that
 * reads each ref about once; where they do not, refs are read once for each slice that they meet.
 */

import { Pace } from '../pace.js';
import { type Batch, type BatchRef, type BatchRoom, timeUsOf } from '../ring/batch.js';
import type { EventRow } from '../schema/event.js';
import { ColumnFilter } from './matches.js';
import { RowTable } from './row-table.js';
import { type MatchingRows, RowTests } from './row-tests.js';
import { estimateCuts, type Slice, slicesBetween, TimeSample } from './slices.js';
import type { View } from './source.js';
import { ZoneFilter } from './zones.js';

export interface OrderedRows extends MatchingRows {
  /** What `rows` index; overwritten when the next rows are asked for. */
  readonly table: RowTable;
}

export interface OrderOptions {
  /** The latest rows come first, a few at a time; among those that come together, ascending. */
  latestFirst?: boolean;
  /** Rows that a slice should hold; default 65,536. One that holds more than four times as many is cut again. */
  sliceRows?: number;
  /** Bytes without a column that a slice may hold, plus one batch's, before it is cut again; default 64 MiB. */
  sliceBytes?: number;
}

const SLICE_ROWS = 65_536;
const SLICE_BYTES = 64 * 1024 * 1024;
/** How far a slice may exceed what was estimated. */
const SLACK = 4;
/** Times looked at to cut a slice. */
const SAMPLE_TIMES = 65_536;
/** Batches kept because the next slice will want them too: so many, and so many bytes without a column. */
const KEPT_BATCHES = 16;
const KEPT_BYTES = 32 * 1024 * 1024;
/** Rows handed over together: so many, and so many bytes without a column unless a single one has more. */
const BLOCK_ROWS = 1024;
const BLOCK_BYTES = 8 * 1024 * 1024;

/** The rows that pass the view's filter, a block at a time. */
export async function* orderedRows(view: View, options: OrderOptions = {}): AsyncGenerator<OrderedRows> {
  const { latestFirst = false, sliceRows = SLICE_ROWS, sliceBytes = SLICE_BYTES } = options;
  const { timeMinUs, timeMaxUs } = view.filter;
  const tests = new RowTests(view.source, view.filter);
  const reader = new SliceReader(view, tests);
  const table = new RowTable();
  const everything = { fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY };
  /** The slices to come, the next one last. */
  const slices: Slice[] = [];
  const push = (more: Slice[]) => {
    for (const slice of latestFirst ? more : more.reverse()) slices.push(slice);
  };
  push(slicesBetween(everything, estimateCuts(view.refs, timeMinUs, timeMaxUs, sliceRows)));
  for (let slice = slices.pop(); slice !== undefined; slice = slices.pop()) {
    table.clear();
    const overfull = await fill(table, reader, slice, sliceRows, sliceBytes);
    if (overfull === undefined) {
      yield* blocks(view, tests, table, timeOrder(table), latestFirst);
    } else if (overfull.cuts.length > 0) {
      push(slicesBetween(slice, overfull.cuts));
    } else {
      // One instant holds too much: capture order is the order.
      for await (const { batch, rows } of reader.read(slice, latestFirst)) {
        table.clear();
        table.add(batch, rows);
        yield* blocks(view, tests, table, timeOrder(table), latestFirst);
      }
    }
    if (reader.pace.isDue) await reader.pace.rest();
  }
}

/** The events of rows in order; decoded one by one. */
function* eventsOf({ source }: View, { table, rows, events }: OrderedRows): Generator<EventRow> {
  for (let i = 0; i < rows.length; i++) yield events?.[i] ?? table.event(source, rows[i]);
}

/** The events that pass the view's filter, ascending by time; ties keep capture order. */
export async function* orderedEvents(view: View, options?: OrderOptions): AsyncGenerator<EventRow> {
  for await (const block of orderedRows(view, options)) {
    // Not yield*, which would wait for each event as if it were a promise.
    for (const event of eventsOf(view, block)) yield event;
  }
}

/** Reads the refs that meet a slice; keeps the batches that reach beyond it for the next one. */
class SliceReader {
  readonly pace = new Pace();
  readonly #refs: readonly BatchRef[];
  readonly #signal: AbortSignal | undefined;
  readonly #columns: ColumnFilter;
  readonly #zones: ZoneFilter;
  readonly #lowsUs: Float64Array;
  readonly #highsUs: Float64Array;
  readonly #kept = new Map<number, Batch>();
  readonly #room: BatchRoom = {};

  constructor({ filter, refs, signal }: View, tests: RowTests) {
    this.#refs = refs;
    this.#signal = signal;
    this.#columns = new ColumnFilter(filter, tests);
    this.#zones = new ZoneFilter(filter, tests);
    this.#lowsUs = Float64Array.from(refs, ({ timeMinUs }) => Math.floor(timeMinUs));
    this.#highsUs = Float64Array.from(refs, ({ timeMaxUs }) => timeMaxUs);
  }

  /** The slice's rows in capture order, or batch by batch backwards. */
  async *read(
    slice: Slice,
    backwards = false,
  ): AsyncGenerator<{ readonly batch: Batch; readonly rows: Uint32Array }> {
    const count = this.#refs.length;
    for (let i = 0; i < count; i++) {
      const place = backwards ? count - 1 - i : i;
      if (this.#highsUs[place] < slice.fromUs || this.#lowsUs[place] >= slice.toUs) continue;
      this.#signal?.throwIfAborted();
      if (this.#zones.skips(this.#refs[place])) continue;
      if (this.pace.isDue) await this.pace.rest();
      const read = this.#batch(place, slice);
      const batch = read instanceof Promise ? await read : read;
      if (batch === undefined) continue;
      this.#zones.learn(this.#refs[place], batch);
      const rows = this.#columns.rowsOf(batch, slice.fromUs, slice.toUs);
      if (rows.length > 0) yield { batch, rows };
    }
  }

  #batch(place: number, slice: Slice): Batch | undefined | Promise<Batch | undefined> {
    const kept = this.#kept.get(place);
    this.#kept.delete(place);
    const reachesBeyond = this.#lowsUs[place] < slice.fromUs || this.#highsUs[place] >= slice.toUs;
    // What no other slice wants is copied at once, and its memory used again.
    const read = kept ?? this.#refs[place].read(reachesBeyond ? undefined : this.#room);
    if (!reachesBeyond) return read;
    if (read instanceof Promise) return read.then((batch) => this.#keep(place, batch));
    return this.#keep(place, read);
  }

  #keep(place: number, batch: Batch | undefined): Batch | undefined {
    if (batch === undefined) return undefined;
    this.#kept.set(place, batch);
    let bytes = 0;
    for (const { blob } of this.#kept.values()) bytes += blob.length;
    for (const [oldest, { blob }] of this.#kept) {
      if (this.#kept.size <= KEPT_BATCHES && (bytes <= KEPT_BYTES || this.#kept.size === 1)) break;
      bytes -= blob.length;
      this.#kept.delete(oldest);
    }
    return batch;
  }
}

/**
 * Gathers the slice's rows. If they are too many, where to cut the slice: nowhere if all have the same time. The
 * rest of the slice is read all the same, since a cut that is off would cost more than that.
 */
async function fill(
  table: RowTable,
  reader: SliceReader,
  slice: Slice,
  sliceRows: number,
  sliceBytes: number,
): Promise<{ readonly cuts: number[] } | undefined> {
  let sample: TimeSample | undefined;
  let bytes = 0;
  for await (const { batch, rows } of reader.read(slice)) {
    if (sample === undefined) {
      if (table.rows + rows.length <= SLACK * sliceRows && table.blobBytes <= sliceBytes) {
        table.add(batch, rows);
        continue;
      }
      sample = new TimeSample(SAMPLE_TIMES);
      for (let row = 0; row < table.rows; row++) sample.add(timeUsOf(table, row));
      bytes = table.blobBytes;
      table.clear();
    }
    for (const row of rows) sample.add(timeUsOf(batch, row));
    bytes += (batch.blob.length * rows.length) / batch.rows;
  }
  if (sample === undefined) return undefined;
  if (sample.minUs === sample.maxUs) return { cuts: [] };
  return {
    cuts: sample.cuts(Math.ceil(Math.max(sample.count / sliceRows, (SLACK * bytes) / sliceBytes, 2))),
  };
}

/** The table's rows that pass whatever needs the event, in the given order, block by block from either end. */
function* blocks(
  { source }: View,
  tests: RowTests,
  table: RowTable,
  order: Uint32Array,
  latestFirst: boolean,
): Generator<OrderedRows> {
  const ends = blockEnds(table, order);
  const count = ends.length;
  for (let i = 0; i < count; i++) {
    const block = latestFirst ? count - 1 - i : i;
    const candidates = order.subarray(block === 0 ? 0 : ends[block - 1], ends[block]);
    const passed = tests.apply(table, candidates, (row) => table.event(source, row));
    if (passed.rows.length > 0) yield { table, ...passed };
  }
}

/** Where each block of rows ends. */
function blockEnds(table: RowTable, order: Uint32Array): number[] {
  const ends: number[] = [];
  const isBounded = table.blobBytes <= BLOCK_BYTES;
  for (let end = 0; end < order.length; ) {
    const most = Math.min(end + BLOCK_ROWS, order.length);
    if (isBounded) end = most;
    else for (let bytes = 0; end < most && bytes < BLOCK_BYTES; end++) bytes += table.blobBytesOf(order[end]);
    ends.push(end);
  }
  return ends;
}

/** The table's rows ascending by time, ties as they stand. */
function timeOrder(table: RowTable): Uint32Array {
  const count = table.rows;
  const order = new Uint32Array(count);
  const times = new Float64Array(count);
  let inOrder = true;
  let minUs = Number.POSITIVE_INFINITY;
  let maxUs = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < count; row++) {
    const time = timeUsOf(table, row);
    order[row] = row;
    times[row] = time;
    if (time < maxUs) inOrder = false;
    else maxUs = time;
    if (time < minUs) minUs = time;
  }
  if (inOrder) return order;
  // Time and place as one number, which sorts many times faster than by a comparison of ours.
  const places = 2 ** Math.ceil(Math.log2(count));
  if ((maxUs - minUs + 1) * places <= Number.MAX_SAFE_INTEGER) {
    for (let row = 0; row < count; row++) times[row] = (times[row] - minUs) * places + row;
    times.sort();
    for (let i = 0; i < count; i++) order[i] = times[i] - Math.floor(times[i] / places) * places;
    return order;
  }
  return order.sort((a, b) => times[a] - times[b] || a - b);
}
