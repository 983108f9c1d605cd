/**
 * How the values of declared columns are stored: numbers as doubles, with NaN for none; bool and dict as words, with 0 for
 * none.
 */

import type { ColumnType } from '../schema/columns.js';

export const NONE = 0;
export const FALSE = 1;
export const TRUE = 2;

/** Whether the column's values are words and not doubles. */
export function isWordColumn(type: ColumnType): boolean {
  return type === 'bool' || type === 'dict';
}

/** What stands for no value. */
export function absentCode(type: ColumnType): number {
  return isWordColumn(type) ? NONE : Number.NaN;
}

export function isAbsent(type: ColumnType, code: number): boolean {
  return isWordColumn(type) ? code === NONE : Number.isNaN(code);
}

/** @param code - of a value that there is @param text - of a dictionary's id */
export function declaredValue(
  type: ColumnType,
  code: number,
  text: (id: number) => string,
): number | string | boolean {
  if (type === 'bool') return code === TRUE;
  return type === 'dict' ? text(code) : code;
}
