/**
 * Importing a file: bytes from disk, records from the reader of its format, mapped, into a sink.
 *
 * Streams in bounded memory and keeps no state outside its calls, so any thread may run it, several at once.
 */

import { ConfigError, ImportError, StorageError } from '../errors.js';
import { ArrowReader } from './arrow.js';
import { type CsvOptions, CsvReader } from './csv.js';
import { detectMapping } from './defaults.js';
import { checkFormat, formatOf, type ImportFormat, innerExtension } from './format.js';
import { JsonlReader } from './jsonl.js';
import {
  compileMapping,
  type ImportedRecord,
  type ImportMap,
  type MappingOptions,
  type RecordMapper,
} from './mapping.js';
import { MsgpackReader } from './msgpack.js';
import { type Destination, isOwnExport, type OwnMapper, ownMapper } from './own.js';
import { ParquetReader } from './parquet.js';
import type { RawItem, RecordReader } from './reader.js';
import { type OnBytes, SourceFile } from './source-file.js';
import { YamlReader } from './yaml.js';

export interface ImportFileOptions extends MappingOptions, CsvOptions {
  /**
   * Default: by the first bytes, else by extension (.csv, .tsv, .jsonl, .ndjson, .yaml, .yml, .msgpack, .parquet,
   * .arrow, .arrows, .feather, .ipc), each with .gz or .zst behind it as well.
   */
  format?: ImportFormat;
  /** Targets and expressions; default: `detectMapping` of the columns, or none for our own exports. */
  map?: ImportMap;
}

export interface ImportProgress {
  /** Bytes read from the file so far. */
  bytes: number;
  /** Size of the file; null where it has none, such as a pipe. */
  totalBytes: number | null;
  /** Records handed on so far. */
  rows: number;
}

/**
 * Something in the file that could not be understood, at the line where its record begins; in binary formats `line`
 * is the record's number.
 */
export interface ImportProblem {
  line: number;
  message: string;
  /** True when the whole record was left out; else it was handed on without the part in question. */
  skipped: boolean;
}

export interface ImportSummary {
  /** Records handed to the sink. */
  rows: number;
  /** Records left out. */
  skipped: number;
  /** The first 20 problems, in file order. */
  errors: { line: number; message: string }[];
  /** All problems, those beyond the first 20 included. */
  problems: number;
  bytes: number;
}

const MAX_ERRORS_KEPT = 20;
/** Records looked at to learn the columns of a file without a header. */
const PEEK_RECORDS = 100;

interface Hooks {
  onProblem?: (problem: ImportProblem) => void;
  /** After each chunk of the file. */
  onBytes?: OnBytes;
}

/** What is bound to a file once its columns are known. */
interface BoundMapper {
  readonly map: RecordMapper;
  readonly complete?: OwnMapper['complete'];
}

/**
 * Reads a file and yields its mapped records, some at a time.
 *
 * The columns that expressions may name are the header's for CSV, Arrow and Parquet. JSON Lines, MessagePack and YAML
 * have none: there they are the keys of the first 100 records and those listed in `options.columns`, so that a
 * misspelt name is an error and not a column of nulls.
 *
 * @param into - the experiment that the events go to: what an event of our own exports need not tell
 * @throws StorageError ERR_STORAGE_IO (with cause) when the file cannot be opened or read
 * @throws ImportError ERR_FILE_CORRUPT, ERR_FILE_CHANGED, ERR_UNSUPPORTED_FORMAT; what came before has been yielded
 * @throws ConfigError for a format that is not known, or a map that does not parse or fit the columns
 */
export async function* readMapped(
  path: string,
  options: ImportFileOptions = {},
  hooks: Hooks = {},
  into?: Destination,
): AsyncGenerator<ImportedRecord[]> {
  if (typeof path !== 'string' || path === '') throw new ConfigError('path', 'the path of a file', path);
  checkFormat(options.format);
  // An unusable map is reported before the file is touched.
  compileMapping(options.map ?? {}, options);
  const file = await SourceFile.open(path, hooks.onBytes ?? (() => {}));
  try {
    yield* mapped(openReader(file, options), options, hooks, into);
  } finally {
    await file.close();
  }
}

