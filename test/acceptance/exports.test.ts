/**
 * What leaves here opens everywhere: files made by nothing but the packed package, read by programs of others, and each
 * cell compared with what was put in. Every format meets every number of rows, and every format every option.
 *
 * `CRUCIBLE_LONG=1` (npm run test:long) does the same with a million rows, `CRUCIBLE_LONG=once` (npm run
 * test:acceptance) one case of each format with 400,000.
 */

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Crucible, Experiment, ExportFormat, ExportOptions } from '../../src/index.js';
import { IS_LONG, IS_ONCE, LONG_ROWS } from '../support/effort.js';
import { type Compared, compareColumns, compareDocuments, compareSnapshot } from './compare.js';
import { type Installed, installed } from './package.js';
import {
  arrowFileByPolars,
  arrowStreamByPolars,
  byApacheArrow,
  byFlechette,
  byHyparquet,
  byLines,
  byMsgpack,
  byMsgpackr,
  byParquetWasm,
  bySpecification,
  csvByDuckDb,
  csvByPolars,
  parquetByDuckDb,
  parquetByPolars,
  polars,
  type Reader,
} from './readers.js';
import { type Arm, armsOf, DECLARED, FileOrder, fill } from './truth.js';

const SIZES = IS_LONG ? [LONG_ROWS] : [1, 10, 16_384, 100_000];
/** A run that has to be complete. */
const IS_CI = [process.env.CI, process.env.CRUCIBLE_CI].some((value) => value === '1' || value === 'true');
const TIMEOUT_MS = IS_LONG ? 1_800_000 : 300_000;
/** What reads a whole file of a million rows as objects is left out there. */
const SMALL_ROWS = 100_000;

const hasZstd = 'createZstdCompress' in zlib;
const WHOLE_FILE = hasZstd ? (['none', 'gzip', 'zstd'] as const) : (['none', 'gzip'] as const);
const WAYS = ['export', 'exportStream', 'exportMultiple'] as const;

interface Case {
  readonly rows: number;
  readonly way: (typeof WAYS)[number];
  readonly options: ExportOptions;
  readonly durable: boolean;
  readonly workers: 0 | 1;
}

interface Subject {
  readonly name: string;
  readonly format: ExportFormat;
  readonly layout?: ExportOptions['layout'];
  readonly compressions: readonly NonNullable<ExportOptions['compression']>[];
  readonly flattens: boolean;
  /** By the names of the programs. */
  readonly readers: Readonly<
    Record<string, (path: string, order: FileOrder, options: ExportOptions) => Promise<Compared>>
  >;
}

const columns =
  (reader: Reader, isCsv = false) =>
  (path: string, order: FileOrder, { flatten = true }: ExportOptions) =>
    compareColumns(path, reader, order, { flatten, isCsv });

const withPolars = (reader: Reader, isCsv = false): Subject['readers'] =>
  polars === null ? {} : { polars: columns(reader, isCsv) };

const SUBJECTS: readonly Subject[] = [
  {
    name: 'csv',
    format: 'csv',
    compressions: WHOLE_FILE,
    flattens: true,
    readers: { DuckDB: columns(csvByDuckDb, true), ...withPolars(csvByPolars, true) },
  },
  {
    name: 'jsonl',
    format: 'jsonl',
    compressions: WHOLE_FILE,
    flattens: false,
    readers: { 'JSON.parse': (path, order) => compareDocuments(path, byLines, order) },
  },
  {
    name: 'msgpack, rows',
    format: 'msgpack',
    layout: 'rows',
    compressions: WHOLE_FILE,
    flattens: false,
    readers: {
      msgpackr: (path, order) => compareDocuments(path, byMsgpackr, order),
      '@msgpack/msgpack': async (path, order) =>
        order.rows > SMALL_ROWS
          ? { rows: order.rows, columns: 0 }
          : await compareDocuments(path, byMsgpack, order),
    },
  },
  {
    name: 'msgpack, columns',
    format: 'msgpack',
    layout: 'columns',
    compressions: WHOLE_FILE,
    flattens: false,
    readers: { 'msgpackr, by the document': (path, order) => compareSnapshot(path, bySpecification, order) },
  },
  {
    name: 'arrow, file',
    format: 'arrow',
    layout: 'file',
    compressions: ['none'],
    flattens: true,
    readers: {
      'apache-arrow': columns(byApacheArrow),
      flechette: columns(byFlechette),
      ...withPolars(arrowFileByPolars),
    },
  },
  {
    name: 'arrow, stream',
    format: 'arrow',
    layout: 'stream',
    compressions: ['none'],
    flattens: true,
    readers: {
      'apache-arrow': columns(byApacheArrow),
      flechette: columns(byFlechette),
      'parquet-wasm': columns(byParquetWasm),
      ...withPolars(arrowStreamByPolars),
    },
  },
  {
    name: 'parquet',
    format: 'parquet',
    compressions: ['none', 'snappy', 'gzip', 'zstd'],
    flattens: true,
    readers: {
      hyparquet: columns(byHyparquet),
      DuckDB: columns(parquetByDuckDb),
      'parquet-wasm': columns(byParquetWasm),
      ...withPolars(parquetByPolars),
    },
  },
];

