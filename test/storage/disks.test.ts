/** The disks of test/support/disks/ do what they say, so that what they find can be believed. */

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FileSystem, nodeFileSystem, writeFully } from '../../src/storage/disk/file-system.js';
import { systemCodeOf } from '../../src/system-errors.js';
import {
  createFileSystem as createFaultyDisk,
  type Fault,
  FaultControl,
} from '../support/disks/faulty-disk.mjs';
import {
  crashState,
  crashStates,
  type DiskContent,
  everyCrashState,
  JournalReceiver,
  PowerLossDisk,
  writeOut,
} from '../support/disks/power-loss-disk.mjs';
import { withSmallTmpfs } from '../support/disks/small-tmpfs.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | null | undefined) => (bytes ? new TextDecoder().decode(bytes) : bytes);

function codeOf(operation: () => void): string {
  try {
    operation();
    return 'none';
  } catch (error) {
    return systemCodeOf(error) ?? String(error);
  }
}

/** Creates a file, with or without what makes it last. */
function put(files: FileSystem, path: string, bytes: Uint8Array, options: { sync: boolean }): void {
  const fd = files.open(path, 'wx');
  writeFully(files, fd, [bytes], 0);
  if (options.sync) files.sync(fd);
  files.close(fd);
}

/** Everything that may be found at a path, as text, when the power goes now. */
function possibilities(disk: PowerLossDisk, path: string): Set<string | null | undefined> {
  const from = disk.journal.length;
  const found = new Set<string | null | undefined>();
  for (const { content } of everyCrashState(disk.initial, disk.journal, { from })) {
    found.add(textOf(content.get(path)));
  }
  return found;
}

