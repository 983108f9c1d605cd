/**
 * A Parquet file of row groups, whose columns are encoded from typed arrays.
 *
 * hyparquet-writer writes page headers, the footer and Snappy; the pages' values are encoded here, since they are
 * at hand as typed arrays and codes, and the library would take each value as an object of its own.
 */

import type { SchemaElement } from 'hyparquet';
import type { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { FileColumn, ValueType } from '../../columns/column.js';
import type { GatheredRows } from '../../columns/file.js';
import { ChunkWriter } from './chunk.js';
import { type Codec, codecOf, type PageCompression } from './codecs.js';
import { type ParquetLibrary, parquetLibrary } from './library.js';

export interface KeyValue {
  key: string;
  value: string;
}

const ELEMENTS: Readonly<Record<ValueType, Partial<SchemaElement>>> = {
  float64: { type: 'DOUBLE' },
  int64: { type: 'INT64' },
  int32: { type: 'INT32' },
  // Without the logical type that goes with it, which the library writes so that others cannot read the file.
  uint32: { type: 'INT32', converted_type: 'UINT_32' },
  uint16: { type: 'INT32', converted_type: 'UINT_16' },
  timestamp: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MICROS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  },
  bool: { type: 'BOOLEAN' },
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  bytes: { type: 'BYTE_ARRAY' },
};

/**
 * Opens files of these columns.
 * @param createdBy - the program that writes them, as the footer tells it
 * @throws ConfigError for an unknown codec, or one that is not to be had here
 */
export async function parquetFiles(
  columns: readonly FileColumn[],
  compression: PageCompression | undefined,
  createdBy: string,
): Promise<() => ParquetFile> {
  const library = await parquetLibrary();
  const codec = await codecOf(compression, library.snappyCompress);
  return () => new ParquetFile(library, codec, columns, createdBy);
}

export class ParquetFile {
  /** The file's first bytes. */
  readonly head: Uint8Array;
  readonly #columns: readonly FileColumn[];
  readonly #elements: readonly SchemaElement[];
  readonly #sink: ByteWriter;
  readonly #file: ParquetWriter;
  readonly #chunks: ChunkWriter;

  constructor(library: ParquetLibrary, codec: Codec, columns: readonly FileColumn[], createdBy: string) {
    this.#columns = columns;
    this.#elements = columns.map(elementOf);
    this.#sink = new library.ByteWriter();
    this.#file = new library.ParquetWriter({
      writer: this.#sink,
      schema: [{ name: 'event', num_children: columns.length }, ...this.#elements],
      createdBy,
    });
    this.#chunks = new ChunkWriter(this.#sink, codec, library.writePageHeader);
    this.head = Uint8Array.from(this.#written());
  }

  /** A row group; valid until the next call. */
  group({ rows, stages }: GatheredRows): Uint8Array {
    const start = this.#sink.offset;
    const columns = this.#columns.map((column, index) =>
      this.#chunks.write(column, this.#elements[index], stages[index], rows),
    );
    this.#file.row_groups.push({
      columns,
      num_rows: BigInt(rows),
      total_byte_size: columns.reduce(
        (sum, { meta_data }) => sum + (meta_data?.total_uncompressed_size ?? 0n),
        0n,
      ),
      total_compressed_size: BigInt(this.#sink.offset - start),
    });
    this.#file.num_rows += BigInt(rows);
    return this.#written();
  }

  /** The end of the file. */
  footer(metadata: KeyValue[]): Buffer {
    this.#file.kvMetadata = metadata;
    void this.#file.finish();
    const footer = this.#written();
    if (this.#file.row_groups.length === 0) nameNoGroups(footer);
    return footer;
  }

  /** What the library holds, which is forgotten; until it writes again. */
  #written(): Buffer {
    const bytes = Buffer.from(this.#sink.buffer, 0, this.#sink.index);
    this.#sink.index = 0;
    return bytes;
  }
}

function elementOf({ name, type, nullable }: FileColumn): SchemaElement {
  return { ...ELEMENTS[type], repetition_type: nullable ? 'OPTIONAL' : 'REQUIRED', name };
}

/** No rows (field 3), and an empty list of row groups (field 4) whose items have no type. */
const NO_GROUPS = Buffer.from([0x16, 0x00, 0x19, 0x00]);
const STRUCTS = 0x0c;

/** The library says of an empty list no type of its items, for which arrow-rs and others refuse the file. */
function nameNoGroups(footer: Buffer): void {
  const at = footer.indexOf(NO_GROUPS);
  if (at >= 0) footer[at + NO_GROUPS.length - 1] = STRUCTS;
}
