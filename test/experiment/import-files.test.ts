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
