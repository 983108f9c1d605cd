/** Whether a file says what was put in: every cell of every column, in order. */

import { isDeepStrictEqual } from 'node:util';
import type { DocumentReader, Reader } from './readers.js';
import {
  type Arm,
  BASE_COLUMNS,
  cellsOf,
  documentOf,
  type FileOrder,
  type Json,
  type JsonObject,
  type Kind,
  type TrueRow,
  trueColumns,
  trueRow,
} from './truth.js';

/** How many cells were compared. */
export interface Compared {
  rows: number;
  columns: number;
}

class Differs extends Error {
  constructor(where: string, expected: unknown, actual: unknown) {
    super(`${where}: expected ${show(expected)}, got ${show(actual)}`);
    this.name = 'Differs';
  }
}

function show(value: unknown): string {
  if (Object.is(value, -0)) return '-0';
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

/** Ids tell the experiment, the producer and the place in capture order, which ascends with it. */
class Places {
  readonly #last = new Map<string, number>();
  readonly #sequences = new Map<string, Float64Array>();

  /** @param sequence - what the file says beside the id, if anything */
  see({ arm, index }: TrueRow, id: unknown, sequence?: unknown): void {
    const match = /^(.*)-([0-9a-f]{2})-([0-9a-f]{10})$/.exec(String(id));
    const place = Number.parseInt(match?.[3] ?? '', 16);
    if (match?.[1] !== arm.id || Number.isNaN(place)) throw new Differs('event_id', `${arm.id}-…`, id);
    if (sequence !== undefined && sequence !== place) throw new Differs('sequence', place, sequence);
    let known = this.#sequences.get(arm.id);
    if (known === undefined) {
      known = new Float64Array(arm.rows).fill(-1);
      this.#sequences.set(arm.id, known);
    }
    known[index] = place;
  }

  /** @throws Differs unless the places ascend as the rows were captured */
  check(): void {
    for (const [arm, sequences] of this.#sequences) {
      for (const [index, place] of sequences.entries()) {
        const last = this.#last.get(arm) ?? -1;
        if (place <= last) throw new Differs(`${arm}: place of row ${index}`, `above ${last}`, place);
        this.#last.set(arm, place);
      }
    }
  }
}

interface Column {
  readonly name: string;
  readonly matches: Matches;
}

type Matches = (expected: Json, actual: unknown) => boolean;

const isSame: Matches = (expected, actual) =>
  expected === actual && !(expected === 0 && !Object.is(expected, actual));
const isSameJson: Matches = (expected, actual) => {
  if (expected === null) return actual === null;
  return typeof actual === 'string' && isDeepStrictEqual(JSON.parse(actual), expected);
};

/** Cells of typed files. */
function typed(kind: Kind): Matches {
  return kind === 'json' ? isSameJson : isSame;
}

/** Cells of CSV; a reader may take empty ones for null. */
const isSameText: Matches = (expected, actual) => (actual ?? '') === csvText(expected);

function csvText(value: Json): string {
  if (value === null) return '';
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object') return String(value);
  const isFlat = Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null);
  return isFlat ? value.map(csvText).join(',') : JSON.stringify(value);
}

const isoMicros = (us: number) =>
  `${new Date(Math.floor(us / 1000)).toISOString().slice(0, -1)}${String(us % 1000).padStart(3, '0')}Z`;

/** The columns of a file but for those that name a place. @param isCsv - whose cells are texts */
function columnsOf(order: FileOrder, flatten: boolean, isCsv: boolean): Column[] {
  const known = trueColumns(order).filter(({ name }) => flatten || BASE_COLUMNS.includes(name));
  const columns = known.map(({ name, kind }) => ({ name, matches: isCsv ? isSameText : typed(kind) }));
  if (isCsv) columns.push({ name: 'datetime', matches: isSameText });
  if (!flatten && !isCsv) {
    columns.push({ name: 'metadata', matches: isSameJson }, { name: 'measurements', matches: isSameJson });
  }
  return columns;
}

/** The row's cells in a file of such columns; those that it does not have are absent. */
function allCells(row: TrueRow): Map<string, Json> {
  return cellsOf(row)
    .set('datetime', isoMicros(row.timeUs))
    .set('metadata', row.metadata)
    .set('measurements', row.measurements);
}

/** @throws Differs where a reader of columns does not see what was put in; Error unless it sees all rows */
export async function compareColumns(
  path: string,
  reader: Reader,
  order: FileOrder,
  { flatten = true, isCsv = false }: { flatten?: boolean; isCsv?: boolean } = {},
): Promise<Compared> {
  const columns = columnsOf(order, flatten, isCsv);
  const names = [...columns.map(({ name }) => name), 'event_id', ...(isCsv ? [] : ['sequence'])].sort(
    (a, b) => (a < b ? -1 : 1),
  );
  const indices = new Map(columns.map(({ name }, index) => [name, index]));
  const expected = new Array<Json>(columns.length);
  const places = new Places();
  let from = 0;
  for await (const window of reader(path)) {
    const found = [...window.columns.keys()];
    if (!isDeepStrictEqual(found, names)) throw new Differs('columns', names, found);
    const values = columns.map(({ name }) => window.columns.get(name)!);
    const ids = window.columns.get('event_id')!;
    const sequences = window.columns.get('sequence');
    for (let i = 0; i < window.rows; i++) {
      const row = order.at(from + i);
      expected.fill(null);
      for (const [name, value] of allCells(row)) {
        const column = indices.get(name);
        if (column !== undefined) expected[column] = value;
      }
      for (let column = 0; column < columns.length; column++) {
        const { name, matches } = columns[column]!;
        const [right, actual] = [expected[column]!, values[column]![i]];
        if (!matches(right, actual)) throw new Differs(`row ${from + i}, ${name}`, right, actual);
      }
      places.see(row, ids[i], sequences?.[i]);
    }
    from += window.rows;
  }
  if (from !== order.rows) throw new Differs('rows', order.rows, from);
  places.check();
  return { rows: from, columns: names.length };
}

