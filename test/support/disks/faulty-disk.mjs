// @ts-check
/**
 * A disk whose operations fail, fall short or hang as a specification says; everything else goes to another disk.
 *
 * A specification is plain data and can be posted to a worker thread. Through its `control`, which is shared memory,
 * a test sees how often each operation was called, turns all faults off and on ("space returns"), and lets go of
 * operations that hang. Without a control, faults are on.
 *
 * This is plain JavaScript so that worker threads of the built library can load it by its URL.
 */
import { nodeFileSystem } from '../../../dist/src/storage/disk/file-system.js';
import { createFileSystem as createPowerLossDisk } from './power-loss-disk.mjs';
import { seededRandom } from './random.mjs';

/** @typedef {import('../../../src/storage/disk/file-system.js').FileSystem} FileSystem */
/** @typedef {keyof FileSystem} Operation */
/** @typedef {import('./power-loss-disk.mjs').PowerLossSpec} PowerLossSpec */

/**
 * One thing that goes wrong. Of the calls it matches while faults are on, numbered from 1, it concerns those from
 * `from` up to and without `until`. The first fault that concerns a call decides; all count the calls they match.
 *
 * @typedef {object} Fault
 * @property {Operation | readonly Operation[]} operation
 * @property {string} [path] only where the path ends with this; for open files, the path they were opened by
 * @property {number} [from] default 1
 * @property {number} [until] default: for ever
 * @property {number | 'random'} [bytes] of a write, only so many bytes are written; random: 1 to all but one
 * @property {number | 'release'} [hangMs] first waits so long, or until the test lets go
 * @property {string} [code] then fails with this code: EIO, ENOSPC, … With `bytes`, those are written all the same
 * @property {boolean} [takesEffect] with `code`: fails after it has been done
 */

/**
 * @typedef {object} FaultySpec
 * @property {readonly Fault[]} faults
 * @property {number} [seed] of random lengths; default 1
 * @property {Int32Array} [control] from `FaultControl.words`
 * @property {PowerLossSpec} [powerLoss] lies on such a disk instead of the system's files
 */

/** Words of the control; after them, the calls of each operation. */
const OFF = 0;
const HANGING = 1;
const RELEASED = 2;
const CALLS = 3;

/** @type {readonly Operation[]} */
const OPERATIONS = [
  'open',
  'close',
  'write',
  'read',
  'stat',
  'truncate',
  'sync',
  'syncFolder',
  'readFile',
  'rename',
  'link',
  'unlink',
  'list',
  'makeFolder',
];

/** The test's end of a disk, which may be in another thread. */
export class FaultControl {
  /** For the specification. @readonly */
  words = new Int32Array(new SharedArrayBuffer(4 * (CALLS + OPERATIONS.length)));

  /** Whether faults happen; they do at first. @param {boolean} on */
  set faults(on) {
    Atomics.store(this.words, OFF, on ? 0 : 1);
  }

  /** Calls of an operation so far, those that failed included. @param {Operation} operation */
  calls(operation) {
    return Atomics.load(this.words, CALLS + OPERATIONS.indexOf(operation));
  }

  /** Operations that hang now. */
  get hanging() {
    return Atomics.load(this.words, HANGING);
  }

  /** Lets every operation go on that hangs until it is released. */
  release() {
    Atomics.add(this.words, RELEASED, 1);
    Atomics.notify(this.words, RELEASED);
  }
}

/** @param {FaultySpec} spec @param {FileSystem} [inner] default: the system's files @returns {FileSystem} */
export function createFileSystem(spec, inner) {
  return new FaultyDisk(spec, inner);
}

/** What `fileSystem.url` of an experiment leads to. */
export default createFileSystem;

/** @implements {FileSystem} */
class FaultyDisk {
  /** @type {FileSystem} */
  #inner;
  #words;
  #random;
  /** @type {{ fault: Fault, operations: readonly Operation[], matched: number }[]} */
  #faults;
  /** Paths of open files. @type {Map<number, string>} */
  #paths = new Map();

  /** @param {FaultySpec} spec @param {FileSystem} [inner] */
  constructor({ faults, seed = 1, control, powerLoss }, inner) {
    this.#inner = inner ?? (powerLoss === undefined ? nodeFileSystem : createPowerLossDisk(powerLoss));
    this.#words = control ?? new FaultControl().words;
    this.#random = seededRandom(seed);
    this.#faults = faults.map((fault) => ({ fault, operations: [fault.operation].flat(), matched: 0 }));
  }