/** Pairs of a format with each number of rows, and with each value of each option. */
function casesOf({ compressions, flattens, layout }: Subject, subject: number): Case[] {
  const place = (at: number): Case => ({
    rows: SIZES[at % SIZES.length]!,
    way: WAYS[(at + 2 * subject) % WAYS.length]!,
    durable: ((at + (at >> 1) + subject) & 1) === 1,
    workers: (((at >> 1) ^ subject) & 1) as 0 | 1,
    options: {
      ...(layout !== undefined && { layout }),
      ...(compressions.length > 1 && { compression: compressions[(at + subject) % compressions.length]! }),
      ...(flattens && { flatten: ((at + subject) & 1) === 0 }),
    },
  });
  return Array.from({ length: IS_ONCE ? 1 : 4 }, (_, at) => place(at));
}

let product: Installed;
let folder: string;
const filled = new Map<string, Promise<{ crucible: Crucible; experiments: Experiment[]; arms: Arm[] }>>();

beforeAll(async () => {
  product = await installed();
  folder = mkdtempSync(join(product.folder, 'files-'));
}, 120_000);
afterAll(async () => {
  for (const each of filled.values()) await (await each).crucible.close();
  product.remove();
}, 120_000);

/** Experiments with all rows of both arms, as they are in a process that goes on. */
async function experimentsOf(key: string, { rows, durable, workers }: Case) {
  const arms = armsOf(key, rows);
  const crucible = new product.library.Crucible({ workers });
  const dir = durable ? { dir: join(folder, key) } : {};
  const experiments = arms.map((arm) =>
    crucible.startExperiment({
      ...dir,
      id: arm.id,
      name: arm.name,
      condition: arm.condition,
      tags: arm.tags,
      columns: DECLARED,
      capacity: rows + 2048,
    }),
  );
  for (const [i, arm] of arms.entries()) {
    fill(arm, experiments[i]!);
    await experiments[i]!.flush();
  }
  return { crucible, experiments, arms };
}

function experimentsFor(given: Case) {
  const key = `${given.rows}-${given.durable ? 'disk' : 'memory'}-${given.workers}`;
  const known = filled.get(key) ?? experimentsOf(key, given);
  filled.set(key, known);
  return known;
}

/** Writes the file. @returns the order its rows must have */
async function write(path: string, format: ExportFormat, given: Case): Promise<FileOrder> {
  const { crucible, experiments, arms } = await experimentsFor(given);
  const { way, options } = given;
  const [first, firstArm] = [experiments[0]!, arms[0]!];
  if (way === 'exportStream') {
    await pipeline(first.exportStream(format, options), createWriteStream(path));
    return new FileOrder([firstArm]);
  }
  const result =
    way === 'export'
      ? await first.export(format, { path, ...options })
      : await crucible.exportMultiple(experiments, format, { path, ...options });
  const order = new FileOrder(way === 'export' ? [firstArm] : arms);
  const manifest = JSON.parse(readFileSync(result.manifest, 'utf8')) as { rows: number; sha256: string };
  expect(manifest).toMatchObject({ rows: order.rows, sha256: await sha256Of(path) });
  expect(result.rows).toBe(order.rows);
  return order;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

const SUFFIXES = { none: '', snappy: '', gzip: '.gz', zstd: '.zst' } as const;

describe.each(SUBJECTS)('$name', (subject) => {
  const { format, readers } = subject;
  const named = casesOf(subject, SUBJECTS.indexOf(subject)).map((each) => ({
    ...each,
    said: JSON.stringify({ ...each.options, layout: undefined }),
  }));

  it.each(named)(
    '$way of $rows rows says what was put in: $said, durable: $durable, workers: $workers',
    async (given) => {
      const { compression = 'none' } = given.options;
      const suffix = format === 'parquet' ? '' : SUFFIXES[compression];
      const path = join(folder, `rows.${format}${suffix}`);
      const order = await write(path, format, given);
      for (const [reader, compare] of Object.entries(readers)) {
        // It has no Zstandard of its own, and this Node none to lend it.
        if (reader === 'hyparquet' && compression === 'zstd' && !hasZstd) continue;
        const compared = await compare(path, order, given.options).catch((error: Error) => {
          throw new Error(`${reader}: ${error.message}`, { cause: error });
        });
        expect(compared.rows, reader).toBe(order.rows);
      }
      rmSync(path);
    },
    TIMEOUT_MS,
  );

  it('of no rows is an error, and no file', async () => {
    for (const [at, way] of WAYS.entries()) {
      // The stream that a pipeline has given up may create its file a little later.
      const path = join(folder, `none-${way}.${format}`);
      const given: Case = { rows: 0, way, durable: at === 1, workers: at === 2 ? 0 : 1, options: {} };
      await expect(write(path, format, given)).rejects.toMatchObject({ code: 'ERR_NO_DATA' });
      if (way !== 'exportStream') expect(existsSync(path)).toBe(false);
    }
  });
});

it('reads with polars, too', () => {
  if (polars !== null) return;
  const missing =
    'nodejs-polars has no binary here: npm installs it with Node 22 or later; with Node 20, `npm install --no-save nodejs-polars-linux-x64-gnu@0.25.2`';
  if (IS_CI) throw new Error(missing);
  process.stderr.write(`acceptance: not read by polars: ${missing}\n`);
});
