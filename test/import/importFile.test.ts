import { readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type ImportProgress, ImportSource, importRecords } from '../../src/import/index.js';
import { importAll, useScratch } from './support.js';

const write = useScratch();

describe('importRecords', () => {
  it('counts rows and skipped records and describes the first 20 problems', async () => {
    const bad = '{"latency_ms":"x"}\n{\n'.repeat(15);
    const path = await write('mixed.jsonl', `{"latency_ms":1}\n${bad}{"latency_ms":2}\n`);
    const result = await importAll(path);
    expect(result).toMatchObject({ rows: 17, skipped: 15, problems: 30, bytes: 17 + 15 * 21 + 17 });
    expect(result.errors).toHaveLength(20);
    expect(result.errors[0]).toEqual({ line: 2, message: 'latencyMs: "x" is not a finite number' });
    expect(result.errors[1]).toMatchObject({ line: 3 });
    expect(result.records.at(-1)).toMatchObject({ latencyMs: 2, event: 'import.row' });
  });

  it('reports progress up to the size of the file', async () => {
    const path = await write('long.csv', `time,latency_ms\n${'2024-01-01,1\n'.repeat(60_000)}`);
    const seen: ImportProgress[] = [];
    const { rows, bytes } = await importRecords(
      path,
      {},
      () => {},
      (progress) => seen.push({ ...progress }),
    );
    expect(rows).toBe(60_000);
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.at(-1)).toEqual({ bytes, totalBytes: bytes, rows });
    expect(
      seen.every((now, i) => i === 0 || (now.bytes >= seen[i - 1]!.bytes && now.rows >= seen[i - 1]!.rows)),
    ).toBe(true);
  });

  it('waits for a sink that returns promises, and passes on what it throws', async () => {
    const path = await write('sink.csv', 'a\n1\n2\n3\n');
    let running = 0;
    await importRecords(path, {}, async () => {
      running += 1;
      expect(running).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running -= 1;
    });
    const failure = new Error('sink is full');
    await expect(
      importRecords(path, {}, () => {
        throw failure;
      }),
    ).rejects.toBe(failure);
  });

  it('fails with a typed error and its cause for a file that cannot be read', async () => {
    await expect(importAll('no/such/file.csv')).rejects.toMatchObject({
      name: 'StorageError',
      code: 'ERR_STORAGE_IO',
      cause: { code: 'ENOENT' },
    });
    await expect(importAll('.', { format: 'csv' })).rejects.toMatchObject({ code: 'ERR_STORAGE_IO' });
  });

  it.each([
    ['data.csv', { format: 'xml' as 'csv' }],
    ['data.csv', { map: { model: 'a +' } }],
    ['', {}],
  ])('refuses %j with %j before it touches the file', async (path, options) => {
    await expect(importAll(path, options)).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
  });

  it('checks the map even where the file has a header and nothing else', async () => {
    const path = await write('header.csv', 'a,b\n');
    await expect(importAll(path, { map: { model: 'c' } })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    expect(await importAll(path, { map: { model: 'a' } })).toMatchObject({ rows: 0, skipped: 0 });
    expect(await importAll(await write('empty.csv', ''))).toMatchObject({ rows: 0, bytes: 0 });
  });

  it('lets a key be named that comes late, and refuses one that never comes before anything is read', async () => {
    const path = await write('sparse.jsonl', `${'{"a":1}\n'.repeat(150)}{"a":1,"late":{"model":"m"}}\n`);
    const late = await importAll(path, { map: { model: 'late.model' } });
    expect(late).toMatchObject({ rows: 151, unfilled: [] });
    expect(late.records.at(-1)!.model).toBe('m');
    await expect(importAll(path, { map: { model: 'late.model', success: "eror == ''" } })).rejects.toThrow(
      'map.success: expected a column at position 1',
    );
    const { records } = await importAll(path, { map: { model: 'none' }, columns: ['none'] });
    expect(records.at(-1)!.model).toBeNull();
  });

  it('tells at the end of a stream which keys of the map never came', async () => {
    const text = `${'{"a":1}\n'.repeat(150)}{"a":1,"late":"m"}\n`;
    const source = await ImportSource.open(Readable.from([Buffer.from(text)]), {
      format: 'jsonl',
      map: { model: 'late', success: "eror == ''" },
    });
    const models: (string | null)[] = [];
    const { unfilled } = await source.run(({ model }) => void models.push(model));
    expect(models.at(-1)).toBe('m');
    expect(unfilled).toEqual(['success']);
  });

  it('reads tab-separated and headerless files', async () => {
    const tsv = await importAll(await write('t.tsv', 'model\tcost\ngpt-4\t0.5\n'));
    expect(tsv.records[0]).toMatchObject({ model: 'gpt-4', costUsd: 0.5 });
    const bare = await importAll(await write('bare.csv', '3,x\n'), { columns: ['latency_ms', 'model'] });
    expect(bare.records[0]).toMatchObject({ latencyMs: 3, model: 'x' });
  });

  it('can be left early', async () => {
    const path = await write('early.csv', `a\n${'1\n'.repeat(1000)}`);
    const seen: unknown[] = [];
    const enough = new Error('enough');
    const take = ({ metadata }: { metadata: unknown }) => {
      seen.push(metadata);
      throw enough;
    };
    await expect(importRecords(path, {}, take)).rejects.toBe(enough);
    expect(seen).toEqual([{ a: 1 }]);
  });
});

