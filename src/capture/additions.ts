/** What the end of a span is given: halves of an event, or its fields themselves. */
import type { Measurements, Metadata } from '../schema/event.js';
import { isLifted } from '../schema/fields.js';
import { spellingOf } from '../schema/spellings.js';

export interface Additions {
  readonly measurements: Measurements;
  readonly metadata: Metadata;
  /** Where what is not understood stands; all that could be read is in the halves. */
  readonly unread: readonly string[];
}

const NOTHING: Readonly<Record<string, unknown>> = Object.freeze({});
const NONE: readonly string[] = Object.freeze([]);

/** Never throws, whatever it is given. */
export function additionsOf(given: unknown): Additions {
  if (given === undefined || given === null)
    return { measurements: NOTHING, metadata: NOTHING, unread: NONE };
  const measurements: Record<string, unknown> = {};
  const metadata: Record<string, unknown> = {};
  const unread: string[] = [];
  const isObject = typeof given === 'object' && !Array.isArray(given);
  const names = isObject ? keysOf(given) : null;
  if (names === null) unread.push('end');
  for (const key of names ?? NONE) {
    try {
      const value = (given as Record<string, unknown>)[key];
      if (value === undefined) continue;
      if (key === 'measurements' || key === 'metadata') {
        if (!isHalf(value)) unread.push(`end.${key}`);
        else Object.assign(key === 'measurements' ? measurements : metadata, value);
        continue;
      }
      const isMeasured =
        spellingOf('metadata', key) === undefined && spellingOf('measurements', key) !== undefined;
      (isMeasured ? measurements : metadata)[key] = value;
      if (!isMeasured && spellingOf('metadata', key) === undefined && !isLifted(key))
        unread.push(`end.${key}`);
    } catch {
      // A getter threw.
      unread.push(`end.${key}`);
    }
  }
  return { measurements, metadata, unread };
}

/** Null for what does not tell them: a proxy may throw. */
function keysOf(object: object): string[] | null {
  try {
    return Object.keys(object);
  } catch {
    return null;
  }
}

function isHalf(value: unknown): boolean {
  return value === null || (typeof value === 'object' && !Array.isArray(value));
}
