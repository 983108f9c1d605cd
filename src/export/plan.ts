/**
 * Which columns the rows of an export have, and what kinds of values are in them: a first pass over the rows.
 *
 * Rows that a recorder wrote cost next to nothing here: what is open about them is in their binding, which is looked
 * at once. Others are decoded.
 */

import {
  FLAG_BLOB,
  FLAG_COST_COMPUTED,
  FLAG_DECLARED,
  FLAG_MALFORMED,
  FLAG_METADATA_TOKENS,
  TAG_BINDING_MASK,
  UNPRICED_MASK,
  UNPRICED_SHIFT,
} from '../../assembly/layout.js';
import { TextSet } from '../formats/columns/text-set.js';
import { wellFormed } from '../formats/text.js';
import type { MatchingRows } from '../readers/row-tests.js';
import type { RowSource } from '../readers/rows.js';
import { PREFIXES } from '../row/file-columns.js';
import type { ColumnType } from '../schema/columns.js';
import { UNPRICED } from '../schema/enrich.js';
import type { EventRow, Json } from '../schema/event.js';
import { COST_OF_EVENT, COST_SOURCE, costOfTable, FIXED_TEXTS } from './columnar/fixed.js';
import { OPEN_PARTS } from './columns.js';
import { Marks } from './marks.js';
import {
  ByShape,
  declaredSlotValue,
  isStoredSlot,
  type ShapedColumns,
  storedNumber,
  storedText,
} from './stored-shape.js';

/** Kinds of values, as bits: a column may have seen several. */
export const KIND_NULL = 1;
export const KIND_BOOL = 2;
/** Whole numbers up to 2^53 - 1, but not -0: what an int64 and a double hold alike. */
export const KIND_INTEGER = 4;
/** Other finite numbers. */
export const KIND_NUMBER = 8;
export const KIND_TEXT = 16;
/** Lists and objects. */
export const KIND_NESTED = 32;

/** @returns one KIND_* bit; what is no finite number counts as null */
export function kindOf(value: Json | undefined): number {
  switch (typeof value) {
    case 'string':
      return KIND_TEXT;
    case 'number':
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) return KIND_INTEGER;
      return Number.isFinite(value) ? KIND_NUMBER : KIND_NULL;
    case 'boolean':
      return KIND_BOOL;
    default:
      return value === null || value === undefined ? KIND_NULL : KIND_NESTED;
  }
}

/** A place in the tree of paths; one that ever held a value, null included, is a column. */
export interface ColumnNode {
  readonly children: Map<string, ColumnNode>;
  /** KIND_* bits of the values seen; 0 = no column. */
  kinds: number;
  /** Of the finite numbers seen. */
  least: number;
  greatest: number;
  /** The texts seen; undefined without any. */
  texts: TextSet | undefined;
  /** Types under which the experiments declared it, where it is a declared column of some. */
  readonly declared: Set<ColumnType>;
}

/** A column of the file: a fixed one, which is the same in every export, or a place in the tree. */
export type PlannedColumn<Fixed> =
  | { readonly name: string; readonly fixed: Fixed; readonly node: null }
  | { readonly name: string; readonly fixed: null; readonly node: ColumnNode };

/** The index in OPEN_PARTS of the part that holds declared columns. */
const METADATA_PART = OPEN_PARTS.findIndex(({ prefix }) => prefix === PREFIXES.metadata);

/** What makes a row's open parts its own, so that its binding does not tell them. */
const FLAGS_OF_ITS_OWN = FLAG_BLOB | FLAG_DECLARED | FLAG_METADATA_TOKENS | FLAG_MALFORMED;

/** What a binding is marked by whose rows have been looked at. */
const BOUND = 1;

/** Whether a row has more to say than its binding and the columns every row has. */
export function saysMore(tag: number): boolean {
  return (tag & FLAGS_OF_ITS_OWN) !== 0;
}

/** Rows as far as a plan looks at them; any `OrderedRows` are. */
export interface PlanRows extends MatchingRows {
  readonly table: ShapedColumns & { event(source: RowSource, row: number): EventRow };
}

export interface PlanOptions {
  /** Whether the texts of columns are kept, for dictionaries; default true. Without, few rows are decoded. */
  texts?: boolean;
}

/** Where the values go that are stored with rows of a shape. */
interface ShapedPlaces {
  readonly numbers: readonly { readonly slot: number; readonly nodes: readonly ColumnNode[] }[];
  readonly texts: readonly { readonly slot: number; readonly sets: readonly TextSet[] }[];
}

