/**
 * EventWriter: turns events into rows on behalf of one thread and one experiment.
 *
 * What has a column goes there; the rest of metadata and the measurements go to the chunk's byte area as
 * MessagePack (see readers/rows.ts for the way back): by way of this thread's scratch, or of memory of its own (see
 * long-event.ts) where that is too small. Nothing an event does reaches the caller: a getter, proxy or
 * value that throws costs that value, and the event counts as malformed.
 */

import {
  FLAG_BLOB,
  FLAG_CORRECTED,
  FLAG_COST_COMPUTED,
  FLAG_CUT,
  FLAG_DECLARED,
  FLAG_FAILED,
  FLAG_MALFORMED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_PROVIDER,
  FLAG_METADATA_TOKENS,
  FLAG_SUCCEEDED,
  FLAG_TIME_NS,
  FLAGS_TO_PRICE,
  STRINGS,
  TIME_US_MAX,
  UNPRICED_SHIFT,
} from '../../assembly/layout.js';
import { type Clock, systemClock } from '../clock.js';
import { ConfigError } from '../errors.js';
import { MAP_ENTRIES_MAX, MsgpackWriter, OUT_OF_ROOM, writtenKey } from '../formats/msgpack/stored-value.js';
import { BindingTable } from '../ring/bindings.js';
import { Dictionary } from '../ring/dictionary.js';
import type { LossListener } from '../ring/losses.js';
import { MalformedKeys } from '../ring/malformed-keys.js';
import type { Geometry } from '../ring/memory.js';
import type { SharedMemory } from '../ring/wasm.js';
import {
  BLOB_DISTANCE,
  COMPLETION_DISTANCE,
  COST_DISTANCE,
  LATENCY_DISTANCE,
  PROMPT_DISTANCE,
  RingWriter,
  TAG_DISTANCE,
} from '../ring/writer.js';
import { absentCode, FALSE, isWordColumn, TRUE } from '../row/declared.js';
import { COLUMN_TYPES } from '../schema/columns.js';
import {
  type Enriched,
  emptyEnriched,
  enrich,
  enrichRecord,
  type KnownParts,
  kindOfEvent,
  newKnownParts,
  type Told,
  toldSuccess,
  UNPRICED_MODEL,
} from '../schema/enrich.js';
import type { Context, Fields, Json, Measurements, Metadata } from '../schema/event.js';
import { clearMalformed, noteCut, noteMalformed } from '../schema/malformed.js';
import { PriceBook, type PriceTable } from '../schema/prices.js';
import { isSpelled, type Part } from '../schema/spellings.js';
import { additionsOf } from './additions.js';
import { asideOf, type Frame, fitted, lose, noteName } from './event-frame.js';
import type { EventPlan, ModelBindings } from './event-plan.js';
import { withLongWriter } from './long-event.js';
import { readable, trimmed } from './readable.js';
import { ClockedRecorder, Recorder, type RecorderSink } from './recorder.js';

/** Models remembered of an event, and providers of a model. */
const MODELS_MAX = 1024;
const UNBOUND = -1;
const NOTHING: Readonly<Record<string, unknown>> = Object.freeze({});
/** What an event is called whose name is no text. */
const NAMELESS = '(unnamed)';
/** Event names remembered. */
const PLANS_MAX = 4096;
/** What is left of a text where cutting all of them to one length is not enough. */
const TRIMMED_BYTES = 1024;
const hrtime = process.hrtime.bigint;

/** Keys of a record's parts that its event has not, or not whole. */
export interface RecordFlaws {
  readonly notUnderstood: readonly string[];
  /** Beyond a limit, or of another type than their declared column. */
  readonly notKept: readonly string[];
}

const FLAWLESS: RecordFlaws = Object.freeze({ notUnderstood: [], notKept: [] });

// What becomes of a metadata key: it is encoded (0), it goes to the declared column `kind − 1` (above 0), or it is
// left out of rows that carry the flag `−kind`, since a reader puts it back (below 0).
export const KIND_ENCODED = 0;
const KINDS: ReadonlyMap<string, number> = new Map([
  ['model', -FLAG_METADATA_MODEL],
  ['provider', -FLAG_METADATA_PROVIDER],
  ['tokens', -FLAG_METADATA_TOKENS],
]);

// Column types as numbers: comparing their names costs more than storing a value.
export const COLUMN_F64 = 0;
export const COLUMN_I32 = 1;
export const COLUMN_U32 = 2;
export const COLUMN_BOOL = 3;

