/**
 * Importing a file: bytes from disk, records from the reader of its format, mapped, into a sink.
 *
 * Streams in bounded memory and keeps no state outside its calls, so any thread may run it, several at once.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { extname } from 'node:path';
import { ConfigError, StorageError } from '../errors.js';
import { type CsvOptions, CsvReader } from './csv.js';
import { detectMapping } from './defaults.js';
import { readJsonl } from './jsonl.js';
import {
  compileMapping,
  type ImportedRecord,
  type ImportMap,
  type MappingOptions,
  type RecordMapper,
} from './mapping.js';
import type { RawItem } from './reader.js';
import { readYaml } from './yaml.js';

export type ImportFormat = 'csv' | 'jsonl' | 'yaml';

export interface ImportFileOptions extends MappingOptions, CsvOptions {
  /** Default: by extension (.csv, .tsv, .jsonl, .ndjson, .yaml, .yml). */
  format?: ImportFormat;
  /** Targets and expressions; default: `detectMapping` of the columns. */
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

/** Something in the file that could not be understood, at the line where its record begins. */
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

const READ_CHUNK_BYTES = 256 * 1024;
const MAX_ERRORS_KEPT = 20;
/** Records looked at to learn the columns of a file without a header. */
const PEEK_RECORDS = 100;

const FORMAT_BY_EXTENSION: Readonly<Record<string, ImportFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.yaml': 'yaml',
  '.yml': 'yaml',
};

interface Hooks {
  onProblem?: (problem: ImportProblem) => void;
  /** After each chunk of the file. */
  onBytes?: (bytes: number, totalBytes: number | null) => void;
}

/**
 * Reads a file and yields its mapped records.
 *
 * The columns that expressions may name are the header's for CSV. JSON Lines and YAML have none: there they are
 * the keys of the first 100 records and those listed in `options.columns`, so that a misspelt name is an error
 * and not a column of nulls.
 *
 * @throws StorageError ERR_STORAGE_IO (with cause) when the file cannot be opened or read
 * @throws ConfigError for an unknown extension, or a map that does not parse or fit the columns
 */
export async function* readMapped(
  path: string,
  options: ImportFileOptions = {},
  hooks: Hooks = {},
): AsyncGenerator<ImportedRecord> {
  const format = formatOf(path, options);
  // An unusable map is reported before the file is touched.
  if (options.map !== undefined) compileMapping(options.map, options);
  const chunks = fileChunks(path, hooks.onBytes);
  const csv = format === 'csv' ? new CsvReader(chunks, csvOptions(path, options)) : null;
  const items = csv ?? (format === 'jsonl' ? readJsonl : readYaml)(chunks, options.maxRecordChars);

  let mapper: RecordMapper | null = null;
  const bind = (peeked: readonly RawItem[]): RecordMapper => {
    const columns = csv === null ? columnsOfRecords(peeked, options.columns) : (csv.columns ?? []);
    const source = { columns, textual: csv !== null };
    if (options.map !== undefined) return compileMapping(options.map, options).bind(source);
    const { map, timestampUnit, restRule } = detectMapping(columns);
    const unit = options.timestampUnit ?? timestampUnit;
    return compileMapping(
      map,
      unit === undefined ? options : { ...options, timestampUnit: unit },
      restRule,
    ).bind(source);
  };

  const take = (map: RecordMapper, { line, record, error }: RawItem): ImportedRecord | null => {
    const report = (message: string) => hooks.onProblem?.({ line, message, skipped: record === null });
    if (error !== null) report(error);
    return record === null ? null : map(record, report);
  };

  const peeked: RawItem[] = [];
  const wanted = csv === null ? PEEK_RECORDS : 1;
  for await (const item of items) {
    if (mapper === null) {
      peeked.push(item);
      if (peeked.length < wanted) continue;
      mapper = bind(peeked);
    }
    // The first time round, all that was looked at to bind the mapper; after that, one item.
    const due = peeked.length > 0 ? peeked.splice(0) : [item];
    for (const each of due) {
      const record = take(mapper, each);
      if (record !== null) yield record;
    }
  }
  mapper ??= bind(peeked);
  for (const each of peeked) {
    const record = take(mapper, each);
    if (record !== null) yield record;
  }
}

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
): Promise<ImportSummary> {
  const summary: ImportSummary = { rows: 0, skipped: 0, errors: [], problems: 0, bytes: 0 };
  let totalBytes: number | null = null;
  const records = readMapped(path, options, {
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
  });
  for await (const record of records) {
    const pending = sink(record);
    if (pending !== undefined) await pending;
    summary.rows += 1;
  }
  onProgress?.({ bytes: summary.bytes, totalBytes, rows: summary.rows });
  return summary;
}

function formatOf(path: string, options: ImportFileOptions): ImportFormat {
  if (typeof path !== 'string' || path === '') throw new ConfigError('path', 'the path of a file', path);
  const format: unknown = options.format ?? FORMAT_BY_EXTENSION[extname(path).toLowerCase()];
  if (format !== 'csv' && format !== 'jsonl' && format !== 'yaml') {
    throw new ConfigError('format', "'csv', 'jsonl' or 'yaml', or a file name that ends so", format ?? path);
  }
  return format;
}

function csvOptions(path: string, options: ImportFileOptions): CsvOptions {
  const tabs = options.delimiter === undefined && extname(path).toLowerCase() === '.tsv';
  return tabs ? { ...options, delimiter: '\t' } : options;
}

function columnsOfRecords(items: readonly RawItem[], declared: readonly string[] = []): string[] {
  const columns = new Set(declared);
  for (const { record } of items) {
    if (record !== null) for (const key of Object.keys(record)) columns.add(key);
  }
  return [...columns];
}

/** The file's bytes. The handle is closed when the consumer stops, for whatever reason. */
async function* fileChunks(path: string, onBytes: Hooks['onBytes']): AsyncGenerator<Uint8Array> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(path, 'r');
    const stat = await handle.stat();
    const totalBytes = stat.isFile() ? stat.size : null;
    let bytes = 0;
    for (;;) {
      // A fresh buffer each time: a consumer may still hold the one before.
      const { bytesRead, buffer } = await handle.read(new Uint8Array(READ_CHUNK_BYTES), 0, READ_CHUNK_BYTES);
      if (bytesRead === 0) break;
      bytes += bytesRead;
      onBytes?.(bytes, totalBytes);
      yield buffer.subarray(0, bytesRead);
    }
    if (bytes === 0) onBytes?.(0, totalBytes);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (typeof code !== 'string' || (cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    throw new StorageError('ERR_STORAGE_IO', `cannot read ${path}: ${code}`, { path }, { cause });
  } finally {
    await handle?.close();
  }
}
