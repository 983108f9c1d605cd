/** Typed columns as fields of an Arrow schema. */

import type { ArrowField, ArrowType } from '../../arrow/schema.js';
import { columnMetadata, type TypedColumn } from '../columnar/schema.js';
import type { ValueType } from '../columns.js';
import { indexBitsOf } from './body.js';

const TYPES: Readonly<Record<ValueType, ArrowType>> = {
  float64: { kind: 'float64' },
  int64: { kind: 'int', bits: 64, signed: true },
  int32: { kind: 'int', bits: 32, signed: true },
  uint32: { kind: 'int', bits: 32, signed: false },
  timestamp: { kind: 'timestampUs' },
  bool: { kind: 'bool' },
  text: { kind: 'utf8' },
};

/** The schema as Arrow sees it, which a Parquet file tells as well. */
export function arrowField(column: TypedColumn, index: number): ArrowField {
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
