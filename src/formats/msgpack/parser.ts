/**
 * MessagePack, streaming: bytes in, whole values out; of a list that is no part of another value, its items. Reads every
 * type of the specification, and msgpackr's records, integers of any size, undefined, and what stands behind its marks
 * of sets, errors and regular expressions. What other extension types mean is not known here: they become the base64 of
 * their bytes. NaN and infinities are what they are.
 *
 * A value that is not whole yet is read again from its beginning when there are twice as many bytes, so that a long
 * one is read few times.
 */

import { ImportError } from '../../errors.js';
import type { Json } from '../../schema/event.js';
import { blankRecord, setOwn } from '../reader.js';
import { base64Of, integerOf, isoOf, unscaledOf } from '../values.js';

/** Thrown, and caught here, where the bytes end within a value. */
const INCOMPLETE = new RangeError('the bytes end within a value');

const DEPTH_MAX = 200;
/** Keys up to this long are remembered, since most maps of a file have the same. */
const KEY_BYTES_MAX = 48;
const KEYS_REMEMBERED = 1024;
const EXTENSION_TIMESTAMP = -1;
// Of msgpackr.
const EXTENSION_UNDEFINED = 0;
const EXTENSION_INTEGER = 0x42;
const EXTENSION_RECORD = 0x72;
const INTEGER_BYTES_MAX = 1024;
/** A set, an error, a regular expression: one byte, and the list of its parts behind it. */
const EXTENSIONS_BEFORE_LIST: ReadonlySet<number> = new Set([0x73, 0x65, 0x78]);
/** Four bytes that say which object of the same value is meant, or where texts are that stand elsewhere. */
const EXTENSIONS_ELSEWHERE: ReadonlyMap<number, string> = new Map([
  [0x69, 'structured clones of msgpackr (write it without structuredClone)'],
  [0x70, 'structured clones of msgpackr (write it without structuredClone)'],
  [0x62, 'bundled strings of msgpackr (write it without bundleStrings)'],
]);

interface RememberedKey {
  readonly bytes: Buffer;
  readonly text: string;
}

/** Maps from so many entries on are made by a copy of an empty one with the same keys. */
const WIDE_ENTRIES = 10;
const SHAPE_ENTRIES_MAX = 500;

interface Shape {
  readonly keys: readonly string[];
  readonly blank: Readonly<Record<string, Json>>;
}

export class MsgpackParser {
  #bytes: Buffer = Buffer.alloc(0);
  #position = 0;
  #wanted = 0;
  #depth = 0;
  readonly #keys = new Array<RememberedKey | undefined>(KEYS_REMEMBERED);
  readonly #shapes = new Map<number, Shape>();
  /** Keys of msgpackr's records by the number that begins one, or by it and the next; see `#record`. */
  readonly #records = new Map<number, readonly string[]>();
  /** What a value has changed of them, which is taken back where it is not whole. */
  #defined: (readonly [number, readonly string[] | undefined])[] = [];
  /** Items that are still to come of the list that is being read. */
  #items = 0;
  readonly #valueBytesMax: number;
  /** Binary values are bytes instead of base64 text, for who knows what is in them. */
  keepsBytes = false;
  /** Whether there was a key that our exports would have written for another one: see `renamedBack`. */
  hasRenamed = false;

  constructor(valueBytesMax: number) {
    this.#valueBytesMax = valueBytesMax;
  }

  /** Bytes that belong to no value yet. */
  get pending(): number {
    return this.#bytes.length - this.#position;
  }

  push(chunk: Uint8Array): void {
    const rest = this.#bytes.subarray(this.#position);
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#bytes = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    this.#position = 0;
  }

