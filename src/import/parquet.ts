/**
 * Parquet, a row group at a time: the columns of one are what is held. hyparquet is imported on first use.
 */

import type { FileMetaData, RowGroup } from 'hyparquet';
import { ImportError, TelemetryError } from '../errors.js';
import type { Json } from '../schema/event.js';
import { isoOf, jsonOf, parsedJson } from './json-value.js';
import { isOwnExport } from './own.js';
import { checkPages } from './parquet-pages.js';
import { blankRecord, type RawItem, type RecordReader } from './reader.js';
import type { SourceFile } from './source-file.js';

/** A row group may have so many values whatever its size, and so many for each of its bytes: runs are short. */
const FREE_VALUES = 2 ** 24;
const VALUES_PER_BYTE_MAX = 1000;
/** So many bytes may come out of a row group whatever its size, and so many out of each of its bytes. */
const FREE_OUTPUT_BYTES = 64 * 1024 * 1024;
const OUTPUT_RATIO_MAX = 250;

/** Records made at a time. */
const RECORDS = 1024;

export class ParquetReader implements RecordReader {
  readonly textual = false;
  columns: readonly string[] | null = null;
  readonly #file: SourceFile;

  constructor(file: SourceFile) {
    this.#file = file;
  }

  /** Compares what a row group says with what it has, before it is believed. @throws RangeError, ImportError */
  async #checkGroup({ columns, num_rows }: RowGroup): Promise<void> {
    const rows = Number(num_rows);
    let bytes = 0;
    let outputBytes = 0;
    for (const { meta_data: column } of columns) {
      if (column === undefined) continue;
      const start = Number(column.dictionary_page_offset || column.data_page_offset);
      const chunk = new Uint8Array(
        await this.#file.slice(start, start + Number(column.total_compressed_size)),
      );
      bytes += chunk.length;
      outputBytes += checkPages(chunk, Number(column.num_values));
    }
    const values = rows * columns.length;
    if (!(values >= 0 && values <= Math.max(FREE_VALUES, VALUES_PER_BYTE_MAX * bytes))) {
      throw this.#tooLarge(`${values} values in ${bytes} bytes`);
    }
    if (outputBytes > Math.max(FREE_OUTPUT_BYTES, OUTPUT_RATIO_MAX * bytes)) {
      throw this.#tooLarge(`${outputBytes} bytes out of ${bytes}`);
    }
  }

  #tooLarge(what: string): ImportError {
    const { path } = this.#file;
    return new ImportError('ERR_FILE_TOO_LARGE', `${path}: a row group says to have ${what}`, { path });
  }

  async *batches(): AsyncGenerator<RawItem[]> {
    const { path, size, compression } = this.#file;
    if (size === null || compression !== null) {
      const message = `${path}: Parquet must be a file of its own, not compressed as a whole and no pipe`;
      throw new ImportError('ERR_UNSUPPORTED_FORMAT', message, { path });
    }
    let records = 0;
    try {
      const [{ parquetMetadataAsync, parquetScan, parquetSchema }, { compressors }] = await Promise.all([
        import('hyparquet'),
        import('./decompress.js'),
      ]);
      const file = {
        byteLength: size,
        slice: (start: number, end = size) => this.#file.slice(start < 0 ? size + start : start, end),
      };
      const metadata = await parquetMetadataAsync(file, { geoparquet: false });
      const elements = parquetSchema(metadata).children.map(({ element }) => element);
      const columns = elements.map(({ name }) => name);
      this.columns = columns;
      const isOwn = isOwnExport(columns);
      const parsers = isOwn ? OWN_PARSERS : PARSERS;
      const jsonColumns = isOwn ? jsonColumnsOf(metadata) : new Set<string>();
      let rowStart = 0;
      for (const group of metadata.row_groups) {
        const range = { rowStart, rowEnd: rowStart + Number(group.num_rows) };
        await this.#checkGroup(group);
        const scan = await parquetScan({
          file,
          metadata,
          ...range,
          compressors,
          parsers,
          geoparquet: false,
          useOffsetIndex: false,
        });
        const values: (readonly [string, ArrayLike<unknown>])[] = [];
        for (const { name: column, converted_type, scale = 0 } of elements) {
          const read = await scan.readColumn({ column, ...range });
          values.push([column, converted_type === 'DECIMAL' ? decimals(read, scale) : read]);
        }
        const rows = range.rowEnd - rowStart;
        for (const [column, { length }] of values) {
          if (length !== rows) throw new RangeError(`column ${column} has ${length} of ${rows} rows`);
        }
        for (let start = 0; start < rows; start += RECORDS) {
          const items = recordsOf(values, jsonColumns, start, Math.min(start + RECORDS, rows), records);
          records += items.length;
          yield items;
        }
        rowStart = range.rowEnd;
        await this.#file.advance(Math.floor((size * rowStart) / Math.max(1, Number(metadata.num_rows))));
      }
      await this.#file.advance(size);
    } catch (cause) {
      if (cause instanceof TelemetryError) throw cause;
      const message = `${path} cannot be read as Parquet behind record ${records}: ${(cause as Error).message}`;
      throw new ImportError('ERR_FILE_CORRUPT', message, { path, records }, { cause });
    }
  }
}

