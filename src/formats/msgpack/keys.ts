/**
 * Keys that readers refuse or change: the decoder of @msgpack/msgpack throws at `__proto__`, and that of msgpackr
 * drops an underscore. Such a key is written with one more underscore, and so is what would be taken for one then:
 * `__proto__` becomes `__proto___`, `__proto___` becomes `__proto____`. The import of our own files takes it off again.
 */

import type { Json } from '../../schema/event.js';

const RENAMED = /^__proto___*$/;
export const UNDERSCORE = 0x5f;

/** The key as it is written; that of most keys can be told by their first character. */
export function writtenKey(key: string): string {
  return RENAMED.test(key) ? `${key}_` : key;
}

/** A copy with all keys as they are written. */
export function withWrittenKeys(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withWrittenKeys);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [writtenKey(key), withWrittenKeys(inner)]),
  );
}
