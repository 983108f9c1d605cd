/** Parquet as DuckDB, parquet-wasm (Rust) and hyparquet-writer write it: every type, encoding, codec and form of nesting. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import {
  Table as ArrowTable,
  Int32,
  Int64,
  makeVector,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { Compression, Encoding, Table, WriterPropertiesBuilder, writeParquet } from 'parquet-wasm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importRecords } from '../../../src/import/index.js';
import type { Json } from '../../../src/schema/event.js';
import { useScratch } from '../../import/support.js';

const write = useScratch();
let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'crucible-foreign-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function rowsOf(path: string): Promise<Record<string, Json>[]> {
  const rows: Record<string, Json>[] = [];
  await importRecords(path, { time: 'now' }, (_, raw) => {
    rows.push(raw);
  });
  return rows;
}

/** What a query gives, through a file that DuckDB writes. */
async function byDuckdb(query: string, options = ''): Promise<Record<string, Json>[]> {
  const path = join(dir, 'duckdb.parquet');
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run('SET threads = 1');
  await connection.run(`COPY (${query}) TO '${path}' (FORMAT parquet${options})`);
  connection.closeSync();
  return rowsOf(path);
}

describe('a value that DuckDB writes', () => {
  it.each<[string, Json]>([
    ['NULL::INTEGER', null],
    ['(-128)::TINYINT', -128],
    ['255::UTINYINT', 255],
    ['65535::USMALLINT', 65535],
    ['4294967295::UINTEGER', 4294967295],
    ['18446744073709551615::UBIGINT', '18446744073709551615'],
    ['(-9223372036854775808)::BIGINT', '-9223372036854775808'],
    ['9007199254740991::BIGINT', 9007199254740991],
    ["'NaN'::DOUBLE", null],
    ["'Infinity'::FLOAT", null],
    ["'-0.0'::DOUBLE", -0],
    ['0.1::FLOAT', Math.fround(0.1)],
    ['12.34::DECIMAL(4,2)', 12.34],
    ['(-0.05)::DECIMAL(9,4)', -0.05],
    ['1234567890.12345::DECIMAL(18,5)', 1234567890.12345],
    ['12345678901234567890.123456789::DECIMAL(38,9)', '12345678901234567890.123456789'],
    ['(-99999999999999999999999999999999999999)::DECIMAL(38,0)', '-99999999999999999999999999999999999999'],
    ["TIMESTAMP '2024-02-29 23:59:59.999999'", '2024-02-29T23:59:59.999999Z'],
    ["TIMESTAMP_S '1969-12-31 23:59:59'", '1969-12-31T23:59:59.000000Z'],
    ["TIMESTAMP_MS '2024-02-29 23:59:59.999'", '2024-02-29T23:59:59.999Z'],
    ["TIMESTAMP_NS '2024-02-29 23:59:59.123456789'", '2024-02-29T23:59:59.123456789Z'],
    ["TIMESTAMP '290000-01-01 00:00:00'", '+290000-01-01T00:00:00.000000Z'],
    ["TIMESTAMPTZ '2024-02-29 23:59:59+02'", '2024-02-29T21:59:59.000000Z'],
    ["DATE '1582-10-14'", '1582-10-14'],
    ["TIME '23:59:59.5'", '23:59:59.500000'],
    ["INTERVAL '14 months 3 days 4.5 seconds'", 'P14M3DT4.5S'],
    ["'9f2c1c9e-7d1b-4b3c-8a52-0123456789ab'::UUID", '9f2c1c9e-7d1b-4b3c-8a52-0123456789ab'],
    ["'\\x00\\xFFab'::BLOB", Buffer.from([0, 255, 97, 98]).toString('base64')],
    ["'abc'::BLOB", 'YWJj'],
    ["'漢字😀'", '漢字😀'],
    ["'b'::ENUM('a', 'b')", 'b'],
    [`'{"a":[1,null]}'::JSON`, { a: [1, null] }],
    ['[1, NULL, 3]', [1, null, 3]],
    ['[]::INTEGER[]', []],
    ['[[1], [], NULL, [2, 3]]', [[1], [], null, [2, 3]]],
    ["{'a': 1, 'b': NULL, 'c': {'d': ['x']}}", { a: 1, b: null, c: { d: ['x'] } }],
    ["[{'a': 1, 'l': [1, 2]}, NULL, {'a': NULL, 'l': []}]", [{ a: 1, l: [1, 2] }, null, { a: null, l: [] }]],
    ["MAP {'a': 1, 'b': NULL}", { a: 1, b: null }],
    ['MAP {1: [true], 2: NULL}', { 1: [true], 2: null }],
    ['NULL::STRUCT(a INTEGER, l VARCHAR[])', null],
  ])('%s', async (sql, expected) => {
    const rows = await byDuckdb(`SELECT ${sql} AS v UNION ALL SELECT NULL UNION ALL SELECT ${sql}`);
    expect(rows.map(({ v }) => v)).toEqual([expected, null, expected]);
  });
});

