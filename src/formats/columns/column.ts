/** A typed column of an Arrow or Parquet file. */

import type { ValueType } from '../../row/file-columns.js';
import type { TextSet } from './text-set.js';

export type { ValueType };

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
