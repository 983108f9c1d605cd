/**
 * MessagePack into bytes that grow: what an exported event is made of, written as src/formats/msgpack/stored-value.ts writes it, so
 * that a value that was stored as MessagePack can also be copied as it is.
 */

import type { Json } from '../../schema/event.js';
import { dataViewOf } from '../data-view.js';
import { wellFormed } from '../text.js';
import { UNDERSCORE, writtenKey } from './keys.js';

const CAPACITY_BYTES = 256 * 1024;
const SMALL_BYTES = 64;
/** Up to this many characters a loop beats the call into the runtime. */
const SHORT_TEXT = 40;
const MAP16_ENTRIES_MAX = 65535;

export class ByteWriter {
  bytes: Buffer;
  length = 0;
  /** Of the bytes: writes numbers without the checks of a Buffer, which are made by `reserve`. */
  private view: DataView;

  constructor(capacityBytes = CAPACITY_BYTES) {
    this.bytes = Buffer.allocUnsafe(capacityBytes);
    this.view = dataViewOf(this.bytes);
  }

  /** What has been written, valid until it is cleared and written again. */
  get written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }

  /** Makes room for `more` bytes; whoever writes to `bytes` itself asks first. */
  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.length + more, 2 * this.bytes.length));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
    this.view = dataViewOf(larger);
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  copy(from: Uint8Array): void {
    this.reserve(from.length);
    this.bytes.set(from, this.length);
    this.length += from.length;
  }

  /** A double, whatever the number; nil for what is not finite. */
  double(value: number): void {
    if (value - value !== 0) {
      this.byte(0xc0);
      return;
    }
    this.reserve(9);
    this.bytes[this.length] = 0xcb;
    this.view.setFloat64(this.length + 1, value);
    this.length += 9;
  }

  /** A whole number up to 2^53 as int64. */
  integer(value: number): void {
    this.reserve(9);
    const high = Math.floor(value / 2 ** 32);
    this.bytes[this.length] = 0xd3;
    this.view.setInt32(this.length + 1, high);
    this.view.setUint32(this.length + 5, value - high * 2 ** 32);
    this.length += 9;
  }

  /** A number inside of metadata; nil for what is not finite. */
  number(value: number): void {
    if ((value | 0) !== value || value < 0 || Object.is(value, -0)) {
      this.double(value);
    } else if (value < 128) {
      this.byte(value);
    } else {
      this.reserve(5);
      this.bytes[this.length] = 0xce;
      this.view.setUint32(this.length + 1, value);
      this.length += 5;
    }
  }

  text(value: string): void {
    const { length } = value;
    if (length < SHORT_TEXT) {
      this.reserve(2 + length);
      const { bytes } = this;
      const start = this.length + (length < 32 ? 1 : 2);
      let i = 0;
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code > 127) break;
        bytes[start + i] = code;
      }
      if (i === length) {
        if (length < 32) bytes[this.length] = 0xa0 | length;
        else {
          bytes[this.length] = 0xd9;
          bytes[this.length + 1] = length;
        }
        this.length = start + length;
        return;
      }
    }
    // A lone surrogate becomes U+FFFD, three bytes like itself, so byteLength is exact.
    const size = Buffer.byteLength(value);
    this.reserve(5 + size);
    this.bytes[this.length] = 0xdb;
    this.view.setUint32(this.length + 1, size);
    this.bytes.write(value, this.length + 5, size, 'utf8');
    this.length += 5 + size;
  }

  mapHead(entries: number): void {
    this.reserve(5);
    if (entries > MAP16_ENTRIES_MAX) {
      this.bytes[this.length] = 0xdf;
      this.view.setUint32(this.length + 1, entries);
      this.length += 5;
      return;
    }
    this.bytes[this.length] = 0xde;
    this.view.setUint16(this.length + 1, entries);
    this.length += 3;
  }

  value(value: Json | undefined): void {
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
      default:
        if (value === null || value === undefined) this.byte(0xc0);
        else if (Array.isArray(value)) this.list(value);
        else this.map(value);
    }
  }

  private list(values: readonly Json[]): void {
    this.reserve(5);
    this.bytes[this.length] = 0xdd;
    this.bytes.writeUInt32BE(values.length, this.length + 1);
    this.length += 5;
    for (const value of values) this.value(value);
  }

  map(object: Readonly<Record<string, Json>>): void {
    const keys = Object.keys(object);
    if (!keys.every(isWellFormed)) {
      // Of keys that become one the last counts, as in JSON.
      this.map(Object.fromEntries(keys.map((key) => [wellFormed(key), object[key]])));
      return;
    }
    this.mapHead(keys.length);
    for (const key of keys) {
      this.text(key.charCodeAt(0) === UNDERSCORE ? writtenKey(key) : key);
      this.value(object[key]);
    }
  }
}

/** ES2024; Node has it since 20, the ES2023 library types do not. */
function isWellFormed(text: string): boolean {
  return (text as unknown as { isWellFormed(): boolean }).isWellFormed();
}

export function encodedText(text: string): Uint8Array {
  const out = new ByteWriter(SMALL_BYTES);
  out.text(text);
  // No Buffer: what copies short runs is to meet one kind of array.
  return Uint8Array.from(out.written);
}
