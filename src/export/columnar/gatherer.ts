/**
 * Rows of blocks and events, gathered as the columns of a file.
 *
 * Columns that every row has of its own are copied from the block's columns (own-columns.ts); for the rest a row of a
 * recorder notes its template, one number (bound-columns.ts). Only other rows are decoded.
 */

import { FLAG_CORRECTED, FLAG_MALFORMED } from '../../../assembly/layout.js';
import { codeStage, flagStage, numberStage, type Stage, TextStage } from '../../formats/columns/stages.js';
import type { OrderedRows } from '../../readers/ordered.js';
import type { RowSource } from '../../readers/rows.js';
import type { EventRow } from '../../schema/event.js';
import type { ColumnPlan } from '../plan.js';
import { BoundColumns } from './bound-columns.js';
import { OwnColumns } from './own-columns.js';
import type { TypedColumn } from './schema.js';

/** Bytes of written-out texts that are gathered before they should be taken. */
const TEXT_BYTES = 16 << 20;
/** Rows taken at once, before it is looked again whether they are enough. */
const LOOK_EVERY_ROWS = 1024;

export class RowGatherer {
  rows = 0;
  readonly capacity: number;
  /** In the order of the columns. */
  readonly stages: readonly Stage[];

  private readonly own: OwnColumns;
  private readonly bound: BoundColumns;
  private readonly textStages: readonly TextStage[];

  constructor(columns: readonly TypedColumn[], plan: ColumnPlan, capacity: number) {
    this.capacity = capacity;
    const places = columns.map((column) => ({ column, stage: stageOf(column, capacity) }));
    this.stages = places.map(({ stage }) => stage);
    this.textStages = this.stages.flatMap((stage) => (stage.kind === 'texts' ? stage.stage : []));
    const fixed = places.filter(({ column }) => column.node === null);
    this.own = new OwnColumns(new Map(fixed.map(({ column, stage }) => [column.name, stage])), capacity);
    this.bound = new BoundColumns(places, plan, this.own, capacity);
  }

  /** Whether what is gathered should be taken before there is more. */
  get isFull(): boolean {
    if (this.rows === this.capacity) return true;
    let bytes = 0;
    for (const stage of this.textStages) bytes += stage.length;
    return bytes >= TEXT_BYTES;
  }

  /** Takes rows of a block from its row `from` on. @returns how many */
  addRows(source: RowSource, block: OrderedRows, from: number): number {
    const { table, rows } = block;
    const most = this.most(rows.length - from);
    const count = told(table.tags, rows, from, from + most);
    if (count === 0) return this.addEvents([table.event(source, rows[from])], 0);
    this.own.copy(source, table, rows.subarray(from, from + count), this.rows);
    this.bound.setRows(source, block, from, count, this.rows);
    this.rows += count;
    return count;
  }

  /** Takes events from `from` on. @returns how many */
  addEvents(events: readonly EventRow[], from: number): number {
    const count = this.most(events.length - from);
    for (let i = 0; i < count; i++) {
      const event = events[from + i];
      this.own.set(this.rows, event);
      this.bound.setEvent(this.rows, event);
      this.rows++;
    }
    return count;
  }

  /** Completes the columns, which then hold `rows` rows. */
  resolve(): void {
    this.bound.resolve(this.rows);
    for (const stage of this.textStages) stage.resolve(this.rows);
  }

  /** Forgets the rows and keeps the memory. */
  reset(): void {
    this.rows = 0;
    this.bound.reset();
    for (const { stage } of this.stages) stage.reset();
  }

  private most(count: number): number {
    return Math.min(count, this.capacity - this.rows, LOOK_EVERY_ROWS);
  }
}

function stageOf({ type, texts }: TypedColumn, capacity: number): Stage {
  if (type === 'bool') return { kind: 'flags', stage: flagStage(capacity) };
  if (type !== 'text') return { kind: 'numbers', stage: numberStage(capacity) };
  if (texts === null) return { kind: 'texts', stage: new TextStage(capacity) };
  return { kind: 'codes', stage: codeStage(capacity), texts };
}

/** Of a row that is not all told by its columns and its binding. */
const UNTOLD = FLAG_CORRECTED | FLAG_MALFORMED;

/** How many rows from `from` on are told. */
function told(tags: Uint32Array, rows: Uint32Array, from: number, end: number): number {
  let seen = 0;
  for (let i = from; i < end; i++) seen |= tags[rows[i]];
  if ((seen & UNTOLD) === 0) return end - from;
  let i = from;
  while (i < end && (tags[rows[i]] & UNTOLD) === 0) i++;
  return i - from;
}
