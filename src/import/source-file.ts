/** A file being imported: its bytes from the beginning, decompressed on the way, or any part of it. */

import { type FileHandle, open } from 'node:fs/promises';
import { Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { ImportError, StorageError } from '../errors.js';
import { type Compression, compressionOf, HEAD_BYTES } from './format.js';

const READ_CHUNK_BYTES = 256 * 1024;

/** Called after each part that is read, with the bytes read so far and the file's size; null where it has none. */
export type OnBytes = (bytes: number, totalBytes: number | null) => void;

export class SourceFile {
  readonly path: string;
  /** The first bytes of what is in the file, decompressed. */
  readonly head: Uint8Array;
  /** Bytes; null for what is no regular file. */
  readonly size: number | null;
  readonly compression: Compression | null;
  readonly #handle: FileHandle;
  readonly #modifiedMs: number;
  readonly #onBytes: OnBytes;
  /** Bytes that have been looked at already. */
  readonly #begun: Uint8Array;
  #bytes = 0;

  private constructor(
    path: string,
    handle: FileHandle,
    stat: { readonly size: number | null; readonly mtimeMs: number },
    begun: Uint8Array,
    onBytes: OnBytes,
  ) {
    this.path = path;
    this.#handle = handle;
    this.size = stat.size;
    this.#modifiedMs = stat.mtimeMs;
    this.#begun = begun;
    this.#onBytes = onBytes;
    this.compression = compressionOf(begun);
    this.head = headOf(begun, this.compression).subarray(0, HEAD_BYTES);
  }

  /** @throws StorageError ERR_STORAGE_IO */
  static async open(path: string, onBytes: OnBytes): Promise<SourceFile> {
    let handle: FileHandle | null = null;
    try {
      handle = await open(path, 'r');
      const stat = await handle.stat();
      const begun = await readSome(handle, null);
      const size = stat.isFile() ? stat.size : null;
      return new SourceFile(path, handle, { size, mtimeMs: stat.mtimeMs }, begun, onBytes);
    } catch (cause) {
      await handle?.close();
      throw unreadable(path, cause);
    }
  }

  /** What is in the file, once. @throws StorageError; ImportError for what cannot be decompressed, or has shrunk */
  async *chunks(): AsyncGenerator<Uint8Array> {
    if (this.compression === null) {
      yield* this.#raw();
      return;
    }
    const decoder = decoderOf(this.compression, this.path);
    const raw = Readable.from(this.#raw(), { objectMode: false });
    let failure: unknown;
    raw.on('error', (error) => {
      failure = error;
      decoder.destroy(error);
    });
    raw.pipe(decoder);
    try {
      for await (const chunk of decoder as AsyncIterable<Uint8Array>) yield chunk;
    } catch (cause) {
      if (failure !== undefined) throw failure;
      const message = `${this.path} cannot be decompressed: ${(cause as Error).message}`;
      throw new ImportError('ERR_FILE_CORRUPT', message, { path: this.path }, { cause });
    } finally {
      raw.destroy();
      decoder.destroy();
    }
  }

  /** Any part of what is in the file; null where only its beginning can be reached. */
  end(): { size: number; slice(start: number, end: number): Promise<ArrayBuffer> } | null {
    if (this.size === null || this.compression !== null) return null;
    return { size: this.size, slice: (start, end) => this.slice(start, end) };
  }

  /** Bytes [start, end), which must be there. @throws StorageError; ImportError when the file has changed */
  async slice(start: number, end: number): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(end - start);
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await this.#handle
        .read(bytes, at, bytes.length - at, start + at)
        .catch((cause) => Promise.reject(unreadable(this.path, cause)));
      if (bytesRead === 0) throw this.#changed();
      at += bytesRead;
    }
    return bytes.buffer;
  }

  /** Reports how far a reader of parts has come. @throws ImportError when the file has changed since it was opened */
  async advance(bytes: number): Promise<void> {
    const { size, mtimeMs } = await this.#handle.stat();
    if (size !== this.size || mtimeMs !== this.#modifiedMs) throw this.#changed();
    this.#onBytes(bytes, this.size);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async *#raw(): AsyncGenerator<Uint8Array> {
    let chunk = this.#begun;
    while (chunk.length > 0) {
      this.#bytes += chunk.length;
      this.#onBytes(this.#bytes, this.size);
      yield chunk;
      try {
        chunk = await readSome(this.#handle, this.size === null ? null : this.#bytes);
      } catch (cause) {
        throw unreadable(this.path, cause);
      }
    }
    if (this.#bytes === 0) this.#onBytes(0, this.size);
    // One that grows, such as a log, is read as far as it goes.
    if (this.size !== null && this.#bytes < this.size) throw this.#changed();
  }

  #changed(): ImportError {
    return new ImportError('ERR_FILE_CHANGED', `${this.path} has changed while it was read`, {
      path: this.path,
    });
  }
}

/** A fresh buffer each time: a consumer may still hold the one before. */
async function readSome(handle: FileHandle, position: number | null): Promise<Uint8Array> {
  const { bytesRead, buffer } = await handle.read(
    new Uint8Array(READ_CHUNK_BYTES),
    0,
    READ_CHUNK_BYTES,
    position,
  );
  return buffer.subarray(0, bytesRead);
}

/** Of Node 22.15 and later; not among the types of Node 20. */
const zstd = zlib as unknown as {
  zstdDecompressSync?(bytes: Uint8Array, options: { finishFlush: number }): Uint8Array;
  createZstdDecompress?(): Transform;
  constants: { ZSTD_e_flush: number };
};

/** What the first bytes of a file decompress to, which may end anywhere. */
function headOf(begun: Uint8Array, compression: Compression | null): Uint8Array {
  if (compression === null) return begun;
  try {
    if (compression === 'gzip') {
      return zlib.gunzipSync(begun, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    }
    const head = zstd.zstdDecompressSync?.(begun, { finishFlush: zstd.constants.ZSTD_e_flush });
    return head ?? new Uint8Array(0);
  } catch {
    // It will be told when the file is read.
    return new Uint8Array(0);
  }
}

/** Node has Zstandard from 22.15 on. */
function decoderOf(compression: Compression, path: string): Transform {
  if (compression === 'gzip') return zlib.createGunzip();
  if (zstd.createZstdDecompress !== undefined) return zstd.createZstdDecompress();
  const message = `${path} is compressed by Zstandard, which this version of Node cannot read (22.15 can)`;
  throw new ImportError('ERR_UNSUPPORTED_FORMAT', message, { path, compression });
}

function unreadable(path: string, cause: unknown): unknown {
  const { code, syscall } = cause as NodeJS.ErrnoException;
  if (typeof code !== 'string' || syscall === undefined) return cause;
  const reason = Object.hasOwn(REASONS, code) ? `${REASONS[code]} (${code})` : code;
  return new StorageError('ERR_STORAGE_IO', `cannot read ${path}: ${reason}`, { path }, { cause });
}

/** The usual ones, in words. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
};
