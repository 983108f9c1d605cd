/**
 * Arrow IPC, as a stream or a file, read in the order of its messages: a file is a stream between two marks. So
 * nothing is held but one batch and the dictionaries.
 */

import { constants } from 'node:buffer';
import { FlatTable } from '../arrow/flatbuffer-reader.js';
import {
  CONTINUATION,
  HEADER_BATCH,
  HEADER_DICTIONARY,
  HEADER_SCHEMA,
  readMessage,
} from '../arrow/message.js';
import { ImportError } from '../errors.js';
import type { Json } from '../schema/event.js';
import { type BatchParts, type ColumnContext, ColumnReader } from './arrow-columns.js';
import { type Field, readFields, unsupported } from './arrow-schema.js';
import { ByteQueue } from './byte-queue.js';
import { uniqueNames } from './csv.js';
import { parsedJson } from './json-value.js';
import { isOwnExport } from './own.js';
import { type ByteChunks, blankRecord, type RawItem, type RecordReader } from './reader.js';

/** What a file begins with, padded to 8 bytes. */
const FILE_MAGIC = 'ARROW1';
const FILE_MAGIC_BYTES = 8;
/** The footer's length and the mark that ends a file. */
const FOOTER_TAIL_BYTES = 4 + FILE_MAGIC.length;
const FOOTER_SCHEMA = 1;
const METADATA_BYTES_MAX = 256 * 1024 * 1024;
const BODY_BYTES_MAX = Math.min(constants.MAX_LENGTH, 2 ** 31);
/** Records made at a time. */
const RECORDS = 1024;

const DICTIONARY_ID = 0;
const DICTIONARY_DATA = 1;
const DICTIONARY_IS_DELTA = 2;
const BATCH_LENGTH = 0;
const BATCH_NODES = 1;
const BATCH_BUFFERS = 2;
const BATCH_COMPRESSION = 3;
const BATCH_VARIADIC = 4;

/** Access to any part of a file. */
export interface EndOfFile {
  readonly size: number;
  slice(start: number, end: number): Promise<ArrayBuffer>;
}

export class ArrowReader implements RecordReader {
  readonly textual = false;
  columns: readonly string[] | null = null;
  readonly #chunks: ByteChunks;
  readonly #end: EndOfFile | null;
  #isFile = false;
  readonly #dictionaries = new Map<number, Json[]>();
  #fields: readonly Field[] = [];
  #blank: Readonly<Record<string, Json>> = {};
  #records = 0;
  #context: ColumnContext = { dictionary: (id) => this.#dictionary(id), isOwn: false };

  /** @param end - of the same bytes, where it can be reached: some writers put the schema of a file only there */
  constructor(chunks: ByteChunks, end: EndOfFile | null = null) {
    this.#chunks = chunks;
    this.#end = end;
  }