describe('a disk that may lose power', () => {
  it('keeps what was synced, with its name', () => {
    const disk = new PowerLossDisk();
    put(disk, '/f', bytesOf('data'), { sync: true });
    disk.syncFolder('/');
    expect(possibilities(disk, '/f')).toEqual(new Set(['data']));
  });

  it('may lose the name of a file whose folder was not synced', () => {
    const disk = new PowerLossDisk();
    put(disk, '/f', bytesOf('data'), { sync: true });
    expect(possibilities(disk, '/f')).toEqual(new Set(['data', undefined]));
  });

  it('may lose the data of a file that was not synced', () => {
    const disk = new PowerLossDisk();
    put(disk, '/f', bytesOf('data'), { sync: false });
    disk.syncFolder('/');
    const found = possibilities(disk, '/f');
    expect(found).toContain('');
    expect(found).toContain('\0\0\0\0');
    expect(found).toContain('data');
    // Nothing, zeros, garbage, the data.
    expect(found.size).toBe(4);
  });

  it('may undo a rename, but never halfway', () => {
    const disk = new PowerLossDisk(new Map([['/old', bytesOf('old')]]));
    put(disk, '/new', bytesOf('new'), { sync: true });
    disk.syncFolder('/');
    disk.rename('/new', '/old');
    const states = [...everyCrashState(disk.initial, disk.journal, { from: disk.journal.length })];
    const names = states.map(({ content }) => [...content.keys()].join(' '));
    expect(new Set(names)).toEqual(new Set(['/new /old', '/old']));
    expect(possibilities(disk, '/old')).toEqual(new Set(['old', 'new']));
  });

  it('may bring back what was unlinked, and lose a link', () => {
    const disk = new PowerLossDisk(new Map([['/a', bytesOf('a')]]));
    disk.link('/a', '/b');
    disk.unlink('/a');
    expect(possibilities(disk, '/a')).toEqual(new Set(['a', undefined]));
    expect(possibilities(disk, '/b')).toEqual(new Set(['a', undefined]));
  });

  it('loses with a folder what is in it', () => {
    const disk = new PowerLossDisk();
    disk.makeFolder('/x/y');
    put(disk, '/x/y/f', bytesOf('data'), { sync: true });
    disk.syncFolder('/x/y');
    expect(possibilities(disk, '/x/y/f')).toEqual(new Set(['data', undefined]));
    disk.syncFolder('/x');
    disk.syncFolder('/');
    expect(possibilities(disk, '/x/y/f')).toEqual(new Set(['data']));
  });

  it('writes sectors of 512 bytes, each for itself and in any order', () => {
    const disk = new PowerLossDisk(new Map([['/f', bytesOf('a'.repeat(1024))]]));
    const fd = disk.open('/f', 'r+');
    disk.write(fd, [bytesOf('b'.repeat(1024))], 0);
    disk.write(fd, [bytesOf('c'.repeat(512))], 512);
    const found = [...possibilities(disk, '/f')].map((text) => text!.replaceAll(/(.)\1*/g, '$1')).sort();
    expect(found).toEqual(['a', 'ab', 'ac', 'b', 'ba', 'bc']);
  });

  it('has a file cut off or not', () => {
    const disk = new PowerLossDisk(new Map([['/f', bytesOf('abcdef')]]));
    const fd = disk.open('/f', 'r+');
    disk.truncate(fd, 2);
    expect(possibilities(disk, '/f')).toEqual(new Set(['abcdef', 'ab\0\0\0\0', 'ab']));
    disk.sync(fd);
    expect(possibilities(disk, '/f')).toEqual(new Set(['ab']));
  });

  it('has had the power on at every point of its journal', () => {
    const disk = new PowerLossDisk();
    const fd = disk.open('/f', 'wx');
    for (let i = 0; i < 5; i++) {
      disk.write(fd, [bytesOf(String(i))], i);
      disk.sync(fd);
    }
    disk.syncFolder('/');
    const points = disk.journal.map((_, i) => crashState(disk.initial, disk.journal, i + 1, [1]));
    expect(points.map(({ content }) => textOf(content.get('/f')))).toEqual([
      '',
      ...['', '0', '0', '01', '01', '012', '012', '0123', '0123', '01234'],
      '01234',
    ]);
    expect(crashState(disk.initial, disk.journal, 0).content.size).toBe(0);
    expect(() => crashState(disk.initial, disk.journal, 99)).toThrow(RangeError);
  });

  it('has the same states for the same seed, and gives each again from its choices', () => {
    const disk = new PowerLossDisk();
    put(disk, '/f', new Uint8Array(5000).fill(7), { sync: false });
    put(disk, '/g', new Uint8Array(5000).fill(8), { sync: false });
    const states = [...crashStates(disk.initial, disk.journal, { seed: 5 })];
    expect([...crashStates(disk.initial, disk.journal, { seed: 5 })]).toEqual(states);
    expect([...crashStates(disk.initial, disk.journal, { seed: 6 })]).not.toEqual(states);
    expect(states).toHaveLength(8 * (disk.journal.length + 1));
    for (const { point, choices, content } of states) {
      expect(crashState(disk.initial, disk.journal, point, choices).content).toEqual(content);
    }
  });

  it('begins each point with nothing and all of what was not synced', () => {
    const disk = new PowerLossDisk();
    put(disk, '/f', bytesOf('data'), { sync: false });
    const states = crashStates(disk.initial, disk.journal, { seed: 1, from: disk.journal.length });
    const [nothing, all] = [...states].map(({ content }) => content);
    expect(nothing!.size).toBe(0);
    expect(all).toEqual(disk.content());
  });

  it('counts states that are too many instead of running for ever', () => {
    const disk = new PowerLossDisk();
    put(disk, '/f', new Uint8Array(100_000), { sync: false });
    expect(() => [...everyCrashState(disk.initial, disk.journal, { statesMax: 1000 })]).toThrow(
      'more than 1000',
    );
  });

  it('is mounted again from any state, two names of one file included', () => {
    const disk = new PowerLossDisk();
    disk.makeFolder('/x');
    put(disk, '/x/f', bytesOf('data'), { sync: true });
    disk.link('/x/f', '/x/g');
    const again = new PowerLossDisk(disk.content());
    expect(again.content()).toEqual(disk.content());
    const fd = again.open('/x/f', 'r+');
    again.write(fd, [bytesOf('D')], 0);
    expect(textOf(again.readFile('/x/g', 1e9))).toBe('Data');
    expect(textOf(disk.readFile('/x/g', 1e9))).toBe('data');
  });

  it('is written out to be looked at', () => {
    const folder = mkdtempSync(join(tmpdir(), 'crucible-disk-'));
    const content: DiskContent = new Map([
      ['/x', null],
      ['/x/f', bytesOf('data')],
    ]);
    writeOut(content, folder);
    expect(readFileSync(join(folder, 'x', 'f'), 'utf8')).toBe('data');
    rmSync(folder, { recursive: true });
  });

  it('never loses what was synced before, whatever comes after', () => {
    const write = fc.record({
      position: fc.nat(3000),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 1500 }),
    });
    fc.assert(
      fc.property(fc.array(write), fc.array(write), fc.integer(), (before, after, seed) => {
        const disk = new PowerLossDisk();
        const fd = disk.open('/f', 'wx');
        const other = disk.open('/g', 'wx');
        for (const { position, bytes } of before) disk.write(fd, [bytes], position);
        disk.sync(fd);
        disk.syncFolder('/');
        const from = disk.journal.length;
        const synced = disk.readFile('/f', 1e9);
        for (const { position, bytes } of after) disk.write(other, [bytes], position);
        for (const { content } of crashStates(disk.initial, disk.journal, {
          seed,
          from,
          statesPerPoint: 3,
        })) {
          expect(Buffer.compare(content.get('/f')!, synced)).toBe(0);
        }
      }),
      { numRuns: 50 },
    );
  });
});

