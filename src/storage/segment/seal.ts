/**
 * The seal: what every message of a segment says about itself, and the checksums that show whether it is whole.
 *
 * It is the message's own metadata under one key, a text of fixed length with every number at a fixed place, and it
 * ends the message's metadata. So it is found, and the metadata's checksum compared, before anything is parsed; and
 * a message that is written often is a copy of the last one with the digits set.
 *
 * `crc` is over marker, length and metadata with the digits of `crc` as zeros; `body` is over the body.
 */
import { crc32 } from 'node:zlib';
import { ALIGN_BYTES, CONTINUATION, PREFIX_BYTES } from '../../formats/arrow/message.js';
import { FORMAT_VERSION } from './format.js';

export const SEAL_KEY = 'crucible';

/** With the zero that ends a string it fills 256 bytes, so nothing pads the metadata behind it. */
const SEAL_BYTES = 255;
const SEAL_FROM_END = SEAL_BYTES + 1;

const CRC_DIGITS = 8;
const CRC_ZEROS = Buffer.from('0'.repeat(CRC_DIGITS));
const HEX_DIGITS = Buffer.from('0123456789abcdef');
const NO_DIGIT = 16;
const SPACE = 0x20;
/** The value of each byte as a digit. */
const HEX_VALUES = new Uint8Array(256).fill(NO_DIGIT);
HEX_DIGITS.forEach((byte, value) => {
  HEX_VALUES[byte] = value;
});

/** The text with zeros for digits, and where the digits of each number begin, counted from the metadata's end. */
export interface SealLayout<Name extends string> {
  readonly text: string;
  readonly numbers: Readonly<Record<Name, { readonly fromEnd: number; readonly digits: number }>>;
}

function sealLayout<Name extends string>(digits: Readonly<Record<Name, number>>): SealLayout<Name> {
  let text = `v=${FORMAT_VERSION}`;
  const numbers = {} as Record<Name, { fromEnd: number; digits: number }>;
  for (const [name, count] of Object.entries(digits) as [Name, number][]) {
    text += ` ${name}=`;
    numbers[name] = { fromEnd: SEAL_FROM_END - text.length, digits: count };
    text += '0'.repeat(count);
  }
  return { text: text.padEnd(SEAL_BYTES), numbers };
}

const CHECKSUMS = { crc: CRC_DIGITS, body: CRC_DIGITS };

export const SCHEMA_SEAL = sealLayout(CHECKSUMS);
/** The dictionary, the number of its values before these, and how many there are here. */
export const DICTIONARY_SEAL = sealLayout({ ...CHECKSUMS, dict: 2, from: 8, count: 8 });
/** A place in capture order (chunk, first row in it, rows), times in two's complement, and counters of losses. */
export const BATCH_SEAL = sealLayout({
  ...CHECKSUMS,
  seq: 14,
  row: 4,
  rows: 4,
  producer: 2,
  tmin: 16,
  tmax: 16,
  overwritten: 14,
  refused: 14,
  malformed: 14,
  overflowed: 14,
  cut: 14,
});

const CRC_FROM_END = SCHEMA_SEAL.numbers.crc.fromEnd;
const BODY_FROM_END = SCHEMA_SEAL.numbers.body.fromEnd;

/** Sets a number in the seal of the metadata that ends at `end`. Negative ones only where there are 16 digits. */
export function setSealed<Name extends string>(
  bytes: Uint8Array,
  end: number,
  { numbers }: SealLayout<Name>,
  name: Name,
  value: number,
): void {
  const { fromEnd, digits } = numbers[name];
  writeHex(bytes, end - fromEnd, digits, value);
}

