/**
 * FlatBuffers, written front to back: a table, then what it refers to, in the order of its fields.
 *
 * So the last thing a buffer holds is the last field's last part, which callers rely on to find it from the end.
 * Tables, and the contents of strings and vectors, begin at multiples of 8: a little more than the format asks for,
 * and one rule for all of them. All numbers are little-endian.
 */

export type FlatField =
  | { readonly kind: 'int8' | 'int16' | 'int32' | 'int64'; readonly value: number }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'table'; readonly fields: FlatFields }
  | { readonly kind: 'tables'; readonly tables: readonly FlatFields[] }
  /** A vector of structs of int64, all of one length. */
  | { readonly kind: 'structs'; readonly structs: readonly (readonly number[])[] };

/** A table's fields by their numbers; null = not present. */
export type FlatFields = readonly (FlatField | null)[];

export const int8 = (value: number): FlatField => ({ kind: 'int8', value });
export const int16 = (value: number): FlatField => ({ kind: 'int16', value });
export const int32 = (value: number): FlatField => ({ kind: 'int32', value });
export const int64 = (value: number): FlatField => ({ kind: 'int64', value });
export const bool = (value: boolean): FlatField => ({ kind: 'int8', value: value ? 1 : 0 });
export const string = (text: string): FlatField => ({ kind: 'string', text });
export const table = (...fields: FlatFields): FlatField => ({ kind: 'table', fields });
export const tables = (list: readonly FlatFields[]): FlatField => ({ kind: 'tables', tables: list });
export const pairs = (list: readonly (readonly [number, number])[]): FlatField => ({
  kind: 'structs',
  structs: list,
});
export const triples = (list: readonly (readonly [number, number, number])[]): FlatField => ({
  kind: 'structs',
  structs: list,
});

/** Bytes of a field inside its table; everything but a number is a reference. */
const INLINE_BYTES = { int8: 1, int16: 2, int32: 4, int64: 8, string: 4, table: 4, tables: 4, structs: 4 };

/** @returns the whole buffer, a multiple of 8 bytes long */
export function writeFlatBuffer(root: FlatFields): Uint8Array {
  const out = new Output();
  const reference = out.take(4, 4);
  out.refer(reference, writeTable(out, root));
  return out.finish();
}

class Output {
  #bytes = Buffer.alloc(1024);
  #length = 0;

  /** The next `bytes`, all 0, at a multiple of `align`. @returns their position */
  take(bytes: number, align: number): number {
    const position = Math.ceil(this.#length / align) * align;
    this.#length = position + bytes;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.alloc(2 * this.#length);
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    return position;
  }

  /** A length, and after it `bytes` of content at a multiple of 8. @returns the length's position */
  takeVector(length: number, bytes: number): number {
    const content = this.take(4, 4) + 4;
    const position = content % 8 === 0 ? content - 4 : this.take(4, 4);
    this.take(bytes, 1);
    this.#bytes.writeUInt32LE(length, position);
    return position;
  }

  number(position: number, width: number, value: number): void {
    if (width === 1) this.#bytes.writeInt8(value, position);
    else if (width === 2) this.#bytes.writeInt16LE(value, position);
    else if (width === 4) this.#bytes.writeInt32LE(value, position);
    else this.#bytes.writeBigInt64LE(BigInt(value), position);
  }

  unsigned16(position: number, value: number): void {
    this.#bytes.writeUInt16LE(value, position);
  }

  text(position: number, text: string): void {
    this.#bytes.write(text, position);
  }

  /** Makes the reference at `position` lead to `target`, which always lies behind it. */
  refer(position: number, target: number): void {
    this.#bytes.writeUInt32LE(target - position, position);
  }

  finish(): Uint8Array {
    this.take(0, 8);
    return new Uint8Array(this.#bytes.subarray(0, this.#length));
  }
}

function writeTable(out: Output, fields: FlatFields): number {
  const vtableBytes = 4 + 2 * fields.length;
  const vtable = out.take(vtableBytes, 8);
  const table = out.take(4, 8);
  out.number(table, 4, table - vtable);
  const places = fields.map((field) => {
    if (field === null) return 0;
    const width = INLINE_BYTES[field.kind];
    return out.take(width, width);
  });
  out.unsigned16(vtable, vtableBytes);
  out.unsigned16(vtable + 2, out.take(0, 1) - table);
  fields.forEach((field, index) => {
    if (field === null) return;
    const place = places[index];
    out.unsigned16(vtable + 4 + 2 * index, place - table);
    if ('value' in field) out.number(place, INLINE_BYTES[field.kind], field.value);
    else out.refer(place, writeReferred(out, field));
  });
  return table;
}

function writeReferred(out: Output, field: Exclude<FlatField, { readonly value: number }>): number {
  switch (field.kind) {
    case 'table':
      return writeTable(out, field.fields);
    case 'string': {
      const bytes = Buffer.byteLength(field.text);
      // One byte more: strings end in a zero that their length does not count.
      const position = out.takeVector(bytes, bytes + 1);
      out.text(position + 4, field.text);
      return position;
    }
    case 'tables': {
      const count = field.tables.length;
      const position = out.takeVector(count, 4 * count);
      field.tables.forEach((fields, index) => {
        const reference = position + 4 + 4 * index;
        out.refer(reference, writeTable(out, fields));
      });
      return position;
    }
    case 'structs': {
      const values = field.structs.flat();
      const position = out.takeVector(field.structs.length, 8 * values.length);
      values.forEach((value, index) => {
        out.number(position + 4 + 8 * index, 8, value);
      });
      return position;
    }
  }
}
