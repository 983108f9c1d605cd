/** Columns of an Arrow record batch as functions from row to value. Nothing in the bytes is trusted. */

import type { Json } from '../../schema/event.js';
import { memberNames } from '../column-names.js';
import { setOwn } from '../reader.js';
import {
  base64Of,
  dateOf,
  decimalOf,
  durationOf,
  entriesOf,
  halfOf,
  integerOf,
  isoOf,
  timeOf,
  unscaledOf,
} from '../values.js';
import type { Field, ValueType } from './schema-reader.js';

export type Column = (row: number) => Json;

/** A batch's parts, taken one after the other by its columns. */
export interface BatchParts {
  readonly body: Buffer;
  /** Length and count of nulls of each column, one after the other. */
  readonly nodes: readonly number[];
  /** Offset and length of each buffer in the body. */
  readonly buffers: readonly number[];
  /** Data buffers of each column of views. */
  readonly variadic: readonly number[];
}

export interface DictionaryValues {
  readonly values: Json[];
  /** What each of them has cost, which it costs again wherever it is used. */
  readonly costs: number[];
}

export interface ColumnContext {
  dictionary(id: number): DictionaryValues;
  /** Accounts for what comes out of a file. @throws ImportError where that is too much for its bytes */
  spend(bytes: number): void;
  /** Unions had a null mask before version 5 of the metadata. */
  readonly hasUnionNulls: boolean;
  /** Of our own exports: timestamps are whole microseconds instead of ISO 8601. */
  readonly isOwn: boolean;
}

/**
 * Rows that take no bytes, as in a column of nulls, cost memory all the same: a batch may have so many of them, and eight
 * more for each byte of its body.
 */
const FREE_ROWS_MAX = 2 ** 20;
/** What an item of a list costs, as bytes. */
const ITEM_COST = 8;

const VIEW_BYTES = 16;
const VIEW_INLINE_MAX = 12;

export class ColumnReader {
  readonly #parts: BatchParts;
  readonly #context: ColumnContext;
  #node = 0;
  #buffer = 0;
  #variadic = 0;
  /** Rows without bytes that may still come. */
  #freeRows: number;

  constructor(parts: BatchParts, context: ColumnContext) {
    this.#parts = parts;
    this.#context = context;
    this.#freeRows = FREE_ROWS_MAX + 8 * parts.body.length;
  }

  /** How many rows the next column says to have; undefined where there is none. */
  get nextLength(): number | undefined {
    return this.#parts.nodes[2 * this.#node];
  }

  /** The next column. @throws RangeError when the batch does not hold it */
  column(field: Field): Column {
    if (field.dictionary === null) return this.#values(field, field.type);
    const index = this.#values(field, field.indexType!);
    const { values, costs } = this.#context.dictionary(field.dictionary);
    return (row) => {
      const place = index(row);
      if (place === null) return null;
      const value = values[place as number];
      if (value === undefined) throw new RangeError(`column ${field.name} has an index without a value`);
      this.#context.spend(costs[place as number]);
      return value;
    };
  }

  #values(field: Field, type: ValueType): Column {
    const length = this.#parts.nodes[2 * this.#node];
    const nullCount = this.#parts.nodes[2 * this.#node + 1];
    if (length === undefined || nullCount === undefined) throw new RangeError('a batch lacks a column');
    this.#node++;
    if (type.kind === 'null') {
      this.#spendRows(length);
      return () => null;
    }
    if (type.kind === 'runs') return this.#runs(field, length);
    if (type.kind === 'union' && !this.#context.hasUnionNulls) return this.#union(field, type, length);
    const validity = this.#take(0);
    const value = this.#plain(field, type, length);
    if (nullCount === 0 || validity.length === 0) return value;
    if (validity.length < length / 8) throw new RangeError('a null mask is too short');
    return (row) => (((validity[row >> 3] >> (row & 7)) & 1) === 0 ? null : value(row));
  }

  #spendRows(rows: number): void {
    this.#freeRows -= rows;
    if (this.#freeRows < 0) throw new RangeError('there are more rows without bytes than a batch may have');
  }

