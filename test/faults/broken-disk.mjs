// @ts-check
/**
 * A disk that, told to, brings down the thread that uses it: throws what no disk throws, ends the thread, hangs, or
 * takes all memory; or a disk that is slow, or full.
 */
import { nodeFileSystem } from '../../dist/src/storage/disk/file-system.js';

/** Words of the control. */
const CALLS_LEFT = 0;
const FAULTS = 1;
const RELEASED = 2;

const COMPILED_MS = 20;

/** @typedef {'throw' | 'exit' | 'hang' | 'allocate'} Fault */
/** @typedef {{ control: Int32Array, fault?: Fault, writeMsPerMiB?: number, isFull?: boolean }} BrokenSpec */

/** The test's end. */
export class BrokenControl {
  /** For the specification. */
  words = new Int32Array(new SharedArrayBuffer(12));

  /** Has the n-th operation from now on fail, and none after it. @param {number} n */
  arm(n) {
    Atomics.store(this.words, CALLS_LEFT, n);
  }

  /** Faults so far. */
  get faults() {
    return Atomics.load(this.words, FAULTS);
  }

  /** Lets all that hang go on. */
  release() {
    Atomics.add(this.words, RELEASED, 1);
    Atomics.notify(this.words, RELEASED);
  }
}

/** @param {BrokenSpec} spec @returns {import('../../src/storage/disk/file-system.js').FileSystem} */
export default function createFileSystem({ control, fault, writeMsPerMiB = 0, isFull = false }) {
  const nobody = new Int32Array(new SharedArrayBuffer(4));

  function check() {
    if (Atomics.load(control, CALLS_LEFT) <= 0) return;
    if (Atomics.sub(control, CALLS_LEFT, 1) !== 1) return;
    Atomics.add(control, FAULTS, 1);
    // Node 20 aborts, once in a thousand times, when a thread ends for which V8 compiles: that shall be over.
    if (fault === 'throw' || fault === 'exit') Atomics.wait(nobody, 0, 0, COMPILED_MS);
    if (fault === 'throw') throw new TypeError('what no disk throws');
    if (fault === 'exit') process.exit(13);
    if (fault === 'hang') Atomics.wait(control, RELEASED, Atomics.load(control, RELEASED));
    // With rests, in which a thread is ended: without, V8 of Node 24 may end the process, and that of 26 nothing.
    if (fault === 'allocate')
      for (const hoard = []; ; Atomics.wait(nobody, 0, 0, 0)) hoard.push(new Array(1000).fill(hoard.length));
  }

  /** @type {Record<string, (...args: any[]) => unknown>} */
  const files = {};
  for (const [name, operation] of Object.entries(nodeFileSystem)) {
    files[name] = (/** @type {unknown[]} */ ...args) => {
      check();
      if (name === 'write' && isFull) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      if (name === 'write' && writeMsPerMiB > 0) {
        const bytes = /** @type {Uint8Array[]} */ (args[1]).reduce(
          (sum, { byteLength }) => sum + byteLength,
          0,
        );
        Atomics.wait(nobody, 0, 0, (bytes / 2 ** 20) * writeMsPerMiB);
      }
      return /** @type {(...args: unknown[]) => unknown} */ (operation)(...args);
    };
  }
  return /** @type {import('../../src/storage/disk/file-system.js').FileSystem} */ (
    /** @type {unknown} */ (files)
  );
}