/** The union of the paths that rows have, as a tree, so that a row is placed without building names. */
export class ColumnPlan {
  /** KIND_* bits of the token counts seen, whole ones of rows that are not decoded aside. */
  tokenKinds = 0;
  /** The texts of the fixed columns, by their names. */
  readonly texts: ReadonlyMap<string, TextSet> = new Map([
    // A source is a version of a price table; there are never too many.
    [COST_SOURCE, new TextSet(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)],
    ...FIXED_TEXTS.map(({ name }): [string, TextSet] => [name, new TextSet()]),
  ]);
  readonly #fixedTexts = FIXED_TEXTS.map(({ name, read }) => ({ read, texts: this.texts.get(name)! }));
  readonly #roots = OPEN_PARTS.map(newNode);
  /** Of each source, the bindings that have been looked at. */
  readonly #known = new Map<RowSource, Uint8Array>();
  readonly #keepsTexts: boolean;
  readonly #marks = new Marks();
  /** Null for rows that have to be decoded. */
  readonly #shaped = new Map<RowSource, ByShape<ShapedPlaces | null>>();

  constructor({ texts = true }: PlanOptions = {}) {
    this.#keepsTexts = texts;
    // Of a recorder's rows, the only text that their binding does not tell.
    this.texts.get(COST_SOURCE)!.add(COST_OF_EVENT);
  }

