/**
 * MessagePack, as far as event data needs it: a writer for any JavaScript value that never throws, straight
 * into shared memory, and the reader of what it wrote.
 *
 * A library is not used here since this is the hot path (its encoder costs as much as a whole capture), and
 * since it refuses keys such as `__proto__`.
 *
 * What JSON has no place for is kept as near as it goes: a bigint as number or decimal text, a Date as ISO text,
 * a Map as an object, a Set or numeric array as an array, bytes as base64 text, an Error as {name, message, code,
 * cause}, a RegExp as text, a boxed value as the value; functions, symbols and objects that keep what they are to
 * themselves (promises, weak maps, …) are null. Cycles, nesting beyond DEPTH_MAX and getters that throw become null.
 * All but undefined count as malformed when something was lost.
 */
import type { Json } from '../../schema/event.js';

const DEPTH_MAX = 64;
/** Bytes in UTF-8 of one text; what a longer one has beyond that is cut off. */
export const TEXT_BYTES_MAX = 16 * 1024 * 1024;
/** As many as the map's 16-bit length can tell. */
export const MAP_ENTRIES_MAX = 65535;
/** What an error may have besides its name and message. */
const ERROR_KEYS = ['code', 'cause'] as const;
/** Up to this many characters a loop beats the call into the runtime. */
const SHORT_TEXT = 40;

/** A short text of ASCII as it is written, four bytes at a time: keys come again and again. */
export interface WrittenKey {
  readonly words: Int32Array;
  /** Of those that count; the rest is written over. */
  readonly bytes: number;
}

/** @returns null for a text that has to be looked at each time */
export function writtenKey(key: string): WrittenKey | null {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is what is meant.
  if (key.length > 31 || !/^[\x00-\x7f]*$/.test(key)) return null;
  const bytes = Buffer.alloc(Math.ceil((key.length + 1) / 4) * 4);
  bytes[0] = 0xa0 | key.length;
  bytes.write(key, 1, 'latin1');
  const words = Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32BE(4 * i));
  return { words, bytes: key.length + 1 };
}

const encoder = new TextEncoder();

/** The state of a value in the midst of being written. */
export interface SuspendedValue {
  readonly open: object[];
  readonly lossy: boolean;
}

export class MsgpackWriter {
  private readonly bytes: Buffer;
  private readonly view: DataView;
  private readonly start: number;
  /** Next byte to write, an index into the buffer. */
  position: number;
  /** True once something was lost. */
  lossy = false;
  /** Longer texts are cut, at the end of a character; bytes. */
  textBytesMax = TEXT_BYTES_MAX;
  /** Whether a text was cut; what is cut is lossy, too. */
  isCut = false;
  private readonly end: number;
  private open: object[] = [];

  /** Writes into bytes [start, end) of `buffer`, which it owns. */
  constructor(buffer: SharedArrayBuffer | ArrayBuffer, start: number, end: number) {
    this.bytes = Buffer.from(buffer as ArrayBuffer);
    this.view = new DataView(buffer as ArrayBuffer);
    this.start = start;
    this.position = start;
    this.end = end;
  }

  /** What has been written. */
  get written(): Uint8Array {
    return this.bytes.subarray(this.start, this.position);
  }

  /** Forgets what has been written. */
  restart(textBytesMax: number): void {
    this.position = this.start;
    this.lossy = false;
    this.textBytesMax = textBytesMax;
    this.isCut = false;
  }

  /** Sets aside what belongs to the value being written, so that a getter of it can have another one written. */
  suspend(): SuspendedValue {
    const suspended = { open: this.open, lossy: this.lossy };
    this.open = [];
    this.lossy = false;
    return suspended;
  }

  resume({ open, lossy }: SuspendedValue): void {
    this.open = open;
    this.lossy = lossy;
  }

  /** Begins a map whose size is not known yet. @returns what `endMap` needs */
  beginMap(): number {
    const at = this.position;
    if (at + 3 > this.end) throw OUT_OF_ROOM;
    this.bytes[at] = 0xde;
    this.position = at + 3;
    return at;
  }

  endMap(at: number, entries: number): void {
    this.view.setUint16(at + 1, entries);
  }

