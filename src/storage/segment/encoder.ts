/**
 * SegmentEncoder: batches of the ring to messages of a segment.
 *
 * Messages are put together in one staging area, which grows to what is staged between two calls of `take` and is
 * used again. A batch's columns may be views over memory that others write: whatever they hold, encoding ends well,
 * and the caller, who finds afterwards that the rows were overwritten, takes the message back with `rewind`.
 *
 * Fields are not #private: the hot path reads them for every buffer.
 */
import { alignUp, batchTemplate, END_OF_STREAM, type MessageTemplate } from '../../formats/arrow/message.js';
import { schemaMessage } from '../../formats/arrow/schema.js';
import type { Batch } from '../../ring/batch.js';
import type { Binding } from '../../ring/bindings.js';
import { isWordColumn } from '../../row/declared.js';
import type { ColumnType } from '../../schema/columns.js';
import * as columns from './columns.js';
import { DictionaryValues, UniqueValues } from './dictionary.js';
import { type BatchEntry, IDENTITY_KEY, type RingLosses, type SegmentIdentity } from './format.js';
import {
  BINDING,
  BINDING_DICTIONARY,
  bitsPerRow,
  bufferCount,
  COMPLETION_TOKENS,
  COST,
  DECLARED,
  EVENT,
  EVENT_DICTIONARY,
  FLAGS,
  hasStrings,
  LATENCY,
  MODEL,
  MODEL_DICTIONARY,
  PAYLOAD,
  PAYLOAD_BYTES_BUFFER,
  PROMPT_TOKENS,
  PROVIDER,
  PROVIDER_DICTIONARY,
  STRING_DICTIONARY,
  SUCCESS,
  segmentFields,
  TIMESTAMP,
  validityBuffer,
  valuesBuffer,
} from './schema.js';
import { BATCH_SEAL, DICTIONARY_SEAL, SCHEMA_SEAL, SEAL_KEY, sealMessage, setSealed } from './seal.js';

const STAGING_BYTES_MIN = 1 << 20;
const STAGING_BYTES_KEPT = 8 << 20;

/** A dictionary message that `rewind` might take back: where it begins, and `values.written` before it. */
interface StagedDictionary {
  readonly position: number;
  readonly values: DictionaryValues;
  readonly written: number;
}

export class SegmentEncoder {
  readonly identity: SegmentIdentity;
  private readonly types: readonly ColumnType[];
  private readonly events = new UniqueValues(EVENT_DICTIONARY);
  private readonly models = new UniqueValues(MODEL_DICTIONARY);
  private readonly providers = new UniqueValues(PROVIDER_DICTIONARY);
  private readonly bindingTexts = new DictionaryValues(BINDING_DICTIONARY);
  private readonly bindingDictionaries: readonly DictionaryValues[] = [
    this.events,
    this.models,
    this.providers,
    this.bindingTexts,
  ];
  /** One, or none when no column is of texts. */
  private readonly stringDictionaries: readonly DictionaryValues[];
  private readonly dictionaries: readonly DictionaryValues[];
  /** In the order they were staged. */
  private stagedDictionaries: StagedDictionary[] = [];

  private readonly template: MessageTemplate;
  private readonly bits: Uint8Array;
  /** Bytes of each buffer of the batch at hand, and where they begin in the staging area. */
  private readonly lengths: Float64Array;
  private readonly places: Float64Array;
  private readonly range: columns.TimeRange = { minUs: 0, maxUs: 0 };
  private readonly bindingIndices: columns.BindingIndices = {
    events: this.events.byBinding,
    models: this.models.byBinding,
    providers: this.providers.byBinding,
  };
  private readonly tagPlaces: columns.TagPlaces = {
    eventsAt: 0,
    modelsAt: 0,
    modelBitsAt: 0,
    providersAt: 0,
    providerBitsAt: 0,
    decidedBitsAt: 0,
    successBitsAt: 0,
    bindingsAt: 0,
    flagsAt: 0,
    payloadBitsAt: 0,
  };
  private readonly tagCounts: columns.TagCounts = { models: 0, providers: 0, decided: 0, payloads: 0 };

  /** Bytes of the segment that were handed out. */
  private taken = 0;
  /** Bytes in the staging area. */
  private staged = 0;
  private bytes!: Buffer;
  private words!: Int32Array;
  private shorts!: Uint16Array;
  private doubles!: Float64Array;

  constructor(identity: SegmentIdentity) {
    this.identity = identity;
    this.types = identity.columns.map(({ type }) => type);
    this.stringDictionaries = hasStrings(identity.columns) ? [new DictionaryValues(STRING_DICTIONARY)] : [];
    this.dictionaries = [...this.bindingDictionaries, ...this.stringDictionaries];
    const buffers = bufferCount(identity.columns);
    this.template = batchTemplate(DECLARED + this.types.length, buffers, { [SEAL_KEY]: BATCH_SEAL.text });
    this.bits = bitsPerRow(identity.columns);
    this.lengths = new Float64Array(buffers);
    this.places = new Float64Array(buffers);
    this.allocate(STAGING_BYTES_MIN);
  }

