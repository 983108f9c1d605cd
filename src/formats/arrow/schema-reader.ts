/** The schema of an Arrow file as this library's import needs it. */

import { ImportError } from '../../errors.js';
import { COLUMNS_MAX } from '../reader.js';
import type { FlatTable } from './flatbuffer-reader.js';

/** Units a second. */
export type UnitsPerSecond = 1 | 1e3 | 1e6 | 1e9;

export type ValueType =
  | { readonly kind: 'null' | 'bool' | 'binaryView' | 'utf8View' | 'struct' }
  | { readonly kind: 'int'; readonly bits: number; readonly isSigned: boolean }
  | { readonly kind: 'float'; readonly bits: 16 | 32 | 64 }
  | { readonly kind: 'binary' | 'utf8'; readonly isLarge: boolean }
  | { readonly kind: 'decimal'; readonly scale: number; readonly bytes: number }
  | { readonly kind: 'date'; readonly bits: 32 | 64 }
  | { readonly kind: 'timestamp'; readonly perSecond: UnitsPerSecond }
  | { readonly kind: 'time'; readonly bits: number; readonly perSecond: UnitsPerSecond }
  | { readonly kind: 'interval'; readonly unit: 'months' | 'days' | 'all' }
  /** The children by the numbers that stand for them. */
  | { readonly kind: 'union'; readonly isDense: boolean; readonly places: ReadonlyMap<number, number> }
  | { readonly kind: 'runs' }
  | { readonly kind: 'listView'; readonly isLarge: boolean }
  | { readonly kind: 'list'; readonly isLarge: boolean; readonly isMap: boolean }
  | { readonly kind: 'fixedBinary'; readonly bytes: number }
  | { readonly kind: 'fixedList'; readonly size: number };

export interface Field {
  readonly name: string;
  /** Of the values; a column with a dictionary holds indices of `indexType`. */
  readonly type: ValueType;
  readonly dictionary: number | null;
  readonly indexType: ValueType | null;
  /** Values are JSON text, as one of our own exports says of its columns. */
  readonly isJson: boolean;
  readonly children: readonly Field[];
}

const DEPTH_MAX = 64;

const SCHEMA_ENDIANNESS = 0;
const SCHEMA_FIELDS = 1;
const FIELD_NAME = 0;
const FIELD_TYPE_NUMBER = 2;
const FIELD_TYPE = 3;
const FIELD_DICTIONARY = 4;
const FIELD_CHILDREN = 5;
const FIELD_METADATA = 6;
const DICTIONARY_ID = 0;
const DICTIONARY_INDEX_TYPE = 1;
const UNITS: readonly UnitsPerSecond[] = [1, 1e3, 1e6, 1e9];
const INTERVALS = ['months', 'days', 'all'] as const;
/** What a unit is that a table leaves out: of dates and times the millisecond. */
const UNIT_MILLISECOND = 1;

/** @throws ImportError ERR_UNSUPPORTED_FORMAT naming the column that cannot be read */
export function readFields(schema: FlatTable): Field[] {
  if (schema.int16(SCHEMA_ENDIANNESS) !== 0) throw unsupported('big-endian numbers');
  // Tables may be referred to more than once, so that a few bytes say any number of fields.
  const left = { fields: COLUMNS_MAX };
  return schema.tables(SCHEMA_FIELDS).map((field) => readField(field, DEPTH_MAX, left));
}

function readField(field: FlatTable, depth: number, left: { fields: number }): Field {
  if (depth === 0) throw new RangeError(`columns are nested more than ${DEPTH_MAX} deep`);
  if (left.fields-- === 0) throw new RangeError(`there are more than ${COLUMNS_MAX} columns`);
  const name = field.string(FIELD_NAME) ?? '';
  const dictionary = field.table(FIELD_DICTIONARY);
  const index = dictionary?.table(DICTIONARY_INDEX_TYPE);
  const children = field.tables(FIELD_CHILDREN).map((child) => readField(child, depth - 1, left));
  return {
    name,
    type: readType(name, field.int8(FIELD_TYPE_NUMBER), field.table(FIELD_TYPE), children.length),
    dictionary: dictionary?.size(DICTIONARY_ID) ?? null,
    indexType: dictionary === undefined ? null : intType(index, 32, true),
    isJson: field
      .tables(FIELD_METADATA)
      .some((pair) => pair.string(0) === 'encoding' && pair.string(1) === 'json'),
    children,
  };
}

