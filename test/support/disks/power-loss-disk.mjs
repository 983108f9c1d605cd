// @ts-check
/**
 * A disk in memory that knows what a power cut may leave of it.
 *
 * It keeps a journal of everything that changed it. From the journal, `crashStates` makes up what may be found on
 * the disk if the power goes after any entry:
 *
 * - what was synced is there: a file's bytes and size after `sync`, the names in a folder after `syncFolder`;
 * - of what was written since, each 512-byte sector holds any one of the versions it had, or what was there before,
 *   independently of all others: writes are lost, or overtake each other;
 * - the file has any of the sizes it had since; what lies within it and was never written is zeros or garbage;
 * - each change of names since has happened or not, independently; a rename happens as a whole or not at all.
 *
 * Syncing a file says nothing about its name, and syncing a name nothing about the file. A state is determined by
 * its point and its list of choices: `crashState(initial, journal, point, choices)` makes it again.
 *
 * This is plain JavaScript so that worker threads of the built library can load it by its URL.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { BroadcastChannel } from 'node:worker_threads';
import { seededRandom } from './random.mjs';

/** @typedef {import('../../../src/storage/disk/file-system.js').FileSystem} FileSystem */
/** @typedef {import('../../../src/storage/disk/file-system.js').OpenMode} OpenMode */

/**
 * What is on a disk: files by path, and folders as null. Folders above a path need not be listed. Two names of one
 * file hold the same array.
 * @typedef {ReadonlyMap<string, Uint8Array | null>} DiskContent
 */

/** What a path names: a file's number or, as FOLDER, a folder. @typedef {number} Target */
const FOLDER = -1;

/**
 * @typedef {{ operation: 'write', file: number, position: number, bytes: Uint8Array }
 *   | { operation: 'truncate', file: number, bytes: number }
 *   | { operation: 'sync', file: number }
 *   | { operation: 'syncFolder', folder: string }
 *   | { operation: 'names', changes: NameChange[] }} JournalEntry
 */

/** A path gets a target or, with null, loses the one it has. @typedef {[path: string, target: Target | null]} NameChange */

/** @typedef {{ point: number, choices: readonly number[], content: DiskContent }} CrashState */

/**
 * Can be posted to a worker thread.
 * @typedef {object} PowerLossSpec
 * @property {DiskContent} [content] what is on the disk at the start
 * @property {string} [channel] name of a BroadcastChannel on which every journal entry is sent; see JournalReceiver
 * @property {Int32Array} [entries] shared; its first word counts the entries made
 */

const SECTOR_BYTES = 512;

/** Bytes that grow. */
class FileBytes {
  /** @param {Uint8Array} bytes copied */
  constructor(bytes) {
    this.buffer = bytes.slice();
    this.size = bytes.byteLength;
  }

  /** @param {number} position @param {Uint8Array} bytes */
  write(position, bytes) {
    const end = position + bytes.byteLength;
    if (end > this.buffer.byteLength) {
      const grown = new Uint8Array(Math.max(end, 2 * this.buffer.byteLength));
      grown.set(this.bytes);
      this.buffer = grown;
    }
    this.buffer.set(bytes, position);
    this.size = Math.max(this.size, end);
  }

  /** @param {number} size */
  truncate(size) {
    if (size > this.size) this.write(size, new Uint8Array(0));
    // What is cut off reads as zeros should the file grow again.
    this.buffer.fill(0, size);
    this.size = size;
  }

  get bytes() {
    return this.buffer.subarray(0, this.size);
  }

  /** A sector, with zeros after the end of the file. @param {number} sector */
  sector(sector) {
    const bytes = new Uint8Array(SECTOR_BYTES);
    bytes.set(this.bytes.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES));
    return bytes;
  }
}

