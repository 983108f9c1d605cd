/**
 * Arrow IPC, as a stream or a file, read in the order of its messages: a file is a stream between two marks. So
 * nothing is held but one batch and the dictionaries.
 */

import { constants } from 'node:buffer';
import { ImportError } from '../../errors.js';
import { Pace } from '../../pace.js';
import type { Json } from '../../schema/event.js';
import { uniqueNames } from '../column-names.js';
import { COLUMNS_KEY, tellsColumns } from '../own-marks.js';
import { type ByteChunks, blankRecord, DECODE_MS, type RawItem, type RecordReader } from '../reader.js';
import { parsedJson, recordItem } from '../values.js';
import { ByteQueue } from './byte-queue.js';
import { hasChecksum, verifyChecksum } from './checksum.js';
import { type BatchParts, type ColumnContext, ColumnReader, type DictionaryValues } from './column-reader.js';
import { FlatTable } from './flatbuffer-reader.js';
import {
  CONTINUATION,
  HEADER_BATCH,
  HEADER_DICTIONARY,
  HEADER_SCHEMA,
  METADATA_VERSION_5,
  readMessage,
  readSchemaMetadata,
} from './message.js';
import { type Field, readFields, unsupported } from './schema-reader.js';

/** What a file begins with, padded to 8 bytes. */
const FILE_MAGIC = 'ARROW1';
const FILE_MAGIC_BYTES = 8;
/** The footer's length and the mark that ends a file. */
const FOOTER_TAIL_BYTES = 4 + FILE_MAGIC.length;
const FOOTER_SCHEMA = 1;
/** Of Arrow 0.8 and later. */
const METADATA_VERSION_4 = 3;
const METADATA_BYTES_MAX = 256 * 1024 * 1024;
const BODY_BYTES_MAX = Math.min(constants.MAX_LENGTH, 2 ** 31);
/** So many bytes may come out of a compressed batch whatever its size, and so many out of each of its bytes. */
const FREE_OUTPUT_BYTES = 64 * 1024 * 1024;
const OUTPUT_RATIO_MAX = 250;
/** Records made at a time, fewer where they have many columns. */
const RECORDS = 1024;
const VALUES = 65_536;

const DICTIONARY_ID = 0;
const DICTIONARY_DATA = 1;
const DICTIONARY_IS_DELTA = 2;
const BATCH_LENGTH = 0;
const BATCH_NODES = 1;
const BATCH_BUFFERS = 2;
const BATCH_COMPRESSION = 3;
const BATCH_VARIADIC = 4;

interface Footer {
  readonly start: number;
  readonly table: FlatTable;
}

/** Access to any part of a file. */
export interface EndOfFile {
  readonly size: number;
  slice(start: number, end: number): Promise<ArrayBuffer>;
}

export class ArrowReader implements RecordReader {
  readonly textual = false;
  columns: readonly string[] | null = null;
  isOwn = false;
  readonly #chunks: ByteChunks;
  readonly #end: EndOfFile | null;
  #isFile = false;
  readonly #dictionaries = new Map<number, DictionaryValues>();
  #fields: readonly Field[] = [];
  #blank: Readonly<Record<string, Json>> = {};
  /** Whether each message has one. */
  #hasChecksums = false;
  #records = 0;
  readonly #pace = new Pace(DECODE_MS);
  readonly #outputMax: (bytes: number) => number;
  #bytes = 0;
  #spent = 0;
  #context: ColumnContext = this.#contextOf(false, false);

  /**
   * @param end - of the same bytes, where it can be reached: some writers put the schema of a file only there
   * @param outputMax - bytes that may come out of so many
   */
  constructor(
    chunks: ByteChunks,
    end: EndOfFile | null = null,
    outputMax = (bytes: number) => Math.max(FREE_OUTPUT_BYTES, OUTPUT_RATIO_MAX * bytes),
  ) {
    this.#chunks = chunks;
    this.#end = end;
    this.#outputMax = outputMax;
  }

