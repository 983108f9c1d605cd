/**
 * MessagePack as a stream of maps, one an event: what a line of JSON Lines holds.
 *
 * What is the same for all rows of a binding, flags and shape (../stored-shape.ts) is encoded once, as a form: bytes,
 * and between them cells, for which a row's own values are written. Other rows are decoded.
 */

import {
  FLAG_BLOB,
  FLAG_COST_COMPUTED,
  FLAG_FAILED,
  FLAG_METADATA_TOKENS,
  FLAG_SUCCEEDED,
  UNPRICED_MASK,
  UNPRICED_SHIFT,
} from '../../../assembly/layout.js';
import { SLOT_NONE, SLOT_TEXT } from '../../../assembly/text-layout.js';
import { ByteWriter, encodedText } from '../../formats/msgpack/writer.js';
import type { OrderedRows } from '../../readers/ordered.js';
import type { RowTable } from '../../readers/row-table.js';
import type { RowSource } from '../../readers/rows.js';
import { isValue, timeUsOf } from '../../ring/batch.js';
import { eventIdText, ID_TAIL_CHARS, LONG_SEQUENCE, SEQUENCE_DIGITS } from '../../row/event-id.js';
import { UNPRICED } from '../../schema/enrich.js';
import type { EventRow } from '../../schema/event.js';
import { MAP_COLUMNS, schemaOf } from '../columns.js';
import type { ExportEncoder } from '../encoder.js';
import { Marks } from '../marks.js';
import { type BlockWriter, rowFile } from '../row-file.js';
import {
  ByShape,
  declaredSlot,
  declaredSlotValue,
  isStoredSlot,
  numberSize,
  type StoredShape,
  textSize,
} from '../stored-shape.js';
import { stepsOf, writeEvent } from './document.js';

// What differs between the rows of a form. Cells from SLOT on are values of slots.
const COST_SOURCE = 0;
const COST_USD = 1;
const EVENT_ID = 2;
const LATENCY_MS = 3;
const SUCCESS = 4;
const TIMESTAMP = 5;
const TOKENS = 6;
const PROMPT = 7;
const COMPLETION = 8;
const TOTAL = 9;
const SLOT = 16;

const CELLS: ReadonlyMap<string, number> = new Map([
  ['cost_source', COST_SOURCE],
  ['cost_usd', COST_USD],
  ['event_id', EVENT_ID],
  ['latency_ms', LATENCY_MS],
  ['success', SUCCESS],
  ['timestamp', TIMESTAMP],
  ['tokens', TOKENS],
]);

interface Cell {
  /** What stands before it. */
  readonly before: Uint8Array;
  readonly kind: number;
}

interface Form {
  readonly cells: readonly Cell[];
  readonly end: Uint8Array;
  /** The most that a row takes beside what is stored with it. */
  readonly bytesMax: number;
  /** How often a stored value is written, at most. */
  readonly copies: number;
}

/** What rows of one experiment have in common. */
interface Known {
  /** Null for rows that have to be decoded. */
  readonly forms: ByShape<Form | null>;
  /** The id's text up to the producer, and where its characters begin in it. */
  readonly idHead: Uint8Array;
  readonly computedCost: Uint8Array;
}

/** Producer, dash, sequence. */
const ID_TAIL_BYTES = ID_TAIL_CHARS - 1;
const HEX = Buffer.from('0123456789abcdef');
const DASH = 0x2d;
const NIL = 0xc0;
const FALSE = 0xc2;
const TRUE = 0xc3;
const DOUBLE = 0xcb;
/** The most that a cell's value takes that is no text: the map of token counts. */
const VALUE_BYTES_MAX = 64;

const REPORTED_COST = encodedText('event');
/** By UNPRICED_*. */
const NO_COST = UNPRICED.map((reason) => (reason === null ? Uint8Array.of(NIL) : encodedText(reason)));
const TOKEN_KEYS = [encodedText('prompt'), encodedText('completion'), encodedText('total')] as const;

export function openMsgpackRows(): ExportEncoder {
  return {
    schema: schemaOf(MAP_COLUMNS),
    additionalKeys: true,
    encode: (blocks) => rowFile(blocks, NO_HEAD, new MapWriter()),
  };
}

const NO_HEAD = new Uint8Array(0);

export class MapWriter implements BlockWriter {
  readonly #out = new ByteWriter();
  readonly #marks = new Marks();
  readonly #known = new Map<RowSource, Known>();

