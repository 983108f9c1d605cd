/** A disk that fails in the midst of an export costs the export, and nothing else. */

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Crucible, type Experiment, type ExportFormat, StorageError } from '../../src/index.js';

/** What the disk does: fails an operation from its n-th call on. */
const disk = vi.hoisted(() => ({
  fails: null as { operation: 'writeFile' | 'sync' | 'rename' | 'link'; from: number; code: string } | null,
  calls: 0,
  open: 0,
}));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const check = (operation: string) => {
    if (disk.fails?.operation !== operation || ++disk.calls < disk.fails.from) return;
    throw Object.assign(new Error(`${disk.fails.code}: injected`), { code: disk.fails.code });
  };
  return {
    ...real,
    rename: async (...paths: Parameters<typeof real.rename>) => {
      check('rename');
      return real.rename(...paths);
    },
    link: async (...paths: Parameters<typeof real.link>) => {
      check('link');
      return real.link(...paths);
    },
    open: async (...args: Parameters<typeof real.open>) => {
      const handle = await real.open(...args);
      if (args[1] !== 'wx') return handle;
      disk.open++;
      return {
        writeFile: async (data: Uint8Array) => {
          check('writeFile');
          return handle.writeFile(data);
        },
        sync: async () => {
          check('sync');
          return handle.sync();
        },
        close: async () => {
          disk.open--;
          return handle.close();
        },
      };
    },
  };
});

let folder: string;
let crucible: Crucible;
let experiment: Experiment;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crucible-faults-'));
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'e' });
  const recorder = experiment.recorder('llm', { model: 'm' });
  for (let i = 0; i < 5000; i++) recorder.recordAt(i, i);
});
afterEach(async () => {
  disk.fails = null;
  await crucible.close();
  await rm(folder, { recursive: true });
});

const FORMATS: readonly ExportFormat[] = ['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'];
const FAULTS = [
  ['the first write', 'writeFile', 1, 'ENOSPC', 'ERR_STORAGE_FULL'],
  ['a later write', 'writeFile', 2, 'EIO', 'ERR_STORAGE_IO'],
  ['the sync', 'sync', 1, 'EIO', 'ERR_STORAGE_IO'],
  ['the sync of the manifest', 'sync', 2, 'EDQUOT', 'ERR_STORAGE_FULL'],
  ['the rename', 'rename', 1, 'EIO', 'ERR_STORAGE_IO'],
] as const;

describe.each(FORMATS)('an export to %s', (format) => {
  it.each(FAULTS)(
    'of which %s fails leaves what was there, and no handle open',
    async (_, operation, from, code, expected) => {
      const path = join(folder, `e.${format}`);
      await writeFile(path, 'as it was');
      Object.assign(disk, { fails: { operation, from, code }, calls: 0, open: 0 });
      const failed = await experiment.export(format, { path }).catch((error: unknown) => error);
      expect(failed).toBeInstanceOf(StorageError);
      expect(failed).toMatchObject({ code: expected, cause: { code } });
      expect(await readdir(folder)).toEqual([`e.${format}`]);
      expect(await readFile(path, 'utf8')).toBe('as it was');
      expect(disk.open).toBe(0);
      disk.fails = null;
      expect((await experiment.export(format, { path })).rows).toBe(5000);
      expect((await readdir(folder)).length).toBe(2);
    },
  );
});

it('that cannot get a name of its own leaves nothing', async () => {
  Object.assign(disk, { fails: { operation: 'link', from: 1, code: 'EIO' }, calls: 0, open: 0 });
  await expect(experiment.export('csv', { dir: folder })).rejects.toMatchObject({
    code: 'ERR_STORAGE_IO',
    cause: { code: 'EIO' },
  });
  expect(await readdir(folder)).toEqual([]);
  expect(disk.open).toBe(0);
});

it('fails where the disk is told to, and only there', async () => {
  Object.assign(disk, { fails: { operation: 'writeFile', from: 1000, code: 'EIO' }, calls: 0 });
  expect((await experiment.export('csv', { dir: folder })).rows).toBe(5000);
  expect(disk.calls).toBeGreaterThan(1);
});
