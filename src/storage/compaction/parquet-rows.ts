/** Batches to the values of Parquet columns, and back to the same batches, bit for bit. */

import {
  CHUNK_ROWS,
  FLAG_BLOB,
  FLAG_DECLARED,
  FLAG_FAILED,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
} from '../../../assembly/layout.js';
import { type Batch, type DeclaredValues, isValue } from '../../ring/batch.js';
import { declaredValue, FALSE, isAbsent, isWordColumn, TRUE } from '../../row/declared.js';
import type { Json } from '../../schema/event.js';
import type { BatchPlace, SegmentColumns } from '../segment/format.js';
import { declaredName, RAW } from './parquet-schema.js';

/** Values of a column, one a row. */
export type ColumnValues =
  | Float64Array
  | Int32Array
  | readonly (number | string | boolean | Uint8Array | null)[];

/** Values of columns by name. */
export type RowGroupValues = ReadonlyMap<string, ArrayLike<unknown>>;

/** The bits of the NaN that stands for an absent latency or cost, as 32-bit words. */
const [NAN_LOW, NAN_HIGH] = [0, 0x7ff80000];

/** The texts that rows refer to, by id, and the ids that texts are given when rows are read back. */
export class SegmentTexts {
  readonly bindings: readonly string[];
  readonly strings: readonly string[];
  readonly events: string[] = [];
  readonly models: (string | null)[] = [];
  readonly providers: (string | null)[] = [];
  /** Of ids with the same text, the first. */
  readonly bindingIds = new Map<string, number>();
  /** The same; id 0 is no text but its absence. */
  readonly stringIds = new Map<string, number>();

  constructor(bindings: readonly string[], strings: readonly string[]) {
    this.bindings = bindings;
    this.strings = strings;
    bindings.forEach((text, id) => {
      const [event, model, provider] = JSON.parse(text) as [string, string | null, string | null, Json];
      this.events.push(event);
      this.models.push(model);
      this.providers.push(provider);
      if (!this.bindingIds.has(text)) this.bindingIds.set(text, id);
    });
    for (let id = 1; id < strings.length; id++) {
      if (!this.stringIds.has(strings[id])) this.stringIds.set(strings[id], id);
    }
  }
}

// ── Writing ────────────────────────────────────────────────────────────────────────────────────────

/**
 * The values of all columns, in the order of the schema.
 * @throws RangeError when rows refer to a text that there is none of
 */
export function valuesOf(
  batches: readonly Batch[],
  columns: SegmentColumns,
  texts: SegmentTexts,
): ColumnValues[] {
  const byBinding = <T>(of: readonly T[]) =>
    each(batches, ({ tags }, row) => known(of[tags[row] & TAG_BINDING_MASK]));
  return [
    Float64Array.from(each(batches, ({ timeUs }, row) => Math.floor(timeUs[row]))),
    byBinding(texts.events),
    byBinding(texts.models),
    byBinding(texts.providers),
    doubles(each(batches, ({ latencyMs }, row) => (isValue(latencyMs[row]) ? latencyMs[row] : null))),
    doubles(each(batches, ({ costUsd }, row) => (isValue(costUsd[row]) ? costUsd[row] : null))),
    each(batches, ({ promptTokens }, row) => (promptTokens[row] === -1 ? null : promptTokens[row])),
    each(batches, ({ completionTokens }, row) =>
      completionTokens[row] === -1 ? null : completionTokens[row],
    ),
    each(batches, ({ tags }, row) =>
      (tags[row] & (FLAG_SUCCEEDED | FLAG_FAILED)) === 0 ? null : (tags[row] & FLAG_SUCCEEDED) !== 0,
    ),
    byBinding(texts.bindings),
    Int32Array.from(each(batches, ({ tags }, row) => tags[row] >>> 16)),
    batches.flatMap(payloads),
    ...columns.map((_, column) => declaredValues(batches, columns, column, texts)),
    rawValues(batches, columns, texts),
  ];
}

function each<T>(batches: readonly Batch[], value: (batch: Batch, row: number) => T): T[] {
  const values: T[] = [];
  for (const batch of batches) for (let row = 0; row < batch.rows; row++) values.push(value(batch, row));
  return values;
}

/** Typed where there are no nulls, which is written many times faster. */
function doubles(values: (number | null)[]): ColumnValues {
  return values.includes(null) ? values : Float64Array.from(values as number[]);
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new RangeError('a row refers to a text that the dictionaries do not have');
  return value;
}

