/**
 * Temporary files of exports and archives whose process was killed: the next one in that folder removes them, and never
 * one of a process that lives. Runs the built package in child processes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { newStaging } from '../../src/staging.js';
import { processOneOf, spawnProcessOne } from '../support/process-one.js';

let dir: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-abandoned-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dir, { recursive: true });
});

const staged = () => readdirSync(dir).filter((name) => name.startsWith('.crucible-'));

/** A process amid an export to `dir`: all is written, and nothing has its name. */
async function amidExport(
  start: typeof spawnProcessOne = (argv, options) => spawn(process.execPath, argv, options),
) {
  const program = `
    import { Crucible } from './dist/src/index.js';
    const crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'e' });
    for (let i = 0; i < 100; i++) experiment.capture('e', {}, { i });
    await experiment.export('jsonl', {
      dir: ${JSON.stringify(dir)},
      onProgress() {
        console.log('there');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      },
    });`;
  const argv = ['--input-type=module', '--eval', program];
  const child = start(argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout!, 'data');
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function exportHere(path = join(dir, 'here.jsonl')): Promise<void> {
  await using crucible = new Crucible({ workers: 0 });
  const experiment = crucible.startExperiment({ name: 'e' });
  experiment.capture('e', {});
  await experiment.export('jsonl', { path });
}

async function archiveHere(format: 'jsonl' | 'parquet'): Promise<void> {
  await using crucible = new Crucible({ workers: 0 });
  const experiment = crucible.startExperiment({ name: 'e' });
  experiment.capture('e', {});
  await experiment.archive({ destination: 'local', dir, format });
}

describe('what a killed export has left', () => {
  it('is removed by the next export, while that of a living one stays', async () => {
    const dead = await amidExport();
    const [left] = staged();
    const living = await amidExport();
    expect(staged()).toHaveLength(2);
    await exportHere();
    expect(staged()).toHaveLength(2);
    await killed(dead);
    await exportHere();
    expect(staged()).toHaveLength(1);
    expect(staged()).not.toContain(left);
    await killed(living);
    await exportHere(join(dir, 'in', 'another', 'folder.jsonl'));
    expect(staged()).toHaveLength(1);
    await exportHere();
    expect(staged()).toEqual([]);
    expect(readdirSync(dir).sort()).toEqual(['here.jsonl', 'here.jsonl.manifest.json', 'in']);
  });

  it.each(['jsonl', 'parquet'] as const)('is removed by the next archive: %s', async (format) => {
    await killed(await amidExport());
    await archiveHere(format);
    expect(staged()).toEqual([]);
  });

  it('is removed when experiments there are recovered, unless they are only to be read', async () => {
    await killed(await amidExport());
    await using crucible = new Crucible({ dir, workers: 0 });
    crucible.startExperiment({ name: 'e' });
    await using reader = new Crucible({ workers: 0 });
    await reader.recover(dir, { readOnly: true });
    expect(staged()).toHaveLength(1);
    await using other = new Crucible({ workers: 0 });
    await other.recover(dir);
    expect(staged()).toEqual([]);
  });

  it('stays for a day where its process cannot be seen, in another pid namespace', async () => {
    const child = await amidExport(spawnProcessOne);
    const [name] = staged();
    const path = join(dir, name!);
    await exportHere();
    expect(staged()).toEqual([name]);
    // From here nothing tells that the process is gone.
    process.kill(processOneOf(child), 'SIGKILL');
    await once(child, 'exit');
    await exportHere();
    expect(staged()).toEqual([name]);
    const dayAgo = Date.now() / 1000 - 25 * 3600;
    utimesSync(path, dayAgo, dayAgo);
    await exportHere();
    expect(staged()).toEqual([]);
  });

  it('is told apart from what a later process of the same number writes, and from files of others', async () => {
    const [pid, start, ...rest] = newStaging().split('-');
    const earlier = `.crucible-${[pid, Number(start) - 1, ...rest].join('-')}.tmp`;
    const names = [`.crucible-${newStaging()}.tmp`, '.crucible-mine.tmp', `.crucible-${newStaging()}.csv`];
    for (const name of [earlier, ...names]) writeFileSync(join(dir, name), '');
    await exportHere();
    expect(staged().sort()).toEqual([...names].sort());
  });
});

describe('modes of what is written elsewhere', () => {
  const modeOf = (path: string) => statSync(path).mode & 0o777;
  const capture = (crucible: Crucible) => {
    const experiment = crucible.startExperiment({ name: 'e' });
    experiment.capture('e', {});
    return experiment;
  };

  it.each([
    ['nothing is said', {}, {}, 0o700, 0o600],
    ['the Crucible says so', { folderMode: 0o750, fileMode: 0o640 }, {}, 0o750, 0o640],
    ['the export says so', { fileMode: 0o640 }, { folderMode: 0o755, fileMode: 0o644 }, 0o755, 0o644],
  ] as const)('are what they are to be when %s', async (_, of, given, folderMode, fileMode) => {
    const before = process.umask(0o077);
    try {
      for (const place of [{}, { dir: join(dir, 'data') }]) {
        await using crucible = new Crucible({ workers: 0, ...of, ...place });
        const experiment = capture(crucible);
        const folder = mkdtempSync(join(dir, 'out-'));
        const into = { ...given, dir: join(folder, 'a', 'b') };
        const { path, manifest } = await experiment.export('csv', into);
        const several = await crucible.exportMultiple([experiment], 'csv', into);
        const parquet = await experiment.archive({ destination: 'local', format: 'parquet', ...into });
        const archived = await experiment.archive({ destination: 'local', ...into });
        const files = [
          path,
          manifest,
          several.path,
          several.manifest,
          archived.path,
          parquet.path,
          parquet.manifest!,
        ];
        expect(files.map(modeOf)).toEqual(files.map(() => fileMode));
        expect([join(folder, 'a'), join(folder, 'a', 'b')].map(modeOf)).toEqual([folderMode, folderMode]);
      }
    } finally {
      process.umask(before);
    }
  });

  it('are refused when nobody could use the file', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const experiment = capture(crucible);
    const path = join(dir, 'x.csv');
    await expect(experiment.export('csv', { path, fileMode: 0o444 })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    await expect(crucible.exportMultiple([experiment], 'csv', { path, folderMode: 8 })).rejects.toMatchObject(
      {
        code: 'ERR_CONFIG_INVALID',
      },
    );
    await expect(experiment.archive({ destination: 'local', path, fileMode: -1 })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    expect(readdirSync(dir)).toEqual([]);
  });
});
