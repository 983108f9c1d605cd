/**
 * Whether a batch's rows are what this library writes. Their checksums are right: somebody else may have made them so.
 * Whoever reads rows follows what is in them without looking, so all of it is looked at here, once.
 */
import { FLAG_BLOB, TAG_BINDING_MASK } from '../../../assembly/layout.js';
import { endOfStored, isStoredText, StoredValueReader } from '../../formats/msgpack/stored-value.js';
import type { Batch } from '../../ring/batch.js';
import { LIFTED_FIELDS } from '../../schema/fields.js';
import { fits, isFlag, isNumber, isObject, isText, orNull, type Shape } from '../disk/shape.js';
import type { Dictionaries, SegmentColumns } from './format.js';

/** What is kept beside an event's metadata, where it does not follow from that: fields of the event as they were. */
const CORRECTIONS: Readonly<Record<string, Shape>> = {
  eventId: isText,
  malformedKeys: [isText],
  tokens: orNull((tokens) => fits(tokens, { prompt: isNumber, completion: isNumber, total: isNumber })),
  costSource: orNull(isText),
  model: orNull(isText),
  provider: orNull(isText),
  success: orNull(isFlag),
  fields: isObject,
};
/** Fields that may hold any value. */
const IDENTITIES: ReadonlySet<string> = new Set(LIFTED_FIELDS);

/** @returns why a reader cannot use it; undefined where it can */
export function flawIn(
  batch: Batch,
  columns: SegmentColumns,
  { bindings, strings }: Dictionaries,
): string | undefined {
  const { rows, tags, blobOffsets, blob, declared } = batch;
  let end = blob.length;
  for (let row = rows - 1; row >= 0; row--) {
    if ((tags[row] & TAG_BINDING_MASK) >= bindings.length) return 'a row names no event';
    if (blobOffsets[row] > end) return 'what has no column lies outside of the batch';
    end = blobOffsets[row];
  }
  for (const [column, { type }] of columns.entries()) {
    const codes = declared[column];
    for (let row = 0; type === 'dict' && row < rows; row++) {
      if (codes[row] >>> 0 >= strings.length && codes[row] !== 0) return 'a row names no text';
    }
  }
  for (let row = 0; row < rows; row++) {
    if ((tags[row] & FLAG_BLOB) === 0) continue;
    const isNamed = (tags[row] & TAG_BINDING_MASK) === 0;
    if (!isEvent(blob, blobOffsets[row], isNamed)) return 'what a row has without a column is no event';
  }
  return undefined;
}

/** Whether metadata stand there, then measurements, and then the event's name where no binding has it. */
function isEvent(blob: Buffer, at: number, isNamed: boolean): boolean {
  const metadataEnd = endOfMap(blob, at);
  const end = metadataEnd < 0 ? -1 : endOfMap(blob, metadataEnd);
  if (end < 0 || !isNamed) return end >= 0;
  return isStoredText(blob[end]) && endOfStored(blob, end) >= 0;
}

/** Of a map with texts as keys, or one that is null, of which the value says what the event was. @returns its end; -1 where there is none */
function endOfMap(blob: Buffer, start: number): number {
  if (blob[start] !== 0xde || start + 3 > blob.length) return -1;
  let at = start + 3;
  for (let left = blob.readUInt16BE(start + 1); left > 0; left--) {
    const isAside = blob[at] === 0xc0;
    if (!isAside && !isStoredText(blob[at])) return -1;
    const valueAt = endOfStored(blob, at);
    at = valueAt < 0 ? -1 : endOfStored(blob, valueAt);
    if (at < 0 || (isAside && !areCorrections(blob, valueAt))) return -1;
  }
  return at;
}

function areCorrections(blob: Buffer, at: number): boolean {
  const value = new StoredValueReader(blob, at).value();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(
    ([key, told]) => IDENTITIES.has(key) || (Object.hasOwn(CORRECTIONS, key) && fits(told, CORRECTIONS[key])),
  );
}
