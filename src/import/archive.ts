/**
 * Archives of experiments as JSON Lines: the first line tells of the experiment, each other one holds an event as
 * `query` returns it. They are read as the lines of an export are.
 */
import { type RawItem, type RecordReader, setOwn } from '../formats/reader.js';
import type { Json } from '../schema/event.js';
import { snakeCase } from '../schema/fields.js';

type Raw = Readonly<Record<string, Json>>;

/** Hands on what another reader reads; of an archive the events. */
export class ArchiveReader implements RecordReader {
  readonly columns = null;
  readonly textual = false;
  readonly isOwn = null;
  readonly #lines: RecordReader;

  constructor(lines: RecordReader) {
    this.#lines = lines;
  }

  async *batches(): AsyncGenerator<readonly RawItem[]> {
    let isArchive: boolean | null = null;
    for await (const items of this.#lines.batches()) {
      const [first] = items;
      if (first !== undefined) isArchive ??= first.record !== null && dataOf(first.record, HEAD) !== null;
      yield isArchive === true ? items.flatMap(eventIn) : items;
    }
  }
}

const HEAD = 'experiment_metadata';

function eventIn(item: RawItem): RawItem[] {
  const { line, record } = item;
  // Of archives that were put behind each other there are several.
  if (record === null || dataOf(record, HEAD) !== null) return record === null ? [item] : [];
  const data = dataOf(record, 'event');
  if (data === null) return [{ line, record: null, error: 'it is no event of an archive' }];
  return [{ ...item, record: exported(data) } as RawItem];
}

/** What stands in a line of a type, and nothing else in the line. */
function dataOf(record: Raw, type: string): Raw | null {
  const { data } = record;
  const isOfType = record.type === type && Object.keys(record).length === 2;
  return isOfType && typeof data === 'object' && data !== null && !Array.isArray(data) ? data : null;
}

/** An event as a line of an export has it. */
function exported({ fields = {}, ...event }: Raw): Record<string, Json> {
  const record: Record<string, Json> = {};
  for (const [key, value] of Object.entries(event)) setOwn(record, snakeCase(key), value);
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return record;
  for (const [key, value] of Object.entries(fields)) {
    const name = snakeCase(key);
    let unique = name;
    for (let n = 2; Object.hasOwn(record, unique); n++) unique = `${name}_${n}`;
    setOwn(record, unique, value);
  }
  return record;
}
