/**
 * The loops that turn a batch's columns into Arrow's buffers.
 *
 * All of them take views of the staging area and indices into these. They hold for any values at all, since the rows
 * may be overwritten while they are copied. Bitmaps are written in words of 32 rows, of which the buffer's padding to
 * 8 bytes has room for the last one; what writes one returns how many of its bits are set. Bits are computed, not
 * branched for: what is absent follows no pattern, and a mispredicted branch costs more than everything else here.
 */
import {
  FLAG_BLOB,
  FLAG_DECLARED,
  FLAG_FAILED,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
  VALUE_MAX,
} from '../../../assembly/layout.js';
import { isValue } from '../../ring/batch.js';

const WORD_ROWS = 32;
const HIGH_WORD = 2 ** 32;

const SUCCEEDED_SHIFT = 31 - Math.clz32(FLAG_SUCCEEDED);
const FAILED_SHIFT = 31 - Math.clz32(FLAG_FAILED);
const BLOB_SHIFT = 31 - Math.clz32(FLAG_BLOB);

/** High half of the largest value's bits. Doubles of one sign are ordered as their bits are. */
const VALUE_MAX_HIGH = new Int32Array(Float64Array.of(VALUE_MAX).buffer)[1];

export interface TimeRange {
  minUs: number;
  maxUs: number;
}

/** Writes whole microseconds as int64 and notes their range. */
export function writeTimes(
  times: Float64Array,
  rows: number,
  words: Int32Array,
  at: number,
  range: TimeRange,
): void {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < rows; row++) {
    const timeUs = Math.floor(times[row]);
    const high = Math.floor(timeUs / HIGH_WORD);
    words[at + 2 * row] = timeUs - high * HIGH_WORD;
    words[at + 2 * row + 1] = high;
    if (timeUs < min) min = timeUs;
    if (timeUs > max) max = timeUs;
  }
  // An int64 has no -0.
  range.minUs = min + 0;
  range.maxUs = max + 0;
}

/** Bits of the doubles at `at` that are values, and neither absent nor too large (see isValue). */
export function writeValueBits(
  doubles: Float64Array,
  words: Int32Array,
  at: number,
  rows: number,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) {
      const high = words[2 * (at + row) + 1] & 0x7fffffff;
      bits |= ((high - VALUE_MAX_HIGH) >>> 31) << row;
      // Almost never: a value next to the limit.
      if (high === VALUE_MAX_HIGH && isValue(doubles[at + row])) bits |= 1 << row;
    }
    words[bitsAt++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Bits of the tokens at `at` that are not -1. */
export function writeTokenBits(words: Int32Array, at: number, rows: number, bitsAt: number): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) {
      const inverse = ~words[at + row];
      bits |= ((inverse | -inverse) >>> 31) << row;
    }
    words[bitsAt++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Where the columns go that follow from the tags: indices into the words, of `flagsAt` into the shorts. */
export interface TagPlaces {
  eventsAt: number;
  modelsAt: number;
  modelBitsAt: number;
  providersAt: number;
  providerBitsAt: number;
  decidedBitsAt: number;
  successBitsAt: number;
  bindingsAt: number;
  flagsAt: number;
  payloadBitsAt: number;
}

/** What the bindings are in other dictionaries, by binding; -1 where they have no value there. */
export interface BindingIndices {
  readonly events: Int32Array;
  readonly models: Int32Array;
  readonly providers: Int32Array;
}

/** Bits set in the bitmaps. */
export interface TagCounts {
  models: number;
  providers: number;
  decided: number;
  payloads: number;
}

/** Writes the columns that follow from the tags. An index of -1 becomes 0, and no bit. */
export function writeTags(
  tags: Uint32Array,
  rows: number,
  { events, models, providers }: BindingIndices,
  words: Int32Array,
  shorts: Uint16Array,
  places: TagPlaces,
  counts: TagCounts,
): void {
  const { eventsAt, modelsAt, providersAt, bindingsAt, flagsAt } = places;
  let modelsSet = 0;
  let providersSet = 0;
  let decidedSet = 0;
  let payloadsSet = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let modelBits = 0;
    let providerBits = 0;
    let decided = 0;
    let succeeded = 0;
    let payloads = 0;
    for (let row = start; row < end; row++) {
      const tag = tags[row] | 0;
      const binding = tag & TAG_BINDING_MASK;
      words[bindingsAt + row] = binding;
      shorts[flagsAt + row] = tag >>> 16;
      words[eventsAt + row] = events[binding];
      const model = models[binding];
      words[modelsAt + row] = model & ~(model >> 31);
      modelBits |= (~model >>> 31) << row;
      const provider = providers[binding];
      words[providersAt + row] = provider & ~(provider >> 31);
      providerBits |= (~provider >>> 31) << row;
      succeeded |= ((tag >>> SUCCEEDED_SHIFT) & 1) << row;
      decided |= (((tag >>> SUCCEEDED_SHIFT) | (tag >>> FAILED_SHIFT)) & 1) << row;
      payloads |= ((tag >>> BLOB_SHIFT) & 1) << row;
    }
    const word = start / WORD_ROWS;
    words[places.modelBitsAt + word] = modelBits;
    words[places.providerBitsAt + word] = providerBits;
    words[places.decidedBitsAt + word] = decided;
    words[places.successBitsAt + word] = succeeded;
    words[places.payloadBitsAt + word] = payloads;
    modelsSet += ones(modelBits);
    providersSet += ones(providerBits);
    decidedSet += ones(decided);
    payloadsSet += ones(payloads);
  }
  counts.models = modelsSet;
  counts.providers = providersSet;
  counts.decided = decidedSet;
  counts.payloads = payloadsSet;
}

