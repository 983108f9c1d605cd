/**
 * Arrow's encapsulated messages: a marker, the metadata's length, the metadata (a FlatBuffer), and a body of buffers.
 *
 * Messages that differ only in their sizes are made from a template: the metadata is built once, and the places of
 * its numbers are told, so that a copy needs only these to be set.
 */

import { FlatTable } from './flatbuffer-reader.js';
import {
  bool,
  type FlatField,
  type FlatFields,
  int8,
  int16,
  int64,
  pairs,
  string,
  table,
  tables,
  writeFlatBuffer,
} from './flatbuffer-writer.js';

export const HEADER_SCHEMA = 1;
export const HEADER_DICTIONARY = 2;
export const HEADER_BATCH = 3;

/** The marker and the metadata's length. */
export const PREFIX_BYTES = 8;
export const CONTINUATION = -1;
/** Buffers, metadata and messages begin at multiples of it. */
export const ALIGN_BYTES = 8;
/** A metadata length of 0: nothing follows. */
export const END_OF_STREAM = Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0);

export const METADATA_VERSION_5 = 4;

// Numbers of fields in Arrow's tables.
const MESSAGE_VERSION = 0;
const MESSAGE_HEADER_TYPE = 1;
const MESSAGE_HEADER = 2;
const MESSAGE_BODY_LENGTH = 3;
const SCHEMA_METADATA = 2;
const DICTIONARY_ID = 0;
const DICTIONARY_DATA = 1;
const DICTIONARY_IS_DELTA = 2;
const BATCH_LENGTH = 0;
const BATCH_NODES = 1;
const BATCH_BUFFERS = 2;

export const alignUp = (bytes: number): number => Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;

export function keyValues(metadata: Readonly<Record<string, string>>): FlatField {
  return tables(Object.entries(metadata).map(([key, value]) => [string(key), string(value)]));
}

/** A message's fields; its metadata comes last, so that the last pair's value ends the buffer. */
export function messageFields(
  headerType: number,
  header: FlatField,
  metadata: Readonly<Record<string, string>>,
): FlatFields {
  return [int16(METADATA_VERSION_5), int8(headerType), header, int64(0), keyValues(metadata)];
}

/** The message up to its body. */
export function encapsulate(fields: FlatFields): Uint8Array {
  const metadata = writeFlatBuffer(fields);
  const message = new Uint8Array(PREFIX_BYTES + metadata.length);
  const view = new DataView(message.buffer);
  view.setInt32(0, CONTINUATION, true);
  view.setInt32(4, metadata.length, true);
  message.set(metadata, PREFIX_BYTES);
  return message;
}

/** A message up to its body, and where in it the numbers stand, as byte offsets of int64. */
export interface MessageTemplate {
  readonly bytes: Uint8Array;
  readonly bodyLengthAt: number;
  readonly rowsAt: number;
  /** Pairs of a column's length and its count of nulls. */
  readonly nodesAt: number;
  /** Pairs of a buffer's offset in the body and its length in bytes. */
  readonly buffersAt: number;
  /** Of a dictionary message: 1 when the values come after those there are, 0 when they replace them (one byte). */
  readonly isDeltaAt: number | undefined;
}

/** @param dictionary - the dictionary whose values the message brings; undefined for a record batch */
export function batchTemplate(
  columnCount: number,
  bufferCount: number,
  metadata: Readonly<Record<string, string>>,
  dictionary?: number,
): MessageTemplate {
  const zeros = (count: number) => pairs(Array.from({ length: count }, () => [0, 0] as const));
  const batch = table(int64(0), zeros(columnCount), zeros(bufferCount));
  const fields =
    dictionary === undefined
      ? messageFields(HEADER_BATCH, batch, metadata)
      : messageFields(HEADER_DICTIONARY, table(int64(dictionary), batch, bool(false)), metadata);
  const bytes = encapsulate(fields);
  const message = FlatTable.root(bytes.subarray(PREFIX_BYTES));
  const header = message.table(MESSAGE_HEADER)!;
  const content = dictionary === undefined ? header : header.table(DICTIONARY_DATA)!;
  const isDelta = dictionary === undefined ? undefined : header.position(DICTIONARY_IS_DELTA);
  return {
    bytes,
    bodyLengthAt: PREFIX_BYTES + message.position(MESSAGE_BODY_LENGTH)!,
    rowsAt: PREFIX_BYTES + content.position(BATCH_LENGTH)!,
    nodesAt: PREFIX_BYTES + content.vector(BATCH_NODES, 16)!.position,
    buffersAt: PREFIX_BYTES + content.vector(BATCH_BUFFERS, 16)!.position,
    isDeltaAt: isDelta === undefined ? undefined : PREFIX_BYTES + isDelta,
  };
}

