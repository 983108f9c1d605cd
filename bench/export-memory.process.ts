/**
 * One export of export-memory.bench.ts, in a process that does nothing else: prints an `ExportCost` as JSON, or null
 * where DuckDB is to do it and is not installed. Needs --expose-gc.
 */
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crucible, type Experiment, type ExportFormat, type ExportOptions } from '../src/index.js';
import { random, syntheticCalls } from './harness.js';
import { residentBytes, watchPeak } from './resident.js';

/** What is to be written, and by whom. */
export type ExportJob =
  | {
      readonly by: 'us';
      readonly format: ExportFormat;
      readonly layout: ExportOptions['layout'] | null;
      readonly rows: number;
      readonly path: string;
    }
  /** DuckDB's COPY of a table of its own, made of the rows of a Parquet file. */
  | {
      readonly by: 'DuckDB';
      readonly copyOptions: string;
      /** Whether rows come out as they went in, which is what it does unless it is told otherwise. */
      readonly keepsOrder: boolean;
      readonly source: string;
      readonly path: string;
    };

/** Resident memory in bytes, but for the page cache. */
export interface ExportCost {
  readonly fileBytes: number;
  readonly seconds: number;
  /** With the rows, before any thread was started. */
  readonly idleBytes: number;
  /** After a tiny export: with the thread and its code. */
  readonly warmBytes: number;
  /** The most there was from `idleBytes` to the end. */
  readonly peakBytes: number;
}

const EVENT = 'req_llm.request.stop';
const MODELS = 16;
const START_US = 1.7e15;
/** Between two rows. */
const STEP_US = 3600;
const INPUTS = 4096;
/** More than an export does without the thread. */
const TINY_ROWS = 4096;

/** What a collection frees goes back to the system a little later, and sometimes only with the next. */
async function restingBytes(): Promise<number> {
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
  const idleBytes = await restingBytes();
  const peak = watchPeak();
  await tiny();
  const warmBytes = await restingBytes();
  const start = performance.now();
  await large();
  const seconds = (performance.now() - start) / 1000;
  return { fileBytes: statSync(path).size, seconds, idleBytes, warmBytes, peakBytes: peak() };
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
  keepsOrder,
  source,
  path,
}: ExportJob & { by: 'DuckDB' }): Promise<ExportCost | null> {
  const duckdb = await import('@duckdb/node-api').catch(() => null);
  if (duckdb === null) return null;
  const instance = await duckdb.DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  try {
    await connection.run(`SET preserve_insertion_order = ${keepsOrder}`);
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
