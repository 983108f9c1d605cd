/** How a CSV file is written, found out from its beginning. */

import { ConfigError, ImportError } from '../../errors.js';
import { isAmbiguousNumber } from '../text-values.js';
import { type CsvDialect, CsvParser, type CsvRow, RFC_4180 } from './parser.js';

/** What a caller may state of a file; what is absent is found out. */
export interface DialectOptions {
  /** One character; `tab` may be written in full. */
  delimiter?: string | undefined;
  /** Before a quote that is data inside a quoted field: another quote, or a backslash. */
  escape?: '"' | '\\' | undefined;
  /** Lines that begin with this character are left out. Default: such as begin with # in front of the header. */
  comment?: string | undefined;
  /** Whether blanks after a delimiter belong to the file. Default: where all delimiters of the header have one. */
  skipBlanks?: boolean | undefined;
  /** What separates the digits of fractions. Default: a comma where fields show it and do not end with it. */
  decimal?: '.' | ',' | undefined;
}

export interface FoundDialect extends CsvDialect {
  readonly decimal: '.' | ',';
  /** Lines in front of the header that are no records: `sep=;`, and comments. */
  readonly skippedLines: number;
}

/** As much of a file as is looked at, in UTF-16 code units. */
export const SAMPLE_CHARS = 64 * 1024;
/** Records of the sample that are looked at. */
const SAMPLE_ROWS = 100;
const DELIMITERS = [',', ';', '\t', '|'];

const SEPARATOR_LINE = /^"?sep=(.)"?\r*\n/i;
const DECIMAL_COMMA = /^[+-]?\d+,\d+(?:[eE][+-]?\d+)?$/;
const DECIMAL_POINT = /^[+-]?\d+\.\d+(?:[eE][+-]?\d+)?$/;
/** Three digits behind a comma may be thousands as well. */
const AMBIGUOUS = /^[+-]?\d{1,3},\d{3}$/;

/** @throws ConfigError for what cannot be */
export function checkDialect(options: DialectOptions): void {
  const { delimiter, escape: escapedBy, comment, decimal } = options;
  if (delimiter !== undefined && !isMark(delimiterOf(delimiter))) {
    throw new ConfigError('delimiter', "one character other than a quote, CR or LF, or 'tab'", delimiter);
  }
  if (escapedBy !== undefined && escapedBy !== '"' && escapedBy !== '\\') {
    throw new ConfigError('escape', 'a quote or a backslash', escapedBy);
  }
  if (comment !== undefined && !isMark(comment)) {
    throw new ConfigError('comment', 'one character other than a quote, CR or LF', comment);
  }
  if (decimal !== undefined && decimal !== '.' && decimal !== ',') {
    throw new ConfigError('decimal', "'.' or ','", decimal);
  }
}

function isMark(mark: unknown): mark is string {
  return typeof mark === 'string' && mark.length === 1 && !'"\r\n'.includes(mark);
}

export function delimiterOf(name: string): string {
  return name === 'tab' || name === '\\t' ? '\t' : name;
}

/**
 * @param sample - the beginning of the file, up to SAMPLE_CHARS, its line ends LF
 * @throws ImportError ERR_UNSUPPORTED_FORMAT where there is one column only because the delimiter is another one
 */
export function findDialect(sample: string, options: DialectOptions = {}): FoundDialect {
  const separator = SEPARATOR_LINE.exec(sample);
  const body = separator === null ? sample : sample.slice(separator[0].length);
  const stated = options.delimiter === undefined ? separator?.[1] : delimiterOf(options.delimiter);
  const candidates = stated === undefined ? DELIMITERS : [stated];
  const [best] = candidates
    .map((delimiter) => judged(body, delimiter, options))
    // A sort is stable: of equals the first candidate is taken.
    .sort((a, b) => b.score - a.score);
  const { dialect, rows, commentLines } = best!;
  if (stated === undefined) refuseOtherDelimiter(rows);
  return {
    ...dialect,
    decimal: options.decimal ?? decimalOf(rows, dialect.delimiter),
    skippedLines: (separator === null ? 0 : 1) + commentLines,
  };
}

interface Judged {
  readonly dialect: CsvDialect;
  readonly rows: readonly string[][];
  readonly commentLines: number;
  /** How well the sample goes with it: the share of like rows, plus a little for more columns. */
  readonly score: number;
}

