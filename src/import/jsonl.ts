/** JSON Lines, streaming: one object a line, values kept as they are, nested arrays and objects included. */

import type { Json } from '../schema/event.js';
import { type ByteChunks, DEFAULT_MAX_RECORD_CHARS, type RawItem } from './reader.js';
import { decodeUtf8, splitLines } from './text.js';

/** Blank lines are skipped; a line that is not a JSON object comes out as a `BadRecord`. */
export async function* readJsonl(
  chunks: ByteChunks,
  maxRecordChars = DEFAULT_MAX_RECORD_CHARS,
): AsyncGenerator<RawItem> {
  for await (const { line, text } of splitLines(decodeUtf8(chunks), maxRecordChars)) {
    if (text === null) {
      yield { line, record: null, error: `the line is longer than ${maxRecordChars} characters` };
    } else if (text.trim() !== '') {
      yield parseLine(line, text);
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