  /**
   * Notes declared metadata columns, which keep their types as long as all values fit. `addRows` does it by itself;
   * who adds events does it for the experiments that they are from.
   */
  declare(columns: RowSource['columns']): void {
    // A place without values is no column: an export has the columns that its rows have.
    for (const { name, type } of columns) childOf(this.#roots[METADATA_PART]!, name).declared.add(type);
  }

  add(event: EventRow): void {
    this.visit(event, this.#keepsTexts ? note : noteKind);
    for (const { read, texts } of this.#fixedTexts) {
      const text = read(event);
      if (text !== null) texts.add(text);
    }
    if (event.costSource !== null) this.texts.get(COST_SOURCE)!.add(event.costSource);
    if (event.tokens === null) return;
    const { prompt, completion, total } = event.tokens;
    this.tokenKinds |= kindOf(prompt) | kindOf(completion) | kindOf(total);
  }

  /** The same for one experiment's rows, in any order. Decodes those whose binding does not say all. */
  addRows(source: RowSource, { table, rows, events }: PlanRows): void {
    const known = this.#known.get(source) ?? this.#newSource(source);
    const { tags } = table;
    // Of rows of one binding some have a cost that was told or computed, and others a reason for having none.
    let seen = 0;
    let unpriced = 0;
    for (let i = 0; i < rows.length; i++) {
      const tag = tags[rows[i]];
      seen |= tag;
      unpriced |= 1 << ((tag & UNPRICED_MASK) >> UNPRICED_SHIFT);
      if (!saysMore(tag)) {
        const binding = tag & TAG_BINDING_MASK;
        if (known[binding] === BOUND) continue;
        known[binding] = BOUND;
      } else if (this.#addShaped(source, table, rows[i])) {
        continue;
      }
      this.add(events?.[i] ?? table.event(source, rows[i]));
    }
    const sources = this.texts.get(COST_SOURCE)!;
    if ((seen & FLAG_COST_COMPUTED) !== 0) sources.add(costOfTable(source.priceVersion));
    for (const [reason, text] of UNPRICED.entries()) {
      if (text !== null && (unpriced & (1 << reason)) !== 0) sources.add(text);
    }
  }

  /** Calls `leaf` for every value of the event's open parts, making the places that there are not yet. */
  visit(event: EventRow, leaf: (node: ColumnNode, value: Json) => void): void {
    for (const [index, part] of OPEN_PARTS.entries()) {
      visitObject(this.#roots[index]!, part.read(event), leaf);
    }
  }

  /**
   * The columns in file order: by name, in code-unit order. Where two give one name, the later path gets `_2`; the
   * fixed ones come first. The order is of the names as they are in the file, so that columns which were read from a
   * file, with these names for keys, stand where they stood.
   */
  layout<Fixed extends { readonly name: string }>(fixed: readonly Fixed[]): PlannedColumn<Fixed>[] {
    // The empty path is the least.
    const columns: { path: string; column: PlannedColumn<Fixed> }[] = fixed.map((column) => ({
      path: '',
      column: { name: column.name, fixed: column, node: null },
    }));
    for (const [index, { prefix, rename }] of OPEN_PARTS.entries()) {
      const walk = (node: ColumnNode, path: readonly string[]): void => {
        if (node.kinds !== 0) {
          const [first, ...rest] = path.map(wellFormed);
          const name = [prefix + rename(first!), ...rest].join('_');
          columns.push({ path: JSON.stringify(path), column: { name, fixed: null, node } });
        }
        for (const [key, child] of node.children) walk(child, [...path, key]);
      };
      walk(this.#roots[index]!, []);
    }
    columns.sort((a, b) => compareText(a.column.name, b.column.name) || compareText(a.path, b.path));
    const taken = new Set(columns.map(({ column }) => column.name));
    const used = new Set<string>();
    const named = columns.map(({ column }) => {
      let unique = column.name;
      for (let n = 2; used.has(unique) || (unique !== column.name && taken.has(unique)); n += 1)
        unique = `${column.name}_${n}`;
      used.add(unique);
      return { ...column, name: unique };
    });
    return named.sort((a, b) => compareText(a.name, b.name));
  }

  /** Notes the values of a row whose shape is known. @returns false where the row has to be decoded */
  #addShaped(source: RowSource, table: PlanRows['table'], row: number): boolean {
    let shaped = this.#shaped.get(source);
    if (shaped === undefined) {
      shaped = new ByShape(source, this.#marks, (event) => this.#addMarked(event));
      this.#shaped.set(source, shaped);
    }
    const places = shaped.get(table, row);
    if (places === undefined || places === null) return false;
    for (const { slot, nodes } of places.numbers) {
      const value = isStoredSlot(slot)
        ? storedNumber(table.blob, shaped.places[slot])
        : (declaredSlotValue(source, table, row, slot) as number);
      for (const node of nodes) noteKind(node, value);
    }
    for (const { slot, sets } of places.texts) {
      if (sets.every((set) => set.isOverfull)) continue;
      const text = isStoredSlot(slot)
        ? storedText(table.blob, shaped.places[slot])
        : (declaredSlotValue(source, table, row, slot) as string);
      for (const set of sets) set.add(text);
    }
    return true;
  }

  /** Notes all of an event with marks for values, but for the numbers and texts among these. */
  #addMarked(event: EventRow): ShapedPlaces | null {
    const marks = this.#marks;
    const numbers = new Map<number, ColumnNode[]>();
    const texts = new Map<number, TextSet[]>();
    if (this.#keepsTexts) {
      const fixed = this.#fixedTexts.map(({ read, texts }) => ({ text: read(event), to: texts }));
      // An id that is no text is written as JSON, which is not what is stored.
      if (fixed.some(({ text }) => text !== null && marks.isWithin(text))) return null;
      for (const { text, to } of fixed) if (text !== null) addText(marks, texts, text, to);
      if (event.costSource !== null) this.texts.get(COST_SOURCE)!.add(event.costSource);
    }
    this.visit(event, (node, value) => {
      const slot = typeof value === 'number' ? marks.slotOf(value) : undefined;
      if (slot !== undefined) push(numbers, slot, node);
      else noteKind(node, value);
      if (!this.#keepsTexts || typeof value !== 'string') return;
      node.texts ??= new TextSet();
      addText(marks, texts, value, node.texts);
    });
    return {
      numbers: [...numbers].map(([slot, nodes]) => ({ slot, nodes })),
      texts: [...texts].map(([slot, sets]) => ({ slot, sets })),
    };
  }

  #newSource(source: RowSource): Uint8Array {
    const known = new Uint8Array(TAG_BINDING_MASK + 1);
    this.#known.set(source, known);
    this.declare(source.columns);
    return known;
  }
}

/** Adds a text, or, where it is a mark, notes that what it stands for is to be added. */
function addText(marks: Marks, bySlot: Map<number, TextSet[]>, text: string, to: TextSet): void {
  const slot = marks.slotOf(text);
  if (slot === undefined) to.add(text);
  else push(bySlot, slot, to);
}

function push<T>(lists: Map<number, T[]>, key: number, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

function note(node: ColumnNode, value: Json): void {
  noteKind(node, value);
  if (typeof value !== 'string') return;
  node.texts ??= new TextSet();
  node.texts.add(value);
}

function noteKind(node: ColumnNode, value: Json): void {
  const kind = kindOf(value);
  node.kinds |= kind;
  if (typeof value !== 'number' || kind === KIND_NULL) return;
  if (value < node.least) node.least = value;
  if (value > node.greatest) node.greatest = value;
}

function newNode(): ColumnNode {
  return {
    children: new Map(),
    kinds: 0,
    least: Number.POSITIVE_INFINITY,
    greatest: Number.NEGATIVE_INFINITY,
    texts: undefined,
    declared: new Set(),
  };
}

function childOf(node: ColumnNode, key: string): ColumnNode {
  let child = node.children.get(key);
  if (child === undefined) {
    child = newNode();
    node.children.set(key, child);
  }
  return child;
}

function visitObject(
  node: ColumnNode,
  value: Readonly<Record<string, Json>>,
  leaf: (node: ColumnNode, value: Json) => void,
): void {
  for (const key of Object.keys(value)) {
    const child = childOf(node, key);
    const inner = value[key]!;
    if (
      typeof inner === 'object' &&
      inner !== null &&
      !Array.isArray(inner) &&
      Object.keys(inner).length > 0
    ) {
      visitObject(child, inner, leaf);
    } else {
      leaf(child, inner);
    }
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
