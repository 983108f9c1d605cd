/** What DuckDB reads from a Parquet file, and whether values that the import read are the same. */

import { DuckDBInstance, DuckDBTypeId } from '@duckdb/node-api';

const instance = await DuckDBInstance.create(':memory:', { threads: '1' });

/** @returns rows of values as text of a common form, and their types; @throws what DuckDB says */
export async function duckdbRows(path) {
  const connection = await instance.connect();
  try {
    const reader = await connection.runAndReadAll(
      `SELECT * FROM read_parquet('${path}', binary_as_string = false)`,
    );
    const types = reader.columnTypes();
    return { types, rows: reader.getRows() };
  } finally {
    connection.closeSync();
  }
}

/** Where the import's records and DuckDB's rows differ first; null where nowhere. */
export function difference(records, columns, { types, rows }) {
  if (records.length !== rows.length) return `${records.length} rows, DuckDB has ${rows.length}`;
  for (const [row, record] of records.entries()) {
    for (const [i, name] of columns.entries()) {
      if (!same(record[name], rows[row][i], types[i])) {
        return `row ${row + 1}, ${name} (${types[i]}): ${show(record[name])}, DuckDB has ${show(rows[row][i])}`;
      }
    }
  }
  return null;
}

function show(value) {
  const text = JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? String(inner) : inner));
  return text?.slice(0, 120);
}

function same(ours, theirs, type) {
  if (theirs === null || theirs === undefined) return ours === null;
  const { typeId } = type;
  switch (typeId) {
    case DuckDBTypeId.FLOAT:
    case DuckDBTypeId.DOUBLE:
      return Number.isFinite(theirs) ? Object.is(ours, theirs) : ours === null;
    case DuckDBTypeId.DECIMAL: {
      const text = theirs.toString();
      return typeof ours === 'number' ? Number(text) === ours : text === ours;
    }
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY:
      return (
        Array.isArray(ours) &&
        ours.length === theirs.items.length &&
        ours.every((item, i) => same(item, theirs.items[i], type.valueType))
      );
    case DuckDBTypeId.STRUCT: {
      if (ours === null || typeof ours !== 'object') return false;
      const names = Object.keys(ours);
      return (
        names.length === type.entryCount &&
        type.entryNames.every((name, i) => same(ours[name] ?? null, theirs.entries[name], type.entryTypes[i]))
      );
    }
    case DuckDBTypeId.MAP:
      return (
        ours !== null &&
        theirs.entries.every(({ key, value }) =>
          same(ours[typeof key === 'string' ? key : String(key)] ?? null, value, type.valueType),
        ) &&
        Object.keys(ours).length === new Set(theirs.entries.map(({ key }) => String(key))).size
      );
    case DuckDBTypeId.BLOB:
    case DuckDBTypeId.GEOMETRY:
      return ours === Buffer.from(theirs.bytes ?? theirs).toString('base64');
    case DuckDBTypeId.TIMESTAMP:
    case DuckDBTypeId.TIMESTAMP_TZ:
      // Nanoseconds are cut off there.
      return instant(ours, 6) === instant(theirs.toString(), 6);
    case DuckDBTypeId.TIMESTAMP_NS:
      return instant(ours, 9) === instant(theirs.toString(), 9);
    case DuckDBTypeId.TIME:
    case DuckDBTypeId.TIME_TZ:
    case DuckDBTypeId.TIME_NS:
      return withoutZeros(ours) === withoutZeros(theirs.toString().replace(/\+00(:00)*$/, ''));
    case DuckDBTypeId.INTERVAL:
      return ours === duration(theirs);
    case DuckDBTypeId.VARCHAR:
      return ours === theirs || JSON.stringify(ours) === JSON.stringify(parsed(theirs));
    default:
      return ours === theirs || String(ours) === String(theirs);
  }
}

function instant(text, digits) {
  const bare = text
    .replace('T', ' ')
    .replace(/Z$|\+00$/, '')
    .replace(/^\+0*/, '');
  return withoutZeros(bare.replace(/\.(\d*)$/, (_, fraction) => `.${fraction.slice(0, digits)}`));
}

function withoutZeros(text) {
  return text.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
}

function duration({ months, days, micros }) {
  const seconds = withoutZeros((Number(micros) / 1e6).toFixed(6));
  const time = Number(micros) === 0 ? '' : `T${seconds}S`;
  const text = `${months === 0 ? '' : `${months}M`}${days === 0 ? '' : `${days}D`}${time}`;
  return text === '' ? 'PT0S' : `P${text}`;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