/** @param {DiskContent} content @returns {{ names: Map<string, Target>, files: Map<number, FileBytes> }} */
function load(content) {
  /** @type {Map<string, Target>} */
  const names = new Map([[resolve('/'), FOLDER]]);
  /** @type {Map<number, FileBytes>} */
  const files = new Map();
  /** @type {Map<Uint8Array, number>} */
  const numbers = new Map();
  for (const [relative, bytes] of content) {
    const path = resolve(relative);
    for (let above = dirname(path); !names.has(above); above = dirname(above)) names.set(above, FOLDER);
    if (bytes === null) names.set(path, FOLDER);
    else {
      const file = numbers.get(bytes) ?? files.size;
      numbers.set(bytes, file);
      files.set(file, new FileBytes(bytes));
      names.set(path, file);
    }
  }
  return { names, files };
}

/** @param {Map<string, Target>} names @param {readonly NameChange[]} changes */
function applyNames(names, changes) {
  for (const [path, target] of changes) {
    if (target === null) names.delete(path);
    else names.set(path, target);
  }
}

/** @param {string} code @param {string} syscall @param {string} [path] @returns {Error} */
function systemError(code, syscall, path) {
  return Object.assign(new Error(`${code}: ${syscall}${path === undefined ? '' : ` '${path}'`}`), {
    code,
    syscall,
    path,
  });
}

/** @implements {FileSystem} */
export class PowerLossDisk {
  /** What was there at the start. @type {DiskContent} @readonly */
  initial;
  /** Everything that changed the disk since. @type {JournalEntry[]} @readonly */
  journal = [];

  /** @type {Map<number, { file: number, path: string, mode: OpenMode }>} */
  #open = new Map();
  #nextFd = 3;
  /** @type {Map<string, Target>} */
  #names;
  /** @type {Map<number, FileBytes>} */
  #files;
  /** @type {Map<number, number>} */
  #modifiedMs = new Map();
  /** @type {() => number} */
  #nowMs;

  /**
   * @param {DiskContent} [content]
   * @param {{ nowMs?: () => number, onEntry?: (entry: JournalEntry) => void }} [options]
   */
  constructor(content = new Map(), { nowMs = Date.now, onEntry } = {}) {
    // Copied, with names of one file still holding one array.
    this.initial = structuredClone(content);
    const { names, files } = load(this.initial);
    this.#names = names;
    this.#files = files;
    this.#nowMs = nowMs;
    this.onEntry = onEntry;
  }

