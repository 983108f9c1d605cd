/**
 * CSV as RFC 4180 says and as people write it, streaming.
 *
 * Quoted fields may hold delimiters, line ends and doubled quotes. A line ends in LF, with any number of CR before it; a
 * lone CR is data, but where lines end in CR alone: there it ends them, as LF does. A quote inside an unquoted field is data, as most writers mean it. Blank lines are skipped. The parser
 * is a state machine over whatever text it is given, so a chunk may end anywhere, also between CR and LF or between two
 * quotes.
 *
 * A quote that is opened and not closed as it should be costs its own line: what was read as part of the field is read
 * again from the next line on. No character is read more than twice, since what is read again has no quote before the
 * place where it went wrong.
 */

import { CSV_MAX_RECORD_CHARS } from '../reader.js';

/** How a file is written. */
export interface CsvDialect {
  /** One character. */
  readonly delimiter: string;
  /**
   * What makes a quote inside a quoted field data: another quote, or a backslash before it. A backslash makes data of
   * delimiters, quotes and backslashes in other fields as well.
   */
  readonly escape: '"' | '\\';
  /** Lines that begin with this character are left out; null where there are none. */
  readonly comment: string | null;
  /** Blanks after a delimiter belong to the file and not to the field. */
  readonly skipsBlanks: boolean;
  /** CR where lines end in nothing else. */
  readonly lineEnd: '\n' | '\r';
}

export const RFC_4180: CsvDialect = {
  delimiter: ',',
  escape: '"',
  comment: null,
  skipsBlanks: false,
  lineEnd: '\n',
};

/** One physical record: its fields, or what is wrong with it. `line` is where it begins. */
export type CsvRow =
  | { readonly line: number; readonly fields: string[]; readonly error: null }
  | { readonly line: number; readonly fields: null; readonly error: string };

const QUOTE = 0x22;
const LF = 0x0a;
const CR = 0x0d;
const BLANK = 0x20;
const BACKSLASH = 0x5c;

const FIELD_START = 0;
const UNQUOTED = 1;
const QUOTED = 2;
/** A quote was read inside a quoted field: it ends the field, or is the first of a doubled pair. */
const AFTER_QUOTE = 3;
/** A CR was read after a closing quote; only more of them and LF may follow. */
const AFTER_QUOTE_CR = 4;
/** A backslash was read inside a quoted field. */
const AFTER_BACKSLASH = 5;
const COMMENT = 6;
/** The same in any other field. */
const AFTER_UNQUOTED_BACKSLASH = 7;

/** Push parser: text in, rows out. Holds at most one unfinished record. */
export class CsvParser {
  readonly #delimiter: number;
  readonly #comment: number;
  readonly #skipsBlanks: boolean;
  readonly #escapes: boolean;
  readonly #lineEnd: '\n' | '\r';
  readonly #lineEndCode: number;
  readonly #maxRecordChars: number;
  #state = FIELD_START;
  #fields: string[] = [];
  #field = '';
  #chars = 0;
  #line = 1;
  #recordLine = 1;
  #sawQuote = false;
  #error: string | null = null;
  /** Where in the text at hand the record's second line begins; -1 where the text before it, or none, has that. */
  #secondLineAt = -1;
  /** The record from its second line on, as far as it stood in texts before the one at hand; null on its first line. */
  #again: string | null = null;

  constructor(dialect: CsvDialect = RFC_4180, maxRecordChars = CSV_MAX_RECORD_CHARS) {
    this.#delimiter = dialect.delimiter.charCodeAt(0);
    this.#comment = dialect.comment === null ? -1 : dialect.comment.charCodeAt(0);
    this.#skipsBlanks = dialect.skipsBlanks;
    this.#escapes = dialect.escape === '\\';
    this.#lineEnd = dialect.lineEnd;
    this.#lineEndCode = dialect.lineEnd.charCodeAt(0);
    this.#maxRecordChars = maxRecordChars;
  }