/** Where the first payload of the rows begins in the batch's byte area; `blobBytes` when there is none. */
export function payloadStart(
  tags: Uint32Array,
  blobOffsets: Uint32Array,
  rows: number,
  blobBytes: number,
): number {
  if (blobBytes === 0) return 0;
  for (let row = 0; row < rows; row++) {
    if ((tags[row] & FLAG_BLOB) !== 0) return Math.min(blobOffsets[row], blobBytes);
  }
  return blobBytes;
}

/** Where each row's payload begins and the last one ends, counted from `start`: one more than there are rows. */
export function writePayloadOffsets(
  tags: Uint32Array,
  blobOffsets: Uint32Array,
  start: number,
  payloadBytes: number,
  rows: number,
  words: Int32Array,
  at: number,
): void {
  let next = payloadBytes;
  if (next === 0) {
    words.fill(0, at, at + rows + 1);
    return;
  }
  words[at + rows] = next;
  for (let row = rows - 1; row >= 0; row--) {
    // A payload ends where the next one begins, so no row may begin behind the one that follows.
    if ((tags[row] & FLAG_BLOB) !== 0) next = Math.max(0, Math.min(blobOffsets[row] - start, next));
    words[at + row] = next;
  }
}

/** Numbers of a declared column where the row has any, else NaN. */
export function writeDeclaredDoubles(
  values: Float64Array,
  tags: Uint32Array,
  rows: number,
  doubles: Float64Array,
  at: number,
  words: Int32Array,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) {
      const value = (tags[row] & FLAG_DECLARED) === 0 ? Number.NaN : values[row];
      doubles[at + row] = value;
      bits |= (Number.isNaN(value) ? 0 : 1) << row;
    }
    words[bitsAt++] = bits;
    set += ones(bits);
  }
  return set;
}

/** As writeDeclaredDoubles, for whole numbers of 32 bits, signed or not: 0 where there is none. */
export function writeDeclaredIntegers(
  values: Float64Array,
  tags: Uint32Array,
  rows: number,
  words: Int32Array,
  at: number,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) {
      const value = (tags[row] & FLAG_DECLARED) === 0 ? Number.NaN : values[row];
      words[at + row] = value;
      bits |= (Number.isNaN(value) ? 0 : 1) << row;
    }
    words[bitsAt++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Ids of a declared column of texts: 0 where there is none. */
export function writeDeclaredIds(
  values: Int32Array,
  tags: Uint32Array,
  rows: number,
  words: Int32Array,
  at: number,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    for (let row = start; row < end; row++) {
      const id = (tags[row] & FLAG_DECLARED) === 0 ? 0 : values[row];
      words[at + row] = id;
      bits |= (id === 0 ? 0 : 1) << row;
    }
    words[bitsAt++] = bits;
    set += ones(bits);
  }
  return set;
}

/** Codes of a declared column of truth values (1 false, 2 true) as two bitmaps. */
export function writeDeclaredBools(
  values: Int32Array,
  tags: Uint32Array,
  rows: number,
  words: Int32Array,
  at: number,
  bitsAt: number,
): number {
  let set = 0;
  for (let start = 0; start < rows; start += WORD_ROWS) {
    const end = Math.min(start + WORD_ROWS, rows);
    let bits = 0;
    let truths = 0;
    for (let row = start; row < end; row++) {
      const code = (tags[row] & FLAG_DECLARED) === 0 ? 0 : values[row];
      bits |= (code === 0 ? 0 : 1) << row;
      truths |= (code === 2 ? 1 : 0) << row;
    }
    words[bitsAt++] = bits;
    words[at++] = truths;
    set += ones(bits);
  }
  return set;
}

function ones(word: number): number {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