/** A disk of 5 files to which one byte is written in turn, and what became of each call. */
function outcomes(faults: Fault[], calls: number, control?: FaultControl): string[] {
  const files = createFaultyDisk({ faults, control: control?.words }, new PowerLossDisk());
  const fds = [0, 1].map((i) => files.open(`/${i}.part`, 'wx'));
  return Array.from({ length: calls }, (_, i) => codeOf(() => files.write(fds[i % 2]!, [bytesOf('x')], i)));
}

describe('a disk with faults', () => {
  it('fails from one call up to another', () => {
    expect(outcomes([{ operation: 'write', code: 'EIO', from: 3, until: 5 }], 6)).toEqual([
      ...['none', 'none'],
      ...['EIO', 'EIO'],
      ...['none', 'none'],
    ]);
  });

  it('fails for ever', () => {
    expect(outcomes([{ operation: ['sync', 'write'], code: 'EIO', from: 2 }], 4)).toEqual([
      ...['none', 'EIO', 'EIO', 'EIO'],
    ]);
  });

  it('fails for some files only, and counts only their calls', () => {
    const faults: Fault[] = [{ operation: 'write', path: '1.part', code: 'ENOSPC', from: 2 }];
    expect(outcomes(faults, 6)).toEqual(['none', 'none', 'none', 'ENOSPC', 'none', 'ENOSPC']);
  });

  it('lets the first of several faults decide', () => {
    const faults: Fault[] = [
      { operation: 'write', code: 'EIO', from: 2, until: 3 },
      { operation: 'write', code: 'ENOSPC', from: 2, until: 4 },
    ];
    expect(outcomes(faults, 4)).toEqual(['none', 'EIO', 'ENOSPC', 'none']);
  });

  it('is switched off and on again, counting only what happens while it is on', () => {
    const control = new FaultControl();
    const files = createFaultyDisk(
      { faults: [{ operation: 'list', code: 'EIO', from: 2 }], control: control.words },
      new PowerLossDisk(),
    );
    const list = () => codeOf(() => files.list('/'));
    control.faults = false;
    expect([list(), list(), list()]).toEqual(['none', 'none', 'none']);
    control.faults = true;
    expect([list(), list()]).toEqual(['none', 'EIO']);
    control.faults = false;
    expect(list()).toBe('none');
    expect(control.calls('list')).toBe(6);
    expect(control.calls('write')).toBe(0);
  });

  it('writes only a part', () => {
    const disk = new PowerLossDisk();
    const files = createFaultyDisk({ faults: [{ operation: 'write', bytes: 3, until: 2 }] }, disk);
    const fd = files.open('/f', 'wx');
    expect(files.write(fd, [bytesOf('ab'), bytesOf('cdef')], 0)).toBe(3);
    expect(textOf(disk.readFile('/f', 1e9))).toBe('abc');
    expect(files.write(fd, [bytesOf('ab'), bytesOf('cdef')], 0)).toBe(6);
  });

  it('writes random parts, the same for the same seed', () => {
    const lengths = (seed: number) => {
      const files = createFaultyDisk(
        { faults: [{ operation: 'write', bytes: 'random' }], seed },
        new PowerLossDisk(),
      );
      const fd = files.open('/f', 'wx');
      return Array.from({ length: 50 }, () => files.write(fd, [new Uint8Array(100)], 0));
    };
    expect(lengths(3)).toEqual(lengths(3));
    expect(lengths(3)).not.toEqual(lengths(4));
    expect(Math.min(...lengths(3))).toBeGreaterThanOrEqual(1);
    expect(Math.max(...lengths(3))).toBeLessThanOrEqual(99);
  });

  it('fails when it is full, after a part has been written', () => {
    const disk = new PowerLossDisk();
    const files = createFaultyDisk({ faults: [{ operation: 'write', bytes: 2, code: 'ENOSPC' }] }, disk);
    const fd = files.open('/f', 'wx');
    expect(codeOf(() => files.write(fd, [bytesOf('abc')], 0))).toBe('ENOSPC');
    expect(textOf(disk.readFile('/f', 1e9))).toBe('ab');
  });

  it('fails after the fact', () => {
    const disk = new PowerLossDisk(new Map([['/a', bytesOf('a')]]));
    const files = createFaultyDisk(
      { faults: [{ operation: 'rename', code: 'EIO', takesEffect: true }] },
      disk,
    );
    expect(codeOf(() => files.rename('/a', '/b'))).toBe('EIO');
    expect(disk.list('/')).toEqual(['b']);
  });

  it.each<[string, (files: FileSystem) => void]>([
    ['open', (files) => files.open('/f', 'r')],
    ['readFile', (files) => files.readFile('/f', 1e9)],
    ['rename', (files) => files.rename('/f', '/g')],
    ['link', (files) => files.link('/f', '/g')],
    ['unlink', (files) => files.unlink('/f')],
    ['list', (files) => files.list('/')],
    ['makeFolder', (files) => files.makeFolder('/x')],
    ['stat', (files) => files.stat('/f')],
    ['syncFolder', (files) => files.syncFolder('/')],
  ])('fails in %s, which then has no effect', (operation, call) => {
    const disk = new PowerLossDisk(new Map([['/f', bytesOf('f')]]));
    const files = createFaultyDisk(
      { faults: [{ operation: operation as keyof FileSystem, code: 'EACCES' }] },
      disk,
    );
    expect(codeOf(() => call(files))).toBe('EACCES');
    expect(disk.journal).toEqual([]);
    expect(codeOf(() => call(disk))).toBe('none');
  });

  it.each<[string, (files: FileSystem, fd: number) => void]>([
    ['close', (files, fd) => files.close(fd)],
    ['read', (files, fd) => files.read(fd, new Uint8Array(1), 0)],
    ['stat', (files, fd) => files.stat(fd)],
    ['truncate', (files, fd) => files.truncate(fd, 0)],
    ['sync', (files, fd) => files.sync(fd)],
  ])('fails in %s of an open file', (operation, call) => {
    const disk = new PowerLossDisk(new Map([['/f', bytesOf('f')]]));
    const faults: Fault[] = [{ operation: operation as keyof FileSystem, path: 'f', code: 'EIO' }];
    const files = createFaultyDisk({ faults }, disk);
    const fd = files.open('/f', 'r+');
    expect(codeOf(() => call(files, fd))).toBe('EIO');
    expect(disk.journal).toEqual([]);
    expect(codeOf(() => call(disk, fd))).toBe('none');
  });
});

