/** How rows look in a format of text: as text, and cells that the kernel fills in. */
import {
  CELL_COMPLETION,
  CELL_CONSTANT,
  CELL_COST,
  CELL_DATETIME,
  CELL_HAS_COST,
  CELL_HAS_TOKENS,
  CELL_LATENCY,
  CELL_PLACE,
  CELL_PROMPT,
  CELL_SUCCESS,
  CELL_TIMESTAMP,
  CELL_TOKENS,
} from '../../assembly/text-layout.js';
import type { EventRow } from '../schema/event.js';
import { COST_OF_EVENT } from './columnar/fixed.js';

/** A cell that the columns fill in. */
export interface Cell {
  readonly kind: number;
  /** What is written, up to 8 bytes; for those that write a text. */
  readonly text?: string;
  /** Cells, each with the text before it, that are left out where there are no tokens. */
  readonly skip?: number;
  /** Place of the stored value; for those that write one. */
  readonly slot?: number;
}

export const LATENCY: Cell = { kind: CELL_LATENCY };
export const COST: Cell = { kind: CELL_COST };
export const PROMPT_TOKENS: Cell = { kind: CELL_PROMPT };
export const COMPLETION_TOKENS: Cell = { kind: CELL_COMPLETION };
export const TOTAL_TOKENS: Cell = { kind: CELL_TOKENS };
export const SUCCESS: Cell = { kind: CELL_SUCCESS };
export const TIMESTAMP: Cell = { kind: CELL_TIMESTAMP };
/** The end of an event's id, from the producer on. */
export const PLACE: Cell = { kind: CELL_PLACE };

/** @param mark - one character, or none, before a year with a sign */
export function datetime(mark: string): Cell {
  return { kind: CELL_DATETIME, text: mark };
}

/** `text` where the row has a cost. */
export function ifCost(text: string): Cell {
  return { kind: CELL_HAS_COST, text };
}

/** Nothing where the row has tokens; else no value, and the next cells are left out. */
export function ifTokens(cells: number): Cell {
  return { kind: CELL_HAS_TOKENS, skip: cells };
}

export function constant(text: string): Cell {
  return { kind: CELL_CONSTANT, text };
}

/** The cell of a column, where there are such cells: not for a cost that was computed, whose source is a text. */
export function cellOf(cells: ReadonlyMap<string, Cell>, name: string, event: EventRow): Cell | undefined {
  const isComputed = event.costSource !== null && event.costSource !== COST_OF_EVENT;
  return name === 'cost_source' && isComputed ? undefined : cells.get(name);
}

/** Text or a cell. */
export type Part = string | Cell;

/** How rows look in a format of text. */
export interface TextFormat {
  /** What stands where there is no value; up to 8 bytes. */
  readonly absent: string;
  /** How a stored text is written: CELL_STORED_*. */
  readonly storedText: number;
  /** What stands around a text; undefined where a stored value is only written as a whole part. */
  readonly quote: string | undefined;
  /** The row, with what ends it. */
  row(event: EventRow): string;
  /** The same for all rows of a binding, of which `event` is one: with cells where they differ. */
  form(event: EventRow): readonly Part[];
}
