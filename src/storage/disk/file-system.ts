/**
 * The file operations that storage is built on: few, synchronous, and replaceable.
 *
 * Storage runs on a thread of its own, where waiting is what it is for. Everything goes through this interface, so
 * that tests can make every operation fail, fall short or be forgotten by a power cut.
 *
 * Only regular files are opened, and opening one never waits: whatever else has the name of one of our files, a pipe,
 * a device, a folder, is an error like any other damage.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { makeFolder, PRIVATE_FILE, PRIVATE_FOLDER } from '../../make-folder.js';
import { systemCodeOf } from '../../system-errors.js';
import { clearUp, corruptFile, ifThere } from './errors.js';

/** 'r' to read; 'r+' to read and write an existing file; 'wx' to create one that must not exist yet, and do both. */
export type OpenMode = 'r' | 'r+' | 'wx';

export interface FileStat {
  readonly isFile: boolean;
  readonly bytes: number;
  /** Names it has; 0 for an open file that somebody deleted. */
  readonly links: number;
  /** The same for two names of one file, and never for two files. */
  readonly id: string;
  /** When it was last written, in milliseconds since the Unix epoch by the clock of whoever keeps the file. */
  readonly modifiedMs: number;
  /** Who may read, write and execute it: the lowest nine bits of its mode. */
  readonly permissions: number;
}

/** Another text once a file is another, or has been written to. */
export function versionOf({ id, modifiedMs, bytes }: FileStat): string {
  return `${id} ${modifiedMs} ${bytes}`;
}

/**
 * Every operation throws what Node throws: an Error with `code` (ENOSPC, EIO, ENOENT, …); `open` and `readFile` also a
 * StorageError ERR_SEGMENT_CORRUPT for what is no regular file.
 */
export interface FileSystem {
  /** @param permissions - of a file that is created; default: its owner's only. @returns a file descriptor */
  open(path: string, mode: OpenMode, permissions?: number): number;
  close(fd: number): void;
  /** Writes at `position`. @returns bytes written, which may be fewer than there are */
  write(fd: number, buffers: readonly Uint8Array[], position: number): number;
  /** Fills `target` from `position`. @returns bytes read; fewer at the end of the file, and it may be fewer before */
  read(fd: number, target: Uint8Array, position: number): number;
  /** @param file - a path, or the descriptor of an open file */
  stat(file: string | number): FileStat;
  truncate(fd: number, bytes: number): void;
  /** Returns when the file's data and size are on the disk. */
  sync(fd: number): void;
  /** Returns when the names in a folder are on the disk. */
  syncFolder(path: string): void;
  /** @throws StorageError ERR_SEGMENT_CORRUPT for a file of more than `bytesMax` bytes */
  readFile(path: string, bytesMax: number): Uint8Array;
  rename(from: string, to: string): void;
  /** A second name for a file. @throws EEXIST when the name is taken: the atomic "create with content" */
  link(from: string, to: string): void;
  unlink(path: string): void;
  /** Names in a folder, unsorted. */
  list(path: string): string[];
  /** Creates a folder and those above it; one that exists is left as it is. @param permissions - default: its owner's only */
  makeFolder(path: string, permissions?: number): void;
}

/** Not on Windows; elsewhere opening a pipe would wait for its other end. */
const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NONBLOCK = 0 } = constants;

export const nodeFileSystem: FileSystem = {
  open(path, mode, permissions = PRIVATE_FILE) {
    if (mode !== 'wx') return openRegular(path, mode === 'r' ? O_RDONLY : O_RDWR);
    const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL, permissions);
    if (permissions !== PRIVATE_FILE) setPermissions(fd, permissions);
    return fd;
  },
  close: closeSync,
  write: (fd, buffers, position) => writevSync(fd, buffers as Uint8Array[], position),
  read: (fd, target, position) => readSync(fd, target, 0, target.byteLength, position),
  stat: (file) => fileStat(typeof file === 'number' ? fstatSync(file) : statSync(file)),
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
  readFile(path, bytesMax) {
    const fd = openRegular(path, O_RDONLY);
    try {
      const { size } = fstatSync(fd);
      if (size > bytesMax) throw corruptFile(path, `it has ${size} bytes, which is more than any can have`);
      const bytes = Buffer.allocUnsafe(size);
      return bytes.subarray(0, readFully(nodeFileSystem, fd, bytes, 0));
    } finally {
      closeSync(fd);
    }
  },
  rename: renameSync,
  link: linkSync,
  unlink: unlinkSync,
  list: (path) => readdirSync(path),
  makeFolder,
};

function openRegular(path: string, flags: number): number {
  // Before it is opened, since that alone may set a device to work; and after, since it may be another one by then.
  requireRegular(path, statOf(path));
  const fd = openSync(path, flags | O_NONBLOCK);
  try {
    requireRegular(path, fstatSync(fd));
  } catch (error) {
    clearUp(() => closeSync(fd));
    throw error;
  }
  return fd;
}

function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    if (systemCodeOf(error) === 'ELOOP') throw corruptFile(path, 'it is a link that leads nowhere');
    throw error;
  }
}

function requireRegular(path: string, stats: Stats): void {
  if (!stats.isFile()) throw corruptFile(path, `it is ${kindOf(stats)} and no file`);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

function fileStat(stats: Stats): FileStat {
  const { size, nlink, dev, ino, mtimeMs, mode } = stats;
  return {
    isFile: stats.isFile(),
    bytes: size,
    links: nlink,
    id: `${dev}:${ino}`,
    modifiedMs: mtimeMs,
    permissions: mode & 0o777,
  };
}

/** Exactly these, whatever the process takes away from what it creates (umask). */
function setPermissions(fd: number, permissions: number): void {
  if ((fstatSync(fd).mode & 0o777) !== permissions) fchmodSync(fd, permissions);
}

/**
 * Creates a folder and those above it so that a power cut does not take them away again.
 * @param permissions - of those that are created
 */
export function ensureFolder(files: FileSystem, path: string, permissions = PRIVATE_FOLDER): void {
  if (ifThere(() => files.list(path)) !== undefined) return;
  const parent = dirname(resolve(path));
  if (parent !== path) ensureFolder(files, parent, permissions);
  files.makeFolder(path, permissions);
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