function judged(sample: string, delimiter: string, options: DialectOptions): Judged {
  const commentLines = options.comment === undefined ? leadingComments(sample, delimiter) : 0;
  const body = afterLines(sample, commentLines);
  const skipsBlanks = options.skipBlanks ?? hasBlanksInHeader(body, delimiter);
  const plain = { ...RFC_4180, delimiter, comment: options.comment ?? null, skipsBlanks };
  const dialect = { ...plain, escape: options.escape ?? (prefersBackslash(body, plain) ? '\\' : '"') };
  const rows = rowsOf(body, dialect).flatMap(({ fields }) => (fields === null ? [] : [fields]));
  const columns = rows[0]?.length ?? 0;
  const alike = rows.filter((fields) => fields.length === columns).length / Math.max(1, rows.length);
  return { dialect, rows, commentLines, score: columns < 2 ? 0 : alike + columns / 1e6 };
}

/** What separates fields that are not quoted: no letter, digit or quote, and nothing that numbers and times have. */
const SEPARATORS = /[^\p{L}\p{N}_"'.+\-/()[\]{}<>=]/gu;

/**
 * Refuses rows of one field in which one character stands as often in at least half of the rows as in the header: that
 * is taken for the delimiter, and what would become of such a file is no record of anybody.
 */
function refuseOtherDelimiter(rows: readonly string[][]): void {
  const [header, ...data] = rows;
  if (header?.length !== 1 || data.length === 0) return;
  const [name = ''] = header;
  for (const mark of new Set(name.trim().match(SEPARATORS))) {
    const times = partsOf(name, mark);
    const alike = data.filter(([field = '']) => partsOf(field, mark) === times).length;
    if (2 * alike < data.length) continue;
    throw new ImportError(
      'ERR_UNSUPPORTED_FORMAT',
      `there is one column with any of , ; tab | as the delimiter, and ${times} with ${JSON.stringify(mark)}: pass the delimiter, or delimiter: ',' for one column`,
      { delimiter: mark },
    );
  }
}

/** Fields of a line with such a delimiter; blanks may be several, as where columns are aligned by them. */
function partsOf(line: string, mark: string): number {
  return mark === ' ' ? line.trim().split(/ +/).length : line.split(mark).length;
}

function rowsOf(text: string, dialect: CsvDialect): CsvRow[] {
  const rows: CsvRow[] = [];
  const parser = new CsvParser(dialect);
  parser.push(text, rows);
  // The sample may end in the midst of a record.
  if (text.length < SAMPLE_CHARS) parser.end(rows);
  return rows.slice(0, SAMPLE_ROWS);
}

/** Lines with # in front of the header, where what follows has another number of fields. */
function leadingComments(sample: string, delimiter: string): number {
  let lines = 0;
  let rest = sample;
  while (rest.startsWith('#')) {
    const end = rest.indexOf('\n');
    if (end === -1) return 0;
    lines += 1;
    rest = rest.slice(end + 1);
  }
  if (lines === 0) return 0;
  const fieldsOf = (line: string) => line.split('\n', 1)[0]!.split(delimiter).length;
  // A header may begin with the mark too, as in `#id,name`.
  return fieldsOf(afterLines(sample, lines - 1)) === fieldsOf(rest) && fieldsOf(rest) > 1 ? lines - 1 : lines;
}

function afterLines(text: string, lines: number): string {
  let at = 0;
  for (let line = 0; line < lines; line++) at = text.indexOf('\n', at) + 1;
  return text.slice(at);
}

/** Whether each delimiter of the first line, of which there is one, has a blank behind it. */
function hasBlanksInHeader(sample: string, delimiter: string): boolean {
  const [first = ''] = sample.split('\n', 1);
  const parts = first.split(delimiter);
  return parts.length > 1 && delimiter !== ' ' && parts.slice(1).every((part) => part.startsWith(' '));
}

/** Whether the sample is whole with backslashes, and is not with doubled quotes. */
function prefersBackslash(sample: string, plain: CsvDialect): boolean {
  if (!sample.includes('\\"')) return false;
  const errors = (dialect: CsvDialect) =>
    rowsOf(sample, dialect).filter(({ error }) => error !== null).length;
  const doubled = errors(plain);
  return doubled > 0 && errors({ ...plain, escape: '\\' }) < doubled;
}

/** A comma where at least one field can be nothing else, and no field has a point for it that is none of thousands. */
function decimalOf(rows: readonly string[][], delimiter: string): '.' | ',' {
  if (delimiter === ',') return '.';
  const fields = rows.slice(1).flat();
  const isClear = fields.some((field) => DECIMAL_COMMA.test(field) && !AMBIGUOUS.test(field));
  const hasPoint = fields.some((field) => DECIMAL_POINT.test(field) && !isAmbiguousNumber(field));
  return isClear && !hasPoint ? ',' : '.';
}

/** A field with a decimal comma, with a point in its place; any other as it is. */
export function withPoint(field: string): string {
  return field.length < 64 && DECIMAL_COMMA.test(field) ? field.replace(',', '.') : field;
}