  /** What is on the disk as long as the power stays on. @returns {DiskContent} */
  content() {
    return contentOf(this.#names, (file) => this.#fileOf(file).bytes.slice());
  }

  /** Sets when a file was last written. @param {string} path @param {number} ms */
  setModifiedMs(path, ms) {
    this.#modifiedMs.set(this.#find(resolve(path), 'utimes'), ms);
  }

  /** @type {FileSystem['open']} */
  open(relative, mode) {
    const path = resolve(relative);
    let file = this.#names.get(path);
    if (mode === 'wx') {
      if (file !== undefined) throw systemError('EEXIST', 'open', path);
      this.#checkFolder(dirname(path), 'open');
      file = this.#files.size;
      this.#files.set(file, new FileBytes(new Uint8Array(0)));
      this.#modifiedMs.set(file, this.#nowMs());
      this.#change([[path, file]]);
    } else {
      if (file === undefined) throw systemError('ENOENT', 'open', path);
      if (file === FOLDER) throw systemError('EISDIR', 'open', path);
    }
    const fd = this.#nextFd++;
    this.#open.set(fd, { file, path, mode });
    return fd;
  }

  /** @type {FileSystem['close']} */
  close(fd) {
    if (!this.#open.delete(fd)) throw systemError('EBADF', 'close');
  }

  /** @type {FileSystem['write']} */
  write(fd, buffers, position) {
    const file = this.#writable(fd, 'write');
    const length = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const buffer of buffers) {
      bytes.set(buffer, at);
      at += buffer.byteLength;
    }
    if (length > 0) this.#record({ operation: 'write', file, position, bytes });
    return length;
  }

  /** @type {FileSystem['read']} */
  read(fd, target, position) {
    const { file } = this.#handle(fd, 'read');
    const { bytes } = this.#fileOf(file);
    const part = bytes.subarray(position, position + target.byteLength);
    target.set(part);
    return part.byteLength;
  }

  /** @type {FileSystem['stat']} */
  stat(which) {
    const target =
      typeof which === 'number' ? this.#handle(which, 'fstat').file : this.#names.get(resolve(which));
    if (target === undefined) throw systemError('ENOENT', 'stat', String(which));
    const isFile = target !== FOLDER;
    return {
      isFile,
      bytes: isFile ? this.#fileOf(target).size : 0,
      links: [...this.#names.values()].filter((file) => file === target).length,
      id: String(target),
      modifiedMs: this.#modifiedMs.get(target) ?? 0,
      permissions: 0o600,
    };
  }

  /** @type {FileSystem['truncate']} */
  truncate(fd, bytes) {
    this.#record({ operation: 'truncate', file: this.#writable(fd, 'ftruncate'), bytes });
  }

  /** @type {FileSystem['sync']} */
  sync(fd) {
    this.#record({ operation: 'sync', file: this.#handle(fd, 'fdatasync').file });
  }

  /** @type {FileSystem['syncFolder']} */
  syncFolder(path) {
    const folder = resolve(path);
    this.#checkFolder(folder, 'fsync');
    this.#record({ operation: 'syncFolder', folder });
  }

  /** @type {FileSystem['readFile']} */
  readFile(path, bytesMax) {
    const { bytes } = this.#fileOf(this.#find(resolve(path), 'open'));
    if (bytes.byteLength > bytesMax) throw systemError('EFBIG', 'read', path);
    return bytes.slice();
  }

  /** @type {FileSystem['rename']} */
  rename(from, to) {
    const [source, target] = [resolve(from), resolve(to)];
    const file = this.#find(source, 'rename');
    this.#checkFolder(dirname(target), 'rename');
    if (this.#names.get(target) === FOLDER) throw systemError('EISDIR', 'rename', target);
    // As POSIX has it, nothing happens where both are names of one file.
    if (this.#names.get(target) === file) return;
    this.#change([
      [source, null],
      [target, file],
    ]);
  }

  /** @type {FileSystem['link']} */
  link(from, to) {
    const target = resolve(to);
    const file = this.#find(resolve(from), 'link');
    if (this.#names.has(target)) throw systemError('EEXIST', 'link', target);
    this.#checkFolder(dirname(target), 'link');
    this.#change([[target, file]]);
  }

  /** @type {FileSystem['unlink']} */
  unlink(relative) {
    const path = resolve(relative);
    this.#find(path, 'unlink');
    this.#change([[path, null]]);
  }

  /** @type {FileSystem['list']} */
  list(path) {
    const folder = resolve(path);
    this.#checkFolder(folder, 'scandir');
    return [...this.#names.keys()]
      .filter((name) => name !== folder && dirname(name) === folder)
      .map((name) => basename(name));
  }

  /** @type {FileSystem['makeFolder']} */
  makeFolder(relative) {
    const path = resolve(relative);
    const target = this.#names.get(path);
    if (target === FOLDER) return;
    if (target !== undefined) throw systemError('EEXIST', 'mkdir', path);
    this.makeFolder(dirname(path));
    this.#change([[path, FOLDER]]);
  }

  /** @param {NameChange[]} changes */
  #change(changes) {
    this.#record({ operation: 'names', changes });
  }

  /** @param {JournalEntry} entry */
  #record(entry) {
    if (entry.operation === 'names') applyNames(this.#names, entry.changes);
    else if (entry.operation === 'write' || entry.operation === 'truncate') {
      const bytes = this.#fileOf(entry.file);
      if (entry.operation === 'write') bytes.write(entry.position, entry.bytes);
      else bytes.truncate(entry.bytes);
      this.#modifiedMs.set(entry.file, this.#nowMs());
    }
    this.journal.push(entry);
    this.onEntry?.(entry);
  }

  /** @param {number} file */
  #fileOf(file) {
    const bytes = this.#files.get(file);
    if (bytes === undefined) throw systemError('EISDIR', 'read');
    return bytes;
  }

  /** The file that a path names. @param {string} path @param {string} syscall */
  #find(path, syscall) {
    const file = this.#names.get(path);
    if (file === undefined) throw systemError('ENOENT', syscall, path);
    if (file === FOLDER) throw systemError('EISDIR', syscall, path);
    return file;
  }

  /** @param {string} path @param {string} syscall */
  #checkFolder(path, syscall) {
    const target = this.#names.get(path);
    if (target === undefined) throw systemError('ENOENT', syscall, path);
    if (target !== FOLDER) throw systemError('ENOTDIR', syscall, path);
  }

