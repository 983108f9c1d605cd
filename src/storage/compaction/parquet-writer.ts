/** Writing a Parquet file of batches, a row group at a time. */
import { crc32 } from 'node:zlib';
import type { FileColumn, ValueType } from '../../formats/columns/column.js';
import {
  codeStage,
  FLAG_FALSE,
  FLAG_NULL,
  FLAG_TRUE,
  flagStage,
  numberStage,
  type Stage,
  TextStage,
} from '../../formats/columns/stages.js';
import { TextSet } from '../../formats/columns/text-set.js';
import { type ParquetFile, parquetFiles } from '../../formats/parquet/write/file.js';
import type { Batch } from '../../ring/batch.js';
import { type FileSystem, writeFully } from '../disk/file-system.js';
import type { BatchPlace, SegmentIdentity } from '../segment/format.js';
import { footerEntries, indexText, type ParquetGroup, sealFooter } from './parquet-footer.js';
import { type ColumnValues, type SegmentTexts, valuesOf } from './parquet-rows.js';
import { parquetColumns } from './parquet-schema.js';

/** Batches that become one row group, and where each of them is from. */
export interface RowGroup {
  readonly batches: readonly Batch[];
  /** In the order of the batches. */
  readonly places: readonly BatchPlace[];
}

/**
 * Writes a whole file. It is not synced.
 * @param fd - a new file, which stays the caller's
 * @returns bytes of the file
 * @throws RangeError when rows refer to a text that the dictionaries do not have; and what `files` and `groups` throw
 */
export async function writeParquetFile(
  files: FileSystem,
  fd: number,
  identity: SegmentIdentity,
  texts: SegmentTexts,
  groups: Iterable<RowGroup> | AsyncIterable<RowGroup>,
): Promise<number> {
  const columns = parquetColumns(identity.columns);
  const begin = await parquetFiles(
    columns,
    'snappy',
    `crucible-telemetry version ${identity.libraryVersion}`,
  );
  const file = new CompactedFile(files, fd, identity, texts, columns, begin());
  for await (const group of groups) file.write(group);
  return file.finish();
}

class CompactedFile {
  readonly #files: FileSystem;
  readonly #fd: number;
  readonly #identity: SegmentIdentity;
  readonly #texts: SegmentTexts;
  readonly #columns: readonly FileColumn[];
  readonly #file: ParquetFile;
  readonly #places: BatchPlace[] = [];
  readonly #groups: ParquetGroup[] = [];
  #rows = 0;
  /** Bytes of the file so far. */
  #bytes = 0;

  constructor(
    files: FileSystem,
    fd: number,
    identity: SegmentIdentity,
    texts: SegmentTexts,
    columns: readonly FileColumn[],
    file: ParquetFile,
  ) {
    this.#files = files;
    this.#fd = fd;
    this.#identity = identity;
    this.#texts = texts;
    this.#columns = columns;
    this.#file = file;
  }

  write({ batches, places }: RowGroup): void {
    const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
    const values = valuesOf(batches, this.#identity.columns, this.#texts);
    const stages = this.#columns.map(({ type }, i) => stageOf(type, values[i], rows));
    // The checksum of the first group is over the file's first bytes, too.
    const isFirst = this.#groups.length === 0;
    const group = this.#file.group({ rows, stages });
    const section = isFirst ? Buffer.concat([this.#file.head, group]) : group;
    this.#groups.push({
      offset: this.#bytes,
      bytes: section.length,
      crc: crc32(section),
      firstRow: this.#rows,
      rows,
      firstBatch: this.#places.length,
      batches: batches.length,
    });
    this.#places.push(...places);
    this.#rows += rows;
    this.#append(section);
  }

  /** Writes the footer. @returns bytes of the file */
  finish(): number {
    const { bindings, strings } = this.#texts;
    const text = indexText({
      identity: this.#identity,
      places: this.#places,
      groups: this.#groups,
      bindings,
      strings,
    });
    const footer = this.#file.footer(footerEntries(text));
    sealFooter(footer, text);
    this.#append(this.#groups.length === 0 ? Buffer.concat([this.#file.head, footer]) : footer);
    return this.#bytes;
  }

  #append(section: Uint8Array): void {
    this.#bytes = writeFully(this.#files, this.#fd, [section], this.#bytes);
  }
}

/** A column of values as it is encoded: null is NaN, FLAG_NULL, 0 or no text. */
function stageOf(type: ValueType, values: ColumnValues, rows: number): Stage {
  switch (type) {
    case 'bool': {
      const stage = flagStage(rows);
      for (let row = 0; row < rows; row++) {
        stage.values[row] = values[row] === null ? FLAG_NULL : values[row] === true ? FLAG_TRUE : FLAG_FALSE;
      }
      return { kind: 'flags', stage };
    }
    case 'text': {
      const texts = new TextSet(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
      for (let row = 0; row < rows; row++) if (values[row] !== null) texts.add(values[row] as string);
      const stage = codeStage(rows);
      for (let row = 0; row < rows; row++) {
        stage.values[row] = values[row] === null ? 0 : texts.find(values[row] as string);
      }
      return { kind: 'codes', stage, texts };
    }
    case 'bytes': {
      const stage = new TextStage(rows);
      for (let row = 0; row < rows; row++) {
        const value = values[row] as Uint8Array | null;
        if (value !== null)
          stage.setBytes(row, Buffer.from(value.buffer), value.byteOffset, value.byteOffset + value.length);
      }
      stage.resolve(rows);
      return { kind: 'texts', stage };
    }
    default: {
      const stage = numberStage(rows);
      for (let row = 0; row < rows; row++) stage.values[row] = (values[row] as number | null) ?? Number.NaN;
      return { kind: 'numbers', stage };
    }
  }
}