  rows(source: RowSource, { table, rows, events }: OrderedRows): Uint8Array {
    const out = this.#out;
    out.clear();
    const known = this.#known.get(source) ?? this.#learn(source);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const form = table.sequences[row] < LONG_SEQUENCE ? known.forms.get(table, row) : null;
      if (form === undefined || form === null) writeEvent(out, events?.[i] ?? table.event(source, row));
      else writeRow(out, known, form, source, table, row);
    }
    return out.written;
  }

  events(events: readonly EventRow[]): Uint8Array {
    this.#out.clear();
    for (const event of events) writeEvent(this.#out, event);
    return this.#out.written;
  }

  #learn(source: RowSource): Known {
    const { experimentId, priceVersion } = source;
    const id = encodedText(eventIdText(experimentId, 0, 0));
    const known: Known = {
      forms: new ByShape(source, this.#marks, (event, flags, shape) =>
        formOf(event, markedPlaces(this.#marks, shape, source.columns.length, flags), this.#marks),
      ),
      idHead: id.subarray(0, id.length - ID_TAIL_BYTES),
      computedCost: encodedText(`table:${priceVersion}`),
    };
    this.#known.set(source, known);
    return known;
  }
}

/** @param event - with marks for values @returns null where a mark has become part of something else */
function formOf(event: EventRow, places: readonly MarkedPlace[], marks: Marks): Form | null {
  const out = new ByteWriter();
  const cells: Cell[] = [];
  const take = () => {
    const written = Uint8Array.from(out.written);
    out.clear();
    return cutAtMarks(written, places, cells);
  };
  const steps = stepsOf(event);
  out.mapHead(steps.length);
  for (const { name, key, write } of steps) {
    out.copy(key);
    const kind = CELLS.get(name);
    if (kind === undefined) write(out, event);
    else cells.push({ before: take(), kind });
  }
  const end = take();
  const pieces = [...cells.map(({ before }) => before), end];
  if (pieces.some((piece) => marks.isIn(Buffer.from(piece).toString('latin1')))) return null;
  const bytesMax = pieces.reduce((sum, { length }) => sum + length + VALUE_BYTES_MAX, 0);
  return { cells, end, bytesMax, copies: mostOften(cells) };
}

/** What a mark is as MessagePack, and the cell that goes where it stands. */
interface MarkedPlace {
  readonly encoded: Uint8Array;
  readonly kind: number;
}

function markedPlaces(
  marks: Marks,
  shape: StoredShape | undefined,
  columns: number,
  flags: number,
): MarkedPlace[] {
  const place = (value: string | number, kind: number) => ({ encoded: encodedValue(value), kind });
  const stored = (shape?.parts ?? []).flatMap(({ slot }, index) =>
    slot === SLOT_NONE
      ? []
      : place(slot === SLOT_TEXT ? marks.text(index) : marks.number(index), SLOT + index),
  );
  const declared = Array.from({ length: columns }, (_, column) => declaredSlot(column)).flatMap((slot) => [
    place(marks.text(slot), SLOT + slot),
    place(marks.number(slot), SLOT + slot),
  ]);
  if ((flags & FLAG_METADATA_TOKENS) === 0) return [...stored, ...declared];
  const { prompt, completion } = marks;
  const counts = [place(prompt, PROMPT), place(completion, COMPLETION), place(prompt + completion, TOTAL)];
  return [...stored, ...declared, ...counts];
}

function encodedValue(value: string | number): Uint8Array {
  const out = new ByteWriter(64);
  out.value(value);
  return Uint8Array.from(out.written);
}

/** Adds the cells that stand in what was written. @returns what is behind the last one */
function cutAtMarks(written: Uint8Array, places: readonly MarkedPlace[], cells: Cell[]): Uint8Array {
  const found: { at: number; place: MarkedPlace }[] = [];
  const bytes = Buffer.from(written);
  for (const place of places) {
    for (let at = bytes.indexOf(place.encoded); at !== -1; at = bytes.indexOf(place.encoded, at + 1)) {
      found.push({ at, place });
    }
  }
  let from = 0;
  for (const { at, place } of found.sort((a, b) => a.at - b.at)) {
    cells.push({ before: written.slice(from, at), kind: place.kind });
    from = at + place.encoded.length;
  }
  return written.slice(from);
}

/** How often the slot that has most cells has one. */
function mostOften(cells: readonly Cell[]): number {
  const counts = new Map<number, number>();
  for (const { kind } of cells) if (kind >= SLOT) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}

function writeRow(
  out: ByteWriter,
  { forms, idHead, computedCost }: Known,
  { cells, end, bytesMax, copies }: Form,
  source: RowSource,
  table: RowTable,
  row: number,
): void {
  const tag = table.tags[row];
  const { blob } = table;
  const storedBytes =
    copies === 0 || (tag & FLAG_BLOB) === 0 ? 0 : table.blobEnds[row] - table.blobOffsets[row];
  const room = bytesMax + idHead.length + computedCost.length + copies * storedBytes;
  out.reserve(room);
  for (let i = 0; i < cells.length; i++) {
    const { before, kind } = cells[i];
    put(out, before);
    switch (kind) {
      case COST_SOURCE:
        if ((tag & UNPRICED_MASK) !== 0) put(out, NO_COST[(tag & UNPRICED_MASK) >> UNPRICED_SHIFT]);
        else if (!isValue(table.costUsd[row])) putByte(out, NIL);
        else put(out, (tag & FLAG_COST_COMPUTED) !== 0 ? computedCost : REPORTED_COST);
        break;
      case COST_USD:
        putDouble(out, table.costUsd[row]);
        break;
      case EVENT_ID:
        put(out, idHead);
        putIdTail(out, table.producers[row], table.sequences[row]);
        break;
      case LATENCY_MS:
        putDouble(out, table.latencyMs[row]);
        break;
      case SUCCESS:
        putByte(out, (tag & FLAG_SUCCEEDED) !== 0 ? TRUE : (tag & FLAG_FAILED) !== 0 ? FALSE : NIL);
        break;
      case TIMESTAMP:
        out.integer(timeUsOf(table, row));
        break;
      case TOKENS:
        putTokens(out, table.promptTokens[row], table.completionTokens[row]);
        break;
      case PROMPT:
        out.number(table.promptTokens[row]);
        break;
      case COMPLETION:
        out.number(table.completionTokens[row]);
        break;
      case TOTAL:
        out.number(table.promptTokens[row] + table.completionTokens[row]);
        break;
      default:
        if (isStoredSlot(kind - SLOT)) {
          putStored(out, blob, forms.places[kind - SLOT]);
        } else {
          out.value(declaredSlotValue(source, table, row, kind - SLOT));
          // A text may have taken the room of what follows.
          out.reserve(room);
        }
    }
  }
  put(out, end);
}

/** Copies a number or text as it is stored: it is written alike, but for numbers that are not finite. */
function putStored(out: ByteWriter, stored: Buffer, at: number): void {
  const head = stored[at];
  if (head === DOUBLE && (stored[at + 1] & 0x7f) === 0x7f && stored[at + 2] >= 0xf0) putByte(out, NIL);
  else putRange(out, stored, at, at + (numberSize(head) || textSize(stored, at)));
}

function putDouble(out: ByteWriter, value: number): void {
  if (isValue(value)) out.double(value);
  else putByte(out, NIL);
}

function putRange(out: ByteWriter, from: Buffer, start: number, end: number): void {
  const { bytes, length } = out;
  const size = end - start;
  if (size > 96) from.copy(bytes, length, start, end);
  else for (let i = 0; i < size; i++) bytes[length + i] = from[start + i];
  out.length = length + size;
}

/** Copies what there is room for already: short runs, for which a loop beats the call into the runtime. */
function put(out: ByteWriter, from: Uint8Array): void {
  const { bytes, length } = out;
  const size = from.length;
  if (size > 48) bytes.set(from, length);
  else for (let i = 0; i < size; i++) bytes[length + i] = from[i];
  out.length = length + size;
}

function putByte(out: ByteWriter, value: number): void {
  out.bytes[out.length++] = value;
}

function putIdTail(out: ByteWriter, producer: number, sequence: number): void {
  const { bytes, length } = out;
  bytes[length] = HEX[producer >> 4];
  bytes[length + 1] = HEX[producer & 15];
  bytes[length + 2] = DASH;
  let low = sequence % 2 ** 24;
  let high = (sequence - low) / 2 ** 24;
  const last = length + ID_TAIL_BYTES - 1;
  for (let digit = 0; digit < 6; digit++, low >>= 4) bytes[last - digit] = HEX[low & 15];
  for (let digit = 6; digit < SEQUENCE_DIGITS; digit++, high >>= 4) bytes[last - digit] = HEX[high & 15];
  out.length = length + ID_TAIL_BYTES;
}

function putTokens(out: ByteWriter, prompt: number, completion: number): void {
  if (prompt < 0 && completion < 0) {
    putByte(out, NIL);
    return;
  }
  const promptTokens = Math.max(prompt, 0);
  const completionTokens = Math.max(completion, 0);
  out.mapHead(TOKEN_KEYS.length);
  put(out, TOKEN_KEYS[0]);
  out.number(promptTokens);
  put(out, TOKEN_KEYS[1]);
  out.number(completionTokens);
  put(out, TOKEN_KEYS[2]);
  out.number(promptTokens + completionTokens);
}