  /** Writes `key` and then `value`; a value that cannot be read is written as null. */
  entry(key: string, value: unknown): void {
    this.text(key);
    this.value(value);
  }

  /** The same under a key that is known; null where it is not. */
  knownEntry(key: string, written: WrittenKey | null, value: unknown): void {
    if (written === null) this.text(key);
    else {
      const { words } = written;
      const at = this.position;
      if (at + 4 * words.length > this.end) throw OUT_OF_ROOM;
      for (let i = 0; i < words.length; i++) this.view.setInt32(at + 4 * i, words[i]);
      this.position = at + written.bytes;
    }
    this.value(value);
  }

  /** @throws OUT_OF_ROOM when it does not fit; nothing else */
  value(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.text(value);
        return;
      case 'number':
        this.number(value);
        return;
      case 'boolean':
        this.byte(value ? 0xc3 : 0xc2);
        return;
      case 'undefined':
        this.byte(0xc0);
        return;
      case 'bigint':
        if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) this.number(Number(value));
        else this.text(value.toString());
        return;
      case 'object':
        if (value === null) this.byte(0xc0);
        else this.object(value);
        return;
      default:
        this.lossy = true;
        this.byte(0xc0);
    }
  }

  /** Writes an entry of a map that is none of the object's: its key is nil, which no key of an object can be. */
  aside(value: unknown): void {
    this.byte(0xc0);
    this.value(value);
  }

  number(value: number): void {
    const at = this.position;
    if (at + 9 > this.end) throw OUT_OF_ROOM;
    // A small non-negative integer; −0 is neither.
    if ((value | 0) === value && value >= 0 && (value !== 0 || 1 / value > 0)) {
      if (value < 128) {
        this.bytes[at] = value;
        this.position = at + 1;
      } else {
        this.bytes[at] = 0xce;
        this.view.setUint32(at + 1, value);
        this.position = at + 5;
      }
      return;
    }
    this.bytes[at] = 0xcb;
    this.view.setFloat64(at + 1, value);
    this.position = at + 9;
  }

  text(value: string): void {
    const length = value.length;
    const at = this.position;
    if (length < SHORT_TEXT) {
      if (at + 2 + length > this.end) throw OUT_OF_ROOM;
      const bytes = this.bytes;
      const start = length < 32 ? at + 1 : at + 2;
      let i = 0;
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code > 127) break;
        bytes[start + i] = code;
      }
      if (i === length) {
        if (length < 32) bytes[at] = 0xa0 | length;
        else {
          bytes[at] = 0xd9;
          bytes[at + 1] = length;
        }
        this.position = start + length;
        return;
      }
    }
    this.longText(value, at);
  }

  private longText(value: string, at: number): void {
    // A lone surrogate becomes U+FFFD, three bytes like itself, so byteLength is exact.
    const size = Buffer.byteLength(value);
    if (size > this.textBytesMax) {
      this.cutText(value, at);
      return;
    }
    if (at + 5 + size > this.end) throw OUT_OF_ROOM;
    this.bytes[at] = 0xdb;
    this.view.setUint32(at + 1, size);
    this.bytes.write(value, at + 5, size, 'utf8');
    this.position = at + 5 + size;
  }

  /** Whether it would cut a text. */
  cuts(value: string): boolean {
    return Buffer.byteLength(value) > this.textBytesMax;
  }

  private cutText(value: string, at: number): void {
    const end = at + 5 + this.textBytesMax;
    if (end > this.end) throw OUT_OF_ROOM;
    // It takes whole characters only.
    const { written } = encoder.encodeInto(value, this.bytes.subarray(at + 5, end));
    this.bytes[at] = 0xdb;
    this.view.setUint32(at + 1, written);
    this.position = at + 5 + written;
    this.lossy = true;
    this.isCut = true;
  }

  private byte(value: number): void {
    if (this.position >= this.end) throw OUT_OF_ROOM;
    this.bytes[this.position++] = value;
  }

  private object(value: object): void {
    if (this.open.length >= DEPTH_MAX || this.open.includes(value)) {
      this.lossy = true;
      this.byte(0xc0);
      return;
    }
    const start = this.position;
    this.open.push(value);
    try {
      this.contents(value);
    } catch (error) {
      if (error === OUT_OF_ROOM) throw error;
      // A getter, a proxy or a toJSON of the value threw.
      this.lossy = true;
      this.position = start;
      this.byte(0xc0);
    } finally {
      this.open.pop();
    }
  }

  private contents(value: object): void {
    if (Array.isArray(value)) this.array(value);
    else if (value instanceof Date) this.date(value);
    else if (value instanceof Error) this.error(value);
    else if (value instanceof Map) this.map(value);
    else if (value instanceof Set) this.array([...value]);
    else if (ArrayBuffer.isView(value)) {
      if (value instanceof Uint8Array || value instanceof DataView) {
        this.text(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'));
      } else this.array([...(value as unknown as Iterable<number | bigint>)]);
    } else if (value instanceof ArrayBuffer) this.text(Buffer.from(value).toString('base64'));
    else if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
      this.value((value as { toJSON(): unknown }).toJSON());
    } else this.plain(value as Record<string, unknown>);
  }

  private date(value: Date): void {
    if (Number.isNaN(value.getTime())) {
      this.lossy = true;
      this.byte(0xc0);
    } else this.text(value.toISOString());
  }

  private array(values: readonly unknown[]): void {
    const at = this.position;
    // No value has less than a byte.
    if (at + 5 + values.length > this.end) throw OUT_OF_ROOM;
    this.bytes[at] = 0xdd;
    this.view.setUint32(at + 1, values.length);
    this.position = at + 5;
    for (let i = 0; i < values.length; i++) this.value(values[i]);
  }

  private plain(value: Record<string, unknown>): void {
    const keys = Object.keys(value);
    if (keys.length === 0 || value instanceof String) {
      const kept = unboxed(value);
      if (kept !== value) {
        this.value(kept);
        return;
      }
    }
    const at = this.beginMap();
    let entries = 0;
    for (const key of keys) {
      if (entries === MAP_ENTRIES_MAX) {
        this.lossy = true;
        break;
      }
      let item: unknown;
      try {
        item = value[key];
      } catch {
        this.lossy = true;
      }
      this.entry(key, item);
      entries++;
    }
    this.endMap(at, entries);
  }

  private map(value: Map<unknown, unknown>): void {
    const at = this.beginMap();
    this.endMap(at, this.entriesOf(value));
  }

  /** Writes a Map's entries, keys as text. @returns how many, for `endMap` */
  entriesOf(value: Map<unknown, unknown>): number {
    let entries = 0;
    for (const [key, item] of value) {
      if (entries === MAP_ENTRIES_MAX) {
        this.lossy = true;
        break;
      }
      this.entry(String(key), item);
      entries++;
    }
    return entries;
  }

  private error(error: Error): void {
    const at = this.beginMap();
    let entries = 2;
    this.entry('name', error.name);
    this.entry('message', error.message);
    for (const key of ERROR_KEYS) {
      const value = (error as unknown as Readonly<Record<string, unknown>>)[key];
      if (value === undefined) continue;
      this.entry(key, value);
      entries++;
    }
    this.endMap(at, entries);
  }
}

