/** What the system says when a file operation fails, as an error that callers can act on. */
import { resolve } from 'node:path';
import { ConfigError, StorageError, TelemetryError } from './errors.js';

/** No room: on the disk, in the user's quota, or in what one file may hold. */
const FULL: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** What a code of the system means, and what helps. */
const REASONS: Readonly<Record<string, readonly [reason: string, help: string]>> = {
  EACCES: ['permission denied', "give this process's user the right to read and write there"],
  EPERM: ['permission denied', "give this process's user the right to read and write there"],
  EROFS: ['the file system is read-only', 'write elsewhere, or mount it for writing'],
  ENOENT: ['there is no such file or folder', 'look at how the path is written'],
  ENOTDIR: ['a part of the path is no folder', 'look at how the path is written'],
  EISDIR: ['it is a folder', 'name a file'],
  EEXIST: ['something of that name is there already', 'move it away, or take another name'],
  ELOOP: ['symbolic links lead in a circle', 'name the folder itself'],
  ENAMETOOLONG: ['a name in the path, or the whole path, is too long', 'take shorter names'],
  EMFILE: ['this process has too many files open', 'raise its limit (ulimit -n)'],
  ENFILE: ['the system has too many files open', 'raise its limit (fs.file-max)'],
  ENOSPC: ['the disk is full', 'make room on it'],
  EDQUOT: ["the user's quota on the disk is used up", 'make room in it'],
  EFBIG: ['the file would be larger than allowed', 'raise the limit (ulimit -f)'],
  EIO: ['the disk failed', "look at the system's log"],
  ESTALE: ['the file server does not know the file any more', 'mount it again'],
  EBUSY: ['somebody else uses it', 'try again later'],
};

/**
 * A failed file operation as a StorageError: ERR_STORAGE_FULL where room is missing, ERR_STORAGE_IO otherwise, with
 * the reason and what helps. An error that is ours already is returned as it is.
 *
 * @param what what was being done, to stand between "cannot" and the path: 'write a segment at'
 */
export function storageError(
  cause: unknown,
  what: string,
  context: { path: string } & Record<string, unknown>,
): TelemetryError {
  if (cause instanceof TelemetryError) return cause;
  const systemCode = systemCodeOf(cause);
  return new StorageError(
    isFull(cause) ? 'ERR_STORAGE_FULL' : 'ERR_STORAGE_IO',
    `cannot ${what} ${context.path}: ${reasonOf(cause)}`,
    systemCode === undefined ? context : { ...context, systemCode },
    { cause },
  );
}

function reasonOf(cause: unknown): string {
  const systemCode = systemCodeOf(cause);
  if (systemCode === undefined) return cause instanceof Error ? cause.message : String(cause);
  if (!Object.hasOwn(REASONS, systemCode)) return systemCode;
  const [reason, help] = REASONS[systemCode];
  return `${reason} (${systemCode}); ${help}`;
}

/** Whether an operation failed for lack of room. */
export function isFull(error: unknown): boolean {
  return FULL.includes(systemCodeOf(error) ?? '');
}

/** The system's code of an error (ENOENT, EIO, …), if it has one. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** What the system throws as a `storageError`; other errors, which are ours or mistakes of this code, as they are. */
export function ofSystem(error: unknown, what: string, path: string): unknown {
  const isOfSystem = systemCodeOf(error)?.startsWith('ERR_') === false;
  return isOfSystem ? storageError(error, what, { path }) : error;
}

/** Runs `operation` and throws what it throws `ofSystem`. */
export function guarded<T>(what: string, path: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    throw ofSystem(error, what, path);
  }
}

/** @throws ConfigError for what is no path */
export function requirePath(option: string, path: unknown): asserts path is string {
  if (typeof path !== 'string' || path === '') throw new ConfigError(option, 'a path', path);
  if (path.includes('\0')) throw new ConfigError(option, 'a path, which has no NUL character', path);
}

/**
 * A path that stays the same whatever becomes of the process's working folder.
 * @param option - that it was given as
 * @throws ConfigError for what is no path; StorageError when it is relative to a working folder that is gone
 */
export function absolutePath(option: string, path: unknown): string {
  requirePath(option, path);
  return guarded('find the working folder that leads to', path, () => resolve(path));
}
