/**
 * The columnar snapshot: a map that describes the columns, then a map for each batch of up to 65,536 rows.
 * docs/formats.md is its specification.
 *
 * Numbers are arrays of little-endian doubles or integers; everything else is a list of the values that occur in the
 * batch and a code per row. So a batch is complete in itself, and a writer holds no more than one.
 */

import { endianness } from 'node:os';
import { encode } from '@msgpack/msgpack';
import type { OrderedRows } from '../../readers/ordered.js';
import type { RowSource } from '../../readers/rows.js';
import type { EventRow, Json, Tokens } from '../../schema/event.js';
import { VERSION } from '../../version.js';
import { type SchemaColumn, schemaOf } from '../columns.js';
import type { ExperimentAbout, ExportEncoder } from '../encoder.js';
import { jsonText, wellFormed } from '../text.js';
import { withWrittenKeys } from './keys.js';

export const SNAPSHOT_FORMAT = 'crucible-columns';
export const SNAPSHOT_VERSION = 1;
const BATCH_ROWS = 65_536;
/** A batch that has this many characters of text is ended, so that readers and writers need no more memory. */
const BATCH_CHARS = 8 * 1024 * 1024;

interface NumberColumn {
  readonly name: string;
  readonly type: 'i64' | 'f64';
  readonly unit?: string;
  readonly read: (event: EventRow) => number | null;
}

interface ValueColumn {
  readonly name: string;
  /** `json` is text as well, that of a JSON value. */
  readonly type: 'bool' | 'text' | 'json';
  readonly unit?: undefined;
  readonly read: (event: EventRow) => boolean | string | null;
}

type Column = NumberColumn | ValueColumn;

/** `-<producer, 2 hex digits>-<sequence, 10 or more>`, behind the experiment's id. */
const PLACE = /^-([0-9a-f]{2})-([0-9a-f]{10}|[1-9a-f][0-9a-f]{10,13})$/;

const COLUMNS: readonly Column[] = [
  { name: 'timestamp', type: 'i64', unit: 'us', read: (event) => event.timestamp },
  { name: 'experiment_id', type: 'text', read: (event) => event.experimentId },
  { name: 'experiment_name', type: 'text', read: (event) => event.experimentName },
  { name: 'condition', type: 'text', read: (event) => event.condition },
  { name: 'tags', type: 'json', read: (event) => textOrNull([...event.tags]) },
  { name: 'producer', type: 'f64', read: (event) => placeOf(event)?.producer ?? null },
  { name: 'sequence', type: 'f64', read: (event) => placeOf(event)?.sequence ?? null },
  { name: 'event_id', type: 'text', read: (event) => (placeOf(event) === null ? event.eventId : null) },
  { name: 'event_name', type: 'text', read: (event) => event.eventName },
  { name: 'model', type: 'text', read: (event) => event.model },
  { name: 'provider', type: 'text', read: (event) => event.provider },
  { name: 'latency_ms', type: 'f64', unit: 'ms', read: (event) => event.latencyMs },
  { name: 'cost_usd', type: 'f64', unit: 'USD', read: (event) => event.costUsd },
  { name: 'cost_source', type: 'text', read: (event) => event.costSource },
  { name: 'success', type: 'bool', read: (event) => event.success },
  { name: 'malformed', type: 'bool', read: (event) => event.malformed },
  tokens('prompt'),
  tokens('completion'),
  tokens('total'),
  idColumn('session_id', 'sessionId'),
  idColumn('user_id', 'userId'),
  idColumn('sample_id', 'sampleId'),
  idColumn('cohort', 'cohort'),
  idColumn('correlation_id', 'correlationId'),
  idColumn('trace_id', 'traceId'),
  idColumn('span_id', 'spanId'),
  { name: 'metadata', type: 'json', read: (event) => objectText(event.metadata) },
  { name: 'measurements', type: 'json', read: (event) => objectText(event.measurements) },
  { name: 'fields', type: 'json', read: (event) => objectText(event.fields) },
];