/** What an object without properties is; itself if it is just that, a symbol for what cannot be kept. */
function unboxed(value: object): unknown {
  switch (Object.prototype.toString.call(value)) {
    case '[object Object]':
      return value;
    case '[object RegExp]':
      return String(value);
    case '[object String]':
    case '[object Number]':
    case '[object Boolean]':
    case '[object BigInt]':
      return value.valueOf();
    default:
      return LOST;
  }
}

const LOST = Symbol('an object that keeps what it is to itself');

/** Thrown by the writer when the value does not fit; one object, since nothing else needs to be known. */
export const OUT_OF_ROOM = new RangeError('the value does not fit');

/** Reads what MsgpackWriter wrote. Objects have no special keys: `__proto__` is a key like any other. */
export class StoredValueReader {
  readonly #bytes: Buffer;
  position: number;
  /** What the last map that had an entry by `MsgpackWriter.aside` holds in it. */
  aside: Json | undefined;

  constructor(bytes: Buffer, position = 0) {
    this.#bytes = bytes;
    this.position = position;
  }

  value(): Json {
    const head = this.#bytes[this.position++];
    if (head < 0x80) return head;
    if (head >= 0xa0 && head < 0xc0) return this.#text(head & 31);
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xcb:
        this.position += 8;
        return this.#bytes.readDoubleBE(this.position - 8);
      case 0xce:
        return this.#u32();
      case 0xd9:
        return this.#text(this.#bytes[this.position++]);
      case 0xdb:
        return this.#text(this.#u32());
      case 0xdd:
        return this.#array(this.#u32());
      case 0xde:
        this.position += 2;
        return this.#map(this.#bytes.readUInt16BE(this.position - 2));
      default:
        throw new RangeError(`byte ${head} at ${this.position - 1} begins no value`);
    }
  }

  /** Moves behind a value. */
  skip(): void {
    const head = this.#bytes[this.position++];
    if (head < 0x80 || head === 0xc0 || head === 0xc2 || head === 0xc3) return;
    if (head >= 0xa0 && head < 0xc0) this.position += head & 31;
    else if (head === 0xcb) this.position += 8;
    else if (head === 0xce) this.position += 4;
    else if (head === 0xd9) this.position += 1 + this.#bytes[this.position];
    else if (head === 0xdb) {
      const size = this.#u32();
      this.position += size;
    } else if (head === 0xdd) {
      for (let left = this.#u32(); left > 0; left--) this.skip();
    } else if (head === 0xde) {
      this.position += 2;
      for (let left = 2 * this.#bytes.readUInt16BE(this.position - 2); left > 0; left--) this.skip();
    } else throw new RangeError(`byte ${head} at ${this.position - 1} begins no value`);
  }

  #u32(): number {
    this.position += 4;
    return this.#bytes.readUInt32BE(this.position - 4);
  }

  #text(size: number): string {
    this.position += size;
    return this.#bytes.toString('utf8', this.position - size, this.position);
  }

  #array(length: number): Json[] {
    const values: Json[] = new Array(length);
    for (let i = 0; i < length; i++) values[i] = this.value();
    return values;
  }

  #map(entries: number): Record<string, Json> {
    const object: Record<string, Json> = {};
    for (let i = 0; i < entries; i++) {
      const key = this.value() as string | null;
      if (key === null) this.aside = this.value();
      else setOwn(object, key, this.value());
    }
    return object;
  }
}

