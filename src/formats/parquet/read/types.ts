/** What the values of a column mean: from what is stored to what JSON has. */

import type { Json } from '../../../schema/event.js';
import {
  base64Of,
  dateOf,
  decimalOf,
  durationOf,
  halfOf,
  integerOf,
  isoOf,
  parsedJson,
  timeOf,
  unscaledOf,
  uuidOf,
} from '../../values.js';
import type { ThriftStruct } from './thrift.js';

/** Physical types, as parquet.thrift numbers them. */
export const BOOLEAN = 0;
export const INT32 = 1;
export const INT64 = 2;
export const INT96 = 3;
export const FLOAT = 4;
export const DOUBLE = 5;
export const BYTE_ARRAY = 6;
export const FIXED_LEN_BYTE_ARRAY = 7;

/** As it is stored. INT64 beyond 2^53 are bigints; INT96 and byte arrays are bytes. */
export type Stored = number | bigint | boolean | Buffer;
export type Convert = (stored: Stored) => Json;

export interface LeafType {
  readonly physical: number;
  /** Of FIXED_LEN_BYTE_ARRAY. */
  readonly bytes: number;
  readonly convert: Convert;
}

// Converted types, the older way to say what values mean.
const CONVERTED = {
  UTF8: 0,
  ENUM: 4,
  DECIMAL: 5,
  DATE: 6,
  TIME_MILLIS: 7,
  TIME_MICROS: 8,
  TIMESTAMP_MILLIS: 9,
  TIMESTAMP_MICROS: 10,
  UINT_8: 11,
  UINT_64: 14,
  JSON: 19,
  INTERVAL: 21,
};
// Logical types, by the numbers of their fields in the union.
const LOGICAL = {
  STRING: 1,
  ENUM: 4,
  DECIMAL: 5,
  DATE: 6,
  TIME: 7,
  TIMESTAMP: 8,
  INTEGER: 10,
  UNKNOWN: 11,
  JSON: 12,
  UUID: 14,
  FLOAT16: 15,
};
/** Units a second, by the numbers of their fields in the union. */
const UNITS: Readonly<Record<number, number>> = { 1: 1e3, 2: 1e6, 3: 1e9 };

const JULIAN_EPOCH_DAYS = 2_440_588n;
const DAY_NANOS = 86_400_000_000_000n;

/**
 * @param isOwn - of our own exports: times are whole microseconds instead of ISO 8601, and JSON is text
 * @throws RangeError for what no values could have
 */
export function leafType(element: ThriftStruct, isOwn: boolean): LeafType {
  const physical = element.size(1, FIXED_LEN_BYTE_ARRAY);
  const bytes = physical === FIXED_LEN_BYTE_ARRAY ? element.size(2, 2 ** 31 - 1) : 0;
  const logical = element.struct(10);
  const convert =
    (logical === undefined ? undefined : ofLogical(logical, physical, bytes, isOwn)) ??
    ofConverted(element, physical, bytes, isOwn) ??
    ofPhysical(physical);
  return { physical, bytes, convert };
}

function ofLogical(
  logical: ThriftStruct,
  physical: number,
  bytes: number,
  isOwn: boolean,
): Convert | undefined {
  const { kind = 0 } = logical;
  const details = logical.struct(kind);
  const isBytes = physical === BYTE_ARRAY || physical === FIXED_LEN_BYTE_ARRAY;
  const isWhole = physical === INT32 || physical === INT64;
  switch (kind) {
    case LOGICAL.STRING:
    case LOGICAL.ENUM:
      return isBytes ? textOf : undefined;
    case LOGICAL.JSON:
      return isBytes ? jsonText(isOwn) : undefined;
    case LOGICAL.DECIMAL:
      return decimals(details?.number(1) ?? 0, physical);
    case LOGICAL.DATE:
      return physical === INT32 ? (days) => dateOf(BigInt(days as number)) : undefined;
    case LOGICAL.TIME:
      return isWhole ? (time) => timeOf(BigInt(time as number), unitOf(details)) : undefined;
    case LOGICAL.TIMESTAMP:
      return physical === INT64 ? timestamps(unitOf(details), isOwn) : undefined;
    case LOGICAL.INTEGER:
      return isWhole ? integers(details?.number(1) ?? 64, details?.boolean(2) ?? true) : undefined;
    case LOGICAL.UNKNOWN:
      return () => null;
    case LOGICAL.UUID:
      return bytes === 16 ? (value) => uuidOf(value as Buffer) : undefined;
    case LOGICAL.FLOAT16:
      return bytes === 2 ? (value) => halfOf((value as Buffer).readUInt16LE(0)) : undefined;
    default:
      return undefined;
  }
}

