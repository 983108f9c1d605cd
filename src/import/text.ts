/** Bytes to text and text to lines, both streaming: no step looks at more than one chunk at a time. */

import type { ByteChunks } from './reader.js';

/**
 * Decodes UTF-8; a character split across chunks comes out whole. A byte order mark at the start is dropped,
 * and bytes that are not UTF-8 become U+FFFD.
 */
export async function* decodeUtf8(chunks: ByteChunks): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8');
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    if (text !== '') yield text;
  }
  const rest = decoder.decode();
  if (rest !== '') yield rest;
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
