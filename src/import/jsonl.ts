/** JSON Lines, streaming: one object a line, values kept as they are, nested arrays and objects included. */

import type { Json } from '../schema/event.js';
import { type ByteChunks, DEFAULT_MAX_RECORD_CHARS, type RawItem, type RecordReader } from './reader.js';
import { decodeUtf8, splitLines } from './text.js';

/** Blank lines are skipped; a line that is not a JSON object comes out as a `BadRecord`. */
export class JsonlReader implements RecordReader {
  readonly columns = null;
  readonly textual = false;
  readonly #chunks: ByteChunks;
  readonly #maxRecordChars: number;

  constructor(chunks: ByteChunks, maxRecordChars = DEFAULT_MAX_RECORD_CHARS) {
    this.#chunks = chunks;
    this.#maxRecordChars = maxRecordChars;
  }

  async *batches(): AsyncGenerator<RawItem[]> {
    for await (const lines of splitLines(decodeUtf8(this.#chunks), this.#maxRecordChars)) {
      const items: RawItem[] = [];
      for (const { line, text } of lines) {
        if (text === null) {
          items.push({
            line,
            record: null,
            error: `the line is longer than ${this.#maxRecordChars} characters`,
          });
        } else if (text.trim() !== '') items.push(parseLine(line, text));
      }
      yield items;
    }
  }
}

function parseLine(line: number, text: string): RawItem {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    return { line, record: null, error: cause instanceof Error ? cause.message : String(cause) };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { line, record: null, error: 'the line is not a JSON object' };
  }
  return { line, record: value, error: null };
}
