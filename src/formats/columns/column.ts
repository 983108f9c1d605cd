/** A typed column of an Arrow or Parquet file. */

import type { TextSet } from './text-set.js';

/** timestamp: µs since the Unix epoch, UTC. `uint16` and `bytes` are of compacted segments. */
export type ValueType =
  | 'float64'
  | 'int64'
  | 'int32'
  | 'uint32'
  | 'uint16'
  | 'timestamp'
  | 'bool'
  | 'text'
  | 'bytes';

export interface FileColumn {
  readonly name: string;
  readonly type: ValueType;
  readonly nullable: boolean;
  /** The texts there are, which rows refer to by code; null where they are written out. Only of texts. */
  readonly texts: TextSet | null;
  /** Where the values are JSON text of values that no one type holds. */
  readonly json: boolean;
  readonly unit: string | null;
}

/** What is told of a column beside its type. */
export function columnMetadata({ unit, json }: Pick<FileColumn, 'unit' | 'json'>): Record<string, string> {
  return { ...(unit === null ? {} : { unit }), ...(json ? { encoding: 'json' } : {}) };
}