/** Runs a module's text in a worker thread of plain Node, with `data` as its workerData. */
function work(text: string, data: unknown): { worker: Worker; exited: Promise<number> } {
  const url = new URL(`data:text/javascript,${encodeURIComponent(text)}`);
  const worker = new Worker(url, { workerData: data });
  const exited = new Promise<number>((done, fail) => {
    worker.once('exit', done);
    worker.once('error', fail);
  });
  return { worker, exited };
}

const moduleUrl = (name: string) => new URL(`../support/disks/${name}`, import.meta.url).href;

describe('disks in worker threads', () => {
  it('send their journal, from which states are made here', async () => {
    const receiver = new JournalReceiver(`disks ${process.pid}`);
    const { exited } = work(
      `import { workerData } from 'node:worker_threads';
       const { createFileSystem } = await import(workerData.url);
       const files = createFileSystem(workerData.spec);
       const fd = files.open('/f', 'r+');
       files.write(fd, [new TextEncoder().encode('new')], 0);
       files.sync(fd);`,
      { url: moduleUrl('power-loss-disk.mjs'), spec: receiver.spec(new Map([['/f', bytesOf('old')]])) },
    );
    expect(await exited).toBe(0);
    const journal = await receiver.complete();
    receiver.close();
    expect(receiver.made).toBe(2);
    const initial: DiskContent = new Map([['/f', bytesOf('old')]]);
    expect(textOf(crashState(initial, journal, 1).content.get('/f'))).toBe('old');
    expect(textOf(crashState(initial, journal, 2).content.get('/f'))).toBe('new');
  });

  it('hang until they are released, or for a time', async () => {
    const control = new FaultControl();
    const { exited } = work(
      `import { workerData } from 'node:worker_threads';
       const { createFileSystem } = await import(workerData.url);
       const files = createFileSystem(workerData.spec);
       files.makeFolder('/x');
       files.makeFolder('/y');`,
      {
        url: moduleUrl('faulty-disk.mjs'),
        spec: {
          control: control.words,
          powerLoss: {},
          faults: [
            { operation: 'makeFolder', hangMs: 1, until: 2 },
            { operation: 'makeFolder', hangMs: 'release' },
          ],
        },
      },
    );
    while (control.calls('makeFolder') < 2 || control.hanging === 0)
      await new Promise((done) => setTimeout(done, 1));
    expect(control.hanging).toBe(1);
    control.release();
    expect(await exited).toBe(0);
    expect(control.hanging).toBe(0);
  });
});

