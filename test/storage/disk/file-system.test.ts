/** What storage relies on in any disk: the real one, and those that tests put in its place. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import {
  ensureFolder,
  type FileSystem,
  nodeFileSystem,
  readFully,
  writeFully,
} from '../../../src/storage/disk/file-system.js';
import { systemCodeOf } from '../../../src/system-errors.js';
import { createFileSystem as createFaultyDisk } from '../../support/disks/faulty-disk.mjs';
import { PowerLossDisk } from '../../support/disks/power-loss-disk.mjs';

const top = mkdtempSync(join(tmpdir(), 'crucible-files-'));
afterAll(() => rmSync(top, { recursive: true }));

let folders = 0;

/** An empty folder on that disk. */
function emptyFolder(files: FileSystem): string {
  const folder = join(top, `${++folders}`);
  files.makeFolder(folder);
  return folder;
}

/** The code that a failing operation throws, or 'none'. */
function codeOf(operation: () => void): string {
  try {
    operation();
    return 'none';
  } catch (error) {
    return systemCodeOf(error) ?? String(error);
  }
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function put(files: FileSystem, path: string, text: string): void {
  const fd = files.open(path, 'wx');
  writeFully(files, fd, [bytesOf(text)], 0);
  files.close(fd);
}

describe.each<[string, () => FileSystem]>([
  ['nodeFileSystem', () => nodeFileSystem],
  ['a disk that may lose power', () => new PowerLossDisk()],
  ['a disk without faults', () => createFaultyDisk({ faults: [] })],
])('%s', (_, create) => {
  it('writes where it is told, and reads back', () => {
    const files = create();
    const path = join(emptyFolder(files), 'f');
    const fd = files.open(path, 'wx');
    expect(files.write(fd, [bytesOf('abc'), bytesOf(''), bytesOf('def')], 4)).toBe(6);
    expect(files.stat(fd).bytes).toBe(10);
    files.write(fd, [bytesOf('xy')], 0);
    files.sync(fd);
    files.close(fd);
    expect(textOf(files.readFile(path, 1e9))).toBe('xy\0\0abcdef');
  });

  it('reads a part of a file', () => {
    const files = create();
    const path = join(emptyFolder(files), 'f');
    put(files, path, 'xy\0\0abcdef');
    const fd = files.open(path, 'r+');
    const target = new Uint8Array(16);
    expect(files.read(fd, target, 1)).toBe(9);
    expect([...target.subarray(0, 9)]).toEqual([...bytesOf('y\0\0abcdef')]);
    expect(files.read(fd, target, 10)).toBe(0);
    files.close(fd);
  });

  it('takes more buffers at once than the system does', () => {
    const files = create();
    const path = join(emptyFolder(files), 'f');
    const fd = files.open(path, 'wx');
    const buffers = Array.from({ length: 3000 }, (_, i) => bytesOf(`${i},`));
    const end = writeFully(files, fd, buffers, 0);
    files.close(fd);
    const text = Array.from({ length: 3000 }, (_, i) => `${i},`).join('');
    expect(end).toBe(text.length);
    expect(textOf(files.readFile(path, 1e9))).toBe(text);
  });

  it('cuts files off, and fills them up with zeros', () => {
    const files = create();
    const path = join(emptyFolder(files), 'f');
    put(files, path, 'abcdef');
    const fd = files.open(path, 'r+');
    files.truncate(fd, 2);
    files.truncate(fd, 4);
    expect(files.stat(fd).bytes).toBe(4);
    files.close(fd);
    expect([...files.readFile(path, 1e9)]).toEqual([97, 98, 0, 0]);
  });

  it('creates only what is not there, and opens only what is', () => {
    const files = create();
    const path = join(emptyFolder(files), 'f');
    expect(codeOf(() => files.open(path, 'r'))).toBe('ENOENT');
    expect(codeOf(() => files.open(path, 'r+'))).toBe('ENOENT');
    put(files, path, 'x');
    expect(codeOf(() => files.open(path, 'wx'))).toBe('EEXIST');
    expect(codeOf(() => files.open(join(path, '..', 'no', 'f'), 'wx'))).toBe('ENOENT');
  });

  it('does not write through a descriptor that only reads, and reads back what it creates', () => {
    const files = create();
    const path = join(emptyFolder(files), 'f');
    put(files, path, 'x');
    const fd = files.open(path, 'r');
    expect(codeOf(() => files.write(fd, [bytesOf('y')], 0))).toBe('EBADF');
    files.close(fd);
    expect(codeOf(() => files.close(fd))).toBe('EBADF');
    const created = files.open(`${path}2`, 'wx');
    const target = new Uint8Array(1);
    files.write(created, [bytesOf('z')], 0);
    expect([files.read(created, target, 0), textOf(target)]).toEqual([1, 'z']);
    files.close(created);
  });

  it('renames over what is there, and links only to a free name', () => {
    const files = create();
    const folder = emptyFolder(files);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder, name)) as [string, string, string];
    put(files, a, 'first');
    put(files, b, 'second');
    expect(codeOf(() => files.link(a, b))).toBe('EEXIST');
    files.link(a, c);
    files.rename(a, b);
    expect(files.list(folder).sort()).toEqual(['b', 'c']);
    expect(textOf(files.readFile(b, 1e9))).toBe('first');
    files.unlink(b);
    expect(textOf(files.readFile(c, 1e9))).toBe('first');
    expect(codeOf(() => files.unlink(b))).toBe('ENOENT');
    expect(codeOf(() => files.rename(b, c))).toBe('ENOENT');
  });

  it('makes folders on the way, and lists what is in one', () => {
    const files = create();
    const folder = emptyFolder(files);
    files.makeFolder(join(folder, 'x', 'y'));
    files.makeFolder(join(folder, 'x', 'y'));
    put(files, join(folder, 'x', 'f'), '');
    expect(files.list(folder)).toEqual(['x']);
    expect(files.list(join(folder, 'x')).sort()).toEqual(['f', 'y']);
    expect(codeOf(() => files.list(join(folder, 'no')))).toBe('ENOENT');
    files.syncFolder(folder);
    expect(codeOf(() => files.syncFolder(join(folder, 'no')))).toBe('ENOENT');
  });

  it('knows when a file was written', () => {
    const files = create();
    const path = join(emptyFolder(files), 'f');
    put(files, path, 'x');
    const writtenMs = files.stat(path).modifiedMs;
    expect(writtenMs).toBeGreaterThan(Date.UTC(2020));
    const fd = files.open(path, 'r+');
    files.write(fd, [bytesOf('y')], 0);
    files.close(fd);
    expect(files.stat(path).modifiedMs).toBeGreaterThanOrEqual(writtenMs);
    expect(codeOf(() => files.stat(`${path}x`).modifiedMs)).toBe('ENOENT');
  });
});

