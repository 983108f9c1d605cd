/**
 * Our own exports, read back as the events they were.
 *
 * What an event has comes from its columns or keys. What a reader of the stored row would make of them (tokens, ids
 * lifted out of the metadata, the fields of its category) is compared with what the file says, and only where that
 * differs it is kept with the row, as a correction.
 *
 * In a flattened file (CSV, and Arrow and Parquet by default) `metadata_a_b` may have been {a_b} or {a: {b}}, which
 * give the same column: it is read as {a_b}. Two columns from such paths are told apart by `_2`, and the second is
 * read as {a_b_2}. CSV has no types: `1` and `true` become a number and a boolean, whose text is
 * the same; text that would be written otherwise ("007", "1.50") stays text. A column that is empty in all rows is
 * kept by a null in the last event.
 */

import { setOwn } from '../formats/reader.js';
import { booleanOf, parseDecimal, textOf } from '../formats/text-values.js';
import { parseTimestamp } from '../formats/timestamps.js';
import { BASE, EXTRA, LIFTED_COLUMNS, PREFIXES } from '../row/file-columns.js';
import { toldTokens } from '../schema/enrich.js';
import type { Json, Tokens } from '../schema/event.js';
import { CATEGORY_FIELDS, categoryFields, lifted, snakeCase } from '../schema/fields.js';
import { events } from '../schema/registry.js';
import { TOKENS_MAX } from '../schema/usage.js';
import { emptyRecord, type ImportedRecord, type RecordMapper } from './mapping.js';

/** The experiment that the events go to. */
export interface Destination {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly tags: readonly string[];
}

/** What an event of ours has besides what any record may have. */
export interface RestoredParts {
  readonly eventId: string | null;
  /** Undefined where the file does not tell. */
  readonly costSource: string | null | undefined;
  readonly malformed: boolean;
  readonly measurements: Record<string, Json>;
  /** Fields of the event that do not follow from the others. */
  corrections: Record<string, Json> | null;
}

/** Rows of text (CSV), rows of typed columns (Arrow, Parquet), or maps (JSON Lines, MessagePack). */
export type OwnForm = 'text' | 'columns' | 'maps';

export interface OwnMapper {
  readonly map: RecordMapper;
  /** Keeps what no record had. To be called for the last record, before it is handed on. */
  complete(last: ImportedRecord): void;
}

type Raw = Readonly<Record<string, Json>>;
type Report = (message: string) => void;
type Fields = Record<string, Json>;

/** Columns that are no open part of the event. */
const FIXED = new Set<string>(
  [...BASE, ...EXTRA, { name: 'sequence' }, { name: 'tokens' }].map(({ name }) => name),
);

