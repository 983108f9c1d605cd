/** Rows of several views as one sequence. */
import { timeUsOf } from '../ring/batch.js';
import { type OrderedRows, type OrderOptions, orderedRows } from './ordered.js';
import type { RowSource } from './rows.js';
import type { View } from './source.js';

/** Rows of one view that follow each other in the sequence of all. */
export interface SourcedRows {
  readonly source: RowSource;
  /** Overwritten when the next rows are asked for. */
  readonly block: OrderedRows;
}

interface Head {
  readonly source: RowSource;
  readonly blocks: AsyncGenerator<OrderedRows>;
  block: OrderedRows;
  /** The row of the block that comes next, and its time. */
  at: number;
  timeUs: number;
}

/**
 * Ascending by time; ties keep the order of the views, and within one that of capture. Holds a block of each. Runs come
 * some at a time, as many as the blocks at hand have: to wait for each would take longer than to read it.
 */
export async function* mergedRows(
  views: readonly View[],
  options: OrderOptions = {},
): AsyncGenerator<Iterable<SourcedRows>> {
  const opened = views.map((view) => ({ source: view.source, blocks: orderedRows(view, options) }));
  try {
    const heads: Head[] = [];
    for (const { source, blocks } of opened) {
      const { value, done } = await blocks.next();
      if (done !== true) heads.push({ source, blocks, block: value, at: 0, timeUs: timeAt(value, 0) });
    }
    while (heads.length > 0) {
      yield runsOf(heads);
      for (const head of heads.filter(isUsedUp)) {
        const { value, done } = await head.blocks.next();
        if (done === true) heads.splice(heads.indexOf(head), 1);
        else Object.assign(head, { block: value, at: 0, timeUs: timeAt(value, 0) });
      }
    }
  } finally {
    await Promise.all(opened.map(({ blocks }) => blocks.return(undefined)));
  }
}

/** The runs until one of the blocks is used up. */
function* runsOf(heads: readonly Head[]): Generator<SourcedRows> {
  while (!heads.some(isUsedUp)) {
    const first = heads.reduce((least, head, i) => (head.timeUs < heads[least].timeUs ? i : least), 0);
    const head = heads[first];
    const { source, block, at } = head;
    const end = runEnd(head, heads, first);
    head.at = end;
    if (end < block.rows.length) head.timeUs = timeAt(block, end);
    yield { source, block: part(block, at, end) };
  }
}

function isUsedUp({ block, at }: Head): boolean {
  return at === block.rows.length;
}

/** Where the rows of the first head end that come before all others. */
function runEnd({ block, at }: Head, heads: readonly Head[], first: number): number {
  let beforeUs = Number.POSITIVE_INFINITY;
  // At the same time, views before this one have precedence, and those behind it wait.
  for (let i = 0; i < heads.length; i++) {
    if (i < first) beforeUs = Math.min(beforeUs, heads[i].timeUs);
    else if (i > first) beforeUs = Math.min(beforeUs, heads[i].timeUs + 1);
  }
  let end = at + 1;
  while (end < block.rows.length && timeAt(block, end) < beforeUs) end++;
  return end;
}

function part(block: OrderedRows, from: number, to: number): OrderedRows {
  if (from === 0 && to === block.rows.length) return block;
  return { table: block.table, rows: block.rows.subarray(from, to), events: block.events?.slice(from, to) };
}

function timeAt({ table, rows }: OrderedRows, index: number): number {
  return timeUsOf(table, rows[index]);
}
