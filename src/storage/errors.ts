/** What the system says when a file operation fails, as an error that callers can act on. */

import { StorageError, TelemetryError } from '../errors.js';

/** No room: on the disk, in the user's quota, or in what one file may hold. */
const FULL: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/**
 * A failed file operation as a StorageError: ERR_STORAGE_FULL where room is missing, ERR_STORAGE_IO otherwise. An
 * error that is ours already is returned as it is.
 *
 * @param what what was being done, to follow "cannot": 'write a segment'
 */
export function storageError(
  cause: unknown,
  what: string,
  context: { path: string } & Record<string, unknown>,
): TelemetryError {
  if (cause instanceof TelemetryError) return cause;
  const systemCode = systemCodeOf(cause);
  const reason = systemCode ?? (cause instanceof Error ? cause.message : String(cause));
  return new StorageError(
    isFull(cause) ? 'ERR_STORAGE_FULL' : 'ERR_STORAGE_IO',
    `cannot ${what} at ${context.path}: ${reason}`,
    systemCode === undefined ? context : { ...context, systemCode },
    { cause },
  );
}

/** Whether an operation failed for lack of room. */
export function isFull(error: unknown): boolean {
  return FULL.includes(systemCodeOf(error) ?? '');
}

/** Whether an error says that bytes on the disk are not what was written. */
export function isCorrupt(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'ERR_SEGMENT_CORRUPT';
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

/** What `operation` returns, or undefined where there is no such file. */
export function ifThere<T>(operation: () => T): T | undefined {
  try {
    return operation();
  } catch (error) {
    // ENOTDIR: what should be a folder above it is a file.
    if (['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Clears up after an error, which a second one must not hide. */
export function clearUp(...operations: readonly (() => void)[]): void {
  for (const operation of operations) {
    try {
      operation();
    } catch {
      // The first error is the one to report.
    }
  }
}
