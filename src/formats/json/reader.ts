/**
 * JSON, streaming: an object a line, one after the other, in an array, or printed over many lines.
 *
 * Where one of the first lines is an object, every line is one, and a line that is none costs nothing but itself.
 * Otherwise objects are told apart by their braces; there, one that never ends is the last that can be read.
 */

import type { Json } from '../../schema/event.js';
import { DEFAULT_MAX_RECORD_CHARS, type ImportReason, type RawItem, type RecordReader } from '../reader.js';
import { splitLines, type TextDecoding } from '../text-decoding.js';
import { parseJson } from './text.js';

/** As much of a file as is looked at, in UTF-16 code units and in lines. */
const SAMPLE_CHARS = 64 * 1024;
const SAMPLE_LINES = 100;

/** Blank lines are skipped; what is no JSON object comes out as a `BadRecord`. */
export class JsonReader implements RecordReader {
  readonly columns = null;
  readonly textual = false;
  readonly isOwn = null;
  readonly #text: TextDecoding;
  readonly #maxRecordChars: number;

  constructor(text: TextDecoding, maxRecordChars = DEFAULT_MAX_RECORD_CHARS) {
    this.#text = text;
    this.#maxRecordChars = maxRecordChars;
  }

  /** @throws ImportError ERR_FILE_ENCODING for bytes at the beginning that are not of the encoding */
  async *batches(): AsyncGenerator<RawItem[]> {
    const texts = this.#text.texts();
    let begun = '';
    while (begun.length < SAMPLE_CHARS) {
      const { done, value } = await texts.next();
      if (done === true) break;
      begun += value;
    }
    this.#text.refuseInvalid();
    const rest = joined(begun, texts);
    yield* hasLines(begun) ? this.#lines(rest) : this.#values(rest);
  }

