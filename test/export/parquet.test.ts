/** Parquet files, read by two libraries that did not write their pages. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { parquetMetadata, parquetRead } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EncodeOptions } from '../../src/export/encoder.js';
import { parquetFormat } from '../../src/export/parquet/encoder.js';
import type { EventRow, Json } from '../../src/schema/event.js';
import {
  anyEvent,
  captured,
  encodeEvents,
  encodeViews,
  eventsOfView,
  expectedCell,
  expectedColumns,
  mixedRows,
} from './columns-support.js';
import { useFolder } from './support.js';

const SEED = Date.now();
const folder = useFolder();

/** Names and cells, in file order. */
type Columns = [name: string, cells: Json[]][];

const plain = (value: unknown): Json =>
  typeof value === 'bigint' ? Number(value) : ((value ?? null) as Json);

async function readHyparquet(bytes: Buffer): Promise<Columns> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  const parsers = { timestampFromMicroseconds: (micros: bigint) => Number(micros) } as never;
  const compressors = { GZIP: (page: Uint8Array) => new Uint8Array(gunzipSync(page)) };
  let rows: unknown[][] = [];
  await parquetRead({
    file,
    parsers,
    compressors,
    rowFormat: 'array',
    onComplete: (all: unknown[][]) => {
      rows = all;
    },
  });
  const [, ...elements] = parquetMetadata(file).schema;
  return elements.map(({ name }, column) => [name, rows.map((row) => plain(row[column]))]);
}

let duckdb: DuckDBInstance;
beforeAll(async () => {
  duckdb = await DuckDBInstance.create(':memory:');
});
afterAll(() => duckdb.closeSync());

async function readDuckDb(bytes: Buffer): Promise<Columns> {
  const path = join(folder(), 'read.parquet');
  writeFileSync(path, bytes);
  const connection = await duckdb.connect();
  try {
    const result = await connection.run(
      `select * replace (epoch_us(timestamp) as timestamp) from read_parquet('${path}')`,
    );
    const names = result.columnNames();
    const columns = await result.getColumns();
    return names.map((name, index) => [name, (columns[index] ?? []).map(plain)]);
  } finally {
    connection.closeSync();
  }
}

const READERS = { hyparquet: readHyparquet, DuckDB: readDuckDb };

/** @throws what `expect` throws when a reader does not see what the events say */
async function check(bytes: Buffer, events: readonly EventRow[], flatten = true): Promise<void> {
  const expected = expectedColumns(events, flatten);
  for (const [reader, read] of Object.entries(READERS)) {
    const columns = await read(bytes);
    const names = columns.map(([name]) => name);
    // DuckDB gives other names to those that are empty, or differ in their case only.
    const isNamed = reader !== 'DuckDB' || [...expected.keys()].every((name) => /^[a-z0-9_]+$/.test(name));
    expect(isNamed ? names : names.length, reader).toEqual(isNamed ? [...expected.keys()] : expected.size);
    for (const [index, [name, { kind, values }]] of [...expected].entries()) {
      const [, cells] = columns[index]!;
      const actual = kind === 'json' ? cells.map((cell) => cell && JSON.parse(cell as string)) : cells;
      const cellsExpected = values.map((value) => expectedCell(kind, value));
      expect(actual, `${reader}: ${name}`).toEqual(cellsExpected);
    }
  }
}

const OPTIONS: EncodeOptions[] = [
  {},
  { compression: 'none', rowGroupRows: 3 },
  { compression: 'gzip' },
  { flatten: false },
];

describe('parquet', () => {
  it.each(OPTIONS)('tells what events say, whatever they are: %j', async (options) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { minLength: 1, maxLength: 12 }), async (events) => {
        await check(
          await encodeEvents(parquetFormat, events, options, [], 5),
          events,
          options.flatten !== false,
        );
      }),
      { seed: SEED, numRuns: 30 },
    );
  });

  it.each(OPTIONS)('tells the same of captured rows and of their events: %j', async (options) => {
    const view = mixedRows(3000);
    const events = await eventsOfView(view);
    const more = options.rowGroupRows === undefined ? options : { ...options, rowGroupRows: 777 };
    const bytes = await encodeViews(parquetFormat, [view], more);
    await check(bytes, events, options.flatten !== false);
    const fromEvents = await encodeEvents(parquetFormat, events, more, [], 1024, view.source.columns);
    expect(fromEvents.equals(bytes)).toBe(true);
  });

  it('has row groups of the size asked for', async () => {
    const view = captured({ capacity: 5000 }, (writer) => {
      const recorders = [1, 2, 3].map((n) => writer.recorder('e', { model: `model ${n}` }));
      for (let i = 0; i < 5000; i++) recorders[i % 3].recordAt(1.7e15 + i, i / 7, i, i, i % 5, i % 2 === 0);
    });
    const bytes = await encodeViews(parquetFormat, [view], { rowGroupRows: 1500 });
    const file = new Uint8Array(bytes).buffer;
    const groups = parquetMetadata(file).row_groups.map(({ num_rows }) => Number(num_rows));
    expect(groups).toEqual([1500, 1500, 1500, 500]);
    await check(bytes, await eventsOfView(view));
  });
});