/** @param into - absent: what is told of the experiment is left out */
export function ownMapper(
  columns: readonly string[],
  form: OwnForm,
  into: Destination | undefined,
): OwnMapper {
  const textual = form === 'text';
  const isFlat = textual || !columns.includes('metadata');
  // With `flatten: false`, Arrow and Parquet have the base columns and the whole metadata.
  const open: OpenParts = isFlat ? new FlatParts(columns, textual) : new NestedParts(form === 'maps');
  // Without any of it, what stands in columns of its own was in the metadata.
  const hasMetadata = !isFlat || columns.some((name) => name.startsWith(PREFIXES.metadata));
  const tellsTokens = columns.includes('tokens') || columns.includes('tokens_prompt');
  const read = textual ? cellOf : (value: Json) => value;
  return {
    map(raw, report) {
      const record = emptyRecord();
      record.timestampUs = timeOf(raw.timestamp ?? null, report);
      const name = raw.event_name ?? null;
      if (name !== null && name !== '')
        record.event = Array.isArray(name) ? name.map(textOf).join('.') : textOf(name);
      record.latencyMs = numberOf(raw, 'latency_ms', textual, report);
      record.costUsd = numberOf(raw, 'cost_usd', textual, report);
      record.success = success(raw.success ?? null, report);
      record.model = nameOf(raw.model, textual);
      record.provider = nameOf(raw.provider, textual);
      const { metadata, measurements } = open.read(raw, record);
      record.metadata = metadata;
      if (!hasMetadata) {
        if (record.model !== null) metadata.model = record.model;
        if (record.provider !== null) metadata.provider = record.provider;
      }
      const corrections = new Corrections();
      // Where the file has no counts, those that the event tells.
      const tokens = tellsTokens ? tokensIn(raw, textual, report) : toldTokens(measurements, metadata);
      if (tokens !== null) {
        record.promptTokens = tokens.prompt;
        record.completionTokens = tokens.completion;
      }
      if (tokens !== null && tokens.total !== tokens.prompt + tokens.completion) {
        corrections.add('tokens', tokens as unknown as Json);
      }
      const malformedKeys = keysOf(raw.malformed_keys ?? null, form);
      if (malformedKeys.length > 0) corrections.add('malformedKeys', malformedKeys);
      const model = typeof metadata.model === 'string' ? metadata.model : null;
      const provider = typeof metadata.provider === 'string' ? metadata.provider : null;
      if (record.model === null && model !== null) corrections.add('model', null);
      if (record.provider === null && provider !== null) corrections.add('provider', null);
      for (const [column, field] of LIFTED_COLUMNS) {
        if (!Object.hasOwn(raw, column)) continue;
        const told = read(raw[column]!);
        const found = lifted(metadata, field);
        // In columns an id is a text, whatever it is in the metadata.
        const isSame = form === 'columns' ? columnText(found) === told : sameText(found, told);
        if (!isSame) corrections.add(field, told);
      }
      const category = categoryOf(record.event);
      const fields = open.fields(raw, categoryFields(category, measurements, metadata));
      if (fields !== null) corrections.add('fields', fields);
      if (into !== undefined) tellOrigin(record, raw, into);
      record.restored = {
        eventId: textOrNull(raw.event_id),
        costSource: Object.hasOwn(raw, 'cost_source') ? textOrNull(raw.cost_source) : undefined,
        malformed: booleanOf(raw.malformed ?? null) ?? false,
        measurements,
        corrections: corrections.all,
      };
      return record;
    },
    complete: (last) => open.complete(last),
  };
}

class Corrections {
  all: Record<string, Json> | null = null;

  add(field: string, value: Json): void {
    this.all ??= {};
    this.all[field] = value;
  }
}

/** Metadata, measurements and category fields, in the form that the file has them. */
interface OpenParts {
  read(
    raw: Raw,
    record: ImportedRecord,
  ): { metadata: Record<string, Json>; measurements: Record<string, Json> };
  /** The category fields as the file says them; null where they are those that were found. */
  fields(raw: Raw, found: Readonly<Record<string, Json>>): Record<string, Json> | null;
  complete(last: ImportedRecord): void;
}

class NestedParts implements OpenParts {
  readonly #tellsFields: boolean;

  constructor(tellsFields: boolean) {
    this.#tellsFields = tellsFields;
  }

  read({ metadata, measurements }: Raw) {
    return { metadata: objectOf(metadata), measurements: objectOf(measurements) };
  }

