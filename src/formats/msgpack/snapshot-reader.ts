/** Batches of the columnar snapshot as records: what a map of the other MessagePack form holds. */

import { endianness } from 'node:os';
import { ImportError } from '../../errors.js';
import { eventIdText } from '../../row/event-id.js';
import type { Json } from '../../schema/event.js';
import { blankRecord, type RawItem, setOwn } from '../reader.js';

const FORMAT = 'crucible-columns';
const VERSION = 1;
/** Records made at a time, so that those of a batch are not all there at once. */
const RECORDS = 1024;

const NUMBERS = new Set([
  'timestamp',
  'producer',
  'sequence',
  'latency_ms',
  'cost_usd',
  'tokens_prompt',
  'tokens_completion',
  'tokens_total',
]);
/** Values are the JSON text of what they mean. */
const JSON_COLUMNS = new Set([
  'tags',
  'malformed_keys',
  'session_id',
  'user_id',
  'sample_id',
  'cohort',
  'correlation_id',
  'trace_id',
  'span_id',
  'metadata',
  'measurements',
  'fields',
]);
const PLAIN = ['model', 'provider', 'latency_ms', 'cost_usd', 'cost_source', 'success', 'malformed'] as const;

const BLANK = blankRecord([
  'timestamp',
  'event_name',
  'experiment_id',
  'experiment_name',
  'condition',
  'event_id',
  'tokens',
  ...PLAIN,
  ...[...JSON_COLUMNS].filter((name) => name !== 'fields'),
]);

type Column = (row: number) => Json;
const NOTHING: Column = () => null;

/** @throws ImportError for a version that this library does not know */
export function isSnapshotHeader(value: Json): boolean {
  if (!isMap(value) || value.format !== FORMAT) return false;
  if (value.version !== VERSION) {
    throw new ImportError(
      'ERR_UNSUPPORTED_FORMAT',
      `snapshot version: expected ${VERSION}, got ${JSON.stringify(value.version)}`,
      { version: value.version },
    );
  }
  return true;
}

/** @param before - records of earlier batches. @throws RangeError when it is no batch */
export function* recordsOfBatch(batch: Json, before: number): Generator<RawItem[]> {
  if (!isMap(batch) || !isMap(batch.columns)) throw new RangeError('a batch without columns');
  const rows = batch.rows;
  if (typeof rows !== 'number' || !Number.isSafeInteger(rows) || rows < 0) {
    throw new RangeError('a batch without a number of rows');
  }
  const columns = new Map(
    Object.entries(batch.columns).map(([name, column]) => [name, columnOf(name, column, rows)]),
  );
  const column = (name: string) => columns.get(name) ?? NOTHING;
  const plain = PLAIN.map((name) => [name, column(name)] as const);
  const ids = [...JSON_COLUMNS]
    .filter(
      (name) => name.endsWith('_id') || name === 'cohort' || name === 'tags' || name === 'malformed_keys',
    )
    .map((name) => [name, column(name)] as const);
  const [timestamp, eventName, experimentId, experimentName, condition, eventId, producer, sequence] = [
    'timestamp',
    'event_name',
    'experiment_id',
    'experiment_name',
    'condition',
    'event_id',
    'producer',
    'sequence',
  ].map(column);
  const [prompt, completion, total] = ['tokens_prompt', 'tokens_completion', 'tokens_total'].map(column);
  const [metadata, measurements, fields] = ['metadata', 'measurements', 'fields'].map(column);

  const recordAt = (row: number): Record<string, Json> => {
    const place = sequence(row);
    const record = { ...BLANK };
    record.timestamp = timestamp(row);
    record.event_name = eventName(row);
    record.experiment_id = experimentId(row);
    record.experiment_name = experimentName(row);
    record.condition = condition(row);
    record.event_id =
      place === null
        ? eventId(row)
        : eventIdText(String(experimentId(row)), partOfId(producer(row)), partOfId(place));
    const tokens = total(row);
    if (tokens !== null) {
      record.tokens = { prompt: prompt(row), completion: completion(row), total: tokens };
    }
    record.metadata = metadata(row) ?? {};
    record.measurements = measurements(row) ?? {};
    for (const [name, value] of plain) record[name] = value(row);
    for (const [name, value] of ids) record[name] = value(row);
    const own = fields(row);
    if (isMap(own)) {
      for (const [name, value] of Object.entries(own)) {
        if (!Object.hasOwn(record, name)) setOwn(record, name, value);
      }
    }
    return record;
  };

  for (let start = 0; start < rows; start += RECORDS) {
    const items: RawItem[] = [];
    for (let row = start; row < Math.min(start + RECORDS, rows); row++) {
      items.push({ line: before + row + 1, record: recordAt(row), error: null });
    }
    yield items;
  }
}

function columnOf(name: string, column: Json, rows: number): Column {
  if (!isMap(column)) throw new RangeError(`column ${name} is no map`);
  if (NUMBERS.has(name)) return numbers(name, column, rows);
  const { values, codes } = column as Record<string, unknown>;
  if (!Array.isArray(values) || !(codes instanceof Uint8Array)) {
    throw new RangeError(`column ${name} has no values and codes`);
  }
  const isJson = JSON_COLUMNS.has(name);
  const all: Json[] = values.map((value) => (isJson ? parsed(name, value) : (value as Json)));
  const width = codes.length / rows;
  const read = width === 1 ? 'readUInt8' : width === 2 ? 'readUInt16LE' : width === 4 ? 'readUInt32LE' : null;
  if (read === null) throw new RangeError(`column ${name} has codes for another number of rows`);
  const bytes = Buffer.from(codes.buffer, codes.byteOffset, codes.byteLength);
  return (row) => {
    const code = bytes[read](row * width);
    if (code > all.length) throw new RangeError(`column ${name} has a code without a value`);
    return code === 0 ? null : all[code - 1];
  };
}

function numbers(name: string, column: Readonly<Record<string, unknown>>, rows: number): Column {
  const { values, nulls } = column;
  if (!(values instanceof Uint8Array) || values.length !== 8 * rows) {
    throw new RangeError(`column ${name} has numbers for another number of rows`);
  }
  if (nulls !== undefined && !(nulls instanceof Uint8Array && nulls.length === Math.ceil(rows / 8))) {
    throw new RangeError(`column ${name} has nulls for another number of rows`);
  }
  // A copy, since views of eight bytes must begin at multiples of eight.
  const aligned = Buffer.from(Uint8Array.from(values).buffer);
  if (endianness() === 'BE') aligned.swap64();
  const read =
    name === 'timestamp'
      ? (row: number) => Number(aligned.readBigInt64LE(8 * row))
      : floats(new Float64Array(aligned.buffer));
  if (nulls === undefined) return read;
  return (row) => (((nulls[row >> 3] >> (row & 7)) & 1) !== 0 ? null : read(row));
}

function floats(values: Float64Array): (row: number) => Json {
  return (row) => {
    const value = values[row];
    return Number.isFinite(value) ? value : null;
  };
}

function parsed(name: string, text: unknown): Json {
  try {
    return JSON.parse(text as string) as Json;
  } catch {
    throw new RangeError(`column ${name} has a value that is no JSON`);
  }
}

/** @throws RangeError for what is no number of a producer or a sequence */
function partOfId(value: Json): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new RangeError(`${value} is no part of an id`);
}

function isMap(value: unknown): value is Record<string, Json> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
