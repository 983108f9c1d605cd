/**
 * Parquet, some rows at a time: what is held is a page of each column and what is decoded ahead of it.
 */

import { ImportError, TelemetryError } from '../../../errors.js';
import { Pace } from '../../../pace.js';
import type { Json } from '../../../schema/event.js';
import { uniqueNames } from '../../column-names.js';
import { COLUMNS_KEY, tellsColumns } from '../../own-marks.js';
import { blankRecord, DECODE_MS, type RawItem, type ReachableFile, type RecordReader } from '../../reader.js';
import { parsedJson, recordItem } from '../../values.js';
import { assemble } from './assemble.js';
import { Budget } from './budget.js';
import { sealedGroups, verifyGroup } from './checksums.js';
import { Column } from './column.js';
import { type RowGroup, readMetadata } from './metadata.js';
import type { PageContext } from './pages.js';
import { type Node, readSchema, type Schema } from './schema.js';

/** Records made at a time, fewer where they have many columns. */
const RECORDS_MAX = 1024;
const VALUES = 65_536;
/** Read ahead for all columns together. */
const WINDOWS_BYTES = 16 * 1024 * 1024;
const WINDOW_BYTES_MIN = 4096;
const WINDOW_BYTES_MAX = 256 * 1024;

export class ParquetReader implements RecordReader {
  readonly textual = false;
  columns: readonly string[] | null = null;
  isOwn = false;
  readonly #file: ReachableFile;
  #records = 0;

  constructor(file: ReachableFile) {
    this.#file = file;
  }

  async *batches(): AsyncGenerator<RawItem[]> {
    const { path, size, compression } = this.#file;
    if (size === null || compression !== null) {
      const message = `${path}: Parquet must be a file of its own, not compressed as a whole and no pipe`;
      throw new ImportError('ERR_UNSUPPORTED_FORMAT', message, { path });
    }
    try {
      const metadata = await readMetadata(this.#file, size);
      const plain = readSchema(metadata.schema, false);
      const { names } = uniqueNames(
        plain.columns.map(([name]) => name),
        false,
      );
      this.columns = names;
      const told = metadata.keyValues.get(COLUMNS_KEY);
      this.isOwn = tellsColumns(
        told,
        plain.columns.map(([name]) => name),
      );
      const schema = this.isOwn ? readSchema(metadata.schema, true) : plain;
      const jsonColumns = this.isOwn ? jsonColumnsOf(told) : new Set<string>();
      const sealed = sealedGroups(metadata);
      const columns = schema.columns.map(([, node], i) => ({
        name: names[i],
        node,
        isJson: jsonColumns.has(names[i]),
      }));
      const windowBytes = Math.floor(WINDOWS_BYTES / Math.max(1, schema.leaves.length));
      const context: PageContext = {
        file: this.#file,
        pace: new Pace(DECODE_MS),
        budget: new Budget(size, this.#file.outputMax(size)),
        windowBytes: Math.min(WINDOW_BYTES_MAX, Math.max(WINDOW_BYTES_MIN, windowBytes)),
      };
      const blank = blankRecord(names);
      let index = 0;
      for (const group of metadata.rowGroups()) {
        if (sealed !== null) await verifyGroup(context, sealed[index++]);
        for await (const records of this.#rowsOf(group, schema, columns, blank, context)) yield records;
        await this.#file.advance(Math.max(0, ...group.columns.map(({ end }) => end)));
      }
      await this.#file.advance(size);
    } catch (cause) {
      throw this.#located(cause);
    }
  }

  async *#rowsOf(
    group: RowGroup,
    schema: Schema,
    named: readonly { readonly name: string; readonly node: Node; readonly isJson: boolean }[],
    blank: Readonly<Record<string, Json>>,
    context: PageContext,
  ): AsyncGenerator<RawItem[]> {
    if (group.columns.length !== schema.leaves.length) throw new RangeError('a row group lacks columns');
    if (group.rows > 0 && schema.leaves.length === 0) throw new RangeError('there are rows, and no columns');
    const columns = schema.leaves.map((leaf, i) => {
      const chunk = group.columns[i];
      if (chunk.physicalType !== leaf.physical) throw new RangeError(`column ${leaf.name} has another type`);
      return new Column(context, leaf, chunk);
    });
    const most = Math.max(1, Math.min(RECORDS_MAX, Math.floor(VALUES / Math.max(1, columns.length))));
    for (let left = group.rows; left > 0; ) {
      let rows = Math.min(left, most);
      for (const column of columns) {
        rows = Math.min(rows, await column.fill(rows));
        if (rows === 0) throw new RangeError(`column ${column.leaf.name} has fewer rows than its row group`);
      }
      const items: RawItem[] = [];
      for (let row = 0; row < rows; row++) {
        const record = { ...blank };
        for (const { name, node, isJson } of named) {
          const value = assemble(node, columns);
          record[name] = isJson ? parsedJson(value) : value;
        }
        for (const column of columns) column.endRow();
        items.push(recordItem(this.#records + row + 1, record));
      }
      this.#records += rows;
      left -= rows;
      yield items;
      if (context.pace.isDue) await context.pace.rest();
    }
    for (const column of columns) {
      if ((await column.fill(1)) > 0)
        throw new RangeError(`column ${column.leaf.name} has more rows than its row group`);
    }
  }

  #located(cause: unknown): unknown {
    const { path } = this.#file;
    if (cause instanceof ImportError && cause.context.path === undefined) {
      const { code, message, context } = cause;
      return new ImportError(code as never, `${path}: ${message}`, { ...context, path }, { cause });
    }
    if (cause instanceof TelemetryError || !(cause instanceof RangeError)) return cause;
    const message = `${path} cannot be read as Parquet behind record ${this.#records}: ${cause.message}`;
    return new ImportError('ERR_FILE_CORRUPT', message, { path, records: this.#records }, { cause });
  }
}

/** Columns of one of our own exports whose values are JSON text. */
function jsonColumnsOf(told: string | undefined): Set<string> {
  const columns = parsedJson(told ?? null);
  const names = new Set<string>();
  if (!Array.isArray(columns)) return names;
  for (const column of columns) {
    if (typeof column !== 'object' || column === null || Array.isArray(column)) continue;
    if (column.encoding === 'json' && typeof column.name === 'string') names.add(column.name);
  }
  return names;
}