describe('columns of many rows', () => {
  const QUERY = `SELECT i AS n, CASE WHEN i % 7 = 0 THEN NULL ELSE i::BIGINT * 1234567891 END AS big,
    CASE WHEN i % 5 = 0 THEN NULL ELSE 'text ' || (i % 50) END AS few, 'prompt number ' || i AS many,
    i / 3.0 AS ratio, i % 3 = 0 AS flag, [x FOR x IN range(i % 4)] AS list,
    CASE WHEN i % 4 = 0 THEN NULL ELSE {'a': i, 'b': [{'c': 'v' || i}]} END AS nested FROM range(10000) t(i)`;
  const expected = Array.from({ length: 10_000 }, (_, i) => {
    const big = BigInt(i) * 1_234_567_891n;
    return {
      n: i,
      big: i % 7 === 0 ? null : Number(big),
      few: i % 5 === 0 ? null : `text ${i % 50}`,
      many: `prompt number ${i}`,
      ratio: i / 3,
      flag: i % 3 === 0,
      list: Array.from({ length: i % 4 }, (_, x) => x),
      nested: i % 4 === 0 ? null : { a: i, b: [{ c: `v${i}` }] },
    };
  });

  it.each(
    ['V1', 'V2'].flatMap((version) =>
      ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw'].map((codec) => [version, codec]),
    ),
  )('by DuckDB: PARQUET_VERSION %s, %s', async (version, codec) => {
    expect(
      await byDuckdb(QUERY, `, PARQUET_VERSION ${version}, COMPRESSION ${codec}, ROW_GROUP_SIZE 4096`),
    ).toEqual(expected);
  });

  const few = expected.map(({ few }) => few);
  const table = new ArrowTable({
    n: makeVector(Int32Array.from(expected, ({ n }) => n)),
    ratio: makeVector(Float64Array.from(expected, ({ ratio }) => ratio)),
    single: makeVector(Float32Array.from(expected, ({ ratio }) => ratio)),
    big: vectorFromArray(
      expected.map(({ big }) => (big === null ? null : BigInt(big))),
      new Int64(),
    ),
    few: vectorFromArray(few, new Utf8()),
    flag: vectorFromArray(expected.map(({ flag }) => flag)),
    gaps: vectorFromArray(
      expected.map(({ n }) => (n % 3 === 0 ? null : n)),
      new Int32(),
    ),
  });
  const rows = expected.map(({ n, ratio, big, few, flag }) => ({
    n,
    ratio,
    single: Math.fround(ratio),
    big,
    few,
    flag,
    gaps: n % 3 === 0 ? null : n,
  }));
  const DELTA = [
    ['n', Encoding.DELTA_BINARY_PACKED],
    ['big', Encoding.DELTA_BINARY_PACKED],
    ['gaps', Encoding.DELTA_BINARY_PACKED],
    ['few', Encoding.DELTA_BYTE_ARRAY],
    ['flag', Encoding.RLE],
    ['ratio', Encoding.BYTE_STREAM_SPLIT],
    ['single', Encoding.BYTE_STREAM_SPLIT],
  ] as const;
  const LENGTHS = [
    ['few', Encoding.DELTA_LENGTH_BYTE_ARRAY],
    ['n', Encoding.BYTE_STREAM_SPLIT],
    ['big', Encoding.BYTE_STREAM_SPLIT],
  ] as const;

  it.each([
    ['dictionaries', Compression.SNAPPY, null],
    ['plain', Compression.ZSTD, []],
    ['deltas and split bytes', Compression.UNCOMPRESSED, DELTA],
    ['lengths and split integers', Compression.GZIP, LENGTHS],
    ['deltas in LZ4', Compression.LZ4_RAW, DELTA],
    ['deltas in Brotli', Compression.BROTLI, DELTA],
  ] as const)('by Rust: %s', async (_, codec, encodings) => {
    let builder = new WriterPropertiesBuilder().setCompression(codec).setDataPageSizeLimit(8192);
    if (encodings !== null) builder = builder.setDictionaryEnabled(false);
    for (const [column, encoding] of encodings ?? []) builder = builder.setColumnEncoding(column, encoding);
    const bytes = writeParquet(Table.fromIPCStream(tableToIPC(table, 'stream')), builder.build());
    expect(await rowsOf(await write('rust.parquet', bytes))).toEqual(rows);
  });

  it.each(['PLAIN', 'DELTA_BINARY_PACKED', 'BYTE_STREAM_SPLIT'] as const)(
    'by hyparquet-writer, with checksums or without: %s',
    async (encoding) => {
      const data = expected.map(({ n }) => n * 3 - 7);
      const file = parquetWriteBuffer({ columnData: [{ name: 'v', data, type: 'INT32', encoding }] });
      const read = await rowsOf(await write('writer.parquet', new Uint8Array(file)));
      expect(read.map(({ v }) => v)).toEqual(data);
    },
  );
});

describe('what is not supported', () => {
  it('is named: encryption, VARIANT', async () => {
    const encrypted = Buffer.concat([Buffer.from('PARE'), Buffer.alloc(20), Buffer.from('\x04\0\0\0PARE')]);
    await expect(rowsOf(await write('a.parquet', encrypted))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
      context: { feature: 'encryption' },
    });
    const variant = parquetWriteBuffer({ columnData: [{ name: 'v', data: [{ a: 1 }], type: 'VARIANT' }] });
    await expect(rowsOf(await write('b.parquet', new Uint8Array(variant)))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
      context: { feature: 'the column "v" of the type VARIANT' },
    });
  });
});