  /** @param {number} fd @param {string} syscall */
  #handle(fd, syscall) {
    const handle = this.#open.get(fd);
    if (handle === undefined) throw systemError('EBADF', syscall);
    return handle;
  }

  /** @param {number} fd @param {string} syscall */
  #writable(fd, syscall) {
    const { file, path, mode } = this.#handle(fd, syscall);
    if (mode === 'r') throw systemError('EBADF', syscall, path);
    return file;
  }
}

/** For worker threads. @param {PowerLossSpec} [spec] @returns {PowerLossDisk} */
export function createFileSystem({ content, channel, entries } = {}) {
  const sender = channel === undefined ? undefined : new BroadcastChannel(channel);
  sender?.unref();
  const onEntry = (/** @type {JournalEntry} */ entry) => {
    sender?.postMessage(entry);
    if (entries !== undefined) Atomics.add(entries, 0, 1);
  };
  return new PowerLossDisk(content, { onEntry });
}

/**
 * The journal of a disk in another thread. What was acknowledged when `made` said n must be found in every crash
 * state from point n on.
 */
export class JournalReceiver {
  /** @type {JournalEntry[]} @readonly */
  journal = [];
  #entries = new Int32Array(new SharedArrayBuffer(4));
  /** @type {BroadcastChannel} */
  #channel;

