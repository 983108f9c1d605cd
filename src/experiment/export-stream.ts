/**
 * Exports as streams: readable, with back-pressure, and ended when nobody reads them any more.
 *
 * A reader that leaves does not say so: after `source.pipe(response)` the source of a response whose client has gone is
 * paused for ever, as Node documents. So a stream that is not read for a while ends by itself, and does not keep the
 * process alive meanwhile.
 */
import { Readable } from 'node:stream';
import { ConfigError, ExportError, StateError } from '../errors.js';
import { type FileExportOptions, waysOf } from '../export/index.js';
import type { ChunkSource, StreamPool } from '../workers/stream-pool.js';
import { type ExportTask, exportedChunks } from '../workers/tasks.js';
import type { ExportOptions } from './exporting.js';
import { accessesOf, damageNoted, isForHere, rowsOf, type Selected } from './reads.js';

export interface StreamExportOptions extends ExportOptions {
  /**
   * How long the stream may wait for its reader, ms: then it ends with ExportError ERR_STREAM_ABANDONED. Default
   * 120,000; 0: for ever.
   */
  idleTimeoutMs?: number | undefined;
}

const IDLE_TIMEOUT_MS = 120_000;
/** What timers can wait, ms. */
const IDLE_TIMEOUT_MAX_MS = 2 ** 31 - 1;
/** Bytes that a reader is given at once: each time it takes some it has shown that it is there. */
const PIECE_BYTES = 64 * 1024;
/** The streams of a Crucible. */
export class ExportStreams {
  readonly #pool: StreamPool | null;
  readonly #open = new Set<ExportStream>();

  /** @param pool - null where the calling thread encodes */
  constructor(pool: StreamPool | null) {
    this.#pool = pool;
  }

  /**
   * The rows as a stream. Errors are those of `writeExport`, on the stream.
   * @throws ConfigError for an invalid option, or a filter that no thread can be sent
   */
  open(
    parts: readonly Selected[],
    format: string,
    options: FileExportOptions & StreamExportOptions,
  ): Readable {
    const { filter: _, onProgress: __, signal, idleTimeoutMs = IDLE_TIMEOUT_MS, ...rest } = options;
    if (typeof idleTimeoutMs !== 'number' || !(idleTimeoutMs >= 0 && idleTimeoutMs <= IDLE_TIMEOUT_MAX_MS)) {
      throw new ConfigError(
        'idleTimeoutMs',
        `a number of ms from 0 to ${IDLE_TIMEOUT_MAX_MS}`,
        idleTimeoutMs,
      );
    }
    const task = { kind: 'export', format, options: waysOf(format, { ...rest, path: undefined }) } as const;
    const source =
      this.#pool === null || isForHere(parts, task)
        ? new ChunksHere(parts, task)
        : this.#pool.open({ parts: accessesOf(parts), task }, damageNoted(parts));
    const stream = new ExportStream(source, idleTimeoutMs);
    this.#open.add(stream);
    const abort = () => stream.destroy(signal?.reason as Error);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    stream.once('close', () => {
      this.#open.delete(stream);
      signal?.removeEventListener('abort', abort);
    });
    return stream;
  }

  /** Ends all streams with ERR_CLOSED, and the threads. */
  async close(): Promise<void> {
    for (const stream of this.#open) {
      stream.endWith(new StateError('ERR_CLOSED', 'the Crucible of this export stream was closed'));
    }
    await this.#pool?.close();
  }
}

class ExportStream extends Readable {
  readonly #source: ChunkSource;
  readonly #idle: NodeJS.Timeout | undefined;
  /** Whether the reader waits for us, and not we for it. */
  #isWanted = false;
  /** What has not been handed on of the last chunk. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: ChunkSource, idleTimeoutMs: number) {
    super();
    this.#source = source;
    if (idleTimeoutMs === 0) return;
    this.#idle = setTimeout(() => {
      if (!this.#isWanted) this.endWith(abandoned(idleTimeoutMs));
    }, idleTimeoutMs).unref();
  }

  /** Ends it with an error for whoever listens: nobody has to. */
  endWith(error: Error): void {
    this.on('error', () => {});
    this.destroy(error);
  }

  override _read(): void {
    this.#isWanted = true;
    if (this.#rest.length > 0) this.#give();
    else void this.#fetch();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#idle);
    this.#source.end();
    done(error);
  }

  async #fetch(): Promise<void> {
    try {
      const chunk = await this.#source.next();
      if (this.destroyed) return;
      if (chunk === null) {
        this.push(null);
        return;
      }
      this.#rest = chunk;
      this.#give();
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #give(): void {
    const piece = this.#rest.subarray(0, PIECE_BYTES);
    this.#rest = this.#rest.subarray(piece.length);
    this.#isWanted = false;
    this.#idle?.refresh();
    this.push(Buffer.from(piece.buffer, piece.byteOffset, piece.length));
  }
}

function abandoned(idleTimeoutMs: number): ExportError {
  const message = `nobody has read this export stream for ${idleTimeoutMs} ms, so it was ended: stream.pipeline ends it as soon as its reader leaves, and the option idleTimeoutMs sets how long it waits (0: for ever)`;
  return new ExportError('ERR_STREAM_ABANDONED', message, { idleTimeoutMs });
}

/** Chunks that the calling thread encodes, as they are asked for. */
class ChunksHere implements ChunkSource {
  readonly #parts: readonly Selected[];
  readonly #chunks: AsyncGenerator<Uint8Array>;
  readonly #ended = new AbortController();

  constructor(parts: readonly Selected[], task: ExportTask) {
    this.#parts = parts;
    this.#chunks = exportedChunks(rowsOf(parts), task, this.#ended.signal);
  }

  async next(): Promise<Uint8Array | null> {
    const { value, done } = await this.#chunks.next();
    return done === true ? null : value;
  }

  end(): void {
    this.#ended.abort();
    const released = () => {
      for (const { readable } of this.#parts) readable.release();
    };
    this.#chunks.return(undefined).then(released, released);
  }
}