/** Each row's part of the byte area; it ends where the next one begins. */
function payloads({ rows, tags, blobOffsets, blob }: Batch): (Uint8Array | null)[] {
  const parts = new Array<Uint8Array | null>(rows).fill(null);
  let end = blob.length;
  for (let row = rows - 1; row >= 0; row--) {
    if ((tags[row] & FLAG_BLOB) === 0) continue;
    parts[row] = blob.subarray(blobOffsets[row], end);
    end = blobOffsets[row];
  }
  return parts;
}

function declaredValues(
  batches: readonly Batch[],
  columns: SegmentColumns,
  column: number,
  { strings }: SegmentTexts,
): ColumnValues {
  const { type } = columns[column];
  const plain = (code: number): number | string | boolean | null => {
    return isAbsent(type, code) ? null : declaredValue(type, code, (id) => known(strings[id]));
  };
  const values = each(batches, ({ tags, declared }, row) =>
    (tags[row] & FLAG_DECLARED) === 0 ? null : plain(declared[column][row]),
  );
  return type === 'f64' ? doubles(values as (number | null)[]) : values;
}

/** Latency and cost as doubles, then binding and the ids of all columns of texts as words; little-endian. */
function rawValues(
  batches: readonly Batch[],
  columns: SegmentColumns,
  { bindings, strings, bindingIds, stringIds }: SegmentTexts,
): ColumnValues {
  const textColumns = textColumnsOf(columns);
  const isPlain = (values: Float64Array, words: Int32Array, row: number) =>
    isValue(values[row]) || (words[2 * row] === NAN_LOW && words[2 * row + 1] === NAN_HIGH);
  return batches.flatMap((batch) => {
    const { tags, latencyMs, costUsd, declared } = batch;
    const latencyWords = wordsOf(latencyMs);
    const costWords = wordsOf(costUsd);
    const hasTextId = (row: number, column: number) => {
      const id = declared[column][row];
      return (tags[row] & FLAG_DECLARED) === 0 || id === 0 || stringIds.get(strings[id]) === id;
    };
    return Array.from({ length: batch.rows }, (_, row) => {
      const binding = tags[row] & TAG_BINDING_MASK;
      const isTold =
        isPlain(latencyMs, latencyWords, row) &&
        isPlain(costUsd, costWords, row) &&
        bindingIds.get(bindings[binding]) === binding &&
        textColumns.every((column) => hasTextId(row, column));
      if (isTold) return null;
      const isDeclared = (tags[row] & FLAG_DECLARED) !== 0;
      const ids = textColumns.map((column) => (isDeclared ? declared[column][row] : 0));
      const raw = Int32Array.of(
        latencyWords[2 * row],
        latencyWords[2 * row + 1],
        costWords[2 * row],
        costWords[2 * row + 1],
        binding,
        ...ids,
      );
      return new Uint8Array(raw.buffer);
    });
  });
}

function textColumnsOf(columns: SegmentColumns): number[] {
  return columns.flatMap(({ type }, column) => (type === 'dict' ? [column] : []));
}

function wordsOf(values: Float64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
}

// ── Reading ────────────────────────────────────────────────────────────────────────────────────────

/** Columns from which batches are made; the others follow from these. */
export function columnsNeeded(columns: SegmentColumns): string[] {
  return [
    'timestamp',
    'latency_ms',
    'cost_usd',
    'prompt_tokens',
    'completion_tokens',
    'binding',
    'flags',
    'payload',
    ...columns.map(({ name }) => declaredName(name)),
    RAW,
  ];
}

/**
 * The batches that a row group's rows belong to, which are views over columns of the whole group.
 * @param values - of the columns needed
 * @throws RangeError when the values are not those of these batches
 */
