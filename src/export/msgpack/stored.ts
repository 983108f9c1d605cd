/**
 * MessagePack that was stored with a row, looked at without decoding it: what can be copied into an export as it is.
 *
 * That it can, if decoding and encoding it again would give the same bytes. It would not with keys that begin with a
 * digit (objects put those first) or with `__` (see keys.ts), with two equal keys in a map, with NaN or infinities, and with what a row keeps
 * beside its metadata; such rows are decoded.
 */

import { UNDERSCORE } from '../../formats/msgpack/keys.js';

const KEYS_MAX = 40;
const DEPTH_MAX = 64;
const FAILED = -1;

/** Ids that are lifted out of metadata, by the names of their columns: both spellings, the preferred one first. */
const SPELLINGS: readonly (readonly [column: string, camel: string, snake: string])[] = [
  ['cohort', 'cohort', 'cohort'],
  ['correlation_id', 'correlationId', 'correlation_id'],
  ['sample_id', 'sampleId', 'sample_id'],
  ['session_id', 'sessionId', 'session_id'],
  ['span_id', 'spanId', 'span_id'],
  ['trace_id', 'traceId', 'trace_id'],
  ['user_id', 'userId', 'user_id'],
];
/** The columns in the order in which `StoredRow` keeps their values. */
export const LIFTED_COLUMNS = SPELLINGS.map(([column]) => column);

interface Wanted {
  readonly name: Buffer;
  /** Index in LIFTED_COLUMNS; that of metadata.tokens is the one behind. */
  readonly index: number;
  readonly isPreferred: boolean;
}

const TOKENS_INDEX = SPELLINGS.length;
/** What the keys of totals begin with. */
const TOTAL = Buffer.from('total');
const WANTED: readonly Wanted[] = [
  ...SPELLINGS.flatMap(([, camel, snake], index) => [
    { name: Buffer.from(camel), index, isPreferred: true },
    { name: Buffer.from(snake), index, isPreferred: false },
  ]),
  { name: Buffer.from('tokens'), index: TOKENS_INDEX, isPreferred: true },
];
const WANTED_BY_LENGTH = Array.from({ length: 16 }, (_, length) =>
  WANTED.filter(({ name }) => name.length === length),
);
/** Metadata names that a column of their own must not have if rows are to be copied. */
export const LOOKED_FOR: ReadonlySet<string> = new Set(WANTED.map(({ name }) => name.toString()));

/** The parts of one row at a time. */
export class StoredRow {
  /** Entries of the metadata, and where their bytes begin and end. */
  entries = 0;
  entriesStart = 0;
  entriesEnd = 0;
  /** The map of measurements. */
  measurementsStart = 0;
  measurementsEnd = 0;
  /** Where the value of each lifted column begins and ends; the end is 0 where there is none. */
  readonly starts = new Int32Array(TOKENS_INDEX + 1);
  readonly ends = new Int32Array(TOKENS_INDEX + 1);

  private bytes: Buffer = Buffer.alloc(0);
  private readonly preferred = new Uint8Array(TOKENS_INDEX + 1);
  /** Signatures and places of the keys of the open maps. */
  private readonly signatures = new Int32Array(KEYS_MAX * (DEPTH_MAX + 1));
  private readonly places = new Int32Array(KEYS_MAX * (DEPTH_MAX + 1));

  /** Finds the parts. @returns false when the row has to be decoded */
  read(bytes: Buffer, at: number): boolean {
    this.bytes = bytes;
    this.ends.fill(0);
    if (bytes[at] !== 0xde) return false;
    this.entries = bytes.readUInt16BE(at + 1);
    this.entriesStart = at + 3;
    this.entriesEnd = this.map(at + 1, 0, true);
    if (this.entriesEnd < 0 || this.mayTellTotal()) return false;
    this.measurementsStart = this.entriesEnd;
    this.measurementsEnd = this.value(this.measurementsStart, 0);
    return this.measurementsEnd >= 0;
  }

