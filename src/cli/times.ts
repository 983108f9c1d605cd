/** Durations and points in time as people write them. */

import { UsageError } from './errors.js';

const UNIT_US: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1e3,
  s: 1e6,
  m: 60e6,
  min: 60e6,
  h: 3600e6,
  d: 86_400e6,
};

/**
 * Microseconds, a whole number of at least 1.
 * @throws UsageError
 */
export function readDurationUs(option: string, text: string, command: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text) ?? [];
  const unitUs = unit !== undefined && Object.hasOwn(UNIT_US, unit) ? UNIT_US[unit]! : Number.NaN;
  const us = Math.round(Number(amount) * unitUs);
  if (us >= 1 && Number.isSafeInteger(us)) return us;
  throw new UsageError(
    `--${option} expects a duration such as 500ms, 60s, 5m or 1h, got ${JSON.stringify(text)}`,
    command,
  );
}

const ISO_TIME =
  /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,6})\d*)?)?\s*([Zz]|[+-]\d\d(?::?\d\d)?)?)?$/;

/**
 * The first and last microsecond since the Unix epoch of what the text names: a day, a minute, a second, a fraction
 * of one, or a number of microseconds. What says no zone is UTC.
 * @throws UsageError
 */
export function readTimeUs(
  option: string,
  text: string,
  command: string,
): readonly [first: number, last: number] {
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(Number(text))) return [Number(text), Number(text)];
  const [, date, minute, second, fraction, zone = 'Z'] = ISO_TIME.exec(text) ?? [];
  const offset = zone.length === 3 ? `${zone}:00` : zone.replace(/^(...)(\d\d)$/, '$1:$2').toUpperCase();
  const startMs = Date.parse(`${date}T${minute ?? '00:00'}:${second ?? '00'}${offset}`);
  // 31 February would be taken for a day in March.
  const isDay = date !== undefined && new Date(`${date}T00:00Z`).getUTCDate() === Number(date.slice(-2));
  if (!isDay || Number.isNaN(startMs)) {
    throw new UsageError(
      `--${option} expects a time as ISO 8601, such as 2026-11-25T09:30:00Z, or in microseconds since 1970, got ${JSON.stringify(text)}`,
      command,
    );
  }
  const first = startMs * 1000 + Number((fraction ?? '').padEnd(6, '0'));
  const lengthUs =
    minute === undefined ? 86_400e6 : second === undefined ? 60e6 : 10 ** (6 - (fraction?.length ?? 0));
  return [first, first + lengthUs - 1];
}
