/** A message of a segment as it is read: verified, then parsed. */

import { StorageError } from '../../errors.js';
import {
  type ArrowMessage,
  type BatchContent,
  type DictionaryContent,
  HEADER_BATCH,
  HEADER_DICTIONARY,
  HEADER_SCHEMA,
  PREFIX_BYTES,
  readBatchContent,
  readDictionaryContent,
  readMessage,
  readSchemaMetadata,
} from '../../formats/arrow/message.js';
import { COLUMN_TYPES } from '../../schema/columns.js';
import { type BatchPlace, FORMAT_VERSION, IDENTITY_KEY, isPlace, type SegmentIdentity } from './format.js';
import { STRING_DICTIONARY } from './schema.js';
import { BATCH_SEAL, DICTIONARY_SEAL, sealed, sealedSince, verifyHead } from './seal.js';

/** The bytes are not what a segment can hold there. */
export class Unsound extends Error {}

/** Runs a parser, whose every RangeError says that the bytes cannot be what they should. @throws Unsound */
export function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RangeError) throw new Unsound(error.message, { cause: error });
    throw error;
  }
}

/** @param head - marker, length and metadata. @throws Unsound unless the metadata is as it was written */
export function openMessage(head: Uint8Array): ArrowMessage {
  return parsed(() => {
    verifyHead(head);
    return readMessage(head.subarray(PREFIX_BYTES));
  });
}

/** @throws Unsound; StorageError when another version of the format is needed */
export function identityOf(path: string, { headerType, header, bodyBytes }: ArrowMessage): SegmentIdentity {
  if (headerType !== HEADER_SCHEMA || bodyBytes !== 0) throw new Unsound('it does not begin with a schema');
  const text = parsed(() => readSchemaMetadata(header).get(IDENTITY_KEY));
  if (text === undefined) throw new Unsound('its schema does not say whose segment it is');
  let identity: Partial<SegmentIdentity> | null;
  try {
    identity = JSON.parse(text) as Partial<SegmentIdentity> | null;
  } catch (cause) {
    throw new Unsound('what its schema says of the segment is no JSON', { cause });
  }
  if (typeof identity !== 'object' || identity === null) throw new Unsound(INCOMPLETE);
  if (identity.formatVersion !== FORMAT_VERSION) {
    throw new StorageError(
      'ERR_SEGMENT_VERSION',
      `${path} is in version ${identity.formatVersion} of the segment format; this library reads ${FORMAT_VERSION}`,
      { path, expected: FORMAT_VERSION, actual: identity.formatVersion },
    );
  }
  if (!isComplete(identity)) throw new Unsound(INCOMPLETE);
  return identity;
}

const INCOMPLETE = 'what its schema says of the segment is not complete';

/** Whether it says all of a segment. */
export function isComplete(identity: Partial<SegmentIdentity>): identity is SegmentIdentity {
  const { libraryVersion, experimentId, priceVersion, segment, createdUs, columns } = identity;
  return (
    [libraryVersion, experimentId, priceVersion].every((text) => typeof text === 'string') &&
    Number.isInteger(segment) &&
    Number.isFinite(createdUs) &&
    Array.isArray(columns) &&
    columns.every((column) => typeof column?.name === 'string' && COLUMN_TYPES.includes(column.type))
  );
}

/** What a record batch's message says of its rows. @throws Unsound */
export function placeOf(head: Uint8Array): BatchPlace {
  const place = parsed(() => ({
    chunk: sealed(head, BATCH_SEAL, 'seq'),
    firstRow: sealed(head, BATCH_SEAL, 'row'),
    rows: sealed(head, BATCH_SEAL, 'rows'),
    producer: sealed(head, BATCH_SEAL, 'producer'),
    timeMinUs: sealed(head, BATCH_SEAL, 'tmin'),
    timeMaxUs: sealed(head, BATCH_SEAL, 'tmax'),
    losses: {
      overwritten: sealed(head, BATCH_SEAL, 'overwritten'),
      refused: sealed(head, BATCH_SEAL, 'refused'),
      malformed: sealed(head, BATCH_SEAL, 'malformed'),
      overflowed: sealed(head, BATCH_SEAL, 'overflowed'),
      cut: sealedSince(head, BATCH_SEAL, 'cut'),
    },
  }));
  if (!isPlace(place)) throw new Unsound('a record batch is in a place where no rows are');
  return place;
}

/** @throws Unsound */
export function batchContentOf(message: ArrowMessage, place: BatchPlace): BatchContent {
  if (message.headerType !== HEADER_BATCH) throw new Unsound('a message is no record batch');
  const content = parsed(() => readBatchContent(message.header, message.bodyBytes));
  if (content.rows !== place.rows) throw new Unsound('a record batch has other rows than it says');
  return content;
}

/** @param valueCounts - values there are of each dictionary already. @throws Unsound */
export function dictionaryContentOf(
  head: Uint8Array,
  message: ArrowMessage,
  valueCounts: readonly number[],
): DictionaryContent {
  if (message.headerType !== HEADER_DICTIONARY) throw new Unsound('a message is no dictionary');
  const content = parsed(() => readDictionaryContent(message.header, message.bodyBytes));
  if (content.dictionary > STRING_DICTIONARY) throw new Unsound('a dictionary is none of a segment');
  const from = parsed(() => sealed(head, DICTIONARY_SEAL, 'from'));
  const known = valueCounts[content.dictionary] ?? 0;
  const isWhole = content.isDelta ? from === known : from === 0 && content.rows >= known;
  if (!isWhole) throw new Unsound('dictionary values are missing');
  return content;
}

/** A dictionary's texts. @throws Unsound */
export function textsOf({ rows, buffers }: DictionaryContent, body: Buffer): string[] {
  const [, , offsetsAt, offsetsBytes, dataAt, dataBytes] = buffers;
  if (buffers.length !== 6 || offsetsBytes < 4 * (rows + 1)) {
    throw new Unsound('a dictionary has not as many values as it says');
  }
  const texts: string[] = [];
  let start = body.readInt32LE(offsetsAt);
  for (let index = 0; index < rows; index++) {
    const end = body.readInt32LE(offsetsAt + 4 * (index + 1));
    if (start < 0 || end < start || end > dataBytes) throw new Unsound('a text is outside of its dictionary');
    texts.push(body.toString('utf8', dataAt + start, dataAt + end));
    start = end;
  }
  return texts;
}
