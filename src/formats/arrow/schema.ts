/** Arrow's schema message: fields, their types, and what may be said about them. */
import {
  bool,
  type FlatField,
  type FlatFields,
  int8,
  int16,
  int32,
  int64,
  string,
  table,
  tables,
} from './flatbuffer-writer.js';
import { encapsulate, HEADER_SCHEMA, keyValues, messageFields } from './message.js';

export type ArrowType =
  | { readonly kind: 'int'; readonly bits: 8 | 16 | 32 | 64; readonly signed: boolean }
  | { readonly kind: 'float64' | 'bool' | 'utf8' | 'binary' }
  /** Microseconds since the Unix epoch in UTC. */
  | { readonly kind: 'timestampUs' };

export interface ArrowField {
  readonly name: string;
  readonly type: ArrowType;
  readonly nullable: boolean;
  /** The dictionary that holds the values; the column then holds signed indices into it. */
  readonly dictionary?: number;
  /** Of the indices; default 32. */
  readonly indexBits?: 8 | 16 | 32;
  readonly metadata?: Readonly<Record<string, string>>;
}

const PRECISION_DOUBLE = 2;
const TIME_UNIT_MICROSECOND = 2;

/** The type's number in Arrow's union of types, and its table. */
function typeFields(type: ArrowType): [FlatField, FlatField] {
  switch (type.kind) {
    case 'int':
      return [int8(2), table(int32(type.bits), bool(type.signed))];
    case 'float64':
      return [int8(3), table(int16(PRECISION_DOUBLE))];
    case 'binary':
      return [int8(4), table()];
    case 'utf8':
      return [int8(5), table()];
    case 'bool':
      return [int8(6), table()];
    case 'timestampUs':
      return [int8(10), table(int16(TIME_UNIT_MICROSECOND), string('UTC'))];
  }
}

function fieldFields({ name, type, nullable, dictionary, indexBits = 32, metadata }: ArrowField): FlatFields {
  const [typeNumber, typeTable] = typeFields(type);
  return [
    string(name),
    bool(nullable),
    typeNumber,
    typeTable,
    dictionary === undefined
      ? null
      : table(int64(dictionary), table(int32(indexBits), bool(true)), bool(false)),
    tables([]),
    metadata === undefined ? null : keyValues(metadata),
  ];
}

/** The message that a stream begins with. `messageMetadata` is of the message, `metadata` of the schema. */
export function schemaMessage(
  fields: readonly ArrowField[],
  metadata: Readonly<Record<string, string>> = {},
  messageMetadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return encapsulate(messageFields(HEADER_SCHEMA, schemaTable(fields, metadata), messageMetadata));
}

/** The schema itself, which a message and a file's footer hold alike. */
export function schemaTable(
  fields: readonly ArrowField[],
  metadata: Readonly<Record<string, string>> = {},
): FlatField {
  const littleEndian = int16(0);
  return table(littleEndian, tables(fields.map(fieldFields)), keyValues(metadata));
}