function tokens(part: keyof Tokens): NumberColumn {
  return {
    name: `tokens_${part}`,
    type: 'f64',
    unit: 'tokens',
    read: (event) => event.tokens?.[part] ?? null,
  };
}

function idColumn(
  name: string,
  key: 'sessionId' | 'userId' | 'sampleId' | 'cohort' | 'correlationId' | 'traceId' | 'spanId',
): ValueColumn {
  return { name, type: 'json', read: (event) => textOrNull(event[key]) };
}

const TYPES: Readonly<Record<Column['type'], Pick<SchemaColumn, 'type' | 'encoding'>>> = {
  // The only whole numbers of 64 bits are times.
  i64: { type: 'timestamp' },
  f64: { type: 'float64' },
  bool: { type: 'bool' },
  text: { type: 'text' },
  json: { type: 'text', encoding: 'json' },
};

/** Columns that have a value in every row. */
const REQUIRED: ReadonlySet<string> = new Set([
  'timestamp',
  'experiment_id',
  'experiment_name',
  'condition',
  'tags',
  'event_name',
  'malformed',
]);

const SCHEMA = schemaOf(
  COLUMNS.map(({ name, type, unit }) => ({ name, nullable: !REQUIRED.has(name), unit, ...TYPES[type] })),
);

export class MsgpackColumns implements ExportEncoder {
  readonly schema = SCHEMA;
  readonly additionalKeys = false;
  readonly #about: readonly ExperimentAbout[];
  #gathered = COLUMNS.map(gathererOf);
  #rows = 0;
  #chars = 0;

  constructor(about: readonly ExperimentAbout[]) {
    this.#about = about;
  }

  header(): Uint8Array {
    return encode(
      repaired({
        format: SNAPSHOT_FORMAT,
        version: SNAPSHOT_VERSION,
        library: `crucible-telemetry ${VERSION}`,
        experiments: this.#about as unknown as Json,
        columns: COLUMNS.map(({ name, type, unit }) => ({ name, type, ...(unit && { unit }) })),
      }),
    );
  }

  rows(source: RowSource, { table, rows, events }: OrderedRows): Uint8Array {
    const batches: Uint8Array[] = [];
    for (let i = 0; i < rows.length; i++) this.#add(events?.[i] ?? table.event(source, rows[i]), batches);
    return Buffer.concat(batches);
  }

  events(events: readonly EventRow[]): Uint8Array {
    const batches: Uint8Array[] = [];
    for (const event of events) this.#add(event, batches);
    return Buffer.concat(batches);
  }

  footer(): Uint8Array {
    return this.#rows === 0 ? new Uint8Array(0) : this.#takeBatch();
  }