  /** Bytes that `take` would hand out. */
  get stagedBytes(): number {
    return this.staged;
  }

  /** Bytes of the segment so far, staged ones included. */
  get position(): number {
    return this.taken + this.staged;
  }

  /** Stages the message that a segment begins with. */
  begin(): void {
    const message = schemaMessage(
      segmentFields(this.identity.columns),
      { [IDENTITY_KEY]: JSON.stringify(this.identity) },
      { [SEAL_KEY]: SCHEMA_SEAL.text },
    );
    const start = this.reserve(message.length);
    this.bytes.set(message, start);
    this.seal(start, message.length, message.length);
  }

  /**
   * Stages what is new of the bindings below `count`. All of them must be complete, or never become it: what a
   * segment says of a binding stays.
   */
  bindings(count: number, binding: (id: number) => Binding): void {
    for (let id = this.bindingTexts.known; id < count; id++) {
      const { event, model, provider, bound } = binding(id);
      this.events.learn(id, event);
      this.models.learn(id, model);
      this.providers.learn(id, provider);
      this.bindingTexts.push(JSON.stringify([event, model, provider, bound]));
    }
    this.flush(this.bindingDictionaries);
  }

  /** Stages what is new of the texts below `count`, if the segment has any column of texts. See `bindings`. */
  strings(count: number, text: (id: number) => string): void {
    for (const strings of this.stringDictionaries) {
      for (let id = strings.known; id < count; id++) strings.push(text(id));
    }
    this.flush(this.stringDictionaries);
  }

  /**
   * Stages the rows of `batch`, whose bindings and texts must have been given before.
   * @returns where the message is, and what it says of itself
   */
  batch(batch: Batch, chunk: number, firstRow: number, losses: RingLosses): BatchEntry {
    this.flush(this.dictionaries);
    const { rows, producer, tags, blob } = batch;
    const payloadFrom = columns.payloadStart(tags, batch.blobOffsets, rows, blob.length);
    const bodyBytes = this.measure(rows, blob.length - payloadFrom);
    const headBytes = this.template.bytes.length;
    const bytes = headBytes + bodyBytes;
    const offset = this.position;
    const start = this.reserve(bytes);
    this.place(start, rows, bodyBytes);
    this.writeColumns(start, batch, payloadFrom);
    const { minUs, maxUs } = this.range;

    const end = start + headBytes;
    const target = this.bytes;
    setSealed(target, end, BATCH_SEAL, 'seq', chunk);
    setSealed(target, end, BATCH_SEAL, 'row', firstRow);
    setSealed(target, end, BATCH_SEAL, 'rows', rows);
    setSealed(target, end, BATCH_SEAL, 'producer', producer);
    setSealed(target, end, BATCH_SEAL, 'tmin', minUs);
    setSealed(target, end, BATCH_SEAL, 'tmax', maxUs);
    setSealed(target, end, BATCH_SEAL, 'overwritten', losses.overwritten);
    setSealed(target, end, BATCH_SEAL, 'refused', losses.refused);
    setSealed(target, end, BATCH_SEAL, 'malformed', losses.malformed);
    setSealed(target, end, BATCH_SEAL, 'overflowed', losses.overflowed);
    setSealed(target, end, BATCH_SEAL, 'cut', losses.cut);
    this.seal(start, headBytes, bytes);
    return {
      chunk,
      firstRow,
      rows,
      producer,
      timeMinUs: minUs,
      timeMaxUs: maxUs,
      losses: { ...losses },
      offset,
      bytes,
    };
  }

  /** Stages the marker that nothing follows. */
  end(): void {
    const start = this.reserve(END_OF_STREAM.length);
    this.bytes.set(END_OF_STREAM, start);
  }

  /** Hands out what is staged: a view that holds until the next message is staged. */
  take(): Uint8Array {
    const staged = this.bytes.subarray(0, this.staged);
    this.taken += this.staged;
    this.staged = 0;
    this.stagedDictionaries = [];
    for (const values of this.dictionaries) values.forgetWritten();
    return staged;
  }

  /**
   * Forgets the messages from `position` on, none of which may have been handed out. Dictionary values among them
   * are staged again before the next batch.
   * @param position - what `position` was before the first of them
   */
  rewind(position: number): void {
    if (position < this.taken || position > this.position) {
      throw new RangeError(`cannot rewind to ${position}: ${this.taken} to ${this.position} are staged`);
    }
    this.staged = position - this.taken;
    const isForgotten = (dictionary: StagedDictionary) => dictionary.position >= position;
    for (const { values, written } of this.stagedDictionaries.filter(isForgotten).reverse()) {
      values.written = written;
    }
    this.stagedDictionaries = this.stagedDictionaries.filter((dictionary) => !isForgotten(dictionary));
  }

