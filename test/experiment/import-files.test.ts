/** Several files at once, and one experiment for each value of a column. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';

let dir: string;
let crucible: Crucible;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-import-files-'));
  crucible = new Crucible({ workers: 0 });
});
afterEach(async () => {
  await crucible.close();
  rmSync(dir, { recursive: true });
});

const HEAD = 'timestamp,latency_ms,variant\n';
function write(name: string, rows: string): string {
  const path = join(dir, name);
  writeFileSync(path, HEAD + rows);
  return path;
}

it('makes an experiment of each value of a column, and counts what has none', async () => {
  const path = write('arms.csv', '2024-01-01,1,a\n2024-01-01,2,b\n2024-01-01,3,a\n2024-01-01,4,\n');
  const { experiments, result } = await crucible.importFiles(path, { splitBy: 'variant' });
  expect(experiments.map(({ name, condition, counts }) => [name, condition, counts.captured])).toEqual([
    ['arms a', 'a', 2],
    ['arms b', 'b', 1],
  ]);
  expect(result).toMatchObject({ rows: 3, skipped: 1, reasons: { condition: 1 } });
  expect((await crucible.compare(experiments)).treatments).toHaveLength(1);
});

it('reads folders, files in them by name, and streams, into one experiment', async () => {
  mkdirSync(join(dir, 'more'));
  write('b.csv', '2024-01-02,2,x\n');
  write('a.csv', '2024-01-01,1,x\n');
  write('more/c.csv', '2024-01-03,3,x\n');
  write('a.csv.manifest.json', '');
  write('notes.txt', 'none of them\n');
  const stream = Readable.from([readFileSync(join(dir, 'a.csv'))]);
  const { experiments, result } = await crucible.importFiles([dir, stream], { name: 'all', format: 'csv' });
  expect(experiments).toHaveLength(1);
  expect(result).toMatchObject({ rows: 4, skipped: 0 });
  expect((await experiments[0]!.query()).map(({ latencyMs }) => latencyMs)).toEqual([1, 1, 2, 3]);
});

it('refuses a column that is not there, and one of too many values', async () => {
  const path = write('many.csv', Array.from({ length: 100 }, (_, i) => `2024-01-01,1,v${i}\n`).join(''));
  await expect(crucible.importFiles(path, { splitBy: 'arm' })).rejects.toMatchObject({
    code: 'ERR_CONFIG_INVALID',
  });
  expect(crucible.experiments()).toHaveLength(0);
  await expect(crucible.importFiles(path, { splitBy: 'variant' })).rejects.toMatchObject({
    message: expect.stringContaining('at most 64 values'),
  });
  await expect(crucible.importFiles(join(dir, 'none.csv'))).rejects.toMatchObject({ code: 'ERR_STORAGE_IO' });
});

it('says of each problem which file it is in, and where in it', async () => {
  const good = write('good.csv', '2024-01-01,1,a\n');
  const bad = write('bad.csv', '2024-01-01,x,a\n2024-01-01,1,\n');
  const { result } = await crucible.importFiles([good, bad], { splitBy: 'variant' });
  expect(result.reasons).toEqual({ value: 1, condition: 1 });
  expect(result.malformed).toBe(2);
  expect(result.errors).toEqual([
    { path: bad, line: 2, message: 'latencyMs: "x" is not a finite number' },
    { path: bad, line: 3, message: 'there is no variant, which tells experiments apart' },
  ]);
  const alone = await crucible.importFiles(bad, { name: 'alone' });
  expect(alone.result.errors[0]).not.toHaveProperty('path');
});

it('takes one stream, of bytes or of texts', async () => {
  const text = `${HEAD}2024-01-01,1,ä\n`;
  for (const stream of [
    Readable.from([Buffer.from(text)]),
    Readable.from([text.slice(0, 40), text.slice(40)]),
  ]) {
    const { experiments, result } = await crucible.importFiles(stream, { format: 'csv' });
    expect(result).toMatchObject({ rows: 1, skipped: 0 });
    expect((await experiments[0]!.query())[0]).toMatchObject({ latencyMs: 1, metadata: { variant: 'ä' } });
  }
  const numbers = Readable.from([1, 2]) as AsyncIterable<never>;
  await expect(crucible.importFiles(numbers, { format: 'csv' })).rejects.toMatchObject({
    code: 'ERR_CONFIG_INVALID',
  });
});

it('lets go of a stream that gives nothing when it is told to', async () => {
  for (const first of ['', HEAD, `${HEAD}2024-01-01,1,a\n`]) {
    let given = false;
    const stream = new Readable({
      read() {
        if (given || first === '') return;
        given = true;
        this.push(first);
      },
    });
    const stop = new AbortController();
    const importing = crucible.importFiles(stream, { format: 'csv', signal: stop.signal });
    setImmediate(() => stop.abort(new Error('enough')));
    await expect(importing).rejects.toThrow('enough');
    expect(stream.destroyed).toBe(true);
  }
});

it('refuses a signal that is none', async () => {
  const path = write('signal.csv', '2024-01-01,1,a\n');
  const signal = {} as AbortSignal;
  await expect(crucible.importFiles(path, { signal })).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
  const experiment = crucible.startExperiment({ name: 'signal' });
  await expect(experiment.importFile(path, { signal })).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
});
