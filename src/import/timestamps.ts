/**
 * Times of many spellings to integer microseconds since the Unix epoch.
 *
 * Text is read digit by digit, never through a double, so nanosecond epochs (19 digits) and seven-digit
 * fractions are exact; what is finer than a microsecond is rounded to the nearest, halves upwards. A time that
 * is not within ±2^53 µs (years 1685 to 2255) has no exact integer and is refused.
 */

import { ConfigError } from '../errors.js';
import type { Json } from '../schema/event.js';

export type TimestampUnit = 's' | 'ms' | 'us' | 'ns' | 'iso';

export interface TimestampOptions {
  /** Absent: decided per value, see `parseTimestamp`. */
  unit?: TimestampUnit | undefined;
  /** Added to numeric times, in µs since the Unix epoch. */
  originUs?: number | undefined;
}

/** Powers of ten that take a unit to microseconds. */
const MICROS_EXPONENT = { s: 6, ms: 3, us: 0, ns: -3 } as const;

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,2}))?$/;
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(?:(Z)|([+-])(\d\d):?(\d\d)?)?)?$/i;

/**
 * Reads one time. Null when it is none, or lies outside the exact range.
 *
 * With unit `s`, `ms`, `us` or `ns` the value is a number (or decimal text) in that unit since the origin,
 * else since the epoch. With `iso` it is ISO 8601 or `YYYY-MM-DD HH:MM:SS[.fraction]`, in UTC unless an offset
 * is given. Without a unit, text that is no number is read as ISO, and a number's unit follows its size:
 * below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds. That is right for
 * every absolute time from 1973 on, and cannot be right for relative ones: those need a unit.
 */
export function parseTimestamp(value: Json, options: TimestampOptions = {}): number | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const text = String(value).trim();
  if (options.unit === 'iso') return parseIso(text);
  const unit = options.unit ?? unitBySize(text);
  if (unit === null) return parseIso(text);
  const micros = decimalMicros(text, MICROS_EXPONENT[unit]);
  if (micros === null) return null;
  const absolute = micros + (options.originUs ?? 0);
  return Number.isSafeInteger(absolute) ? absolute : null;
}

/** An origin given as µs since the epoch or as ISO text. @throws ConfigError for anything else */
export function parseOrigin(origin: number | string): number {
  const micros = typeof origin === 'number' ? origin : parseIso(String(origin).trim());
  if (micros === null || !Number.isSafeInteger(micros)) {
    throw new ConfigError('timestampOrigin', 'whole microseconds since the Unix epoch, or ISO 8601', origin);
  }
  return micros;
}

/** Spellings of the units at the end of a column's name: after an underscore, or in camelCase. */
const NAME_SUFFIX =
  /_(s|ms|us|ns|sec|seconds|millis|micros|nanos)$|[a-z](Ms|Us|Ns|Seconds|Millis|Micros|Nanos)$/;
const UNIT_OF_SUFFIX: Readonly<Record<string, Exclude<TimestampUnit, 'iso'>>> = {
  s: 's',
  sec: 's',
  seconds: 's',
  ms: 'ms',
  millis: 'ms',
  us: 'us',
  micros: 'us',
  ns: 'ns',
  nanos: 'ns',
};

/** The unit that a column's name ends in (`timestamp_ms`, `startTimeNs`), else undefined. */
export function unitOfName(name: string): Exclude<TimestampUnit, 'iso'> | undefined {
  const match = NAME_SUFFIX.exec(name);
  const suffix = match?.[1] ?? match?.[2];
  return suffix === undefined ? undefined : UNIT_OF_SUFFIX[suffix.toLowerCase()];
}

function unitBySize(text: string): Exclude<TimestampUnit, 'iso'> | null {
  if (!DECIMAL.test(text)) return null;
  const size = Math.abs(Number(text));
  if (size < 1e11) return 's';
  if (size < 1e14) return 'ms';
  return size < 1e17 ? 'us' : 'ns';
}

/** `text` × 10^`exponent`, rounded to a whole number, halves upwards. */
function decimalMicros(text: string, exponent: number): number | null {
  const match = DECIMAL.exec(text);
  if (match === null) return null;
  const [, sign, whole = '', fraction = '', power = '0'] = match;
  const digits = whole + fraction;
  if (digits === '' || digits.length > 60) return null;
  const shift = exponent + Number(power) - fraction.length;
  const scaled = BigInt(digits) * (sign === '-' ? -1n : 1n);
  const micros = shift >= 0 ? scaled * 10n ** BigInt(shift) : roundHalfUp(scaled, 10n ** BigInt(-shift));
  const result = Number(micros);
  return Number.isSafeInteger(result) ? result : null;
}

/** floor(value / divisor + 1/2), for a positive even divisor. */
function roundHalfUp(value: bigint, divisor: bigint): bigint {
  const shifted = value + divisor / 2n;
  const quotient = shifted / divisor;
  // BigInt division truncates towards zero; a negative remainder means the floor is one lower.
  return shifted % divisor < 0n ? quotient - 1n : quotient;
}

function parseIso(text: string): number | null {
  const match = ISO.exec(text);
  if (match === null) return null;
  const [
    ,
    year,
    month,
    day,
    hour = '0',
    minute = '0',
    second = '0',
    fraction = '',
    ,
    sign,
    offHour,
    offMinute,
  ] = match;
  const days = daysSinceEpoch(Number(year), Number(month), Number(day));
  if (days === null) return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  if (Number(offHour ?? 0) > 23 || Number(offMinute ?? 0) > 59) return null;
  const offsetMinutes = (sign === '-' ? -1 : 1) * (Number(offHour ?? 0) * 60 + Number(offMinute ?? 0));
  const seconds =
    days * 86_400 + Number(hour) * 3600 + (Number(minute) - offsetMinutes) * 60 + Number(second);
  const nanos = Number(fraction.padEnd(9, '0'));
  const micros = seconds * 1e6 + Math.floor(nanos / 1000 + 0.5);
  return Number.isSafeInteger(micros) ? micros : null;
}

/** Days of the proleptic Gregorian calendar; null for a date that does not exist. */
function daysSinceEpoch(year: number, month: number, day: number): number | null {
  const date = new Date(0);
  // Unlike Date.UTC, setUTCFullYear takes years below 100 as they are.
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  return date.getTime() / 86_400_000;
}