/** What differs between messages of one template. */
export interface MessageSizes {
  readonly rows: number;
  /** Of each column its length and its count of nulls. */
  readonly nodes: readonly number[];
  /** Of each buffer its offset in the body and its length in bytes. */
  readonly buffers: readonly number[];
  readonly bodyBytes: number;
}

/** Writes the template at the beginning of `into`, with these sizes. */
export function writeMessage(into: Uint8Array, template: MessageTemplate, sizes: MessageSizes): void {
  into.set(template.bytes);
  const view = new DataView(into.buffer, into.byteOffset, template.bytes.length);
  const set = (position: number, value: number) => view.setBigInt64(position, BigInt(value), true);
  set(template.bodyLengthAt, sizes.bodyBytes);
  set(template.rowsAt, sizes.rows);
  for (const [index, value] of sizes.nodes.entries()) set(template.nodesAt + 8 * index, value);
  for (const [index, value] of sizes.buffers.entries()) set(template.buffersAt + 8 * index, value);
}

/** What a message says about its body. */
export interface ArrowMessage {
  /** HEADER_SCHEMA, HEADER_DICTIONARY, HEADER_BATCH, or a number this library does not know. */
  /** Of the metadata: 3 is version 4, 4 is version 5. */
  readonly version: number;
  readonly headerType: number;
  readonly header: FlatTable;
  readonly bodyBytes: number;
}

/** @param metadata - without marker and length. @throws RangeError when it is no message */
export function readMessage(metadata: Uint8Array): ArrowMessage {
  const message = FlatTable.root(metadata);
  const header = message.table(MESSAGE_HEADER);
  if (header === undefined) throw new RangeError('a message without a header');
  return {
    version: message.int16(MESSAGE_VERSION),
    headerType: message.int8(MESSAGE_HEADER_TYPE),
    header,
    bodyBytes: message.size(MESSAGE_BODY_LENGTH),
  };
}

/** A schema's own metadata. @throws RangeError */
export function readSchemaMetadata(schema: FlatTable): Map<string, string> {
  return new Map(schema.tables(SCHEMA_METADATA).map((pair) => [pair.string(0) ?? '', pair.string(1) ?? '']));
}

export interface BatchContent {
  readonly rows: number;
  /** Offset and length of each buffer, one after the other; all lie inside the body, at multiples of 8. */
  readonly buffers: readonly number[];
}

/** @throws RangeError when it says what cannot be */
export function readBatchContent(header: FlatTable, bodyBytes: number): BatchContent {
  const buffers = header.structs(BATCH_BUFFERS, 2);
  for (let index = 0; index < buffers.length; index += 2) {
    const offset = buffers[index];
    if (offset % ALIGN_BYTES !== 0) throw new RangeError('a buffer is not aligned');
    if (offset + buffers[index + 1] > bodyBytes) throw new RangeError('a buffer is outside of the body');
  }
  return { rows: header.size(BATCH_LENGTH), buffers };
}

export interface DictionaryContent extends BatchContent {
  readonly dictionary: number;
  readonly isDelta: boolean;
}

/** @throws RangeError when it says what cannot be */
export function readDictionaryContent(header: FlatTable, bodyBytes: number): DictionaryContent {
  const data = header.table(DICTIONARY_DATA);
  if (data === undefined) throw new RangeError('a dictionary without values');
  return {
    dictionary: header.size(DICTIONARY_ID),
    isDelta: header.int8(DICTIONARY_IS_DELTA) !== 0,
    ...readBatchContent(data, bodyBytes),
  };
}
