/** A file being imported: its bytes from the beginning, decompressed on the way, or any part of it. */

import { type FileHandle, open } from 'node:fs/promises';
import { Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { ConfigError, ImportError } from '../errors.js';
import { ZstdFrame } from '../formats/compression/zstd-frames.js';
import { ofSystem } from '../system-errors.js';
import { type Compression, compressionOf, HEAD_BYTES } from './format.js';

const READ_CHUNK_BYTES = 256 * 1024;

/** Called after each part that is read, with the bytes read so far and the file's size; null where it has none. */
export type OnBytes = (bytes: number, totalBytes: number | null) => void;

export interface DecompressionLimits {
  /** Bytes that may come out of a compressed file; default: any number. */
  maxOutputBytes?: number;
  /** Bytes that may come out of each byte of it, once there are 64 MiB of them; default 250, where text gives 3 to 50. */
  maxRatio?: number;
}

const RATIO_MAX = 250;
/** Below that no ratio is too large. */
const RATIO_FREE_BYTES = 64 * 1024 * 1024;
/** As much of a compressed file as is decompressed to see what is in it. */
const COMPRESSED_HEAD_BYTES = 4096;

/** Where a file's bytes come from. */
interface ByteOrigin {
  /** Bytes; null for what is no regular file. */
  readonly size: number | null;
  /** The next bytes; none at the end. */
  next(): Promise<Uint8Array>;
  /** Bytes from a place on; absent where there is only a next. */
  readonly at?: (bytes: Uint8Array, from: number, position: number) => Promise<number>;
  hasChanged(): Promise<boolean>;
  close(): Promise<void>;
  /** Lets go of what is waited for, which may never come. */
  abandon(): void;
}

export class SourceFile {
  readonly path: string;
  /** The first bytes of what is in the file, decompressed. */
  readonly head: Uint8Array;
  readonly compression: Compression | null;
  readonly #origin: ByteOrigin;
  readonly #onBytes: OnBytes;
  readonly #limits: DecompressionLimits;
  /** Bytes that have been looked at already. */
  readonly #begun: Uint8Array;
  #bytes = 0;

  private constructor(
    path: string,
    origin: ByteOrigin,
    begun: Uint8Array,
    onBytes: OnBytes,
    limits: DecompressionLimits,
  ) {
    this.path = path;
    this.#origin = origin;
    this.#begun = begun;
    this.#onBytes = onBytes;
    this.#limits = limits;
    this.compression = compressionOf(begun);
    this.head = headOf(begun, this.compression).subarray(0, HEAD_BYTES);
  }

  /** @throws StorageError ERR_STORAGE_IO */
  static async open(path: string, onBytes: OnBytes, limits: DecompressionLimits = {}): Promise<SourceFile> {
    let origin: ByteOrigin | null = null;
    try {
      origin = await openedFile(path);
      return new SourceFile(path, origin, await origin.next(), onBytes, limits);
    } catch (cause) {
      await origin?.close();
      throw unreadable(path, cause);
    }
  }

  /**
   * What comes out of a stream, such as standard input. Parts of it cannot be reached, which Parquet needs.
   * @param name - what messages call it
   */
  static async ofStream(
    name: string,
    stream: AsyncIterable<Uint8Array>,
    onBytes: OnBytes,
    limits: DecompressionLimits = {},
  ): Promise<SourceFile> {
    const origin = streamed(stream);
    try {
      return new SourceFile(name, origin, await origin.next(), onBytes, limits);
    } catch (cause) {
      throw unreadable(name, cause);
    }
  }

  /** Bytes; null for what is no regular file. */
  get size(): number | null {
    return this.#origin.size;
  }

  /**
   * What is in the file, once.
   * @throws StorageError; ImportError for what cannot be decompressed, gives more than it may, or has shrunk
   */
  async *chunks(): AsyncGenerator<Uint8Array> {
    if (this.compression === null) {
      yield* this.#raw();
      return;
    }
    let outputBytes = 0;
    for await (const part of this.compression === 'zstd' ? framesOf(this.#raw()) : [this.#raw()]) {
      for await (const chunk of this.#decompressed(part, decoderOf(this.compression, this.path))) {
        outputBytes += chunk.length;
        this.#checkOutput(outputBytes);
        yield chunk;
      }
    }
  }

  async *#decompressed(part: AsyncIterable<Uint8Array>, decoder: Transform): AsyncGenerator<Uint8Array> {
    const raw = Readable.from(part, { objectMode: false });
    let failure: unknown;
    raw.on('error', (error) => {
      failure = error;
      decoder.destroy(error);
    });
    raw.pipe(decoder);
    try {
      yield* decoder as AsyncIterable<Uint8Array>;
    } catch (cause) {
      if (failure !== undefined && !(failure instanceof FrameCut)) throw failure;
      if (cause instanceof ImportError) throw cause;
      const message = `${this.path} cannot be decompressed: ${(cause as Error).message}`;
      throw new ImportError('ERR_FILE_CORRUPT', message, { path: this.path }, { cause });
    } finally {
      raw.destroy();
      decoder.destroy();
    }
  }

  /** Bytes that may come out of so many. */
  outputMax(bytes: number): number {
    const { maxOutputBytes = Number.POSITIVE_INFINITY, maxRatio = RATIO_MAX } = this.#limits;
    return Math.min(maxOutputBytes, Math.max(RATIO_FREE_BYTES, maxRatio * bytes));
  }

  #checkOutput(outputBytes: number): void {
    const limit = this.outputMax(this.#bytes);
    if (outputBytes <= limit) return;
    const option = limit === this.#limits.maxOutputBytes ? 'maxOutputBytes' : 'maxRatio';
    throw new ImportError(
      'ERR_FILE_TOO_LARGE',
      `${this.path}: more than ${limit} bytes come out of the first ${this.#bytes}; ${option} allows for more`,
      { path: this.path, bytes: this.#bytes, limit },
    );
  }

  /** Any part of what is in the file; null where only its beginning can be reached. */
  end(): { size: number; slice(start: number, end: number): Promise<ArrayBuffer> } | null {
    if (this.size === null || this.compression !== null) return null;
    return { size: this.size, slice: (start, end) => this.slice(start, end) };
  }

  /**
   * Bytes [start, end), which must be there.
   * @throws RangeError for what is outside of the file; StorageError; ImportError when the file has changed
   */
  async slice(start: number, end: number): Promise<ArrayBuffer> {
    if (!(start >= 0 && start <= end && end <= (this.size ?? 0))) {
      throw new RangeError(`bytes ${start} to ${end} are not in a file of ${this.size}`);
    }
    const bytes = new Uint8Array(end - start);
    for (let from = 0; from < bytes.length; ) {
      const bytesRead = await this.#origin.at!(bytes, from, start + from).catch((cause) =>
        Promise.reject(unreadable(this.path, cause)),
      );
      if (bytesRead === 0) throw this.#changed();
      from += bytesRead;
    }
    return bytes.buffer;
  }

  /** Reports how far a reader of parts has come. @throws ImportError when the file has changed since it was opened */
  async advance(bytes: number): Promise<void> {
    if (await this.#origin.hasChanged()) throw this.#changed();
    this.#onBytes(bytes, this.size);
  }

  async close(): Promise<void> {
    await this.#origin.close();
  }

  /** Lets go of it while bytes are waited for. */
  abandon(): void {
    this.#origin.abandon();
  }

  async *#raw(): AsyncGenerator<Uint8Array> {
    let chunk = this.#begun;
    while (chunk.length > 0) {
      this.#bytes += chunk.length;
      this.#onBytes(this.#bytes, this.size);
      yield chunk;
      try {
        chunk = await this.#origin.next();
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

async function openedFile(path: string): Promise<ByteOrigin> {
  const handle = await open(path, 'r');
  try {
    const stat = await handle.stat();
    const isRegular = stat.isFile();
    let position = 0;
    return {
      size: isRegular ? stat.size : null,
      async next() {
        const bytes = await readSome(handle, isRegular ? position : null);
        position += bytes.length;
        return bytes;
      },
      at: async (bytes, from, place) =>
        (await handle.read(bytes, from, bytes.length - from, place)).bytesRead,
      async hasChanged() {
        const { size, mtimeMs } = await handle.stat();
        return isRegular && (size !== stat.size || mtimeMs !== stat.mtimeMs);
      },
      close: () => handle.close(),
      abandon() {},
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function streamed(stream: AsyncIterable<Uint8Array>): ByteOrigin {
  const chunks = stream[Symbol.asyncIterator]();
  /** Of a chunk that is longer than what is read at a time. */
  let rest: Uint8Array = new Uint8Array(0);
  return {
    size: null,
    async next() {
      while (rest.length === 0) {
        const { done, value } = await chunks.next();
        if (done === true) return rest;
        rest = bytesOf(value);
      }
      const chunk = rest.subarray(0, READ_CHUNK_BYTES);
      rest = rest.subarray(chunk.length);
      return chunk;
    },
    hasChanged: () => Promise.resolve(false),
    close: async () => void (await chunks.return?.()),
    abandon: () => destroyStream(stream),
  };
}

/** Ends a stream that can be ended from outside, so that nothing of it keeps the process alive. */
export function destroyStream(stream: AsyncIterable<Uint8Array>): void {
  const { destroy } = stream as { destroy?: unknown };
  if (typeof destroy === 'function') destroy.call(stream);
}

/** @throws ConfigError for what is no bytes; text is UTF-8 */
function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === 'string') return Buffer.from(chunk);
  throw new ConfigError('files', 'a stream of bytes or of texts', chunk);
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
  zstdDecompressSync?(
    bytes: Uint8Array,
    options: { finishFlush: number; maxOutputLength: number },
  ): Uint8Array;
  createZstdDecompress?(): Transform;
  constants: { ZSTD_e_flush: number };
};

/** What the first bytes of a file decompress to, which may end anywhere. */
function headOf(begun: Uint8Array, compression: Compression | null): Uint8Array {
  if (compression === null) return begun;
  try {
    const some = begun.subarray(0, COMPRESSED_HEAD_BYTES);
    if (compression === 'gzip') return zlib.gunzipSync(some, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    // A block of Zstandard, up to 128 KiB, is decompressed whole.
    return (
      zstd.zstdDecompressSync?.(begun, {
        finishFlush: zstd.constants.ZSTD_e_flush,
        maxOutputLength: RATIO_FREE_BYTES,
      }) ?? new Uint8Array(0)
    );
  } catch {
    // It will be told when the file is read.
    return new Uint8Array(0);
  }
}

class FrameCut extends Error {}

/** The bytes of each frame, to be read one frame after the other. */
async function* framesOf(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<AsyncIterable<Uint8Array>> {
  let left: Uint8Array = new Uint8Array(0);
  const hasMore = async () => {
    while (left.length === 0) {
      const { value, done } = await chunks.next();
      if (done === true) return false;
      left = value;
    }
    return true;
  };
  const frame = async function* () {
    const found = new ZstdFrame();
    while (!found.isWhole) {
      if (!(await hasMore())) throw new FrameCut('it ends within a frame');
      const bytes = found.push(left);
      yield left.subarray(0, bytes);
      left = left.subarray(bytes);
    }
  };
  try {
    while (await hasMore()) yield frame();
  } finally {
    await chunks.return(undefined);
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
  return ofSystem(cause, 'read', path);
}
