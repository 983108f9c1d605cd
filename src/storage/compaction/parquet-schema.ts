/**
 * The columns of a segment as Parquet sees them: those of the Arrow segment in the same order, and `raw`.
 *
 * `raw` has a value where the other columns do not tell exactly what was captured. A latency that is no number is
 * null to everybody else; here are its bits. How a value of `raw` is laid out is said in parquet-rows.
 */
import type { FileColumn, ValueType } from '../../formats/columns/column.js';
import type { ColumnType } from '../../schema/columns.js';
import type { SegmentColumns } from '../segment/format.js';

/** Rows of a row group, at most: what is decoded at once. */
export const GROUP_ROWS = 65_536;
/** Bytes of Arrow batches that go into a row group, unless a single one is larger. */
export const GROUP_BYTES = 16 << 20;

export const RAW = 'raw';

const DECLARED: Readonly<Record<ColumnType, ValueType>> = {
  f64: 'float64',
  i32: 'int32',
  u32: 'uint32',
  bool: 'bool',
  dict: 'text',
};

export function parquetColumns(columns: SegmentColumns): FileColumn[] {
  return [
    column('timestamp', 'timestamp', false),
    column('event', 'text', false),
    column('model', 'text'),
    column('provider', 'text'),
    column('latency_ms', 'float64'),
    column('cost_usd', 'float64'),
    column('prompt_tokens', 'int32'),
    column('completion_tokens', 'int32'),
    column('success', 'bool'),
    column('binding', 'text', false),
    column('flags', 'uint16', false),
    column('payload', 'bytes'),
    ...columns.map(({ name, type }) => column(declaredName(name), DECLARED[type])),
    column(RAW, 'bytes'),
  ];
}

export function declaredName(name: string): string {
  return `metadata_${name}`;
}

function column(name: string, type: ValueType, nullable = true): FileColumn {
  return { name, type, nullable, texts: null, json: false, unit: null };
}
