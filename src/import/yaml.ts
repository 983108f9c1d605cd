/**
 * A YAML sequence of maps, item by item.
 *
 * The parser of the `yaml` package wants a whole document, so the text is cut where an item of the outermost
 * block sequence begins: a line with `-` at the sequence's own indentation. Nothing inside an item may stand
 * that far left, block and quoted text included, so the cut is exact and memory is bounded by one item. The
 * price: an alias cannot refer to an anchor in another item, and a flow sequence (`[…]`) at the top is refused.
 * The package is imported on first use; who reads no YAML does not load it.
 */

import type { Json } from '../schema/event.js';
import {
  type ByteChunks,
  DEFAULT_MAX_RECORD_CHARS,
  type RawItem,
  type RecordReader,
  setOwn,
} from './reader.js';
import { splitLines, TextDecoding } from './text.js';

/** Comments, blank lines, directives and document marks: they may stand between items. */
const BETWEEN_ITEMS = /^\s*(?:#|$)|^%|^---\s*(?:#|$)|^\.\.\.\s*(?:#|$)/;
const ITEM_START = /^( *)-(?=\s|$)/;

export class YamlReader implements RecordReader {
  readonly columns = null;
  readonly textual = false;
  readonly isOwn = null;
  readonly #chunks: ByteChunks;
  readonly #maxRecordChars: number;

  constructor(chunks: ByteChunks, maxRecordChars = DEFAULT_MAX_RECORD_CHARS) {
    this.#chunks = chunks;
    this.#maxRecordChars = maxRecordChars;
  }

  batches(): AsyncGenerator<RawItem[]> {
    return readYaml(this.#chunks, this.#maxRecordChars);
  }
}

async function* readYaml(chunks: ByteChunks, maxRecordChars: number): AsyncGenerator<RawItem[]> {
  const { parse, YAMLError } = await import('yaml');

  function parseItem(firstLine: number, text: string): RawItem {
    let items: unknown;
    try {
      items = parse(text, { logLevel: 'error', prettyErrors: false });
    } catch (cause) {
      if (!(cause instanceof YAMLError)) throw cause;
      const line = firstLine + text.slice(0, cause.pos[0]).split('\n').length - 1;
      return { line, record: null, error: cause.message };
    }
    const value = toJson(Array.isArray(items) ? items[0] : null);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { line: firstLine, record: null, error: 'the item is not a map' };
    }
    return { line: firstLine, record: value, error: null };
  }

  let indent: string | null = null;
  let firstLine = 0;
  let item: string[] = [];
  let chars = 0;

  function takeItem(): RawItem | null {
    if (firstLine === 0) return null;
    const result: RawItem =
      chars > maxRecordChars
        ? { line: firstLine, record: null, error: `the item is longer than ${maxRecordChars} characters` }
        : parseItem(firstLine, item.join('\n'));
    firstLine = 0;
    item = [];
    chars = 0;
    return result;
  }

  for await (const lines of splitLines(new TextDecoding(chunks).texts(), maxRecordChars)) {
    const items: RawItem[] = [];
    for (const { line, text } of lines) {
      const start = text === null ? null : ITEM_START.exec(text);
      const documentMark = text !== null && /^(?:---|\.\.\.)(?:\s|$)/.test(text);
      if (documentMark || (start !== null && (indent === null || start[1] === indent))) {
        const done = takeItem();
        if (done !== null) items.push(done);
        if (documentMark) indent = null;
      }
      if (start !== null && (indent === null || start[1] === indent)) {
        indent = start[1]!;
        firstLine = line;
      }
      if (firstLine > 0) {
        chars += text === null ? maxRecordChars + 1 : text.length + 1;
        if (text !== null && chars <= maxRecordChars) item.push(text);
        else item = [];
      } else if (text === null || !BETWEEN_ITEMS.test(text)) {
        items.push({ line, record: null, error: 'expected a sequence item ("- key: value")' });
      }
    }
    yield items;
  }
  const last = takeItem();
  if (last !== null) yield [last];
}

/** YAML knows values that JSON does not: infinities and NaN become null, a bigint becomes its digits. */
function toJson(value: unknown): Json {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== 'object' || value === null) return null;
  const result: Record<string, Json> = {};
  for (const [key, inner] of Object.entries(value)) setOwn(result, key, toJson(inner));
  return result;
}
