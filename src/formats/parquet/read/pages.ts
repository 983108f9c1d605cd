/** The pages of a column in a row group, one after the other: what is held is one of them, decompressed. */

import { crc32 } from 'node:zlib';
import { ImportError } from '../../../errors.js';
import type { Pace } from '../../../pace.js';
import type { Json } from '../../../schema/event.js';
import { decompress } from '../../compression/decompress.js';
import type { ReachableFile } from '../../reader.js';
import type { Budget } from './budget.js';
import { bitPacked, hybrid, type Next, PLAIN_DICTIONARY, RLE_DICTIONARY, valuesOf } from './encodings.js';
import type { ChunkMetadata } from './metadata.js';
import type { Leaf } from './schema.js';
import { ThriftEnd, ThriftReader, type ThriftStruct } from './thrift.js';

/** Kinds of pages, as parquet.thrift numbers them. */
const DATA_PAGE = 0;
const INDEX_PAGE = 1;
const DICTIONARY_PAGE = 2;
const DATA_PAGE_V2 = 3;

const UNCOMPRESSED = 0;
const BIT_PACKED_LEVELS = 4;

/** So that the number of a bit fits into 32 of them. */
const PAGE_BYTES_MAX = 2 ** 29 - 1;
const HEAD_BYTES_MAX = 16 * 1024 * 1024;
/** Done between two looks at the clock. */
const VALUES_A_LOOK = 1024;
const CHECKSUM_BYTES_A_LOOK = 4 * 1024 * 1024;

/** One entry for each value, null or empty list. */
export interface Page {
  /** Entries that are not read yet. */
  left: number;
  readonly definition: Next<number>;
  readonly repetition: Next<number>;
  /** The next value that is none of these; asked for where the definition level is the greatest. */
  readonly value: Next<Json>;
}

export interface PageContext {
  readonly file: ReachableFile;
  readonly pace: Pace;
  readonly budget: Budget;
  /** Bytes read at a time for heads of pages. */
  readonly windowBytes: number;
}

const ZERO = () => 0;

export class PageReader {
  readonly #context: PageContext;
  readonly #leaf: Leaf;
  readonly #chunk: ChunkMetadata;
  /** Bytes of the file from `#position` on that are read already. */
  #window: Buffer = Buffer.alloc(0);
  #position: number;
  #dictionary: readonly Json[] | null = null;
  /** Entries that pages to come must have. */
  #entries: number;

  constructor(context: PageContext, leaf: Leaf, chunk: ChunkMetadata) {
    this.#context = context;
    this.#leaf = leaf;
    this.#chunk = chunk;
    this.#position = chunk.start;
    this.#entries = chunk.values;
    context.budget.values(chunk.values);
  }

  /** The next page with entries; null behind the last one. @throws RangeError for what is damaged, ImportError */
  async next(): Promise<Page | null> {
    while (this.#entries > 0) {
      const head = await this.#head();
      const stored = await this.#take(pageBytes(head, 3));
      await this.#checkSum(head, stored);
      switch (head.size(1)) {
        case DATA_PAGE: {
          const page = await this.#dataPage(head, stored);
          if (page.left > 0) return page;
          break;
        }
        case DATA_PAGE_V2: {
          const page = await this.#dataPageV2(head, stored);
          if (page.left > 0) return page;
          break;
        }
        case DICTIONARY_PAGE:
          await this.#learn(head, stored);
          break;
        case INDEX_PAGE:
          break;
        default:
          throw new RangeError(`there is a page of the unknown kind ${head.size(1)}`);
      }
    }
    return null;
  }