export function batchesOf(
  values: RowGroupValues,
  places: readonly BatchPlace[],
  columns: SegmentColumns,
  texts: SegmentTexts,
): Batch[] {
  const rows = places.reduce((sum, place) => sum + place.rows, 0);
  const column = <T>(name: string): ArrayLike<T> => {
    const found = values.get(name);
    if (found?.length !== rows) throw new RangeError(`column ${name} has not as many rows as its row group`);
    return found as ArrayLike<T>;
  };
  const declared = columns.map(({ name, type }) => codes(type, column(declaredName(name)), rows, texts));
  const group: Omit<Batch, 'blob' | 'firstSequence' | 'producer'> = {
    rows,
    timeUs: Float64Array.from(column<number>('timestamp')),
    latencyMs: orNaN(column<number | null>('latency_ms'), rows),
    costUsd: orNaN(column<number | null>('cost_usd'), rows),
    promptTokens: orMinusOne(column<number | null>('prompt_tokens'), rows),
    completionTokens: orMinusOne(column<number | null>('completion_tokens'), rows),
    tags: tagsOf(column<string>('binding'), column<number>('flags'), rows, texts),
    blobOffsets: new Uint32Array(rows),
    declared,
  };
  restore(group, column<Uint8Array | null>(RAW), textColumnsOf(columns));
  const parts = column<Uint8Array | null>('payload');
  let from = 0;
  return places.map((place) => {
    const end = from + place.rows;
    const batch: Batch = {
      firstSequence: place.chunk * CHUNK_ROWS + place.firstRow,
      producer: place.producer,
      rows: place.rows,
      timeUs: group.timeUs.subarray(from, end),
      latencyMs: group.latencyMs.subarray(from, end),
      costUsd: group.costUsd.subarray(from, end),
      promptTokens: group.promptTokens.subarray(from, end),
      completionTokens: group.completionTokens.subarray(from, end),
      tags: group.tags.subarray(from, end),
      blobOffsets: group.blobOffsets.subarray(from, end),
      blob: joined(parts, from, end, group.blobOffsets),
      declared: declared.map((column) => column.subarray(from, end)),
    };
    from = end;
    return batch;
  });
}

function orNaN(values: ArrayLike<number | null>, rows: number): Float64Array {
  const doubles = new Float64Array(rows);
  const words = wordsOf(doubles);
  for (let row = 0; row < rows; row++) {
    const value = values[row] ?? null;
    if (value !== null) {
      doubles[row] = value;
    } else {
      words[2 * row] = NAN_LOW;
      words[2 * row + 1] = NAN_HIGH;
    }
  }
  return doubles;
}

function orMinusOne(values: ArrayLike<number | null>, rows: number): Int32Array {
  const words = new Int32Array(rows);
  for (let row = 0; row < rows; row++) words[row] = values[row] ?? -1;
  return words;
}

function tagsOf(
  bindings: ArrayLike<string>,
  flags: ArrayLike<number>,
  rows: number,
  { bindingIds }: SegmentTexts,
): Uint32Array {
  const tags = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) tags[row] = known(bindingIds.get(bindings[row])) | (flags[row] << 16);
  return tags;
}

function codes(
  type: SegmentColumns[number]['type'],
  values: ArrayLike<unknown>,
  rows: number,
  { stringIds }: SegmentTexts,
): DeclaredValues {
  if (!isWordColumn(type)) return orNaN(values as ArrayLike<number | null>, rows);
  const words = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const value = values[row] ?? null;
    if (value === null) continue;
    words[row] = type === 'bool' ? (value === true ? TRUE : FALSE) : known(stringIds.get(value as string));
  }
  return words;
}

/** Puts what `raw` says in the place of what the other columns say. */
function restore(
  { latencyMs, costUsd, tags, declared }: Pick<Batch, 'latencyMs' | 'costUsd' | 'tags' | 'declared'>,
  raw: ArrayLike<Uint8Array | null>,
  textColumns: readonly number[],
): void {
  const latencyWords = wordsOf(latencyMs);
  const costWords = wordsOf(costUsd);
  for (let row = 0; row < raw.length; row++) {
    const bytes = raw[row] ?? null;
    if (bytes === null) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    latencyWords[2 * row] = view.getInt32(0, true);
    latencyWords[2 * row + 1] = view.getInt32(4, true);
    costWords[2 * row] = view.getInt32(8, true);
    costWords[2 * row + 1] = view.getInt32(12, true);
    tags[row] = (tags[row] & ~TAG_BINDING_MASK) | view.getInt32(16, true);
    textColumns.forEach((column, index) => {
      declared[column][row] = view.getInt32(20 + 4 * index, true);
    });
  }
}

/** The payloads of rows [from, end) in one piece; notes where each row's begins, or would. */
function joined(
  parts: ArrayLike<Uint8Array | null>,
  from: number,
  end: number,
  blobOffsets: Uint32Array,
): Buffer {
  let bytes = 0;
  for (let row = from; row < end; row++) {
    blobOffsets[row] = bytes;
    bytes += parts[row]?.length ?? 0;
  }
  const blob = Buffer.allocUnsafeSlow(bytes);
  for (let row = from; row < end; row++) {
    const part = parts[row];
    if (part) blob.set(part, blobOffsets[row]);
  }
  return blob;
}
