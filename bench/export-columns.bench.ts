/**
 * How fast do recorded rows become Arrow and Parquet, and how large are the files? The encoders by themselves: rows are
 * read in order before each block, which is not counted, and nothing is written to a disk.
 *
 * Beside Parquet: DuckDB's COPY of the same columns, from a table that it has already, and hyparquet-writer given the
 * columns as arrays that it has already. Neither has its share of gathering rows counted.
 */
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { systemClock } from '../src/clock.js';
import { resolveOptions } from '../src/experiment/options.js';
import { Stores } from '../src/experiment/stores.js';
import { arrowFormat } from '../src/export/arrow.js';
import type { EncodeOptions, ExportFormatDefinition } from '../src/export/encoder.js';
import { parquetFormat } from '../src/export/parquet.js';
import { ColumnPlan } from '../src/export/plan.js';
import { compileFilter } from '../src/readers/filter.js';
import { MemoryStore } from '../src/readers/memory-store.js';
import { orderedRows } from '../src/readers/ordered.js';
import { openView, type View } from '../src/readers/source.js';
import { REFERENCE_PRICES } from '../src/schema/prices.js';
import { withFolder } from './durable.bench.js';
import { type Bench, type Row, random, type Scale, syntheticCalls } from './harness.js';

const START_US = 1.7e15;
/** Between two rows, on average. */
const STEP_US = 3600;
const MODELS = 16;
const ROW_GROUP_ROWS = 131_072;

function rowsOf(count: number): View {
  const options = resolveOptions({ name: 'export', capacity: count, producers: 1 });
  const stores = new Stores(options, { clock: systemClock, prices: REFERENCE_PRICES });
  const next = random(7);
  const { latencies, costs } = syntheticCalls(count);
  const recorders = Array.from({ length: MODELS }, (_, i) =>
    stores.writer.recorder('req_llm.request.stop', { model: `model-${i}`, provider: 'provider' }),
  );
  for (let i = 0; i < count; i++) {
    const prompt = Math.floor(4000 * next());
    const completion = Math.floor(1000 * next());
    const at = START_US + i * STEP_US + Math.floor(STEP_US * next());
    const recorder = recorders[Math.floor(MODELS * next())];
    recorder.recordAt(at, latencies[i], costs[i], prompt, completion, next() < 0.95);
  }
  stores.writer.ring.publish();
  const store = new MemoryStore(stores.reader, stores.source);
  return openView(store, compileFilter(undefined, store.source));
}

interface Encoded {
  /** Milliseconds in the encoder alone. */
  readonly ms: number;
  readonly bytes: number;
}

/** @param keep - is given each piece of the file */
async function encode(
  view: View,
  format: ExportFormatDefinition,
  options: EncodeOptions = {},
  keep: (bytes: Uint8Array) => void = () => {},
): Promise<Encoded> {
  const plan = new ColumnPlan();
  for await (const block of orderedRows(view)) plan.addRows(view.source, block);
  const encoder = await format.open(plan, [], options);
  let ms = 0;
  let bytes = 0;
  let since = performance.now();
  // The encoder works from one block until it asks for the next.
  async function* blocks() {
    for await (const block of orderedRows(view)) {
      since = performance.now();
      yield [{ source: view.source, block }];
      ms += performance.now() - since;
    }
    since = performance.now();
  }
  for await (const piece of encoder.encode(blocks())) {
    bytes += piece.length;
    keep(piece);
  }
  ms += performance.now() - since;
  return { ms, bytes };
}

async function best(rounds: number, run: () => Promise<Encoded>): Promise<Encoded> {
  let least = await run();
  for (let round = 1; round < rounds; round++) {
    const next = await run();
    if (next.ms < least.ms) least = next;
  }
  return least;
}

/** Copies of pieces as they come, one over the other: what moving the bytes costs. */
function copying(bytes: number): Encoded {
  const piece = new Uint8Array(1 << 20);
  const room = new Uint8Array(1 << 20);
  const start = performance.now();
  for (let left = bytes; left > 0; left -= piece.length) room.set(piece);
  return { ms: performance.now() - start, bytes };
}

/** DuckDB's file of the same rows; null where it is not installed. */
async function byDuckDb(dir: string, path: string, codec: string, rounds: number): Promise<Encoded | null> {
  const library = await import('@duckdb/node-api').catch(() => null);
  if (library === null) return null;
  const instance = await library.DuckDBInstance.create(':memory:', { threads: '2' });
  try {
    const connection = await instance.connect();
    await connection.run(`create table rows as select * from '${path}'`);
    const out = join(dir, `duckdb-${codec}.parquet`);
    return await best(rounds, async () => {
      const start = performance.now();
      await connection.run(
        `copy rows to '${out}' (format parquet, compression ${codec}, row_group_size ${ROW_GROUP_ROWS})`,
      );
      return { ms: performance.now() - start, bytes: statSync(out).size };
    });
  } finally {
    instance.closeSync();
  }
}