export class EventWriter {
  readonly ring: RingWriter;
  /** @internal Over this thread's scratch. */
  readonly out: MsgpackWriter;
  /** @internal What becomes of metadata keys, as KIND_ENCODED says. */
  readonly kinds = new Map(KINDS);
  /** @internal COLUMN_* of each declared column. */
  readonly columnKinds: Uint8Array;
  private readonly bindings: BindingTable;
  private readonly strings: Dictionary;
  private readonly malformedKeys: MalformedKeys;
  private readonly prices: PriceBook;
  private readonly clock: Clock;
  private readonly plans = new Map<string, EventPlan>();
  private readonly columnNames: readonly string[];
  /** Distance of each declared column from a row's position, in elements of the view that stores it. */
  private readonly columnDistances: Int32Array;
  private readonly absent: Float64Array;
  private readonly frames: Frame[] = [];
  private depth = 0;
  /** How recorders reach their writer; cut by `close`, so that keeping a recorder keeps no memory. */
  private readonly link: { writer: EventWriter | null } = { writer: this };

  constructor(
    memory: SharedMemory,
    geometry: Geometry,
    prices: PriceTable,
    clock: Clock,
    losses?: LossListener,
  ) {
    this.ring = new RingWriter(memory, geometry, losses);
    this.bindings = new BindingTable(memory.buffer);
    this.strings = new Dictionary(memory.buffer, STRINGS);
    this.malformedKeys = new MalformedKeys(memory.buffer, this.strings);
    this.ring.malformedKeys = this.malformedKeys;
    this.prices = new PriceBook(prices, clock);
    this.clock = clock;
    const { scratchAddress, scratchBytes } = this.ring;
    this.out = new MsgpackWriter(memory.buffer, scratchAddress, scratchAddress + scratchBytes);
    const { columns } = geometry;
    columns.forEach(({ name }, index) => {
      this.kinds.set(name, index + 1);
    });
    this.columnNames = columns.map(({ name }) => name);
    this.columnKinds = Uint8Array.from(columns, ({ type }) => COLUMN_TYPES.indexOf(type));
    this.columnDistances = Int32Array.from(columns, ({ type, offsetBytes }) =>
      isWordColumn(type) ? offsetBytes / 4 : offsetBytes / 8,
    );
    this.absent = Float64Array.from(geometry.columns, ({ type }) => absentCode(type));
  }

  /** @throws ConfigError when the event or a bound value is invalid */
  recorder(event: string, given: Fields = {}): Recorder {
    if (typeof event !== 'string' || event === '')
      throw new ConfigError('event', 'a non-empty string', event);
    if (typeof given !== 'object' || given === null) throw new ConfigError('bound', 'an object', given);
    const bound = given as Readonly<Record<string, unknown>>;
    const { model = null, provider = null, ...rest } = bound;
    for (const [name, value] of [
      ['model', model],
      ['provider', provider],
    ] as const) {
      if (value !== null && typeof value !== 'string')
        throw new ConfigError(`bound.${name}`, 'a string', value);
    }
    const binding = this.bindings.intern(
      event,
      model as string | null,
      provider as string | null,
      jsonOf(rest),
    );
    const { link, ring } = this;
    const capture = (
      measurements: Measurements,
      metadata: Metadata,
      success?: boolean | null,
      timestampUs?: unknown,
      unread?: readonly string[],
    ) => {
      const all = { ...bound, ...metadata };
      if (link.writer === null) ring.refuse();
      else link.writer.capture(event, measurements, all, undefined, timestampUs, success, unread);
    };
    const sink: RecorderSink = {
      recordOdd: (timestampUs, { costUsd, success, ...values }) => {
        const isKnown = success === undefined || success === null || typeof success === 'boolean';
        const measurements = withoutAbsent({ ...values, ...(isKnown ? null : { success }) });
        capture(
          measurements,
          withoutAbsent({ costUsd }),
          isKnown ? (success ?? null) : undefined,
          timestampUs,
        );
      },
      fail: (latencyMs, error) => capture({ latencyMs }, { error: error ?? true }, false),
      stop: (latencyMs, result) => {
        const { measurements, metadata, unread } = additionsOf(result);
        const isTold = Object.hasOwn(metadata, 'success') || toldSuccess(measurements, metadata) !== null;
        capture({ latencyMs, ...measurements }, metadata, isTold ? undefined : true, undefined, unread);
      },
    };
    const RecorderClass = this.clock === systemClock ? Recorder : ClockedRecorder;
    return new RecorderClass(event, binding | this.pricing(binding, model), this.ring, this.clock, sink);
  }

