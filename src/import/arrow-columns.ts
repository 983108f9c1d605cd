/** Columns of an Arrow record batch as functions from row to value. Nothing in the bytes is trusted. */

import type { Json } from '../schema/event.js';
import type { Field, ValueType } from './arrow-schema.js';
import {
  base64Of,
  dateOf,
  decimalOf,
  entriesOf,
  halfOf,
  integerOf,
  isoOf,
  unscaledOf,
} from './json-value.js';
import { setOwn } from './reader.js';

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

export interface ColumnContext {
  dictionary(id: number): readonly Json[];
  /** Of our own exports: timestamps are whole microseconds instead of ISO 8601. */
  readonly isOwn: boolean;
}

/**
 * Rows that take no bytes, as in a column of nulls, cost memory all the same: a batch may have so many of them, and eight
 * more for each byte of its body.
 */
const FREE_ROWS_MAX = 2 ** 20;
/** Texts of views may overlap: together they may be so many times as long as the body, and 16 MiB. */
const VIEW_FACTOR_MAX = 64;
const VIEW_FREE_BYTES = 2 ** 24;

const VIEW_BYTES = 16;
const VIEW_INLINE_MAX = 12;

export class ColumnReader {
  readonly #parts: BatchParts;
  readonly #context: ColumnContext;
  #node = 0;
  #buffer = 0;
  #variadic = 0;
  /** Rows without bytes, and bytes of views, that may still come. */
  #freeRows: number;
  #viewBytes: number;

  constructor(parts: BatchParts, context: ColumnContext) {
    this.#parts = parts;
    this.#context = context;
    this.#freeRows = FREE_ROWS_MAX + 8 * parts.body.length;
    this.#viewBytes = VIEW_FREE_BYTES + VIEW_FACTOR_MAX * parts.body.length;
  }

  /** How many rows the next column says to have; undefined where there is none. */
  get nextLength(): number | undefined {
    return this.#parts.nodes[2 * this.#node];
  }

  /** The next column. @throws RangeError when the batch does not hold it */
  column(field: Field): Column {
    if (field.dictionary === null) return this.#values(field, field.type);
    const index = this.#values(field, field.indexType!);
    const values = this.#context.dictionary(field.dictionary);
    return (row) => {
      const place = index(row);
      if (place === null) return null;
      const value = values[place as number];
      if (value === undefined) throw new RangeError(`column ${field.name} has an index without a value`);
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
          : (row) => dateOf(data.readBigInt64LE(8 * row) / 86_400_000n);
      }
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
        return type.kind === 'utf8'
          ? (row) => data.toString('utf8', offsets(row), offsets(row + 1))
          : (row) => base64Of(data.subarray(offsets(row), offsets(row + 1)));
      }
      case 'utf8View':
      case 'binaryView':
        return this.#views(type.kind === 'utf8View', length);
      case 'list': {
        const offsets = this.#offsets(type.isLarge, length);
        const items = this.#child(field, offsets(length));
        const list = (row: number) => range(items, offsets(row), offsets(row + 1));
        return type.isMap ? (row) => entriesOf(list(row)) : list;
      }
      case 'fixedList': {
        if (!(type.size >= 0)) throw new RangeError(`lists of ${type.size} items`);
        this.#spendRows(length);
        const items = this.#child(field, length * type.size);
        return (row) => range(items, row * type.size, (row + 1) * type.size);
      }
      case 'struct': {
        this.#spendRows(length);
        const children = field.children.map((child) => {
          if (!((this.nextLength ?? 0) >= length))
            throw new RangeError(`${field.name}.${child.name} is not all there`);
          return [child.name, this.column(child)] as const;
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
    if (bits === 16) return (row) => finite(halfOf(data.readUInt16LE(2 * row)));
    const { buffer, byteOffset } = aligned(data);
    const values =
      bits === 64
        ? new Float64Array(buffer, byteOffset, length)
        : new Float32Array(buffer, byteOffset, length);
    return (row) => finite(values[row]);
  }

  #timestamps(perSecond: number, length: number): Column {
    const data = this.#take(8 * length);
    if (!this.#context.isOwn) return (row) => isoOf(data.readBigInt64LE(8 * row), perSecond);
    if (perSecond === 1e6) return (row) => signed64(data, 8 * row);
    return (row) => integerOf((data.readBigInt64LE(8 * row) * 1_000_000n) / BigInt(perSecond));
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
      this.#viewBytes -= size;
      if (this.#viewBytes < 0) throw new RangeError('its views overlap too often');
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

function range(items: Column, from: number, to: number): Json[] {
  const list: Json[] = [];
  for (let i = from; i < to; i++) list.push(items(i));
  return list;
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

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Two's complement, least significant byte first. */
function littleEndian(data: Buffer, at: number, bytes: number): bigint {
  return unscaledOf(Buffer.from(data.subarray(at, at + bytes)).reverse());
}
