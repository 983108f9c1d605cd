/**
 * A table of a FlatBuffer. Nothing in the bytes is trusted: whatever leads outside of them throws a RangeError, and
 * no length is used before it has been compared with what is there.
 */
export class FlatTable {
  readonly #view: DataView;
  readonly #position: number;
  readonly #vtable: number;
  readonly #vtableBytes: number;

  private constructor(view: DataView, position: number) {
    this.#view = view;
    this.#position = position;
    this.#vtable = position - view.getInt32(position, true);
    this.#vtableBytes = view.getUint16(this.#vtable, true);
  }

  /** The table that a buffer begins with a reference to. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new FlatTable(view, view.getUint32(0, true));
  }

  /** Where a field's value stands in the buffer; undefined when the field is not present. */
  position(field: number): number | undefined {
    const entry = 4 + 2 * field;
    if (entry + 2 > this.#vtableBytes) return undefined;
    const offset = this.#view.getUint16(this.#vtable + entry, true);
    return offset === 0 ? undefined : this.#position + offset;
  }

  /** Fields that are not present read as 0, the default of all that Arrow has. */
  int8(field: number): number {
    const position = this.position(field);
    return position === undefined ? 0 : this.#view.getInt8(position);
  }

  int16(field: number): number {
    const position = this.position(field);
    return position === undefined ? 0 : this.#view.getInt16(position, true);
  }

  int32(field: number): number {
    const position = this.position(field);
    return position === undefined ? 0 : this.#view.getInt32(position, true);
  }

  /** A length or an offset. @throws RangeError when it is negative or no safe integer */
  size(field: number): number {
    const position = this.position(field);
    return position === undefined ? 0 : sizeAt(this.#view, position);
  }

  table(field: number): FlatTable | undefined {
    const position = this.#referred(field);
    return position === undefined ? undefined : new FlatTable(this.#view, position);
  }

  string(field: number): string | undefined {
    const vector = this.vector(field, 1);
    if (vector === undefined) return undefined;
    const { buffer, byteOffset } = this.#view;
    return Buffer.from(buffer, byteOffset + vector.position, vector.length).toString();
  }

  tables(field: number): FlatTable[] {
    const vector = this.vector(field, 4);
    if (vector === undefined) return [];
    return Array.from({ length: vector.length }, (_, index) => {
      const reference = vector.position + 4 * index;
      return new FlatTable(this.#view, reference + this.#view.getUint32(reference, true));
    });
  }

  /** The int64 of a vector of structs of `each` of them, one after the other. @throws RangeError as `size` */
  structs(field: number, each: number): number[] {
    const vector = this.vector(field, 8 * each);
    if (vector === undefined) return [];
    return Array.from({ length: each * vector.length }, (_, index) =>
      sizeAt(this.#view, vector.position + 8 * index),
    );
  }

  int32s(field: number): number[] {
    const vector = this.vector(field, 4);
    if (vector === undefined) return [];
    return Array.from({ length: vector.length }, (_, index) =>
      this.#view.getInt32(vector.position + 4 * index, true),
    );
  }

  /** Where a vector's elements begin, and how many there are; all of them are inside the buffer. */
  vector(field: number, elementBytes: number): { position: number; length: number } | undefined {
    const start = this.#referred(field);
    if (start === undefined) return undefined;
    const length = this.#view.getUint32(start, true);
    const position = start + 4;
    if (length * elementBytes > this.#view.byteLength - position)
      throw new RangeError('a vector is longer than its buffer');
    return { position, length };
  }

  #referred(field: number): number | undefined {
    const position = this.position(field);
    return position === undefined ? undefined : position + this.#view.getUint32(position, true);
  }
}

function sizeAt(view: DataView, position: number): number {
  const size = view.getInt32(position + 4, true) * 2 ** 32 + view.getUint32(position, true);
  if (size < 0 || !Number.isSafeInteger(size)) throw new RangeError('a size is negative or too large');
  return size;
}
