/**
 * Checksums of the pages of a row group, for whoever reads the file without knowing its index. The library that writes the
 * pages has no way to be told to: they are put into the pages' heads afterwards.
 */
import { crc32 } from 'node:zlib';
import type { RowGroup } from 'hyparquet';

/** A field that follows the one before it and is an i32, and where a page's head ends, in Thrift's compact protocol. */
const NEXT_I32 = 0x15;
const STOP = 0;
const TYPE = 0x0f;
const TRUE = 1;
const FALSE = 2;
const I32 = 5;
/** One more field stands before the next: its number is told as the distance from the one before. */
const ONE_FIELD = 0x10;
/** Kind, sizes: what is written before the checksum. */
const FIELDS_BEFORE = 3;
/** The field's head, and a number of 32 bits in sevens. */
const CRC_BYTES_MAX = 6;
const PAGE_BYTES_MIN = 8;

/**
 * Gives each page of the row group a checksum, and tells the group where its pages are then.
 * @param section - the row group's bytes, which may have others before them
 * @param offset - where in the file the section is
 * @returns the section with the checksums
 * @throws RangeError for pages of another form than the library writes
 */
export function withPageChecksums(section: Buffer, offset: number, group: RowGroup): Buffer {
  const pages = new PageCopy(section);
  let addedToGroup = 0n;
  for (const chunk of group.columns) {
    const { meta_data: metadata } = chunk;
    if (metadata === undefined) throw unknownForm();
    const start = Number(metadata.dictionary_page_offset ?? metadata.data_page_offset) - offset;
    const end = start + Number(metadata.total_compressed_size);
    pages.copyTo(start);
    const shift = BigInt(pages.added);
    const dataStart = Number(metadata.data_page_offset) - offset;
    let shiftOfData = shift;
    while (pages.position < end) {
      if (pages.position === dataStart) shiftOfData = BigInt(pages.added);
      pages.page();
    }
    const added = BigInt(pages.added) - shift;
    chunk.file_offset += shift;
    metadata.data_page_offset += shiftOfData;
    if (metadata.dictionary_page_offset !== undefined) metadata.dictionary_page_offset += shift;
    metadata.total_compressed_size += added;
    metadata.total_uncompressed_size += added;
    addedToGroup += added;
  }
  group.total_byte_size += addedToGroup;
  if (group.total_compressed_size !== undefined) group.total_compressed_size += addedToGroup;
  pages.copyTo(section.length);
  return pages.written;
}

class PageCopy {
  /** In what is copied. */
  position = 0;
  readonly #from: Buffer;
  readonly #to: Buffer;
  #end = 0;

  constructor(from: Buffer) {
    this.#from = from;
    const pagesMax = Math.ceil(from.length / PAGE_BYTES_MIN);
    this.#to = Buffer.allocUnsafeSlow(from.length + CRC_BYTES_MAX * pagesMax);
  }

  /** Bytes that were put in so far. */
  get added(): number {
    return this.#end - this.position;
  }

  get written(): Buffer {
    return this.#to.subarray(0, this.#end);
  }

  copyTo(end: number): void {
    this.#from.copy(this.#to, this.#end, this.position, end);
    this.#end += end - this.position;
    this.position = end;
  }

  page(): void {
    let at = this.position;
    let pageBytes = 0;
    for (let field = 0; field < FIELDS_BEFORE; field++) {
      if (this.#from[at++] !== NEXT_I32) throw unknownForm();
      [pageBytes, at] = this.#number(at);
    }
    const insertAt = at;
    // One struct, of numbers and booleans.
    for (at++; this.#from[at] !== STOP; ) {
      const type = this.#from[at++] & TYPE;
      if (type === I32) [, at] = this.#number(at);
      else if (type !== TRUE && type !== FALSE) throw unknownForm();
    }
    if (this.#from[at + 1] !== STOP) throw unknownForm();
    const bodyAt = at + 2;
    this.copyTo(insertAt);
    this.#to[this.#end++] = NEXT_I32;
    this.#putNumber(crc32(this.#from.subarray(bodyAt, bodyAt + pageBytes)) | 0);
    this.#to[this.#end++] = this.#from[insertAt] - ONE_FIELD;
    this.position = insertAt + 1;
    this.copyTo(bodyAt + pageBytes);
  }

  /** A number that is not negative. @returns it, and where it ends */
  #number(start: number): [value: number, end: number] {
    let value = 0;
    for (let at = start, factor = 1; ; factor *= 0x80) {
      const byte = this.#from[at++];
      value += (byte & 0x7f) * factor;
      if (!(byte >= 0x80)) return [value / 2, at];
    }
  }

  #putNumber(value: number): void {
    let left = ((value << 1) ^ (value >> 31)) >>> 0;
    for (; left >= 0x80; left >>>= 7) this.#to[this.#end++] = (left & 0x7f) | 0x80;
    this.#to[this.#end++] = left;
  }
}

function unknownForm(): RangeError {
  return new RangeError('the pages of a row group have another form than the library writes');
}
