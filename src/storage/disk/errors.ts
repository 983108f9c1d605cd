/** Errors of what is on the disk, and what to do where an operation fails as expected. */

import { StorageError } from '../../errors.js';
import { systemCodeOf } from '../../system-errors.js';

/** Bytes on the disk that are not what was written, from the beginning of a file on. */
export function corruptFile(path: string, reason: string): StorageError {
  return new StorageError('ERR_SEGMENT_CORRUPT', `${path} cannot be read: ${reason}`, {
    path,
    offset: 0,
    reason,
  });
}

/** Whether an error says that bytes on the disk are not what was written. */
export function isCorrupt(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'ERR_SEGMENT_CORRUPT';
}

/** Why a file cannot be used, without which file. */
export function reasonOf({ context: { reason }, message }: StorageError): string {
  return String(reason ?? message);
}

/** What `operation` returns, or undefined where there is no such file. */
export function ifThere<T>(operation: () => T): T | undefined {
  try {
    return operation();
  } catch (error) {
    // ENOTDIR: what should be a folder above it is a file. ELOOP: links that lead to each other, and nowhere.
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCodeOf(error) ?? '')) return undefined;
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
