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
    mkdirSync(path, { mode: permissions });
    // Exactly these, whatever the process takes away from what it creates (umask).
    if (permissions !== PRIVATE_FOLDER) chmodSync(path, permissions);
  } catch (error) {
    const code = systemCodeOf(error);
    const parent = dirname(path);
    if (code === 'ENOENT' && parent !== path) {
      makeFolder(parent, permissions);
      makeFolder(path, permissions);
    } else if (code !== 'EEXIST') {
      throw error;
    } else if (!statSync(path).isDirectory()) {
      throw Object.assign(new Error(`ENOTDIR: ${path} is no folder`), { code: 'ENOTDIR' });
    }
  }
}
