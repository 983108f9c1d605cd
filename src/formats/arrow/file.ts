/** Arrow's file format: a stream between two magics, with a footer that says where its messages stand. */

import { type FlatFields, int16, triples, writeFlatBuffer } from './flatbuffer-writer.js';
import { METADATA_VERSION_5 } from './message.js';
import { type ArrowField, schemaTable } from './schema.js';

const MAGIC = Buffer.from('ARROW1');

/** What a file begins with: the magic, up to a multiple of 8. */
export const FILE_HEADER = Buffer.concat([MAGIC, Buffer.alloc(2)]);

/** Where a message stands. */
export interface MessageBlock {
  /** From the beginning of the file. */
  readonly offset: number;
  /** Bytes up to the body. */
  readonly headBytes: number;
  readonly bodyBytes: number;
}

/** What comes behind the end-of-stream marker. */
export function fileFooter(
  fields: readonly ArrowField[],
  metadata: Readonly<Record<string, string>>,
  dictionaries: readonly MessageBlock[],
  batches: readonly MessageBlock[],
): Uint8Array {
  // A block's second number is an int32 and four bytes of padding, which an int64 below 2^31 is alike.
  const blocks = (list: readonly MessageBlock[]) =>
    triples(list.map(({ offset, headBytes, bodyBytes }) => [offset, headBytes, bodyBytes]));
  const footer: FlatFields = [
    int16(METADATA_VERSION_5),
    schemaTable(fields, metadata),
    blocks(dictionaries),
    blocks(batches),
  ];
  const bytes = writeFlatBuffer(footer);
  const length = Buffer.alloc(4);
  length.writeInt32LE(bytes.length);
  return Buffer.concat([bytes, length, MAGIC]);
}