  #add(event: EventRow, batches: Uint8Array[]): void {
    for (const gatherer of this.#gathered) this.#chars += gatherer.add(this.#rows, event);
    if (++this.#rows === BATCH_ROWS || this.#chars >= BATCH_CHARS) batches.push(this.#takeBatch());
  }

  #takeBatch(): Uint8Array {
    const columns: Record<string, unknown> = {};
    COLUMNS.forEach(({ name }, i) => {
      const column = this.#gathered[i].take(this.#rows);
      if (column !== null) columns[name] = column;
    });
    const batch = encode({ rows: this.#rows, columns });
    this.#rows = 0;
    this.#chars = 0;
    return batch;
  }
}

/** Gathers a column of one batch. */
interface Gatherer {
  /** @returns how many characters of text it has taken in */
  add(row: number, event: EventRow): number;
  /** The column as the file has it, and a new beginning; null when there is no value in it. */
  take(rows: number): object | null;
}

function gathererOf(column: Column): Gatherer {
  return isNumeric(column) ? new Numbers(column) : new Values(column);
}

function isNumeric(column: Column): column is NumberColumn {
  return column.type === 'f64' || column.type === 'i64';
}

class Numbers implements Gatherer {
  readonly #column: NumberColumn;
  readonly #values = new Float64Array(BATCH_ROWS);
  readonly #nulls = new Uint8Array(BATCH_ROWS / 8);
  #nullCount = 0;

  constructor(column: NumberColumn) {
    this.#column = column;
  }

  add(row: number, event: EventRow): number {
    const value = this.#column.read(event);
    this.#values[row] = value ?? 0;
    if (value === null) {
      this.#nulls[row >> 3] |= 1 << (row & 7);
      this.#nullCount++;
    }
    return 0;
  }

  take(rows: number): object | null {
    const nullCount = this.#nullCount;
    const nulls = this.#nulls.slice(0, Math.ceil(rows / 8));
    this.#nulls.fill(0);
    this.#nullCount = 0;
    if (nullCount === rows) return null;
    const values = this.#values.subarray(0, rows);
    const numbers = this.#column.type === 'f64' ? values : BigInt64Array.from(values, BigInt);
    return { values: littleEndian(numbers), ...(nullCount > 0 && { nulls }) };
  }
}

class Values implements Gatherer {
  readonly #column: ValueColumn;
  readonly #codes = new Uint32Array(BATCH_ROWS);
  readonly #codeOf = new Map<string | boolean, number>();
  #values: unknown[] = [];

  constructor(column: ValueColumn) {
    this.#column = column;
  }

  add(row: number, event: EventRow): number {
    const value = this.#column.read(event);
    const known = value === null ? 0 : this.#codeOf.get(value);
    if (known !== undefined || value === null) {
      this.#codes[row] = known ?? 0;
      return 0;
    }
    const code = this.#values.push(typeof value === 'string' ? wellFormed(value) : value);
    this.#codeOf.set(value, code);
    this.#codes[row] = code;
    return typeof value === 'string' ? value.length : 0;
  }

  take(rows: number): object | null {
    const values = this.#values;
    this.#values = [];
    this.#codeOf.clear();
    if (values.length === 0) return null;
    const codes = this.#codes.subarray(0, rows);
    const narrowed =
      values.length < 2 ** 8
        ? Uint8Array.from(codes)
        : values.length < 2 ** 16
          ? Uint16Array.from(codes)
          : codes;
    return { values, codes: littleEndian(narrowed) };
  }
}

function littleEndian(
  numbers: Float64Array | BigInt64Array | Uint8Array | Uint16Array | Uint32Array,
): Uint8Array {
  const bytes = Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  if (endianness() === 'LE' || numbers.BYTES_PER_ELEMENT === 1) return bytes;
  const swapped = Buffer.from(bytes);
  if (numbers.BYTES_PER_ELEMENT === 2) return swapped.swap16();
  return numbers.BYTES_PER_ELEMENT === 4 ? swapped.swap32() : swapped.swap64();
}

/** Producer and sequence of an id that says where in its experiment the event was captured; else null. */
function placeOf({ eventId, experimentId }: EventRow): { producer: number; sequence: number } | null {
  if (!eventId.startsWith(experimentId)) return null;
  const match = PLACE.exec(eventId.slice(experimentId.length));
  if (match === null) return null;
  const sequence = Number.parseInt(match[2], 16);
  return Number.isSafeInteger(sequence) ? { producer: Number.parseInt(match[1], 16), sequence } : null;
}

function textOrNull(value: Json): string | null {
  const text = jsonText(value);
  return text === 'null' ? null : text;
}

/** JSON of an object; null for an empty one. */
function objectText(value: Readonly<Record<string, Json>>): string | null {
  for (const _ in value) return jsonText(value);
  return null;
}

/** What is told of experiments may hold any text and any key; a copy that has a UTF-8 form, and can be read. */
function repaired(value: Json): Json {
  return withWrittenKeys(JSON.parse(jsonText(value)) as Json);
}