  /** Stages a message for each of the dictionaries that has new values, or no message yet. */
  private flush(dictionaries: readonly DictionaryValues[]): void {
    for (const values of dictionaries) if (values.written < values.known) this.writeDictionary(values);
  }

  private writeDictionary(values: DictionaryValues): void {
    const { template, written } = values;
    const { from, texts } = values.next;
    const sizes = texts.map((text) => Buffer.byteLength(text));
    const textBytes = sizes.reduce((sum, size) => sum + size, 0);
    const offsetBytes = 4 * (texts.length + 1);
    const headBytes = template.bytes.length;
    const bodyBytes = alignUp(offsetBytes) + alignUp(textBytes);
    this.stagedDictionaries.push({ position: this.position, values, written });
    const start = this.reserve(headBytes + bodyBytes);

    this.bytes.set(template.bytes, start);
    this.setWord(start + template.bodyLengthAt, bodyBytes);
    this.setWord(start + template.rowsAt, texts.length);
    this.setWord(start + template.nodesAt, texts.length);
    this.bytes[start + template.isDeltaAt!] = from === 0 ? 0 : 1;
    const offsets = start + headBytes;
    const data = offsets + alignUp(offsetBytes);
    this.setBuffer(start, template, 1, 0, offsetBytes);
    this.setBuffer(start, template, 2, data - offsets, textBytes);
    this.bytes.fill(0, offsets + offsetBytes, data);
    let at = data;
    texts.forEach((text, index) => {
      this.setWord(offsets + 4 * index, at - data);
      this.bytes.write(text, at);
      at += sizes[index];
    });
    this.setWord(offsets + 4 * texts.length, textBytes);
    this.bytes.fill(0, at, data + alignUp(textBytes));

    const end = start + headBytes;
    setSealed(this.bytes, end, DICTIONARY_SEAL, 'dict', values.dictionary);
    setSealed(this.bytes, end, DICTIONARY_SEAL, 'from', from);
    setSealed(this.bytes, end, DICTIONARY_SEAL, 'count', texts.length);
    this.seal(start, headBytes, headBytes + bodyBytes);
    values.written = values.known;
  }

  /** Works out how long each buffer is. @returns bytes of the body */
  private measure(rows: number, payloadBytes: number): number {
    const { bits, lengths } = this;
    for (let buffer = 0; buffer < bits.length; buffer++)
      lengths[buffer] = Math.ceil((rows * bits[buffer]) / 8);
    lengths[valuesBuffer(PAYLOAD)] += 4;
    lengths[PAYLOAD_BYTES_BUFFER] = payloadBytes;
    let bodyBytes = 0;
    for (let buffer = 0; buffer < bits.length; buffer++) bodyBytes += alignUp(lengths[buffer]);
    return bodyBytes;
  }

  /** Writes the message's head, all but its nulls and its seal, and zeros where buffers are padded. */
  private place(start: number, rows: number, bodyBytes: number): void {
    const { template, lengths, places, words } = this;
    this.bytes.set(template.bytes, start);
    this.setWord(start + template.bodyLengthAt, bodyBytes);
    this.setWord(start + template.rowsAt, rows);
    for (let column = 0; column < DECLARED + this.types.length; column++) {
      this.setWord(start + template.nodesAt + 16 * column, rows);
    }
    const body = start + template.bytes.length;
    let at = body;
    for (let buffer = 0; buffer < lengths.length; buffer++) {
      this.setBuffer(start, template, buffer, at - body, lengths[buffer]);
      places[buffer] = at;
      at += alignUp(lengths[buffer]);
      if (lengths[buffer] > 0) {
        words[(at >> 2) - 2] = 0;
        words[(at >> 2) - 1] = 0;
      }
    }
  }