  /** Flags for rows of a binding whose cost, where they have none, is that of their tokens. */
  private pricing(binding: number, model: unknown): number {
    if (binding === 0 || typeof model !== 'string') return 0;
    const isPriced = this.bindings.price(binding, model, this.prices.bandsOf(model));
    return isPriced ? FLAGS_TO_PRICE : UNPRICED_MODEL << UNPRICED_SHIFT;
  }

  /**
   * Stores one event. Never throws.
   * @param timestampUs - the event's own time; undefined for now
   * @param success - what is known of the event's success, whatever it says itself; null for unknown
   * @param unread - keys of what was offered with the event and is no part of one
   */
  capture(
    event: unknown,
    measurements: Fields | undefined,
    metadata: Fields | undefined,
    context: Context | undefined = undefined,
    timestampUs: unknown = undefined,
    success: boolean | null | undefined = undefined,
    unread: readonly string[] | undefined = undefined,
  ): void {
    if (this.link.writer === null) {
      this.ring.refuse();
      return;
    }
    const frame = this.frames[this.depth] ?? this.newFrame();
    const scratchStart = this.out.position;
    const outer = this.depth === 0 ? undefined : this.out.suspend();
    this.depth++;
    try {
      clearMalformed(frame.enriched);
      if (unread !== undefined) for (const key of unread) noteMalformed(frame.enriched, key);
      this.store(
        frame,
        event,
        asObject(frame, 'measurements', measurements),
        asObject(frame, 'metadata', metadata),
        context,
        usableTime(frame, timestampUs),
        success,
      );
    } catch {
      // A getter or proxy threw where it was read first.
      this.out.position = scratchStart;
      this.salvage(frame, event, measurements, metadata, context, usableTime(frame, timestampUs), success);
    } finally {
      this.depth--;
      this.out.position = scratchStart;
      if (outer !== undefined) this.out.resume(outer);
    }
  }

  /** Counts what was offered for an event that is captured already. */
  countUnread(event: string, key: string): void {
    if (this.link.writer === null) return;
    this.ring.countMalformed(event, key);
    this.malformedKeys.count(key);
  }

  /**
   * Publishes, gives the producer's place back and captures nothing from then on.
   * @param as - why events are refused from then on
   */
  close(as?: 'closed' | 'stopped'): void {
    this.link.writer = null;
    this.ring.close(as);
  }

  /**
   * Stores a record of a file as the event that it tells of.
   * @param told - what is known of it besides its metadata
   * @param malformedKeys - what of it was not understood so far
   * @returns what else was found to be malformed; null when the event is refused
   */
  captureRecord(
    timestampUs: number,
    event: string,
    told: Told,
    metadata: Metadata,
    malformedKeys: readonly string[],
  ): RecordFlaws | null {
    const frame = this.outermostFrame();
    const scratchStart = this.out.position;
    const { enriched } = frame;
    clearMalformed(enriched);
    for (const key of malformedKeys) noteMalformed(enriched, key);
    const known = enriched.malformedKeys.length;
    try {
      const plan = this.plans.get(event) ?? this.newPlan(event);
      plan.known ??= newKnownParts();
      enrichRecord(enriched, plan.kind, plan.known, told, metadata, this.prices);
      const understood = enriched.malformedKeys.length;
      if (this.storeEnriched(frame, plan, NOTHING, metadata, timestampUs) !== true) return null;
      if (enriched.malformedKeys.length === known) return FLAWLESS;
      return {
        notUnderstood: enriched.malformedKeys.slice(known, understood),
        notKept: enriched.malformedKeys.slice(understood),
      };
    } finally {
      this.out.position = scratchStart;
    }
  }

  /** @internal The frame of an event that is no program's, and so runs nobody's code while it is stored. */
  outermostFrame(): Frame {
    return this.frames[0] ?? this.newFrame();
  }

  private newFrame(): Frame {
    const frame = {
      enriched: emptyEnriched(),
      declared: Float64Array.from(this.absent),
      hasDeclared: false,
      hasAside: false,
    };
    this.frames.push(frame);
    return frame;
  }

