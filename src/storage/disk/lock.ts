/**
 * One writer per experiment, across threads and processes, on any file system.
 *
 * Whoever wants to write first puts a file of its own into the folder, `writer-<pid>-<hex>.lock`, and only then looks
 * at those of others. If one of them lives it takes its own away again; those whose process has ended it removes. Of
 * two who hold the lock the later one to put its file there would have seen the other's, so there are never two.
 * Two who try at the same moment may refuse each other; they try again after a random time. No name is ever used
 * twice, so removing the file of a dead process can never hit that of a living one.
 *
 * A holder on another host, or in another container, cannot be seen. It counts as alive as long as it writes to its
 * lock file once a minute: see `Lock.refresh`. A file that was written by a clock that was ahead counts as alive until
 * that time has come; `stealLocks` ends that, as it does where the system gives a dead holder's number to another.
 *
 * Whoever writes looks at its lock at least as often as it must show that it lives, and stops when it is not its own
 * any more: a process that was suspended for an hour does not write on behind the back of who came after it.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../clock.js';
import { StateError } from '../../errors.js';
import { isRunning, type ProcessIdentity, thisProcess } from '../../process-identity.js';
import { guarded } from '../../system-errors.js';
import { permissionsIn } from './document.js';
import { clearUp, ifThere, isCorrupt } from './errors.js';
import { type FileSystem, writeFully } from './file-system.js';
import { lockName, parseLockName, parseTemporaryName, randomToken, temporaryName } from './paths.js';

/** How often `Lock.refresh` must be called at least. */
export const LOCK_REFRESH_MS = 10_000;
/** A holder that cannot be seen is taken for dead after so long a silence. */
const SILENCE_MAX_MS = 60_000;
/** How long a lock is watched before it is taken away: a holder that lives writes to it twice. */
export const WATCH_MS = 25_000;
const WATCH_STEP_MS = 500;
/** No lock file is longer. */
const LOCK_BYTES_MAX = 4096;
const ATTEMPTS = 5;
const PAUSE_MAX_MS = 8;

export interface LockHolder extends ProcessIdentity {
  /** Microseconds since the Unix epoch. */
  readonly sinceUs: number;
}

/** A lock as another thread of its process is told of it. */
export interface LockPlace {
  readonly folder: string;
  readonly name: string;
  readonly holder: LockHolder;
}

export interface Lock {
  readonly holder: LockHolder;
  readonly place: LockPlace;
  /**
   * Shows those who cannot see this process that it is alive; to be called every LOCK_REFRESH_MS. A lock that somebody
   * has deleted is put back, unless somebody else has one by now.
   *
   * @throws StateError ERR_LOCKED when this process was silent for a minute and somebody else writes now, or once it
   *   was released; StorageError when the disk fails
   */
  refresh(): void;
  /** Lets others write. Idempotent. @throws StorageError when the disk fails */
  release(): void;
}

/** What the lock needs to know of the system, so that tests can stand in for it. */
export interface LockSystem {
  self(): ProcessIdentity;
  /** Undefined when it cannot be known. */
  isRunning(other: ProcessIdentity): boolean | undefined;
  /** 16 hex digits, never the same twice. */
  token(): string;
  pause(ms: number): void;
  sleep(ms: number): Promise<unknown>;
}

const thisSystem: LockSystem = {
  self: thisProcess,
  isRunning,
  token: randomToken,
  pause(ms) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },
  sleep: (ms) => sleep(ms),
};

/**
 * Becomes the one who writes in `folder`, which must exist. Waits less than a tenth of a second.
 *
 * @param permissions - of the lock's file; default: those of the experiment's document
 * @throws StateError ERR_LOCKED with `pid`, `host` and `since` of the one who writes now, this process included;
 *   StorageError when the disk fails
 */
export function acquireLock(
  files: FileSystem,
  folder: string,
  system = thisSystem,
  permissions?: number,
): Lock {
  return guarded('lock an experiment at', folder, () => {
    const mode = permissions ?? permissionsIn(files, folder);
    for (let attempt = 1; ; attempt++) {
      const holder: LockHolder = { ...system.self(), sinceUs: systemClock.nowUs() };
      const name = lockName(holder.pid, system.token());
      const own = new LockFile(files, { folder, name, holder }, system);
      own.create(mode);
      let other: LockHolder | undefined;
      try {
        other = livingOther(files, folder, own, system);
      } catch (error) {
        clearUp(() => own.release());
        throw error;
      }
      if (other === undefined) return own;
      own.release();
      if (attempt === ATTEMPTS) throw lockedBy(other, folder);
      system.pause(attempt * Math.random() * PAUSE_MAX_MS);
    }
  });
}