function unitOf(details: ThriftStruct | undefined): number {
  const unit = UNITS[details?.struct(2)?.kind ?? 0];
  if (unit === undefined) throw new RangeError('a column of times has no unit');
  return unit;
}

function ofConverted(
  element: ThriftStruct,
  physical: number,
  bytes: number,
  isOwn: boolean,
): Convert | undefined {
  const isBytes = physical === BYTE_ARRAY || physical === FIXED_LEN_BYTE_ARRAY;
  const isWhole = physical === INT32 || physical === INT64;
  const converted = element.number(6);
  switch (converted) {
    case undefined:
      return undefined;
    case CONVERTED.UTF8:
    case CONVERTED.ENUM:
      return isBytes ? textOf : undefined;
    case CONVERTED.JSON:
      return isBytes ? jsonText(isOwn) : undefined;
    case CONVERTED.DECIMAL:
      return decimals(element.number(7) ?? 0, physical);
    case CONVERTED.DATE:
      return physical === INT32 ? (days) => dateOf(BigInt(days as number)) : undefined;
    case CONVERTED.TIME_MILLIS:
      return isWhole ? (time) => timeOf(BigInt(time as number), 1e3) : undefined;
    case CONVERTED.TIME_MICROS:
      return isWhole ? (time) => timeOf(BigInt(time as number), 1e6) : undefined;
    case CONVERTED.TIMESTAMP_MILLIS:
      return physical === INT64 ? timestamps(1e3, isOwn) : undefined;
    case CONVERTED.TIMESTAMP_MICROS:
      return physical === INT64 ? timestamps(1e6, isOwn) : undefined;
    case CONVERTED.INTERVAL:
      return bytes === 12 ? intervalOf : undefined;
    default:
      if (!isWhole || converted < CONVERTED.UINT_8 || converted > CONVERTED.UINT_64) return undefined;
      return integers(8 << (converted - CONVERTED.UINT_8), false);
  }
}

function ofPhysical(physical: number): Convert {
  switch (physical) {
    case BOOLEAN:
      return (value) => value as boolean;
    case FLOAT:
    case DOUBLE:
      return (value) => value as number;
    case INT32:
    case INT64:
      return integers(64, true);
    case INT96:
      return (value) => {
        const bytes = value as Buffer;
        const days = BigInt(bytes.readInt32LE(8)) - JULIAN_EPOCH_DAYS;
        const nanos = days * DAY_NANOS + bytes.readBigInt64LE(0);
        // Spark counts in microseconds, and wraps around.
        return isoOf(BigInt.asIntN(64, nanos / 1000n) * 1000n + (nanos % 1000n), 1e9);
      };
    default:
      return (value) => base64Of(value as Buffer);
  }
}

function textOf(value: Stored): string {
  return (value as Buffer).toString('utf8');
}

const jsonText = (isOwn: boolean): Convert => (isOwn ? textOf : (value) => parsedJson(textOf(value)));

function timestamps(perSecond: number, isOwn: boolean): Convert {
  if (isOwn && perSecond === 1e6) return (value) => wholeOf(value as number | bigint);
  return (value) => isoOf(value as number | bigint, perSecond);
}

function wholeOf(value: number | bigint): Json {
  return typeof value === 'number' ? value : integerOf(value);
}

/** Narrow integers are stored as wide ones, and unsigned ones as if they were signed. */
function integers(bits: number, isSigned: boolean): Convert {
  if (isSigned) return (value) => wholeOf(value as number | bigint);
  if (bits <= 32) {
    const mask = 2 ** bits - 1;
    return (value) => (Number(value) & mask) >>> 0;
  }
  return (stored) => {
    const value = stored as number | bigint;
    return wholeOf(value < 0 ? BigInt.asUintN(64, BigInt(value)) : value);
  };
}

/** Wider than any decimal that a writer has: what such digits cost grows with their square. */
const DECIMAL_BYTES_MAX = 1024;

function decimals(scale: number, physical: number): Convert | undefined {
  if (Math.abs(scale) > DECIMAL_BYTES_MAX) throw new RangeError(`decimals with ${scale} digits of fraction`);
  switch (physical) {
    case INT32:
    case INT64:
      return (value) => decimalOf(BigInt(value as number), scale);
    case BYTE_ARRAY:
    case FIXED_LEN_BYTE_ARRAY:
      return (value) => {
        const { length } = value as Buffer;
        if (length > DECIMAL_BYTES_MAX) throw new RangeError(`a decimal of ${length} bytes`);
        return decimalOf(unscaledOf(value as Buffer), scale);
      };
    default:
      return undefined;
  }
}

function intervalOf(value: Stored): string {
  const bytes = value as Buffer;
  const nanos = BigInt(bytes.readUInt32LE(8)) * 1_000_000n;
  return durationOf(bytes.readUInt32LE(0), bytes.readUInt32LE(4), nanos);
}
