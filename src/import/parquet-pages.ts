/**
 * The heads of a column chunk's pages, looked at before the chunk is decoded. What decodes it takes the numbers in them
 * as they are: where one is missing, it reads the same byte for ever.
 */

/** Kinds of pages, as parquet.thrift numbers them. */
const DATA_PAGE = 0;
const DICTIONARY_PAGE = 2;
const DATA_PAGE_V2 = 3;

const DEPTH_MAX = 16;
const VARINT_BYTES_MAX = 10;

/** Fields by their numbers; what is no number or struct is left out. */
type Struct = Map<number, number | Struct>;

/**
 * @param chunk - all pages of a column in a row group, one after the other
 * @param values - how many they have, nulls included
 * @returns how many bytes come out of them
 * @throws RangeError when there is a page that cannot be one
 */
export function checkPages(chunk: Uint8Array, values: number): number {
  const reader = new CompactReader(chunk);
  let outputBytes = 0;
  // Behind the last value there may be anything.
  for (let seen = 0; seen < values && reader.position < chunk.length; ) {
    const page = checkPage(reader, chunk.length, values);
    seen += page.values;
    outputBytes += page.outputBytes;
  }
  return outputBytes;
}

/** Moves behind the page. @returns how many values of the column it has, and how many bytes come out of it */
function checkPage(
  reader: CompactReader,
  end: number,
  values: number,
): { values: number; outputBytes: number } {
  const start = reader.position;
  const head = reader.struct(0);
  const bytes = whole(head, 3, end - reader.position);
  const outputBytes = whole(head, 2, Number.MAX_SAFE_INTEGER);
  reader.position += bytes;
  return { values: valuesOf(), outputBytes };

  function valuesOf(): number {
    switch (head.get(1)) {
      case DATA_PAGE:
        return encoded(part(head, 5), 2);
      case DATA_PAGE_V2: {
        const data = part(head, 8);
        whole(data, 2, values);
        whole(data, 3, values);
        whole(data, 6, bytes - whole(data, 5, bytes));
        return encoded(data, 4);
      }
      case DICTIONARY_PAGE:
        encoded(part(head, 7), 2);
        return 0;
      default:
        throw damaged();
    }
  }

  function encoded(page: Struct, encoding: number): number {
    whole(page, encoding, Number.MAX_SAFE_INTEGER);
    return whole(page, 1, values);
  }

  function whole(struct: Struct, id: number, most: number): number {
    const value = struct.get(id);
    if (typeof value === 'number' && value >= 0 && value <= most) return value;
    throw damaged();
  }

  function part(struct: Struct, id: number): Struct {
    const value = struct.get(id);
    if (value instanceof Map) return value;
    throw damaged();
  }

  function damaged(): RangeError {
    return new RangeError(`the page at byte ${start} of its column has a damaged head`);
  }
}

/** Thrift's compact protocol, as much of it as heads of pages need. */
class CompactReader {
  position = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  struct(depth: number): Struct {
    if (depth > DEPTH_MAX) throw new RangeError('the head of a page is nested too deep');
    const fields: Struct = new Map();
    let id = 0;
    for (;;) {
      const head = this.#byte();
      if (head === 0) return fields;
      id = head >> 4 === 0 ? this.#zigzag() : id + (head >> 4);
      const value = this.#value(head & 15, depth);
      if (value !== null) fields.set(id, value);
    }
  }

  /** Null for what is neither a number nor a struct, which is passed over. */
  #value(type: number, depth: number): number | Struct | null {
    switch (type) {
      case 1:
      case 2:
        return null;
      case 3:
        return this.#byte();
      case 4:
      case 5:
      case 6:
        return this.#zigzag();
      case 7:
        this.#skip(8);
        return null;
      case 8:
        this.#skip(this.#varint());
        return null;
      case 9:
      case 10:
        this.#list(depth);
        return null;
      case 12:
        return this.struct(depth + 1);
      default:
        throw new RangeError('the head of a page cannot be read');
    }
  }

  #list(depth: number): void {
    const head = this.#byte();
    const type = head & 15;
    const size = head >> 4 === 15 ? this.#varint() : head >> 4;
    // Each item takes at least a byte.
    if (size > this.#bytes.length - this.position)
      throw new RangeError('a list in the head of a page is too long');
    if (depth > DEPTH_MAX) throw new RangeError('the head of a page is nested too deep');
    for (let i = 0; i < size; i++) {
      // In a list, unlike in a struct, a boolean takes a byte.
      if (type === 1 || type === 2) this.#byte();
      else this.#value(type, depth + 1);
    }
  }

  #skip(bytes: number): void {
    if (bytes > this.#bytes.length - this.position) throw new RangeError('the head of a page ends early');
    this.position += bytes;
  }

  #byte(): number {
    const byte = this.#bytes[this.position++];
    if (byte === undefined) throw new RangeError('the head of a page ends early');
    return byte;
  }

  #varint(): number {
    let value = 0;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new RangeError('a number in the head of a page is too long');
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
