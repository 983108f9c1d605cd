import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible } from '../src/index.js';
import { makeFolder } from '../src/make-folder.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-folders-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('makeFolder', () => {
  it('makes those above, once or again', () => {
    const path = join(dir, 'a', 'b', 'c');
    makeFolder(path);
    makeFolder(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('says what stands in the way', () => {
    writeFileSync(join(dir, 'file'), '');
    symlinkSync(join(dir, 'nowhere'), join(dir, 'link'));
    expect(() => makeFolder(join(dir, 'file'))).toThrow('ENOTDIR');
    expect(() => makeFolder(join(dir, 'file', 'a'))).toThrow('ENOTDIR');
    expect(() => makeFolder(join(dir, 'link'))).toThrow('ENOENT');
  });
});

// ENOENT is said there of folders whose parents exist.
describe.skipIf(process.platform !== 'linux')('a folder below /proc or /dev/fd', () => {
  it.each(['/proc/x', '/proc/x/y', '/proc/1/fd/x', '/dev/fd/x', '/dev/fd/x/y'])(
    '%s is a StorageError',
    async (path) => {
      const crucible = new Crucible({ workers: 0 });
      const error = { name: 'StorageError', code: 'ERR_STORAGE_IO', message: expect.stringContaining(path) };
      expect(() => crucible.startExperiment({ name: 'e', dir: path })).toThrow(
        expect.objectContaining(error),
      );
      const experiment = crucible.startExperiment({ name: 'e' });
      experiment.capture('a', { latencyMs: 1 });
      await expect(experiment.export('csv', { path: `${path}/e.csv` })).rejects.toMatchObject(error);
      await crucible.close();
    },
  );
});