/** The lock of this process, in another of its threads: only one of them may release it. */
export function heldLock(files: FileSystem, place: LockPlace, system = thisSystem): Lock {
  return new LockFile(files, place, system);
}

/**
 * Takes the locks in `folder` away from holders that give no sign of life for WATCH_MS: from those that cannot be seen,
 * and from processes that only have the number of one, for all that can be told.
 *
 * @throws StateError ERR_LOCKED when a holder lives; StorageError when the disk fails
 */
export async function stealLocks(files: FileSystem, folder: string, system = thisSystem): Promise<void> {
  const watched = guarded('look for a lock in', folder, () => locksIn(files, folder, system));
  for (const { holder } of watched) {
    if (holder.processStart !== null && system.isRunning(holder) === true) throw lockedBy(holder, folder);
  }
  const untilMs = performance.now() + WATCH_MS;
  while (watched.length > 0 && performance.now() < untilMs) {
    await system.sleep(WATCH_STEP_MS);
    guarded('watch a lock in', folder, () => {
      for (const { path, holder, modifiedMs } of watched) {
        const now = ifThere(() => files.stat(path))?.modifiedMs ?? modifiedMs;
        if (now !== modifiedMs) throw lockedBy(holder, folder);
      }
    });
  }
  for (const { path } of watched) guarded('remove a lock at', path, () => ifThere(() => files.unlink(path)));
}

/** Locks whose holders live, as far as can be told. */
function locksIn(
  files: FileSystem,
  folder: string,
  system: LockSystem,
): { path: string; holder: LockHolder; modifiedMs: number }[] {
  const names = ifThere(() => files.list(folder)) ?? [];
  return names.flatMap((name) => {
    const path = join(folder, name);
    if (parseLockName(name) === undefined || !isFile(files, path)) return [];
    const holder = livingHolder(files, path, name, Date.now(), system);
    const modifiedMs = ifThere(() => files.stat(path))?.modifiedMs;
    return holder === undefined || modifiedMs === undefined ? [] : [{ path, holder, modifiedMs }];
  });
}

/** Who writes in `folder`; undefined when nobody does. Changes nothing. @throws StorageError when the disk fails */
export function holderOf(files: FileSystem, folder: string, system = thisSystem): LockHolder | undefined {
  return guarded('look for a lock in', folder, () => locksIn(files, folder, system)[0]?.holder);
}

class LockFile implements Lock {
  readonly place: LockPlace;
  readonly path: string;
  readonly #files: FileSystem;
  readonly #system: LockSystem;
  #released = false;

  constructor(files: FileSystem, place: LockPlace, system: LockSystem) {
    this.#files = files;
    this.#system = system;
    this.place = place;
    this.path = join(place.folder, place.name);
  }

  get holder(): LockHolder {
    return this.place.holder;
  }

