/**
 * Importing a file: bytes from disk, records from the reader of its format, mapped, into a sink.
 *
 * Streams in bounded memory and keeps no state outside its calls, so any thread may run it, several at once.
 */

import { checkOptions, type OptionNames } from '../check-options.js';
import { ConfigError, type ImportCode, ImportError, StateError, StorageError } from '../errors.js';
import { ArrowReader } from '../formats/arrow/reader.js';
import { type CsvOptions, CsvReader, checkCsvOptions } from '../formats/csv/reader.js';
import { JsonReader } from '../formats/json/reader.js';
import { MsgpackReader } from '../formats/msgpack/reader.js';
import { ParquetReader } from '../formats/parquet/read/reader.js';
import { DECODE_MS, type ImportReason, type RawItem, type RecordReader } from '../formats/reader.js';
import { checkEncoding, detectEncoding, TextDecoding } from '../formats/text-decoding.js';
import { Pace } from '../pace.js';
import type { Json } from '../schema/event.js';
import { requirePath } from '../system-errors.js';
import { ArchiveReader } from './archive.js';
import { type BoundMapper, bind, columnsOfRecords, PEEK_RECORDS } from './bind.js';
import { checkFormat, formatOf, type ImportFormat, innerExtension } from './format.js';
import { checkManifest, checkManifestUse, type ManifestUse } from './manifest.js';
import {
  compileMapping,
  type ImportedRecord,
  type ImportMap,
  type MappingOptions,
  type ReportProblem,
} from './mapping.js';
import type { Destination } from './own.js';
import { type DecompressionLimits, destroyStream, type OnBytes, SourceFile } from './source-file.js';
import { canonicalMap } from './targets.js';

export interface ImportFileOptions extends MappingOptions, CsvOptions, DecompressionLimits {
  /**
   * Default: by the first bytes, else by extension (.csv, .tsv, .jsonl, .ndjson, .msgpack, .parquet,
   * .arrow, .arrows, .feather, .ipc), each with .gz or .zst behind it as well.
   */
  format?: ImportFormat | undefined;
  /**
   * Targets and expressions. They come on top of what is recognised by the columns' names, as in `detectMapping`, and
   * before it where both name a target. Our own exports need none.
   */
  map?: ImportMap | undefined;
  /** Of text, as TextDecoder names it. Default: UTF-8, or UTF-16 where the file's first bytes show it. */
  encoding?: string | undefined;
  /**
   * 'check' (default): a file with a manifest beside it (`<path>.manifest.json`) is read whole before its first record,
   * and refused where its size or SHA-256 is another. 'ignore': it is read as if there were none.
   */
  manifest?: ManifestUse | undefined;
}

export const IMPORT_OPTIONS: OptionNames<ImportFileOptions> = {
  format: true,
  map: true,
  encoding: true,
  manifest: true,
  rest: true,
  event: true,
  timestampUnit: true,
  dateOrder: true,
  time: true,
  timestampOrigin: true,
  delimiter: true,
  escape: true,
  comment: true,
  skipBlanks: true,
  decimal: true,
  columns: true,
  header: true,
  ragged: true,
  nulls: true,
  maxRecordChars: true,
  maxOutputBytes: true,
  maxRatio: true,
};

export interface ImportProgress {
  /** Bytes read from the file so far. */
  bytes: number;
  /** Size of the file; null where it has none, such as a pipe. */
  totalBytes: number | null;
  /** Records handed on so far. */
  rows: number;
}

export interface ImportProblem {
  /** Where the record begins, from 1; in binary formats the record's number. */
  line: number;
  message: string;
  /** Of several files, the one it is in. */
  path?: string;
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
  errors: ImportProblem[];
  /** All problems, those beyond the first 20 included. */
  problems: number;
  /** The same by reason; only those that there were. */
  reasons: Partial<Record<ImportReason, number>>;
  /** Records that got the time of the import, since none of the file's columns is a time or `time` is 'now'. */
  untimed: number;
  /** Targets of `map` that no record has given anything. */
  unfilled: string[];
  bytes: number;
}

/** Takes a record of a file; `raw` is as the file has it. */
export type RecordSink = (
  record: ImportedRecord,
  raw: Readonly<Record<string, Json>>,
  /** Counts what is wrong with it. */
  report: ReportProblem,
) => void | Promise<void>;

interface MappedRecord {
  readonly record: ImportedRecord;
  readonly raw: Readonly<Record<string, Json>>;
  readonly report: ReportProblem;
}

