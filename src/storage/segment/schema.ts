/** The columns of a segment as Arrow sees them, their buffers and dictionaries. The order is part of the format. */
import type { ArrowField, ArrowType } from '../../formats/arrow/schema.js';
import type { ColumnType } from '../../schema/columns.js';
import type { SegmentColumns } from './format.js';

export const TIMESTAMP = 0;
export const EVENT = 1;
export const MODEL = 2;
export const PROVIDER = 3;
export const LATENCY = 4;
export const COST = 5;
export const PROMPT_TOKENS = 6;
export const COMPLETION_TOKENS = 7;
export const SUCCESS = 8;
export const BINDING = 9;
export const FLAGS = 10;
export const PAYLOAD = 11;
/** The first declared column; the others follow. */
export const DECLARED = 12;

/** Dictionaries by their ids. All declared columns of texts share one, the ring's. */
export const EVENT_DICTIONARY = 0;
export const MODEL_DICTIONARY = 1;
export const PROVIDER_DICTIONARY = 2;
export const BINDING_DICTIONARY = 3;
export const STRING_DICTIONARY = 4;

const UTF8: ArrowType = { kind: 'utf8' };
const FLOAT64: ArrowType = { kind: 'float64' };
const INT32: ArrowType = { kind: 'int', bits: 32, signed: true };
const UINT32: ArrowType = { kind: 'int', bits: 32, signed: false };
const UINT16: ArrowType = { kind: 'int', bits: 16, signed: false };
const BOOL: ArrowType = { kind: 'bool' };

const DECLARED_TYPES: Readonly<Record<ColumnType, ArrowType>> = {
  f64: FLOAT64,
  i32: INT32,
  u32: UINT32,
  bool: BOOL,
  dict: UTF8,
};

export function segmentFields(columns: SegmentColumns): ArrowField[] {
  return [
    { name: 'timestamp', type: { kind: 'timestampUs' }, nullable: false },
    { name: 'event', type: UTF8, nullable: false, dictionary: EVENT_DICTIONARY },
    { name: 'model', type: UTF8, nullable: true, dictionary: MODEL_DICTIONARY },
    { name: 'provider', type: UTF8, nullable: true, dictionary: PROVIDER_DICTIONARY },
    { name: 'latency_ms', type: FLOAT64, nullable: true, metadata: { unit: 'ms' } },
    { name: 'cost_usd', type: FLOAT64, nullable: true, metadata: { unit: 'USD' } },
    { name: 'prompt_tokens', type: INT32, nullable: true },
    { name: 'completion_tokens', type: INT32, nullable: true },
    { name: 'success', type: BOOL, nullable: true },
    { name: 'binding', type: UTF8, nullable: false, dictionary: BINDING_DICTIONARY },
    { name: 'flags', type: UINT16, nullable: false },
    { name: 'payload', type: { kind: 'binary' }, nullable: true, metadata: { encoding: 'msgpack' } },
    ...columns.map(({ name, type }) => ({
      name: `metadata_${name}`,
      type: DECLARED_TYPES[type],
      nullable: true,
      metadata: { type },
      ...(type === 'dict' ? { dictionary: STRING_DICTIONARY } : {}),
    })),
  ];
}

export function hasStrings(columns: SegmentColumns): boolean {
  return columns.some(({ type }) => type === 'dict');
}

/** A column's validity bitmap, as a buffer's number within the record batch. Columns without nulls have an empty one. */
export function validityBuffer(column: number): number {
  return column <= PAYLOAD ? 2 * column : 2 * column + 1;
}

/** Indices, numbers or bits; of the payload, where each row's bytes begin. */
export function valuesBuffer(column: number): number {
  return validityBuffer(column) + 1;
}

/** The payload's bytes: the only column of three buffers. */
export const PAYLOAD_BYTES_BUFFER = valuesBuffer(PAYLOAD) + 1;

export function bufferCount(columns: SegmentColumns): number {
  return validityBuffer(DECLARED + columns.length);
}

/** Bits of one row in each buffer; 0 for the payload's bytes, which rows have any number of. */
export function bitsPerRow(columns: SegmentColumns): Uint8Array {
  const bits = new Uint8Array(bufferCount(columns));
  segmentFields(columns).forEach(({ type, nullable, dictionary }, column) => {
    bits[validityBuffer(column)] = nullable ? 1 : 0;
    bits[valuesBuffer(column)] = dictionary === undefined ? bitsOf(type) : 32;
  });
  return bits;
}

function bitsOf(type: ArrowType): number {
  switch (type.kind) {
    case 'int':
      return type.bits;
    case 'bool':
      return 1;
    case 'float64':
    case 'timestampUs':
      return 64;
    default:
      return 32;
  }
}
