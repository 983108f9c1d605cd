/**
 * Importing a file: bytes from disk, records from the reader of its format, mapped, into a sink.
 *
 * Streams in bounded memory and keeps no state outside its calls, so any thread may run it, several at once.
 */

import { ConfigError, type ImportCode, ImportError, StateError, StorageError } from '../errors.js';
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
import { SourceFile } from './source-file.js';
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

export interface ImportSummary {
  /** Records handed to the sink. */
  rows: number;
  /** Records left out. */
  skipped: number;
  /**
   * The first 20 problems, in file order, at the line where their record begins; in binary formats `line` is the
   * record's number.
   */
  errors: { line: number; message: string }[];
  /** All problems, those beyond the first 20 included. */
  problems: number;
  bytes: number;
}

const MAX_ERRORS_KEPT = 20;
/** Records looked at to learn the columns of a file without a header. */
const PEEK_RECORDS = 100;

/** What is bound to a file once its columns are known. */
interface BoundMapper {
  readonly map: RecordMapper;
  readonly complete?: OwnMapper['complete'];
}

/**
 * A file to be imported: it is open, it is what it is said to be, the mapping fits, and its first records have been
 * read. Whoever begins something for a file's sake opens it first, and begins nothing where that fails.
 *
 * It is read once, by `run`, which closes it; one that is not wanted after all is closed by `close`.
 */
export class ImportSource implements AsyncDisposable {
  readonly path: string;
  readonly #file: SourceFile;
  readonly #reader: RecordReader;
  readonly #batches: AsyncIterator<readonly RawItem[]>;
  readonly #tally: Tally;
  /** Read, and not handed on yet. */
  #items: readonly RawItem[] = [];
  /** What has ended the file before its end. */
  #failure: Error | null = null;
  #bound: ((into: Destination | undefined) => BoundMapper) | null = null;
  #isRun = false;

  private constructor(file: SourceFile, reader: RecordReader, tally: Tally) {
    this.path = file.path;
    this.#file = file;
    this.#reader = reader;
    this.#batches = reader.batches()[Symbol.asyncIterator]();
    this.#tally = tally;
  }

  /**
   * Opens a file and reads it up to its first record.
   *
   * The columns that expressions may name are the header's for CSV, Arrow and Parquet. JSON Lines, MessagePack and
   * YAML have none: there they are the keys of the first 100 records and those listed in `options.columns`, so that a
   * misspelt name is an error and not a column of nulls.
   *
   * @throws StorageError ERR_STORAGE_IO (with cause) when the file cannot be opened or read
   * @throws ImportError ERR_FILE_CORRUPT, ERR_FILE_CHANGED, ERR_UNSUPPORTED_FORMAT where there is no record before that
   * @throws ConfigError for a format that is not known, or a map that does not parse or fit the columns
   */
  static async open(path: string, options: ImportFileOptions = {}): Promise<ImportSource> {
    if (typeof path !== 'string' || path === '') throw new ConfigError('path', 'the path of a file', path);
    checkFormat(options.format);
    // An unusable map is reported before the file is touched.
    compileMapping(options.map ?? {}, options);
    const tally = new Tally();
    const file = await SourceFile.open(path, (bytes, totalBytes) => tally.bytes(bytes, totalBytes));
    let source: ImportSource | null = null;
    try {
      source = new ImportSource(file, openReader(file, options), tally);
      await source.#begin(options);
      return source;
    } catch (error) {
      await (source ?? file).close();
      throw error;
    }
  }

  /** Whether there is a record that can be understood: known as soon as the file is open. */
  get hasRecords(): boolean {
    return this.#isRun || this.#items.some(({ record }) => record !== null);
  }

