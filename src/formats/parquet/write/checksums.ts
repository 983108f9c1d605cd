/**
 * What a file says of its own bytes, beside the checksums of its pages: under one key of the footer's metadata, the last
 * one, a CRC-32 of the footer with these digits as zeros, and of each row group its bytes and one more. The first row group
 * begins behind the file's first mark.
 */

import { crc32 } from 'node:zlib';

export const CHECKSUMS_KEY = 'crucible.checksums';
const START = 'crc-32 footer=';
const DIGITS = 8;
const ZEROS = '0'.repeat(DIGITS);

const hex = (crc: number) => crc.toString(16).padStart(DIGITS, '0');

export class FileChecksums {
  readonly #groups: string[] = [];

  /** @param bytes - all of a row group */
  addGroup(bytes: Uint8Array): void {
    this.#groups.push(`${bytes.length}:${hex(crc32(bytes))}`);
  }

  /** What stands under the key, until the footer is sealed. */
  get text(): string {
    return `${START}${ZEROS} groups=${this.#groups.join()}`;
  }

  /** @param footer - with the text in it, to the end of the file */
  seal(footer: Uint8Array): void {
    const bytes = Buffer.from(footer.buffer, footer.byteOffset, footer.byteLength);
    // Behind it there is nothing but the name of the library.
    bytes.write(hex(crc32(bytes)), bytes.lastIndexOf(START) + START.length, 'latin1');
  }
}