  /** @param {string} channel a name that nobody else uses */
  constructor(channel) {
    this.#channel = new BroadcastChannel(channel);
    this.#channel.onmessage = (event) => {
      this.journal.push(/** @type {{ data: JournalEntry }} */ (event).data);
    };
  }

  /** For the disk. @param {DiskContent} [content] @returns {PowerLossSpec} */
  spec(content) {
    return { content, channel: this.#channel.name, entries: this.#entries };
  }

  /** Entries made until now; they may not have been received yet. */
  get made() {
    return Atomics.load(this.#entries, 0);
  }

  /** Returns when every entry made until now has been received. */
  async complete() {
    const made = this.made;
    while (this.journal.length < made) await new Promise((done) => setImmediate(done));
    return this.journal;
  }

  close() {
    this.#channel.close();
  }
}

/** Takes one of n possibilities, 0 to n - 1; the first is the oldest. @typedef {(n: number) => number} Choose */

/** What is certain and what is not after a part of a journal. */
class Remains {
  /** @type {Map<string, Target>} */
  #names;
  /** @type {Map<number, FileBytes>} */
  #durable;
  /** Changes of names that no syncFolder has followed. @type {(readonly NameChange[])[]} */
  #pendingNames = [];
  /** @type {Map<number, PendingFile>} */
  #pendingFiles = new Map();

  /** @param {DiskContent} initial */
  constructor(initial) {
    const { names, files } = load(initial);
    this.#names = names;
    this.#durable = files;
  }

  /** @param {JournalEntry} entry */
  apply(entry) {
    switch (entry.operation) {
      case 'names':
        this.#pendingNames.push(entry.changes);
        break;
      case 'syncFolder':
        this.#pendingNames = this.#pendingNames.filter((changes) => {
          const isSynced = changes.some(([path]) => dirname(path) === entry.folder);
          if (isSynced) applyNames(this.#names, changes);
          return !isSynced;
        });
        break;
      case 'sync': {
        const pending = this.#pendingFiles.get(entry.file);
        if (pending !== undefined) this.#durable.set(entry.file, pending.current);
        this.#pendingFiles.delete(entry.file);
        break;
      }
      default: {
        let pending = this.#pendingFiles.get(entry.file);
        if (pending === undefined) {
          pending = new PendingFile(this.#durable.get(entry.file) ?? new FileBytes(new Uint8Array(0)));
          this.#pendingFiles.set(entry.file, pending);
        }
        pending.apply(entry);
      }
    }
  }

  /** One of the contents that the disk may have. @param {Choose} choose @returns {DiskContent} */
  content(choose) {
    const names = new Map(this.#names);
    for (const changes of this.#pendingNames) if (choose(2) === 1) applyNames(names, changes);
    return contentOf(
      names,
      (file) =>
        this.#pendingFiles.get(file)?.content(choose) ??
        this.#durable.get(file)?.bytes.slice() ??
        new Uint8Array(0),
    );
  }
}

/** A file that has been written since it was synced. */
class PendingFile {
  /** @type {number[]} */
  #sizes;
  /** What each sector has held since; what it held before is not among it. @type {Map<number, Uint8Array[]>} */
  #versions = new Map();

  /** @param {FileBytes} durable */
  constructor(durable) {
    this.durable = durable;
    /** What reads see. */
    this.current = new FileBytes(durable.bytes);
    this.#sizes = [durable.size];
  }

  /** @param {Extract<JournalEntry, { operation: 'write' | 'truncate' }>} entry */
  apply(entry) {
    const sizeBefore = this.current.size;
    let from = sizeBefore;
    let to = sizeBefore;
    if (entry.operation === 'write') {
      this.current.write(entry.position, entry.bytes);
      from = entry.position;
      to = entry.position + entry.bytes.byteLength;
    } else {
      this.current.truncate(entry.bytes);
      from = Math.min(entry.bytes, sizeBefore);
    }
    for (let sector = Math.floor(from / SECTOR_BYTES); sector * SECTOR_BYTES < to; sector++) {
      const versions = this.#versions.get(sector);
      if (versions === undefined) this.#versions.set(sector, [this.current.sector(sector)]);
      else versions.push(this.current.sector(sector));
    }
    if (!this.#sizes.includes(this.current.size)) this.#sizes.push(this.current.size);
  }

  /** @param {Choose} choose @returns {Uint8Array} */
  content(choose) {
    const bytes = new Uint8Array(this.#sizes[choose(this.#sizes.length)] ?? 0);
    bytes.set(this.durable.bytes.subarray(0, bytes.byteLength));
    /** Asked for once, when it is needed. @type {boolean | undefined} */
    let isGarbage;
    for (const [sector, versions] of this.#versions) {
      const start = sector * SECTOR_BYTES;
      if (start >= bytes.byteLength) continue;
      const version = versions[choose(versions.length + 1) - 1];
      const room = bytes.subarray(start, start + SECTOR_BYTES);
      if (version !== undefined) room.set(version.subarray(0, room.byteLength));
      else if (start >= this.durable.size) {
        isGarbage ??= choose(2) === 1;
        if (isGarbage) for (let i = 0; i < room.byteLength; i++) room[i] = garbage(start + i);
      }
    }
    return bytes;
  }
}

/** @param {number} position */
function garbage(position) {
  return (Math.imul(position + 1, 0x9e3779b1) >>> 24) | 1;
}

/** @param {Map<string, Target>} names @param {(file: number) => Uint8Array} bytesOf @returns {DiskContent} */
function contentOf(names, bytesOf) {
  /** @type {Map<string, Uint8Array | null>} */
  const content = new Map();
  /** @type {Map<number, Uint8Array>} */
  const made = new Map();
  for (const [path, target] of [...names].sort()) {
    // What stands in a folder that was lost is lost with it; a folder sorts before what is in it.
    if (
      path !== dirname(path) &&
      dirname(path) !== dirname(dirname(path)) &&
      content.get(dirname(path)) !== null
    ) {
      continue;
    }
    if (target === FOLDER) {
      if (path !== dirname(path)) content.set(path, null);
      continue;
    }
    const bytes = made.get(target) ?? bytesOf(target);
    made.set(target, bytes);
    content.set(path, bytes);
  }
  return content;
}

/**
 * Disks as a power cut may leave them, after each entry of the journal from point `from` (0: before the first) to
 * `to` (default: after the last). The first state of a point has nothing of what was not synced and the second has
 * all of it; the others are random.
 *
 * @param {DiskContent} initial
 * @param {readonly JournalEntry[]} journal
 * @param {{ seed: number, statesPerPoint?: number, from?: number, to?: number }} options
 * @returns {Generator<CrashState>}
 */
export function* crashStates(initial, journal, { seed, statesPerPoint = 8, from = 0, to = journal.length }) {
  const random = seededRandom(seed);
  for (const [point, remains] of remainsAfter(initial, journal, from, to)) {
    for (let i = 0; i < statesPerPoint; i++) {
      // Mostly new, mostly old, or anything: even chances would hardly ever leave a file whole.
      const newest = i === 0 ? 0 : i === 1 ? 1 : random();
      const oldest = i === 0 ? 1 : random();
      yield stateOf(point, remains, (n) => {
        if (random() < newest) return n - 1;
        return random() < oldest ? 0 : Math.floor(random() * n);
      });
    }
  }
}

/**
 * As `crashStates`, but every state there is.
 *
 * @param {DiskContent} initial
 * @param {readonly JournalEntry[]} journal
 * @param {{ statesMax?: number, from?: number, to?: number }} [options]
 * @returns {Generator<CrashState>}
 * @throws Error when a point has more than `statesMax` (default 100,000)
 */
export function* everyCrashState(initial, journal, options = {}) {
  const { statesMax = 100_000, from = 0, to = journal.length } = options;
  for (const [point, remains] of remainsAfter(initial, journal, from, to)) {
    /** The choices to repeat, the last of them changed. @type {number[]} */
    let prefix = [];
    for (let states = 1; ; states++) {
      if (states > statesMax) throw new Error(`point ${point} has more than ${statesMax} states`);
      /** @type {number[]} */
      const possibilities = [];
      const state = stateOf(point, remains, (n) => {
        possibilities.push(n);
        return prefix[possibilities.length - 1] ?? 0;
      });
      yield state;
      let last = state.choices.length - 1;
      while (last >= 0 && state.choices[last] === /** @type {number} */ (possibilities[last]) - 1) last--;
      if (last < 0) break;
      prefix = [...state.choices.slice(0, last), /** @type {number} */ (state.choices[last]) + 1];
    }
  }
}

/**
 * One state again. Choices that are missing are 0: without any, what was synced and nothing else.
 *
 * @param {DiskContent} initial
 * @param {readonly JournalEntry[]} journal
 * @param {number} point
 * @param {readonly number[]} [choices]
 * @returns {CrashState}
 */
export function crashState(initial, journal, point, choices = []) {
  for (const [, remains] of remainsAfter(initial, journal, point, point)) {
    let made = 0;
    return stateOf(point, remains, () => choices[made++] ?? 0);
  }
  throw new RangeError(`there is no point ${point} in a journal of ${journal.length} entries`);
}

/**
 * @param {DiskContent} initial
 * @param {readonly JournalEntry[]} journal
 * @param {number} from
 * @param {number} to
 * @returns {Generator<[point: number, remains: Remains]>}
 */
function* remainsAfter(initial, journal, from, to) {
  const remains = new Remains(initial);
  for (let point = 0; point <= Math.min(to, journal.length); point++) {
    const entry = journal[point - 1];
    if (entry !== undefined) remains.apply(entry);
    if (point >= from) yield [point, remains];
  }
}

/** @param {number} point @param {Remains} remains @param {Choose} choose @returns {CrashState} */
function stateOf(point, remains, choose) {
  /** @type {number[]} */
  const choices = [];
  const content = remains.content((n) => {
    const choice = choose(n);
    choices.push(choice);
    return choice;
  });
  return { point, choices, content };
}

/** Writes a content out into a real folder, to look at it. @param {DiskContent} content @param {string} folder */
export function writeOut(content, folder) {
  for (const [path, bytes] of content) {
    const target = join(folder, path);
    mkdirSync(bytes === null ? target : dirname(target), { recursive: true });
    if (bytes !== null) writeFileSync(target, bytes);
  }
}
