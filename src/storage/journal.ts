/**
 * Journal: records that several processes append to one folder, each to a file of its own, so that none waits for
 * another and none can tear what another writes.
 *
 * A record is a line, `<CRC-32, 8 hex digits> <JSON>`. It is in the file when `append` returns, so the death of the
 * process does not lose it; it survives a power cut once it is synced. A line that is not whole, or not as it was
 * written, is left out and counted.
 */
import { fdatasync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { PRIVATE_FILE, PRIVATE_FOLDER } from '../make-folder.js';
import type { Json } from '../schema/event.js';
import { guarded, storageError } from '../system-errors.js';
import { clearUp, ifThere, isCorrupt } from './disk/errors.js';
import { ensureFolder, type FileSystem, readFully, writeFully } from './disk/file-system.js';
import { randomToken } from './disk/paths.js';

const syncOf = promisify(fdatasync);
const NAME = /^[1-9]\d{0,9}-[0-9a-f]{16}\.journal$/;
const DIGITS = 8;
const NEWLINE = 10;
/** What is read at once. */
const BLOCK_BYTES = 1 << 20;

export type JournalRecord = Readonly<Record<string, Json>>;

export interface JournalModes {
  readonly folder?: number | undefined;
  readonly file?: number | undefined;
}

export class JournalWriter {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #modes: JournalModes;
  #fd: number | undefined;
  #bytes = 0;
  #syncedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;

  /** The folder and the file are made with the first record. */
  constructor(files: FileSystem, folder: string, modes: JournalModes = {}) {
    this.#files = files;
    this.#folder = folder;
    this.#modes = modes;
  }

  /** The record is in its file when this returns. @throws StorageError, and then nothing of it is there */
  append(record: JournalRecord): void {
    this.#write(Buffer.from(line(record)));
  }

  /** The same for many at once. */
  appendAll(records: readonly JournalRecord[]): void {
    if (records.length > 0) this.#write(Buffer.from(records.map(line).join('')));
  }

  #write(bytes: Uint8Array): void {
    const files = this.#files;
    guarded('write a journal in', this.#folder, () => {
      const fd = this.#opened();
      try {
        this.#bytes = writeFully(files, fd, [bytes], this.#bytes);
      } catch (error) {
        clearUp(() => files.truncate(fd, this.#bytes));
        throw error;
      }
    });
  }

  #opened(): number {
    if (this.#fd !== undefined) return this.#fd;
    const files = this.#files;
    ensureFolder(files, this.#folder, this.#modes.folder ?? PRIVATE_FOLDER);
    const path = join(this.#folder, `${process.pid}-${randomToken()}.journal`);
    this.#fd = files.open(path, 'wx', this.#modes.file ?? PRIVATE_FILE);
    this.#bytes = 0;
    this.#syncedBytes = 0;
    files.syncFolder(this.#folder);
    return this.#fd;
  }

  /** Returns when all records are safe from a power cut. @throws StorageError */
  sync(): void {
    const fd = this.#fd;
    if (fd === undefined || this.#syncedBytes === this.#bytes) return;
    guarded('sync a journal in', this.#folder, () => this.#files.sync(fd));
    this.#syncedBytes = this.#bytes;
  }

  /** Resolves when all records are safe from a power cut; this thread does other things meanwhile. @throws StorageError */
  async synced(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#fd !== undefined && this.#syncedBytes < this.#bytes) {
      this.#syncing ??= this.#syncNow(this.#fd).finally(() => {
        this.#syncing = undefined;
      });
      await this.#syncing;
    }
  }

  /** Syncs within so many ms. Errors are told by the next `synced`. */
  syncWithin(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.synced().catch(() => {});
    }, ms).unref();
  }

  async #syncNow(fd: number): Promise<void> {
    const bytes = this.#bytes;
    try {
      await syncOf(fd);
      this.#syncedBytes = Math.max(this.#syncedBytes, bytes);
    } catch (cause) {
      throw storageError(cause, 'sync a journal in', { path: this.#folder });
    }
  }

  /** Syncs and closes; a later record begins another file. @throws StorageError */
  async close(): Promise<void> {
    await this.synced();
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) guarded('close a journal in', this.#folder, () => this.#files.close(fd));
  }
}

function line(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${checksumOf(json)} ${json}\n`;
}

function checksumOf(json: string | Uint8Array): string {
  return crc32(json).toString(16).padStart(DIGITS, '0');
}

/** Reads all journals of a folder, and later what has been appended since. */
export class JournalReader {
  readonly #files: FileSystem;
  readonly #folder: string;
  /** Bytes of each file that have been read. */
  readonly #ends = new Map<string, number>();
  /** Lines that were not as they had been written. */
  damaged = 0;

  constructor(files: FileSystem, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  /** The records that are new since the last call: file by file, each in the order in which it was written. @throws StorageError */
  read(): JournalRecord[] {
    return guarded('read journals in', this.#folder, () => {
      const names = ifThere(() => this.#files.list(this.#folder)) ?? [];
      return names
        .filter((name) => NAME.test(name))
        .sort()
        .flatMap((name) => this.#readFile(name));
    });
  }

  #readFile(name: string): JournalRecord[] {
    const files = this.#files;
    const path = join(this.#folder, name);
    const from = this.#ends.get(name) ?? 0;
    if ((ifThere(() => files.stat(path).bytes) ?? 0) <= from) return [];
    const fd = ifThere(() => this.#open(path));
    if (fd === undefined) return [];
    try {
      return this.#readFrom(fd, name, from);
    } finally {
      files.close(fd);
    }
  }

  /** Undefined for what is no file: nobody of us has written it. */
  #open(path: string): number | undefined {
    try {
      return this.#files.open(path, 'r');
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      return undefined;
    }
  }

  #readFrom(fd: number, name: string, from: number): JournalRecord[] {
    const records: JournalRecord[] = [];
    let rest: Uint8Array = new Uint8Array(0);
    for (let at = from; ; ) {
      const block = Buffer.allocUnsafe(BLOCK_BYTES);
      const read = readFully(this.#files, fd, block, at);
      at += read;
      const bytes = Buffer.concat([rest, block.subarray(0, read)]);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE, start); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        const record = recordIn(bytes.subarray(start, end));
        if (record === undefined) this.damaged++;
        else records.push(record);
        start = end + 1;
      }
      rest = bytes.subarray(start);
      // What is left has no end yet: its writer is at it, or was when it died.
      this.#ends.set(name, at - rest.length);
      if (read < BLOCK_BYTES) return records;
    }
  }
}

function recordIn(bytes: Uint8Array): JournalRecord | undefined {
  const json = bytes.subarray(DIGITS + 1);
  if (Buffer.from(bytes.subarray(0, DIGITS)).toString('latin1') !== checksumOf(json)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(json).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JournalRecord)
      : undefined;
  } catch {
    return undefined;
  }
}