  /** Creates the file, content and all. */
  /** @param check - is told the file's temporary name before the file has its own; what it throws ends it */
  create(permissions: number, check = (_temporary: string) => {}): void {
    const files = this.#files;
    const { folder, name } = this.place;
    const temporaryFile = temporaryName(name, this.#system.token());
    const temporary = join(folder, temporaryFile);
    try {
      const fd = files.open(temporary, 'wx', permissions);
      this.#writeAndClose(fd);
      check(temporaryFile);
    } catch (error) {
      clearUp(() => files.unlink(temporary));
      throw error;
    }
    try {
      files.rename(temporary, this.path);
    } catch (error) {
      clearUp(
        () => files.unlink(temporary),
        () => files.unlink(this.path),
      );
      throw error;
    }
  }

  refresh(): void {
    guarded('refresh a lock at', this.path, () => {
      if (this.#released) throw lost(this.path);
      const fd = ifThere(() => this.#files.open(this.path, 'r+'));
      // The same bytes again: whoever keeps the file notes the time by its own clock, which others compare with.
      if (fd === undefined) this.#putBack();
      else this.#writeAndClose(fd);
    });
  }

  #putBack(): void {
    const { folder, name } = this.place;
    // Before the file is there as well: another thread of this process must not find one that is about to go again.
    this.create(permissionsIn(this.#files, folder), (temporary) => this.#yieldToOther(temporary));
    try {
      this.#yieldToOther(name);
    } catch (error) {
      clearUp(() => this.#files.unlink(this.path));
      throw error;
    }
  }

  /** @param as - the name of the file that stands for this lock. @throws StateError ERR_LOCKED when somebody else writes */
  #yieldToOther(as: string): void {
    const { folder } = this.place;
    const other = livingOther(this.#files, folder, this, this.#system, as);
    if (other !== undefined) throw lockedBy(other, folder);
  }

  release(): void {
    if (this.#released) return;
    guarded('release a lock at', this.path, () => ifThere(() => this.#files.unlink(this.path)));
    this.#released = true;
  }

  #writeAndClose(fd: number): void {
    try {
      writeFully(this.#files, fd, [Buffer.from(`${JSON.stringify(this.holder)}\n`)], 0);
    } catch (error) {
      clearUp(() => this.#files.close(fd));
      throw error;
    }
    this.#files.close(fd);
  }
}

/** The first other holder that lives. What dead ones left is removed. */
function livingOther(
  files: FileSystem,
  folder: string,
  own: LockFile,
  system: LockSystem,
  as: string = own.place.name,
): LockHolder | undefined {
  // By the clock that the others' times are from.
  const nowMs = files.stat(join(folder, as)).modifiedMs;
  const names = files.list(folder);
  // A list without our own is out of date, or we were silent for a minute: either way it does not say that we may.
  if (!names.includes(as)) throw lost(own.path);
  for (const found of names) {
    const name = parseTemporaryName(found) ?? found;
    if (name === own.place.name || parseLockName(name) === undefined) continue;
    const path = join(folder, found);
    if (!isFile(files, path)) continue;
    const holder = livingHolder(files, path, name, nowMs, system);
    if (holder === undefined) ifThere(() => files.unlink(path));
    // A temporary one has not looked at ours yet, and will.
    else if (found === name) return holder;
  }
  return undefined;
}

/** Whatever else has such a name is no lock. */
function isFile(files: FileSystem, path: string): boolean {
  return ifThere(() => files.stat(path))?.isFile === true;
}

/** Who holds a lock; undefined when that process has ended or its lock is gone. */
function livingHolder(
  files: FileSystem,
  path: string,
  name: string,
  nowMs: number,
  system: LockSystem,
): LockHolder | undefined {
  const bytes = ifThere(() => contentOf(files, path));
  if (bytes === undefined) return undefined;
  const holder = parseHolder(bytes);
  const running = holder === undefined ? undefined : system.isRunning(holder);
  if (running !== undefined) return running ? holder : undefined;
  const modifiedMs = ifThere(() => files.stat(path))?.modifiedMs;
  if (modifiedMs === undefined || nowMs - modifiedMs > SILENCE_MAX_MS) return undefined;
  return holder ?? unknownHolder(name, modifiedMs);
}

/** All that is known of a holder whose lock cannot be read. */
function unknownHolder(name: string, modifiedMs: number): LockHolder {
  return {
    pid: parseLockName(name) as number,
    processStart: null,
    bootId: null,
    pidNamespace: null,
    host: null,
    sinceUs: Math.floor(modifiedMs * 1000),
  };
}

/** Nothing where it is too long to be of use: somebody holds it all the same. */
function contentOf(files: FileSystem, path: string): Uint8Array {
  try {
    return files.readFile(path, LOCK_BYTES_MAX);
  } catch (error) {
    if (isCorrupt(error)) return new Uint8Array(0);
    throw error;
  }
}

function parseHolder(bytes: Uint8Array): LockHolder | undefined {
  try {
    const holder: LockHolder = JSON.parse(new TextDecoder().decode(bytes));
    const { pid, processStart, bootId, pidNamespace, host, sinceUs } = holder;
    const isWhole =
      Number.isSafeInteger(pid) &&
      pid > 0 &&
      [processStart, bootId, pidNamespace, host].every(
        (value) => value === null || typeof value === 'string',
      ) &&
      Number.isFinite(sinceUs);
    return isWhole ? holder : undefined;
  } catch {
    return undefined;
  }
}

function lost(path: string): StateError {
  return new StateError('ERR_LOCKED', `the lock ${path} is not held any more`, { path });
}

function lockedBy({ pid, host, sinceUs }: LockHolder, folder: string): StateError {
  return new StateError(
    'ERR_LOCKED',
    `${folder} is being written by process ${pid} on ${host ?? 'an unknown host'}`,
    { path: folder, pid, host, since: sinceUs },
  );
}