describe('a small tmpfs', () => {
  it('is full when it is full, and gone afterwards', async (context) => {
    let seen = '';
    const outcome = await withSmallTmpfs(64 * 1024, (folder) => {
      seen = folder;
      const fd = nodeFileSystem.open(join(folder, 'f'), 'wx');
      const code = codeOf(() => writeFully(nodeFileSystem, fd, [new Uint8Array(100_000)], 0));
      const bytes = nodeFileSystem.stat(fd).bytes;
      nodeFileSystem.close(fd);
      return { code, bytes };
    });
    if ('skipped' in outcome) return context.skip(outcome.skipped);
    // The first write fell short, and the next failed.
    expect(outcome.result.code).toBe('ENOSPC');
    expect(outcome.result.bytes).toBeGreaterThan(0);
    expect(outcome.result.bytes).toBeLessThanOrEqual(64 * 1024);
    expect(existsSync(seen)).toBe(false);
  });

  it('is gone when what ran in it failed', async (context) => {
    let seen = '';
    const run = withSmallTmpfs(16 * 1024, (folder) => {
      seen = folder;
      writeFileSync(join(folder, 'f'), 'x');
      expect(statSync(join(folder, 'f')).size).toBe(1);
      throw new Error('as it does');
    });
    const failure = await run.then(
      (outcome) => ('skipped' in outcome ? context.skip(outcome.skipped) : undefined),
      (error: Error) => error.message,
    );
    expect(failure).toBe('as it does');
    expect(existsSync(seen)).toBe(false);
  });
});
