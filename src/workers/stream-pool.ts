/**
 * StreamPool: threads that encode exports for streams, no faster than these are read.
 *
 * A thread holds many streams, each where its reader has stopped, and works for those that are being read. So few threads
 * do for all, and no reader ever waits for another one to go on. They are no threads of the analysis pool, since a
 * reader may be waiting for an answer of that. What grows with the streams is memory: so many may be begun at a time,
 * and others wait until one of those ends.
 */
import { AnalysisError, deserializeError, StateError, TelemetryError } from '../errors.js';
import type { DamagedBatch } from '../storage/damage.js';
import type { StreamRequest } from './stream.worker.js';
import { StreamThread } from './stream-thread.js';

/** Streams that are begun and not ended, at most. */
const STREAMS_MAX = 256;
/** How long a thread may have no streams, ms. Starting one takes about 100. */
const IDLE_MS = 5_000;

export interface StreamPoolOptions {
  /** At most so many threads; at least one. */
  readonly threads: number;
  readonly streamsMax?: number;
  /** What the threads run; tests bring others. */
  readonly program?: URL;
}

/** Where a stream's bytes come from. Nothing happens before the first is asked for. */
export interface ChunkSource {
  /** One call at a time. @returns the next chunk, for the caller to keep; null at the end */
  next(): Promise<Uint8Array | null>;
  /** Nothing more is wanted; a call that is under way never settles, or with an error. */
  end(): void;
}

export class StreamPool {
  readonly #options: StreamPoolOptions;
  /** All that have not ended, each with what ends it when it has had no streams for a while. */
  readonly #threads = new Map<StreamThread, NodeJS.Timeout>();
  #begun = 0;
  /** Streams for which there are too many others, in the order they came. */
  readonly #waiting: (() => void)[] = [];
  #lastNumber = 0;
  #closed = false;

  constructor(options: StreamPoolOptions) {
    this.#options = options;
  }

  /**
   * The bytes of an export. `next` throws whatever the export throws; AnalysisError ERR_WORKER_FAILED when the thread
   * died; MemoryError; StateError ERR_CLOSED.
   * @param onDamaged - told what could not be read, at the end
   */
  open(request: StreamRequest, onDamaged: (damaged: readonly DamagedBatch[]) => void): ChunkSource {
    return new PooledStream(this, ++this.#lastNumber, request, onDamaged);
  }

  /** @internal Begins a stream on a thread when there may be one more. */
  async begin(stream: number, request: StreamRequest): Promise<StreamThread> {
    const { streamsMax = STREAMS_MAX } = this.#options;
    if (this.#begun < streamsMax) this.#begun++;
    else await this.#place();
    try {
      if (this.#closed) throw closed();
      const thread = this.#thread();
      thread.begin(stream, request);
      return thread;
    } catch (error) {
      this.#next();
      throw error;
    }
  }

  /** @internal Ends a stream that was begun. */
  end(stream: number, thread: StreamThread): void {
    thread.end(stream);
    this.#threads.get(thread)?.refresh();
    this.#next();
  }

  /** @internal What is thrown for why a thread ended. */
  failure(cause: unknown): TelemetryError {
    if (cause instanceof TelemetryError) return cause;
    if (this.#closed) return closed();
    const message = cause instanceof Error ? cause.message : String(cause);
    return new AnalysisError('ERR_WORKER_FAILED', `the thread of an export died: ${message}`, {}, { cause });
  }

  /** Resolves when another stream has ended. Who waits keeps the process alive, whatever the others do. */
  async #place(): Promise<void> {
    const [holder] = this.#threads.keys();
    holder?.hold();
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
    holder?.letGo();
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#begun--;
    else next();
  }

  /** The thread with the fewest streams, or one more while there may be more and all have some. */
  #thread(): StreamThread {
    const [least] = [...this.#threads.keys()].sort((a, b) => a.streams - b.streams);
    const { threads, program } = this.#options;
    if (least !== undefined && (least.streams === 0 || this.#threads.size >= threads)) return least;
    const thread = new StreamThread({ program });
    const timer = setTimeout(() => {
      if (thread.streams > 0) return;
      this.#threads.delete(thread);
      thread.dismiss();
    }, IDLE_MS).unref();
    this.#threads.set(thread, timer);
    void thread.ended.then(() => {
      this.#threads.delete(thread);
      clearTimeout(timer);
    });
    return thread;
  }

  /** Ends the threads; whoever waits for a chunk gets ERR_CLOSED. Resolves when none is left. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const next of this.#waiting.splice(0)) next();
    await Promise.all([...this.#threads.keys()].map((thread) => thread.kill()));
  }
}

class PooledStream implements ChunkSource {
  readonly #pool: StreamPool;
  readonly #number: number;
  readonly #request: StreamRequest;
  readonly #onDamaged: (damaged: readonly DamagedBatch[]) => void;
  #thread: StreamThread | undefined;
  /** The chunk after the one that was given last: it is encoded while that one is read. */
  #ahead: Promise<Uint8Array | null> | undefined;
  #isOver = false;

  constructor(
    pool: StreamPool,
    number: number,
    request: StreamRequest,
    onDamaged: (damaged: readonly DamagedBatch[]) => void,
  ) {
    this.#pool = pool;
    this.#number = number;
    this.#request = request;
    this.#onDamaged = onDamaged;
  }

  async next(): Promise<Uint8Array | null> {
    const chunk = await (this.#ahead ?? this.#ask());
    if (chunk === null || this.#isOver) return null;
    this.#ahead = this.#ask();
    // Told to whoever asks for it.
    this.#ahead.catch(() => {});
    return chunk;
  }

  end(): void {
    this.#isOver = true;
    if (this.#thread !== undefined) this.#pool.end(this.#number, this.#thread);
    this.#thread = undefined;
  }

  async #ask(): Promise<Uint8Array | null> {
    try {
      this.#thread ??= await this.#pool.begin(this.#number, this.#request);
      // Its reader may have left while it waited for a place.
      if (this.#isOver) {
        this.end();
        return null;
      }
      const news = await this.#thread.ask(this.#number);
      if ('chunk' in news) return news.chunk;
      this.end();
      if ('error' in news) throw deserializeError(news.error);
      if (news.damaged.length > 0) this.#onDamaged(news.damaged);
      return null;
    } catch (error) {
      this.end();
      throw this.#pool.failure(error);
    }
  }
}

function closed(): StateError {
  return new StateError('ERR_CLOSED', 'this Crucible was closed');
}