/** A number of the seal that ends `bytes`; `tmin` and `tmax` are signed. @throws RangeError when it is no number */
export function sealed<Name extends string>(
  bytes: Uint8Array,
  { numbers }: SealLayout<Name>,
  name: Name,
): number {
  const { fromEnd, digits } = numbers[name];
  const at = bytes.length - fromEnd;
  if (digits <= 8) return readHex(bytes, at, digits);
  const high = readHex(bytes, at, digits - 8);
  const low = readHex(bytes, at + digits - 8, 8);
  return (digits === 16 ? high | 0 : high) * 2 ** 32 + low;
}

/** The same of a number that earlier versions do not tell: they have spaces there, which make it 0. */
export function sealedSince<Name extends string>(
  bytes: Uint8Array,
  layout: SealLayout<Name>,
  name: Name,
): number {
  const at = bytes.length - layout.numbers[name].fromEnd;
  return bytes[at] === SPACE ? 0 : sealed(bytes, layout, name);
}

function writeHex(bytes: Uint8Array, at: number, digits: number, value: number): void {
  let word = value >>> 0;
  for (let digit = 0; digit < digits; digit++) {
    if (digit === 8) word = Math.floor(value / 2 ** 32) >>> 0;
    bytes[at + digits - 1 - digit] = HEX_DIGITS[word & 15];
    word >>>= 4;
  }
}

function readHex(bytes: Uint8Array, at: number, digits: number): number {
  let value = 0;
  for (let digit = 0; digit < digits; digit++) {
    const nibble = HEX_VALUES[bytes[at + digit]];
    if (nibble === NO_DIGIT) throw new RangeError('a seal holds something else than digits');
    value = value * 16 + nibble;
  }
  return value;
}

/** Sets both checksums of a message whose metadata ends, and whose body begins, at `bodyStart`. */
export function sealMessage(bytes: Uint8Array, start: number, bodyStart: number, end: number): void {
  writeHex(bytes, bodyStart - BODY_FROM_END, CRC_DIGITS, crc32(bytes.subarray(bodyStart, end)));
  const crcStart = bodyStart - CRC_FROM_END;
  writeHex(bytes, crcStart, CRC_DIGITS, headChecksum(bytes.subarray(start, bodyStart)));
}

function headChecksum(head: Uint8Array): number {
  const crcStart = head.length - CRC_FROM_END;
  const before = crc32(head.subarray(0, crcStart));
  return crc32(head.subarray(crcStart + CRC_DIGITS), crc32(CRC_ZEROS, before));
}

/**
 * Bytes of a message's marker, length and metadata together; PREFIX_BYTES for the end of the stream.
 * @param prefix - the message's first 8 bytes
 * @throws RangeError when no message begins so
 */
export function headBytesOf(prefix: Uint8Array): number {
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  if (view.getInt32(0, true) !== CONTINUATION) throw new RangeError('no message begins here');
  const bytes = view.getInt32(4, true);
  if (bytes === 0) return PREFIX_BYTES;
  if (bytes < SEAL_FROM_END || bytes % ALIGN_BYTES !== 0) {
    throw new RangeError('a message gives a length for its metadata that none has');
  }
  return PREFIX_BYTES + bytes;
}

/** @param head - marker, length and metadata. @throws RangeError unless they are as they were written */
export function verifyHead(head: Uint8Array): void {
  if (!sameDigits(head, CRC_FROM_END, headChecksum(head))) {
    throw new RangeError('the metadata of a message does not match its checksum');
  }
}

/** @param crc - the body's CRC-32. @throws RangeError unless the body is as it was written */
export function verifyBody(head: Uint8Array, crc: number): void {
  if (!sameDigits(head, BODY_FROM_END, crc)) {
    throw new RangeError('the body of a message does not match its checksum');
  }
}

/** Compares digits, not their value: a capital letter is damage too. */
function sameDigits(head: Uint8Array, fromEnd: number, crc: number): boolean {
  const written = Buffer.alloc(CRC_DIGITS);
  writeHex(written, 0, CRC_DIGITS, crc);
  return written.equals(head.subarray(head.length - fromEnd, head.length - fromEnd + CRC_DIGITS));
}
