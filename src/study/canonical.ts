/** Canonical JSON (RFC 8785): equal values have equal text, whoever writes it, so that a hash can stand for them. */
import { createHash } from 'node:crypto';
import type { Json } from '../schema/event.js';

/** Keys ascending by UTF-16 code units, no spaces, numbers and texts as JSON.stringify has them. */
export function canonicalJson(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const entries = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key]!)}`);
  return `{${entries.join(',')}}`;
}

/** SHA-256 of the canonical JSON in UTF-8, 64 hex digits. */
export function hashOf(value: Json): string {
  return createHash('sha256').update(canonicalJson(value), 'utf8').digest('hex');
}

/** A place where two values differ; null where one of them has nothing there. */
export interface Difference {
  /** 'arms[1].weight' */
  readonly path: string;
  readonly planned: Json;
  readonly given: Json;
}

/** Every place where `given` is not as `planned`, down to the values. */
export function differencesBetween(planned: Json, given: Json, path = ''): Difference[] {
  if (isParent(planned) && isParent(given) && Array.isArray(planned) === Array.isArray(given)) {
    const keys = [...new Set([...Object.keys(planned), ...Object.keys(given)])].sort();
    return keys.flatMap((key) =>
      differencesBetween(own(planned, key), own(given, key), pathTo(path, key, Array.isArray(planned))),
    );
  }
  return canonicalJson(planned) === canonicalJson(given) ? [] : [{ path, planned, given }];
}

function isParent(value: Json): value is { [key: string]: Json } | Json[] {
  return typeof value === 'object' && value !== null;
}

function own(parent: { [key: string]: Json } | Json[], key: string): Json {
  return Object.hasOwn(parent, key) ? (parent as { [key: string]: Json })[key]! : null;
}

function pathTo(path: string, key: string, isList: boolean): string {
  if (isList) return `${path}[${key}]`;
  return path === '' ? key : `${path}.${key}`;
}
