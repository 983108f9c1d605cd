/**
 * MessagePack as a stream of maps, one an event: what a line of JSON Lines holds.
 *
 * Most of an event is the same for all rows of its binding, so each binding has templates: the bytes of one of its
 * events cut where the rest stands. The rows of a recorder differ in eight values. Those of captured rows are copied
 * from what was stored; events with fields of a category, and what cannot be copied, are decoded.
 */

import {
  FLAG_BLOB,
  FLAG_CORRECTED,
  FLAG_COST_COMPUTED,
  FLAG_DECLARED,
  FLAG_FAILED,
  FLAG_MALFORMED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_PROVIDER,
  FLAG_METADATA_TOKENS,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
  UNPRICED_MASK,
  UNPRICED_SHIFT,
} from '../../../assembly/layout.js';
import { ByteWriter, encodedText } from '../../formats/msgpack/writer.js';
import type { OrderedRows } from '../../readers/ordered.js';
import type { RowTable } from '../../readers/row-table.js';
import type { RowSource } from '../../readers/rows.js';
import { isValue, timeUsOf } from '../../ring/batch.js';
import { declaredValue, isAbsent } from '../../row/declared.js';
import { ID_TAIL_CHARS, LONG_SEQUENCE, SEQUENCE_DIGITS } from '../../row/event-id.js';
import { UNPRICED } from '../../schema/enrich.js';
import type { EventRow } from '../../schema/event.js';
import { MAP_COLUMNS, schemaOf } from '../columns.js';
import type { ExportEncoder } from '../encoder.js';
import { saysMore } from '../plan.js';
import { type BlockWriter, rowFile } from '../row-file.js';
import { stepsOf, writeEvent } from './document.js';
import { LIFTED_COLUMNS, LOOKED_FOR, StoredRow } from './stored.js';

/** Of a row that is not all told by its columns, its binding and what is stored with it. */
const UNTOLD = FLAG_CORRECTED | FLAG_MALFORMED;

/** What differs from row to row of a binding, in the order of the keys. */
const VARYING: readonly string[] = [
  'cost_source',
  'cost_usd',
  'event_id',
  'latency_ms',
  'success',
  'timestamp',
  'tokens',
];
/** The same of rows that were captured. */
const VARYING_CAPTURED = [...VARYING, ...LIFTED_COLUMNS, 'measurements', 'metadata'].sort();

interface Template {
  /** What stands before each of the varying values, and behind the last one. */
  readonly between: readonly Uint8Array[];
  readonly bytes: number;
  /** The same for captured rows by which of their lifted columns have a value (bits by index), with nulls in place. */
  readonly lifted: (readonly Uint8Array[] | undefined)[];
  /** Entries of the metadata, as they are where the row has them by its binding. */
  readonly modelEntry: Uint8Array;
  readonly providerEntry: Uint8Array;
}

/** What rows of one experiment have in common. */
interface Known {
  /** By binding; undefined before its first row. */
  readonly templates: (Template | undefined)[];
  /** The same for captured rows, or null where they have to be decoded; null for all of them where a declared column stands in the way. */
  readonly captured: (Template | null | undefined)[] | null;
  /** The id's text up to the producer, and where its characters begin in it. */
  readonly idHead: Uint8Array;
  readonly computedCost: Uint8Array;
}

/** Producer, dash, sequence. */
const ID_TAIL_BYTES = ID_TAIL_CHARS - 1;
const HEX = Buffer.from('0123456789abcdef');
const DASH = 0x2d;
const NIL = 0xc0;
/** The most that the varying values of a row take, but for its id and the source of its cost. */
const VARYING_BYTES_MAX = 128;

