/** A real disk that really is full: a tmpfs of a given size, where this process may mount one. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What came of it: the result, or why there is none, for `context.skip`. */
export type SmallTmpfsResult<T> = { readonly result: T } | { readonly skipped: string };

/**
 * Runs `fn` with the folder of a fresh tmpfs that holds `bytes` (whole pages of 4,096), and takes it away again.
 * Every name in it needs some room of its own.
 */
export async function withSmallTmpfs<T>(
  bytes: number,
  fn: (folder: string) => T | Promise<T>,
): Promise<SmallTmpfsResult<T>> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return { skipped: 'needs root on Linux, to mount a small tmpfs' };
  }
  const folder = mkdtempSync(join(tmpdir(), 'crucible-tmpfs-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder], { stdio: 'pipe' });
  } catch {
    rmdirSync(folder);
    return { skipped: 'needs the right to mount a small tmpfs' };
  }
  try {
    return { result: await fn(folder) };
  } finally {
    // Lazily, so that a file that a failing test left open does not keep it mounted.
    execFileSync('umount', ['-l', folder]);
    rmdirSync(folder);
  }
}
