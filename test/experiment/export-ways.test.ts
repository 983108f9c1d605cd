/** What a path and a layout say of an export: they are done, or refused, as on the command line. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment, type ExportFormat, type ExportOptions } from '../../src/index.js';

let dir: string;
let crucible: Crucible;
let experiment: Experiment;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-ways-'));
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'e' });
  experiment.capture('a', { latencyMs: 1 });
});
afterEach(async () => {
  await crucible.close();
  rmSync(dir, { recursive: true });
});

describe('the path of an export', () => {
  it('says how it is compressed', async () => {
    const { path } = await experiment.export('csv', { path: join(dir, 'x.csv.gz') });
    const plain = await experiment.export('csv', { path: join(dir, 'x.csv') });
    expect(gunzipSync(readFileSync(path))).toEqual(readFileSync(plain.path));
    const several = await crucible.exportMultiple([experiment], 'jsonl', { path: join(dir, 'X.NDJSON.GZ') });
    expect(gunzipSync(readFileSync(several.path)).toString()).toContain('"a"');
  });

  it('says which layout Arrow has', async () => {
    const bytes = (name: string) =>
      experiment.export('arrow', { path: join(dir, name) }).then(({ path }) => readFileSync(path));
    expect((await bytes('x.arrows')).subarray(0, 6).toString()).not.toBe('ARROW1');
    expect((await bytes('x.feather')).subarray(0, 6).toString()).toBe('ARROW1');
  });

  it('may have any other ending', async () => {
    for (const name of ['x', 'x.txt', 'x.gz', 'x.csv.bak', 'x.json']) {
      const { path } = await experiment.export('csv', { path: join(dir, name) });
      expect(readFileSync(path, 'utf8')).toContain('latency_ms');
    }
  });

  it.each<[ExportFormat, ExportOptions, string]>([
    ['parquet', { path: 'x.csv' }, 'path'],
    ['csv', { path: 'x.jsonl' }, 'path'],
    ['csv', { path: 'x.parquet.gz' }, 'path'],
    ['parquet', { path: 'x.parquet.gz' }, 'path'],
    ['csv', { path: 'x.csv.gz', compression: 'none' }, 'compression'],
    ['csv', { path: 'x.csv.gz', compression: 'zstd' }, 'compression'],
    ['arrow', { path: 'x.arrows', layout: 'file' }, 'layout'],
    ['csv', { layout: 'stream' }, 'layout'],
    ['msgpack', { layout: 'colums' as 'columns' }, 'layout'],
    ['msgpack', { layout: 'file' }, 'layout'],
  ])('or a layout that does not fit %s is refused: %o', async (format, options, option) => {
    const placed =
      options.path === undefined ? { ...options, dir } : { ...options, path: join(dir, options.path) };
    const error = { code: 'ERR_CONFIG_INVALID', context: { path: option } };
    await expect(experiment.export(format, placed)).rejects.toMatchObject(error);
    if (options.path === undefined) {
      expect(() => experiment.exportStream(format, options)).toThrow(/^layout: expected/);
    }
    expect(readdirSync(dir)).toEqual([]);
  });
});
