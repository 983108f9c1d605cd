/**
 * The file operations that storage is built on: few, synchronous, and replaceable.
 *
 * Storage runs on a thread of its own, where waiting is what it is for. Everything goes through this interface, so
 * that tests can make every operation fail, fall short or be forgotten by a power cut.
 */
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ifThere } from './errors.js';

/** 'r' to read; 'r+' to read and write an existing file; 'wx' to create one that must not exist yet, and write it. */
export type OpenMode = 'r' | 'r+' | 'wx';

/** Every operation throws what Node throws: an Error with `code` (ENOSPC, EIO, ENOENT, …). */
export interface FileSystem {
  /** @returns a file descriptor */
  open(path: string, mode: OpenMode): number;
  close(fd: number): void;
  /** Writes at `position`. @returns bytes written, which may be fewer than there are */
  write(fd: number, buffers: readonly Uint8Array[], position: number): number;
  /** Fills `target` from `position`. @returns bytes read; fewer at the end of the file, and it may be fewer before */
  read(fd: number, target: Uint8Array, position: number): number;
  sizeBytes(fd: number): number;
  truncate(fd: number, bytes: number): void;
  /** Returns when the file's data and size are on the disk. */
  sync(fd: number): void;
  /** Returns when the names in a folder are on the disk. */
  syncFolder(path: string): void;
  readFile(path: string): Uint8Array;
  rename(from: string, to: string): void;
  /** A second name for a file. @throws EEXIST when the name is taken: the atomic "create with content" */
  link(from: string, to: string): void;
  unlink(path: string): void;
  /** Names in a folder, unsorted. */
  list(path: string): string[];
  /** Creates a folder and those above it; one that exists is left as it is. */
  makeFolder(path: string): void;
  /** When a file was last written, in milliseconds since the Unix epoch by the clock of whoever keeps the file. */
  modifiedMs(path: string): number;
}

export const nodeFileSystem: FileSystem = {
  open: (path, mode) => openSync(path, mode),
  close: closeSync,
  write: (fd, buffers, position) => writevSync(fd, buffers as Uint8Array[], position),
  read: (fd, target, position) => readSync(fd, target, 0, target.byteLength, position),
  sizeBytes: (fd) => fstatSync(fd).size,
  truncate: ftruncateSync,
  sync: fdatasyncSync,
  syncFolder(path) {
    // Windows cannot open a folder; there, names are written through.
    if (process.platform === 'win32') return;
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
  readFile: (path) => readFileSync(path),
  rename: renameSync,
  link: linkSync,
  unlink: unlinkSync,
  list: (path) => readdirSync(path),
  makeFolder(path) {
    mkdirSync(path, { recursive: true });
  },
  modifiedMs: (path) => statSync(path).mtimeMs,
};

/** Creates a folder and those above it so that a power cut does not take them away again. */
export function ensureFolder(files: FileSystem, path: string): void {
  if (ifThere(() => files.list(path)) !== undefined) return;
  const parent = dirname(resolve(path));
  if (parent !== path) ensureFolder(files, parent);
  files.makeFolder(path);
  files.syncFolder(parent);
}

/** Writes all of `buffers` from `position` on, however many calls it takes. @returns the position after them */
export function writeFully(
  files: FileSystem,
  fd: number,
  buffers: readonly Uint8Array[],
  position: number,
): number {
  let rest = buffers.filter((buffer) => buffer.byteLength > 0);
  while (rest.length > 0) {
    let written = files.write(fd, rest, position);
    if (written <= 0) throw Object.assign(new Error('EIO: a write took nothing'), { code: 'EIO' });
    position += written;
    while (rest.length > 0 && written >= rest[0].byteLength) {
      written -= rest[0].byteLength;
      rest = rest.slice(1);
    }
    if (written > 0) rest = [rest[0].subarray(written), ...rest.slice(1)];
  }
  return position;
}

/** Fills `target` from `position` unless the file ends before. @returns bytes read */
export function readFully(files: FileSystem, fd: number, target: Uint8Array, position: number): number {
  let filled = 0;
  while (filled < target.byteLength) {
    const read = files.read(fd, target.subarray(filled), position + filled);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}