  /** The next value; undefined when it is not whole. @throws RangeError for invalid bytes */
  next(): Json | undefined {
    if (this.pending === 0 || this.pending < this.#wanted) return undefined;
    let start = this.#position;
    try {
      this.#depth = 0;
      while (this.#items === 0 && this.#beginsList()) {
        this.#items = this.#listLength();
        start = this.#position;
      }
      const value = this.#value();
      if (this.#items > 0) this.#items--;
      this.#wanted = 0;
      this.#defined = [];
      return value;
    } catch (error) {
      if (error !== INCOMPLETE) throw error;
      this.#position = start;
      for (const [id, keys] of this.#defined.reverse()) {
        if (keys === undefined) this.#records.delete(id);
        else this.#records.set(id, keys);
      }
      this.#defined = [];
      this.#wanted = 2 * this.pending;
      if (this.pending > this.#valueBytesMax) {
        throw new RangeError(`a value is longer than ${this.#valueBytesMax} bytes`);
      }
      return undefined;
    }
  }

  /** The last value there is, to be asked for when no more bytes come. @throws RangeError */
  last(): Json | undefined {
    this.#wanted = 0;
    const value = this.next();
    if (value === undefined && (this.pending > 0 || this.#items > 0)) {
      throw new RangeError('the file ends within a value');
    }
    return value;
  }

  #beginsList(): boolean {
    const head = this.#bytes[this.#position];
    return (head >= 0x90 && head < 0xa0) || head === 0xdc || head === 0xdd;
  }

  #listLength(): number {
    const head = this.#byte();
    return head < 0xa0 ? head & 0x0f : this.#uint(head === 0xdc ? 2 : 4);
  }

  #value(): Json {
    const head = this.#byte();
    if (head < 0x80) return head >= 0x40 && this.#records.size > 0 ? this.#record(head) : head;
    if (head < 0x90) return this.#map(head & 0x0f);
    if (head < 0xa0) return this.#list(head & 0x0f);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(this.#byte());
      case 0xc5:
        return this.#binary(this.#uint(2));
      case 0xc6:
        return this.#binary(this.#uint(4));
      case 0xc7:
        return this.#extension(this.#byte());
      case 0xc8:
        return this.#extension(this.#uint(2));
      case 0xc9:
        return this.#extension(this.#uint(4));
      case 0xca:
        return this.#bytes.readFloatBE(this.#skip(4));
      case 0xcb:
        return this.#bytes.readDoubleBE(this.#skip(8));
      case 0xcc:
        return this.#byte();
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return integerOf(this.#bytes.readBigUInt64BE(this.#skip(8)));
      case 0xd0:
        return this.#bytes.readInt8(this.#skip(1));
      case 0xd1:
        return this.#bytes.readInt16BE(this.#skip(2));
      case 0xd2:
        return this.#bytes.readInt32BE(this.#skip(4));
      case 0xd3:
        return this.#int64();
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (head - 0xd4));
      case 0xd9:
        return this.#text(this.#byte());
      case 0xda:
        return this.#text(this.#uint(2));
      case 0xdb:
        return this.#text(this.#uint(4));
      case 0xdc:
        return this.#list(this.#uint(2));
      case 0xdd:
        return this.#list(this.#uint(4));
      case 0xde:
        return this.#map(this.#uint(2));
      case 0xdf:
        return this.#map(this.#uint(4));
      default:
        throw new RangeError(`the byte 0x${head.toString(16)} begins no value`);
    }
  }

  #byte(): number {
    if (this.#position >= this.#bytes.length) throw INCOMPLETE;
    return this.#bytes[this.#position++];
  }

  /** Moves behind so many bytes. @returns where they begin */
  #skip(size: number): number {
    const start = this.#position;
    if (start + size > this.#bytes.length) throw INCOMPLETE;
    this.#position = start + size;
    return start;
  }

  #binary(size: number): Json {
    const start = this.#skip(size);
    const bytes = this.#bytes.subarray(start, start + size);
    return this.keepsBytes ? (bytes as unknown as Json) : base64Of(bytes);
  }

  #uint(size: number): number {
    return this.#bytes.readUIntBE(this.#skip(size), size);
  }

  #int64(): number | string {
    const start = this.#skip(8);
    const value = this.#bytes.readInt32BE(start) * 2 ** 32 + this.#bytes.readUInt32BE(start + 4);
    return Number.isSafeInteger(value) ? value : integerOf(this.#bytes.readBigInt64BE(start));
  }

  #text(size: number): string {
    const start = this.#skip(size);
    return this.#bytes.toString('utf8', start, start + size);
  }

  #list(length: number): Json[] {
    this.#enter();
    const values: Json[] = [];
    for (let i = 0; i < length; i++) values.push(this.#value());
    this.#depth--;
    return values;
  }

  #map(entries: number): Record<string, Json> {
    this.#enter();
    if (entries >= WIDE_ENTRIES && entries <= SHAPE_ENTRIES_MAX) return this.#wideMap(entries);
    const object: Record<string, Json> = {};
    for (let i = 0; i < entries; i++) {
      const key = this.#key();
      setOwn(object, key, this.#value());
    }
    this.#depth--;
    return object;
  }

  /** A map that most likely has the keys of the last one of its size. */
  #wideMap(entries: number): Record<string, Json> {
    const keys: string[] = [];
    const values: Json[] = [];
    for (let i = 0; i < entries; i++) {
      keys.push(this.#key());
      values.push(this.#value());
    }
    this.#depth--;
    let shape = this.#shapes.get(entries);
    if (shape === undefined || !keys.every((key, i) => key === shape!.keys[i])) {
      shape = { keys, blank: blankRecord(keys) };
      this.#shapes.set(entries, shape);
    }
    const object = { ...shape.blank };
    for (let i = 0; i < entries; i++) object[keys[i]] = values[i];
    return object;
  }

  #enter(): void {
    if (++this.#depth > DEPTH_MAX) throw new RangeError(`values are nested deeper than ${DEPTH_MAX} levels`);
  }

  #key(): string {
    const head = this.#bytes[this.#position];
    let size = -1;
    if (head >= 0xa0 && head < 0xc0) size = head & 0x1f;
    else if (head === 0xd9 && this.#position + 1 < this.#bytes.length) size = this.#bytes[this.#position + 1];
    if (size < 0 || size > KEY_BYTES_MAX) {
      const key = this.#value();
      if (typeof key !== 'string') return JSON.stringify(key);
      this.hasRenamed ||= RENAMED_KEY.test(key);
      return key;
    }
    const start = this.#position + (head === 0xd9 ? 2 : 1);
    if (start + size > this.#bytes.length) throw INCOMPLETE;
    this.#position = start + size;
    return this.#remembered(start, size);
  }

  #remembered(start: number, size: number): string {
    const bytes = this.#bytes;
    let hash = size;
    for (let i = start; i < start + size; i++) hash = (Math.imul(hash, 31) + bytes[i]) | 0;
    const place = hash & (KEYS_REMEMBERED - 1);
    const known = this.#keys[place];
    if (known !== undefined && known.bytes.length === size) {
      let i = 0;
      while (i < size && known.bytes[i] === bytes[start + i]) i++;
      if (i === size) return known.text;
    }
    const text = bytes.toString('utf8', start, start + size);
    this.hasRenamed ||= RENAMED_KEY.test(text);
    this.#keys[place] = { bytes: Buffer.from(bytes.subarray(start, start + size)), text };
    return text;
  }

  #extension(size: number): Json {
    const type = this.#bytes.readInt8(this.#skip(1));
    if (type === EXTENSION_RECORD && size <= 2) return this.#definition(size);
    if (size === 1 && EXTENSIONS_BEFORE_LIST.has(type)) {
      this.#skip(size);
      this.#enter();
      const list = this.#value();
      this.#depth--;
      return list;
    }
    const feature = size === 4 ? EXTENSIONS_ELSEWHERE.get(type) : undefined;
    if (feature !== undefined) {
      throw new ImportError('ERR_UNSUPPORTED_FORMAT', `${feature} cannot be read`, { feature });
    }
    const start = this.#skip(size);
    const bytes = this.#bytes.subarray(start, start + size);
    switch (type) {
      case EXTENSION_TIMESTAMP:
        return timestampOf(bytes);
      case EXTENSION_UNDEFINED:
        return size === 1 ? null : base64Of(bytes);
      case EXTENSION_INTEGER:
        return size <= INTEGER_BYTES_MAX ? integerOf(unscaledOf(bytes)) : base64Of(bytes);
      default:
        return base64Of(bytes);
    }
  }

  /** A record's keys, by the one or two bytes that will stand for them, and the first record that has them. */
  #definition(size: number): Json {
    const first = this.#byte() & 0x3f;
    const id = size === 1 ? first : first + 64 * (1 + this.#byte());
    const keys = this.#value();
    if (!Array.isArray(keys)) throw new RangeError('the keys of a record are no list');
    const names = keys.map((key) => (typeof key === 'string' ? key : JSON.stringify(key)));
    this.#defined.push([id, this.#records.get(id)]);
    this.#records.set(id, names);
    return this.#recordOf(names);
  }

  /** A number from 64 on is a record where keys are known for it: those that are none are written in two bytes. */
  #record(head: number): Json {
    const first = head & 0x3f;
    const keys = this.#records.get(first);
    if (keys !== undefined) return this.#recordOf(keys);
    const wide = this.#records.get(first + 64 * (1 + (this.#bytes[this.#position] ?? 0)));
    if (wide === undefined) return head;
    this.#byte();
    return this.#recordOf(wide);
  }

  #recordOf(keys: readonly string[]): Json {
    this.#enter();
    const object: Record<string, Json> = {};
    for (const key of keys) setOwn(object, key, this.#value());
    this.#depth--;
    return object;
  }
}

function timestampOf(bytes: Buffer): Json {
  switch (bytes.length) {
    case 4:
      return isoOf(bytes.readUInt32BE(0), 1);
    case 8: {
      const packed = bytes.readBigUInt64BE(0);
      return isoOf((packed & 0x3ffffffffn) * 1_000_000_000n + (packed >> 34n), 1e9);
    }
    case 12:
      return isoOf(bytes.readBigInt64BE(4) * 1_000_000_000n + BigInt(bytes.readUInt32BE(0)), 1e9);
    default:
      return base64Of(bytes);
  }
}

/** `__proto__` with one underscore too many, since other readers refuse it as it is; and so on. */
const RENAMED_KEY = /^__proto___+$/;

/** A value of one of our own exports with the keys that it had. */
export function renamedBack(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(renamedBack);
  const object: Record<string, Json> = {};
  for (const [key, inner] of Object.entries(value)) {
    setOwn(object, RENAMED_KEY.test(key) ? key.slice(0, -1) : key, renamedBack(inner));
  }
  return object;
}