describe('an ImportSource', () => {
  it('is read up to its first record, and then as if nothing had been', async () => {
    const path = await write('late.jsonl', `${'oops\n'.repeat(5000)}{"a":1}\n{"a":2}\n`);
    const source = await ImportSource.open(path, { map: { latencyMs: 'a' } });
    expect(source).toMatchObject({ path, hasRecords: true, emptiness: null });
    const latencies: unknown[] = [];
    const summary = await source.run(({ latencyMs }) => void latencies.push(latencyMs));
    expect(latencies).toEqual([1, 2]);
    expect(summary).toMatchObject({ rows: 2, skipped: 5000, problems: 5000 });
    expect(summary.errors).toHaveLength(20);
    expect(summary).toEqual(await importRecords(path, { map: { latencyMs: 'a' } }, () => {}));
  });

  it('says why there is no record', async () => {
    const none = await ImportSource.open(await write('none.jsonl', '[1]\n2\n'));
    expect(none.hasRecords).toBe(false);
    expect(none.emptiness).toMatchObject({
      name: 'ImportError',
      code: 'ERR_NO_DATA',
      context: { skipped: 2 },
    });
    expect(none.emptiness!.message).toMatch(/none\.jsonl: none of its 2 records .+ at 1: the value is not/);
    expect(await none.run(() => {})).toMatchObject({ rows: 0, skipped: 2, problems: 2 });
  });

  it('is read once, and closed by that', async () => {
    const path = await write('once.csv', 'a\n1\n');
    const source = await ImportSource.open(path);
    await source.run(() => {});
    await expect(source.run(() => {})).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await source.close();
    await using unused = await ImportSource.open(path);
    await unused.close();
    await expect(unused.run(() => {})).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  it('names the file in what its reader says', async () => {
    const path = await write('none.msgpack', Buffer.from([0xc1]));
    const error = { message: expect.stringContaining(path), context: { path, records: 0 } };
    await expect(ImportSource.open(path)).rejects.toMatchObject(error);
  });

  it('leaves no file open, however it fails', async () => {
    const open = () => readdirSync('/proc/self/fd').length;
    const bad = await write('bad.arrow', 'ARROW1..');
    const csv = await write('bad.csv', 'a\n1\n');
    const before = open();
    for (let i = 0; i < 5; i++) {
      await expect(ImportSource.open(bad)).rejects.toThrow();
      await expect(ImportSource.open(csv, { map: { model: 'b' } })).rejects.toThrow();
      await expect(importRecords(csv, {}, () => Promise.reject(new Error('full')))).rejects.toThrow('full');
    }
    expect(open()).toBe(before);
    // What would be seen of one that is open.
    await using source = await ImportSource.open(csv);
    expect(source.hasRecords).toBe(true);
    expect(open()).toBe(before + 1);
  });
});