  private writeColumns(start: number, batch: Batch, payloadFrom: number): void {
    const { rows, tags, latencyMs, costUsd, promptTokens, completionTokens, blob, blobOffsets } = batch;
    const { words, doubles, places } = this;
    const word = (buffer: number) => places[buffer] >> 2;
    const bits = (column: number) => word(validityBuffer(column));
    const values = (column: number) => word(valuesBuffer(column));
    const setNulls = (column: number, valid: number) =>
      this.setWord(start + this.template.nodesAt + 16 * column + 8, rows - valid);

    columns.writeTimes(batch.timeUs, rows, words, values(TIMESTAMP), this.range);
    doubles.set(firstOf(latencyMs, rows), values(LATENCY) >> 1);
    setNulls(LATENCY, columns.writeValueBits(doubles, words, values(LATENCY) >> 1, rows, bits(LATENCY)));
    doubles.set(firstOf(costUsd, rows), values(COST) >> 1);
    setNulls(COST, columns.writeValueBits(doubles, words, values(COST) >> 1, rows, bits(COST)));
    for (const [column, tokens] of [
      [PROMPT_TOKENS, promptTokens],
      [COMPLETION_TOKENS, completionTokens],
    ] as const) {
      words.set(firstOf(tokens, rows), values(column));
      setNulls(column, columns.writeTokenBits(words, values(column), rows, bits(column)));
    }

    const { tagPlaces, tagCounts } = this;
    tagPlaces.eventsAt = values(EVENT);
    tagPlaces.modelsAt = values(MODEL);
    tagPlaces.modelBitsAt = bits(MODEL);
    tagPlaces.providersAt = values(PROVIDER);
    tagPlaces.providerBitsAt = bits(PROVIDER);
    tagPlaces.decidedBitsAt = bits(SUCCESS);
    tagPlaces.successBitsAt = values(SUCCESS);
    tagPlaces.bindingsAt = values(BINDING);
    tagPlaces.flagsAt = values(FLAGS) << 1;
    tagPlaces.payloadBitsAt = bits(PAYLOAD);
    columns.writeTags(tags, rows, this.bindingIndices, words, this.shorts, tagPlaces, tagCounts);
    setNulls(MODEL, tagCounts.models);
    setNulls(PROVIDER, tagCounts.providers);
    setNulls(SUCCESS, tagCounts.decided);
    setNulls(PAYLOAD, tagCounts.payloads);
    const payloadBytes = blob.length - payloadFrom;
    columns.writePayloadOffsets(tags, blobOffsets, payloadFrom, payloadBytes, rows, words, values(PAYLOAD));
    this.bytes.set(blob.subarray(payloadFrom), places[PAYLOAD_BYTES_BUFFER]);

    for (let index = 0; index < this.types.length; index++) {
      const column = DECLARED + index;
      setNulls(column, this.writeDeclared(batch, index, values(column), bits(column)));
    }
  }

  /** @returns rows that have a value */
  private writeDeclared({ rows, tags, declared }: Batch, index: number, at: number, bitsAt: number): number {
    const { words, doubles } = this;
    const type = this.types[index];
    if (isWordColumn(type)) {
      const codes = declared[index] as Int32Array;
      if (type === 'dict') return columns.writeDeclaredIds(codes, tags, rows, words, at, bitsAt);
      return columns.writeDeclaredBools(codes, tags, rows, words, at, bitsAt);
    }
    const values = declared[index] as Float64Array;
    if (type !== 'f64') return columns.writeDeclaredIntegers(values, tags, rows, words, at, bitsAt);
    return columns.writeDeclaredDoubles(values, tags, rows, doubles, at >> 1, words, bitsAt);
  }

  private setBuffer(
    start: number,
    template: MessageTemplate,
    buffer: number,
    offset: number,
    length: number,
  ) {
    const at = start + template.buffersAt + 16 * buffer;
    this.setWord(at, offset);
    this.setWord(at + 8, length);
  }

  /** Sets the low half of an int64 whose high half is 0: no size in a message reaches 2 GiB. */
  private setWord(at: number, value: number): void {
    this.words[at >> 2] = value;
  }

  private seal(start: number, headBytes: number, bytes: number): void {
    sealMessage(this.bytes, start, start + headBytes, start + bytes);
  }

  /**
   * Makes room in the staging area, which may become another buffer. What is in the room is left over from before.
   * @returns where the room begins
   */
  private reserve(bytes: number): number {
    const start = this.staged;
    const end = start + bytes;
    // What one batch of very large rows has needed is not kept for those that follow.
    if (start === 0 && end <= STAGING_BYTES_MIN && this.bytes.length > STAGING_BYTES_KEPT) {
      this.allocate(STAGING_BYTES_MIN);
    }
    if (end > this.bytes.length) {
      const staged = this.bytes.subarray(0, start);
      this.allocate(Math.max(2 * this.bytes.length, end));
      this.bytes.set(staged);
    }
    this.staged = end;
    return start;
  }

  private allocate(bytes: number): void {
    const buffer = new ArrayBuffer(alignUp(bytes));
    this.bytes = Buffer.from(buffer);
    this.words = new Int32Array(buffer);
    this.shorts = new Uint16Array(buffer);
    this.doubles = new Float64Array(buffer);
  }
}

function firstOf<T extends Float64Array | Int32Array>(values: T, rows: number): T {
  return (values.length === rows ? values : values.subarray(0, rows)) as T;
}
