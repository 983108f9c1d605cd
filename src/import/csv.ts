/**
 * CSV as RFC 4180 says, streaming.
 *
 * Quoted fields may hold delimiters, line ends and doubled quotes; lines end in LF or CRLF; a lone CR is data.
 * A quote inside an unquoted field is data, as most writers mean it. Blank lines are skipped. The parser is a
 * state machine over whatever text it is given, so a chunk may end anywhere, also between CR and LF or between
 * two quotes.
 */

import { ConfigError } from '../errors.js';
import type { Json } from '../schema/event.js';
import { isOwnExport } from './own.js';
import {
  type ByteChunks,
  blankRecord,
  DEFAULT_MAX_RECORD_CHARS,
  type RawItem,
  type RecordReader,
  setOwn,
} from './reader.js';
import { decodeUtf8 } from './text.js';

export interface CsvOptions {
  /** One character; default a comma. */
  delimiter?: string;
  /** Column names of a file that has no header line. */
  columns?: readonly string[];
  /**
   * A row with too few or too many fields is always reported. `skip` (default) leaves it out, because a
   * missing or stray delimiter puts values under the wrong names; `keep` takes the fields there are, with
   * surplus ones as `column_<n>`.
   */
  ragged?: 'skip' | 'keep';
  /** Longest record kept, in UTF-16 code units; a longer one is reported and skipped. */
  maxRecordChars?: number;
}

/** One physical record: its fields, or what is wrong with it. `line` is where it begins. */
export type CsvRow =
  | { readonly line: number; readonly fields: string[]; readonly error: null }
  | { readonly line: number; readonly fields: null; readonly error: string };

const QUOTE = 0x22;
const LF = 0x0a;
const CR = 0x0d;

const FIELD_START = 0;
const UNQUOTED = 1;
const QUOTED = 2;
/** A quote was read inside a quoted field: it ends the field, or is the first of a doubled pair. */
const AFTER_QUOTE = 3;
/** A CR was read after a closing quote; only LF may follow. */
const AFTER_QUOTE_CR = 4;

/** Push parser: text in, rows out. Holds at most one unfinished record. */
export class CsvParser {
  readonly #delimiter: number;
  readonly #maxRecordChars: number;
  #state = FIELD_START;
  #fields: string[] = [];
  #field = '';
  #chars = 0;
  #line = 1;
  #recordLine = 1;
  #sawQuote = false;
  #error: string | null = null;

  /** @throws ConfigError when the delimiter is not one character, or is a quote, CR or LF */
  constructor(delimiter = ',', maxRecordChars = DEFAULT_MAX_RECORD_CHARS) {
    if (typeof delimiter !== 'string' || delimiter.length !== 1 || '"\r\n'.includes(delimiter)) {
      throw new ConfigError('delimiter', 'one character other than a quote, CR or LF', delimiter);
    }
    this.#delimiter = delimiter.charCodeAt(0);
    this.#maxRecordChars = maxRecordChars;
  }

