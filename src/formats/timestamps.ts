/**
 * Times of many spellings to integer microseconds since the Unix epoch.
 *
 * Text is read digit by digit, never through a double, so nanosecond epochs (19 digits) and seven-digit
 * fractions are exact; what is finer than a microsecond is rounded to the nearest, halves upwards. A time that
 * is not within ±2^53 µs (years 1685 to 2255) has no exact integer and is refused.
 */

import { ConfigError } from '../errors.js';
import type { Json } from '../schema/event.js';

export type TimestampUnit = 's' | 'ms' | 'us' | 'ns' | 'iso' | 'excel';
/** What `1/3/2024` means: the day first, or the month first. */
export type DateOrder = 'dmy' | 'mdy';

export interface TimestampOptions {
  /** As somebody has stated it. Absent: decided per value, see `parseTimestamp`. */
  unit?: TimestampUnit | undefined;
  /** As the column's name has it, where none is stated. */
  namedUnit?: NumericUnit | undefined;
  /** Added to numeric times, in µs since the Unix epoch. */
  originUs?: number | undefined;
  /** Absent: a date such as `1/3/2024` is refused, since nobody can tell which month it means. */
  dateOrder?: DateOrder | undefined;
}

/** Powers of ten that take a unit to microseconds. */
const MICROS_EXPONENT = { s: 6, ms: 3, us: 0, ns: -3 } as const;
type NumericUnit = keyof typeof MICROS_EXPONENT;

/** Longest text that is looked at: the longest time there is has 44 characters. */
const MAX_CHARS = 64;
/** 1990-01-01. A number of no stated unit that means an earlier time is a relative one, or none at all. */
const EARLIEST_GUESSED_US = 631_152_000_000_000;

/** A date of the years 1990 to 2099. */
const EIGHT_DIGITS = /^(?:199|20\d)\d{5}$/;

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,2}))?$/;

/** `YYYY-MM-DD`, `YYYY/MM/DD`, `YYYYMMDD`; week dates and ordinal dates, with hyphens or without. */
const DATE =
  /^(?:(\d{4})([-/])(\d{1,2})\2(\d{1,2})|(\d{4})(\d\d)(\d\d)|(\d{4})-?W(\d\d)-?([1-7])|(\d{4})-?(\d{3}))(?=$|[T ])/i;
/** `1/3/2024`, `01.03.2024`, `1-3-2024`. */
const ORDERED_DATE = /^(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?=$|[T ])/;
/** Hours at least; then minutes, seconds and a fraction of seconds; `Z`, `UTC`, `GMT` or an offset. */
const TIME =
  /^[T ]\s?(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?)?(?:\s?([AP])M)?\s?(?:(Z|UTC|GMT)|([+-])(\d\d):?(\d\d)?)?$/i;

/**
 * Reads one time. Null when it is none, or lies outside the exact range.
 *
 * With unit `s`, `ms`, `us` or `ns` the value is a number (or decimal text) in that unit since the origin,
 * else since the epoch. With `excel` it is a serial of Excel: days since 1899-12-30, in UTC. With `iso` it is ISO 8601 in
 * its basic and extended forms (calendar, week and ordinal dates, up to nine digits of seconds), or the same with
 * slashes, a blank for the `T`, or `UTC` for the `Z`; in UTC unless an offset is given.
 *
 * Without a stated unit, text that is no number is read as ISO, and eight digits that are a date from 1990 to 2099 are
 * one. The unit of any other number is the one of the column's name, else it follows the number's size: below 1e11
 * seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds. A number that means a time before 1990 by
 * that is refused: it is relative, and needs an origin or a stated unit.
 */
export function parseTimestamp(value: Json, options: TimestampOptions = {}): number | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const text = String(value).trim();
  if (text.length > MAX_CHARS) return null;
  const { unit, namedUnit, originUs = 0, dateOrder } = options;
  if (unit === 'iso') return parseCalendar(text, dateOrder);
  if (unit === 'excel') return excelMicros(text);
  if (!DECIMAL.test(text)) return unit === undefined ? parseCalendar(text, dateOrder) : null;
  if (unit === undefined && namedUnit === undefined && EIGHT_DIGITS.test(text)) {
    const date = parseCalendar(text, dateOrder);
    if (date !== null) return date;
  }
  const micros = decimalMicros(text, MICROS_EXPONENT[unit ?? namedUnit ?? unitBySize(text)]);
  if (micros === null) return null;
  if (unit === undefined && options.originUs === undefined && micros < EARLIEST_GUESSED_US) return null;
  return Number.isSafeInteger(micros + originUs) ? micros + originUs : null;
}

/** Days from Excel's day 0, 1899-12-30, to the Unix epoch. */
const EXCEL_EPOCH_DAYS = 25_569;

/** A serial has about 15 digits: it tells the time of a day to some microseconds, and Excel itself to milliseconds. */
function excelMicros(text: string): number | null {
  if (!DECIMAL.test(text)) return null;
  const days = Number(text);
  // Before 1900-03-01 Excel counts a day that never was.
  if (!(days >= 61 && days < 2_958_466)) return null;
  return Math.round((days - EXCEL_EPOCH_DAYS) * 86_400_000) * 1000;
}