  async *#lines(texts: AsyncIterable<string>): AsyncGenerator<RawItem[]> {
    for await (const lines of splitLines(texts, this.#maxRecordChars)) {
      const items: RawItem[] = [];
      for (const { line, text } of lines) {
        if (text === null) items.push(this.#tooLong(line));
        else if (text.trim() !== '') items.push(...this.#itemsOfLine(text, line));
      }
      yield items;
    }
  }

  #itemsOfLine(text: string, line: number): RawItem[] {
    const item = this.#item(text, line);
    if (item.record !== null) return [item];
    // Several, one after the other?
    const splitter = new ValueSplitter(this.#maxRecordChars);
    const values = [...splitter.push(text), ...splitter.end()];
    const items = values.map((value) => (value.text === null ? item : this.#item(value.text, line)));
    return items.every(({ record }) => record !== null) ? items : [item];
  }

  async *#values(texts: AsyncIterable<string>): AsyncGenerator<RawItem[]> {
    const splitter = new ValueSplitter(this.#maxRecordChars);
    for await (const text of texts) yield splitter.push(text).map((value) => this.#itemOf(value));
    yield splitter.end().map((value) => this.#itemOf(value));
  }

  #itemOf({ line, text, error }: SplitValue): RawItem {
    if (text !== null) return this.#item(text, line);
    return error === null ? this.#tooLong(line) : { line, record: null, error };
  }

  #tooLong(line: number): RawItem {
    const error = `the record is longer than ${this.#maxRecordChars} characters`;
    return { line, record: null, error, reason: 'tooLong' };
  }

  #item(text: string, line: number): RawItem {
    const complaint = this.#text.complaintOf(text);
    if (complaint !== null) return { line, record: null, error: complaint, reason: 'encoding' };
    let value: Json;
    let nonFinite: number;
    try {
      ({ value, nonFinite } = parseJson(text));
    } catch (cause) {
      return { line, record: null, error: cause instanceof Error ? cause.message : String(cause) };
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { line, record: null, error: 'the value is not a JSON object' };
    }
    if (nonFinite === 0) return { line, record: value, error: null };
    const reason: ImportReason = 'nonFinite';
    return {
      line,
      record: value,
      error: `NaN, an infinity or a number beyond a double is null, ${nonFinite} times`,
      reason,
    };
  }
}

async function* joined(begun: string, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  yield begun;
  yield* rest;
}

/** Whether each line is an object: one that is not indented is, or the file does not begin with a brace or bracket. */
function hasLines(sample: string): boolean {
  const begins = sample.trimStart();
  if (begins.startsWith('[')) return false;
  if (!begins.startsWith('{')) return true;
  const lines = begins.split('\n', SAMPLE_LINES);
  return lines.some((line) => line.startsWith('{') && (isValue(line) || line.includes('}{')));
}

function isValue(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch {
    return false;
  }
}

interface SplitValue {
  readonly line: number;
  /** Null for what is too long, or, with an error, for what never ends. */
  readonly text: string | null;
  readonly error: string | null;
}

/** Cuts text into top-level values, or those of one array around them. Looks at each character once. */
class ValueSplitter {
  readonly #maxChars: number;
  /** The value at hand, as far as it stood in texts before. */
  #value = '';
  #isTooLong = false;
  #depth = 0;
  #isInString = false;
  #isInArray = false;
  #arrayLine = 1;
  /** The last character was a backslash inside a string. */
  #isEscaped = false;
  #hasBegun = false;
  #line = 1;
  #valueLine = 1;

  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  push(text: string): SplitValue[] {
    const values: SplitValue[] = [];
    let start = 0;
    for (let at = 0; at < text.length; ) {
      const char = text[at]!;
      if (char === '\n') this.#line += 1;
      if (this.#isInString) {
        const end = this.#endOfString(text, at);
        this.#countLines(text, at + 1, end);
        at = end;
      } else if (!this.#hasBegun) {
        at += 1;
        if (char === ']') this.#isInArray = false;
        if (' \t\r\n,]'.includes(char)) {
          start = at;
        } else if (char === '[' && !this.#isInArray) {
          this.#isInArray = true;
          this.#arrayLine = this.#line;
          start = at;
        } else {
          this.#hasBegun = true;
          this.#valueLine = this.#line;
          start = at - 1;
          if (char === '{' || char === '[') this.#depth = 1;
          else if (char === '"') this.#isInString = true;
        }
      } else if (this.#depth === 0 && ' \t\r\n,]'.includes(char)) {
        // A text, number or word ends at what cannot be part of it.
        values.push(this.#take(text.slice(start, at)));
        start = at;
        if (char === '\n') this.#line -= 1;
      } else {
        at += 1;
        if (char === '"') this.#isInString = true;
        else if (char === '{' || char === '[') this.#depth += 1;
        else if (char === '}' || char === ']') {
          this.#depth -= 1;
          if (this.#depth <= 0) {
            values.push(this.#take(text.slice(start, at)));
            start = at;
          }
        }
      }
    }
    if (this.#hasBegun) this.#keep(text.slice(start));
    return values;
  }

  end(): SplitValue[] {
    if (!this.#hasBegun) return this.#isInArray ? [this.#unclosed()] : [];
    const isOpen = this.#depth > 0 || this.#isInString;
    if (!isOpen) return [this.#take(''), ...(this.#isInArray ? [this.#unclosed()] : [])];
    const lines = this.#line - this.#valueLine;
    const error = `the record that begins on line ${this.#valueLine} never ends; ${lines} more lines were read as part of it`;
    return [{ line: this.#valueLine, text: null, error }];
  }

  #unclosed(): SplitValue {
    const error = `the array that begins on line ${this.#arrayLine} is not closed: records may be missing at the end`;
    return { line: this.#line, text: null, error };
  }

  /** The place behind the string's end, or the text's length where it goes on. */
  #endOfString(text: string, from: number): number {
    let at = this.#isEscaped ? from + 1 : from;
    this.#isEscaped = false;
    for (; at < text.length; at += 1) {
      const char = text[at];
      if (char === '"') {
        this.#isInString = false;
        return at + 1;
      }
      if (char === '\\') at += 1;
    }
    this.#isEscaped = at > text.length;
    return text.length;
  }

  #keep(part: string): void {
    if (this.#isTooLong || this.#value.length + part.length > this.#maxChars) {
      this.#isTooLong = true;
      this.#value = '';
    } else {
      this.#value += part;
    }
  }

  #take(part: string): SplitValue {
    this.#keep(part);
    const value = { line: this.#valueLine, text: this.#isTooLong ? null : this.#value, error: null };
    this.#value = '';
    this.#isTooLong = false;
    this.#hasBegun = false;
    this.#depth = 0;
    return value;
  }

  #countLines(text: string, from: number, to: number): void {
    for (let end = text.indexOf('\n', from); end !== -1 && end < to; end = text.indexOf('\n', end + 1)) {
      this.#line += 1;
    }
  }
}
