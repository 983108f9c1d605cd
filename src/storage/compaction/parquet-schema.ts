/**
 * The columns of a segment as Parquet sees them: those of the Arrow segment in the same order, and `raw`.
 *
 * `raw` has a value where the other columns do not tell exactly what was captured. A latency that is no number is
 * null to everybody else; here are its bits. How a value of `raw` is laid out is said in parquet-rows.
 */
import type { Encoding, SchemaElement } from 'hyparquet';
import type { ColumnType } from '../../schema/columns.js';
import type { SegmentColumns } from '../segment/format.js';

export interface ParquetColumn {
  readonly element: SchemaElement;
  /** Absent: the writer's choice. */
  readonly encoding?: Encoding;
  /** Least and greatest value of each row group, by which other readers skip row groups. */
  readonly statistics: boolean;
}

/** Rows of a row group, at most: what is decoded at once. */
export const GROUP_ROWS = 65_536;
/** Bytes of Arrow batches that go into a row group, unless a single one is larger. */
export const GROUP_BYTES = 16 << 20;

export const RAW = 'raw';

const TEXT: Pick<SchemaElement, 'type' | 'converted_type' | 'logical_type'> = {
  type: 'BYTE_ARRAY',
  converted_type: 'UTF8',
  logical_type: { type: 'STRING' },
};

const DECLARED: Readonly<
  Record<ColumnType, Omit<ParquetColumn, 'element'> & { type: Partial<SchemaElement> }>
> = {
  f64: { type: { type: 'DOUBLE' }, encoding: 'BYTE_STREAM_SPLIT', statistics: true },
  i32: { type: { type: 'INT32' }, encoding: 'DELTA_BINARY_PACKED', statistics: true },
  // Without the logical type that goes with it, which the library writes so that others cannot read the file.
  u32: {
    type: { type: 'INT32', converted_type: 'UINT_32' },
    encoding: 'DELTA_BINARY_PACKED',
    statistics: true,
  },
  bool: { type: { type: 'BOOLEAN' }, statistics: true },
  dict: { type: TEXT, encoding: 'RLE_DICTIONARY', statistics: true },
};

export function parquetColumns(columns: SegmentColumns): ParquetColumn[] {
  return [
    column(
      'timestamp',
      {
        type: 'INT64',
        converted_type: 'TIMESTAMP_MICROS',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
        repetition_type: 'REQUIRED',
      },
      'DELTA_BINARY_PACKED',
    ),
    column('event', { ...TEXT, repetition_type: 'REQUIRED' }, 'RLE_DICTIONARY'),
    column('model', TEXT, 'RLE_DICTIONARY'),
    column('provider', TEXT, 'RLE_DICTIONARY'),
    column('latency_ms', { type: 'DOUBLE' }, 'BYTE_STREAM_SPLIT'),
    column('cost_usd', { type: 'DOUBLE' }, 'BYTE_STREAM_SPLIT'),
    column('prompt_tokens', { type: 'INT32' }, 'DELTA_BINARY_PACKED'),
    column('completion_tokens', { type: 'INT32' }, 'DELTA_BINARY_PACKED'),
    column('success', { type: 'BOOLEAN' }, undefined, false),
    column('binding', { ...TEXT, repetition_type: 'REQUIRED' }, 'RLE_DICTIONARY', false),
    column(
      'flags',
      { type: 'INT32', converted_type: 'UINT_16', repetition_type: 'REQUIRED' },
      'RLE_DICTIONARY',
      false,
    ),
    column('payload', { type: 'BYTE_ARRAY' }, 'DELTA_LENGTH_BYTE_ARRAY', false),
    ...columns.map(({ name, type }) => {
      const { type: element, encoding, statistics } = DECLARED[type];
      return column(declaredName(name), element, encoding, statistics);
    }),
    column(RAW, { type: 'BYTE_ARRAY' }, undefined, false),
  ];
}

export function declaredName(name: string): string {
  return `metadata_${name}`;
}

function column(
  name: string,
  element: Partial<SchemaElement>,
  encoding?: Encoding,
  statistics = true,
): ParquetColumn {
  return { element: { repetition_type: 'OPTIONAL', ...element, name }, encoding, statistics };
}
