/** Numbers as text: a dash for what is not known, thousands apart, as many digits as mean something. */

import { number, UNKNOWN } from '../../charts/scale.js';

export { number, UNKNOWN };

type Maybe = number | null | undefined;

export function count(value: Maybe): string {
  return value === null || value === undefined || !Number.isFinite(value)
    ? UNKNOWN
    : Math.round(value).toLocaleString('en-US');
}

/** A count that fits a small place: millions and more as such. */
export function compact(value: Maybe): string {
  if (value === null || value === undefined || value < 1e7) return count(value);
  const [unit, name] = value < 1e9 ? [1e6, 'M'] : value < 1e12 ? [1e9, 'G'] : [1e12, 'T'];
  return `${number(value / unit)} ${name}`;
}

/** A p-value. */
export function pText(p: Maybe): string {
  if (p === null || p === undefined) return UNKNOWN;
  return p < 0.001 ? '< 0.001' : p.toFixed(3);
}

export function signed(value: Maybe, digits = 3): string {
  const text = number(value, digits);
  return typeof value === 'number' && value > 0 ? `+${text}` : text.replace('-', '−');
}

export const ms = (value: Maybe) => (value === null || value === undefined ? UNKNOWN : `${number(value)} ms`);
export const usd = (value: Maybe) => (value === null || value === undefined ? UNKNOWN : `$${number(value)}`);

/** A share as percent; what is not all never reads as all. */
export function percent(share: Maybe, decimals = 2): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return UNKNOWN;
  const step = 10 ** -decimals;
  const value = share < 1 && share * 100 > 100 - step ? 100 - step : share * 100;
  return `${value.toFixed(decimals)} %`;
}

export function bytes(value: Maybe): string {
  if (value === null || value === undefined) return UNKNOWN;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let rest = value;
  let unit = 0;
  for (; rest >= 1024 && unit < units.length - 1; unit++) rest /= 1024;
  return `${unit === 0 ? rest : rest.toFixed(1)} ${units[unit]}`;
}

export function duration(seconds: Maybe): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** The reader's own clock; `iso` has the same in UTC. @param us - µs since 1970 */
export function time(us: Maybe, withDate = true): string {
  if (us === null || us === undefined || us === 0) return UNKNOWN;
  const date = new Date(us / 1000);
  const clock = date.toLocaleTimeString('en-GB');
  return withDate ? `${date.toLocaleDateString('en-CA')} ${clock}` : clock;
}

export function preciseTime(us: number): string {
  return `${time(us, false)}.${String(Math.floor(us / 1000) % 1000).padStart(3, '0')}`;
}

export function iso(us: Maybe): string {
  return us === null || us === undefined || Number.isNaN(new Date(us / 1000).getTime())
    ? ''
    : new Date(us / 1000).toISOString();
}