  /** @returns where the value ends, or FAILED */
  private value(at: number, depth: number): number {
    const { bytes } = this;
    const head = bytes[at];
    if (head < 0x80 || head === 0xc0 || head === 0xc2 || head === 0xc3) return at + 1;
    if (head >= 0xa0 && head < 0xc0) return at + 1 + (head & 31);
    switch (head) {
      case 0xcb:
        // All ones in the exponent: no finite number.
        return (bytes[at + 1] & 0x7f) === 0x7f && bytes[at + 2] >= 0xf0 ? FAILED : at + 9;
      case 0xce:
        return at + 5;
      case 0xd9:
        return at + 2 + bytes[at + 1];
      case 0xdb:
        return at + 5 + bytes.readUInt32BE(at + 1);
      case 0xdd:
        return this.list(at + 1, depth + 1);
      case 0xde:
        return this.map(at + 1, depth + 1, false);
      default:
        return FAILED;
    }
  }

  private list(at: number, depth: number): number {
    if (depth > DEPTH_MAX) return FAILED;
    const length = this.bytes.readUInt32BE(at);
    let end = at + 4;
    for (let i = 0; i < length && end >= 0; i++) end = this.value(end, depth);
    return end;
  }

  private map(at: number, depth: number, isMetadata: boolean): number {
    const { bytes, signatures, places } = this;
    const entries = bytes.readUInt16BE(at);
    if (entries > KEYS_MAX || depth > DEPTH_MAX) return FAILED;
    const first = depth * KEYS_MAX;
    let end = at + 2;
    for (let i = 0; i < entries; i++) {
      const head = bytes[end];
      const start = head === 0xd9 ? end + 2 : end + 1;
      const size = head === 0xd9 ? bytes[end + 1] : head >= 0xa0 && head < 0xc0 ? head & 31 : FAILED;
      // Keys of other kinds are long, or none of the object's.
      if (size <= 0) return FAILED;
      const initial = bytes[start];
      // Most begin with a small letter, behind all of these.
      if (initial <= UNDERSCORE) {
        if (initial >= 0x30 && initial <= 0x39) return FAILED;
        if (initial === UNDERSCORE && bytes[start + 1] === UNDERSCORE) return FAILED;
      }
      const signature = (size << 16) | (initial << 8) | bytes[start + size - 1];
      for (let j = first; j < first + i; j++) {
        if (signatures[j] === signature && this.isSame(places[j], start, size)) return FAILED;
      }
      signatures[first + i] = signature;
      places[first + i] = start;
      const valueStart = start + size;
      end = this.value(valueStart, depth);
      if (end < 0) return FAILED;
      if (isMetadata && size < WANTED_BY_LENGTH.length) this.note(start, size, valueStart, end);
    }
    return end;
  }

  /** Whether the stored tokens may have a total of their own, which is no sum of columns. */
  private mayTellTotal(): boolean {
    const end = this.ends[TOKENS_INDEX];
    return end > 0 && this.bytes.subarray(this.starts[TOKENS_INDEX], end).includes(TOTAL);
  }

  private isSame(a: number, b: number, size: number): boolean {
    for (let i = 0; i < size; i++) if (this.bytes[a + i] !== this.bytes[b + i]) return false;
    return true;
  }

  /** Remembers the value of a key that is looked for; null counts as absent. */
  private note(keyStart: number, size: number, start: number, end: number): void {
    const { bytes, preferred, ends } = this;
    if (bytes[start] === 0xc0) return;
    for (const { name, index, isPreferred } of WANTED_BY_LENGTH[size]) {
      if (ends[index] > 0 && preferred[index] === 1 && !isPreferred) continue;
      let i = 0;
      while (i < size && bytes[keyStart + i] === name[i]) i++;
      if (i < size) continue;
      preferred[index] = isPreferred ? 1 : 0;
      this.starts[index] = start;
      ends[index] = end;
    }
  }
}
