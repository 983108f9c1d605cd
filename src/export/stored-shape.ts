/**
 * Shapes of what is stored with rows as MessagePack.
 *
 * Cut out its numbers and texts, and most rows of a program have the same bytes left: those of their keys, nulls and
 * booleans. What such rows become in a file differs in the values only, and where each value goes is found out once:
 * by a row of that shape with marks for values, which no row has.
 */
import {
  FLAG_BLOB,
  FLAG_CORRECTED,
  FLAG_COST_COMPUTED,
  FLAG_DECLARED,
  FLAG_MALFORMED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_PROVIDER,
  FLAG_METADATA_TOKENS,
  TAG_BINDING_MASK,
  UNPRICED_MASK,
} from '../../assembly/layout.js';
import { SLOT_NONE, SLOT_NUMBER, SLOT_TEXT, SLOTS_MAX } from '../../assembly/text-layout.js';
import { MsgpackWriter } from '../formats/msgpack/stored-value.js';
import { decode, type RowSource } from '../readers/rows.js';
import type { Columns } from '../ring/batch.js';
import { absentCode, declaredValue, isAbsent } from '../row/declared.js';
import type { ColumnType } from '../schema/columns.js';
import type { EventRow } from '../schema/event.js';
import type { Marks } from './marks.js';

/** A row with one of these is not all in its binding, its columns and what is stored with it. */
const UNSHAPED_FLAGS = FLAG_MALFORMED | FLAG_CORRECTED;
/** The same for the kernel of text, which has no declared columns. */
export const UNSHAPED_TEXT_FLAGS = UNSHAPED_FLAGS | FLAG_DECLARED;
/** Flags by which rows of one binding differ in more than values; @see assembly/text-rows.ts */
export const SHAPE_FLAGS =
  FLAG_BLOB |
  FLAG_COST_COMPUTED |
  FLAG_METADATA_MODEL |
  FLAG_METADATA_PROVIDER |
  FLAG_METADATA_TOKENS |
  UNPRICED_MASK;

/** Bytes that all rows of a shape have, and what follows them. */
export interface ShapePart {
  readonly bytes: Buffer;
  /** SLOT_* */
  readonly slot: number;
}

/** Shapes of a binding that are kept. */
const SHAPES_MAX = 16;
/** The most bytes of a shape. */
const BYTES_MAX = 8192;
const DEPTH_MAX = 64;

// Heads of MessagePack, as MsgpackWriter uses them.
const NIL = 0xc0;
const FALSE = 0xc2;
const TRUE = 0xc3;
const DOUBLE = 0xcb;
const U32 = 0xce;
const TEXT8 = 0xd9;
const TEXT32 = 0xdb;
const ARRAY = 0xdd;
const MAP = 0xde;

export class StoredShape {
  readonly parts: readonly ShapePart[];

  private constructor(parts: readonly ShapePart[]) {
    this.parts = parts;
  }

  /** The shape of what is stored at `at`: metadata, then measurements. Undefined where a row is better decoded. */
  static of(stored: Buffer, at: number): StoredShape | undefined {
    const cutter = new Cutter(stored, at);
    return cutter.value(0) && cutter.value(0) && cutter.end() ? new StoredShape(cutter.parts) : undefined;
  }

  /**
   * Whether what is stored there has this shape.
   * @param places - is told where each value begins
   */
  matches(stored: Buffer, at: number, places: Int32Array): boolean {
    const { parts } = this;
    for (let index = 0; ; index++) {
      const { bytes, slot } = parts[index];
      for (let i = 0; i < bytes.length; i++) if (stored[at + i] !== bytes[i]) return false;
      if (slot === SLOT_NONE) return true;
      at += bytes.length;
      places[index] = at;
      const size = slot === SLOT_TEXT ? textSize(stored, at) : numberSize(stored[at]);
      if (size === 0) return false;
      at += size;
    }
  }

  /** What would be stored with a row of this shape whose values are marks. */
  marked(marks: Marks): Buffer {
    const pieces = this.parts.flatMap(({ bytes, slot }, index) => {
      if (slot === SLOT_NONE) return [bytes];
      return [bytes, stored(slot === SLOT_TEXT ? marks.text(index) : marks.number(index))];
    });
    return Buffer.concat(pieces);
  }
}

/** Of a row, which declared columns have values, and the booleans, which are part of the shape as stored ones are. */
type DeclaredShape = Uint8Array;
const ABSENT = 0;
const PRESENT = 1;
/** A boolean: this and its code. */
const BOOLEAN = 2;

