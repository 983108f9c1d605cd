/** Values of binary formats as JSON has them. */

import type { Json } from '../schema/event.js';
import { type RawRecord, setOwn } from './reader.js';

/**
 * A record of a binary format. NaN and infinities become null in it, as JSON has none, and are told.
 * @param record - is changed
 */
export function recordItem(line: number, record: Record<string, Json>): RawRecord {
  const nonFinite = clearNonFinite(record);
  if (nonFinite === 0) return { line, record, error: null };
  return { line, record, error: `NaN or an infinity is null, ${nonFinite} times`, reason: 'nonFinite' };
}

/** @returns how many there were */
function clearNonFinite(values: Record<string, Json> | Json[]): number {
  let count = 0;
  const parts = values as Record<string, Json>;
  for (const key in parts) {
    const value = parts[key]!;
    if (typeof value === 'number') {
      if (value - value === 0) continue;
      parts[key] = null;
      count += 1;
    } else if (typeof value === 'object' && value !== null) {
      count += clearNonFinite(value as Json[]);
    }
  }
  return count;
}

/** The value that a JSON text means; what is none stays as it is. */
export function parsedJson(text: Json): Json {
  if (typeof text !== 'string') return text;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

export function integerOf(value: bigint): number | string {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value);
}

export function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** ISO 8601 in UTC with the digits of its unit; years that a calendar has no four digits for have a sign and six or more. */
export function isoOf(units: number | bigint, unitsPerSecond: number): string {
  const digits = String(unitsPerSecond).length - 1;
  if (typeof units === 'number' && Number.isSafeInteger(units)) {
    const seconds = Math.floor(units / unitsPerSecond);
    if (seconds >= FOUR_DIGITS_FROM && seconds < FOUR_DIGITS_TO) {
      const text = new Date(seconds * 1000).toISOString().slice(0, 19);
      return `${text}${fractionOf(units - seconds * unitsPerSecond, digits)}Z`;
    }
  }
  const all = BigInt(units);
  const perDay = BigInt(unitsPerSecond) * 86_400n;
  const days = floorDivide(all, perDay);
  return `${dateOf(days)}T${timeOf(all - days * perDay, unitsPerSecond)}Z`;
}

/** From year 0 up to 10000, in seconds. */
const FOUR_DIGITS_FROM = -62_167_219_200;
const FOUR_DIGITS_TO = 253_402_300_800;

function fractionOf(units: number | bigint, digits: number): string {
  return digits === 0 ? '' : `.${String(units).padStart(digits, '0')}`;
}

/** Rounds down, unlike the operator. */
function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}

/** A day since 1970 as ISO 8601, whatever its year. */
export function dateOf(days: bigint): string {
  // Years begin in March, and come in cycles of 400.
  const shifted = days + 719_468n;
  const cycle = floorDivide(shifted, 146_097n);
  const day = Number(shifted - cycle * 146_097n);
  const year = Math.floor(
    (day - Math.floor(day / 1460) + Math.floor(day / 36_524) - Math.floor(day / 146_096)) / 365,
  );
  const dayOfYear = day - (365 * year + Math.floor(year / 4) - Math.floor(year / 100));
  const month = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * month + 2) / 5) + 1;
  const isNextYear = month >= 10;
  const whole = cycle * 400n + BigInt(year + (isNextYear ? 1 : 0));
  return `${yearText(whole)}-${twoDigits(isNextYear ? month - 9 : month + 3)}-${twoDigits(dayOfMonth)}`;
}

function yearText(year: bigint): string {
  if (year >= 0n && year <= 9999n) return String(year).padStart(4, '0');
  return `${year < 0n ? '-' : '+'}${String(year < 0n ? -year : year).padStart(6, '0')}`;
}

function twoDigits(value: number | bigint): string {
  return String(value).padStart(2, '0');
}

/** A time of day with the digits of its unit; what no day has keeps its sign and its hours. */
export function timeOf(units: bigint, unitsPerSecond: number): string {
  const perSecond = BigInt(unitsPerSecond);
  const size = units < 0n ? -units : units;
  const seconds = size / perSecond;
  const [hours, minutes] = [seconds / 3600n, (seconds / 60n) % 60n];
  const fraction = fractionOf(size % perSecond, String(unitsPerSecond).length - 1);
  const clock = `${twoDigits(hours)}:${twoDigits(minutes)}:${twoDigits(seconds % 60n)}${fraction}`;
  return units < 0n ? `-${clock}` : clock;
}

/** ISO 8601 of a span whose months, days and fractions of a day are counted apart, as in `P14M3DT0.5S`. */
export function durationOf(months: number, days: number, nanos: bigint): string {
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = String(size % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const seconds = `${nanos < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}`;
  const parts = [
    months === 0 ? '' : `${months}M`,
    days === 0 ? '' : `${days}D`,
    nanos === 0n ? '' : `T${seconds}S`,
  ].join('');
  return parts === '' ? 'PT0S' : `P${parts}`;
}

/** A decimal as the number whose digits it has; as text where a double has others. */
export function decimalOf(unscaled: bigint, scale: number): number | string {
  if (scale === 0) return integerOf(unscaled);
  const value = Number(`${unscaled}e${-scale}`);
  const size = unscaled < 0n ? -unscaled : unscaled;
  // Fifteen digits go through a double unchanged.
  if (size < 1_000_000_000_000_000n || sameDecimal(value, unscaled, scale)) return value;
  const sign = unscaled < 0n ? '-' : '';
  if (scale < 0) return `${sign}${size}${'0'.repeat(Math.min(-scale, DIGITS_MAX))}`;
  const digits = String(size).padStart(scale + 1, '0');
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** More digits than any decimal has. */
const DIGITS_MAX = 10_000;

function sameDecimal(value: number, unscaled: bigint, scale: number): boolean {
  const match = /^(-?\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential());
  if (match === null) return false;
  const [, first, rest = '', exponent] = match as unknown as [string, string, string | undefined, string];
  let digits = BigInt(first + rest);
  if (digits === 0n) return unscaled === 0n;
  const shift = Number(exponent) - rest.length + scale;
  if (shift < 0 || shift > DIGITS_MAX) return false;
  digits *= 10n ** BigInt(shift);
  return digits === unscaled;
}

/** Two's complement, most significant byte first. */
export function unscaledOf(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`));
}

export function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** IEEE 754 binary16. */
export function halfOf(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * 2 ** -14 * fraction : sign * 2 ** (exponent - 15) * (1 + fraction);
}

/** Entries of a map, which are structs of a key and a value. */
export function entriesOf(entries: readonly Json[]): Json {
  const object: Record<string, Json> = {};
  for (const entry of entries) {
    const [key, value] = Object.values(entry as Record<string, Json>);
    setOwn(object, typeof key === 'string' ? key : JSON.stringify(key), value ?? null);
  }
  return object;
}