  /** Reads `text` and appends the records it completes to `rows`. */
  push(text: string, rows: CsvRow[]): void {
    const length = text.length;
    let at = 0;
    while (at < length) {
      switch (this.#state) {
        case FIELD_START:
          if (text.charCodeAt(at) === QUOTE) {
            this.#state = QUOTED;
            this.#sawQuote = true;
            at += 1;
          } else {
            this.#state = UNQUOTED;
          }
          break;
        case UNQUOTED: {
          const start = at;
          let code = -1;
          for (; at < length; at += 1) {
            code = text.charCodeAt(at);
            if (code === this.#delimiter || code === LF) break;
          }
          this.#append(text.slice(start, at));
          if (at === length) break;
          at += 1;
          if (code === LF) {
            if (this.#field.endsWith('\r')) this.#field = this.#field.slice(0, -1);
            this.#endRecord(rows);
          } else {
            this.#endField();
          }
          break;
        }
        case QUOTED: {
          const quote = text.indexOf('"', at);
          const end = quote === -1 ? length : quote;
          const part = text.slice(at, end);
          this.#countLines(part);
          this.#append(part);
          at = end;
          if (quote !== -1) {
            this.#state = AFTER_QUOTE;
            at += 1;
          }
          break;
        }
        case AFTER_QUOTE: {
          const code = text.charCodeAt(at);
          at += 1;
          if (code === QUOTE) {
            this.#append('"');
            this.#state = QUOTED;
          } else if (code === this.#delimiter) {
            this.#endField();
          } else if (code === LF) {
            this.#endRecord(rows);
          } else if (code === CR) {
            this.#state = AFTER_QUOTE_CR;
          } else {
            this.#fail();
          }
          break;
        }
        default:
          if (text.charCodeAt(at) === LF) {
            at += 1;
            this.#endRecord(rows);
          } else {
            this.#fail();
          }
      }
    }
  }

  /** Takes a last record that has no line end. */
  end(rows: CsvRow[]): void {
    if (this.#state === FIELD_START && this.#fields.length === 0) return;
    if (this.#state === QUOTED) this.#error ??= 'a quoted field is never closed';
    if (this.#state === UNQUOTED && this.#field.endsWith('\r')) this.#field = this.#field.slice(0, -1);
    this.#endRecord(rows);
  }

  #fail(): void {
    this.#error ??= 'text follows a closing quote';
    this.#state = UNQUOTED;
  }

  #append(part: string): void {
    this.#chars += part.length;
    if (this.#chars <= this.#maxRecordChars) {
      this.#field += part;
    } else {
      this.#error ??= `the record is longer than ${this.#maxRecordChars} characters`;
      this.#field = '';
      this.#fields = [];
    }
  }

  #endField(): void {
    // A field costs at least its delimiter, so that a line of commas is bounded as well.
    this.#append('');
    this.#chars += 1;
    this.#fields.push(this.#field);
    this.#field = '';
    this.#state = FIELD_START;
  }

  #endRecord(rows: CsvRow[]): void {
    this.#endField();
    const line = this.#recordLine;
    if (this.#error !== null) {
      rows.push({ line, fields: null, error: this.#error });
    } else if (this.#fields.length > 1 || this.#fields[0] !== '' || this.#sawQuote) {
      rows.push({ line, fields: this.#fields, error: null });
    }
    this.#fields = [];
    this.#chars = 0;
    this.#sawQuote = false;
    this.#error = null;
    this.#line += 1;
    this.#recordLine = this.#line;
  }

  #countLines(part: string): void {
    for (let at = part.indexOf('\n'); at !== -1; at = part.indexOf('\n', at + 1)) this.#line += 1;
  }
}

/** Reads CSV bytes as records keyed by the header's names; every value is text. */
export class CsvReader implements RecordReader {
  readonly textual = true;
  readonly #chunks: ByteChunks;
  readonly #options: CsvOptions;
  readonly #parser: CsvParser;
  #columns: readonly string[] | null = null;
  #blank: Readonly<Record<string, Json>> = {};

  constructor(chunks: ByteChunks, options: CsvOptions = {}) {
    this.#chunks = chunks;
    this.#options = options;
    this.#parser = new CsvParser(options.delimiter, options.maxRecordChars);
    if (options.columns !== undefined) this.#setColumns(uniqueNames(options.columns));
  }

  get columns(): readonly string[] | null {
    return this.#columns;
  }

  async *batches(): AsyncGenerator<RawItem[]> {
    for await (const rows of this.#rows()) {
      const items: RawItem[] = [];
      for (const row of rows) {
        // A name of our own exports is what it is, blanks included.
        if (row.fields !== null && this.#columns === null) {
          this.#setColumns(uniqueNames(row.fields, !isOwnExport(row.fields)));
        } else items.push(this.#item(row, this.#columns ?? []));
      }
      yield items;
    }
  }

  #setColumns(columns: readonly string[]): void {
    this.#columns = columns;
    this.#blank = blankRecord(columns);
  }

  async *#rows(): AsyncGenerator<CsvRow[]> {
    for await (const text of decodeUtf8(this.#chunks)) {
      const rows: CsvRow[] = [];
      this.#parser.push(text, rows);
      yield rows;
    }
    const last: CsvRow[] = [];
    this.#parser.end(last);
    yield last;
  }

  #item({ line, fields, error: unreadable }: CsvRow, columns: readonly string[]): RawItem {
    if (fields === null) return { line, record: null, error: unreadable };
    const ragged = fields.length !== columns.length;
    const error = ragged ? `expected ${columns.length} fields, got ${fields.length}` : null;
    if (error !== null && this.#options.ragged !== 'keep') return { line, record: null, error };
    const record: Record<string, Json> = ragged ? {} : { ...this.#blank };
    if (ragged)
      for (const [i, field] of fields.entries()) setOwn(record, columns[i] ?? `column_${i + 1}`, field);
    else for (let i = 0; i < fields.length; i += 1) record[columns[i]!] = fields[i]!;
    return { line, record, error };
  }
}

/**
 * Header names made usable: an empty one becomes `column_<n>`, a repeated one gets `_2`, `_3`, …
 *
 * @param trims - whether blanks around a name belong to the file and not to the name
 */
export function uniqueNames(names: readonly string[], trims = true): string[] {
  const taken = new Set<string>();
  return names.map((given, index) => {
    const trimmed = trims ? given.trim() : given;
    const base = trimmed === '' ? `column_${index + 1}` : trimmed;
    let name = base;
    for (let n = 2; taken.has(name); n += 1) name = `${base}_${n}`;
    taken.add(name);
    return name;
  });
}