interface Shaped<T> {
  readonly flags: number;
  /** Undefined without FLAG_DECLARED. */
  readonly declared: DeclaredShape | undefined;
  /** Undefined where nothing is stored with the rows. */
  readonly shape: StoredShape | undefined;
  readonly made: T;
}

/** The columns that tell a row's shape. */
export type ShapedColumns = Pick<
  Columns,
  'tags' | 'blob' | 'blobOffsets' | 'promptTokens' | 'completionTokens' | 'declared'
>;

/** What is made once for all rows of an experiment that have the same binding, flags and shape. */
export class ByShape<T> {
  /** Where the values of the row begin that was asked for last. */
  readonly places = new Int32Array(SLOTS_MAX);
  private readonly source: RowSource;
  private readonly marks: Marks;
  private readonly make: (event: EventRow, flags: number, shape: StoredShape | undefined) => T;
  /** By binding. */
  private readonly known: (Shaped<T>[] | undefined)[] = [];

  /** @param make - is given an event with marks for values */
  constructor(
    source: RowSource,
    marks: Marks,
    make: (event: EventRow, flags: number, shape: StoredShape | undefined) => T,
  ) {
    this.source = source;
    this.marks = marks;
    this.make = make;
  }

  /** @returns undefined where the row has to be decoded */
  get(columns: ShapedColumns, row: number): T | undefined {
    const { tags, blob, blobOffsets, promptTokens, completionTokens } = columns;
    const tag = tags[row];
    const binding = tag & TAG_BINDING_MASK;
    // Without a binding, the name is stored, too.
    if ((tag & UNSHAPED_FLAGS) !== 0 || binding === 0) return undefined;
    const flags = tag & (SHAPE_FLAGS | FLAG_DECLARED);
    if ((flags & FLAG_METADATA_TOKENS) !== 0 && (promptTokens[row] | completionTokens[row]) < 0)
      return undefined;
    const isStored = (flags & FLAG_BLOB) !== 0;
    const at = blobOffsets[row];
    let known = this.known[binding];
    if (known === undefined) {
      known = [];
      this.known[binding] = known;
    }
    for (const { flags: its, declared, shape, made } of known) {
      if (its !== flags || (declared !== undefined && !this.isDeclaredAs(declared, columns, row))) continue;
      if (shape === undefined || shape.matches(blob, at, this.places)) return made;
    }
    if (known.length === SHAPES_MAX) return undefined;
    const shape = isStored ? StoredShape.of(blob, at) : undefined;
    if (isStored && shape === undefined) return undefined;
    shape?.matches(blob, at, this.places);
    const isDeclared = (flags & FLAG_DECLARED) !== 0;
    const declared = isDeclared ? this.declaredShape(columns, row) : undefined;
    const made = this.make(this.markedEvent(tag, declared, shape), flags, shape);
    known.push({ flags, declared, shape, made });
    return made;
  }

  private declaredShape(columns: ShapedColumns, row: number): DeclaredShape {
    return Uint8Array.from(this.source.columns, ({ type }, column) =>
      declaredState(type, columns.declared[column][row]),
    );
  }

  private isDeclaredAs(shape: DeclaredShape, { declared }: ShapedColumns, row: number): boolean {
    const { columns } = this.source;
    for (let column = 0; column < shape.length; column++) {
      if (declaredState(columns[column].type, declared[column][row]) !== shape[column]) return false;
    }
    return true;
  }

  /** An event with numbers in all columns that every row has. */
  private markedEvent(
    tag: number,
    declared: DeclaredShape | undefined,
    shape: StoredShape | undefined,
  ): EventRow {
    const { marks } = this;
    const {
      experimentId,
      experimentName,
      condition,
      tags,
      priceVersion,
      columns: declaredColumns,
    } = this.source;
    const source: RowSource = {
      ...{ experimentId, experimentName, condition, tags, priceVersion, columns: declaredColumns },
      binding: (id: number) => this.source.binding(id),
      // Of a dictionary column's code, which here is its slot.
      text: (slot: number) => marks.text(slot),
    };
    const declaredCode = (type: ColumnType, column: number) => {
      const state = declared?.[column] ?? ABSENT;
      if (state === ABSENT) return absentCode(type);
      if (state !== PRESENT) return state - BOOLEAN;
      const slot = declaredSlot(column);
      return type === 'dict' ? slot : marks.number(slot);
    };
    const columns: Columns = {
      rows: 1,
      timeUs: Float64Array.of(0),
      latencyMs: Float64Array.of(1),
      costUsd: Float64Array.of(1),
      promptTokens: Int32Array.of(marks.prompt),
      completionTokens: Int32Array.of(marks.completion),
      tags: Uint32Array.of(tag),
      blobOffsets: Uint32Array.of(0),
      blob: shape?.marked(marks) ?? Buffer.alloc(0),
      declared: source.columns.map(({ type }, column) => Float64Array.of(declaredCode(type, column))),
    };
    return decode(source, columns, 0, 0, 0);
  }
}

