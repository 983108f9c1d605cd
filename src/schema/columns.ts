/** Declared metadata columns. */
import { checkOptions } from '../check-options.js';
import { ConfigError } from '../errors.js';

/** f64: any finite number. i32, u32: whole numbers in range. bool. dict: text that repeats. */
export type ColumnType = 'f64' | 'i32' | 'u32' | 'bool' | 'dict';

/**
 * As a program declares a column: its type, or that and whether streaming metrics are kept of it, `live`, which takes a
 * column of numbers or booleans.
 */
export type ColumnDeclaration =
  | ColumnType
  | { readonly type: ColumnType; readonly live?: boolean | undefined };

/** A column as it is kept; `live` only where it is. */
export interface DeclaredColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly live?: true;
}

/** In the order of the codes that capture uses for them: those from bool on are stored as words. */
export const COLUMN_TYPES: readonly ColumnType[] = ['f64', 'i32', 'u32', 'bool', 'dict'];

/** Names that the enriched row gives to something else, so no column may have them. */
export const RESERVED_COLUMNS: ReadonlySet<string> = new Set(['model', 'provider', 'tokens']);

/**
 * Columns of an event, whose type is all there is to say.
 * @throws ConfigError naming the column under `path`, and what was expected
 */
export function checkColumnTypes(path: string, columns: unknown): Record<string, ColumnType> {
  const checked = checkColumns(path, columns).map(({ name, type, live }) => {
    if (live) throw new ConfigError(`${path}.${name}`, 'a type; what is live is said by an experiment', live);
    return [name, type] as const;
  });
  return Object.fromEntries(checked);
}

/**
 * Declared columns, checked.
 * @throws ConfigError naming the column under `path`, and what was expected
 */
export function checkColumns(path: string, columns: unknown): DeclaredColumn[] {
  if (columns === undefined) return [];
  if (typeof columns !== 'object' || columns === null || Array.isArray(columns)) {
    throw new ConfigError(path, 'an object of column name to type', columns);
  }
  return Object.entries(columns).map(([name, declaration]) => {
    const isObject = typeof declaration === 'object' && declaration !== null;
    if (isObject) checkOptions(declaration, ['type', 'live'], `${path}.${name}`);
    const { type, live = false } = isObject ? declaration : { type: declaration };
    if (RESERVED_COLUMNS.has(name))
      throw new ConfigError(`${path}.${name}`, 'a name without a column of its own', name);
    if (!COLUMN_TYPES.includes(type))
      throw new ConfigError(`${path}.${name}`, `one of ${COLUMN_TYPES.join(', ')}`, type);
    if (typeof live !== 'boolean') throw new ConfigError(`${path}.${name}.live`, 'a boolean', live);
    if (live && type === 'dict')
      throw new ConfigError(`${path}.${name}.live`, 'a column of numbers or booleans', type);
    return { name, type, ...(live && { live }) };
  });
}
