/** Parquet as a format of exports: a row group for every so many rows. */

import { ConfigError } from '../errors.js';
import { arrowField } from '../formats/arrow/fields.js';
import { schemaMessage } from '../formats/arrow/schema.js';
import type { ColumnarFile } from '../formats/columns/file.js';
import { CHECKSUMS_KEY, FileChecksums } from '../formats/parquet/write/checksums.js';
import { type KeyValue, type ParquetFile, parquetFiles } from '../formats/parquet/write/file.js';
import { VERSION } from '../version.js';
import { columnarEncoder } from './columnar/encoder.js';
import { fileMetadata, type TypedColumn, typedColumns } from './columnar/schema.js';
import type { EncodeOptions, ExperimentAbout, ExportEncoder, ExportFormatDefinition } from './encoder.js';
import type { ColumnPlan } from './plan.js';

/** Rows of a row group, if nothing else is said. */
const GROUP_ROWS = 131_072;

export const parquetFormat: ExportFormatDefinition = {
  format: 'parquet',
  extension: 'parquet',
  needsPlan: () => 'texts',
  open: (plan, about, options) => openParquet(plan!, about, options),
};

/** @throws ConfigError for an invalid `rowGroupRows` or `compression` */
export async function openParquet(
  plan: ColumnPlan,
  about: readonly ExperimentAbout[],
  options: EncodeOptions,
): Promise<ExportEncoder> {
  const { batchRows = GROUP_ROWS, rowGroupRows = batchRows } = options;
  if (!Number.isSafeInteger(rowGroupRows) || rowGroupRows < 1) {
    throw new ConfigError('rowGroupRows', 'a whole number from 1 on', rowGroupRows);
  }
  const columns = typedColumns(plan, options);
  const begin = await parquetFiles(columns, options.compression, `crucible-telemetry version ${VERSION}`);
  return columnarEncoder(columns, plan, rowGroupRows, () => sealed(begin(), keyValues(columns, about)));
}

/** The file with the checksums of its row groups and of its footer in it. */
function sealed(file: ParquetFile, metadata: readonly KeyValue[]): ColumnarFile {
  const checksums = new FileChecksums();
  return {
    head: file.head,
    batch(rows) {
      const group = file.group(rows);
      checksums.addGroup(group);
      return group;
    },
    end() {
      const footer = file.footer([...metadata, { key: CHECKSUMS_KEY, value: checksums.text }]);
      checksums.seal(footer);
      return footer;
    },
  };
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
