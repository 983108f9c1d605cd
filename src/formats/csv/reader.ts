/** A CSV file as records keyed by the names of its columns; every value is text. */

import { ConfigError, ImportError } from '../../errors.js';
import type { Json } from '../../schema/event.js';
import { type ColumnNames, uniqueNames } from '../column-names.js';
import { hasOwnColumns, isOwnRow } from '../own-marks.js';
import { blankRecord, COLUMNS_MAX, type RawItem, type RecordReader, setOwn } from '../reader.js';
import type { TextDecoding } from '../text-decoding.js';
import { parseDecimal } from '../text-values.js';
import { parseTimestamp } from '../timestamps.js';
import { checkDialect, type DialectOptions, findDialect, SAMPLE_CHARS, withPoint } from './dialect.js';
import { CsvParser, type CsvRow, RFC_4180 } from './parser.js';

export interface CsvOptions extends DialectOptions {
  /** Column names of a file that has no header line. */
  columns?: readonly string[] | undefined;
  /** Whether the first record names the columns. Default: it does, and one that looks like data is refused. */
  header?: true | undefined;
  /**
   * A row with too few or too many fields is always reported. `skip` (default) leaves it out, because a
   * missing or stray delimiter puts values under the wrong names; `keep` takes the fields there are, with
   * surplus ones as `column_<n>`.
   */
  ragged?: 'skip' | 'keep' | undefined;
  /** Fields that mean that there is no value, besides empty ones. Default: NULL_WORDS. */
  nulls?: readonly string[] | undefined;
  /** Longest record kept, in UTF-16 code units; a longer one is reported and skipped. */
  maxRecordChars?: number | undefined;
}

