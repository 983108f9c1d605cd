/** Typed columns as fields of an Arrow schema. */

import { columnMetadata, type FileColumn, type ValueType } from '../columns/column.js';
import { indexBitsOf } from './body.js';
import type { ArrowField, ArrowType } from './schema.js';

const TYPES: Readonly<Record<ValueType, ArrowType>> = {
  float64: { kind: 'float64' },
  int64: { kind: 'int', bits: 64, signed: true },
  int32: { kind: 'int', bits: 32, signed: true },
  uint32: { kind: 'int', bits: 32, signed: false },
  timestamp: { kind: 'timestampUs' },
  uint16: { kind: 'int', bits: 16, signed: false },
  bool: { kind: 'bool' },
  text: { kind: 'utf8' },
  bytes: { kind: 'binary' },
};

/** The schema as Arrow sees it, which a Parquet file tells as well. */
export function arrowField(column: FileColumn, index: number): ArrowField {
  const { name, type, nullable, texts } = column;
  const metadata = columnMetadata(column);
  return {
    name,
    type: TYPES[type],
    nullable,
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    ...(texts === null ? {} : { dictionary: index, indexBits: indexBitsOf(texts.size) }),
  };
}