  /** A child, which has at least so many rows. */
  #child(field: Field, rows: number): Column {
    const child = childOf(field);
    if (!((this.nextLength ?? 0) >= rows))
      throw new RangeError(`the items of ${field.name} are not all there`);
    return this.column(child);
  }

  #plain(field: Field, type: ValueType, length: number): Column {
    switch (type.kind) {
      case 'null':
        return () => null;
      case 'bool': {
        const bits = this.#take(length / 8);
        return (row) => ((bits[row >> 3] >> (row & 7)) & 1) !== 0;
      }
      case 'int':
        return this.#integers(type.bits, type.isSigned, length);
      case 'float':
        return this.#floats(type.bits, length);
      case 'timestamp':
        return this.#timestamps(type.perSecond, length);
      case 'date': {
        const days = type.bits === 32;
        const data = this.#take((length * type.bits) / 8);
        return days
          ? (row) => dateOf(BigInt(data.readInt32LE(4 * row)))
          : (row) => isoOf(data.readBigInt64LE(8 * row), 1e3).replace(/T.*/, '');
      }
      case 'time': {
        const { bits, perSecond } = type;
        const data = this.#take((length * bits) / 8);
        if (bits === 32) return (row) => timeOf(BigInt(data.readInt32LE(4 * row)), perSecond);
        return (row) => timeOf(data.readBigInt64LE(8 * row), perSecond);
      }
      case 'interval':
        return this.#intervals(type.unit, length);
      case 'union':
        return this.#union(field, type, length);
      case 'runs':
        return this.#runs(field, length);
      case 'listView':
        return this.#listViews(field, type.isLarge, length);
      case 'decimal': {
        const data = this.#take(type.bytes * length);
        return (row) => decimalOf(littleEndian(data, row * type.bytes, type.bytes), type.scale);
      }
      case 'fixedBinary': {
        if (!(type.bytes >= 0)) throw new RangeError(`values of ${type.bytes} bytes`);
        if (type.bytes === 0) this.#spendRows(length);
        const data = this.#take(type.bytes * length);
        return (row) => base64Of(data.subarray(row * type.bytes, (row + 1) * type.bytes));
      }
      case 'utf8':
      case 'binary': {
        const offsets = this.#offsets(type.isLarge, length);
        const data = this.#take(offsets(length));
        const { spend } = this.#context;
        const isText = type.kind === 'utf8';
        return (row) => {
          const [from, to] = [offsets(row), offsets(row + 1)];
          spend(to - from);
          return isText ? data.toString('utf8', from, to) : base64Of(data.subarray(from, to));
        };
      }
      case 'utf8View':
      case 'binaryView':
        return this.#views(type.kind === 'utf8View', length);
      case 'list': {
        const offsets = this.#offsets(type.isLarge, length);
        const items = this.#child(field, offsets(length));
        const list = (row: number) => this.#range(items, offsets(row), offsets(row + 1));
        return type.isMap ? (row) => entriesOf(list(row)) : list;
      }
      case 'fixedList': {
        if (!(type.size >= 0)) throw new RangeError(`lists of ${type.size} items`);
        this.#spendRows(length);
        const items = this.#child(field, length * type.size);
        return (row) => this.#range(items, row * type.size, (row + 1) * type.size);
      }
      case 'struct': {
        this.#spendRows(length);
        const names = memberNames(field.children.map(({ name }) => name));
        const children = field.children.map((child, i) => {
          if (!((this.nextLength ?? 0) >= length))
            throw new RangeError(`${field.name}.${child.name} is not all there`);
          return [names[i], this.column(child)] as const;
        });
        return (row) => {
          const object: Record<string, Json> = {};
          for (const [name, column] of children) setOwn(object, name, column(row));
          return object;
        };
      }
    }
  }

  #integers(bits: number, isSigned: boolean, length: number): Column {
    const data = this.#take((length * bits) / 8);
    if (bits === 8) return isSigned ? (row) => data.readInt8(row) : (row) => data[row];
    if (bits === 16)
      return isSigned ? (row) => data.readInt16LE(2 * row) : (row) => data.readUInt16LE(2 * row);
    if (bits === 32) {
      const { buffer, byteOffset } = aligned(data);
      const values = isSigned
        ? new Int32Array(buffer, byteOffset, length)
        : new Uint32Array(buffer, byteOffset, length);
      return (row) => values[row];
    }
    if (bits !== 64) throw new RangeError(`integers of ${bits} bits`);
    return isSigned ? (row) => signed64(data, 8 * row) : (row) => integerOf(data.readBigUInt64LE(8 * row));
  }

  #floats(bits: 16 | 32 | 64, length: number): Column {
    const data = this.#take((length * bits) / 8);
    if (bits === 16) return (row) => halfOf(data.readUInt16LE(2 * row));
    const { buffer, byteOffset } = aligned(data);
    const values =
      bits === 64
        ? new Float64Array(buffer, byteOffset, length)
        : new Float32Array(buffer, byteOffset, length);
    return (row) => values[row];
  }

  #timestamps(perSecond: number, length: number): Column {
    const data = this.#take(8 * length);
    if (!this.#context.isOwn) return (row) => isoOf(data.readBigInt64LE(8 * row), perSecond);
    if (perSecond === 1e6) return (row) => signed64(data, 8 * row);
    return (row) => integerOf((data.readBigInt64LE(8 * row) * 1_000_000n) / BigInt(perSecond));
  }

  #intervals(unit: 'months' | 'days' | 'all', length: number): Column {
    switch (unit) {
      case 'months': {
        const data = this.#take(4 * length);
        return (row) => durationOf(data.readInt32LE(4 * row), 0, 0n);
      }
      case 'days': {
        const data = this.#take(8 * length);
        return (row) =>
          durationOf(0, data.readInt32LE(8 * row), BigInt(data.readInt32LE(8 * row + 4)) * 1_000_000n);
      }
      default: {
        const data = this.#take(16 * length);
        return (row) =>
          durationOf(
            data.readInt32LE(16 * row),
            data.readInt32LE(16 * row + 4),
            data.readBigInt64LE(16 * row + 8),
          );
      }
    }
  }

  /** Each row is one of the children's: its own, or of dense ones the one that its offset tells. */
  #union(field: Field, type: ValueType & { kind: 'union' }, length: number): Column {
    const numbers = this.#take(length);
    const offsets = type.isDense ? this.#take(4 * length) : null;
    const lengths: number[] = [];
    const children = field.children.map((child) => {
      lengths.push(this.nextLength ?? 0);
      return this.column(child);
    });
    return (row) => {
      const place = type.places.get(numbers.readInt8(row)) ?? -1;
      const at = offsets === null ? row : offsets.readInt32LE(4 * row);
      if (!(at >= 0 && at < lengths[place]))
        throw new RangeError(`${field.name} refers to what is not there`);
      return children[place](at);
    };
  }

  /** Values that are repeated up to the row at which their run ends. */
  #runs(field: Field, length: number): Column {
    const [endField, valueField] = field.children;
    if (field.children.length !== 2 || endField.type.kind !== 'int') {
      throw new RangeError(`${field.name} has no runs`);
    }
    this.#spendRows(length);
    const runs = this.nextLength ?? 0;
    const ends = this.column(endField) as (row: number) => number;
    if (!((this.nextLength ?? 0) >= runs))
      throw new RangeError(`the values of ${field.name} are not all there`);
    const values = this.column(valueField);
    let last = 0;
    for (let run = 0; run < runs; run++) {
      const end = ends(run);
      if (!(end > last)) throw new RangeError(`the runs of ${field.name} go down`);
      last = end;
    }
    if (last < length) throw new RangeError(`the runs of ${field.name} end early`);
    return (row) => {
      let [from, to] = [0, runs - 1];
      while (from < to) {
        const middle = (from + to) >> 1;
        if (ends(middle) > row) to = middle;
        else from = middle + 1;
      }
      return values(from);
    };
  }

  /** Lists that say where they begin and how many items they have; they may overlap. */
  #listViews(field: Field, isLarge: boolean, length: number): Column {
    const size = isLarge ? 8 : 4;
    const offsets = this.#take(size * length);
    const sizes = this.#take(size * length);
    const number = (data: Buffer, row: number) =>
      isLarge ? (signed64(data, 8 * row) as number) : data.readInt32LE(4 * row);
    const count = this.nextLength ?? 0;
    const items = this.#child(field, 0);
    return (row) => {
      const from = number(offsets, row);
      const to = from + number(sizes, row);
      if (!(from >= 0 && to >= from && to <= count)) {
        throw new RangeError(`the items of ${field.name} are not all there`);
      }
      return this.#range(items, from, to);
    };
  }

  #range(items: Column, from: number, to: number): Json[] {
    this.#context.spend(ITEM_COST * (to - from));
    const list: Json[] = [];
    for (let i = from; i < to; i++) list.push(items(i));
    return list;
  }

  #views(isText: boolean, length: number): Column {
    const views = this.#take(VIEW_BYTES * length);
    const count = this.#parts.variadic[this.#variadic++] ?? 0;
    if (count > this.#parts.buffers.length / 2) throw new RangeError('a batch lacks a buffer');
    const blocks = Array.from({ length: count }, () => this.#take(0));
    const bytesAt = (row: number): Buffer => {
      const at = row * VIEW_BYTES;
      const size = views.readInt32LE(at);
      if (size < 0) throw new RangeError('a view has a negative length');
      if (size <= VIEW_INLINE_MAX) return views.subarray(at + 4, at + 4 + size);
      const block = blocks[views.readInt32LE(at + 8)];
      const start = views.readInt32LE(at + 12);
      if (block === undefined || start < 0 || start + size > block.length) {
        throw new RangeError('a view points outside of its data');
      }
      // Views may overlap.
      this.#context.spend(size);
      return block.subarray(start, start + size);
    };
    return isText ? (row) => bytesAt(row).toString('utf8') : (row) => base64Of(bytesAt(row));
  }

  /** Where each value begins, and the last one ends. */
  #offsets(isLarge: boolean, length: number): (row: number) => number {
    // A column without rows may have no offsets either.
    if (length === 0) {
      this.#take(0);
      return () => 0;
    }
    const data = this.#take((length + 1) * (isLarge ? 8 : 4));
    const offset: (row: number) => number = isLarge
      ? (row) => signed64(data, 8 * row) as number
      : (row) => data.readInt32LE(4 * row);
    let last = 0;
    for (let row = 0; row <= length; row++) {
      const next = offset(row);
      if (!(next >= last)) throw new RangeError('offsets go down');
      last = next;
    }
    return offset;
  }

  /** The next buffer, at least so long. */
  #take(bytesMin: number): Buffer {
    const offset = this.#parts.buffers[2 * this.#buffer];
    const length = this.#parts.buffers[2 * this.#buffer + 1];
    if (offset === undefined || length === undefined) throw new RangeError('a batch lacks a buffer');
    this.#buffer++;
    if (length < bytesMin)
      throw new RangeError(`a buffer of ${length} bytes should have ${Math.ceil(bytesMin)}`);
    return this.#parts.body.subarray(offset, offset + length);
  }
}

function childOf({ name, children }: Field): Field {
  if (children.length !== 1) throw new RangeError(`the list ${name} has no one child`);
  return children[0];
}

/** The buffer where a view of its numbers may begin, whatever was in front of it in the file. */
function aligned(data: Buffer): Buffer {
  if (data.byteOffset % 8 === 0) return data;
  const copy = Buffer.from(new ArrayBuffer(data.length));
  data.copy(copy);
  return copy;
}

function signed64(data: Buffer, at: number): number | string {
  const value = data.readInt32LE(at + 4) * 2 ** 32 + data.readUInt32LE(at);
  return Number.isSafeInteger(value) ? value : integerOf(data.readBigInt64LE(at));
}

/** Two's complement, least significant byte first. */
function littleEndian(data: Buffer, at: number, bytes: number): bigint {
  return unscaledOf(Buffer.from(data.subarray(at, at + bytes)).reverse());
}
