/** A path made of a name never replaces a file: not of another experiment, not of an earlier export, not of another process. */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { lstat, mkdir, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { exportFile } from '../../src/export/index.js';
import { Crucible, type Experiment, type ExportResult } from '../../src/index.js';
import { event, sourceOf, useFolder } from './support.js';

const disk = vi.hoisted(() => ({ hasLinks: true }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  return {
    ...real,
    link: async (...paths: Parameters<typeof real.link>) => {
      if (disk.hasLinks) return real.link(...paths);
      throw Object.assign(new Error('EPERM: injected'), { code: 'EPERM' });
    },
  };
});

const folder = useFolder();
const names = async () => (await readdir(folder())).filter((name) => !name.endsWith('.manifest.json')).sort();

let crucible: Crucible;
beforeEach(() => {
  crucible = new Crucible({ workers: 1 });
});
afterEach(async () => {
  disk.hasLinks = true;
  await crucible.close();
});

function start(name: string, rows = 3): Experiment {
  const experiment = crucible.startExperiment({ name });
  const recorder = experiment.recorder('llm', { model: 'm' });
  for (let i = 0; i < rows; i++) recorder.recordAt(i, i);
  return experiment;
}

/** That the file is what was exported, and its manifest the manifest of this file. */
async function expectWhole({ path, sha256, manifest }: ExportResult, id: string): Promise<void> {
  expect(manifest).toBe(`${path}.manifest.json`);
  expect(
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  ).toBe(sha256);
  const told = JSON.parse(await readFile(manifest, 'utf8'));
  expect(told).toMatchObject({ file: basename(path), sha256, experiments: [{ id }] });
}

describe('an export to a path made of a name', () => {
  it('of a second experiment of that name, or of the same again, gets the next number', async () => {
    const [first, second] = [start('same'), start('same')];
    const results = [
      await first.export('csv', { dir: folder() }),
      await second.export('csv', { dir: folder() }),
      await first.export('csv', { dir: folder() }),
      await first.export('jsonl', { dir: folder() }),
    ];
    expect(results.map(({ path }) => basename(path))).toEqual([
      'same.csv',
      'same-2.csv',
      'same-3.csv',
      'same.jsonl',
    ]);
    for (const [i, { id }] of [first, second, first, first].entries()) await expectWhole(results[i]!, id);
    expect(await readdir(folder())).toHaveLength(8);
  });

  it.each([
    ['in other folders', { name: 'a/b' }, ['a', 'b-2.csv']],
    ['with dots in it', { name: 'v1.2' }, ['v1.2-2.csv']],
    ['of a compressed file', { name: 'e', compression: 'gzip' as const }, ['e-2.csv.gz']],
  ])('%s is numbered before its extension', async (_, options, expected) => {
    const experiment = start('e');
    await experiment.export('csv', { dir: folder(), ...options });
    const { path } = await experiment.export('csv', { dir: folder(), ...options });
    expect(path).toBe(join(folder(), ...expected));
  });

  it('leaves alone what has the name and is no export: a folder, a manifest without its file, a link to nowhere', async () => {
    await mkdir(join(folder(), 'e.csv'));
    await writeFile(join(folder(), 'e-2.csv.manifest.json'), 'of a file that was moved');
    const { path } = await start('e').export('csv', { dir: folder() });
    expect(basename(path)).toBe('e-3.csv');
    expect(await readFile(join(folder(), 'e-2.csv.manifest.json'), 'utf8')).toBe('of a file that was moved');
  });

  it('of several experiments gets one, too', async () => {
    const arms = [start('a'), start('b')];
    const of = async () => basename((await crucible.exportMultiple(arms, 'csv', { dir: folder() })).path);
    expect([await of(), await of()]).toEqual(['experiments.csv', 'experiments-2.csv']);
  });

  it('at the same time gets one each, whether by a thread or not', async () => {
    const experiments = [start('same', 5000), start('same'), start('same', 5000), start('same')];
    const results = await Promise.all(experiments.map((one) => one.export('jsonl', { dir: folder() })));
    expect(results.map(({ path }) => basename(path)).sort()).toEqual([
      'same-2.jsonl',
      'same-3.jsonl',
      'same-4.jsonl',
      'same.jsonl',
    ]);
    for (const [i, result] of results.entries()) await expectWhole(result, experiments[i]!.id);
  });

  it('that fails takes no number', async () => {
    const experiment = start('e');
    const filter = { eventName: 'never' };
    await expect(experiment.export('csv', { dir: folder(), filter })).rejects.toThrow('no events');
    expect(basename((await experiment.export('csv', { dir: folder() })).path)).toBe('e.csv');
  });

  it('is refused where the number makes the name too long', async () => {
    const experiment = start('x'.repeat(237));
    await experiment.export('csv', { dir: folder() });
    await expect(experiment.export('csv', { dir: folder() })).rejects.toMatchObject({
      code: 'ERR_EXPORT_PATH',
    });
    expect(await readdir(folder())).toHaveLength(2);
  });

  it.each([true, false])(
    'is its own among processes, with links: %s',
    { timeout: 60_000 },
    async (hasLinks) => {
      const program = `
      import { Crucible } from 'crucible-telemetry';
      const crucible = new Crucible({ workers: 0 });
      const experiment = crucible.startExperiment({ name: 'same' });
      for (let i = 0; i < 200; i++) experiment.recorder('llm').recordAt(i, i);
      for (let i = 0; i < 5; i++) {
        const result = await experiment.export('csv', { dir: process.argv[1] });
        console.log(JSON.stringify({ ...result, id: experiment.id }));
      }
      await crucible.close();`;
      const withoutLinks = `
      import fs from 'node:fs/promises';
      import { syncBuiltinESMExports } from 'node:module';
      fs.link = async () => { throw Object.assign(new Error('EPERM'), { code: 'EPERM' }); };
      syncBuiltinESMExports();`;
      const args = [
        ...(hasLinks ? [] : ['--import', `data:text/javascript,${encodeURIComponent(withoutLinks)}`]),
        ...['--input-type=module', '--eval', program, folder()],
      ];
      const run = promisify(execFile);
      const outputs = await Promise.all([1, 2, 3].map(() => run(process.execPath, args)));
      const results = outputs.flatMap(({ stdout }) =>
        stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      );
      expect(new Set(results.map(({ path }) => path)).size).toBe(15);
      for (const result of results) await expectWhole(result, result.id);
      expect(await names()).toHaveLength(15);
    },
  );
});

describe('exportFile', () => {
  it('names a file where the file system knows no links', async () => {
    disk.hasLinks = false;
    await writeFile(join(folder(), 'e.jsonl'), 'kept');
    const { path } = await exportFile(sourceOf(event()), 'jsonl', { dir: folder(), name: 'e' });
    expect(basename(path)).toBe('e-2.jsonl');
    expect(await readFile(path, 'utf8')).toContain('e-0');
    expect(await readFile(join(folder(), 'e.jsonl'), 'utf8')).toBe('kept');
    expect(await names()).toEqual(['e-2.jsonl', 'e.jsonl']);
  });
});

describe('an archive', () => {
  it.each(['jsonl', 'parquet'] as const)(
    'as %s is not replaced by another one of that name',
    async (format) => {
      const [first, second] = [start('same'), start('same')];
      const paths: string[] = [];
      for (const experiment of [first, second]) {
        const { path, manifest } = await experiment.archive({ destination: 'local', dir: folder(), format });
        paths.push(basename(path));
        expect(manifest).toBe(format === 'parquet' ? `${path}.manifest.json` : null);
        if (manifest !== null) expect(JSON.parse(await readFile(manifest, 'utf8')).file).toBe(basename(path));
      }
      expect(paths).toEqual([`same_archive.${format}`, `same_archive-2.${format}`]);
      await rm(join(folder(), paths[1]!));
      await expect(readFile(join(folder(), paths[0]!))).resolves.toBeDefined();
    },
  );
});

describe('a path that is given', () => {
  /** What a file is. */
  const kind = async (path: string) => {
    const found = await lstat(path);
    return found.isSymbolicLink() ? 'link' : found.isFIFO() ? 'FIFO' : found.isSocket() ? 'socket' : 'file';
  };

  it.skipIf(process.platform === 'win32')('and is no file is refused, and left as it is', async () => {
    const experiment = start('odd');
    const [fifo, socket, beside] = ['fifo', 'socket', 'beside.csv'].map((name) => join(folder(), name));
    await promisify(execFile)('mkfifo', [fifo!, `${beside}.manifest.json`]);
    await symlink(fifo!, join(folder(), 'to-fifo'));
    const server = createServer().listen(socket);
    await once(server, 'listening');
    for (const path of [fifo!, socket!, beside!, join(folder(), 'to-fifo')]) {
      await expect(experiment.export('csv', { path })).rejects.toMatchObject({
        code: 'ERR_EXPORT_PATH',
        message: expect.stringMatching(/it is a (FIFO|socket)/),
      });
      // An archive is JSON Lines, which no name ending in .csv is for.
      if (path === beside) continue;
      await expect(experiment.archive({ destination: 'local', path })).rejects.toMatchObject({
        code: 'ERR_EXPORT_PATH',
      });
    }
    expect(await Promise.all([fifo!, socket!].map(kind))).toEqual(['FIFO', 'socket']);
    server.close();
  });

  it('and is a symbolic link is the file that it points to', async () => {
    const experiment = start('linked');
    await mkdir(join(folder(), 'real'));
    const real = join(folder(), 'real', 'data.csv');
    await writeFile(real, 'old');
    // Relative, and over another link; the second to nothing yet.
    await symlink('real/data.csv', join(folder(), 'link.csv'));
    await symlink('link.csv', join(folder(), 'again.csv'));
    await symlink('real/new.csv', join(folder(), 'dangling.csv'));
    for (const [link, file] of [
      ['link.csv', real],
      ['again.csv', real],
      ['dangling.csv', join(folder(), 'real', 'new.csv')],
    ] as const) {
      const result = await experiment.export('csv', { path: join(folder(), link) });
      expect(result.path).toBe(await realpath(file));
      await expectWhole(result, experiment.id);
      expect(await kind(join(folder(), link))).toBe('link');
    }
    expect(await readFile(real, 'utf8')).not.toBe('old');
    await symlink('round.csv', join(folder(), 'round.csv'));
    await expect(experiment.export('csv', { path: join(folder(), 'round.csv') })).rejects.toMatchObject({
      code: 'ERR_EXPORT_PATH',
    });
  });
});
