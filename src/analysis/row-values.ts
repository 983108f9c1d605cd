/** Numbers of a row by the name of what they measure. */

import {
  FLAG_BLOB,
  FLAG_CORRECTED,
  FLAG_DECLARED,
  FLAG_METADATA_TOKENS,
  TAG_BINDING_MASK,
} from '../../assembly/layout.js';
import type { RowTable } from '../readers/row-table.js';
import { decodeRow, type RowSource, successOf } from '../readers/rows.js';
import { type Batch, type Columns, isValue } from '../ring/batch.js';
import { NONE, TRUE } from '../row/declared.js';
import type { EventRow, Json } from '../schema/event.js';
import { lifted } from '../schema/fields.js';

/** A row, wherever it stands, and its event where that is asked for. */
export interface RowAtHand {
  readonly source: RowSource;
  readonly batch: Pick<Batch, keyof Columns | 'shared'>;
  readonly row: number;
  readonly tag: number;
  /** Its place in capture order. */
  readonly sequence: number;
  readonly event: EventRow;
}

/** The row at hand, and its event once somebody has asked for it. */
export class RowCursor implements RowAtHand {
  readonly source: RowSource;
  batch!: Batch;
  row = 0;
  #known: EventRow | undefined;

  constructor(source: RowSource) {
    this.source = source;
  }

  /** @param known - the row's event, where somebody has decoded it */
  move(batch: Batch, row: number, known: EventRow | undefined): void {
    this.batch = batch;
    this.row = row;
    this.#known = known;
  }

  get tag(): number {
    return this.batch.tags[this.row];
  }

  get sequence(): number {
    return this.batch.firstSequence + this.row;
  }

  get event(): EventRow {
    this.#known ??= decodeRow(this.source, this.batch, this.row);
    return this.#known;
  }

  /** Undefined where nobody has asked for it. */
  get decoded(): EventRow | undefined {
    return this.#known;
  }
}

/** The same of a row in a table, whose rows come from many batches. */
export class TableCursor implements RowAtHand {
  readonly source: RowSource;
  batch!: RowTable;
  row = 0;
  #known: EventRow | undefined;

  constructor(source: RowSource) {
    this.source = source;
  }

  move(table: RowTable, row: number, known: EventRow | undefined): void {
    this.batch = table;
    this.row = row;
    this.#known = known;
  }

  get tag(): number {
    return this.batch.tags[this.row];
  }

  get sequence(): number {
    return this.batch.sequences[this.row];
  }

  get event(): EventRow {
    this.#known ??= this.batch.event(this.source, this.row);
    return this.#known;
  }
}

/** NaN where the row has none; 1 and 0 for yes and no. */
export type ReadNumber = (cursor: RowAtHand) => number;

/** Whether the measure is a yes or no. */
export function isFlag(source: RowSource, of: string): boolean {
  return of === 'success' || source.columns.some(({ name, type }) => name === of && type === 'bool');
}

export function numberReader(source: RowSource, of: string): ReadNumber {
  const own = OWN[of];
  if (own !== undefined) return own;
  const column = source.columns.findIndex(({ name }) => name === of);
  return column < 0 ? undeclared(of) : declared(source, column);
}

const OWN: Readonly<Record<string, ReadNumber>> = {
  latencyMs: ({ batch, row }) => valueOrNaN(batch.latencyMs[row]),
  costUsd: ({ batch, row }) => valueOrNaN(batch.costUsd[row]),
  success: ({ tag }) => flagValue(tag),
  tokensTotal: totalTokens,
  tokensPrompt: ({ batch, row }) =>
    hasTokens(batch, row) ? Math.max(batch.promptTokens[row], 0) : Number.NaN,
  tokensCompletion: ({ batch, row }) =>
    hasTokens(batch, row) ? Math.max(batch.completionTokens[row], 0) : Number.NaN,
};

/** Of whether the row's event succeeded. */
export function flagValue(tag: number): number {
  const success = successOf(tag);
  return success === null ? Number.NaN : Number(success);
}

function valueOrNaN(value: number): number {
  return isValue(value) ? value : Number.NaN;
}

function hasTokens(batch: Columns, row: number): boolean {
  return batch.promptTokens[row] >= 0 || batch.completionTokens[row] >= 0;
}

/** NaN where there are none. A total of its own is among what is kept beside an event. */
export function totalTokens(cursor: RowAtHand): number {
  const { batch, row, tag } = cursor;
  if (!hasTokens(batch, row)) return Number.NaN;
  const isCorrected = (tag & (FLAG_CORRECTED | FLAG_METADATA_TOKENS)) === FLAG_CORRECTED;
  const total = isCorrected ? cursor.event.tokens?.total : undefined;
  return total ?? Math.max(batch.promptTokens[row], 0) + Math.max(batch.completionTokens[row], 0);
}

function declared(source: RowSource, column: number): ReadNumber {
  const { name, type } = source.columns[column];
  const owners = new Map<number, number>();
  return (cursor) => {
    const { batch, row, tag } = cursor;
    const shared = batch.shared?.[column];
    if (shared && !owns(owners, shared[row], cursor.sequence)) return Number.NaN;
    if ((tag & FLAG_DECLARED) !== 0) {
      const code = batch.declared[column][row];
      if (type !== 'bool' && !Number.isNaN(code)) return code;
      if (type === 'bool' && code !== NONE) return Number(code === TRUE);
    }
    // What the row does not bring is as its binding has it; what an event brought has its column, if it is a number.
    if ((tag & FLAG_BLOB) !== 0) return Number.NaN;
    return numberOf(source.binding(tag & TAG_BINDING_MASK).bound[name]);
  };
}

/**
 * Whether the row is the one that counts of all rows that share a value: the first, however often it is read.
 * @param shared - what they share, below 0 for nothing
 */
function owns(owners: Map<number, number>, shared: number, sequence: number): boolean {
  if (shared < 0) return true;
  const owner = owners.get(shared);
  if (owner === undefined) owners.set(shared, sequence);
  return owner === undefined || owner === sequence;
}

/** Of an experiment that has not declared it: where the event has it. */
function undeclared(of: string): ReadNumber {
  return (cursor) => {
    const { tag, source } = cursor;
    if ((tag & FLAG_BLOB) === 0) return numberOf(lifted(source.binding(tag & TAG_BINDING_MASK).bound, of));
    const { measurements, metadata } = cursor.event;
    return numberOf(lifted(measurements, of) ?? lifted(metadata, of));
  };
}

function numberOf(value: Json | undefined): number {
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'number' && Number.isFinite(value) ? value : Number.NaN;
}