/**
 * The same of rows that are maps.
 * @param of - what a row has to be, but for its id
 */
export async function compareDocuments(
  path: string,
  reader: DocumentReader,
  order: FileOrder,
  of = documentOf,
  idKey = 'event_id',
): Promise<Compared> {
  const places = new Places();
  let at = 0;
  let columns = 0;
  for await (const { [idKey]: id, sequence, ...document } of reader(path)) {
    const row = order.at(at);
    const expected = of(row);
    if (!isDeepStrictEqual(document, expected)) throw differing(`row ${at}`, expected, document);
    places.see(row, id, sequence);
    columns = Math.max(columns, Object.keys(document).length + 1);
    at++;
  }
  if (at !== order.rows) throw new Differs('rows', order.rows, at);
  places.check();
  return { rows: at, columns };
}

/** A segment's columns, in capture order, as far as others can make sense of them; the rest is in `payload`. */
export async function compareSegment(
  reader: Reader,
  arm: Arm,
  declared: readonly string[],
): Promise<Compared> {
  let index = 0;
  let count = 0;
  for await (const { rows, columns } of reader('')) {
    for (let i = 0; i < rows; i++, index++) {
      const row = trueRow(arm, index);
      const { prompt, completion } = row.told ?? row.tokens ?? { prompt: null, completion: null };
      const expected: JsonObject = {
        timestamp: row.timeUs,
        event: row.event,
        model: row.model,
        provider: row.provider,
        latency_ms: row.latencyMs,
        cost_usd: row.costUsd,
        prompt_tokens: prompt,
        completion_tokens: completion,
        success: row.success,
        ...Object.fromEntries(declared.map((name) => [`metadata_${name}`, row.metadata[name] ?? null])),
        // What a recorder is bound to stands in `binding`.
        ...(row.told !== undefined && { metadata_kind: null }),
      };
      for (const [name, value] of Object.entries(expected)) {
        const actual = columns.get(name)?.[i];
        if (!isSame(value, actual)) throw new Differs(`row ${index}, ${name}`, value, actual);
      }
      const [, , , bound] = JSON.parse(String(columns.get('binding')?.[i])) as [Json, Json, Json, JsonObject];
      if (row.told !== undefined && bound.kind !== row.metadata.kind) {
        throw new Differs(`row ${index}, binding`, row.metadata.kind, bound.kind);
      }
    }
    count = Math.max(count, columns.size);
  }
  if (index !== arm.rows) throw new Differs('rows', arm.rows, index);
  return { rows: index, columns: count };
}

function differing(where: string, expected: JsonObject, actual: JsonObject): Differs {
  const keys = [...new Set([...Object.keys(expected), ...Object.keys(actual)])];
  const key = keys.find((name) => !isDeepStrictEqual(expected[name], actual[name])) ?? '';
  return new Differs(`${where}, ${key}`, expected[key], actual[key]);
}

/** The columnar snapshot, whose columns are those of docs/formats.md. */
export async function compareSnapshot(path: string, reader: Reader, order: FileOrder): Promise<Compared> {
  const places = new Places();
  let from = 0;
  let count = 0;
  for await (const { rows, columns } of reader(path)) {
    for (let i = 0; i < rows; i++) {
      const row = order.at(from + i);
      const value = (name: string) => columns.get(name)?.[i] ?? null;
      const parsed = (name: string) => JSON.parse(String(value(name))) as Json;
      const cells = cellsOf(row);
      for (const name of SNAPSHOT_PLAIN) {
        const expected = cells.get(name) ?? null;
        if (!isSame(expected, value(name)))
          throw new Differs(`row ${from + i}, ${name}`, expected, value(name));
      }
      for (const name of SNAPSHOT_IDS) {
        const expected = cells.get(name) ?? null;
        if (!isDeepStrictEqual(parsed(name), expected))
          throw new Differs(`row ${from + i}, ${name}`, expected, value(name));
      }
      const { metadata, measurements, fields, arm } = row;
      const told = {
        metadata: parsed('metadata') ?? {},
        measurements: parsed('measurements') ?? {},
        fields: snakeKeys(parsed('fields') ?? {}),
        tags: parsed('tags'),
      };
      const expected = { metadata, measurements, fields, tags: arm.tags };
      if (!isDeepStrictEqual(told, expected)) throw differing(`row ${from + i}`, expected, told);
      const [producer, sequence] = [Number(value('producer')), Number(value('sequence'))];
      places.see(row, `${arm.id}-${hex(producer, 2)}-${hex(sequence, 10)}`, sequence);
    }
    count = Math.max(count, columns.size);
    from += rows;
  }
  if (from !== order.rows) throw new Differs('rows', order.rows, from);
  places.check();
  return { rows: from, columns: count };
}

const SNAPSHOT_PLAIN = [
  'timestamp',
  'experiment_id',
  'experiment_name',
  'condition',
  'event_name',
  'model',
  'provider',
  'latency_ms',
  'cost_usd',
  'cost_source',
  'success',
  'malformed',
  'tokens_prompt',
  'tokens_completion',
  'tokens_total',
] as const;
const SNAPSHOT_IDS = [
  'session_id',
  'user_id',
  'sample_id',
  'cohort',
  'correlation_id',
  'trace_id',
  'span_id',
] as const;

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');

function snakeKeys(object: Json): JsonObject {
  const entries = Object.entries(object as JsonObject);
  return Object.fromEntries(
    entries.map(([key, value]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  );
}