  private store(
    frame: Frame,
    event: unknown,
    measurements: Measurements,
    ownMetadata: Metadata,
    context: Context | undefined,
    timestampUs: number | undefined,
    success: boolean | null | undefined,
  ): void {
    const metadata = context === undefined ? ownMetadata : { ...context, ...ownMetadata };
    const plan =
      typeof event === 'string' ? (this.plans.get(event) ?? this.newPlan(event)) : this.nameless(frame);
    const { known } = plan;
    const notes = frame.enriched.malformedKeys.length;
    frame.enriched.timestampUs = timestampUs ?? Number.NaN;
    this.enrich(frame, plan, measurements, metadata, success);
    if (this.storeEnriched(frame, plan, measurements, metadata, timestampUs, known) !== null) return;
    frame.enriched.malformedKeys.length = notes;
    this.enrich(frame, plan, measurements, metadata, success);
    this.storeEnriched(frame, plan, measurements, metadata, timestampUs);
  }

  private enrich(
    { enriched }: Frame,
    { kind, known }: EventPlan,
    measurements: Measurements,
    metadata: Metadata,
    success: boolean | null | undefined,
  ): void {
    enrich(enriched, kind, known, measurements, metadata, this.prices);
    if (success !== undefined) enriched.success = success;
  }

  /**
   * @param known - what was known of the plan's spellings when the event was enriched, if it was
   * @returns false when the event is refused; null, and nothing is done, for the first event of its name that has a
   *   spelling, as only a look at all of its keys can tell: it is to be enriched by those
   */
  private storeEnriched(
    frame: Frame,
    plan: EventPlan,
    measurements: Measurements,
    metadata: Metadata,
    timestampUs: number | undefined,
    known?: KnownParts | null,
  ): boolean | null {
    const enriched = frame.enriched;
    if (enriched.model !== plan.model || enriched.provider !== plan.provider) this.rebind(plan, enriched);
    const binding = plan.binding;
    let flags = 0;
    if (binding !== 0) {
      // Under another name it stays where it is.
      if (enriched.model !== null && metadata.model === enriched.model) flags |= FLAG_METADATA_MODEL;
      if (enriched.provider !== null && metadata.provider === enriched.provider)
        flags |= FLAG_METADATA_PROVIDER;
    }
    if (enriched.tokensCanonical) flags |= FLAG_METADATA_TOKENS;

    const blobStart = this.out.position;
    if (this.encode(this.out, frame, plan, binding, flags, measurements, metadata)) {
      const blobBytes = this.out.position - blobStart;
      if (known !== undefined && known !== plan.known) return null;
      if (frame.hasAside) flags |= FLAG_CORRECTED;
      return this.row(frame, binding, flags | FLAG_BLOB, blobStart, blobBytes, timestampUs);
    }
    this.out.position = blobStart;
    return withLongWriter((long) => {
      this.encodeLong(long, frame, plan, binding, flags, measurements, metadata);
      if (known !== undefined && known !== plan.known) return null;
      if (frame.hasAside) flags |= FLAG_CORRECTED;
      return this.row(frame, binding, flags | FLAG_BLOB, 0, long.written.length, timestampUs, long.written);
    });
  }

  /** @internal The plan of an event that is known as a whole, with the binding of its model and provider. */
  boundPlan(event: string, enriched: Enriched): EventPlan {
    const plan = this.plans.get(event) ?? this.newPlan(event);
    if (enriched.model !== plan.model || enriched.provider !== plan.provider) this.rebind(plan, enriched);
    return plan;
  }