/** Columns of one of our own exports whose values are JSON text. */
function jsonColumnsOf({ key_value_metadata = [] }: FileMetaData): Set<string> {
  const told = parsedJson(key_value_metadata.find(({ key }) => key === 'crucible.columns')?.value ?? null);
  const names = new Set<string>();
  if (!Array.isArray(told)) return names;
  for (const column of told) {
    if (typeof column !== 'object' || column === null || Array.isArray(column)) continue;
    if (column.encoding === 'json' && typeof column.name === 'string') names.add(column.name);
  }
  return names;
}

/** The nearest doubles: hyparquet multiplies by a power of ten, which is off by a little. */
function decimals(values: ArrayLike<unknown>, scale: number): unknown[] {
  const rounded = (value: unknown) =>
    typeof value === 'number' && Math.abs(value) < 1e21 ? Number(value.toFixed(Math.min(scale, 100))) : value;
  return Array.from(values, rounded);
}

function recordsOf(
  columns: readonly (readonly [string, ArrayLike<unknown>])[],
  jsonColumns: ReadonlySet<string>,
  start: number,
  end: number,
  before: number,
): RawItem[] {
  const items: RawItem[] = [];
  const blank = blankRecord(columns.map(([name]) => name));
  for (let row = start; row < end; row++) {
    const record = { ...blank };
    for (const [name, values] of columns) {
      const value = jsonOf(values[row]);
      record[name] = typeof value === 'string' && jsonColumns.has(name) ? parsedJson(value) : value;
    }
    items.push({ line: before + items.length + 1, record, error: null });
  }
  return items;
}

/** A byte order mark belongs to the text, unlike what a TextDecoder thinks. */
const stringFromBytes = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
const jsonFromBytes = (bytes: Uint8Array) => JSON.parse(stringFromBytes(bytes)) as Json;

const PARSERS = {
  stringFromBytes,
  jsonFromBytes,
  timestampFromMilliseconds: (millis: bigint) => isoOf(millis, 1e3),
  timestampFromMicroseconds: (micros: bigint) => isoOf(micros, 1e6),
  timestampFromNanoseconds: (nanos: bigint) => isoOf(nanos, 1e9),
  dateFromDays: (days: number) => isoOf(BigInt(days) * 86_400n, 1)?.slice(0, 10) ?? null,
};
/** Of an event's time, whole microseconds; of nested values, the text that they are written from again. */
const OWN_PARSERS = {
  ...PARSERS,
  jsonFromBytes: stringFromBytes,
  timestampFromMicroseconds: Number,
};
