/**
 * A checksum that a message carries: CRC-32 over its metadata and its body, with the checksum's own digits as zeros. It
 * is the last of the message's own metadata, so that it ends them and is found before anything is parsed.
 */

import { crc32 } from 'node:zlib';
import { PREFIX_BYTES } from './message.js';

const KEY = 'crucible.checksum';
const DIGITS = 8;
const ZEROS = Buffer.from('0'.repeat(DIGITS));
/** With the digits and the zero that ends a string, a multiple of 8 bytes: nothing pads the metadata behind it. */
const MARK = Buffer.from('crc-32:');
const FROM_END = MARK.length + DIGITS + 1;

/** Metadata of a message that is to have a checksum. */
export const CHECKSUM: Readonly<Record<string, string>> = { [KEY]: `${MARK}${ZEROS}` };

/**
 * Sets the checksum of a message whose metadata has a place for it, once everything else is set.
 * @param message - all of it: marker, length, metadata, body
 * @param headBytes - up to the body
 */
export function setChecksum(message: Uint8Array, headBytes: number): void {
  const text = checksumOf(message.subarray(PREFIX_BYTES, headBytes), message.subarray(headBytes));
  message.set(Buffer.from(text), headBytes - DIGITS - 1);
}

/** Whether the metadata of a message has a checksum. */
export function hasChecksum(metadata: Uint8Array): boolean {
  const at = metadata.length - FROM_END;
  return at >= 0 && MARK.equals(metadata.subarray(at, at + MARK.length));
}

/** @throws RangeError unless the message is as it was written */
export function verifyChecksum(metadata: Uint8Array, body: Uint8Array): void {
  const end = metadata.length - 1;
  const stated = Buffer.from(metadata.subarray(end - DIGITS, end)).toString('latin1');
  if (stated !== checksumOf(metadata, body)) throw new RangeError('a message does not match its checksum');
}

function checksumOf(metadata: Uint8Array, body: Uint8Array): string {
  const end = metadata.length - 1;
  const before = crc32(metadata.subarray(0, end - DIGITS));
  const head = crc32(metadata.subarray(end), crc32(ZEROS, before));
  // Of no bytes at all, zlib's result is 0, whatever it began with.
  return (body.length === 0 ? head : crc32(body, head)).toString(16).padStart(DIGITS, '0');
}