function declaredState(type: ColumnType, code: number): number {
  if (isAbsent(type, code)) return ABSENT;
  return type === 'bool' ? BOOLEAN + code : PRESENT;
}

const DECLARED_SLOT = SLOTS_MAX;

/** The slot that stands for a declared column, behind those of stored values. */
export function declaredSlot(column: number): number {
  return DECLARED_SLOT + column;
}

/** Whether a slot's values are stored with the rows; else they are those of a declared column. */
export function isStoredSlot(slot: number): boolean {
  return slot < DECLARED_SLOT;
}

/** A row's value of a declared column, which is no boolean. */
export function declaredSlotValue(
  source: RowSource,
  { declared }: ShapedColumns,
  row: number,
  slot: number,
): number | string {
  const column = slot - DECLARED_SLOT;
  const { type } = source.columns[column];
  return declaredValue(type, declared[column][row], (id) => source.text(id)) as number | string;
}

/** A number that is stored there. */
export function storedNumber(stored: Buffer, at: number): number {
  const head = stored[at];
  if (head === DOUBLE) return stored.readDoubleBE(at + 1);
  return head === U32 ? stored.readUInt32BE(at + 1) : head;
}

/** Where the bytes of a text begin that is stored there. */
export function textStart(stored: Buffer, at: number): number {
  const head = stored[at];
  return at + (head === TEXT8 ? 2 : head === TEXT32 ? 5 : 1);
}

/** Where a text ends that is stored there. */
export function textEnd(stored: Buffer, at: number): number {
  return at + textSize(stored, at);
}

/** A text that is stored there. */
export function storedText(stored: Buffer, at: number): string {
  return stored.toString('utf8', textStart(stored, at), textEnd(stored, at));
}

function stored(value: string | number): Buffer {
  const room = new ArrayBuffer(64);
  const writer = new MsgpackWriter(room, 0, room.byteLength);
  writer.value(value);
  return Buffer.from(room, 0, writer.position);
}

/** Bytes of a stored text; 0 where it is none. */
export function textSize(stored: Buffer, at: number): number {
  const head = stored[at];
  if (head >= 0xa0 && head < 0xc0) return 1 + (head & 31);
  if (head === TEXT8) return 2 + stored[at + 1];
  return head === TEXT32 ? 5 + stored.readUInt32BE(at + 1) : 0;
}

/** Bytes of a stored number; 0 where it is none. */
export function numberSize(head: number): number {
  return head < 0x80 ? 1 : head === DOUBLE ? 9 : head === U32 ? 5 : 0;
}

class Cutter {
  readonly parts: ShapePart[] = [];
  private readonly stored: Buffer;
  private at: number;
  private from: number;
  private bytes = 0;

  constructor(stored: Buffer, at: number) {
    this.stored = stored;
    this.at = at;
    this.from = at;
  }

  /** Goes over one value. @returns false where it cannot be part of a shape */
  value(depth: number): boolean {
    const { stored, at } = this;
    const head = stored[at];
    const number = numberSize(head);
    if (number > 0) return this.cut(SLOT_NUMBER, number);
    const text = textSize(stored, at);
    if (text > 0) return this.cut(SLOT_TEXT, text);
    if (head === NIL || head === FALSE || head === TRUE) {
      this.at++;
      return true;
    }
    if (depth === DEPTH_MAX) return false;
    if (head === ARRAY) {
      this.at += 5;
      return this.values(stored.readUInt32BE(at + 1), depth, false);
    }
    if (head !== MAP) return false;
    this.at += 3;
    return this.values(stored.readUInt16BE(at + 1), depth, true);
  }

  end(): boolean {
    return this.cut(SLOT_NONE, 0);
  }

  private values(count: number, depth: number, haveKeys: boolean): boolean {
    for (let i = 0; i < count; i++) {
      if (haveKeys) {
        // A key that is no text is of what is kept aside.
        const size = textSize(this.stored, this.at);
        if (size === 0) return false;
        this.at += size;
      }
      if (!this.value(depth + 1)) return false;
    }
    return true;
  }

  private cut(slot: number, size: number): boolean {
    this.bytes += this.at - this.from;
    if (this.parts.length === SLOTS_MAX || this.bytes > BYTES_MAX) return false;
    this.parts.push({ bytes: Buffer.from(this.stored.subarray(this.from, this.at)), slot });
    this.at += size;
    this.from = this.at;
    return true;
  }
}
