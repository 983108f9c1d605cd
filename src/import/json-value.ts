/** Values of binary formats as JSON has them. */

import type { Json } from '../schema/event.js';
import { setOwn } from './reader.js';

/**
 * A whole number beyond 2^53 becomes its digits, NaN and infinities null, a Date ISO 8601, bytes base64, a Map an
 * object, a typed array a list.
 */
export function jsonOf(value: unknown): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : null;
    case 'bigint':
      return integerOf(value);
    case 'object':
      return value === null ? null : jsonOfObject(value);
    default:
      return null;
  }
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

function jsonOfObject(value: object): Json {
  if (Array.isArray(value)) return value.map(jsonOf);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return base64Of(value);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, jsonOf);
  const result: Record<string, Json> = {};
  const entries = value instanceof Map ? value : Object.entries(value);
  for (const [key, inner] of entries) setOwn(result, String(key), jsonOf(inner));
  return result;
}

export function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** ISO 8601 in UTC with as many digits as are needed; null for what no calendar has. */
export function isoOf(units: bigint, unitsPerSecond: number): string | null {
  const perSecond = BigInt(unitsPerSecond);
  let seconds = units / perSecond;
  let rest = units % perSecond;
  if (rest < 0n) {
    rest += perSecond;
    seconds -= 1n;
  }
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return null;
  const digits = String(unitsPerSecond).length - 1;
  const fraction = digits === 0 ? '' : `.${String(rest).padStart(digits, '0')}`;
  return date.toISOString().replace(/\.000Z$/, `${fraction}Z`);
}