  /**
   * @internal
   * Stores the columns. Everything of the event has been evaluated: nothing here runs its code.
   * @param elsewhere - the byte-area part where it is not in the memory
   * @returns false when the ring refuses it
   */
  row(
    frame: Frame,
    binding: number,
    flags: number,
    blobStart: number,
    blobBytes: number,
    timestampUs: number | undefined,
    elsewhere: Uint8Array | null = null,
  ): boolean {
    const ring = this.ring;
    const position = ring.reserve(blobBytes);
    if (position < 0) return false;
    const { enriched } = frame;
    const { latencyMs, costUsd, costComputed, prompt, completion, success } = enriched;
    let tag = binding | flags;
    if (success !== null) tag |= success ? FLAG_SUCCEEDED : FLAG_FAILED;
    if (costComputed) tag |= FLAG_COST_COMPUTED;
    else if (enriched.unpriced !== 0) tag |= enriched.unpriced << UNPRICED_SHIFT;
    if (timestampUs !== undefined) {
      ring.f64[position] = timestampUs;
    } else if (this.clock === systemClock) {
      ring.i64[position] = hrtime();
      tag |= FLAG_TIME_NS;
    } else {
      ring.f64[position] = this.clock.nowUs();
    }
    ring.f64[position + LATENCY_DISTANCE] = latencyMs;
    ring.f64[position + COST_DISTANCE] = costUsd;
    const pair = position << 1;
    ring.i32[pair + PROMPT_DISTANCE] = prompt;
    ring.i32[pair + COMPLETION_DISTANCE] = completion;
    const isLarge = elsewhere !== null || ring.hasJoined;
    ring.i32[pair + BLOB_DISTANCE] = isLarge
      ? ring.appendLarge(elsewhere ?? ring.u8.subarray(blobStart, blobStart + blobBytes))
      : ring.appendBlob(blobStart, blobBytes);
    if (frame.hasDeclared) {
      tag |= FLAG_DECLARED;
      this.storeDeclared(frame.declared, position);
    }
    if (enriched.malformed) {
      tag |= FLAG_MALFORMED;
      const event = binding === 0 ? undefined : this.bindings.binding(binding).event;
      this.countMalformed(enriched, event);
      if (enriched.cut) {
        tag |= FLAG_CUT;
        ring.countCut(event);
      }
    }
    if (binding === 0) ring.countOverflowed();
    ring.i32[pair + TAG_DISTANCE] = tag;
    ring.commit();
    if (isLarge) ring.sealLarge();
    return true;
  }

  private countMalformed({ malformedKeys }: Enriched, event: string | undefined): void {
    this.ring.countMalformed(event, malformedKeys[0]);
    for (const key of malformedKeys) this.malformedKeys.count(key);
  }

  private storeDeclared(values: Float64Array, position: number): void {
    const { f64, i32, base } = this.ring;
    const kinds = this.columnKinds;
    for (let i = 0; i < kinds.length; i++) {
      const distance = this.columnDistances[i];
      if (kinds[i] >= COLUMN_BOOL) i32[base + position + distance] = values[i];
      else f64[position + distance] = values[i];
    }
  }

  /**
   * Writes the byte-area part: metadata without what has columns, measurements, and a name that found no id.
   * @returns false when it does not fit
   */
  private encode(
    out: MsgpackWriter,
    frame: Frame,
    plan: EventPlan,
    binding: number,
    flags: number,
    measurements: Measurements,
    metadata: Metadata,
  ): boolean {
    out.lossy = false;
    frame.hasAside = false;
    try {
      this.encodeParts(out, frame, plan, binding, flags, measurements, metadata);
    } catch (error) {
      if (error !== OUT_OF_ROOM) throw error;
      return false;
    }
    return true;
  }

  /** The same of an event that is too large for that; of one that is too large at all, what may be kept. */
  private encodeLong(
    out: MsgpackWriter,
    frame: Frame,
    plan: EventPlan,
    binding: number,
    flags: number,
    measurements: Measurements,
    metadata: Metadata,
  ): void {
    const isWhole = fitted(out, frame.enriched, () => {
      frame.hasAside = false;
      this.encodeParts(out, frame, plan, binding, flags, measurements, metadata);
    });
    if (!isWhole) this.encodeTrimmed(out, frame, plan, binding, flags, measurements, metadata);
  }

  /** @throws OUT_OF_ROOM */
  private encodeParts(
    out: MsgpackWriter,
    frame: Frame,
    plan: EventPlan,
    binding: number,
    flags: number,
    measurements: Measurements,
    metadata: Metadata,
  ): void {
    this.forgetDeclared(frame);
    if (binding === 0) noteName(out, frame, plan);
    this.encodeMetadata(out, frame, plan, flags, metadata);
    this.encodeMeasurements(out, frame, plan, measurements);
    // `plan.binding` may have changed: a getter can capture an event of the same name.
    if (binding === 0) out.text(plan.event);
  }

  /** @internal Values of an event that was refused must not turn up in the next one. */
  forgetDeclared(frame: Frame): void {
    if (!frame.hasDeclared) return;
    frame.declared.set(this.absent);
    frame.hasDeclared = false;
  }

