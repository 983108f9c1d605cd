/** Parquet files that DuckDB and hyparquet-writer have written. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importAll, useScratch } from '../../import/support.js';

const write = useScratch();
let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'crucible-parquet-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Has DuckDB write what a query gives. */
async function duckdb(query: string, name: string, options = ''): Promise<string> {
  const path = join(dir, name);
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run('SET threads = 1');
  await connection.run(`COPY (${query}) TO '${path}' (FORMAT parquet${options})`);
  connection.closeSync();
  return path;
}

describe('Parquet', () => {
  it("keeps DuckDB's types", async () => {
    const path = await duckdb(
      `SELECT TIMESTAMPTZ '2023-11-14 22:13:20.123456+00' AS started_at, 1.5::DOUBLE AS latency_ms,
       12::UTINYINT AS prompt_tokens, true AS success, 'gpt-4' AS model, 0.25::DECIMAL(9,4) AS cost_usd,
       9007199254740993::BIGINT AS big, NULL::INTEGER AS nothing, [1, 2] AS list, {'a': 'x'} AS struct,
       DATE '2024-02-29' AS day, 2.5::FLOAT AS f, TIMESTAMP_NS '2023-11-14 22:13:20.123456789' AS ns`,
      'types.parquet',
    );
    const { records } = await importAll(path);
    expect(records).toEqual([
      {
        timestampUs: 1_700_000_000_123_456,
        event: 'import.row',
        latencyMs: 1.5,
        costUsd: 0.25,
        promptTokens: 12,
        completionTokens: null,
        success: true,
        model: 'gpt-4',
        provider: null,
        isPartial: false,
        malformedKeys: [],
        metadata: {
          big: '9007199254740993',
          nothing: null,
          list: [1, 2],
          struct: { a: 'x' },
          day: '2024-02-29',
          f: 2.5,
          ns: '2023-11-14T22:13:20.123456789Z',
        },
        restored: null,
      },
    ]);
  });

  it('counts NaN and infinities, which are null', async () => {
    const path = await duckdb(
      "SELECT 'NaN'::DOUBLE AS x, [1.5, 'inf'::DOUBLE] AS list, '-inf'::FLOAT AS f UNION ALL SELECT 1, [2.5], 3",
      'nan.parquet',
    );
    const { records, reasons, errors } = await importAll(path);
    expect(records.map(({ metadata }) => metadata)).toEqual([
      { x: null, list: [1.5, null], f: null },
      { x: 1, list: [2.5], f: 3 },
    ]);
    expect(reasons).toEqual({ nonFinite: 1 });
    expect(errors).toEqual([{ line: 1, message: 'NaN or an infinity is null, 3 times' }]);
  });

  it.each(['snappy', 'gzip', 'uncompressed', 'brotli', 'zstd', 'lz4', 'lz4_raw'])(
    'reads row groups, compressed by %s',
    async (codec) => {
      const path = await duckdb(
        "SELECT i AS latency_ms, 'm' || (i % 3) AS model FROM range(5000) t(i)",
        `${codec}.parquet`,
        `, ROW_GROUP_SIZE 2048, COMPRESSION ${codec}`,
      );
      const { records, rows } = await importAll(path);
      expect(rows).toBe(5000);
      expect(records.map(({ latencyMs }) => latencyMs)).toEqual(Array.from({ length: 5000 }, (_, i) => i));
      expect(records[4]!.model).toBe('m1');
    },
  );

  it('takes expressions over columns, and names those there are', async () => {
    const path = await duckdb('SELECT 2.5 AS seconds', 'map.parquet');
    const { records } = await importAll(path, { map: { latencyMs: 'seconds * 1000' } });
    expect(records[0]).toMatchObject({ latencyMs: 2500, metadata: { seconds: 2.5 } });
    await expect(importAll(path, { map: { latencyMs: 'minutes' } })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
  });

  it('reads what hyparquet-writer writes, found out by its first bytes', async () => {
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: 'latency_ms', data: [1.5, null, -0], type: 'DOUBLE' },
        { name: 'model', data: ['a', '漢字', null], type: 'STRING' },
      ],
    });
    const { records } = await importAll(await write('unknown.bin', new Uint8Array(buffer)));
    expect(records.map(({ latencyMs, model }) => [latencyMs, model])).toEqual([
      [1.5, 'a'],
      [null, '漢字'],
      [-0, null],
    ]);
  });

  it('looks at the heads of pages before it decodes them', async () => {
    const bytes = new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: 'latency_ms', data: [1, 2], type: 'INT32' }] }),
    );
    // Behind the mark of the file comes the kind of the first page.
    bytes[5] = 0x7f;
    await expect(importAll(await write('page.parquet', bytes))).rejects.toMatchObject({
      code: 'ERR_FILE_CORRUPT',
      message: expect.stringContaining('the head of a page'),
    });
  });

  it('ends with a typed error, or other values, where bytes are damaged or missing', async () => {
    const buffer = new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: 'latency_ms', data: Array.from({ length: 100 }, (_, i) => i / 3), type: 'DOUBLE' },
          { name: 'model', data: Array.from({ length: 100 }, (_, i) => `model ${i}`), type: 'STRING' },
        ],
      }),
    );
    const clean = JSON.stringify((await importAll(await write('clean.parquet', buffer))).records);
    let noticed = 0;
    for (let at = 0; at < buffer.length; at += 7) {
      const damaged = at % 2 === 0 ? Uint8Array.from(buffer) : buffer.slice(0, at);
      if (at % 2 === 0) damaged[at] ^= 0x55;
      try {
        const { records } = await importAll(await write('damaged.parquet', damaged));
        if (JSON.stringify(records) !== clean) noticed++;
      } catch (error) {
        expect(error, String(error)).toMatchObject({ name: 'ImportError' });
        noticed++;
      }
    }
    expect(noticed).toBeGreaterThan(100);
  });
});