/** What pandas, R, MySQL and Excel write where there is no value. */
export const NULL_WORDS: readonly string[] = [
  ...[
    'NA',
    'N/A',
    'n/a',
    '#N/A',
    '#NA',
    '<NA>',
    'NaN',
    'nan',
    '-NaN',
    '-nan',
    'None',
    'null',
    'NULL',
    'Null',
    '\\N',
  ],
];
const NULL_WORD_MAX_CHARS = 16;
/** An object, or a list of them. */
const JSON_BEGINS = /^\s*(?:\[\s*)?\{\s*(?:"|\})/;

/** @throws ConfigError for what cannot be */
export function checkCsvOptions(options: CsvOptions): void {
  checkDialect(options);
  const { nulls, ragged, header, columns } = options;
  if (nulls !== undefined && !(Array.isArray(nulls) && nulls.every((word) => typeof word === 'string'))) {
    throw new ConfigError('nulls', 'an array of texts', nulls);
  }
  if (ragged !== undefined && ragged !== 'skip' && ragged !== 'keep') {
    throw new ConfigError('ragged', "'skip' or 'keep'", ragged);
  }
  if (header !== undefined && header !== true) throw new ConfigError('header', 'true, or nothing', header);
  if (columns === undefined) return;
  if (!(Array.isArray(columns) && columns.every((name) => typeof name === 'string'))) {
    throw new ConfigError('columns', 'an array of texts', columns);
  }
  if (header) throw new ConfigError('header', 'nothing where columns name those of a file without', header);
}

export class CsvReader implements RecordReader {
  readonly textual = true;
  readonly #text: TextDecoding;
  readonly #options: CsvOptions;
  /** A manifest says that it is one of our own exports. */
  readonly #vouched: boolean;
  #isOwn = false;
  /** Words that mean null; none in our own exports. */
  #nulls: ReadonlySet<string> = new Set();
  #decimal: '.' | ',' = '.';
  #columns: readonly string[] | null = null;
  #blank: Readonly<Record<string, Json>> = {};

  /**
   * @param vouched - whether something beside the file says that it is one of our own exports
   * @throws ConfigError for options that cannot be
   */
  constructor(text: TextDecoding, options: CsvOptions = {}, vouched = false) {
    checkCsvOptions(options);
    this.#vouched = vouched;
    this.#text = text;
    this.#options = options;
  }

  get columns(): readonly string[] | null {
    return this.#columns;
  }

  get isOwn(): boolean {
    return this.#isOwn;
  }

  get hasDecimalCommas(): boolean {
    return this.#decimal === ',';
  }

  /** @throws ImportError ERR_FILE_ENCODING for bytes at the beginning that are not of the encoding */
  async *batches(): AsyncGenerator<RawItem[]> {
    const texts = this.#text.texts();
    const { text: first, rows: begun } = await gathered(texts);
    this.#text.refuseInvalid();
    const lineEnd = endsInCr(first) ? '\r' : '\n';
    const { parser, skippedLines } = this.#begin(first.slice(0, SAMPLE_CHARS), lineEnd, begun);

    const { columns } = this.#options;
    const items: RawItem[] = columns === undefined ? [] : this.#name(uniqueNames(columns), 1);
    const rows: CsvRow[] = [];
    parser.push(withoutLines(first, skippedLines, lineEnd), rows);
    yield [...items, ...this.#items(rows, skippedLines)];
    for await (const text of texts) {
      const rows: CsvRow[] = [];
      parser.push(text, rows);
      yield this.#items(rows, skippedLines);
    }
    const last: CsvRow[] = [];
    parser.end(last);
    yield this.#items(last, skippedLines);
  }

  /** Decides how the file is written. Our own exports are written one way, and mean what they say. */
  #begin(
    sample: string,
    lineEnd: '\n' | '\r',
    begun: readonly CsvRow[],
  ): { parser: CsvParser; skippedLines: number } {
    const { maxRecordChars, nulls = NULL_WORDS } = this.#options;
    const [header, row] = begun.map(({ fields }) => fields);
    this.#isOwn =
      header != null &&
      hasOwnColumns(header) &&
      (this.#vouched || (row != null && isOwnRow(keyed(header, row))));
    if (this.#isOwn) return { parser: new CsvParser(RFC_4180, maxRecordChars), skippedLines: 0 };
    const withLf = lineEnd === '\r' ? sample.replaceAll('\r', '\n') : sample;
    if (JSON_BEGINS.test(sample)) {
      const message = "the file looks like JSON, and not like CSV: pass format: 'jsonl'";
      throw new ImportError('ERR_UNSUPPORTED_FORMAT', message, { line: 1 });
    }
    const dialect = { ...findDialect(withLf, this.#options), lineEnd };
    this.#decimal = dialect.decimal;
    this.#nulls = new Set(nulls);
    return { parser: new CsvParser(dialect, maxRecordChars), skippedLines: dialect.skippedLines };
  }

  #items(rows: readonly CsvRow[], skippedLines: number): RawItem[] {
    const items: RawItem[] = [];
    for (const row of rows) {
      const line = row.line + skippedLines;
      if (row.fields === null) items.push({ line, record: null, error: row.error });
      else if (this.#columns === null) items.push(...this.#name(this.#headerOf(row.fields, line), line));
      else items.push(this.#item(row.fields, line, this.#columns));
    }
    return items;
  }

  /** @throws ImportError for what looks like data */
  #headerOf(fields: readonly string[], line: number): ColumnNames {
    // A name of our own exports is what it is, blanks included.
    if (this.#isOwn) return uniqueNames(fields, false);
    if (this.#options.header !== true && looksLikeData(fields)) {
      throw new ImportError(
        'ERR_UNSUPPORTED_FORMAT',
        `line ${line} looks like data, and not like names of columns: pass the names (columns: ['timestamp', …]), or header: true if they are names`,
        { line },
      );
    }
    return uniqueNames(fields);
  }

  #name({ names, problems }: ColumnNames, line: number): RawItem[] {
    if (names.length > COLUMNS_MAX) {
      throw new ImportError(
        'ERR_UNSUPPORTED_FORMAT',
        `there are ${names.length} columns, and at most ${COLUMNS_MAX} can be read`,
        { line, columns: names.length },
      );
    }
    this.#columns = names;
    this.#blank = blankRecord(names);
    return problems.map((error) => ({ line, record: null, error, reason: 'header' }));
  }

  #item(fields: string[], line: number, columns: readonly string[]): RawItem {
    if (fields.length > COLUMNS_MAX) {
      const error = `there are ${fields.length} fields, and at most ${COLUMNS_MAX} can be read`;
      return { line, record: null, error, reason: 'tooLong' };
    }
    const ragged = fields.length !== columns.length;
    const error = ragged
      ? `expected ${columns.length} fields, got ${fields.length}${raggedHint(fields, columns)}`
      : null;
    if (error !== null && this.#options.ragged !== 'keep')
      return { line, record: null, error, reason: 'ragged' };
    for (const field of fields) {
      const complaint = this.#text.complaintOf(field);
      if (complaint !== null) return { line, record: null, error: complaint, reason: 'encoding' };
    }
    const record: Record<string, Json> = ragged ? {} : { ...this.#blank };
    if (error !== null) {
      for (const [i, field] of fields.entries())
        setOwn(record, columns[i] ?? `column_${i + 1}`, this.#value(field));
      return { line, record, error, reason: 'ragged' };
    }
    for (let i = 0; i < fields.length; i += 1) record[columns[i]!] = this.#value(fields[i]!);
    return { line, record, error };
  }

  #value(field: string): string | null {
    if (field.length <= NULL_WORD_MAX_CHARS && this.#nulls.has(field)) return null;
    return this.#decimal === ',' ? withPoint(field) : field;
  }
}

/** What may help with a row that has one field more than there are names. */
function raggedHint(fields: readonly string[], columns: readonly string[]): string {
  if (fields.length !== columns.length + 1) return '';
  const where =
    fields.at(-1) === '' ? 'the last field is empty' : 'the first may be a name of the row, as R writes it';
  return ` (${where}: pass columns with a name for each field, or ragged: 'keep')`;
}

/** Whether lines end with CR alone, as in files of old Macs, going by the first line. */
function endsInCr(text: string): boolean {
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') isQuoted = !isQuoted;
    else if (!isQuoted && char === '\n') return false;
    else if (!isQuoted && char === '\r') return !/^\r*\n/.test(text.slice(at, at + 4));
  }
  return false;
}

/**
 * Texts until there are enough to tell how the file is written, and its first rows, if it is one of our own exports:
 * those may be long.
 */
async function gathered(texts: AsyncGenerator<string>): Promise<{ text: string; rows: readonly CsvRow[] }> {
  const parser = new CsvParser(RFC_4180);
  const rows: CsvRow[] = [];
  let text = '';
  const mayBeOwn = () =>
    rows.length === 0 ? text.includes('event_id') : hasOwnColumns(rows[0]!.fields ?? []);
  const isEnough = () => text.length >= SAMPLE_CHARS && (rows.length >= 2 || !mayBeOwn());
  while (!isEnough()) {
    const { done, value } = await texts.next();
    if (done === true) {
      parser.end(rows);
      break;
    }
    text += value;
    if (rows.length < 2) parser.push(value, rows);
  }
  return { text, rows };
}

function keyed(names: readonly string[], fields: readonly string[]): Record<string, Json> {
  return Object.fromEntries(names.map((name, i) => [name, fields[i] ?? null]));
}

function withoutLines(text: string, lines: number, lineEnd: string): string {
  let at = 0;
  for (let line = 0; line < lines; line++) at = text.indexOf(lineEnd, at) + 1;
  return text.slice(at);
}

/** Whether the first record has a time in it, or numbers in at least half of its fields: names of columns have neither. */
function looksLikeData(fields: readonly string[]): boolean {
  const numbers = fields.filter((field) => parseDecimal(field) !== null).length;
  return (
    (numbers > 0 && 2 * numbers >= fields.length) ||
    fields.some((field) => field.length >= 8 && parseTimestamp(field) !== null)
  );
}
