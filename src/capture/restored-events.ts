/**
 * Restoring: stores events of our own exports as they were. What reading the row back would find out otherwise, the
 * event's id above all, is kept beside its metadata; a row that needs nothing of that takes no more room than before it
 * was exported.
 */
import {
  FLAG_BLOB,
  FLAG_CORRECTED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_PROVIDER,
  FLAG_METADATA_TOKENS,
  FLAG_WRITTEN,
} from '../../assembly/layout.js';
import { MAP_ENTRIES_MAX, type MsgpackWriter, OUT_OF_ROOM } from '../formats/msgpack/stored-value.js';
import { type Enriched, toldName } from '../schema/enrich.js';
import type { Json, Metadata } from '../schema/event.js';
import { clearMalformed, noteAgain, noteMalformed } from '../schema/malformed.js';
import { type Frame, fitted, lose, noteName } from './event-frame.js';
import type { EventPlan } from './event-plan.js';
import {
  COLUMN_BOOL,
  COLUMN_F64,
  COLUMN_I32,
  COLUMN_U32,
  type EventWriter,
  KIND_ENCODED,
} from './event-writer.js';
import { withLongWriter } from './long-event.js';

/** The place, among a reader's metadata keys, of those that were encoded: behind all others. */
const PLACE_ENCODED = 1000;

/** An event of a file that this library has written. */
export interface RestoredEvent {
  readonly name: string;
  readonly known: KnownColumns;
  /** Whether the cost comes from the price table of this experiment. */
  readonly costComputed: boolean;
  /** UNPRICED_* */
  readonly unpriced: number;
  readonly malformed: boolean;
  readonly measurements: Record<string, Json>;
  readonly metadata: Record<string, Json>;
  /** Fields of the event that do not follow from the others. */
  readonly corrections: Readonly<Record<string, Json>> | null;
  /** The id it had; null when the file does not tell. */
  readonly eventId: string | null;
  /** The id that a row here gets. */
  idAt(producer: number, sequence: number): string;
}

/** Columns of an event that is not enriched: absent numbers NaN, absent tokens -1. */
export type KnownColumns = Pick<
  Enriched,
  'latencyMs' | 'costUsd' | 'prompt' | 'completion' | 'success' | 'model' | 'provider'
>;

export class RestoredEvents {
  private readonly writer: EventWriter;

  constructor(writer: EventWriter) {
    this.writer = writer;
  }

  /** @returns false when it is refused */
  store(timestampUs: number, event: RestoredEvent): boolean {
    const { out } = this.writer;
    const scratchStart = out.position;
    try {
      return this.storeFrom(this.writer.outermostFrame(), timestampUs, event);
    } finally {
      out.position = scratchStart;
    }
  }

  private storeFrom(frame: Frame, timestampUs: number, event: RestoredEvent): boolean {
    const { enriched } = frame;
    const { metadata, measurements, eventId } = event;
    clearMalformed(enriched);
    enriched.malformed = event.malformed;
    const malformedKeys = event.corrections?.malformedKeys;
    if (Array.isArray(malformedKeys)) for (const key of malformedKeys) noteAgain(enriched, String(key));
    const { latencyMs, costUsd, prompt, completion, success, model, provider } = event.known;
    enriched.latencyMs = latencyMs;
    enriched.costUsd = costUsd;
    enriched.prompt = prompt;
    enriched.completion = completion;
    enriched.success = success;
    enriched.model = model;
    enriched.provider = provider;
    enriched.costComputed = event.costComputed;
    enriched.unpriced = event.unpriced;
    enriched.totalTokens = -1;
    // A total of their own is told by the corrections.
    enriched.tokensCanonical =
      event.corrections?.tokens === undefined && isCanonical(metadata.tokens, enriched);
    const { writer } = this;
    const { ring } = writer;
    const plan = writer.boundPlan(event.name, enriched);
    const { binding } = plan;
    const corrections = { ...event.corrections };
    if (binding === 0) {
      // Its names are looked for in the metadata alone.
      for (const name of ['model', 'provider'] as const) {
        if (toldName(name, event.name, metadata) !== enriched[name]) corrections[name] ??= enriched[name];
      }
    }
    writer.forgetDeclared(frame);
    const isCorrected = isNotEmpty(corrections);
    const isPlain =
      binding !== 0 && !isCorrected && !event.malformed && !event.costComputed && !isNotEmpty(measurements);
    if (isPlain && isBound(metadata, enriched)) {
      const position = ring.reserve(0);
      if (position < 0) return false;
      if (eventId === null || eventId === event.idAt(ring.producer, ring.sequenceAt(position))) {
        return writer.row(frame, binding, FLAG_WRITTEN, 0, 0, timestampUs);
      }
    }
    if (eventId !== null) corrections.eventId = eventId;
    return this.encode(frame, plan, binding, timestampUs, event, corrections, isCorrected);
  }

