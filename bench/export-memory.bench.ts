/**
 * How much memory does an export of ten million rows take, in each format?
 *
 * Each runs in a process of its own, which records the rows, lets memory come to rest, and exports as any program
 * would: what one export leaves behind does not count for the next. Idle is before the pool's thread is started, so
 * that the thread, its code and what compiling it takes count; beside it stands the same above a thread that has
 * exported a little before. Beside our files: DuckDB's of the same rows, from a table that it holds in memory.
 *
 * Files go to the temporary folder, up to several GB each and deleted at once; CRUCIBLE_BENCH_DIR names another.
 */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { withFolder } from './durable.bench.js';
import type { ExportCost, ExportJob } from './export-memory.process.js';
import type { Bench, Row, Scale } from './harness.js';

const LIMIT_BYTES = 150e6;
const ROWS = 10_000_000;
const SMOKE_ROWS = 5000;

type OurJob = ExportJob & { readonly by: 'us' };
type Subject = Pick<OurJob, 'format' | 'layout'> & { readonly name: string };

/** Parquet last: DuckDB reads that file. */
const SUBJECTS: readonly Subject[] = [
  { name: 'csv', format: 'csv', layout: null },
  { name: 'jsonl', format: 'jsonl', layout: null },
  { name: 'msgpack', format: 'msgpack', layout: 'rows' },
  { name: 'msgpack, columns', format: 'msgpack', layout: 'columns' },
  { name: 'arrow, file', format: 'arrow', layout: 'file' },
  { name: 'arrow, stream', format: 'arrow', layout: 'stream' },
  { name: 'parquet', format: 'parquet', layout: null },
];

const CSV = 'FORMAT csv, HEADER';
const PARQUET = 'FORMAT parquet, COMPRESSION zstd';
const PEERS = [
  { name: 'csv by DuckDB COPY', copyOptions: CSV, keepsOrder: true },
  { name: 'csv by DuckDB COPY, in any order', copyOptions: CSV, keepsOrder: false },
  { name: 'parquet by DuckDB COPY', copyOptions: PARQUET, keepsOrder: true },
  { name: 'parquet by DuckDB COPY, in any order', copyOptions: PARQUET, keepsOrder: false },
];

/** When this runs from the sources, the process is the built one. */
const PROCESS = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../dist/bench/export-memory.process.js' : './export-memory.process.js',
    import.meta.url,
  ),
);

async function run(job: ExportJob): Promise<ExportCost | null> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    PROCESS,
    JSON.stringify(job),
  ]);
  return JSON.parse(stdout);
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;

function plain(name: string, rows: number, cost: ExportCost): Row {
  const { idleBytes, warmBytes, peakBytes, seconds, fileBytes } = cost;
  const rate = (rows / seconds / 1e6).toFixed(2);
  return {
    name,
    value: megabytes(peakBytes - idleBytes),
    against: `on ${megabytes(idleBytes)}; warm ${megabytes(peakBytes - warmBytes)}; ${seconds.toFixed(1)} s, ${rate} M rows/s, file ${megabytes(fileBytes)}`,
    bound: '',
  };
}

async function rowsIn(dir: string, { smoke }: Scale): Promise<Row[]> {
  const rows = smoke ? SMOKE_ROWS : ROWS;
  const results: Row[] = [];
  const parquet = join(dir, 'ours.parquet');
  // Each takes the start of a process, so the tests are content with the last of ours and the first peer.
  for (const { name, format, layout } of smoke ? SUBJECTS.slice(-1) : SUBJECTS) {
    const path = format === 'parquet' ? parquet : join(dir, 'ours');
    const cost = (await run({ by: 'us', format, layout, rows, path }))!;
    const bound = `≤ ${LIMIT_BYTES / 1e6} MB`;
    results.push({
      ...plain(name, rows, cost),
      bound,
      holds: cost.peakBytes - cost.idleBytes <= LIMIT_BYTES,
    });
    if (path !== parquet) rmSync(path);
  }
  for (const { name, copyOptions, keepsOrder } of smoke ? PEERS.slice(0, 1) : PEERS) {
    const path = join(dir, 'theirs');
    const cost = await run({ by: 'DuckDB', copyOptions, keepsOrder, source: parquet, path });
    if (cost === null) continue;
    results.push(plain(name, rows, cost));
    rmSync(path);
  }
  return results;
}

export const exportMemory: Bench = {
  question:
    'How much memory does an export of ten million rows take above idle, and how long, in each format?',
  not: 'metadata beyond the columns, rows out of order, compression of whole files, pages the system caches; seconds are of one run, with checksum and sync, which DuckDB does not do; it is left out where it is not installed',
  rows: (scale) => withFolder((dir) => rowsIn(dir, scale)),
};
