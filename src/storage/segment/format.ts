/** What a segment holds, in terms of its users. How it is laid out as bytes is said in segment-schema and -seal. */
import { CHUNK_ROWS, PRODUCER_MAX } from '../../../assembly/layout.js';
import type { ColumnType } from '../../schema/columns.js';
import type { Json } from '../../schema/event.js';

export const FORMAT_VERSION = 1;

/** The schema's metadata key under which a segment's identity stands as JSON. */
export const IDENTITY_KEY = 'crucible.segment';

export type SegmentColumns = readonly { readonly name: string; readonly type: ColumnType }[];

/** What is true of all of a segment; part of its first message. */
export interface SegmentIdentity {
  readonly formatVersion: typeof FORMAT_VERSION;
  readonly libraryVersion: string;
  readonly experimentId: string;
  /** The segment's number within the experiment, from 1. */
  readonly segment: number;
  /** Microseconds since the Unix epoch. */
  readonly createdUs: number;
  readonly columns: SegmentColumns;
  readonly priceVersion: string;
  /** The experiment as its owner describes it. */
  readonly experiment: Json;
}

/** Rows that are not in any segment, by reason, and rows that are not whole: counted from the experiment's start. */
export interface RingLosses {
  readonly overwritten: number;
  readonly refused: number;
  readonly malformed: number;
  readonly overflowed: number;
  readonly cut: number;
}

export const NO_LOSSES: RingLosses = { overwritten: 0, refused: 0, malformed: 0, overflowed: 0, cut: 0 };

/** The later of two counts: they only grow. */
export function laterLosses(a: RingLosses, b: RingLosses): RingLosses {
  return {
    overwritten: Math.max(a.overwritten, b.overwritten),
    refused: Math.max(a.refused, b.refused),
    malformed: Math.max(a.malformed, b.malformed),
    overflowed: Math.max(a.overflowed, b.overflowed),
    cut: Math.max(a.cut, b.cut),
  };
}

/** Texts that rows refer to, by their ids. */
export interface Dictionaries {
  readonly bindings: readonly string[];
  readonly strings: readonly string[];
}

/** Where the rows of a record batch belong. */
export interface BatchPlace {
  /** The chunk's sequence in the order of claims. */
  readonly chunk: number;
  /** The first row's index within the chunk. */
  readonly firstRow: number;
  readonly rows: number;
  readonly producer: number;
  /** Whole microseconds since the Unix epoch, over these rows. */
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  /** As of when the batch was written. */
  readonly losses: RingLosses;
}

/** Whether there can be rows in such a place: a file that says anything else was not written by this library. */
export function isPlace({
  chunk,
  firstRow,
  rows,
  producer,
  timeMinUs,
  timeMaxUs,
  losses,
}: BatchPlace): boolean {
  return (
    [chunk, firstRow, rows, producer, ...Object.values(losses)].every(isCount) &&
    [timeMinUs, timeMaxUs].every(Number.isFinite) &&
    chunk <= CHUNK_MAX &&
    firstRow + rows <= CHUNK_ROWS &&
    producer < PRODUCER_MAX
  );
}

/** Sequences of rows are exact up to here. */
const CHUNK_MAX = Math.floor(Number.MAX_SAFE_INTEGER / CHUNK_ROWS);

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Whether a text of the dictionary of bindings names an event and what is bound to it. */
export function isBindingText(text: string): boolean {
  try {
    const binding: unknown = JSON.parse(text);
    if (!Array.isArray(binding) || typeof binding[0] !== 'string') return false;
    const [, model = null, provider = null, bound = {}] = binding;
    const isName = (value: unknown) => value === null || typeof value === 'string';
    const isObject = typeof bound === 'object' && bound !== null && !Array.isArray(bound);
    return isName(model) && isName(provider) && isObject;
  } catch {
    return false;
  }
}

/** A record batch and where its message is in the file. */
export interface BatchEntry extends BatchPlace {
  readonly offset: number;
  readonly bytes: number;
}

/** Bytes of a segment that cannot be used. */
export interface Damage {
  readonly offset: number;
  /** null: everything up to the end of the segment. */
  readonly bytes: number | null;
  readonly reason: string;
}