  /** @type {FileSystem['open']} */
  open(path, mode, permissions) {
    const fd = this.#run('open', path, () => this.#inner.open(path, mode, permissions));
    this.#paths.set(fd, path);
    return fd;
  }

  /** @type {FileSystem['close']} */
  close(fd) {
    this.#run('close', this.#pathOf(fd), () => this.#inner.close(fd));
    this.#paths.delete(fd);
  }

  /** @type {FileSystem['write']} */
  write(fd, buffers, position) {
    return this.#run('write', this.#pathOf(fd), ({ bytes }) => {
      if (bytes === undefined) return this.#inner.write(fd, buffers, position);
      const all = Buffer.concat(buffers);
      const most = Math.max(1, all.byteLength - 1);
      const taken = bytes === 'random' ? 1 + Math.floor(this.#random() * most) : bytes;
      return taken === 0 ? 0 : this.#inner.write(fd, [all.subarray(0, taken)], position);
    });
  }

  /** @type {FileSystem['read']} */
  read(fd, target, position) {
    return this.#run('read', this.#pathOf(fd), () => this.#inner.read(fd, target, position));
  }

  /** @type {FileSystem['stat']} */
  stat(file) {
    const path = typeof file === 'number' ? this.#pathOf(file) : file;
    return this.#run('stat', path, () => this.#inner.stat(file));
  }

  /** @type {FileSystem['truncate']} */
  truncate(fd, bytes) {
    this.#run('truncate', this.#pathOf(fd), () => this.#inner.truncate(fd, bytes));
  }

  /** @type {FileSystem['sync']} */
  sync(fd) {
    this.#run('sync', this.#pathOf(fd), () => this.#inner.sync(fd));
  }

  /** @type {FileSystem['syncFolder']} */
  syncFolder(path) {
    this.#run('syncFolder', path, () => this.#inner.syncFolder(path));
  }

  /** @type {FileSystem['readFile']} */
  readFile(path, bytesMax) {
    return this.#run('readFile', path, () => this.#inner.readFile(path, bytesMax));
  }

  /** @type {FileSystem['rename']} */
  rename(from, to) {
    this.#run('rename', to, () => this.#inner.rename(from, to));
  }

  /** @type {FileSystem['link']} */
  link(from, to) {
    this.#run('link', to, () => this.#inner.link(from, to));
  }

  /** @type {FileSystem['unlink']} */
  unlink(path) {
    this.#run('unlink', path, () => this.#inner.unlink(path));
  }

  /** @type {FileSystem['list']} */
  list(path) {
    return this.#run('list', path, () => this.#inner.list(path));
  }

  /** @type {FileSystem['makeFolder']} */
  makeFolder(path, permissions) {
    this.#run('makeFolder', path, () => this.#inner.makeFolder(path, permissions));
  }

  /** @param {number} fd */
  #pathOf(fd) {
    return this.#paths.get(fd) ?? '';
  }

  /**
   * @template T
   * @param {Operation} operation
   * @param {string} path
   * @param {(fault: Partial<Fault>) => T} perform
   * @returns {T}
   */
  #run(operation, path, perform) {
    Atomics.add(this.#words, CALLS + OPERATIONS.indexOf(operation), 1);
    const fault = this.#faultOf(operation, path);
    if (fault.hangMs !== undefined) this.#hang(fault.hangMs);
    if (fault.code === undefined) return perform(fault);
    if (fault.takesEffect || fault.bytes !== undefined) perform(fault);
    throw Object.assign(new Error(`${fault.code}: ${operation} '${path}', as specified`), {
      code: fault.code,
      syscall: operation,
      path,
    });
  }

  /** @param {Operation} operation @param {string} path @returns {Partial<Fault>} */
  #faultOf(operation, path) {
    if (Atomics.load(this.#words, OFF) === 1) return {};
    /** @type {Fault | undefined} */
    let found;
    for (const counted of this.#faults) {
      const { fault, operations } = counted;
      if (!operations.includes(operation) || !path.endsWith(fault.path ?? '')) continue;
      counted.matched++;
      const { from = 1, until = Number.POSITIVE_INFINITY } = fault;
      if (counted.matched >= from && counted.matched < until) found ??= fault;
    }
    return found ?? {};
  }

  /** @param {number | 'release'} hangMs */
  #hang(hangMs) {
    const released = Atomics.load(this.#words, RELEASED);
    Atomics.add(this.#words, HANGING, 1);
    const timeoutMs = hangMs === 'release' ? Number.POSITIVE_INFINITY : hangMs;
    Atomics.wait(this.#words, RELEASED, released, timeoutMs);
    Atomics.sub(this.#words, HANGING, 1);
  }
}