  private encodeMetadata(
    out: MsgpackWriter,
    frame: Frame,
    plan: EventPlan,
    flags: number,
    metadata: Metadata,
  ): void {
    const at = out.beginMap();
    let entries = 0;
    let index = 0;
    for (const key in metadata) {
      const value = metadata[key];
      const kind = plan.keys[index] === key ? plan.kinds[index] : this.kindOf(plan, index, key);
      const written = plan.writtenKeys[index];
      index++;
      if (kind !== KIND_ENCODED) {
        if (kind > 0 ? this.declare(frame, kind - 1, value) : (flags & -kind) !== 0) continue;
      }
      if (entries === MAP_ENTRIES_MAX) {
        noteMalformed(frame.enriched, 'metadata');
        break;
      }
      out.knownEntry(key, written, value);
      if (out.lossy) lose(out, frame, 'metadata', key);
      entries++;
    }
    out.endMap(at, entries === 0 ? encodeMapObject(out, frame, 'metadata', metadata) : entries);
  }

  /** And behind them, now that all of the event has been looked at, what is kept beside it. */
  private encodeMeasurements(
    out: MsgpackWriter,
    frame: Frame,
    plan: EventPlan,
    measurements: Measurements,
  ): void {
    const { enriched } = frame;
    const at = out.beginMap();
    let entries = 0;
    for (const key in measurements) {
      if (entries === MAP_ENTRIES_MAX) {
        noteMalformed(enriched, 'measurements');
        break;
      }
      if (plan.measured[entries] !== key) learnMeasured(plan, entries, key);
      const written = plan.writtenMeasured[entries];
      out.knownEntry(key, written, measurements[key]);
      if (out.lossy) lose(out, frame, 'measurements', key);
      entries++;
    }
    if (entries === 0) entries = encodeMapObject(out, frame, 'measurements', measurements);
    const hasAside = enriched.malformedKeys.length > 0 || enriched.totalTokens >= 0;
    if (hasAside && entries < MAP_ENTRIES_MAX) {
      out.aside(asideOf(enriched));
      frame.hasAside = true;
      entries++;
    }
    out.endMap(at, entries);
  }

  /** @internal Puts a value into its column. @returns false when it does not fit there, and is to be encoded */
  declare(frame: Frame, column: number, value: unknown): boolean {
    let code: number;
    switch (this.columnKinds[column]) {
      case COLUMN_F64:
        if (typeof value !== 'number' || value - value !== 0) return this.misfit(frame, column, value);
        code = value;
        break;
      case COLUMN_I32:
        if (typeof value !== 'number' || (value | 0) !== value) return this.misfit(frame, column, value);
        code = value;
        break;
      case COLUMN_U32:
        if (typeof value !== 'number' || value >>> 0 !== value) return this.misfit(frame, column, value);
        code = value;
        break;
      case COLUMN_BOOL:
        if (typeof value !== 'boolean') return this.misfit(frame, column, value);
        code = value ? TRUE : FALSE;
        break;
      default:
        if (typeof value !== 'string') return this.misfit(frame, column, value);
        code = this.strings.intern(value);
        // A text without a place in the dictionary is counted, and loses nothing by being encoded.
        if (code === 0) {
          this.ring.countOverflowed();
          return false;
        }
    }
    frame.declared[column] = code;
    frame.hasDeclared = true;
    return true;
  }

  private misfit(frame: Frame, column: number, value: unknown): false {
    if (value !== null && value !== undefined)
      noteMalformed(frame.enriched, `metadata.${this.columnNames[column]}`);
    return false;
  }

  private kindOf(plan: EventPlan, index: number, key: string): number {
    const kind = this.kinds.get(key) ?? KIND_ENCODED;
    plan.keys[index] = key;
    plan.kinds[index] = kind;
    plan.writtenKeys[index] = writtenKey(key);
    if (isSpelled('metadata', key)) plan.known ??= newKnownParts();
    return kind;
  }

  /** @internal The last resort for an event that stays too large: scalars, and the beginnings of texts. */
  encodeTrimmed(
    out: MsgpackWriter,
    frame: Frame,
    plan: EventPlan,
    binding: number,
    flags: number,
    measurements: Measurements,
    metadata: Metadata,
  ): void {
    const { enriched } = frame;
    const rest = [
      trimmed(measurements, (key) => noteCut(enriched, `measurements.${key}`)),
      trimmed(metadata, (key) => noteCut(enriched, `metadata.${key}`)),
    ] as const;
    out.restart(TRIMMED_BYTES);
    if (this.encode(out, frame, plan, binding, flags, ...rest)) return;
    noteCut(enriched, 'metadata');
    noteCut(enriched, 'measurements');
    out.restart(TRIMMED_BYTES);
    this.encode(out, frame, plan, binding, flags, NOTHING, NOTHING);
  }