  fields(raw: Raw, found: Readonly<Record<string, Json>>): Record<string, Json> | null {
    if (!this.#tellsFields) return null;
    const told: Record<string, Json> = {};
    for (const key of Object.keys(raw)) {
      if (FIXED.has(key) || key === 'metadata' || key === 'measurements') continue;
      setOwn(told, FIELD_OF_COLUMN.get(key) ?? key, raw[key]!);
    }
    const names = Object.keys(found);
    const isSame =
      names.length === Object.keys(told).length &&
      names.every((name) => Object.hasOwn(told, name) && sameText(found[name]!, told[name]!));
    return isSame ? null : told;
  }

  complete(): void {}
}

interface OpenColumn {
  readonly column: string;
  readonly path: readonly string[];
  /** Whether a record had a value in it, or its event will have it. */
  isSeen: boolean;
}

/** Notes which columns an event with these fields has, and not only what is inside of them. */
function noteEvent(columns: readonly OpenColumn[], fields: Readonly<Record<string, Json>>): void {
  for (const column of columns) {
    if (column.path.length === 1 && hasValue(fields, column.path[0])) column.isSeen = true;
  }
}

/** Whether the field is there and is not about what is inside of it. An empty object is a value of its own. */
function hasValue(fields: Readonly<Record<string, Json>>, name: string): boolean {
  if (!Object.hasOwn(fields, name)) return false;
  const value = fields[name];
  return !isObject(value) || Object.keys(value).length === 0;
}

/** Columns of category fields by their names. */
const FIELD_OF_COLUMN = new Map([...CATEGORY_FIELDS].map((name) => [snakeCase(name), name]));

/** The field of a column, or the field and what is in it: `votes_a` is of {votes: {a: …}}. */
function fieldPath(column: string): string[] {
  const field = FIELD_OF_COLUMN.get(column);
  if (field !== undefined) return [field];
  for (let at = column.lastIndexOf('_'); at > 0; at = column.lastIndexOf('_', at - 1)) {
    const outer = FIELD_OF_COLUMN.get(column.slice(0, at));
    if (outer !== undefined) return [outer, column.slice(at + 1)];
  }
  return [column];
}

/** A name with the same snake_case. */
function otherSpelling(name: string): string {
  const column = snakeCase(name);
  return column === name ? name[0].toUpperCase() + name.slice(1) : column;
}

/** Keys that a reader's metadata begin with, so that their values need not be encoded. */
const FIRST_KEYS = ['model', 'provider', 'tokens'];
/** Parts of metadata.tokens in the order in which a reader gives them, and other spellings. */
const TOKEN_PARTS = [
  'prompt',
  'completion',
  'total',
  'input',
  'output',
  'prompt_tokens',
  'completion_tokens',
  'total_tokens',
  'input_tokens',
  'output_tokens',
];

class FlatParts implements OpenParts {
  readonly #textual: boolean;
  readonly #metadata: readonly OpenColumn[];
  readonly #measurements: readonly OpenColumn[];
  readonly #fields: readonly OpenColumn[];

  constructor(columns: readonly string[], textual: boolean) {
    this.#textual = textual;
    this.#metadata = openColumns(columns, PREFIXES.metadata).sort((a, b) => rank(a) - rank(b));
    this.#measurements = openColumns(columns, PREFIXES.measurements);
    this.#fields = columns
      .filter(
        (name) =>
          !FIXED.has(name) && !name.startsWith(PREFIXES.metadata) && !name.startsWith(PREFIXES.measurements),
      )
      .map((column) => ({ column, path: fieldPath(column), isSeen: false }));
  }

