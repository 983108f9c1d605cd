/**
 * Synchronous code in steps, so that several pieces of it can be interleaved on one thread, in any order.
 *
 * A task is run again from its beginning for every step. What its earlier operations returned is played back to it;
 * it performs one more, and at the one after that it is stopped by an exception. So a task must do the same each
 * time it is given the same results: whatever else it depends on has to go through `perform` too.
 */

import type { FileSystem } from '../../../src/storage/disk/file-system.js';

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** Performs an operation that others may come before and after. */
export type Perform = <T>(operation: () => T) => T;

export class InterleavedTask {
  #isDone = false;
  readonly #outcomes: Outcome[] = [];
  readonly #body: (perform: Perform) => void;

  constructor(body: (perform: Perform) => void) {
    this.#body = body;
  }

  /** Whether the task has come to its end. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Performs the next operation, and goes on up to the one after it. */
  step(): void {
    if (this.#isDone) return;
    const stop = new Error('stopped between two operations');
    let at = 0;
    let hasPerformed = false;
    let isStopped = false;
    const perform: Perform = <T>(operation: () => T) => {
      if (at === this.#outcomes.length && !isStopped) {
        if (hasPerformed) isStopped = true;
        else this.#outcomes.push(outcomeOf(operation));
        hasPerformed = true;
      }
      // Once stopped, whatever the task does to clear up is not done.
      if (isStopped) throw stop;
      const outcome = this.#outcomes[at++]!;
      if ('error' in outcome) throw outcome.error;
      return outcome.value as T;
    };
    try {
      this.#body(perform);
    } catch (error) {
      if (!isStopped) throw error;
    }
    this.#isDone = !isStopped;
  }
}

/** A disk each of whose operations is a step of a task. */
export function interleavedDisk(files: FileSystem, perform: Perform): FileSystem {
  return {
    open: (path, mode, permissions) => perform(() => files.open(path, mode, permissions)),
    close: (fd) => perform(() => files.close(fd)),
    write: (fd, buffers, position) => perform(() => files.write(fd, buffers, position)),
    read: (fd, target, position) => perform(() => files.read(fd, target, position)),
    stat: (file) => perform(() => files.stat(file)),
    truncate: (fd, bytes) => perform(() => files.truncate(fd, bytes)),
    sync: (fd) => perform(() => files.sync(fd)),
    syncFolder: (path) => perform(() => files.syncFolder(path)),
    readFile: (path, bytesMax) => perform(() => files.readFile(path, bytesMax)),
    rename: (from, to) => perform(() => files.rename(from, to)),
    link: (from, to) => perform(() => files.link(from, to)),
    unlink: (path) => perform(() => files.unlink(path)),
    list: (path) => perform(() => files.list(path)),
    makeFolder: (path, permissions) => perform(() => files.makeFolder(path, permissions)),
  };
}

function outcomeOf(operation: () => unknown): Outcome {
  try {
    return { value: operation() };
  } catch (error) {
    return { error };
  }
}