  /** Stores the event from copies of what can be read of it. */
  private salvage(
    frame: Frame,
    event: unknown,
    measurements: unknown,
    metadata: unknown,
    context: Context | undefined,
    timestampUs: number | undefined,
    success: boolean | null | undefined,
  ): void {
    frame.enriched.malformed = true;
    const unread = (part: Part) => (key: string) => noteMalformed(frame.enriched, `${part}.${key}`);
    try {
      this.store(
        frame,
        event,
        readable(measurements, unread('measurements')),
        { ...readable(context, unread('metadata')), ...readable(metadata, unread('metadata')) },
        undefined,
        timestampUs,
        success,
      );
    } catch {
      // Not even its copy can be stored; the event is counted, and so not lost silently.
      this.countMalformed(frame.enriched, typeof event === 'string' ? event : undefined);
    }
  }

  private newPlan(event: string): EventPlan {
    const plan: EventPlan = {
      event,
      kind: kindOfEvent(event),
      model: null,
      provider: null,
      binding: this.bindings.intern(event, null, null),
      models: new Map(),
      keys: [],
      kinds: [],
      writtenKeys: [],
      measured: [],
      writtenMeasured: [],
      known: null,
    };
    // Names made up at run time must not fill the heap; a known name is only quicker.
    if (this.plans.size < PLANS_MAX) this.plans.set(event, plan);
    return plan;
  }

  private nameless(frame: Frame): EventPlan {
    noteMalformed(frame.enriched, 'event');
    return this.plans.get(NAMELESS) ?? this.newPlan(NAMELESS);
  }

  private rebind(plan: EventPlan, { model, provider }: Enriched): void {
    const known = plan.models.get(model) ?? newModel(plan, model);
    if (known.binding === UNBOUND || known.provider !== provider) {
      const { byProvider } = known;
      known.binding = byProvider.get(provider) ?? this.bindings.intern(plan.event, model, provider);
      known.provider = provider;
      if (byProvider.size < MODELS_MAX) byProvider.set(provider, known.binding);
    }
    plan.model = model;
    plan.provider = provider;
    plan.binding = known.binding;
  }
}

function newModel({ models }: EventPlan, model: string | null): ModelBindings {
  const known = { provider: null, binding: UNBOUND, byProvider: new Map<string | null, number>() };
  // A model name may be anything; what is remembered of them must not fill the heap.
  if (models.size < MODELS_MAX) models.set(model, known);
  return known;
}

/** But for what is undefined. */
function withoutAbsent(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function asObject(frame: Frame, part: Part, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  if (value !== undefined && value !== null) noteMalformed(frame.enriched, part);
  return NOTHING;
}

/** The event's own time, or undefined (now) when there is none or no calendar has it. */
function usableTime(frame: Frame, timestampUs: unknown): number | undefined {
  if (timestampUs === undefined) return undefined;
  if (typeof timestampUs === 'number' && Math.abs(timestampUs) <= TIME_US_MAX) return timestampUs;
  noteMalformed(frame.enriched, 'timestamp');
  return undefined;
}

/** Saves what a Map holds that stands where an object should; nothing of it is understood. @returns entries */
function encodeMapObject(out: MsgpackWriter, frame: Frame, part: Part, source: object): number {
  if (!(source instanceof Map)) return 0;
  noteMalformed(frame.enriched, part);
  const entries = out.entriesOf(source);
  out.lossy = false;
  return entries;
}

function learnMeasured(plan: EventPlan, index: number, key: string): void {
  plan.measured[index] = key;
  plan.writtenMeasured[index] = writtenKey(key);
  if (isSpelled('measurements', key)) plan.known ??= newKnownParts();
}

/** Bound values as JSON keeps them. */
function jsonOf(values: Readonly<Record<string, unknown>>): Record<string, Json> {
  try {
    return JSON.parse(JSON.stringify(values)) as Record<string, Json>;
  } catch {
    throw new ConfigError('bound', 'values that JSON can hold', values);
  }
}
