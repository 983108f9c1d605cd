/**
 * What tells our own exports from files whose columns merely have the same names.
 *
 * Parquet, Arrow and the columnar snapshot say in their metadata that they are exports, and Arrow and Parquet which
 * columns they were written with: nobody's columns say that. CSV, JSON Lines and MessagePack rows have no place for it:
 * there a manifest beside the file tells, and else values that agree with each other as only ours do.
 */

import { placeOfEventId } from '../row/event-id.js';
import { BASE, EXTRA, ofMaps, PARTS, REQUIRED_COLUMNS, type SchemaColumn } from '../row/file-columns.js';
import type { Json } from '../schema/event.js';
import { parseTimestamp } from './timestamps.js';
import { parsedJson } from './values.js';

/** Key of the metadata of Arrow and Parquet files under which their columns are told, as JSON. */
export const COLUMNS_KEY = 'crucible.columns';

const isMap = (value: Json) => typeof value === 'object' && value !== null && !Array.isArray(value);
/** What the values of a column are in a map; null besides, where it may be. */
const VALUES: Readonly<Partial<Record<SchemaColumn['type'], (value: Json) => boolean>>> = {
  any: () => true,
  bool: (value) => typeof value === 'boolean',
  float64: (value) => typeof value === 'number',
  list: Array.isArray,
  object: isMap,
  text: (value) => typeof value === 'string',
  timestamp: Number.isSafeInteger,
};
const OF_MAPS: readonly SchemaColumn[] = ofMaps<SchemaColumn>([...BASE, ...EXTRA, ...PARTS]);

type Raw = Readonly<Record<string, Json>>;

/** Whether a file with these columns, or a record with these keys, has what an export needs to be read as one. */
export function hasOwnColumns(columns: readonly string[]): boolean {
  return REQUIRED_COLUMNS.every((name) => columns.includes(name));
}

/**
 * Whether the metadata of a file with these columns say that it was written with them. Whoever adds a column to one of
 * our files makes another of it; one that was taken out is merely missing.
 * @param told - what stands under `COLUMNS_KEY`
 */
export function tellsColumns(told: string | undefined, columns: readonly string[]): boolean {
  const list = parsedJson(told ?? null);
  if (!Array.isArray(list) || !hasOwnColumns(columns)) return false;
  const names = new Set(list.map((column) => (isMap(column) ? (column as Raw).name : null)));
  return columns.every((name) => names.has(name));
}

/** Whether a row of text is one of a CSV export. */
export function isOwnRow(row: Raw): boolean {
  if (!hasOwnColumns(Object.keys(row))) return false;
  if (hasOwnId(row)) return true;
  const { timestamp, datetime } = row;
  if (typeof datetime !== 'string' || datetime === '') return false;
  const time = datetime.replace(/^'/, '');
  return (
    BASE.every(({ name }) => Object.hasOwn(row, name)) &&
    parseTimestamp(time, { unit: 'iso' }) === Number(timestamp)
  );
}

/** Whether a map is an event of JSON Lines or MessagePack. */
export function isOwnMap(record: Raw): boolean {
  if (!hasOwnColumns(Object.keys(record))) return false;
  if (hasOwnId(record)) return true;
  return OF_MAPS.every(({ name, type, nullable }) => {
    if (!Object.hasOwn(record, name)) return false;
    const value = record[name]!;
    return (nullable && value === null) || VALUES[type]!(value);
  });
}

/** Whether the event's id is made of its experiment's. */
function hasOwnId({ event_id: id, experiment_id: experiment }: Raw): boolean {
  return typeof id === 'string' && typeof experiment === 'string' && placeOfEventId(id, experiment) !== null;
}