/** hyparquet-writer's file of the same rows, with its encodings as it chooses them. */
async function byHyparquet(file: ArrayBuffer, rounds: number): Promise<Encoded> {
  const { parquetMetadata, parquetRead } = await import('hyparquet');
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const [, ...schema] = parquetMetadata(file).schema;
  const columnData = schema.map(({ name }) => ({ name, data: [] as never[] }));
  const parsers = { timestampFromMicroseconds: (micros: bigint) => micros } as never;
  await parquetRead({
    file,
    parsers,
    rowFormat: 'array',
    onComplete: (rows: unknown[][]) => {
      for (const [index, column] of columnData.entries())
        column.data = rows.map((row) => row[index] as never);
    },
  });
  const [root] = parquetMetadata(file).schema;
  return best(rounds, async () => {
    const start = performance.now();
    const made = parquetWriteBuffer({ columnData, schema: [root, ...schema], rowGroupSize: ROW_GROUP_ROWS });
    return { ms: performance.now() - start, bytes: made.byteLength };
  });
}

const rate = (rows: number, { ms }: Encoded) => rows / ms / 1000;
const rateText = (rows: number, encoded: Encoded) => `${rate(rows, encoded).toFixed(1)} M rows/s`;
const sizeText = ({ bytes }: Encoded) => `${(bytes / 1e6).toFixed(1)} MB`;

async function parquetRows(view: View, rows: number, rounds: number): Promise<Row[]> {
  return withFolder(async (dir) => {
    const pieces: Buffer[] = [];
    const ours = await best(rounds, () => encode(view, parquetFormat));
    await encode(view, parquetFormat, { compression: 'snappy' }, (piece) => pieces.push(Buffer.from(piece)));
    const file = new Uint8Array(Buffer.concat(pieces));
    const path = join(dir, 'ours.parquet');
    writeFileSync(path, file);
    const zstd = await byDuckDb(dir, path, 'zstd', rounds);
    const snappy = await byDuckDb(dir, path, 'snappy', rounds);
    const library = await byHyparquet(file.buffer, Math.min(rounds, 2));
    const others = [library, ...(zstd === null ? [] : [zstd]), ...(snappy === null ? [] : [snappy])];
    const quickest = Math.min(...others.map(({ ms }) => ms));
    const peer = (name: string, encoded: Encoded | null): Row[] =>
      encoded === null
        ? []
        : [{ name, value: rateText(rows, encoded), against: sizeText(encoded), bound: '' }];
    return [
      {
        name: 'Parquet',
        value: rateText(rows, ours),
        against: `${(ours.ms / quickest).toFixed(2)} × the quickest other`,
        bound: '≤ 1.3 ×',
        holds: ours.ms <= 1.3 * quickest,
      },
      ...(zstd === null
        ? []
        : [
            {
              name: 'Parquet, size',
              value: sizeText(ours),
              against: `${(ours.bytes / zstd.bytes).toFixed(2)} × DuckDB with zstd`,
              bound: '< 1 ×',
              holds: ours.bytes < zstd.bytes,
            },
          ]),
      ...peer('  DuckDB, zstd', zstd),
      ...peer('  DuckDB, snappy', snappy),
      ...peer('  hyparquet-writer, snappy', library),
    ];
  });
}

export const exportColumns: Bench = {
  question: 'How fast do recorded rows become Arrow and Parquet?',
  not: 'reading the rows in order; writing the bytes to a file',
  async rows(scale: Scale): Promise<Row[]> {
    const rows = scale.smoke ? 20_000 : 1_000_000;
    const rounds = scale.smoke ? 1 : 7;
    const view = rowsOf(rows);
    const arrow = await best(rounds, () => encode(view, arrowFormat));
    const floor = await best(rounds, async () => copying(arrow.bytes));
    return [
      {
        name: 'Arrow',
        value: rateText(rows, arrow),
        against: `${(arrow.ms / floor.ms).toFixed(1)} × copying its ${sizeText(arrow)}`,
        bound: '≥ 15 M rows/s',
        holds: rate(rows, arrow) >= 15,
      },
      ...(await parquetRows(view, rows, rounds)),
    ];
  },
};
