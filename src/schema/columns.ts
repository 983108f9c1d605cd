/** Declared metadata columns. */

/** f64: any finite number. i32, u32: whole numbers in range. bool. dict: text that repeats. */
export type ColumnType = 'f64' | 'i32' | 'u32' | 'bool' | 'dict';

/** In the order of the codes that capture uses for them: those from bool on are stored as words. */
export const COLUMN_TYPES: readonly ColumnType[] = ['f64', 'i32', 'u32', 'bool', 'dict'];

/** Names that the enriched row gives to something else, so no column may have them. */
export const RESERVED_COLUMNS: ReadonlySet<string> = new Set(['model', 'provider', 'tokens']);
