/**
 * MessagePack as a stream of maps, one an event: what a line of JSON Lines holds.
 *
 * The rows of a recorder differ in eight values, so each binding has a template: the bytes of one of its events cut
 * where these stand. Rows that were captured with metadata of their own are decoded.
 */

import {
  FLAG_COST_COMPUTED,
  FLAG_FAILED,
  FLAG_MALFORMED,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
} from '../../../assembly/layout.js';
import type { OrderedRows } from '../../readers/ordered.js';
import type { RowTable } from '../../readers/row-table.js';
import type { RowSource } from '../../readers/rows.js';
import { isValue, timeUsOf } from '../../ring/batch.js';
import type { EventRow } from '../../schema/event.js';
import type { ExportEncoder } from '../encoder.js';
import { saysMore, tellsAll } from '../plan.js';
import { stepsOf, writeEvent } from './document.js';
import { ByteWriter, encodedText } from './writer.js';

/** What differs from row to row of a binding, in the order of the keys. */
const VARYING = [
  'cost_source',
  'cost_usd',
  'event_id',
  'latency_ms',
  'malformed',
  'success',
  'timestamp',
  'tokens',
] as const;

interface Template {
  /** What stands before each of the varying values, and behind the last one. */
  readonly between: readonly Uint8Array[];
  readonly bytes: number;
}

/** What rows of one experiment have in common. */
interface Known {
  /** By binding; null where its rows have to be decoded, undefined where that is not known yet. */
  readonly templates: (Template | null | undefined)[];
  /** The id's text up to the producer, and where its characters begin in it. */
  readonly idHead: Uint8Array;
  readonly computedCost: Uint8Array;
}

const ID_DIGITS = 10;
/** Producer, dash, sequence. */
const ID_TAIL_BYTES = 2 + 1 + ID_DIGITS;
/** Sequences from here on have more digits. */
const SEQUENCE_END = 16 ** ID_DIGITS;
const HEX = Buffer.from('0123456789abcdef');
const DASH = 0x2d;
const NIL = 0xc0;
/** The most that the varying values of a row take, but for its id and the source of its cost. */
const VARYING_BYTES_MAX = 128;

const REPORTED_COST = encodedText('event');
const TOKEN_KEYS = [encodedText('prompt'), encodedText('completion'), encodedText('total')] as const;

export class MsgpackRows implements ExportEncoder {
  readonly columns = null;
  readonly #out = new ByteWriter();
  readonly #known = new Map<RowSource, Known>();

  header(): Uint8Array {
    return new Uint8Array(0);
  }

  rows(source: RowSource, { table, rows, events }: OrderedRows): Uint8Array {
    const out = this.#out;
    out.clear();
    const known = this.#known.get(source) ?? this.#learn(source);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const tag = table.tags[row];
      const binding = tag & TAG_BINDING_MASK;
      const template =
        saysMore(tag) || binding === 0 || table.sequences[row] >= SEQUENCE_END
          ? null
          : (known.templates[binding] ?? learnTemplate(known, source, table, row));
      if (template === null) writeEvent(out, events?.[i] ?? table.event(source, row));
      else writeBound(out, known, template, table, row);
    }
    return out.written;
  }

  events(events: readonly EventRow[]): Uint8Array {
    this.#out.clear();
    for (const event of events) writeEvent(this.#out, event);
    return this.#out.written;
  }

  footer(): Uint8Array {
    return new Uint8Array(0);
  }

  #learn(source: RowSource): Known {
    const { experimentId, priceVersion } = source;
    const id = encodedText(`${experimentId}-${'0'.repeat(ID_TAIL_BYTES)}`);
    const known: Known = {
      templates: [],
      idHead: id.subarray(0, id.length - ID_TAIL_BYTES),
      computedCost: encodedText(`table:${priceVersion}`),
    };
    this.#known.set(source, known);
    return known;
  }
}

function learnTemplate(known: Known, source: RowSource, table: RowTable, row: number): Template | null {
  const binding = table.tags[row] & TAG_BINDING_MASK;
  const template = tellsAll(source.binding(binding)) ? templateOf(table.event(source, row)) : null;
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
  if (!hasCost) putByte(out, NIL);
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
  putByte(out, (tag & FLAG_MALFORMED) !== 0 ? 0xc3 : 0xc2);
  put(out, between[5]);
  putByte(out, (tag & FLAG_SUCCEEDED) !== 0 ? 0xc3 : (tag & FLAG_FAILED) !== 0 ? 0xc2 : NIL);
  put(out, between[6]);
  out.integer(timeUsOf(table, row));
  put(out, between[7]);
  putTokens(out, table.promptTokens[row], table.completionTokens[row]);
  put(out, between[8]);
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
  for (let digit = 6; digit < ID_DIGITS; digit++, high >>= 4) bytes[last - digit] = HEX[high & 15];
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

function templateOf(event: EventRow): Template {
  const out = new ByteWriter();
  const between: Uint8Array[] = [];
  const steps = stepsOf(event);
  out.mapHead(steps.length);
  for (const { name, key, write } of steps) {
    out.copy(key);
    if (name !== VARYING[between.length]) {
      write(out, event);
      continue;
    }
    between.push(Uint8Array.from(out.written));
    out.clear();
  }
  between.push(Uint8Array.from(out.written));
  return { between, bytes: between.reduce((sum, { length }) => sum + length, 0) };
}
