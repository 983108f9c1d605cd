/** Writing a Parquet file of batches, a row group at a time. */
import { crc32 } from 'node:zlib';
import type { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { Batch } from '../../ring/batch.js';
import { type FileSystem, writeFully } from '../disk/file-system.js';
import type { BatchPlace, SegmentIdentity } from '../segment/format.js';
import { footerEntries, indexText, type ParquetGroup, sealFooter } from './parquet-footer.js';
import { withPageChecksums } from './parquet-page-crc.js';
import { type ColumnValues, type SegmentTexts, valuesOf } from './parquet-rows.js';
import { type ParquetColumn, parquetColumns } from './parquet-schema.js';

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
  // Only who writes Parquet needs it.
  const file = new ParquetFile(files, fd, identity, texts, await import('hyparquet-writer'));
  for await (const group of groups) file.write(group);
  return file.finish();
}

class ParquetFile {
  readonly #files: FileSystem;
  readonly #fd: number;
  readonly #identity: SegmentIdentity;
  readonly #texts: SegmentTexts;
  readonly #columns: readonly ParquetColumn[];
  readonly #sink: ByteWriter;
  readonly #parquet: ParquetWriter;
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
    library: typeof import('hyparquet-writer'),
  ) {
    this.#files = files;
    this.#fd = fd;
    this.#identity = identity;
    this.#texts = texts;
    this.#columns = parquetColumns(identity.columns);
    this.#sink = new library.ByteWriter();
    this.#parquet = new library.ParquetWriter({
      writer: this.#sink,
      schema: [
        { name: 'event', num_children: this.#columns.length },
        ...this.#columns.map(({ element }) => element),
      ],
      codec: 'SNAPPY',
      createdBy: `crucible-telemetry version ${identity.libraryVersion}`,
    });
  }

  write({ batches, places }: RowGroup): void {
    const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
    const values = valuesOf(batches, this.#identity.columns, this.#texts);
    this.#parquet.write({
      rowGroupSize: rows,
      columnData: this.#columns.map((column, i) => ({
        name: column.element.name,
        data: values[i] as never[],
        encoding: isAllNull(values[i]) ? undefined : column.encoding,
        statistics: column.statistics,
        // What these would say stands outside of the row groups, whose checksums cover all of the file.
        offsetIndex: false,
      })),
    });
    const written = this.#section();
    const section = withPageChecksums(written, this.#bytes, this.#parquet.row_groups.at(-1)!);
    // The library goes on behind what was put in.
    this.#sink.offset += section.length - written.length;
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
    this.#parquet.kvMetadata = footerEntries(text);
    this.#parquet.finish();
    const section = this.#section();
    if (this.#groups.length === 0) nameNoGroups(section);
    // Without a row group the file's first bytes have not been written yet.
    sealFooter(section.subarray(this.#groups.length === 0 ? 4 : 0), text);
    this.#append(section);
    return this.#bytes;
  }

  /** What the library has written since the last time; a view that holds until it writes again. */
  #section(): Buffer {
    return Buffer.from(this.#sink.buffer, 0, this.#sink.index);
  }

  #append(section: Buffer): void {
    this.#bytes = writeFully(this.#files, this.#fd, [section], this.#bytes);
    this.#sink.index = 0;
  }
}

/** No rows (field 3), and an empty list of row groups (field 4) whose items have no type. */
const NO_GROUPS = Buffer.from([0x16, 0x00, 0x19, 0x00]);
const STRUCTS = 0x0c;

/** The library says of an empty list no type of its items, for which arrow-rs and others refuse the file. */
function nameNoGroups(footer: Buffer): void {
  const at = footer.indexOf(NO_GROUPS);
  if (at >= 0) footer[at + NO_GROUPS.length - 1] = STRUCTS;
}

/** Such a column has no values to be encoded, and not all readers understand a dictionary of none. */
function isAllNull(values: ColumnValues): boolean {
  return Array.isArray(values) && values.every((value) => value === null);
}