  /** Reads `given` and appends the records it completes to `rows`. */
  push(given: string, rows: CsvRow[]): void {
    const lineEnd = this.#lineEndCode;
    const escapeCode = this.#escapes ? BACKSLASH : -1;
    let text = given;
    let at = 0;
    while (at < text.length) {
      switch (this.#state) {
        case FIELD_START: {
          const code = text.charCodeAt(at);
          if (code === QUOTE) {
            this.#state = QUOTED;
            this.#sawQuote = true;
            at += 1;
          } else if (code === BLANK && this.#skipsBlanks) {
            at += 1;
          } else if (code === this.#comment && this.#fields.length === 0) {
            this.#state = COMMENT;
          } else {
            this.#state = UNQUOTED;
          }
          break;
        }
        case UNQUOTED: {
          const start = at;
          let code = -1;
          for (; at < text.length; at += 1) {
            code = text.charCodeAt(at);
            if (code === this.#delimiter || code === LF || code === lineEnd || code === escapeCode) break;
          }
          this.#append(text.slice(start, at));
          if (at === text.length) break;
          at += 1;
          if (code === escapeCode) {
            this.#state = AFTER_UNQUOTED_BACKSLASH;
          } else if (code === LF || code === lineEnd) {
            this.#field = withoutCr(this.#field);
            this.#endRecord(rows);
          } else {
            this.#endField();
          }
          break;
        }
        case QUOTED: {
          const end = this.#endOfQuoted(text, at);
          this.#takeLines(text, at, end);
          this.#append(text.slice(at, end));
          at = end;
          if (at === text.length) break;
          this.#state = text.charCodeAt(at) === QUOTE ? AFTER_QUOTE : AFTER_BACKSLASH;
          at += 1;
          break;
        }
        case AFTER_BACKSLASH: {
          const code = text.charCodeAt(at);
          // Of anything else the backslash is data.
          this.#append(code === QUOTE || code === BACKSLASH ? text.charAt(at) : `\\${text.charAt(at)}`);
          this.#takeLines(text, at, at + 1);
          this.#state = QUOTED;
          at += 1;
          break;
        }
        case AFTER_UNQUOTED_BACKSLASH: {
          const code = text.charCodeAt(at);
          const isEscaped = code === QUOTE || code === BACKSLASH || code === this.#delimiter;
          this.#append(isEscaped ? text.charAt(at) : '\\');
          if (isEscaped) at += 1;
          this.#state = UNQUOTED;
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
          } else if (code === LF || code === lineEnd) {
            this.#endRecord(rows);
          } else if (code === CR) {
            this.#state = AFTER_QUOTE_CR;
          } else if (code !== BLANK || !this.#skipsBlanks) {
            [text, at] = this.#fail(text, at, rows);
          }
          break;
        }
        case AFTER_QUOTE_CR: {
          const code = text.charCodeAt(at);
          at += 1;
          if (code === LF) this.#endRecord(rows);
          else if (code !== CR) [text, at] = this.#fail(text, at, rows);
          break;
        }
        default: {
          const end = text.indexOf(this.#lineEnd, at);
          at = end === -1 ? text.length : end + 1;
          if (end !== -1) this.#beginRecord(this.#line + 1);
        }
      }
    }
    if (this.#again !== null) {
      this.#again += this.#secondLineAt === -1 ? text : text.slice(this.#secondLineAt);
      if (this.#again.length > this.#maxRecordChars) this.#forget();
    }
    this.#secondLineAt = -1;
  }

  /** Takes a last record that has no line end. */
  end(rows: CsvRow[]): void {
    if (this.#state === QUOTED || this.#state === AFTER_BACKSLASH) {
      const again = this.#again ?? '';
      this.#giveUpQuote(rows, 'is never closed', again === '' ? 0 : lineCount(again, this.#lineEnd));
      // All its quotes are doubled or escaped: it opens none that it does not close.
      this.push(again, rows);
      this.end(rows);
      return;
    }
    if (this.#state === COMMENT || (this.#state === FIELD_START && this.#fields.length === 0)) return;
    if (this.#state === AFTER_UNQUOTED_BACKSLASH) this.#append('\\');
    if (this.#state === UNQUOTED) this.#field = withoutCr(this.#field);
    this.#endRecord(rows);
  }

  /** The place of the next quote, or of the next backslash where that escapes; the text's length where there is none. */
  #endOfQuoted(text: string, from: number): number {
    if (!this.#escapes) {
      const quote = text.indexOf('"', from);
      return quote === -1 ? text.length : quote;
    }
    let at = from;
    while (at < text.length && text.charCodeAt(at) !== QUOTE && text.charCodeAt(at) !== BACKSLASH) at += 1;
    return at;
  }

  /** Counts the line ends of a quoted part, and keeps where the record's second line begins. */
  #takeLines(text: string, from: number, to: number): void {
    const lineEnd = this.#lineEnd;
    for (
      let end = text.indexOf(lineEnd, from);
      end !== -1 && end < to;
      end = text.indexOf(lineEnd, end + 1)
    ) {
      this.#line += 1;
      if (this.#again !== null) continue;
      this.#again = '';
      this.#secondLineAt = end + 1;
    }
  }

  /** Text follows a closing quote. @returns where to read on */
  #fail(text: string, at: number, rows: CsvRow[]): [text: string, at: number] {
    if (this.#again === null) {
      this.#error ??= 'text follows a closing quote';
      this.#state = UNQUOTED;
      return [text, at];
    }
    // A record over the limit was not kept, and cannot be read again.
    if (this.#chars > this.#maxRecordChars) {
      this.#state = UNQUOTED;
      return [text, at];
    }
    const before = this.#again;
    const from = this.#secondLineAt;
    this.#giveUpQuote(rows, 'is not closed before a delimiter or line end', this.#line - this.#recordLine);
    // At most once for each text that is pushed: what is put in front of it is not kept again.
    return from === -1 ? [before + text, 0] : [text, from];
  }

  /** Reports the first line of a record whose quote was opened in vain, and begins anew with its second. */
  #giveUpQuote(rows: CsvRow[], what: string, lines: number): void {
    const line = this.#recordLine;
    const rest =
      lines === 0
        ? ''
        : `; the ${lines} lines after it, read as part of it, are read again as lines of their own`;
    rows.push({
      line,
      fields: null,
      error: this.#error ?? `a quote that opens on line ${line} ${what}${rest}`,
    });
    this.#fields = [];
    this.#field = '';
    this.#beginRecord(line + 1);
  }

  #append(part: string): void {
    this.#chars += part.length;
    if (this.#chars <= this.#maxRecordChars) this.#field += part;
    else this.#forget();
  }

  /** The record is over the limit: it is read to its end and not kept. */
  #forget(): void {
    this.#error ??= `the record is longer than ${this.#maxRecordChars} characters`;
    this.#chars = this.#maxRecordChars + 1;
    this.#field = '';
    this.#fields = [];
    if (this.#again !== null) this.#again = '';
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
    this.#beginRecord(this.#line + 1);
  }

  #beginRecord(line: number): void {
    this.#state = FIELD_START;
    this.#chars = 0;
    this.#sawQuote = false;
    this.#error = null;
    this.#line = line;
    this.#recordLine = line;
    this.#again = null;
    this.#secondLineAt = -1;
  }
}

function withoutCr(field: string): string {
  let end = field.length;
  while (end > 0 && field.charCodeAt(end - 1) === CR) end -= 1;
  return end === field.length ? field : field.slice(0, end);
}

function lineCount(text: string, lineEnd: string): number {
  let lines = text.endsWith(lineEnd) ? 0 : 1;
  for (let end = text.indexOf(lineEnd); end !== -1; end = text.indexOf(lineEnd, end + 1)) lines += 1;
  return lines;
}
