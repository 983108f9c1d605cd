/**
 * Arrow IPC, as a file or a stream.
 *
 * The texts of dictionary columns stand before the first record batch: readers of the file format refuse dictionaries
 * that are replaced, and some do not know those that grow.
 */

import type { FileColumn } from '../columns/column.js';
import type { ColumnarFile, GatheredRows } from '../columns/file.js';
import { BatchBody } from './body.js';
import { CHECKSUM, setChecksum } from './checksum.js';
import { arrowField } from './fields.js';
import { FILE_HEADER, fileFooter, type MessageBlock } from './file.js';
import { alignUp, batchTemplate, END_OF_STREAM, type MessageTemplate, writeMessage } from './message.js';
import { type ArrowField, schemaMessage } from './schema.js';

export class ArrowFile implements ColumnarFile {
  readonly head: Uint8Array;
  readonly #columns: readonly FileColumn[];
  readonly #fields: readonly ArrowField[];
  readonly #metadata: Readonly<Record<string, string>>;
  readonly #isFile: boolean;
  readonly #template: MessageTemplate;
  readonly #body = new BatchBody();
  readonly #dictionaries: MessageBlock[] = [];
  readonly #batches: MessageBlock[] = [];
  /** Bytes of the file so far. */
  #bytes: number;

  constructor(
    columns: readonly FileColumn[],
    metadata: Readonly<Record<string, string>>,
    layout: 'file' | 'stream',
  ) {
    this.#columns = columns;
    this.#fields = columns.map(arrowField);
    this.#metadata = metadata;
    this.#isFile = layout === 'file';
    const bufferCount = columns.reduce((sum, column) => sum + (isPlainText(column) ? 3 : 2), 0);
    this.#template = batchTemplate(columns.length, bufferCount, CHECKSUM);
    const schema = schemaMessage(this.#fields, this.#metadata, CHECKSUM);
    setChecksum(schema, schema.length);
    const parts = [this.#isFile ? FILE_HEADER : Buffer.alloc(0), schema];
    this.#bytes = parts.reduce((sum, part) => sum + part.length, 0);
    for (const [id, { texts }] of columns.entries()) {
      if (texts === null) continue;
      const { bytes, headBytes } = dictionaryMessage(id, texts.values());
      this.#note(this.#dictionaries, headBytes, bytes.length);
      parts.push(bytes);
    }
    this.head = Buffer.concat(parts);
  }

  batch({ rows, stages }: GatheredRows): Uint8Array {
    const body = this.#body;
    const headBytes = this.#template.bytes.length;
    body.begin(headBytes, rows);
    for (const [index, column] of this.#columns.entries()) body.add(column, stages[index]);
    const { bytes, nodes, buffers, bodyBytes } = body;
    writeMessage(bytes, this.#template, { rows, nodes, buffers, bodyBytes });
    setChecksum(bytes, headBytes);
    this.#note(this.#batches, headBytes, bytes.length);
    return bytes;
  }

  end(): Uint8Array {
    const footer = this.#isFile
      ? fileFooter(this.#fields, this.#metadata, this.#dictionaries, this.#batches)
      : Buffer.alloc(0);
    return Buffer.concat([END_OF_STREAM, footer]);
  }

  #note(blocks: MessageBlock[], headBytes: number, bytes: number): void {
    blocks.push({ offset: this.#bytes, headBytes, bodyBytes: bytes - headBytes });
    this.#bytes += bytes;
  }
}

function isPlainText({ type, texts }: FileColumn): boolean {
  return type === 'text' && texts === null;
}

function dictionaryMessage(id: number, values: readonly string[]): { bytes: Uint8Array; headBytes: number } {
  const template = batchTemplate(1, 3, CHECKSUM, id);
  const headBytes = template.bytes.length;
  const texts = values.map((text) => Buffer.from(text));
  const dataBytes = texts.reduce((sum, text) => sum + text.length, 0);
  const offsetsBytes = 4 * (values.length + 1);
  const dataAt = alignUp(offsetsBytes);
  const bodyBytes = dataAt + alignUp(dataBytes);
  const bytes = Buffer.alloc(headBytes + bodyBytes);
  let end = 0;
  for (const [index, text] of texts.entries()) {
    bytes.set(text, headBytes + dataAt + end);
    end += text.length;
    bytes.writeInt32LE(end, headBytes + 4 * (index + 1));
  }
  const buffers = [0, 0, 0, offsetsBytes, dataAt, dataBytes];
  writeMessage(bytes, template, { rows: values.length, nodes: [values.length, 0], buffers, bodyBytes });
  setChecksum(bytes, headBytes);
  return { bytes, headBytes };
}