async function* mapped(
  reader: RecordReader,
  options: ImportFileOptions,
  { onProblem }: Hooks,
  into: Destination | undefined,
): AsyncGenerator<ImportedRecord[]> {
  let mapper: BoundMapper | null = null;
  /** Held until it is known whether it is the last one, where that matters. */
  let held: ImportedRecord | null = null;
  const take = ({ map, complete }: BoundMapper, items: readonly RawItem[]): ImportedRecord[] => {
    const records: ImportedRecord[] = held === null ? [] : [held];
    for (const { line, record, error } of items) {
      const report = (message: string) => onProblem?.({ line, message, skipped: record === null });
      if (error !== null) report(error);
      if (record !== null) records.push(map(record, report));
    }
    held = complete === undefined ? null : (records.pop() ?? null);
    return records;
  };

  let peeked: RawItem[] = [];
  let failure: Error | null = null;
  try {
    for await (const items of reader.batches()) {
      if (mapper !== null) {
        yield take(mapper, items);
        continue;
      }
      peeked = peeked.concat(items);
      if (peeked.length < (reader.columns === null ? PEEK_RECORDS : 1)) continue;
      mapper = bind(reader, peeked, options, into);
      yield take(mapper, peeked);
    }
  } catch (error) {
    if (!(error instanceof ImportError || error instanceof StorageError)) throw error;
    failure = error;
  }
  // What was read is handed on first, whatever has ended the file.
  if (mapper === null && (failure === null || peeked.length > 0)) {
    mapper = bind(reader, peeked, options, into);
    yield take(mapper, peeked);
  }
  if (held !== null) {
    if (failure === null) mapper?.complete?.(held);
    yield [held];
  }
  if (failure !== null) throw failure;
}

function openReader(file: SourceFile, options: ImportFileOptions): RecordReader {
  const format = options.format ?? formatOf(file.path, file.head);
  switch (format) {
    case 'csv':
      return new CsvReader(file.chunks(), csvOptions(file.path, options));
    case 'jsonl':
      return new JsonlReader(file.chunks(), options.maxRecordChars);
    case 'yaml':
      return new YamlReader(file.chunks(), options.maxRecordChars);
    case 'msgpack':
      return new MsgpackReader(file.chunks());
    case 'arrow':
      return new ArrowReader(file.chunks(), file.end());
    case 'parquet':
      return new ParquetReader(file);
  }
}

function bind(
  { columns: named, textual }: RecordReader,
  peeked: readonly RawItem[],
  options: ImportFileOptions,
  into: Destination | undefined,
): BoundMapper {
  const columns = named ?? columnsOfRecords(peeked.slice(0, PEEK_RECORDS), options.columns);
  if (options.map === undefined && isOwnExport(columns) && !MAPPING_OPTIONS.some((key) => key in options)) {
    return ownMapper(columns, textual ? 'text' : named === null ? 'maps' : 'columns', into);
  }
  const map = options.map ?? detectMapping(columns);
  return { map: compileMapping(map, options).bind({ columns, textual }) };
}

/** Who gives one of these wants records understood as any others. */
const MAPPING_OPTIONS = ['rest', 'event', 'timestampUnit', 'timestampOrigin'] as const;

/**
 * Reads a file and hands each mapped record to `sink`, waiting for it where it returns a promise.
 *
 * Bad records and values never end the import; they are counted, and the first 20 described. `onProgress` is
 * called after each 256 KiB of the file and once at the end. What the sink throws ends the import and is
 * passed on, with the file closed.
 *
 * @throws as `readMapped`
 */
export async function importRecords(
  path: string,
  options: ImportFileOptions,
  sink: (record: ImportedRecord) => void | Promise<void>,
  onProgress?: (progress: ImportProgress) => void,
  into?: Destination,
): Promise<ImportSummary> {
  const summary: ImportSummary = { rows: 0, skipped: 0, errors: [], problems: 0, bytes: 0 };
  let totalBytes: number | null = null;
  const hooks: Hooks = {
    onProblem({ line, message, skipped }) {
      summary.problems += 1;
      if (skipped) summary.skipped += 1;
      if (summary.errors.length < MAX_ERRORS_KEPT) summary.errors.push({ line, message });
    },
    onBytes(bytes, total) {
      totalBytes = total;
      // Rows of the chunk just read come after this call, so the count belongs to the bytes before it.
      if (summary.bytes > 0) onProgress?.({ bytes: summary.bytes, totalBytes, rows: summary.rows });
      summary.bytes = bytes;
    },
  };
  for await (const records of readMapped(path, options, hooks, into)) {
    for (const record of records) {
      const pending = sink(record);
      if (pending !== undefined) await pending;
      summary.rows += 1;
    }
  }
  onProgress?.({ bytes: summary.bytes, totalBytes, rows: summary.rows });
  return summary;
}

function csvOptions(path: string, options: ImportFileOptions): CsvOptions {
  const tabs = options.delimiter === undefined && innerExtension(path) === '.tsv';
  return tabs ? { ...options, delimiter: '\t' } : options;
}

function columnsOfRecords(items: readonly RawItem[], declared: readonly string[] = []): string[] {
  const columns = new Set(declared);
  for (const { record } of items) {
    if (record !== null) for (const key of Object.keys(record)) columns.add(key);
  }
  return [...columns];
}