const REPORTED_COST = encodedText('event');
/** By UNPRICED_*. */
const NO_COST = UNPRICED.map((reason) => (reason === null ? Uint8Array.of(NIL) : encodedText(reason)));
const TOKENS_KEY = encodedText('tokens');
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
  readonly #stored = new StoredRow();
  readonly #known = new Map<RowSource, Known>();

  rows(source: RowSource, { table, rows, events }: OrderedRows): Uint8Array {
    const out = this.#out;
    out.clear();
    const known = this.#known.get(source) ?? this.#learn(source);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const tag = table.tags[row];
      const binding = tag & TAG_BINDING_MASK;
      const event = events?.[i];
      if (binding === 0 || table.sequences[row] >= LONG_SEQUENCE || (tag & UNTOLD) !== 0) {
        writeEvent(out, event ?? table.event(source, row));
      } else if (!saysMore(tag)) {
        const template = known.templates[binding] ?? learnTemplate(known, source, table, row);
        writeBound(out, known, template, table, row);
      } else if (!this.#writeCaptured(known, source, table, row)) {
        writeEvent(out, event ?? table.event(source, row));
      }
    }
    return out.written;
  }

  events(events: readonly EventRow[]): Uint8Array {
    this.#out.clear();
    for (const event of events) writeEvent(this.#out, event);
    return this.#out.written;
  }

  /** @returns false when the row has to be decoded */
  #writeCaptured(known: Known, source: RowSource, table: RowTable, row: number): boolean {
    const { captured } = known;
    const tag = table.tags[row];
    if (captured === null || (tag & FLAG_BLOB) === 0) return false;
    const binding = tag & TAG_BINDING_MASK;
    if (captured[binding] === undefined) captured[binding] = capturedTemplate(table.event(source, row));
    const template = captured[binding];
    if (template === null || !this.#stored.read(table.blob, table.blobOffsets[row])) return false;
    writeCaptured(this.#out, known, template, source, table, row, this.#stored);
    return true;
  }

  #learn(source: RowSource): Known {
    const { experimentId, priceVersion } = source;
    const id = encodedText(`${experimentId}-${'0'.repeat(ID_TAIL_BYTES)}`);
    const known: Known = {
      templates: [],
      captured: source.columns.some(({ name }) => LOOKED_FOR.has(name) || /^(\d|__)/.test(name)) ? null : [],
      idHead: id.subarray(0, id.length - ID_TAIL_BYTES),
      computedCost: encodedText(`table:${priceVersion}`),
    };
    this.#known.set(source, known);
    return known;
  }
}

function learnTemplate(known: Known, source: RowSource, table: RowTable, row: number): Template {
  const binding = table.tags[row] & TAG_BINDING_MASK;
  const template = templateOf(table.event(source, row));
  known.templates[binding] = template;
  return template;
}

function writeBound(
  out: ByteWriter,
  { idHead, computedCost }: Known,
  { between, bytes }: Template,
  table: RowTable,
  row: number,
): void {
  out.reserve(bytes + idHead.length + computedCost.length + VARYING_BYTES_MAX);
  const tag = table.tags[row];
  const costUsd = table.costUsd[row];
  const latencyMs = table.latencyMs[row];
  const hasCost = isValue(costUsd);
  put(out, between[0]);
  if (!hasCost) put(out, NO_COST[(tag & UNPRICED_MASK) >> UNPRICED_SHIFT]);
  else put(out, (tag & FLAG_COST_COMPUTED) !== 0 ? computedCost : REPORTED_COST);
  put(out, between[1]);
  if (hasCost) out.double(costUsd);
  else putByte(out, NIL);
  put(out, between[2]);
  put(out, idHead);
  putIdTail(out, table.producers[row], table.sequences[row]);
  put(out, between[3]);
  if (isValue(latencyMs)) out.double(latencyMs);
  else putByte(out, NIL);
  put(out, between[4]);
  putByte(out, (tag & FLAG_SUCCEEDED) !== 0 ? 0xc3 : (tag & FLAG_FAILED) !== 0 ? 0xc2 : NIL);
  put(out, between[5]);
  out.integer(timeUsOf(table, row));
  put(out, between[6]);
  putTokens(out, table.promptTokens[row], table.completionTokens[row]);
  put(out, between[7]);
}

/** The values in the order of VARYING_CAPTURED. */
function writeCaptured(
  out: ByteWriter,
  { idHead, computedCost }: Known,
  template: Template,
  source: RowSource,
  table: RowTable,
  row: number,
  stored: StoredRow,
): void {
  const { bytes } = template;
  const { blob } = table;
  const { starts, ends } = stored;
  let liftedBytes = 0;
  let present = 0;
  for (let i = 0; i < LIFTED_COLUMNS.length; i++) {
    if (ends[i] === 0) continue;
    present |= 1 << i;
    liftedBytes += ends[i] - starts[i];
  }
  let between = template.lifted[present];
  if (between === undefined) {
    between = withNulls(template.between, present);
    template.lifted[present] = between;
  }
  const copied = stored.measurementsEnd - stored.entriesStart;
  const room = bytes + idHead.length + computedCost.length + copied + liftedBytes + VARYING_BYTES_MAX;
  out.reserve(room);
  const tag = table.tags[row];
  const costUsd = table.costUsd[row];
  const latencyMs = table.latencyMs[row];
  const hasCost = isValue(costUsd);
  putLifted(out, between[0], blob, stored, 0); // cohort
  putLifted(out, between[1], blob, stored, 1); // correlation_id
  put(out, between[2]);
  if (!hasCost) put(out, NO_COST[(tag & UNPRICED_MASK) >> UNPRICED_SHIFT]);
  else put(out, (tag & FLAG_COST_COMPUTED) !== 0 ? computedCost : REPORTED_COST);
  put(out, between[3]);
  if (hasCost) out.double(costUsd);
  else putByte(out, NIL);
  put(out, between[4]);
  put(out, idHead);
  putIdTail(out, table.producers[row], table.sequences[row]);
  put(out, between[5]);
  if (isValue(latencyMs)) out.double(latencyMs);
  else putByte(out, NIL);
  put(out, between[6]);
  putRange(out, blob, stored.measurementsStart, stored.measurementsEnd);
  put(out, between[7]);
  putMetadata(out, template, source, table, row, stored, room);
  putLifted(out, between[8], blob, stored, 2); // sample_id
  putLifted(out, between[9], blob, stored, 3); // session_id
  putLifted(out, between[10], blob, stored, 4); // span_id
  put(out, between[11]);
  putByte(out, (tag & FLAG_SUCCEEDED) !== 0 ? 0xc3 : (tag & FLAG_FAILED) !== 0 ? 0xc2 : NIL);
  put(out, between[12]);
  out.integer(timeUsOf(table, row));
  put(out, between[13]);
  putTokens(out, table.promptTokens[row], table.completionTokens[row]);
  putLifted(out, between[14], blob, stored, 5); // trace_id
  putLifted(out, between[15], blob, stored, 6); // user_id
  put(out, between[16]);
}