  async #dataPage(head: ThriftStruct, stored: Buffer): Promise<Page> {
    const data = part(head, 5);
    const entries = data.size(1, this.#entries);
    this.#entries -= entries;
    const bytes = await this.#decompressed(stored, pageBytes(head, 2), true);
    let at = 0;
    const levels = (max: number, encoding: number): Next<number> => {
      if (max === 0) return ZERO;
      const width = 32 - Math.clz32(max);
      if (encoding === BIT_PACKED_LEVELS) {
        const size = Math.ceil((entries * width) / 8);
        at += size;
        return bitPacked(within(bytes, at - size, size), width);
      }
      const size = within(bytes, at, 4).readUInt32LE(0);
      at += 4 + size;
      return hybrid(within(bytes, at - size, size), width);
    };
    const repetition = levels(this.#leaf.repetitionMax, data.size(4));
    const definition = levels(this.#leaf.definitionMax, data.size(3));
    return { left: entries, repetition, definition, value: this.#values(bytes.subarray(at), data.size(2)) };
  }

  async #dataPageV2(head: ThriftStruct, stored: Buffer): Promise<Page> {
    const data = part(head, 8);
    const entries = data.size(1, this.#entries);
    const nulls = data.size(2, entries);
    this.#entries -= entries;
    const definitionBytes = data.size(5);
    const repetitionBytes = data.size(6);
    const levelBytes = definitionBytes + repetitionBytes;
    const levels = (at: number, size: number, max: number) => {
      const bytes = within(stored, at, size);
      return max === 0 ? ZERO : hybrid(bytes, 32 - Math.clz32(max));
    };
    const repetition = levels(0, repetitionBytes, this.#leaf.repetitionMax);
    const definition = levels(repetitionBytes, definitionBytes, this.#leaf.definitionMax);
    if (nulls > 0 && this.#leaf.definitionMax === 0) throw new RangeError('a required column has nulls');
    const size = pageBytes(head, 2) - levelBytes;
    const rest = stored.subarray(levelBytes);
    // Arrow before 3.0 said of compressed pages that they were not.
    const isCompressed = (data.boolean(7) ?? true) || rest.length !== size;
    const bytes = await this.#decompressed(rest, size, isCompressed);
    return { left: entries, repetition, definition, value: this.#values(bytes, data.size(4)) };
  }

  #values(bytes: Buffer, encoding: number): Next<Json> {
    const { convert } = this.#leaf;
    const { budget } = this.#context;
    if (encoding === PLAIN_DICTIONARY || encoding === RLE_DICTIONARY) {
      const width = bytes[0] ?? 0;
      const index = hybrid(bytes.subarray(1), width);
      return () => {
        const value = this.#dictionary?.[index()];
        if (value === undefined) throw new RangeError('a value is not in the dictionary');
        if (typeof value === 'string') budget.output(value.length);
        return value;
      };
    }
    const next = valuesOf(bytes, encoding, this.#leaf);
    return () => {
      const value = convert(next());
      if (typeof value === 'string') budget.output(value.length);
      return value;
    };
  }

  async #learn(head: ThriftStruct, stored: Buffer): Promise<void> {
    const description = part(head, 7);
    const count = description.size(1);
    const { pace, budget } = this.#context;
    budget.values(count);
    const bytes = await this.#decompressed(stored, pageBytes(head, 2), true);
    // Its encoding is said in two ways, both of which mean plain values.
    const encoding = description.size(2);
    const next = valuesOf(bytes, encoding === PLAIN_DICTIONARY ? 0 : encoding, this.#leaf);
    const values: Json[] = [];
    for (let i = 0; i < count; i++) {
      values.push(this.#leaf.convert(next()));
      if (i % VALUES_A_LOOK === 0 && pace.isDue) await pace.rest();
    }
    this.#dictionary = values;
  }

  async #decompressed(stored: Buffer, size: number, isCompressed: boolean): Promise<Buffer> {
    const { budget, pace } = this.#context;
    if (size < 0) throw new RangeError('a page has a damaged head');
    budget.output(size);
    const { codec } = this.#chunk;
    if (codec === UNCOMPRESSED || !isCompressed) {
      if (stored.length !== size) throw new RangeError('a page has another size than it says');
      return stored;
    }
    // Of a page without values, some write nothing, and some an empty frame.
    if (size === 0) return Buffer.alloc(0);
    return decompress(codec, stored, size, pace);
  }

  async #checkSum(head: ThriftStruct, stored: Buffer): Promise<void> {
    const stated = head.number(4);
    if (stated === undefined) return;
    let sum = 0;
    for (let at = 0; at < stored.length; at += CHECKSUM_BYTES_A_LOOK) {
      sum = crc32(stored.subarray(at, at + CHECKSUM_BYTES_A_LOOK), sum);
      if (this.#context.pace.isDue) await this.#context.pace.rest();
    }
    if (sum !== stated >>> 0) throw new RangeError('a page does not have its checksum');
  }

  async #head(): Promise<ThriftStruct> {
    for (let bytes = this.#context.windowBytes; ; bytes *= 4) {
      await this.#fill(bytes);
      const reader = new ThriftReader(this.#window, 'the head of a page');
      try {
        const head = reader.struct();
        this.#move(reader.position);
        return head;
      } catch (error) {
        // It may go on behind what is read.
        const isAll = this.#position + this.#window.length >= this.#chunk.end;
        if (!(error instanceof ThriftEnd) || isAll || bytes > HEAD_BYTES_MAX) throw error;
      }
    }
  }

  /** Has at least so many bytes in the window, or all that there are. */
  async #fill(bytes: number): Promise<void> {
    const wanted = Math.min(this.#chunk.end, this.#position + bytes);
    const known = this.#position + this.#window.length;
    // A head is short: half a window is more than it needs.
    if (known >= wanted || this.#window.length * 2 >= bytes) return;
    const more = Buffer.from(await this.#context.file.slice(known, wanted));
    this.#window = this.#window.length === 0 ? more : Buffer.concat([this.#window, more]);
  }

  async #take(bytes: number): Promise<Buffer> {
    if (bytes > this.#chunk.end - this.#position) throw new RangeError('a page ends outside of its column');
    if (bytes <= this.#window.length) {
      const taken = this.#window.subarray(0, bytes);
      this.#move(bytes);
      return taken;
    }
    const taken = Buffer.from(await this.#context.file.slice(this.#position, this.#position + bytes));
    this.#move(bytes);
    return taken;
  }

  #move(bytes: number): void {
    this.#position += bytes;
    this.#window = this.#window.subarray(Math.min(bytes, this.#window.length));
  }
}

function part(head: ThriftStruct, id: number): ThriftStruct {
  const struct = head.struct(id);
  if (struct === undefined) throw new RangeError('a page has a damaged head');
  return struct;
}

/** A page's size. @throws ImportError where it is larger than a page may be here */
function pageBytes(head: ThriftStruct, id: number): number {
  const bytes = head.size(id);
  if (bytes <= PAGE_BYTES_MAX) return bytes;
  const message = `a page has ${bytes} bytes, and ${PAGE_BYTES_MAX} at most can be read`;
  throw new ImportError('ERR_FILE_TOO_LARGE', message, { bytes, limit: PAGE_BYTES_MAX });
}

function within(bytes: Buffer, at: number, size: number): Buffer {
  if (size > bytes.length - at) throw new RangeError('levels of a page are outside of it');
  return bytes.subarray(at, at + size);
}
