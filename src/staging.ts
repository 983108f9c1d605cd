/**
 * Files that get their name once they are whole, and until then have one that tells who writes them:
 * `.crucible-<process>-<its start>-<where it runs>-<random>.tmp`. So whoever writes in the same folder later can remove
 * those of processes that have ended, and never one of a process that lives.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRunning, type ProcessIdentity, thisProcess } from './process-identity.js';

/** A process that cannot be seen from here may be at it as long as it has written within so long, ms. */
const SILENCE_MAX_MS = 24 * 3600 * 1000;
const NAME = /^\.crucible-([1-9]\d{0,9})-(\d+)-([0-9a-f]{12})-[0-9a-f]{16}(?:-manifest)?\.tmp$/;

/** What the temporary names of one export are made of; no other export has it. */
export function newStaging(): string {
  const self = thisProcess();
  return `${self.pid}-${self.processStart ?? 0}-${placeOf(self)}-${randomBytes(8).toString('hex')}`;
}

/** What the manifest's temporary name is made of. */
export function manifestStaging(staging: string): string {
  return `${staging}-manifest`;
}

/** Where a file is before it gets its name. */
export function stagedPath(path: string, staging: string): string {
  return join(dirname(path), `.crucible-${staging}.tmp`);
}

/**
 * Removes temporary files in a folder that processes have left which were killed. One that runs where it cannot be seen,
 * in another container or on another machine, has left what nobody has written to for a day. Never fails.
 */
export async function removeAbandoned(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const staged = names.filter((name) => NAME.test(name));
  for (const name of staged) {
    const path = join(folder, name);
    if (await isAbandoned(path, name).catch(() => false)) await rm(path, { force: true }).catch(() => {});
  }
}

async function isAbandoned(path: string, name: string): Promise<boolean> {
  const [, pid, start, place] = NAME.exec(name) as RegExpExecArray;
  const self = thisProcess();
  if (place === placeOf(self)) {
    const owner = { ...self, pid: Number(pid), processStart: start === '0' ? null : start! };
    return isRunning(owner, self) === false;
  }
  const { mtimeMs } = await stat(path);
  return Date.now() - mtimeMs > SILENCE_MAX_MS;
}

/** Processes of one place see each other, and no two of them have the same number and start. */
function placeOf({ bootId, pidNamespace, host }: ProcessIdentity): string {
  const place = bootId === null ? host : `${bootId} ${pidNamespace}`;
  return createHash('sha256').update(String(place)).digest('hex').slice(0, 12);
}
