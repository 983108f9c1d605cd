/**
 * Whether what was read from disk is what this version writes. Its bytes may well be those that were written: by
 * another version.
 */

import { StorageError } from '../../errors.js';

/** A test of a value, or the shapes of an object's properties, or of each entry of a list. */
export type Shape = ((value: unknown) => boolean) | { readonly [key: string]: Shape } | readonly [Shape];

export const isText = (value: unknown): boolean => typeof value === 'string';
export const isNumber = (value: unknown): boolean => typeof value === 'number';
export const isFlag = (value: unknown): boolean => typeof value === 'boolean';
export const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const oneOf =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);
export const orNull =
  (test: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || test(value);

/** Whether a value is so. */
export function fits(value: unknown, shape: Shape): boolean {
  return misfit(value, shape, []) === null;
}

/**
 * @param path - of the file that the value is from
 * @throws StorageError ERR_SEGMENT_VERSION that says where it differs
 */
export function requireShape(value: unknown, shape: Shape, path: string): void {
  const place = misfit(value, shape, []);
  if (place === null) return;
  const where = place.join('.');
  throw new StorageError('ERR_SEGMENT_VERSION', `${path} is not as this version writes it, in ${where}`, {
    path,
    where,
  });
}

/** Where it differs, by keys; null where it does not. */
function misfit(value: unknown, shape: Shape, at: readonly (string | number)[]): typeof at | null {
  if (typeof shape === 'function') return shape(value) ? null : at;
  if (isList(shape)) {
    if (!Array.isArray(value)) return at;
    return firstMisfit(
      value.map((entry, i) => [i, entry, shape[0]] as const),
      at,
    );
  }
  if (!isObject(value)) return at;
  const object = value as Readonly<Record<string, unknown>>;
  return firstMisfit(
    Object.entries(shape).map(([key, inner]) => [key, object[key], inner] as const),
    at,
  );
}

function firstMisfit(
  parts: readonly (readonly [key: string | number, value: unknown, shape: Shape])[],
  at: readonly (string | number)[],
): typeof at | null {
  for (const [key, value, shape] of parts) {
    const found = misfit(value, shape, [...at, key]);
    if (found !== null) return found;
  }
  return null;
}

/** What Array.isArray tells, also of a readonly list. */
function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}

/** Whether both are the same JSON, their keys in the same order. */
export function isSameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