describe('the real disk', () => {
  const files = nodeFileSystem;
  const isCorrupt = expect.objectContaining({ code: 'ERR_SEGMENT_CORRUPT' });

  it.each<[string, (path: string) => unknown]>([
    ['a pipe', (path) => execFileSync('mkfifo', [path])],
    ['a folder', (path) => mkdirSync(path)],
    ['a device', (path) => symlinkSync('/dev/null', path)],
    ['a link that leads nowhere', (path) => symlinkSync(path, path)],
  ])('does not open %s, and does not wait for it', (_, make) => {
    const path = join(emptyFolder(files), 'f');
    make(path);
    const before = readdirSync('/proc/self/fd').length;
    for (const mode of ['r', 'r+'] as const) expect(() => files.open(path, mode)).toThrow(isCorrupt);
    expect(() => files.readFile(path, 10)).toThrow(isCorrupt);
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  it('follows a link to a file', () => {
    const folder = emptyFolder(files);
    put(files, join(folder, 'f'), 'x');
    symlinkSync('f', join(folder, 'link'));
    expect(textOf(files.readFile(join(folder, 'link'), 1))).toBe('x');
  });

  it('reads no more of a file than is wanted', () => {
    const path = join(emptyFolder(files), 'f');
    put(files, path, 'abc');
    expect(textOf(files.readFile(path, 3))).toBe('abc');
    expect(() => files.readFile(path, 2)).toThrow(isCorrupt);
    truncateSync(path, 2 ** 33);
    expect(() => files.readFile(path, 2)).toThrow(isCorrupt);
  });

  it('gives what it creates to its owner alone, or to whom it is told, whatever the process takes away', () => {
    const umask = process.umask(0o077);
    try {
      const folder = emptyFolder(files);
      const permissions = (name: string) => files.stat(join(folder, name)).permissions;
      files.close(files.open(join(folder, 'private'), 'wx'));
      files.close(files.open(join(folder, 'shared'), 'wx', 0o664));
      files.makeFolder(join(folder, 'a'));
      ensureFolder(files, join(folder, 'b', 'c'), 0o750);
      expect(['private', 'shared', 'a', 'b', 'b/c'].map(permissions)).toEqual([
        0o600, 0o664, 0o700, 0o750, 0o750,
      ]);
    } finally {
      process.umask(umask);
    }
  });

  it('tells whether an open file still has its name', () => {
    const folder = emptyFolder(files);
    const path = join(folder, 'f');
    const fd = files.open(path, 'wx');
    expect(files.stat(fd)).toMatchObject({ links: 1, id: files.stat(path).id });
    files.rename(path, `${path}2`);
    files.close(files.open(path, 'wx'));
    expect(files.stat(fd).links).toBe(1);
    expect(files.stat(path).id).not.toBe(files.stat(fd).id);
    files.unlink(`${path}2`);
    expect(files.stat(fd).links).toBe(0);
    files.close(fd);
  });
});

describe('writeFully and readFully', () => {
  it('finish what a disk does in parts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 }),
        fc.nat(100),
        fc.integer(),
        (buffers, position, seed) => {
          const disk = new PowerLossDisk();
          const files = createFaultyDisk({ faults: [{ operation: 'write', bytes: 'random' }], seed }, disk);
          const fd = files.open('/f', 'wx');
          const all = Buffer.concat(buffers);
          expect(writeFully(files, fd, buffers, position)).toBe(position + all.byteLength);
          const short: FileSystem = {
            ...nodeFileSystem,
            read: (of, target, at) => disk.read(of, target.subarray(0, 3), at),
          };
          const target = new Uint8Array(all.byteLength + 1);
          files.close(fd);
          expect(readFully(short, files.open('/f', 'r'), target, position)).toBe(all.byteLength);
          expect(Buffer.compare(target.subarray(0, all.byteLength), all)).toBe(0);
        },
      ),
    );
  });

  it('give up on a disk that takes nothing', () => {
    const files = createFaultyDisk({ faults: [{ operation: 'write', bytes: 0 }] }, new PowerLossDisk());
    const fd = files.open('/f', 'wx');
    expect(codeOf(() => writeFully(files, fd, [bytesOf('x')], 0))).toBe('EIO');
  });
});