  /** Why there is no record; null where there is one. */
  get emptiness(): ImportError | null {
    if (this.hasRecords) return null;
    const { skipped, errors } = this.#tally.summary;
    const first = errors[0];
    const message =
      first === undefined
        ? `${this.path} holds no records`
        : `${this.path}: none of its ${skipped} records can be understood; the first, at ${first.line}: ${first.message}`;
    return new ImportError('ERR_NO_DATA', message, { path: this.path, skipped });
  }

  /**
   * Hands each mapped record to `sink`, waiting for it where it returns a promise, and closes the file.
   *
   * Bad records and values never end the import; they are counted, and the first 20 described. `onProgress` is
   * called after each 256 KiB of the file and once at the end. What the sink throws ends the import and is passed on.
   *
   * @param into - the experiment that the events go to: what an event of our own exports need not tell
   * @throws StorageError, ImportError where the file cannot be read further; what came before has been handed on
   * @throws StateError ERR_CLOSED the second time
   */
  async run(
    sink: (record: ImportedRecord) => void | Promise<void>,
    onProgress?: (progress: ImportProgress) => void,
    into?: Destination,
  ): Promise<ImportSummary> {
    if (this.#isRun) throw new StateError('ERR_CLOSED', `${this.path} has been read already`);
    this.#isRun = true;
    const { summary } = this.#tally;
    this.#tally.onProgress = onProgress;
    try {
      for await (const records of this.#records(into)) {
        for (const record of records) {
          const pending = sink(record);
          if (pending !== undefined) await pending;
          summary.rows += 1;
        }
      }
    } finally {
      await this.close();
    }
    this.#tally.progress();
    return summary;
  }

  /** Lets go of the file. More than once is as good as once. */
  async close(): Promise<void> {
    this.#isRun = true;
    this.#items = [];
    await this.#batches.return?.();
    await this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Reads until the columns are known and a record is there, or to the end. */
  async #begin(options: ImportFileOptions): Promise<void> {
    const wanted = () => (this.#reader.columns === null ? PEEK_RECORDS : 1);
    while (this.#items.length < wanted() || !this.hasRecords) {
      // However many records cannot be understood, they are not kept.
      if (this.#items.length >= wanted()) this.#leaveOut();
      if (!(await this.#readOn())) break;
    }
    if (!this.hasRecords) {
      this.#leaveOut();
      if (this.#failure !== null) throw this.#failure;
    }
    this.#bound = bind(this.#reader, this.#items, options);
  }

  #leaveOut(): void {
    for (const item of this.#items) this.#tally.report(item);
    this.#items = [];
  }

  /** Some more items; false at the end, whatever has brought it about. */
  async #readOn(): Promise<boolean> {
    try {
      const { done, value } = await this.#batches.next();
      if (done === true) return false;
      this.#items = this.#items.length === 0 ? value : this.#items.concat(value);
      return true;
    } catch (error) {
      // What was read is handed on first.
      if (error instanceof ImportError) this.#failure = located(error, this.path);
      else if (error instanceof StorageError) this.#failure = error;
      else throw error;
      return false;
    }
  }

  async *#records(into: Destination | undefined): AsyncGenerator<ImportedRecord[]> {
    const { map, complete } = this.#bound!(into);
    /** Held until it is known whether it is the last one, where that matters. */
    let held: ImportedRecord | null = null;
    do {
      const records: ImportedRecord[] = held === null ? [] : [held];
      for (const item of this.#items) {
        const report = this.#tally.report(item);
        if (item.record !== null) records.push(map(item.record, report));
      }
      this.#items = [];
      held = complete === undefined ? null : (records.pop() ?? null);
      yield records;
    } while (await this.#readOn());
    if (held !== null) {
      if (this.#failure === null) complete?.(held);
      yield [held];
    }
    if (this.#failure !== null) throw this.#failure;
  }
}

/** Reads a file as `ImportSource` does, in one go. @throws as `ImportSource.open` and `run` do */
export async function importRecords(
  path: string,
  options: ImportFileOptions,
  sink: (record: ImportedRecord) => void | Promise<void>,
  onProgress?: (progress: ImportProgress) => void,
  into?: Destination,
): Promise<ImportSummary> {
  const source = await ImportSource.open(path, options);
  return source.run(sink, onProgress, into);
}

/** What has come of a file so far. */
class Tally {
  readonly summary: ImportSummary = { rows: 0, skipped: 0, errors: [], problems: 0, bytes: 0 };
  onProgress: ((progress: ImportProgress) => void) | undefined;
  #totalBytes: number | null = null;

  bytes(bytes: number, totalBytes: number | null): void {
    this.#totalBytes = totalBytes;
    // Rows of the chunk just read come after this call, so the count belongs to the bytes before it.
    if (this.summary.bytes > 0) this.progress();
    this.summary.bytes = bytes;
  }

  progress(): void {
    const { bytes, rows } = this.summary;
    this.onProgress?.({ bytes, totalBytes: this.#totalBytes, rows });
  }

  /** Counts what is wrong with an item; what it returns counts what else is found to be. */
  report({ line, record, error }: RawItem): (message: string) => void {
    const report = (message: string) => {
      this.summary.problems += 1;
      if (record === null) this.summary.skipped += 1;
      if (this.summary.errors.length < MAX_ERRORS_KEPT) this.summary.errors.push({ line, message });
    };
    if (error !== null) report(error);
    return report;
  }
}

/** An error of a reader, which does not know what file its bytes are from. */
function located(error: ImportError, path: string): ImportError {
  if (error.context.path !== undefined) return error;
  const { code, message, context } = error;
  return new ImportError(code as ImportCode, `${path}: ${message}`, { ...context, path }, { cause: error });
}

function openReader(file: SourceFile, options: ImportFileOptions): RecordReader {
  const format = options.format ?? formatOf(file.path, file.head);
  switch (format) {
    case 'csv':
      refuseBinary(file, options.delimiter);
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

/**
 * Anything at all can be read as CSV, one cell a line: what is no text is better told than taken. Binary files, and
 * UTF-16, have control characters among their first bytes.
 */
function refuseBinary({ path, head }: SourceFile, delimiter = ','): void {
  const isText = (byte: number) =>
    byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte === delimiter.charCodeAt(0);
  if (head.every(isText)) return;
  const message = `${path} is no CSV: it begins like a binary file, or like text that is not UTF-8`;
  throw new ImportError('ERR_UNSUPPORTED_FORMAT', message, { path, format: 'csv' });
}

/** The mapper of a file, once it is known where its events go. @throws ConfigError for a map that does not fit */
function bind(
  { columns: named, textual }: RecordReader,
  peeked: readonly RawItem[],
  options: ImportFileOptions,
): (into: Destination | undefined) => BoundMapper {
  const columns = named ?? columnsOfRecords(peeked, options.columns);
  if (options.map === undefined && isOwnExport(columns) && !MAPPING_OPTIONS.some((key) => key in options)) {
    return (into) => ownMapper(columns, textual ? 'text' : named === null ? 'maps' : 'columns', into);
  }
  const map = compileMapping(options.map ?? detectMapping(columns), options).bind({ columns, textual });
  return () => ({ map });
}

/** Who gives one of these wants records understood as any others. */
const MAPPING_OPTIONS = ['rest', 'event', 'timestampUnit', 'timestampOrigin'] as const;

function csvOptions(path: string, options: ImportFileOptions): CsvOptions {
  const tabs = options.delimiter === undefined && innerExtension(path) === '.tsv';
  return tabs ? { ...options, delimiter: '\t' } : options;
}

function columnsOfRecords(items: readonly RawItem[], declared: readonly string[] = []): string[] {
  const columns = new Set(declared);
  const records = items.filter(({ record }) => record !== null).slice(0, PEEK_RECORDS);
  for (const { record } of records) for (const key of Object.keys(record ?? {})) columns.add(key);
  return [...columns];
}
