/**
 * One export of export-memory.bench.ts, in a process that does nothing else: prints an `ExportCost` as JSON, or null
 * where DuckDB is to do it and is not installed. Needs --expose-gc.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crucible, type Experiment, type ExportFormat, type ExportOptions } from '../src/index.js';
import { random, syntheticCalls } from './harness.js';

/** What is to be written, and by whom. */
export type ExportJob =
  | {
      readonly by: 'us';
      readonly format: ExportFormat;
      readonly layout: ExportOptions['layout'] | null;
      readonly rows: number;
      readonly path: string;
    }
  /** DuckDB's COPY of the rows of a Parquet file. */
  | { readonly by: 'DuckDB'; readonly copyOptions: string; readonly source: string; readonly path: string };

export interface ExportCost {
  readonly fileBytes: number;
  readonly seconds: number;
  /** Most resident memory since recording, less what was resident then, before any thread was started; bytes. */
  readonly aboveIdle: number;
  /** The same, less what was resident after a tiny export: with the thread and its code, for as long as it lives. */
  readonly aboveWarm: number;
}

const EVENT = 'req_llm.request.stop';
const MODELS = 16;
const START_US = 1.7e15;
/** Between two rows. */
const STEP_US = 3600;
const INPUTS = 4096;
/** More than an export does without the thread. */
const TINY_ROWS = 4096;
const SAMPLE_MS = 20;

const residentBytes = () => process.memoryUsage.rss();

/** Has the kernel forget the highest resident memory there was. @returns false where it has no way to */
function resetHighWater(): boolean {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
    return true;
  } catch {
    return false;
  }
}

/** Highest resident memory that the kernel knows of, bytes. */
function highWaterBytes(): number {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

/**
 * Watches resident memory, page cache not counted: by samples, and where there is Linux's mark of the highest, by
 * that too, which sees what comes and goes between two samples.
 * @returns ends it, and tells the most there was in bytes
 */
function watchPeak(): () => number {
  let peak = residentBytes();
  const sample = () => {
    peak = Math.max(peak, residentBytes());
  };
  const timer = setInterval(sample, SAMPLE_MS);
  const isMarked = resetHighWater();
  return () => {
    clearInterval(timer);
    sample();
    return isMarked ? Math.max(peak, highWaterBytes()) : peak;
  };
}

/** What a collection frees goes back to the system a little later, and sometimes only with the next. */
async function idleBytes(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    gc?.();
    await sleep(10);
  }
  return residentBytes();
}

/**
 * Watches from before the first export to the end of the second.
 * @param tiny - what starts threads and loads code; its memory counts above idle too
 * @param path - of the file that `large` writes
 */
async function costOf(
  tiny: () => Promise<unknown>,
  large: () => Promise<unknown>,
  path: string,
): Promise<ExportCost> {
  const idle = await idleBytes();
  const peak = watchPeak();
  await tiny();
  const warm = await idleBytes();
  const start = performance.now();
  await large();
  const seconds = (performance.now() - start) / 1000;
  const most = peak();
  return { fileBytes: statSync(path).size, seconds, aboveIdle: most - idle, aboveWarm: most - warm };
}

/** Rows ascending by time, in memory; leaves little on the heap. */
async function recorded(crucible: Crucible, name: string, rows: number): Promise<Experiment> {
  const experiment = crucible.startExperiment({ name, capacity: rows, producers: 1 });
  const recorders = Array.from({ length: MODELS }, (_, i) =>
    experiment.recorder(EVENT, { model: `model-${i}`, provider: 'provider' }),
  );
  const { latencies, costs } = syntheticCalls(INPUTS);
  const next = random(7);
  for (let i = 0; i < rows; i++) {
    // As many different values as rows: a dictionary of 4096 of them would flatter the columnar formats.
    const scale = 1 + next();
    recorders[i % MODELS].recordAt(
      START_US + i * STEP_US,
      latencies[i % INPUTS] * scale,
      costs[i % INPUTS] * scale,
      Math.floor(4000 * next()),
      Math.floor(1000 * next()),
      next() < 0.95,
    );
  }
  await experiment.stop();
  return experiment;
}

async function byUs({ format, layout, rows, path }: ExportJob & { by: 'us' }): Promise<ExportCost> {
  await using crucible = new Crucible();
  const few = await recorded(crucible, 'tiny', TINY_ROWS);
  const many = await recorded(crucible, 'large', rows);
  const options = layout === null ? {} : { layout };
  return await costOf(
    () => few.export(format, { ...options, path: `${path}.tiny` }),
    () => many.export(format, { ...options, path }),
    path,
  );
}

async function byDuckDb({
  copyOptions,
  source,
  path,
}: ExportJob & { by: 'DuckDB' }): Promise<ExportCost | null> {
  const duckdb = await import('@duckdb/node-api').catch(() => null);
  if (duckdb === null) return null;
  const instance = await duckdb.DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  try {
    await connection.run(`CREATE TABLE calls AS SELECT * FROM '${source}'`);
    return await costOf(
      () =>
        connection.run(`COPY (SELECT * FROM calls LIMIT ${TINY_ROWS}) TO '${path}.tiny' (${copyOptions})`),
      () => connection.run(`COPY calls TO '${path}' (${copyOptions})`),
      path,
    );
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const job = JSON.parse(process.argv[2]) as ExportJob;
process.stdout.write(JSON.stringify(await (job.by === 'us' ? byUs(job) : byDuckDb(job))));