  #contextOf(isOwn: boolean, hasUnionNulls: boolean): ColumnContext {
    return {
      dictionary: (id) => this.#dictionary(id),
      spend: (bytes) => this.#spend(bytes),
      isOwn,
      hasUnionNulls,
    };
  }

  #spend(bytes: number): void {
    this.#spent += bytes;
    if (this.#spent <= this.#outputMax(this.#bytes)) return;
    throw new ImportError(
      'ERR_FILE_TOO_LARGE',
      `more than ${this.#spent} bytes come out of the first ${this.#bytes}; maxRatio and maxOutputBytes allow for more`,
      { bytes: this.#bytes },
    );
  }

  async *batches(): AsyncGenerator<RawItem[]> {
    const bytes = new ByteQueue(this.#chunks);
    try {
      if ((await bytes.peek(FILE_MAGIC_BYTES)).toString('latin1', 0, FILE_MAGIC.length) === FILE_MAGIC) {
        await bytes.take(FILE_MAGIC_BYTES);
        this.#isFile = true;
      }
      // Read from the end, since a file that is cut short has none of it.
      const footer = this.#isFile && this.#end !== null ? await this.#footer(this.#end) : null;
      for (;;) {
        const metadata = await this.#metadata(bytes, footer?.start ?? null);
        if (metadata === null) break;
        const { headerType, header, bodyBytes, version } = readMessage(metadata);
        if (version < METADATA_VERSION_4 || version > METADATA_VERSION_5) {
          throw unsupported(`version ${version + 1} of its metadata`);
        }
        if (bodyBytes > BODY_BYTES_MAX) throw new RangeError(`a message with a body of ${bodyBytes} bytes`);
        const body = await bytes.take(bodyBytes);
        this.#verify(metadata, body);
        this.#bytes = bytes.position;
        if (headerType === HEADER_SCHEMA) {
          this.#schema(header, version);
          continue;
        }
        if (this.columns === null) this.#schema(this.#footerSchema(footer), version);
        if (headerType === HEADER_DICTIONARY) await this.#learn(header, body);
        else if (headerType === HEADER_BATCH) yield* this.#batch(header, body);
        else throw unsupported('tensors');
      }
      if (this.columns === null) this.#schema(this.#footerSchema(footer), METADATA_VERSION_5);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      const message = `the Arrow data cannot be read behind record ${this.#records}: ${cause.message}`;
      throw new ImportError('ERR_FILE_CORRUPT', message, { records: this.#records }, { cause });
    } finally {
      await bytes.close();
    }
  }

  /** Where the first message has a checksum, all have one. @throws RangeError */
  #verify(metadata: Buffer, body: Buffer): void {
    const hasOne = hasChecksum(metadata);
    if (hasOne) verifyChecksum(metadata, body);
    else if (this.#hasChecksums) throw new RangeError('a message has lost its checksum');
    if (this.columns === null) this.#hasChecksums = hasOne;
  }

  /**
   * The next message's metadata; null at the end.
   * @param footerStart - of a file whose end can be reached
   */
  async #metadata(bytes: ByteQueue, footerStart: number | null): Promise<Buffer | null> {
    if (footerStart !== null && bytes.position >= footerStart) return null;
    if ((await bytes.peek(1)).length === 0) {
      // A stream of others may simply end; a file goes on with its footer.
      if (this.#isFile) throw new RangeError('the file is cut short: it has no footer');
      if (this.#hasChecksums) throw new RangeError('the stream is cut short: nothing marks its end');
      return null;
    }
    let size = (await bytes.take(4)).readInt32LE(0);
    // Without the marker it is a length, as it was before Arrow 0.15; or the footer, where that is not known.
    if (size !== CONTINUATION && this.#isFile && footerStart === null) return null;
    if (size === CONTINUATION) size = (await bytes.take(4)).readInt32LE(0);
    if (size === 0) return null;
    if (size < 0 || size > METADATA_BYTES_MAX)
      throw new RangeError(`a message with ${size} bytes of metadata`);
    // Its numbers must begin at multiples of their size.
    return bytes.take(size);
  }

  /** Where a file's footer begins, and what it says. */
  async #footer({ size, slice }: EndOfFile): Promise<Footer> {
    const cutShort = new RangeError('the file is cut short: it does not end as an Arrow file does');
    if (size < FILE_MAGIC_BYTES + FOOTER_TAIL_BYTES) throw cutShort;
    const tail = Buffer.from(await slice(size - FOOTER_TAIL_BYTES, size));
    const footerBytes = tail.readInt32LE(0);
    const start = size - FOOTER_TAIL_BYTES - footerBytes;
    if (tail.toString('latin1', 4) !== FILE_MAGIC || footerBytes <= 0 || start < FILE_MAGIC_BYTES)
      throw cutShort;
    return { start, table: FlatTable.root(new Uint8Array(await slice(start, start + footerBytes))) };
  }

  #footerSchema(footer: Footer | null): FlatTable {
    if (this.#isFile && footer === null) throw unsupported('its schema at the end, in what is no plain file');
    const schema = footer?.table.table(FOOTER_SCHEMA);
    if (schema === undefined) throw new RangeError('there is no schema');
    return schema;
  }

  #schema(header: FlatTable, version: number): void {
    this.#fields = readFields(header);
    const { names } = uniqueNames(
      this.#fields.map(({ name }) => name),
      false,
    );
    this.columns = names;
    this.#blank = blankRecord(names);
    this.isOwn = tellsColumns(readSchemaMetadata(header).get(COLUMNS_KEY), names);
    this.#context = this.#contextOf(this.isOwn, version < METADATA_VERSION_5);
  }

  async #learn(header: FlatTable, body: Buffer): Promise<void> {
    const id = header.size(DICTIONARY_ID);
    const data = header.table(DICTIONARY_DATA);
    const field = dictionaryField(this.#fields, id);
    if (data === undefined || field === undefined) throw new RangeError(`dictionary ${id} is of no column`);
    const parts = await partsOf(data, body, this.#pace);
    const rows = data.size(BATCH_LENGTH);
    if (parts.nodes[0] !== rows) throw new RangeError('a dictionary of another length');
    const column = new ColumnReader(parts, this.#context).column({ ...field, dictionary: null });
    const known = header.int8(DICTIONARY_IS_DELTA) === 0 ? undefined : this.#dictionaries.get(id);
    const learnt = known ?? { values: [], costs: [] };
    for (let row = 0; row < rows; row++) {
      const spent = this.#spent;
      learnt.values.push(column(row));
      learnt.costs.push(this.#spent - spent);
      if (row % RECORDS === 0 && this.#pace.isDue) await this.#pace.rest();
    }
    this.#dictionaries.set(id, learnt);
  }

  #dictionary(id: number): DictionaryValues {
    // A column of nulls needs no values.
    return this.#dictionaries.get(id) ?? { values: [], costs: [] };
  }

  async *#batch(header: FlatTable, body: Buffer): AsyncGenerator<RawItem[]> {
    const rows = header.size(BATCH_LENGTH);
    const parts = await partsOf(header, body, this.#pace);
    // Without columns there is nothing that so many rows could have.
    if (this.#fields.length === 0 && rows > 0) throw new RangeError('there are rows, and no columns');
    const reader = new ColumnReader(parts, this.#context);
    const columns = this.#fields.map((field, i) => {
      if (reader.nextLength !== rows) throw new RangeError('a column has another number of rows');
      const column = reader.column(field);
      const isJson = field.isJson && this.#context.isOwn;
      return [this.columns![i], isJson ? (row: number) => parsedJson(column(row)) : column] as const;
    });
    const some = Math.max(1, Math.min(RECORDS, Math.floor(VALUES / this.#fields.length)));
    for (let start = 0; start < rows; start += some) {
      const items: RawItem[] = [];
      for (let row = start; row < Math.min(start + some, rows); row++) {
        const record = { ...this.#blank };
        for (const [name, column] of columns) record[name] = column(row);
        items.push(recordItem(this.#records + items.length + 1, record));
      }
      this.#records += items.length;
      yield items;
      if (this.#pace.isDue) await this.#pace.rest();
    }
  }
}

/** @throws RangeError when a buffer is outside of the body, or cannot be decompressed */
async function partsOf(batch: FlatTable, body: Buffer, pace: Pace): Promise<BatchParts> {
  const buffers = batch.structs(BATCH_BUFFERS, 2);
  for (let i = 0; i < buffers.length; i += 2) {
    if (buffers[i] + buffers[i + 1] > body.length) throw new RangeError('a buffer is outside of the body');
  }
  const parts = { nodes: batch.structs(BATCH_NODES, 2), variadic: batch.structs(BATCH_VARIADIC, 1) };
  const compression = batch.table(BATCH_COMPRESSION);
  if (compression === undefined) return { ...parts, body, buffers };
  return { ...parts, ...(await decompressed(body, buffers, compression.int8(0), pace)) };
}

/** The length of what comes out stands in front of each buffer. */
const LENGTH_BYTES = 8;
/** Says that a buffer is as it is. */
const UNCOMPRESSED = -1n;

async function decompressed(
  body: Buffer,
  buffers: readonly number[],
  codec: number,
  pace: Pace,
): Promise<Pick<BatchParts, 'body' | 'buffers'>> {
  const { lz4Frame, zstd } = await import('../compression/decompress.js');
  const lengths: number[] = [];
  for (let i = 0; i < buffers.length; i += 2) {
    const length = buffers[i + 1] < LENGTH_BYTES ? 0n : body.readBigInt64LE(buffers[i]);
    lengths.push(length === UNCOMPRESSED ? buffers[i + 1] - LENGTH_BYTES : Number(length));
  }
  const total = lengths.reduce((sum, length) => sum + Math.ceil(length / 8) * 8, 0);
  if (
    lengths.some((length) => !(length >= 0)) ||
    total > Math.max(FREE_OUTPUT_BYTES, OUTPUT_RATIO_MAX * body.length)
  ) {
    throw new RangeError(`a batch says to give ${total} bytes out of ${body.length}`);
  }
  const output = Buffer.from(new ArrayBuffer(total));
  const places: number[] = [];
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    const [offset, bytes] = [buffers[2 * i], buffers[2 * i + 1]];
    places.push(at, length);
    if (length === 0) continue;
    const input = body.subarray(offset + LENGTH_BYTES, offset + bytes);
    const isPlain = body.readBigInt64LE(offset) === UNCOMPRESSED;
    try {
      output.set(isPlain ? input : await (codec === 0 ? lz4Frame : zstd)(input, length, pace), at);
    } catch (cause) {
      throw new RangeError(`a buffer cannot be decompressed: ${(cause as Error).message}`, { cause });
    }
    at += Math.ceil(length / 8) * 8;
  }
  return { body: output, buffers: places };
}

function dictionaryField(fields: readonly Field[], id: number): Field | undefined {
  for (const field of fields) {
    if (field.dictionary === id) return field;
    const inside = dictionaryField(field.children, id);
    if (inside !== undefined) return inside;
  }
  return undefined;
}