type Step =
  | { do: 'open'; name: number; mode: 'r' | 'r+' | 'wx' }
  | { do: 'write'; position: number; bytes: Uint8Array }
  | { do: 'truncate'; bytes: number }
  | { do: 'close' }
  | { do: 'rename' | 'link'; name: number; to: number }
  | { do: 'unlink'; name: number };

const name = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('open' as const), name, mode: fc.constantFrom('r', 'r+', 'wx') }),
  fc.record({
    do: fc.constant('write' as const),
    position: fc.nat(40),
    bytes: fc.uint8Array({ maxLength: 20 }),
  }),
  fc.record({ do: fc.constant('truncate' as const), bytes: fc.nat(50) }),
  fc.constant({ do: 'close' as const }),
  fc.record({ do: fc.constantFrom('rename', 'link'), name, to: name }),
  fc.record({ do: fc.constant('unlink' as const), name }),
);

/** What a program sees that takes these steps, with one file open at a time. */
function observe(files: FileSystem, folder: string, steps: readonly Step[]): unknown[] {
  let open: number | undefined;
  const pathOf = (number: number) => join(folder, String(number));
  const seen: unknown[] = [];
  for (const step of steps) {
    seen.push(
      codeOf(() => {
        if (step.do === 'open' && open === undefined) open = files.open(pathOf(step.name), step.mode);
        else if (step.do === 'rename') files.rename(pathOf(step.name), pathOf(step.to));
        else if (step.do === 'link') files.link(pathOf(step.name), pathOf(step.to));
        else if (step.do === 'unlink') files.unlink(pathOf(step.name));
        else if (open === undefined) return;
        else if (step.do === 'write') seen.push(files.write(open, [step.bytes], step.position));
        else if (step.do === 'truncate') {
          // Node's code for a file that is open for reading only depends on the system.
          try {
            files.truncate(open, step.bytes);
          } catch {
            seen.push('refused');
          }
        } else if (step.do === 'close') {
          files.close(open);
          open = undefined;
        }
      }),
    );
    if (open !== undefined) seen.push(files.stat(open).bytes);
  }
  if (open !== undefined) files.close(open);
  for (const name of files.list(folder).sort()) {
    seen.push(name, [...files.readFile(join(folder, name), 1e9)]);
  }
  return seen;
}

it('the disk that may lose power behaves as the real one while it does not', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const disk = new PowerLossDisk();
      expect(observe(disk, emptyFolder(disk), steps)).toEqual(
        observe(nodeFileSystem, emptyFolder(nodeFileSystem), steps),
      );
    }),
    { numRuns: 300 },
  );
});