function readType(name: string, number: number, table: FlatTable | undefined, childCount: number): ValueType {
  const int16 = (field: number, absent: number) =>
    table?.position(field) === undefined ? absent : table.int16(field);
  switch (number) {
    case 1:
      return { kind: 'null' };
    case 2:
      return intType(table, 0, false);
    case 3:
      return { kind: 'float', bits: ([16, 32, 64] as const)[int16(0, 0)] ?? 64 };
    case 4:
      return { kind: 'binary', isLarge: false };
    case 5:
      return { kind: 'utf8', isLarge: false };
    case 6:
      return { kind: 'bool' };
    case 7:
      return { kind: 'decimal', scale: table?.int32(1) ?? 0, bytes: decimalBytes(table?.int32(2) || 128) };
    case 8:
      return { kind: 'date', bits: int16(0, UNIT_MILLISECOND) === 0 ? 32 : 64 };
    case 9:
      return {
        kind: 'time',
        bits: table?.int32(1) || 32,
        perSecond: UNITS[int16(0, UNIT_MILLISECOND)] ?? 1e3,
      };
    case 11: {
      const unit = INTERVALS[int16(0, 0)];
      if (unit === undefined) throw unsupported(`column ${JSON.stringify(name)} of an unknown interval`);
      return { kind: 'interval', unit };
    }
    case 14: {
      const isDense = int16(0, 0) !== 0;
      const hasNumbers = table?.position(1) !== undefined;
      const numbers = hasNumbers ? table.int32s(1) : Array.from({ length: childCount }, (_, i) => i);
      return { kind: 'union', isDense, places: new Map(numbers.map((id, i) => [id, i])) };
    }
    case 22:
      return { kind: 'runs' };
    case 25:
      return { kind: 'listView', isLarge: false };
    case 26:
      return { kind: 'listView', isLarge: true };
    // Durations are numbers of their unit.
    case 18:
      return { kind: 'int', bits: 64, isSigned: true };
    case 10:
      return { kind: 'timestamp', perSecond: UNITS[int16(0, 0)] ?? 1e6 };
    case 12:
      return { kind: 'list', isLarge: false, isMap: false };
    case 13:
      return { kind: 'struct' };
    case 15:
      return { kind: 'fixedBinary', bytes: table?.int32(0) ?? 0 };
    case 16:
      return { kind: 'fixedList', size: table?.int32(0) ?? 0 };
    case 17:
      return { kind: 'list', isLarge: false, isMap: true };
    case 19:
      return { kind: 'binary', isLarge: true };
    case 20:
      return { kind: 'utf8', isLarge: true };
    case 21:
      return { kind: 'list', isLarge: true, isMap: false };
    case 23:
      return { kind: 'binaryView' };
    case 24:
      return { kind: 'utf8View' };
    default:
      throw unsupported(`column ${JSON.stringify(name)} of Arrow type number ${number}`);
  }
}

function decimalBytes(bits: number): number {
  if ([32, 64, 128, 256].includes(bits)) return bits / 8;
  throw new RangeError(`decimals of ${bits} bits`);
}

function intType(table: FlatTable | undefined, bits: number, isSigned: boolean): ValueType {
  if (table === undefined) return { kind: 'int', bits, isSigned };
  return { kind: 'int', bits: table.int32(0), isSigned: table.int8(1) !== 0 };
}

export function unsupported(what: string): ImportError {
  return new ImportError('ERR_UNSUPPORTED_FORMAT', `Arrow with ${what} is an unsupported feature`, {
    feature: what,
  });
}