/** Whether a value that begins with this byte is a text. */
export function isStoredText(head: number): boolean {
  return (head >= 0xa0 && head < 0xc0) || head === 0xd9 || head === 0xdb;
}

/** Where the value at `at` ends; -1 unless it is whole, and one that MsgpackWriter writes. */
export function endOfStored(bytes: Buffer, at: number, depth = 0): number {
  const { length } = bytes;
  if (at >= length) return -1;
  const head = bytes[at];
  let end = at + 1;
  if (head >= 0xa0 && head < 0xc0) end += head & 31;
  else if (head === 0xcb) end += 8;
  else if (head === 0xce) end += 4;
  else if (head === 0xd9) end += end < length ? 1 + bytes[end] : length;
  else if (head === 0xdb || head === 0xdd) {
    if (end + 4 > length) return -1;
    const size = bytes.readUInt32BE(end);
    end += 4;
    if (head === 0xdb) end += size;
    else return endOfValues(bytes, end, size, false, depth);
  } else if (head === 0xde) {
    if (end + 2 > length) return -1;
    return endOfValues(bytes, end + 2, bytes.readUInt16BE(end), true, depth);
  } else if (!(head < 0x80 || head === 0xc0 || head === 0xc2 || head === 0xc3)) return -1;
  return end <= length ? end : -1;
}

/** @param hasKeys - each has a text before it */
function endOfValues(bytes: Buffer, at: number, count: number, hasKeys: boolean, depth: number): number {
  // What is kept beside an event is one level deeper than what is in it.
  if (depth > DEPTH_MAX + 1) return -1;
  for (let left = count; left > 0 && at >= 0; left--) {
    if (hasKeys) {
      if (!isStoredText(bytes[at])) return -1;
      at = endOfStored(bytes, at);
      if (at < 0) return -1;
    }
    at = endOfStored(bytes, at, depth + 1);
  }
  return at;
}

/** Sets an own property whatever its name; assigning `__proto__` would set the prototype instead. */
export function setOwn<T>(object: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    object[key] = value;
  }
}