  private encode(
    frame: Frame,
    plan: EventPlan,
    binding: number,
    timestampUs: number,
    event: RestoredEvent,
    corrections: Record<string, Json>,
    isCorrected: boolean,
  ): boolean {
    const { writer } = this;
    const { out, ring } = writer;
    const { enriched } = frame;
    const { eventId } = event;
    const flags = this.flagsOf(frame, binding, event.metadata);
    const kept = Math.max(flags, 0) | FLAG_BLOB;
    const start = out.position;
    try {
      const { asideAt, map, entries } = this.write(out, frame, plan, binding, flags, event, corrections);
      if (!isCorrected && frame.hasAside) {
        // All that is kept aside is its id, which may be what its place gives it.
        const position = ring.reserve(asideAt - start);
        if (position < 0) return false;
        if (eventId === event.idAt(ring.producer, ring.sequenceAt(position))) {
          out.position = asideAt;
          out.endMap(map, entries);
          if (binding === 0) out.text(plan.event);
          frame.hasAside = false;
        }
      }
      const corrected = frame.hasAside ? FLAG_CORRECTED : 0;
      return writer.row(frame, binding, kept | corrected, start, out.position - start, timestampUs);
    } catch (error) {
      if (error !== OUT_OF_ROOM) throw error;
      return withLongWriter((long) => {
        const isWhole = fitted(long, enriched, () => {
          this.write(long, frame, plan, binding, flags, event, corrections);
        });
        // What stays too large loses its corrections, too.
        if (!isWhole) {
          const { measurements, metadata } = event;
          writer.encodeTrimmed(long, frame, plan, binding, Math.max(flags, 0), measurements, metadata);
        }
        const corrected = frame.hasAside ? FLAG_CORRECTED : 0;
        const { written } = long;
        return writer.row(frame, binding, kept | corrected, 0, written.length, timestampUs, written);
      });
    }
  }

  /**
   * Writes the byte-area part of an event that was exported.
   * @returns where what is kept aside begins, and the map that it is the last entry of, with its other entries
   */
  private write(
    out: MsgpackWriter,
    frame: Frame,
    plan: EventPlan,
    binding: number,
    flags: number,
    { metadata, measurements }: RestoredEvent,
    corrections: Readonly<Record<string, Json>>,
  ): { asideAt: number; map: number; entries: number } {
    const { enriched } = frame;
    this.writer.forgetDeclared(frame);
    out.lossy = false;
    if (binding === 0) noteName(out, frame, plan);
    let map = out.beginMap();
    let entries = 0;
    for (const key of Object.keys(metadata)) {
      const value = metadata[key];
      const kind = flags < 0 ? KIND_ENCODED : (this.writer.kinds.get(key) ?? KIND_ENCODED);
      if (kind > 0 ? this.writer.declare(frame, kind - 1, value) : (flags & -kind) !== 0) continue;
      if (entries === MAP_ENTRIES_MAX) {
        noteMalformed(enriched, 'metadata');
        break;
      }
      out.entry(key, value);
      if (out.lossy) lose(out, frame, 'metadata', key);
      entries++;
    }
    out.endMap(map, entries);
    map = out.beginMap();
    entries = 0;
    for (const key of Object.keys(measurements)) {
      // One is for what is kept aside.
      if (entries === MAP_ENTRIES_MAX - 1) {
        noteMalformed(enriched, 'measurements');
        break;
      }
      out.entry(key, measurements[key]);
      if (out.lossy) lose(out, frame, 'measurements', key);
      entries++;
    }
    const { malformedKeys } = enriched;
    const told = malformedKeys.length > 0 ? { ...corrections, malformedKeys } : corrections;
    const asideAt = out.position;
    frame.hasAside = isNotEmpty(told);
    if (frame.hasAside) out.aside(told);
    out.endMap(map, frame.hasAside ? entries + 1 : entries);
    if (binding === 0) out.text(plan.event);
    return { asideAt, map, entries };
  }

