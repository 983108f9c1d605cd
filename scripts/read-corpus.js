/**
 * Reads every Parquet and Arrow file of a public corpus, such as a clone of apache/parquet-testing, apache/arrow-testing or
 * hyparquet, and prints a table: file, rows, verdict. Values are compared with what DuckDB reads, and of Arrow files with
 * the JSON beside them.
 *
 *   npm run -s build && node scripts/read-corpus.js FOLDER …
 *
 * Ends with 1 where a value is another, an error has no code of the library, or a file takes too long.
 */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { ImportSource, importRecords } from '../dist/src/import/index.js';
import { expectedRows, firstDifference } from './corpus/arrow-json.js';
import { difference, duckdbRows } from './corpus/duckdb.js';

/** Longer than any of the files should take, on any machine. */
const FILE_MS_MAX = 20_000;
/** Folders and names of files that are damaged on purpose. */
const DAMAGED = /bad_data|fuzzing|clusterfuzz|crash-|INVALID|corrupt-checksum|bigendian/;

/** What the corpora say of values that DuckDB reads otherwise. */
const DOCUMENTED = new Map([
  // DuckDB takes no notice of the logical type STRING where there is no converted type.
  [
    'strings.parquet',
    (records) => records.map(({ l_utf8 }) => l_utf8).join() === 'alpha,bravo,charlie,delta',
  ],
  // 9089380393200000000 µs since 1970.
  ['int96_from_spark.parquet', (records) => records[5].a === '+290000-12-30T23:00:00.000000000Z'],
]);

const folders = process.argv.slice(2);
if (folders.length === 0) {
  console.error('usage: node scripts/read-corpus.js FOLDER …');
  process.exit(2);
}

const totals = new Map();
const count = (verdict) => totals.set(verdict, (totals.get(verdict) ?? 0) + 1);
let failures = 0;

for (const folder of folders) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  for (const name of files) {
    const path = join(folder, name);
    const format = formatOf(name);
    if (format === null || !statSync(path).isFile()) continue;
    const { rows, verdict, details = '' } = await judge(path, format);
    count(verdict);
    if (/^[A-Z]/.test(verdict)) failures++;
    console.log([relative(folder, path), rows, verdict, details.replaceAll(/\s+/g, ' ')].join('\t'));
  }
}

console.log();
for (const [verdict, files] of [...totals].sort()) console.log(`${files}\t${verdict}`);
process.exit(failures === 0 ? 0 : 1);

function formatOf(name) {
  if (/\.parquet(\.encrypted)?$|parquet\/(?:encoding-)?fuzzing\/[^.]*(?:\.fuzz)?$/.test(name))
    return 'parquet';
  if (/\.(?:arrow_file|stream|arrow)$|arrow-ipc-(?:file|stream)\/(?:clusterfuzz|crash)/.test(name))
    return 'arrow';
  return null;
}

async function judge(path, format) {
  const records = [];
  let columns = [];
  let failure = null;
  const started = performance.now();
  try {
    const source = await ImportSource.open(path, { format, time: 'now' }).catch(async (error) => {
      // A file may be read whole and have no rows.
      if (error.code !== 'ERR_NO_DATA') throw error;
      await importRecords(path, { format, time: 'now' }, () => {});
      return null;
    });
    columns = source?.columns ?? [];
    await source?.run((_, raw) => {
      records.push(raw);
    });
  } catch (error) {
    failure = error;
  }
  const rows = records.length;
  if (performance.now() - started > FILE_MS_MAX) return { rows, verdict: 'TOO SLOW' };
  if (failure !== null && !/^ERR_/.test(failure.code ?? '')) {
    return { rows, verdict: 'UNTYPED ERROR', details: String(failure.stack) };
  }
  if (failure?.code === 'ERR_UNSUPPORTED_FORMAT') {
    return { rows, verdict: 'unsupported feature', details: failure.message };
  }
  if (DAMAGED.test(path)) {
    return failure === null
      ? { rows, verdict: 'damaged: read all the same' }
      : { rows, verdict: 'damaged: refused', details: `${failure.code} ${failure.message}` };
  }
  if (format === 'parquet') return byDuckdb(path, columns, records, failure);
  return byJson(path, records, failure);
}

async function byDuckdb(path, columns, records, failure) {
  const rows = records.length;
  let expected;
  try {
    expected = await duckdbRows(path);
  } catch (error) {
    const details = `DuckDB: ${error.message}`;
    if (failure !== null)
      return { rows, verdict: 'refused, by DuckDB too', details: `${failure.message} ${details}` };
    return { rows, verdict: 'read, DuckDB cannot', details };
  }
  if (failure !== null) return { rows, verdict: 'REFUSED, DUCKDB READS IT', details: `${failure.message}` };
  const details = difference(records, columns, expected);
  if (details !== null && DOCUMENTED.get(basename(path))?.(records) === true) {
    return { rows, verdict: 'same as its documentation, DuckDB differs', details };
  }
  return details === null ? { rows, verdict: 'same as DuckDB' } : { rows, verdict: 'OTHER VALUES', details };
}

async function byJson(path, records, failure) {
  const rows = records.length;
  const json = path.replace(/\.(?:arrow_file|stream)$/, '.json.gz');
  if (failure !== null) return { rows, verdict: 'REFUSED', details: `${failure.code} ${failure.message}` };
  if (json === path || !existsSync(json)) return { rows, verdict: 'read, nothing to compare with' };
  const details = firstDifference(records, expectedRows(json));
  return details === null
    ? { rows, verdict: 'same as its JSON' }
    : { rows, verdict: 'OTHER VALUES', details };
}
