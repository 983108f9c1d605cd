/** Files that are not what they seem, are compressed, or change. */

import { appendFile, truncate, utimes } from 'node:fs/promises';
import * as zlib from 'node:zlib';
import { encode } from '@msgpack/msgpack';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { importRecords } from '../../src/import/index.js';
import { importAll, useScratch } from './support.js';

const write = useScratch();
const CSV = 'latency_ms,model\n1,a\n2,b\n';
const { zstdCompressSync } = zlib as { zstdCompressSync?: (data: Buffer) => Buffer };

describe('a file being imported', () => {
  it.each([
    ['x.csv.gz', zlib.gzipSync(CSV)],
    ['x.csv', zlib.gzipSync(CSV)],
    ['x.msgpack.gz', zlib.gzipSync(Buffer.concat([encode({ latency_ms: 1 }), encode({ latency_ms: 2 })]))],
    ['x.jsonl.gzip', zlib.gzipSync('{"latency_ms":1}\n{"latency_ms":2}\n')],
    ['nameless', zlib.gzipSync('{"latency_ms":1}\n{"latency_ms":2}\n')],
    ['nameless2', encode({ latency_ms: 1 })],
  ])('%s is decompressed on the way', async (name, bytes) => {
    const { records } = await importAll(await write(name, bytes));
    expect(records[0]!.latencyMs).toBe(1);
  });

  it.each([
    ['x.csv.zst', 2, CSV],
    // More than is looked at to begin with.
    [
      'y.csv.zst',
      200_000,
      `latency_ms\n${Array.from({ length: 200_000 }, (_, i) => Math.sin(i)).join('\n')}\n`,
    ],
    ['x.jsonl.zst', 2, '{"latency_ms":1}\n{"latency_ms":2}\n'],
  ])('compressed by Zstandard is read where Node can: %s', async (name, rows, text) => {
    const bytes = zstdCompressSync?.(Buffer.from(text)) ?? Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0);
    const path = await write(name, bytes);
    if (zstdCompressSync !== undefined) expect((await importAll(path)).rows).toBe(rows);
    else await expect(importAll(path)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED_FORMAT' });
  });

  it('that ends in the middle of its compression is an error; what came before stays', async () => {
    const lines = Array.from({ length: 100_000 }, (_, i) => `{"latency_ms":${Math.sin(i)}}\n`).join('');
    const whole = zlib.gzipSync(lines);
    const path = await write('cut.jsonl.gz', whole.subarray(0, whole.length - 1000));
    let rows = 0;
    await expect(
      importRecords(path, {}, () => {
        rows++;
      }),
    ).rejects.toMatchObject({ name: 'ImportError', code: 'ERR_FILE_CORRUPT' });
    expect(rows).toBeGreaterThan(10_000);
  });

  it('of Zstandard that is cut off anywhere is an error, whatever Node says of it', async () => {
    if (zstdCompressSync === undefined) return;
    const frame = zstdCompressSync(Buffer.from('{"latency_ms":1}\n'.repeat(3000)));
    const skippable = Buffer.of(0x51, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7);
    const all = Buffer.concat([frame, skippable, frame]);
    const ends = [frame.length, frame.length + skippable.length, all.length];
    expect((await importAll(await write('whole.jsonl.zst', all))).rows).toBe(6000);
    for (let bytes = 5; bytes < all.length; bytes++) {
      const imported = importAll(await write('cut.jsonl.zst', all.subarray(0, bytes)));
      if (ends.includes(bytes)) await imported;
      else await expect(imported, `${bytes} bytes`).rejects.toMatchObject({ code: 'ERR_FILE_CORRUPT' });
    }
  });

  it('whose bytes contradict its name is read as what it is', async () => {
    const parquet = new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: 'latency_ms', data: [1.5], type: 'DOUBLE' }] }),
    );
    expect((await importAll(await write('wrong.csv', parquet))).records[0]!.latencyMs).toBe(1.5);
  });

  it.each([
    ['x.parquet', Buffer.from(CSV), 'ERR_FILE_CORRUPT'],
    ['x.parquet', Buffer.alloc(0), 'ERR_FILE_CORRUPT'],
    ['x.parquet', zlib.gzipSync('PAR1'), 'ERR_UNSUPPORTED_FORMAT'],
    ['x.arrow', Buffer.from(CSV), 'ERR_FILE_CORRUPT'],
    ['x.arrow', Buffer.alloc(0), 'ERR_FILE_CORRUPT'],
    ['x.feather', Buffer.from('FEA1........'), 'ERR_FILE_CORRUPT'],
    ['x.msgpack', Buffer.from([0xc1]), 'ERR_FILE_CORRUPT'],
    ['x.xlsx', Buffer.from('PK..'), 'ERR_CONFIG_INVALID'],
    ['x', Buffer.alloc(0), 'ERR_CONFIG_INVALID'],
    ['x.csv.gz', Buffer.from([0x1f, 0x8b, 8, 0, 0]), 'ERR_FILE_CORRUPT'],
  ])('%s that is none: %#', async (name, bytes, code) => {
    await expect(importAll(await write(name, bytes))).rejects.toMatchObject({ code });
  });

  it('empty of records has none', async () => {
    for (const name of ['empty.csv', 'empty.jsonl', 'empty.msgpack']) {
      expect(await importAll(await write(name, ''))).toMatchObject({ rows: 0, skipped: 0, problems: 0 });
    }
  });

  it('that shrinks is an error; one that grows is read to its end', async () => {
    const text = '{"latency_ms":1}\n'.repeat(60_000);
    const shrinking = await write('shrinking.jsonl', text);
    let rows = 0;
    await expect(
      importRecords(shrinking, {}, async () => {
        if (++rows === 1) await truncate(shrinking, 300_000);
      }),
    ).rejects.toMatchObject({ code: 'ERR_FILE_CHANGED' });
    expect(rows).toBeGreaterThan(1000);
    const growing = await write('growing.jsonl', text);
    let isGrown = false;
    const result = await importRecords(growing, {}, async () => {
      if (!isGrown) await appendFile(growing, '{"latency_ms":2}\n');
      isGrown = true;
    });
    expect(result.rows).toBe(60_001);
  });

  it('of Parquet that changes is an error', async () => {
    const rows = Array.from({ length: 3000 }, (_, i) => i);
    const bytes = parquetWriteBuffer({
      columnData: [{ name: 'latency_ms', data: rows, type: 'INT32' }],
      rowGroupSize: 1000,
    });
    const path = await write('changing.parquet', new Uint8Array(bytes));
    let seen = 0;
    await expect(
      importRecords(path, {}, async () => {
        if (++seen === 1) await utimes(path, 1, 1);
      }),
    ).rejects.toMatchObject({ code: 'ERR_FILE_CHANGED' });
    expect(seen).toBeGreaterThanOrEqual(1000);
  });

  it('may have 300 columns, names twice and types mixed', async () => {
    const names = Array.from({ length: 300 }, (_, i) => `c${i}`);
    const wide = `${names.join(',')}\n${names.map((_, i) => i).join(',')}\n`;
    const { records } = await importAll(await write('wide.csv', wide));
    expect(Object.keys(records[0]!.metadata)).toHaveLength(300);
    const twice = await importAll(await write('twice.csv', 'a,a,a\n1,2,3\n'));
    expect(twice.records[0]!.metadata).toEqual({ a: 1, a_2: 2, a_3: 3 });
    const mixed = await importAll(
      await write('mixed.jsonl', '{"latency_ms":1}\n{"latency_ms":"2.5"}\n{"latency_ms":[3]}\n'),
    );
    expect(mixed.records.map(({ latencyMs }) => latencyMs)).toEqual([1, 2.5, null]);
    expect(mixed).toMatchObject({ rows: 3, skipped: 0, problems: 1 });
  });
});