/** An origin given as µs since the epoch or as ISO text. @throws ConfigError for anything else */
export function parseOrigin(origin: number | string): number {
  const micros = typeof origin === 'number' ? origin : parseCalendar(String(origin).trim(), undefined);
  if (micros === null || !Number.isSafeInteger(micros)) {
    throw new ConfigError('timestampOrigin', 'whole microseconds since the Unix epoch, or ISO 8601', origin);
  }
  return micros;
}

/** Spellings of the units at the end of a column's name: after an underscore, or in camelCase. */
const NAME_SUFFIX =
  /_(s|ms|us|ns|sec|seconds|millis|micros|nanos)$|[a-z](Ms|Us|Ns|Seconds|Millis|Micros|Nanos)$/;
const UNIT_OF_SUFFIX: Readonly<Record<string, NumericUnit>> = {
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
export function unitOfName(name: string): NumericUnit | undefined {
  const match = NAME_SUFFIX.exec(name);
  const suffix = match?.[1] ?? match?.[2];
  return suffix === undefined ? undefined : UNIT_OF_SUFFIX[suffix.toLowerCase()];
}

function unitBySize(text: string): NumericUnit {
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

/** A date of the calendar, alone or with a time of the day. */
function parseCalendar(text: string, dateOrder: DateOrder | undefined): number | null {
  const ordered = dateOrder === undefined ? null : ORDERED_DATE.exec(text);
  const match = ordered ?? DATE.exec(text);
  if (match === null) return null;
  const days = ordered === null ? daysOf(match) : daysOfOrdered(ordered, dateOrder);
  const seconds = secondsOf(text.slice(match[0].length));
  if (days === null || seconds === null) return null;
  const micros = (days * 86_400 + seconds.whole) * 1e6 + seconds.micros;
  return Number.isSafeInteger(micros) ? micros : null;
}

function daysOf(match: RegExpExecArray): number | null {
  const [
    ,
    year,
    ,
    month,
    day,
    basicYear,
    basicMonth,
    basicDay,
    weekYear,
    week,
    weekday,
    ordinalYear,
    ordinal,
  ] = match;
  if (weekYear !== undefined) return daysOfWeek(Number(weekYear), Number(week), Number(weekday));
  if (ordinalYear !== undefined) return daysOfOrdinal(Number(ordinalYear), Number(ordinal));
  return daysSinceEpoch(Number(year ?? basicYear), Number(month ?? basicMonth), Number(day ?? basicDay));
}

function daysOfOrdered(
  [, first, , second, year]: RegExpExecArray,
  order: DateOrder | undefined,
): number | null {
  const [day, month] = order === 'dmy' ? [first, second] : [second, first];
  return daysSinceEpoch(Number(year), Number(month), Number(day));
}

/** ISO 8601: week 1 is the one that holds January 4. */
function daysOfWeek(year: number, week: number, weekday: number): number | null {
  const firstMonday = mondayBefore(daysSinceEpoch(year, 1, 4) as number);
  const nextYear = mondayBefore(daysSinceEpoch(year + 1, 1, 4) as number);
  const monday = firstMonday + 7 * (week - 1);
  return week < 1 || monday >= nextYear ? null : monday + weekday - 1;
}

/** The Monday of the week that holds a day; the epoch was a Thursday. */
function mondayBefore(days: number): number {
  return days - ((((days + 3) % 7) + 7) % 7);
}

function daysOfOrdinal(year: number, ordinal: number): number | null {
  const first = daysSinceEpoch(year, 1, 1) as number;
  const next = daysSinceEpoch(year + 1, 1, 1) as number;
  return ordinal < 1 || first + ordinal - 1 >= next ? null : first + ordinal - 1;
}

/** Seconds since midnight UTC of the text behind a date; midnight where there is none. */
function secondsOf(text: string): { whole: number; micros: number } | null {
  if (text === '') return { whole: 0, micros: 0 };
  const match = TIME.exec(text);
  if (match === null) return null;
  const [
    ,
    hours,
    minutes = '0',
    seconds = '0',
    fraction = '',
    half,
    ,
    sign,
    offHours = '0',
    offMinutes = '0',
  ] = match;
  const hour = hourOf(Number(hours), half?.toUpperCase());
  const micros = Math.floor(Number(fraction.padEnd(9, '0')) / 1000 + 0.5);
  const isEndOfDay = hour === 24 && Number(minutes) === 0 && Number(seconds) === 0 && micros === 0;
  if (hour === null || (hour > 23 && !isEndOfDay) || Number(minutes) > 59 || Number(seconds) > 59)
    return null;
  if (Number(offHours) > 23 || Number(offMinutes) > 59) return null;
  const offsetMinutes = (sign === '-' ? -1 : 1) * (Number(offHours) * 60 + Number(offMinutes));
  return { whole: hour * 3600 + (Number(minutes) - offsetMinutes) * 60 + Number(seconds), micros };
}

/** @param half - 'A' or 'P', of AM and PM; undefined for a clock of 24 hours */
function hourOf(hour: number, half: string | undefined): number | null {
  if (half === undefined) return hour;
  if (hour < 1 || hour > 12) return null;
  return (hour % 12) + (half === 'P' ? 12 : 0);
}

/** Days of the proleptic Gregorian calendar; null for a date that does not exist. */
function daysSinceEpoch(year: number, month: number, day: number): number | null {
  const date = new Date(0);
  // Unlike Date.UTC, setUTCFullYear takes years below 100 as they are.
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  return date.getTime() / 86_400_000;
}