  /**
   * The flags of a row whose metadata, read again, have their keys in the order given here; negative when only
   * encoding all of them can keep it.
   */
  private flagsOf(frame: Frame, binding: number, metadata: Metadata): number {
    const { enriched } = frame;
    let flags = 0;
    let last = 0;
    for (const key of Object.keys(metadata)) {
      const kind = this.writer.kinds.get(key) ?? KIND_ENCODED;
      let place = PLACE_ENCODED;
      if (kind === -FLAG_METADATA_MODEL || kind === -FLAG_METADATA_PROVIDER) {
        const isModel = kind === -FLAG_METADATA_MODEL;
        const name = isModel ? enriched.model : enriched.provider;
        if (binding !== 0 && name !== null && metadata[key] === name) {
          flags |= -kind;
          place = isModel ? 1 : 2;
        }
      } else if (kind === -FLAG_METADATA_TOKENS) {
        if (enriched.tokensCanonical) {
          flags |= -kind;
          place = 3;
        }
      } else if (kind > 0 && fits(this.writer.columnKinds[kind - 1], metadata[key])) place = 3 + kind;
      if (place < last) return -1;
      last = place;
    }
    return flags;
  }
}

function isNotEmpty(object: object): boolean {
  for (const _ in object) return true;
  return false;
}

/** Whether metadata.tokens are what a reader makes of the two columns, in its order. */
function isCanonical(tokens: unknown, { prompt, completion }: Enriched): boolean {
  if (typeof tokens !== 'object' || tokens === null || prompt < 0 || completion < 0) return false;
  const values = Object.values(tokens);
  return (
    Object.keys(tokens).join() === 'prompt,completion,total' &&
    Object.is(values[0], prompt) &&
    Object.is(values[1], completion) &&
    values[2] === prompt + completion
  );
}

/** Whether the metadata are what a reader makes of the binding alone. */
function isBound(metadata: Metadata, { model, provider }: Enriched): boolean {
  let place = 0;
  for (const key in metadata) {
    if (place === 0 && key === 'model' && model !== null && metadata.model === model) place = 1;
    else if (place < 2 && key === 'provider' && provider !== null && metadata.provider === provider)
      place = 2;
    else return false;
  }
  // Nothing may be missing either.
  return (
    (model === null || metadata.model === model) && (provider === null || metadata.provider === provider)
  );
}

/** Whether a column of this kind takes the value, and gives it back. */
function fits(kind: number, value: unknown): boolean {
  switch (kind) {
    case COLUMN_F64:
      return typeof value === 'number' && value - value === 0;
    case COLUMN_I32:
      return typeof value === 'number' && Object.is(value | 0, value);
    case COLUMN_U32:
      return typeof value === 'number' && Object.is(value >>> 0, value);
    case COLUMN_BOOL:
      return typeof value === 'boolean';
    default:
      return typeof value === 'string';
  }
}
