/** Parquet files, read by two libraries that did not write their pages. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { decompress } from '@bokuweb/zstd-wasm';
import { DuckDBInstance } from '@duckdb/node-api';
import * as apache from 'apache-arrow';
import fc from 'fast-check';
import { parquetMetadata, parquetRead } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import type { EncodeOptions } from '../../src/export/encoder.js';
import { openParquet, parquetFormat } from '../../src/export/parquet.js';
import { ColumnPlan } from '../../src/export/plan.js';
import type { EventRow, Json } from '../../src/schema/event.js';
import { refTo, viewOf } from '../support/rows.js';
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

/** Node's own, else that of the package which the export has made ready: it must not be initialised twice. */
const { zstdDecompressSync: unZstd = decompress } = zlib as unknown as {
  zstdDecompressSync?: (page: Uint8Array) => Uint8Array;
};

/** Names and cells, in file order. */
type Columns = [name: string, cells: Json[]][];

const plain = (value: unknown): Json =>
  typeof value === 'bigint' ? Number(value) : ((value ?? null) as Json);

async function readHyparquet(bytes: Buffer): Promise<Columns> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  const parsers = { timestampFromMicroseconds: (micros: bigint) => Number(micros) } as never;
  const compressors = {
    GZIP: (page: Uint8Array) => new Uint8Array(zlib.gunzipSync(page)),
    ZSTD: (page: Uint8Array) => unZstd(page),
  };
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
  { compression: 'zstd' },
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

  it('tells experiments and, in the schema as Arrow has it, units', async () => {
    const about = [{ id: 'e1', name: 'typed', condition: 'ü' }];
    const bytes = await encodeViews(parquetFormat, [mixedRows(50)], {}, about);
    const { key_value_metadata, created_by } = parquetMetadata(new Uint8Array(bytes).buffer);
    const told = new Map(key_value_metadata!.map(({ key, value }) => [key, value!]));
    expect(created_by).toMatch(/^crucible-telemetry version \d/);
    expect(JSON.parse(told.get('crucible.experiments')!)).toEqual(about);
    expect(told.has('crucible.dropped')).toBe(false);
    const columns = JSON.parse(told.get('crucible.columns')!) as { name: string; unit?: string }[];
    expect(columns.find(({ name }) => name === 'cost_usd')).toEqual({ name: 'cost_usd', unit: 'USD' });
    const message = Buffer.from(told.get('ARROW:schema')!, 'base64');
    const { schema } = apache.RecordBatchReader.from(
      Buffer.concat([message, Buffer.from('ffffffff00000000', 'hex')]),
    ).open();
    expect(schema.fields.map(({ name }) => name)).toEqual(columns.map(({ name }) => name));
    expect(schema.fields.find(({ name }) => name === 'latency_ms')!.metadata.get('unit')).toBe('ms');
  });

  it('has types that DuckDB understands without being told', async () => {
    const path = join(folder(), 'types.parquet');
    writeFileSync(path, await encodeViews(parquetFormat, [mixedRows(500)]));
    const connection = await duckdb.connect();
    const result = await connection.run(`describe select * from '${path}'`);
    const types = new Map((await result.getRows()).map(([name, type]) => [name, type]));
    connection.closeSync();
    const expected = {
      timestamp: 'TIMESTAMP WITH TIME ZONE',
      sequence: 'BIGINT',
      latency_ms: 'DOUBLE',
      success: 'BOOLEAN',
      model: 'VARCHAR',
      tokens_total: 'BIGINT',
      metadata_rank: 'INTEGER',
      metadata_size: 'UINTEGER',
      metadata_score: 'DOUBLE',
      metadata_good: 'BOOLEAN',
      metadata_kind: 'VARCHAR',
    };
    for (const [name, type] of Object.entries(expected)) expect(types.get(name), name).toBe(type);
  });

  it('lets readers skip row groups by their least and greatest values', async () => {
    const view = mixedRows(3000);
    const bytes = await encodeViews(parquetFormat, [view], { rowGroupRows: 1000 });
    const path = join(folder(), 'groups.parquet');
    writeFileSync(path, bytes);
    const events = await eventsOfView(view);
    const connection = await duckdb.connect();
    const count = async (condition: string) =>
      Number(
        (await (await connection.run(`select count(*) from '${path}' where ${condition}`)).getRows())[0]![0],
      );
    const of = (test: (event: EventRow) => boolean) => events.filter(test).length;
    const { timestamp } = events[1234]!;
    expect(await count(`epoch_us(timestamp) = ${timestamp}`)).toBe(
      of((each) => each.timestamp === timestamp),
    );
    expect(await count('latency_ms < 10')).toBe(of((each) => each.latencyMs !== null && each.latencyMs < 10));
    expect(await count('metadata_size > 4000000000')).toBe(of((each) => Number(each.metadata.size) > 4e9));
    expect(await count('metadata_rank < -40')).toBe(of((each) => Number(each.metadata.rank) < -40));
    expect(await count('success')).toBe(of((each) => each.success === true));
    expect(await count("model = 'gpt-4'")).toBe(of((each) => each.model === 'gpt-4'));
    connection.closeSync();
  });

  it('has int32 and int64 from end to end', async () => {
    const numbers = [-(2 ** 31), 2 ** 31 - 1, 0, 2 ** 31 - 1, -(2 ** 31)];
    const view = captured({ columns: { rank: 'i32', size: 'u32' } }, (writer) => {
      for (const [i, rank] of numbers.entries()) {
        const whole = [-(2 ** 53) + 1, 2 ** 53 - 1, 0, 1, 2 ** 52][i];
        writer.capture('e', { whole }, { rank, size: [0, 2 ** 32 - 1, 1, 2 ** 31, 0][i] }, undefined, i);
      }
    });
    await check(await encodeViews(parquetFormat, [view]), await eventsOfView(view));
    const far = viewOf([refTo({ firstSequence: 0, timesUs: [-8.64e18, -1, 0, 2 ** 51, 8.64e18] })]);
    await check(await encodeViews(parquetFormat, [far]), await eventsOfView(far));
  });

  it.each([{ rowGroupRows: 0 }, { rowGroupRows: 1.5 }, { compression: 'lzma' }] as EncodeOptions[])(
    'refuses %j',
    async (options) => {
      await expect(openParquet(new ColumnPlan(), [], options)).rejects.toThrow(ConfigError);
    },
  );

  it('is found out when one bit of a page is another', async () => {
    const view = mixedRows(300);
    const events = await eventsOfView(view);
    const bytes = await encodeViews(parquetFormat, [view], { compression: 'none' });
    await check(bytes, events);
    const { row_groups } = parquetMetadata(new Uint8Array(bytes).buffer);
    const latency = row_groups[0]!.columns.find(
      ({ meta_data }) => meta_data!.path_in_schema[0] === 'latency_ms',
    )!.meta_data!;
    bytes[Number(latency.data_page_offset + latency.total_compressed_size) - 1]! ^= 1;
    await expect(check(bytes, events)).rejects.toThrow(/latency_ms/);
  });
});
