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

/**
 * JSON text of a value, well formed. `JSON.stringify` escapes a lone surrogate as `\udXXX`, which other
 * languages refuse to read; only where such an escape may be present is the value copied and repaired.
 *
 * @param indent - spaces per level; absent for one line
 */
export function jsonText(value: Json, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  return text.includes('\\ud') ? JSON.stringify(repaired(value), null, indent) : text;
}

function repaired(value: Json): Json {
  if (typeof value === 'string') return wellFormed(value);
  if (Array.isArray(value)) return value.map(repaired);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [wellFormed(key), repaired(inner)]));
}

/** `learningRate` → `learning_rate`, `HTTPStatus` → `http_status`; snake_case stays as it is. */
export function snakeCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase();
}

/** ISO 8601 in UTC with six digits, `2023-11-14T22:13:20.000000Z`; null for what is no time. */
export function isoMicros(timestampUs: number): string | null {
  const ms = Math.floor(timestampUs / 1000);
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return null;
  const micros = String(Math.trunc(timestampUs - ms * 1000)).padStart(3, '0');
  return `${date.toISOString().slice(0, -1)}${micros}Z`;
}
