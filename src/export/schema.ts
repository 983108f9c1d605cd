/** The types of flat columns, which hold one type each, by what a first pass has seen in them. */

import type { ValueType } from '../formats/columns/column.js';
import type { ColumnType } from '../schema/columns.js';
import type { Column } from './columns.js';
import {
  type ColumnNode,
  type ColumnPlan,
  KIND_BOOL,
  KIND_INTEGER,
  KIND_NULL,
  KIND_NUMBER,
  KIND_TEXT,
} from './plan.js';

const ALL_WHOLE = KIND_NULL | KIND_INTEGER;

/** The type of a column that every file has. Ids and lists are text, so that files can be joined. */
export function fixedType({ type, unit }: Column, plan: ColumnPlan | null): ValueType {
  if (type === 'list' || type === 'object' || type === 'any') return 'text';
  return unit === 'tokens' && plan !== null && (plan.tokenKinds & ~ALL_WHOLE) !== 0 ? 'float64' : type;
}

/** As declared if all its values are so, else what all of them are, else text: `mixed`. */
export function openType(node: ColumnNode): { readonly type: ValueType; readonly mixed: boolean } {
  const [declared] = node.declared.size === 1 ? node.declared : [];
  if (declared !== undefined && declared !== 'dict' && fits(declared, node))
    return { type: DECLARED[declared], mixed: false };
  const kinds = node.kinds & ~KIND_NULL;
  if (kinds === KIND_BOOL) return { type: 'bool', mixed: false };
  if (kinds === KIND_INTEGER) return { type: 'int64', mixed: false };
  if (kinds !== 0 && (kinds & ~(KIND_INTEGER | KIND_NUMBER)) === 0) return { type: 'float64', mixed: false };
  return { type: 'text', mixed: (kinds & ~KIND_TEXT) !== 0 };
}

/** What the declared types allow. */
function fits(type: ColumnType, { kinds, least, greatest }: ColumnNode): boolean {
  const only = (allowed: number) => (kinds & ~(allowed | KIND_NULL)) === 0;
  switch (type) {
    case 'f64':
      return only(KIND_INTEGER | KIND_NUMBER);
    case 'i32':
      return only(KIND_INTEGER) && !(least < -(2 ** 31)) && !(greatest >= 2 ** 31);
    case 'u32':
      return only(KIND_INTEGER) && !(least < 0) && !(greatest >= 2 ** 32);
    case 'bool':
      return only(KIND_BOOL);
    case 'dict':
      return only(KIND_TEXT);
  }
}

const DECLARED: Readonly<Record<ColumnType, ValueType>> = {
  f64: 'float64',
  i32: 'int32',
  u32: 'uint32',
  bool: 'bool',
  dict: 'text',
};