  read(raw: Raw, { model, provider }: ImportedRecord) {
    const metadata = this.#part(this.#metadata, raw);
    // A name that looks like a number is a name all the same.
    if (model !== null && raw.metadata_model === model) metadata.model = model;
    if (provider !== null && raw.metadata_provider === provider) metadata.provider = provider;
    return { metadata, measurements: this.#part(this.#measurements, raw) };
  }

  fields(raw: Raw, found: Readonly<Record<string, Json>>): Record<string, Json> | null {
    const columns = this.#fields;
    let isSame = true;
    let known = 0;
    for (const { column, path } of columns) {
      const expected = path.length === 1 ? found[path[0]] : undefined;
      if (expected !== undefined) known++;
      if (!sameText(expected ?? null, this.#value(raw[column] ?? null))) isSame = false;
    }
    if (isSame && known === Object.keys(found).length) {
      noteEvent(columns, found);
      return null;
    }
    const told: Record<string, Json> = {};
    for (const field of columns) {
      const { column, path } = field;
      const value = this.#value(raw[column] ?? null);
      if (value === null) continue;
      place(told, path, value);
      field.isSeen = true;
    }
    // What the event's category has besides is null.
    for (const { path } of columns) {
      if (path.length === 1 && Object.hasOwn(found, path[0])) told[path[0]] ??= null;
    }
    noteEvent(columns, told);
    return told;
  }

  complete({ event, metadata, restored }: ImportedRecord): void {
    if (restored === null) return;
    const { measurements, corrections } = restored;
    const category = categoryOf(event);
    const fields = {
      ...((corrections?.fields ?? categoryFields(category, measurements, metadata)) as Fields),
    };
    fillIn(this.#metadata, metadata);
    fillIn(this.#measurements, measurements);
    if (this.#fields.every(({ isSeen }) => isSeen)) return;
    for (const { isSeen, path } of this.#fields) {
      if (isSeen) continue;
      const [name, inner] = path;
      // Where a value is in the way of what is inside, another spelling gives that the same column.
      const isBlocked = inner !== undefined && hasValue(fields, name);
      place(fields, isBlocked ? [otherSpelling(name), inner] : path, null);
    }
    restored.corrections = { ...corrections, fields };
  }

  #part(columns: readonly OpenColumn[], raw: Raw): Record<string, Json> {
    const part: Record<string, Json> = {};
    for (const column of columns) {
      const value = this.#value(raw[column.column] ?? null);
      if (value === null) continue;
      column.isSeen = true;
      place(part, column.path, value);
    }
    return part;
  }

  #value(value: Json): Json {
    return this.#textual ? cellOf(value) : value;
  }
}

function openColumns(columns: readonly string[], prefix: string): OpenColumn[] {
  const open = columns.filter((name) => name.startsWith(prefix));
  const isMetadata = prefix === PREFIXES.metadata;
  // A value is either an object or none: what is a column itself has no others inside.
  const hasTokens = isMetadata && !open.includes('metadata_tokens');
  return open.map((column) => {
    const key = column.slice(prefix.length);
    const part = key.startsWith('tokens_') ? key.slice('tokens_'.length) : '';
    const isPart = hasTokens && TOKEN_PARTS.includes(part);
    return { column, path: isPart ? ['tokens', part] : [key], isSeen: false };
  });
}

function rank({ path }: OpenColumn): number {
  const first = FIRST_KEYS.indexOf(path[0]);
  if (first === -1) return FIRST_KEYS.length;
  return first + (path.length > 1 ? (TOKEN_PARTS.indexOf(path[1]) + 1) / (TOKEN_PARTS.length + 1) : 0);
}

/** Puts a value at a path; where another value is in the way, the names are joined to one. */
function place(part: Record<string, Json>, path: readonly string[], value: Json): void {
  if (path.length === 1) {
    setOwn(part, path[0], value);
    return;
  }
  const [first, second] = path;
  const inside = Object.hasOwn(part, first) ? part[first] : undefined;
  if (inside === undefined) setOwn(part, first, { [second]: value });
  else if (isObject(inside)) setOwn(inside, second, value);
  else setOwn(part, path.join('_'), value);
}

/** Gives the part a null at every path where no record had a value. */
function fillIn(
  columns: readonly { readonly path: readonly string[]; readonly isSeen: boolean }[],
  part: Record<string, Json>,
): void {
  for (const { isSeen, path } of columns) if (!isSeen) place(part, path, null);
}

/** Where the file has rows of another experiment, the metadata tell which. */
function tellOrigin(record: ImportedRecord, raw: Raw, into: Destination): void {
  const tags = raw.tags ?? null;
  const told = [
    ['experiment_id', textOf(raw.experiment_id ?? null), into.id],
    ['experiment_name', textOf(raw.experiment_name ?? null), into.name],
    ['condition', textOf(raw.condition ?? null), into.condition],
    ['tags', Array.isArray(tags) ? tags.join(',') : textOf(tags), into.tags.join(',')],
  ] as const;
  if (told.every(([, there, here]) => there === '' || there === here)) return;
  // Rows may share an object.
  record.metadata = { ...record.metadata };
  for (const [column, there, here] of told) {
    if (there !== '' && there !== here) record.metadata[column] ??= there;
  }
}

function timeOf(value: Json, report: Report): number | null {
  if (Number.isSafeInteger(value)) return value as number;
  if (value === null || value === '') return null;
  const isWhole = typeof value === 'number' || /^-?\d+$/.test(String(value));
  if (isWhole && Number.isSafeInteger(Number(value))) return Number(value);
  const timeUs = parseTimestamp(value, isWhole ? { unit: 'us' } : {});
  if (timeUs === null) report(`timestamp: ${JSON.stringify(value)} is not a time`);
  return timeUs;
}

function numberOf(raw: Raw, column: string, textual: boolean, report: Report): number | null {
  const value = raw[column] ?? null;
  if (value === null || value === '') return null;
  const number = textual ? parseDecimal(String(value)) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  report(`${column}: ${JSON.stringify(value)} is not a finite number`);
  return null;
}

function success(value: Json, report: Report): boolean | null {
  if (value === null || value === '') return null;
  const known = booleanOf(value);
  if (known === null) report(`success: ${JSON.stringify(value)} is neither true nor false`);
  return known;
}

function tokensIn(raw: Raw, textual: boolean, report: Report): Tokens | null {
  const { tokens } = raw;
  const isMap = isObject(tokens);
  const source = isMap ? tokens : raw;
  const isText = textual && !isMap;
  const prompt = countOf(source, isMap ? 'prompt' : 'tokens_prompt', isText, report);
  const completion = countOf(source, isMap ? 'completion' : 'tokens_completion', isText, report);
  if (prompt === null && completion === null) return null;
  const total = numberOf(source, isMap ? 'total' : 'tokens_total', isText, report);
  const sum = (prompt ?? 0) + (completion ?? 0);
  return { prompt: prompt ?? 0, completion: completion ?? 0, total: total ?? sum };
}

function countOf(raw: Raw, column: string, textual: boolean, report: Report): number | null {
  const count = numberOf(raw, column, textual, report);
  if (count === null || (Number.isInteger(count) && count >= 0 && count <= TOKENS_MAX)) return count;
  report(`${column}: ${count} is no count of tokens`);
  return null;
}

/** A list; in columns its JSON, and in CSV its elements with commas between them. */
function keysOf(value: Json, form: OwnForm): Json[] {
  if (Array.isArray(value)) return value;
  if (typeof value !== 'string' || value === '') return [];
  if (form === 'text') return value.split(',');
  try {
    return keysOf(JSON.parse(value) as Json, 'maps');
  } catch {
    return [];
  }
}

function categoryOf(event: string): string | null {
  return events.definition(event)?.category ?? null;
}

/** A cell as the number or boolean whose text it is, else as text; null for an empty one. */
function cellOf(value: Json): Json {
  if (typeof value !== 'string') return value;
  if (value === '') return null;
  const code = value.charCodeAt(0);
  if ((code >= 0x30 && code <= 0x39) || code === 0x2d) {
    if (value === '-0') return -0;
    const number = Number(value);
    return Number.isFinite(number) && String(number) === value ? number : value;
  }
  return value === 'true' ? true : value === 'false' ? false : value;
}

function columnText(value: Json): string | null {
  return value === null || typeof value === 'string' ? value : JSON.stringify(value);
}

/** Equal values, to judge by what an export writes; null and an empty text are written alike only in CSV. */
function sameText(a: Json, b: Json): boolean {
  if (typeof a === 'object' || typeof b === 'object') {
    return a === b || (a !== null && b !== null && JSON.stringify(a) === JSON.stringify(b));
  }
  return Object.is(a, b);
}

function objectOf(value: Json | undefined): Record<string, Json> {
  // With flatten: false, Arrow and Parquet have it as JSON text.
  if (typeof value === 'string') {
    try {
      return objectOf(JSON.parse(value) as Json);
    } catch {
      return {};
    }
  }
  return isObject(value) ? value : {};
}

function isObject(value: Json | undefined): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An empty name is one, but for CSV, where it is none. */
function nameOf(value: Json | undefined, textual: boolean): string | null {
  return value === '' && !textual ? '' : textOrNull(value);
}

function textOrNull(value: Json | undefined): string | null {
  return value === null || value === undefined || value === '' ? null : textOf(value);
}
