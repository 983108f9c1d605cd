/**
 * Numbers as text for researchers: plain digits that can be copied into a tool, and a number of decimals that
 * is chosen once for figures that stand side by side. What is not known is shown as a dash, never as 0.
 */

export const UNKNOWN = '-';

type Maybe = number | null | undefined;

/** `value` with exactly `decimals` decimals and thousands grouped. */
export function formatNumber(value: Maybe, decimals = 0): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const [whole, fraction] = Math.abs(value).toFixed(decimals).split('.') as [string, string?];
  const digits = whole.replace(/\B(?=(\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`);
  // -0.00 would claim a direction that the digits do not show.
  return value < 0 && /[1-9]/.test(digits) ? `-${digits}` : digits;
}

/** As `formatNumber`, with the sign of a difference. */
export function formatSigned(value: Maybe, decimals = 0): string {
  const text = formatNumber(value, decimals);
  return typeof value === 'number' && value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
}

/** Decimals that give the largest of the values about `digits` significant digits, from 0 to `most`. */
export function decimalsFor(values: readonly Maybe[], digits = 4, most = 6): number {
  const largest = values.reduce<number>(
    (max, v) => (typeof v === 'number' && Number.isFinite(v) ? Math.max(max, Math.abs(v)) : max),
    0,
  );
  if (largest === 0) return 0;
  const magnitude = Math.floor(Math.log10(largest)) + 1;
  return Math.min(most, Math.max(0, digits - magnitude));
}

/** Milliseconds: four significant digits, but never less than a tenth. */
export function millisecondDecimals(values: readonly Maybe[]): number {
  return Math.max(1, decimalsFor(values));
}

/** US dollars: cents at least, and as far down as four significant digits need. */
export function usdDecimals(values: readonly Maybe[]): number {
  return Math.max(2, decimalsFor(values, 4, 8));
}

/**
 * A share in [0, 1] as percent, without the sign. Rounding never claims a whole that is not one: 0.99999 is
 * `99.99`, not `100.00`, and 0.00001 is `0.01`.
 */
export function formatShare(share: Maybe, decimals = 2): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return UNKNOWN;
  const step = 10 ** -decimals;
  const percent = share * 100;
  if (share < 1 && percent > 100 - step) return formatNumber(100 - step, decimals);
  if (share > 0 && percent < step) return formatNumber(step, decimals);
  return formatNumber(percent, decimals);
}

/** A span of time for people: `0.8 s`, `42 s`, `3 min 5 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  if (ms < 9950) return `${formatNumber(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${formatNumber(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

/** A count with its noun: `1 row`, `1,200 rows`. */
export function formatCount(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatNumber(count)} ${count === 1 ? noun : plural}`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes in binary units; below 1 KiB exact. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${formatNumber(value, unit === 0 ? 0 : 1)} ${BYTE_UNITS[unit]}`;
}

/**
 * A time in µs since the Unix epoch as ISO 8601 in UTC, cut off to the second (`2026-11-25T09:30:00Z`) or to as many
 * decimals of it as asked for, up to six.
 */
export function formatTime(us: Maybe, decimals = 0): string {
  if (us === null || us === undefined) return UNKNOWN;
  const date = new Date(Math.floor(us / 1000));
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const [seconds, ms] = date.toISOString().slice(0, -1).split('.') as [string, string];
  const fraction = `${ms}${String(Math.floor(us) - 1000 * Math.floor(us / 1000)).padStart(3, '0')}`;
  return decimals === 0 ? `${seconds}Z` : `${seconds}.${fraction.slice(0, decimals)}Z`;
}