const MAX_ERRORS_KEPT = 20;
/** Done between two looks at the clock. */
const RECORDS_A_LOOK = 16;

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
  #isReading = false;
  /** All of it has been read. */
  #hasEnded = false;
  #signal: AbortSignal | undefined;
  readonly #pace = new Pace(DECODE_MS);

  private constructor(file: SourceFile, reader: RecordReader, tally: Tally, signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.path = file.path;
    this.#file = file;
    this.#reader = reader;
    this.#batches = reader.batches()[Symbol.asyncIterator]();
    this.#tally = tally;
  }

  /**
   * Opens a file and reads it up to its first record.
   *
   * The columns that expressions may name are the header's for CSV, Arrow and Parquet. JSON Lines and MessagePack
   * have none: there they are the keys of the records and those listed in `options.columns`. A name that the first 100
   * have not is looked for in the others first, so that a misspelt one is an error and not a column of nulls; of a
   * stream, which cannot be read twice, it is told at the end (`unfilled`).
   *
   * @param signal - ends the reading, now and when the file is run; its reason is thrown
   * @throws StorageError ERR_STORAGE_IO (with cause) when the file cannot be opened or read
   * @throws ImportError ERR_FILE_CORRUPT, ERR_FILE_CHANGED, ERR_UNSUPPORTED_FORMAT where there is no record before that;
   *   ERR_MANIFEST_MISMATCH where the manifest beside it does not fit
   * @throws ConfigError for a format that is not known, or a map that does not parse or fit the columns
   */
  static async open(
    from: string | AsyncIterable<Uint8Array>,
    given: ImportFileOptions = {},
    signal?: AbortSignal,
  ): Promise<ImportSource> {
    checkOptions(given, IMPORT_OPTIONS);
    const options = given.map === undefined ? given : { ...given, map: canonicalMap(given.map) };
    const isStream = typeof from === 'object' && from !== null && Symbol.asyncIterator in from;
    if (!isStream && typeof from !== 'string') {
      throw new ConfigError('path', 'the path of a file, or a stream of bytes', from);
    }
    if (!isStream) requirePath('path', from);
    checkFormat(options.format);
    // What cannot be used is reported before the file is touched.
    checkCsvOptions(options);
    if (options.encoding !== undefined) checkEncoding(options.encoding);
    for (const key of ['maxRecordChars', 'maxOutputBytes', 'maxRatio'] as const) {
      const limit = options[key];
      if (limit !== undefined && !(typeof limit === 'number' && limit > 0)) {
        throw new ConfigError(key, 'a number above 0', limit);
      }
    }
    checkSignal(signal);
    signal?.throwIfAborted();
    checkManifestUse(options.manifest);
    compileMapping(options.map ?? {}, options);
    const isVouched = !isStream && options.manifest !== 'ignore' && (await checkManifest(from));
    const tally = new Tally();
    const onBytes: OnBytes = (bytes, totalBytes) => tally.bytes(bytes, totalBytes);
    const file = isStream
      ? await orAborted(SourceFile.ofStream('the stream', from, onBytes, options), signal).catch((error) => {
          destroyStream(from);
          throw error;
        })
      : await SourceFile.open(from, onBytes, options);
    let source: ImportSource | null = null;
    try {
      source = new ImportSource(file, openReader(file, options, isVouched), tally, signal);
      await source.#begin(isStream ? null : from, options, isVouched);
      return source;
    } catch (error) {
      await (source ?? file).close();
      throw error;
    }
  }

  /** Names of its columns; of a file without a header, the keys of its first records. */
  get columns(): readonly string[] {
    return this.#reader.columns ?? columnsOfRecords(this.#items);
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
    sink: RecordSink,
    onProgress?: (progress: ImportProgress) => void,
    into?: Destination,
    signal = this.#signal,
  ): Promise<ImportSummary> {
    this.#signal = signal;
    if (this.#isRun) throw new StateError('ERR_CLOSED', `${this.path} has been read already`);
    this.#isRun = true;
    const { summary } = this.#tally;
    this.#tally.onProgress = onProgress;
    try {
      for await (const records of this.#records(into)) {
        for (const [i, { record, raw, report }] of records.entries()) {
          if (i % RECORDS_A_LOOK === 0 && this.#pace.isDue) await this.#rest();
          const pending = sink(record, raw, report);
          if (pending !== undefined) await pending;
          summary.rows += 1;
          if (record.timestampUs === null) summary.untimed += 1;
        }
      }
    } finally {
      await this.close();
    }
    // Those of a sink come behind the others of their batch.
    summary.errors.sort((a, b) => a.line - b.line);
    this.#tally.progress();
    return summary;
  }

  /** Lets go of the file. Idempotent. */
  async close(): Promise<void> {
    this.#isRun = true;
    this.#items = [];
    const ended = async () => {
      await this.#batches.return?.();
      await this.#file.close();
    };
    // What waits for bytes that may never come is not waited for.
    if (this.#isReading) {
      this.#file.abandon();
      ended().catch(() => {});
    } else await ended();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Reads until the columns are known and a record is there, or to the end.
   * @param from - null for what cannot be read twice
   */
  async #begin(from: string | null, options: ImportFileOptions, isVouched: boolean): Promise<void> {
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
    const { columns, textual, isOwn } = this.#reader;
    // Where the format has no place to say so, the manifest does.
    const marked = isOwn ?? (isVouched ? true : null);
    const shape = { columns, textual, isOwn: marked, hasDecimalCommas: this.#reader.hasDecimalCommas };
    const unknown = compileMapping(options.map ?? {}, options).unknown(
      columnsOfRecords(this.#items, options.columns),
    );
    const missing = new Set(columns === null ? unknown.map(({ column }) => column) : []);
    if (!this.#hasEnded && missing.size > 0) {
      if (from === null) missing.clear();
      else await findLater(from, missing, options, this.#signal);
    }
    this.#bound = bind(shape, this.#items, missing, options);
  }

  #leaveOut(): void {
    for (const item of this.#items) this.#tally.report(item);
    this.#items = [];
  }

  /** Some more items; false at the end, whatever has brought it about. */
  async #readOn(): Promise<boolean> {
    try {
      this.#isReading = true;
      const { done, value } = await orAborted(this.#batches.next(), this.#signal);
      this.#isReading = false;
      // However fast the bytes come, others get their turn.
      if (this.#pace.isDue) await this.#pace.rest();
      if (done === true) {
        this.#hasEnded = true;
        return false;
      }
      this.#items = this.#items.length === 0 ? value : this.#items.concat(value);
      return true;
    } catch (error) {
      if (this.#signal?.aborted !== true) this.#isReading = false;
      // What was read is handed on first.
      if (error instanceof ImportError) this.#failure = located(error, this.path);
      else if (error instanceof StorageError) this.#failure = error;
      else if ((error as NodeJS.ErrnoException).code === 'ERR_STRING_TOO_LONG')
        this.#failure = tooLong(this.path, error);
      else throw error;
      return false;
    }
  }

  async #rest(): Promise<void> {
    await this.#pace.rest();
    this.#signal?.throwIfAborted();
  }

  async *#records(into: Destination | undefined): AsyncGenerator<MappedRecord[]> {
    const { map, complete, unfilled } = this.#bound!(into);
    /** Held until it is known whether it is the last one, where that matters. */
    let held: MappedRecord | null = null;
    do {
      const records: MappedRecord[] = held === null ? [] : [held];
      for (const [i, item] of this.#items.entries()) {
        if (i % RECORDS_A_LOOK === 0 && this.#pace.isDue) await this.#rest();
        const report = this.#tally.report(item);
        if (item.record === null) continue;
        const record = map(item.record, report);
        if (record === null) this.#tally.summary.skipped += 1;
        else records.push({ record, raw: item.record, report });
      }
      this.#items = [];
      held = complete === undefined ? null : (records.pop() ?? null);
      yield records;
    } while (await this.#readOn());
    if (held !== null) {
      if (this.#failure === null) complete?.(held.record);
      yield [held];
    }
    this.#tally.summary.unfilled = unfilled();
    if (this.#failure !== null) throw this.#failure;
  }
}

/** Reads a file as `ImportSource` does, in one go. @throws as `ImportSource.open` and `run` do */
export async function importRecords(
  path: string,
  options: ImportFileOptions,
  sink: RecordSink,
  onProgress?: (progress: ImportProgress) => void,
  into?: Destination,
): Promise<ImportSummary> {
  const source = await ImportSource.open(path, options);
  return source.run(sink, onProgress, into);
}

/**
 * Takes out of `missing` what later records have. Only a map that names what the first ones have not costs this: a
 * misspelt name is an error before anything is imported, however late a right one comes.
 */
async function findLater(
  path: string,
  missing: Set<string>,
  options: ImportFileOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = await SourceFile.open(path, () => {}, options);
  const pace = new Pace(DECODE_MS);
  try {
    for await (const items of openReader(file, options, false).batches()) {
      for (const { record } of items) {
        if (record === null) continue;
        for (const name of missing) if (hasColumn(record, name)) missing.delete(name);
      }
      if (missing.size === 0) return;
      if (pace.isDue) await pace.rest();
      signal?.throwIfAborted();
    }
  } catch (error) {
    // That it ends badly is told when it is imported.
    if (!(error instanceof ImportError)) throw error;
  } finally {
    await file.close();
  }
}

/** Whether a record has the key, or the object that its dots reach into. */
function hasColumn(record: Readonly<Record<string, Json>>, name: string): boolean {
  return Object.hasOwn(record, name) || Object.hasOwn(record, name.split('.', 1)[0]!);
}

/** @throws ConfigError for what is none */
export function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new ConfigError('signal', 'an AbortSignal', signal);
}

/** What comes first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort!);
  }
}

/** What has come of several files. */
export function mergeSummaries(summaries: readonly ImportSummary[]): ImportSummary {
  const merged = emptySummary();
  for (const summary of summaries) {
    for (const key of ['rows', 'skipped', 'problems', 'untimed', 'bytes'] as const)
      merged[key] += summary[key];
    merged.errors.push(...summary.errors.slice(0, MAX_ERRORS_KEPT - merged.errors.length));
    for (const [reason, count] of Object.entries(summary.reasons) as [ImportReason, number][]) {
      merged.reasons[reason] = (merged.reasons[reason] ?? 0) + count;
    }
  }
  const [first, ...others] = summaries.map(({ unfilled }) => unfilled);
  merged.unfilled = (first ?? []).filter((target) => others.every((unfilled) => unfilled.includes(target)));
  return merged;
}

function emptySummary(): ImportSummary {
  return { rows: 0, skipped: 0, errors: [], problems: 0, reasons: {}, untimed: 0, unfilled: [], bytes: 0 };
}

/** What has come of a file so far. */
class Tally {
  readonly summary = emptySummary();
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
  report({ line, record, error, reason = 'unreadable' }: RawItem): ReportProblem {
    const { summary } = this;
    const report: ReportProblem = (message, reason = 'value') => {
      summary.problems += 1;
      summary.reasons[reason] = (summary.reasons[reason] ?? 0) + 1;
      if (summary.errors.length < MAX_ERRORS_KEPT) summary.errors.push({ line, message });
    };
    if (error !== null) report(error, reason);
    // A column that had to be renamed is told of in front of the records, and is none.
    if (record === null && reason !== 'header') summary.skipped += 1;
    return report;
  }
}

function tooLong(path: string, cause: unknown): ImportError {
  const message = `${path}: a value is longer than any text can be here`;
  return new ImportError('ERR_FILE_TOO_LARGE', message, { path }, { cause });
}

/** An error of a reader, which does not know what file its bytes are from. */
function located(error: ImportError, path: string): ImportError {
  if (error.context.path !== undefined) return error;
  const { code, message, context } = error;
  return new ImportError(code as ImportCode, `${path}: ${message}`, { ...context, path }, { cause: error });
}

function openReader(file: SourceFile, options: ImportFileOptions, isVouched: boolean): RecordReader {
  const format = options.format ?? formatOf(file.path, file.head);
  switch (format) {
    case 'csv':
      refuseBinary(file, options);
      return new CsvReader(textOf(file, options), csvOptions(file.path, options), isVouched);
    case 'jsonl':
      return new ArchiveReader(new JsonReader(textOf(file, options), options.maxRecordChars));
    case 'msgpack':
      return new MsgpackReader(file.chunks());
    case 'arrow':
      return new ArrowReader(file.chunks(), file.end(), (bytes) => file.outputMax(bytes));
    case 'parquet':
      return new ParquetReader(file);
  }
}

function textOf(file: SourceFile, { encoding }: ImportFileOptions): TextDecoding {
  return new TextDecoding(
    file.chunks(),
    encoding === undefined ? detectEncoding(file.head) : checkEncoding(encoding),
  );
}

/**
 * Anything at all can be read as CSV, one cell a line: what is no text is better told than taken. Binary files have
 * control characters among their first bytes.
 */
function refuseBinary({ path, head }: SourceFile, { delimiter = ',', encoding }: ImportFileOptions): void {
  const isText = (byte: number) =>
    byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte === delimiter.charCodeAt(0);
  if (encoding !== undefined || detectEncoding(head) !== 'utf-8' || head.every(isText)) return;
  const message = `${path} is no CSV: it begins like a binary file, or like text of another encoding than UTF-8 (pass encoding)`;
  throw new ImportError('ERR_UNSUPPORTED_FORMAT', message, { path, format: 'csv' });
}

function csvOptions(path: string, options: ImportFileOptions): CsvOptions {
  const tabs = options.delimiter === undefined && innerExtension(path) === '.tsv';
  return tabs ? { ...options, delimiter: '\t' } : options;
}
