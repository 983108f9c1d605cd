/**
 * Parquet: a row group for every so many rows, whose columns are encoded from typed arrays.
 *
 * hyparquet-writer writes page headers, the footer and Snappy; the pages' values are encoded here, since they are
 * at hand as typed arrays and codes, and the library would take each value as an object of its own.
 */

import type { SchemaElement } from 'hyparquet';
import type { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { schemaMessage } from '../../arrow/schema.js';
import { ConfigError } from '../../errors.js';
import { VERSION } from '../../version.js';
import { arrowField } from '../arrow/fields.js';
import { type ColumnarFile, columnarEncoder } from '../columnar/encoder.js';
import type { RowGatherer } from '../columnar/gatherer.js';
import { fileMetadata, type TypedColumn, typedColumns } from '../columnar/schema.js';
import type { ValueType } from '../columns.js';
import type { EncodeOptions, ExperimentAbout, ExportEncoder, ExportFormatDefinition } from '../encoder.js';
import type { ColumnPlan } from '../plan.js';
import { CHECKSUMS_KEY, FileChecksums } from './checksums.js';
import { ChunkWriter } from './chunk.js';
import { type Codec, codecOf } from './codecs.js';

/** Rows of a row group, if nothing else is said. */
const GROUP_ROWS = 131_072;

export const parquetFormat: ExportFormatDefinition = {
  format: 'parquet',
  extension: 'parquet',
  needsPlan: () => 'texts',
  open: (plan, about, options) => openParquet(plan!, about, options),
};

/** What of hyparquet-writer is used. */
interface Library {
  readonly ByteWriter: typeof ByteWriter;
  readonly ParquetWriter: typeof ParquetWriter;
  readonly writePageHeader: typeof import('hyparquet-writer/src/datapage.js')['writePageHeader'];
}

interface KeyValue {
  key: string;
  value: string;
}

const ELEMENTS: Readonly<Record<ValueType, Partial<SchemaElement>>> = {
  float64: { type: 'DOUBLE' },
  int64: { type: 'INT64' },
  int32: { type: 'INT32' },
  // Without the logical type that goes with it, which the library writes so that others cannot read the file.
  uint32: { type: 'INT32', converted_type: 'UINT_32' },
  timestamp: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MICROS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  },
  bool: { type: 'BOOLEAN' },
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
};

/** @throws ConfigError for `rowGroupRows` or `compression` of no use */
export async function openParquet(
  plan: ColumnPlan,
  about: readonly ExperimentAbout[],
  options: EncodeOptions,
): Promise<ExportEncoder> {
  const { batchRows = GROUP_ROWS, rowGroupRows = batchRows } = options;
  if (!Number.isSafeInteger(rowGroupRows) || rowGroupRows < 1) {
    throw new ConfigError('rowGroupRows', 'a whole number from 1 on', rowGroupRows);
  }
  // Only who writes Parquet needs it.
  const [{ ByteWriter, ParquetWriter }, { writePageHeader }, { snappyCompress }] = await Promise.all([
    import('hyparquet-writer'),
    import('hyparquet-writer/src/datapage.js'),
    import('hyparquet-writer/src/snappy.js'),
  ]);
  const library = { ByteWriter, ParquetWriter, writePageHeader };
  const codec = await codecOf(options.compression, snappyCompress);
  const columns = typedColumns(plan, options);
  return columnarEncoder(
    columns,
    plan,
    rowGroupRows,
    () => new ParquetFile(library, codec, columns, keyValues(columns, about)),
  );
}

class ParquetFile implements ColumnarFile {
  readonly head: Uint8Array;
  readonly #columns: readonly TypedColumn[];
  readonly #elements: readonly SchemaElement[];
  readonly #sink: ByteWriter;
  readonly #file: ParquetWriter;
  readonly #chunks: ChunkWriter;
  readonly #checksums = new FileChecksums();
  readonly #metadata: readonly KeyValue[];

  constructor(
    library: Library,
    codec: Codec,
    columns: readonly TypedColumn[],
    metadata: readonly KeyValue[],
  ) {
    this.#metadata = metadata;
    this.#columns = columns;
    this.#elements = columns.map(elementOf);
    this.#sink = new library.ByteWriter();
    this.#file = new library.ParquetWriter({
      writer: this.#sink,
      schema: [{ name: 'event', num_children: columns.length }, ...this.#elements],
      createdBy: `crucible-telemetry version ${VERSION}`,
    });
    this.#chunks = new ChunkWriter(this.#sink, codec, library.writePageHeader);
    this.head = this.#written().slice();
  }

  batch({ rows, stages }: RowGatherer): Uint8Array {
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
    const group = this.#written();
    this.#checksums.addGroup(group);
    return group;
  }

  end(): Uint8Array {
    this.#file.kvMetadata = [...this.#metadata, { key: CHECKSUMS_KEY, value: this.#checksums.text }];
    void this.#file.finish();
    const footer = this.#written();
    this.#checksums.seal(footer);
    return footer;
  }

  /** What the library holds, which is forgotten; until it writes again. */
  #written(): Uint8Array {
    const bytes = new Uint8Array(this.#sink.buffer, 0, this.#sink.index);
    this.#sink.index = 0;
    return bytes;
  }
}

function elementOf({ name, type, nullable }: TypedColumn): SchemaElement {
  return { ...ELEMENTS[type], repetition_type: nullable ? 'OPTIONAL' : 'REQUIRED', name };
}

/** Besides what all files tell, the schema as Arrow sees it, from which readers take what Parquet has no place for. */
function keyValues(columns: readonly TypedColumn[], about: readonly ExperimentAbout[]): KeyValue[] {
  const metadata = fileMetadata(columns, about);
  // Dictionaries of categories would be Arrow's own: here each row group has its own.
  const fields = columns.map((column, index) => arrowField({ ...column, texts: null }, index));
  const schema = Buffer.from(schemaMessage(fields, metadata)).toString('base64');
  return [
    ...Object.entries(metadata).map(([key, value]) => ({ key, value })),
    { key: 'ARROW:schema', value: schema },
  ];
}
