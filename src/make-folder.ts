/** Creating folders with the permissions that are wanted, and the error that stands in the way. */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCodeOf } from './system-errors.js';

/** What is created belongs to its owner alone, unless something else is asked for. */
export const PRIVATE_FILE = 0o600;
export const PRIVATE_FOLDER = 0o700;

/** Who may use what is created, by mode bits; absent: its owner alone. */
export interface Modes {
  readonly folderMode?: number | undefined;
  readonly fileMode?: number | undefined;
}

/**
 * Creates a folder and those above it that are missing; one that exists is left as it is. Node's own way to do so says
 * ENOENT where the disk is read-only.
 * @throws what the system says
 */
export function makeFolder(path: string, permissions = PRIVATE_FOLDER): void {
  try {
    makeOne(path, permissions);
  } catch (error) {
    const parent = dirname(path);
    if (systemCodeOf(error) !== 'ENOENT' || parent === path) throw error;
    makeFolder(parent, permissions);
    // Once: below /proc ENOENT is said of folders whose parents are there.
    makeOne(path, permissions);
  }
}

/** @throws ENOENT where there is no folder that it could be in */
function makeOne(path: string, permissions: number): void {
  try {
    mkdirSync(path, { mode: permissions });
    // Exactly these, whatever the process takes away from what it creates (umask).
    if (permissions !== PRIVATE_FOLDER) chmodSync(path, permissions);
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    if (!statSync(path).isDirectory()) {
      throw Object.assign(new Error(`ENOTDIR: ${path} is no folder`), { code: 'ENOTDIR' });
    }
  }
}