function putLifted(
  out: ByteWriter,
  before: Uint8Array,
  blob: Buffer,
  { starts, ends }: StoredRow,
  index: number,
): void {
  // The null stands in the next piece.
  if (ends[index] === 0) return;
  put(out, before);
  putRange(out, blob, starts[index], ends[index]);
}

/**
 * What has a column, in the order that decoding gives it, and then what was stored.
 *
 * @param room - bytes that the row takes at most from the copied entries on
 */
function putMetadata(
  out: ByteWriter,
  { modelEntry, providerEntry }: Template,
  source: RowSource,
  table: RowTable,
  row: number,
  stored: StoredRow,
  room: number,
): void {
  const tag = table.tags[row];
  const at = out.length;
  let { entries } = stored;
  out.mapHead(0);
  if ((tag & FLAG_METADATA_MODEL) !== 0 && modelEntry.length > 0) {
    out.reserve(room + modelEntry.length);
    put(out, modelEntry);
    entries++;
  }
  if ((tag & FLAG_METADATA_PROVIDER) !== 0 && providerEntry.length > 0) {
    out.reserve(room + providerEntry.length);
    put(out, providerEntry);
    entries++;
  }
  if ((tag & FLAG_METADATA_TOKENS) !== 0) {
    out.reserve(room);
    put(out, TOKENS_KEY);
    putTokens(out, table.promptTokens[row], table.completionTokens[row]);
    entries++;
  }
  if ((tag & FLAG_DECLARED) !== 0) entries += putDeclared(out, source, table, row);
  // What came first may have taken it.
  out.reserve(room);
  putRange(out, table.blob, stored.entriesStart, stored.entriesEnd);
  out.bytes[at + 1] = entries >> 8;
  out.bytes[at + 2] = entries;
}

/** @returns how many there are */
function putDeclared(out: ByteWriter, source: RowSource, table: RowTable, row: number): number {
  let entries = 0;
  source.columns.forEach(({ name, type }, column) => {
    const code = table.declared[column][row];
    if (isAbsent(type, code)) return;
    out.text(name);
    out.value(declaredValue(type, code, source.text));
    entries++;
  });
  return entries;
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

/** Null for events with fields of a category, which come from anywhere in the metadata and measurements. */
function capturedTemplate(event: EventRow): Template | null {
  return Object.keys(event.fields).length > 0 ? null : templateOf(event, VARYING_CAPTURED);
}

/** The pieces with nulls for the lifted columns that are not present; what stands before a null is in the next piece. */
function withNulls(between: readonly Uint8Array[], present: number): readonly Uint8Array[] {
  let before = Buffer.alloc(0);
  return between.map((piece, i) => {
    const whole = Buffer.concat([before, piece]);
    const column = LIFTED_COLUMNS.indexOf(VARYING_CAPTURED[i] ?? '');
    const isNull = column !== -1 && ((present >> column) & 1) === 0;
    before = isNull ? Buffer.concat([whole, Buffer.of(NIL)]) : Buffer.alloc(0);
    return Uint8Array.from(whole);
  });
}

function templateOf(event: EventRow, varying = VARYING): Template {
  const out = new ByteWriter();
  const between: Uint8Array[] = [];
  const steps = stepsOf(event);
  out.mapHead(steps.length);
  for (const { name, key, write } of steps) {
    out.copy(key);
    if (name !== varying[between.length]) {
      write(out, event);
      continue;
    }
    between.push(Uint8Array.from(out.written));
    out.clear();
  }
  between.push(Uint8Array.from(out.written));
  return {
    between,
    bytes: between.reduce((sum, { length }) => sum + length, 0),
    lifted: [],
    modelEntry: entryOf('model', event.model),
    providerEntry: entryOf('provider', event.provider),
  };
}

function entryOf(key: string, value: string | null): Uint8Array {
  return value === null ? new Uint8Array(0) : Uint8Array.from([...encodedText(key), ...encodedText(value)]);
}
