/** Bytes to text and text to lines, both streaming: no step looks at more than one chunk at a time. */

import { isUtf8 } from 'node:buffer';
import { ConfigError, ImportError } from '../errors.js';
import type { ByteChunks } from './reader.js';

/** Stands for bytes that are not what the encoding has. */
export const REPLACEMENT = '\uFFFD';

const LF = 0x0a;
/** What people most often need, once told that a file is not UTF-8. */
const HINT = "pass its encoding ('windows-1252' for Western Europe, 'utf-16le', 'shift_jis', …)";

/** @returns the name of an encoding as TextDecoder has it @throws ConfigError for one that it has not */
export function checkEncoding(label: unknown): string {
  try {
    if (typeof label === 'string') return new TextDecoder(label).encoding;
  } catch {
    // A RangeError, which does not say what would do.
  }
  throw new ConfigError(
    'encoding',
    "a name that TextDecoder knows, such as 'utf-8' or 'windows-1252'",
    label,
  );
}

/**
 * What a byte order mark says, or, of UTF-16 without one, where its zero bytes are; else UTF-8.
 * @throws ImportError ERR_FILE_ENCODING for UTF-32
 */
export function detectEncoding(head: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (isUtf32(head)) {
    throw new ImportError(
      'ERR_FILE_ENCODING',
      'the text is UTF-32, which cannot be read: write it as UTF-8',
      {
        encoding: 'utf-32',
      },
    );
  }
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be';
  if (head.length < 4) return 'utf-8';
  const zeros = (from: number) => head.every((byte, i) => i % 2 !== from || byte === 0);
  const none = (from: number) => head.every((byte, i) => i % 2 !== from || byte !== 0);
  if (zeros(1) && none(0)) return 'utf-16le';
  return zeros(0) && none(1) ? 'utf-16be' : 'utf-8';
}

/** By its mark, which begins as that of UTF-16 does. */
function isUtf32(head: Uint8Array): boolean {
  const begins = (...bytes: readonly number[]) => bytes.every((byte, i) => head[i] === byte);
  return begins(0xff, 0xfe, 0, 0) || begins(0, 0, 0xfe, 0xff);
}

/** Text of a file. */
export class TextDecoding {
  readonly #chunks: ByteChunks;
  readonly #encoding: string;
  #invalidLine: number | null = null;

  /** @param encoding - as `checkEncoding` returns it */
  constructor(chunks: ByteChunks, encoding = 'utf-8') {
    this.#chunks = chunks;
    this.#encoding = encoding;
  }

  /** The first line, from 1, with bytes that are not of the encoding, as far as is read; null while there is none. */
  get invalidLine(): number | null {
    return this.#invalidLine;
  }

  /**
   * A character split across chunks comes out whole, a byte order mark at the start is dropped, and bytes that are not of
   * the encoding become U+FFFD.
   */
  async *texts(): AsyncGenerator<string> {
    const decoder = new TextDecoder(this.#encoding);
    const validity = this.#encoding === 'utf-8' ? new Utf8Validity() : null;
    for await (const chunk of this.#chunks) {
      this.#invalidLine ??= validity?.check(chunk) ?? null;
      const text = decoder.decode(chunk, { stream: true });
      if (text !== '') yield text;
    }
    this.#invalidLine ??= validity?.end() ?? null;
    const rest = decoder.decode();
    if (rest !== '') yield rest;
  }

  /** @throws ImportError ERR_FILE_ENCODING where a byte was found that is not of the encoding */
  refuseInvalid(): void {
    if (this.#invalidLine === null) return;
    throw new ImportError(
      'ERR_FILE_ENCODING',
      `line ${this.#invalidLine} has bytes that are not ${this.#encoding.toUpperCase()}: ${HINT}`,
      { line: this.#invalidLine, encoding: this.#encoding },
    );
  }

  /** What is wrong with a text, which may hold U+FFFD; null where it is what the file says. */
  complaintOf(text: string): string | null {
    if (this.#invalidLine === null || !text.includes(REPLACEMENT)) return null;
    return `there are bytes that are not ${this.#encoding.toUpperCase()}: ${HINT}`;
  }
}

/** Whether bytes are UTF-8, a chunk at a time. */
class Utf8Validity {
  /** Bytes of a character that the next chunk may complete. */
  #open: Uint8Array = new Uint8Array(0);
  #line = 1;

  /** @returns the line of the first bytes that are no UTF-8, or null */
  check(chunk: Uint8Array): number | null {
    const bytes = this.#open.length === 0 ? chunk : Buffer.concat([this.#open, chunk]);
    const whole = bytes.length - openBytes(bytes);
    const complete = bytes.subarray(0, whole);
    this.#open = bytes.slice(whole);
    if (isUtf8(complete)) {
      this.#line += countLines(complete);
      return null;
    }
    for (let start = 0; start < complete.length; ) {
      const next = complete.indexOf(LF, start);
      const end = next === -1 ? complete.length : next + 1;
      if (!isUtf8(complete.subarray(start, end))) break;
      this.#line += 1;
      start = end;
    }
    return this.#line;
  }

  end(): number | null {
    return this.#open.length === 0 ? null : this.#line;
  }
}

/** How many bytes at the end begin a character of which more bytes are missing. */
function openBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? back : 0;
  }
  return 0;
}

function countLines(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) lines += 1;
  return lines;
}

export interface Line {
  /** From 1. */
  readonly line: number;
  /** Without its line end; null for a line longer than the limit, whose text was not kept. */
  readonly text: string | null;
}

/**
 * Splits at LF or CRLF, and gives the lines of each text together. A last line without a line end counts; an empty
 * rest after the last one does not.
 */
export async function* splitLines(texts: AsyncIterable<string>, maxChars: number): AsyncGenerator<Line[]> {
  let line = 1;
  let head = '';
  let overlong = false;
  const take = (tail: string): Line => {
    const text = head + tail;
    const dropped = overlong || text.length > maxChars;
    head = '';
    overlong = false;
    return { line: line++, text: dropped ? null : text.endsWith('\r') ? text.slice(0, -1) : text };
  };
  for await (const text of texts) {
    const lines: Line[] = [];
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      lines.push(take(text.slice(start, end)));
      start = end + 1;
    }
    head += text.slice(start);
    if (head.length > maxChars) {
      overlong = true;
      head = '';
    }
    yield lines;
  }
  if (head !== '' || overlong) yield [take('')];
}
