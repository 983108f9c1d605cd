/**
 * Thrift's compact protocol, as Parquet's footer and heads of pages are written in it. Nothing in the bytes is trusted:
 * what leads outside of them, or is nested too deep, throws a RangeError.
 */

export type ThriftValue = number | boolean | Uint8Array | ThriftStruct | ThriftValue[];

/** Types of values, as the protocol numbers them. */
const TRUE = 1;
const FALSE = 2;
export const LIST = 9;

const DEPTH_MAX = 16;
const VARINT_BYTES_MAX = 10;

/** The fields of a struct by their numbers. */
export class ThriftStruct {
  readonly #fields = new Map<number, ThriftValue>();
  readonly #what: string;

  /** @param what - it is, for messages */
  constructor(what: string) {
    this.#what = what;
  }

  set(id: number, value: ThriftValue): void {
    this.#fields.set(id, value);
  }

  has(id: number): boolean {
    return this.#fields.has(id);
  }

  /** The number of the first field, for unions. */
  get kind(): number | undefined {
    return this.#fields.keys().next().value;
  }

  /** @throws RangeError for what is not there, or no whole number from 0 to `most` */
  size(id: number, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.#fields.get(id);
    if (typeof value === 'number' && value >= 0 && value <= most) return value;
    throw this.#damaged();
  }

  number(id: number): number | undefined {
    const value = this.#fields.get(id);
    if (value === undefined || typeof value === 'number') return value;
    throw this.#damaged();
  }

  boolean(id: number): boolean | undefined {
    const value = this.#fields.get(id);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.#damaged();
  }

  text(id: number): string | undefined {
    const value = this.#fields.get(id);
    if (value === undefined) return undefined;
    if (!(value instanceof Uint8Array)) throw this.#damaged();
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
  }

  struct(id: number): ThriftStruct | undefined {
    const value = this.#fields.get(id);
    if (value === undefined || value instanceof ThriftStruct) return value;
    throw this.#damaged();
  }

  structs(id: number): ThriftStruct[] {
    const value = this.#fields.get(id);
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every((item) => item instanceof ThriftStruct)) return value;
    throw this.#damaged();
  }

  #damaged(): RangeError {
    return new RangeError(`${this.#what} is damaged`);
  }
}

export class ThriftReader {
  position: number;
  readonly #bytes: Uint8Array;
  readonly #what: string;

  /** @param what - is read, for messages */
  constructor(bytes: Uint8Array, what: string, position = 0) {
    this.#bytes = bytes;
    this.#what = what;
    this.position = position;
  }

  struct(depth = 0): ThriftStruct {
    const struct = new ThriftStruct(this.#what);
    this.fields((id, type) => struct.set(id, this.#value(type, depth + 1)), depth);
    return struct;
  }

  /** Calls back for each field of a struct; who is called reads or skips the value. */
  fields(visit: (id: number, type: number) => void, depth = 0): void {
    if (depth > DEPTH_MAX) throw new RangeError(`${this.#what} is nested too deep`);
    let id = 0;
    for (;;) {
      const head = this.#byte();
      if (head === 0) return;
      id = head >> 4 === 0 ? this.#zigzag() : id + (head >> 4);
      visit(id, head & 15);
    }
  }

  /** @throws RangeError when the items cannot all be there */
  listHead(): { type: number; length: number } {
    const head = this.#byte();
    const length = head >> 4 === 15 ? this.#varint() : head >> 4;
    // Each item takes at least a byte.
    if (length > this.#bytes.length - this.position)
      throw new RangeError(`a list in ${this.#what} is too long`);
    return { type: head & 15, length };
  }

  /** A value of a field. */
  value(type: number): ThriftValue {
    return this.#value(type, 1);
  }

  /** Moves behind a value of a field. */
  skip(type: number, depth = 1): void {
    switch (type) {
      case TRUE:
      case FALSE:
        return;
      case 3:
        this.#move(1);
        return;
      case 4:
      case 5:
      case 6:
        this.#varint();
        return;
      case 7:
        this.#move(8);
        return;
      case 8:
        this.#move(this.#varint());
        return;
      case LIST:
      case 10: {
        if (depth > DEPTH_MAX) throw new RangeError(`${this.#what} is nested too deep`);
        const list = this.listHead();
        for (let i = 0; i < list.length; i++) {
          if (list.type === TRUE || list.type === FALSE) this.#move(1);
          else this.skip(list.type, depth + 1);
        }
        return;
      }
      case 12:
        this.fields((_, inner) => this.skip(inner, depth + 1), depth);
        return;
      default:
        throw new RangeError(`${this.#what} cannot be read`);
    }
  }

  #value(type: number, depth: number): ThriftValue {
    switch (type) {
      case TRUE:
        return true;
      case FALSE:
        return false;
      case 3:
        return (this.#byte() << 24) >> 24;
      case 4:
      case 5:
      case 6:
        return this.#zigzag();
      case 7: {
        const { buffer, byteOffset } = this.#bytes;
        const start = this.position;
        this.#move(8);
        return new DataView(buffer, byteOffset + start, 8).getFloat64(0, true);
      }
      case 8: {
        const length = this.#varint();
        const start = this.position;
        this.#move(length);
        return this.#bytes.subarray(start, this.position);
      }
      case LIST:
      case 10: {
        if (depth > DEPTH_MAX) throw new RangeError(`${this.#what} is nested too deep`);
        const list = this.listHead();
        const items: ThriftValue[] = [];
        for (let i = 0; i < list.length; i++) {
          // In a list, unlike in a struct, a boolean takes a byte.
          if (list.type === TRUE || list.type === FALSE) items.push(this.#byte() === TRUE);
          else items.push(this.#value(list.type, depth + 1));
        }
        return items;
      }
      case 12:
        return this.struct(depth);
      default:
        throw new RangeError(`${this.#what} cannot be read`);
    }
  }

  #move(bytes: number): void {
    if (bytes > this.#bytes.length - this.position) throw new ThriftEnd(this.#what);
    this.position += bytes;
  }

  #byte(): number {
    const byte = this.#bytes[this.position++];
    if (byte === undefined) throw new ThriftEnd(this.#what);
    return byte;
  }

  #varint(): number {
    let value = 0;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new RangeError(`a number in ${this.#what} is too long`);
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

/** The bytes end within a value: there may be more of them. */
export class ThriftEnd extends RangeError {
  constructor(what: string) {
    super(`${what} ends early`);
  }
}
