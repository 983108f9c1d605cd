/** Declared metadata columns. */
import { ConfigError } from '../errors.js';

/** f64: any finite number. i32, u32: whole numbers in range. bool. dict: text that repeats. */
export type ColumnType = 'f64' | 'i32' | 'u32' | 'bool' | 'dict';

/** In the order of the codes that capture uses for them: those from bool on are stored as words. */
export const COLUMN_TYPES: readonly ColumnType[] = ['f64', 'i32', 'u32', 'bool', 'dict'];

/** Names that the enriched row gives to something else, so no column may have them. */
export const RESERVED_COLUMNS: ReadonlySet<string> = new Set(['model', 'provider', 'tokens']);

/**
 * A copy of declared columns, checked.
 * @throws ConfigError naming the column under `path`, and what was expected
 */
export function checkColumns(path: string, columns: unknown): Record<string, ColumnType> {
  if (columns === undefined) return {};
  if (typeof columns !== 'object' || columns === null || Array.isArray(columns)) {
    throw new ConfigError(path, 'an object of column name to type', columns);
  }
  const checked = Object.entries(columns).map(([name, type]): [string, ColumnType] => {
    if (RESERVED_COLUMNS.has(name))
      throw new ConfigError(`${path}.${name}`, 'a name without a column of its own', name);
    if (!COLUMN_TYPES.includes(type))
      throw new ConfigError(`${path}.${name}`, `one of ${COLUMN_TYPES.join(', ')}`, type);
    return [name, type];
  });
  return Object.fromEntries(checked);
}
