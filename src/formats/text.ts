/** Text that every exported file needs: valid UTF-8, snake_case names, exact times. */

import type { Json } from '../schema/event.js';

/** ES2024; Node has it since 20, the ES2023 library types do not. */
interface WellFormedString {
  toWellFormed(): string;
}

/** The text with each lone surrogate replaced by U+FFFD, so that it has a UTF-8 form. */
export function wellFormed(text: string): string {
  return (text as unknown as WellFormedString).toWellFormed();
}

/** The shortest text that reads back as the number, as String(x) gives it; but −0 keeps its sign. */
export function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/**
 * JSON text of a value, well formed, and with −0 as `-0`. `JSON.stringify` escapes a lone surrogate as `\udXXX`, which
 * other languages refuse to read, and drops the sign of −0; only where there may be such a thing the text is written
 * here.
 *
 * @param indent - spaces per level; absent for one line
 */
export function jsonText(value: Json, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  if (!text.includes('\\ud') && !holdsNegativeZero(value)) return text;
  return indent === undefined
    ? writtenJson(value, '', '', ':')
    : writtenJson(value, '\n', ' '.repeat(indent), ': ');
}

function holdsNegativeZero(value: Json): boolean {
  if (typeof value === 'number') return Object.is(value, -0);
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(holdsNegativeZero);
  for (const key in value) if (holdsNegativeZero(value[key]!)) return true;
  return false;
}

/** @param line - what begins a line at this level; empty where all is one line */
function writtenJson(value: Json, line: string, indent: string, colon: string): string {
  if (Object.is(value, -0)) return '-0';
  if (typeof value === 'string') return JSON.stringify(wellFormed(value));
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const inner = line + indent;
  const items: string[] = [];
  if (Array.isArray(value)) {
    for (const item of value) items.push(writtenJson(item, inner, indent, colon));
  } else {
    // Of keys that become one the last counts, as it does to whoever reads them.
    for (const [key, item] of new Map(Object.entries(value).map(([key, item]) => [wellFormed(key), item]))) {
      if (item !== undefined)
        items.push(JSON.stringify(key) + colon + writtenJson(item, inner, indent, colon));
    }
  }
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  return items.length === 0 ? open + close : open + inner + items.join(`,${inner}`) + line + close;
}

/** The furthest from the epoch that a Date goes, in microseconds. */
const TIME_US_MAX = 8.64e18;

/** ISO 8601 in UTC with six digits, `2023-11-14T22:13:20.000000Z`; null for what is no time. */
export function isoMicros(timestampUs: number): string | null {
  if (!(Math.abs(timestampUs) <= TIME_US_MAX)) return null;
  const us = Math.floor(timestampUs);
  // The remainder of doubles is exact; their difference is not, once they are beyond 2^53.
  const rest = us % 1000;
  const micros = rest < 0 ? rest + 1000 : rest;
  const ms = Number.isSafeInteger(us) ? (us - micros) / 1000 : Number((BigInt(us) - BigInt(micros)) / 1000n);
  return `${new Date(ms).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}