  async *batches(): AsyncGenerator<RawItem[]> {
    const bytes = new ByteQueue(this.#chunks);
    try {
      if ((await bytes.peek(FILE_MAGIC_BYTES)).toString('latin1', 0, FILE_MAGIC.length) === FILE_MAGIC) {
        await bytes.take(FILE_MAGIC_BYTES);
        this.#isFile = true;
      }
      for (;;) {
        const metadata = await this.#metadata(bytes);
        if (metadata === null) break;
        const { headerType, header, bodyBytes } = readMessage(metadata);
        if (bodyBytes > BODY_BYTES_MAX) throw new RangeError(`a message with a body of ${bodyBytes} bytes`);
        const body = await bytes.take(bodyBytes);
        if (headerType === HEADER_SCHEMA) {
          this.#schema(header);
          continue;
        }
        if (this.columns === null) this.#schema(await this.#footerSchema());
        if (headerType === HEADER_DICTIONARY) this.#learn(header, body);
        else if (headerType === HEADER_BATCH) yield* this.#batch(header, body);
      }
      if (this.columns === null) this.#schema(await this.#footerSchema());
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      const message = `the Arrow data cannot be read behind record ${this.#records}: ${cause.message}`;
      throw new ImportError('ERR_FILE_CORRUPT', message, { records: this.#records }, { cause });
    } finally {
      await bytes.close();
    }
  }

  /** The next message's metadata; null at the end. */
  async #metadata(bytes: ByteQueue): Promise<Buffer | null> {
    // A stream may simply end; a file goes on with its footer.
    if ((await bytes.peek(1)).length === 0) return null;
    let size = (await bytes.take(4)).readInt32LE(0);
    // Without the marker it is the footer, or in a stream a length, as it was before Arrow 0.15.
    if (size !== CONTINUATION && this.#isFile) return null;
    if (size === CONTINUATION) size = (await bytes.take(4)).readInt32LE(0);
    if (size === 0) return null;
    if (size < 0 || size > METADATA_BYTES_MAX)
      throw new RangeError(`a message with ${size} bytes of metadata`);
    // Its numbers must begin at multiples of their size.
    return bytes.take(size);
  }

  async #footerSchema(): Promise<FlatTable> {
    const noSchema = new RangeError('there is no schema');
    const { size, slice } = this.#end ?? { size: 0, slice: null };
    if (!this.#isFile || slice === null || size < FILE_MAGIC_BYTES + FOOTER_TAIL_BYTES) throw noSchema;
    const tail = Buffer.from(await slice(size - FOOTER_TAIL_BYTES, size));
    const footerBytes = tail.readInt32LE(0);
    const start = size - FOOTER_TAIL_BYTES - footerBytes;
    if (tail.toString('latin1', 4) !== FILE_MAGIC || footerBytes <= 0 || start < FILE_MAGIC_BYTES)
      throw noSchema;
    const footer = FlatTable.root(new Uint8Array(await slice(start, start + footerBytes)));
    const schema = footer.table(FOOTER_SCHEMA);
    if (schema === undefined) throw noSchema;
    return schema;
  }

  #schema(header: FlatTable): void {
    this.#fields = readFields(header);
    const { names } = uniqueNames(
      this.#fields.map(({ name }) => name),
      false,
    );
    this.columns = names;
    this.#blank = blankRecord(names);
    const isOwn = isOwnExport(names);
    this.#context = { dictionary: (id) => this.#dictionary(id), isOwn };
  }

  #learn(header: FlatTable, body: Buffer): void {
    const id = header.size(DICTIONARY_ID);
    const data = header.table(DICTIONARY_DATA);
    const field = dictionaryField(this.#fields, id);
    if (data === undefined || field === undefined) throw new RangeError(`dictionary ${id} is of no column`);
    const column = new ColumnReader(partsOf(data, body), this.#context).column({
      ...field,
      dictionary: null,
    });
    const values: Json[] = [];
    const rows = data.size(BATCH_LENGTH);
    for (let row = 0; row < rows; row++) values.push(column(row));
    const known = this.#dictionaries.get(id);
    if (header.int8(DICTIONARY_IS_DELTA) === 0 || known === undefined) this.#dictionaries.set(id, values);
    else for (const value of values) known.push(value);
  }

  #dictionary(id: number): readonly Json[] {
    // A column of nulls needs no values.
    return this.#dictionaries.get(id) ?? [];
  }

  *#batch(header: FlatTable, body: Buffer): Generator<RawItem[]> {
    const rows = header.size(BATCH_LENGTH);
    const parts = partsOf(header, body);
    if (this.#fields.length > 0 && parts.nodes[0] !== rows) throw new RangeError('a batch of another length');
    const reader = new ColumnReader(parts, this.#context);
    const columns = this.#fields.map((field, i) => {
      const column = reader.column(field);
      const isJson = field.isJson && this.#context.isOwn;
      return [this.columns![i], isJson ? (row: number) => parsedJson(column(row)) : column] as const;
    });
    for (let start = 0; start < rows; start += RECORDS) {
      const items: RawItem[] = [];
      for (let row = start; row < Math.min(start + RECORDS, rows); row++) {
        const record = { ...this.#blank };
        for (const [name, column] of columns) record[name] = column(row);
        items.push({ line: this.#records + items.length + 1, record, error: null });
      }
      this.#records += items.length;
      yield items;
    }
  }
}

/** @throws RangeError when a buffer is outside of the body; ImportError for a compressed body */
function partsOf(batch: FlatTable, body: Buffer): BatchParts {
  const compression = batch.table(BATCH_COMPRESSION);
  if (compression !== undefined) {
    const codec = compression.int8(0) === 0 ? 'LZ4' : 'Zstandard';
    throw unsupported(`bodies compressed by ${codec} (write it with compression="uncompressed")`);
  }
  const buffers = batch.structs(BATCH_BUFFERS, 2);
  for (let i = 0; i < buffers.length; i += 2) {
    if (buffers[i] + buffers[i + 1] > body.length) throw new RangeError('a buffer is outside of the body');
  }
  return { body, nodes: batch.structs(BATCH_NODES, 2), buffers, variadic: batch.structs(BATCH_VARIADIC, 1) };
}

function dictionaryField(fields: readonly Field[], id: number): Field | undefined {
  for (const field of fields) {
    if (field.dictionary === id) return field;
    const inside = dictionaryField(field.children, id);
    if (inside !== undefined) return inside;
  }
  return undefined;
}
