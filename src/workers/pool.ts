/**
 * AnalysisPool: the threads on which experiments are read and summed up, so that the capturing thread is not held up.
 *
 * Threads are started when there is work and end when there has been none for a while. A thread that dies takes its
 * task with it, which fails with a typed error; the next task gets a new one.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { Piscina as PiscinaClass } from '../../generated/piscina.js';
import { AnalysisError, deserializeError, StateError, TelemetryError } from '../errors.js';
import type { ExportProgress } from '../export/index.js';
import type { DamagedBatch } from '../storage/damage.js';
import { checkThreadSpace, threadStart } from '../thread.js';
import type { Request, Response, RowsAccess } from './analysis.worker.js';
import { ANALYSIS_HANDLER } from './handler.js';
import type { ResultOf, Task } from './tasks.js';

/** How long a thread may have nothing to do, ms. Starting one takes about 100. */
const IDLE_MS = 30_000;

export interface PoolOptions {
  /** At most so many threads; at least one. */
  readonly threads: number;
  /** Of a thread's JavaScript heap. */
  readonly heapMb?: number;
  /** The module that answers requests; tests bring others. */
  readonly module?: URL;
}

export interface TaskHooks {
  /** Told what could not be read, when it is known. */
  onDamaged(damaged: readonly DamagedBatch[]): void;
  /** Of an export. */
  readonly onProgress?: ((progress: ExportProgress) => void) | undefined;
  /** Ends the thread; one that writes a file may leave temporary files. */
  readonly signal?: AbortSignal | undefined;
}

export class AnalysisPool {
  readonly #options: PoolOptions;
  #piscina: Piscina<Request, Response> | undefined;
  #running = 0;
  /** Tasks for which there is no thread yet, in the order they came. */
  readonly #waiting: (() => void)[] = [];
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /**
   * Does a task on one of the threads.
   * @throws whatever the task throws; what the signal's reason is when that ended it; AnalysisError ERR_WORKER_FAILED when
   *   its thread died; StateError ERR_CLOSED
   */
  async run<T extends Task>(parts: readonly RowsAccess[], task: T, hooks: TaskHooks): Promise<ResultOf<T>> {
    const { onProgress } = hooks;
    if (onProgress === undefined)
      return (await this.#run({ parts, task, port: null }, [], hooks)) as ResultOf<T>;
    const { port1, port2 } = new MessageChannel();
    port1.on('message', onProgress);
    try {
      return (await this.#run({ parts, task, port: port2 }, [port2], hooks)) as ResultOf<T>;
    } finally {
      port1.close();
    }
  }

  async #run(
    request: Request,
    transferList: MessagePort[],
    { onDamaged, signal }: TaskHooks,
  ): Promise<unknown> {
    // Not more than there are threads: what waits inside Piscina is forgotten when the thread before it dies.
    if (this.#running === this.#options.threads) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    } else {
      this.#running++;
    }
    try {
      if (this.#closed) throw closed();
      signal?.throwIfAborted();
      const response = await this.#threads().run(request, { transferList, ...(signal && { signal }) });
      if ('error' in response) throw deserializeError(response.error);
      if (response.damaged.length > 0) onDamaged(response.damaged);
      return response.result;
    } catch (error) {
      if (error instanceof TelemetryError) throw error;
      if (signal?.aborted) throw signal.reason;
      throw this.#closed ? closed() : workerFailed(error);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  /** @throws MemoryError when there is no room for a thread */
  #threads(): Piscina<Request, Response> {
    const { threads, heapMb, module } = this.#options;
    if (this.#running > (this.#piscina?.threads.length ?? 0)) checkThreadSpace();
    if (this.#piscina !== undefined) return this.#piscina;
    const piscina: Piscina<Request, Response> = new PiscinaClass({
      filename: module?.href ?? ANALYSIS_HANDLER,
      workerData: threadStart('analysis'),
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: IDLE_MS,
      // A thread that waits for its next task lets go of what it has opened meanwhile.
      atomics: 'disabled',
      // What the program was started with is not meant for these threads.
      execArgv: [],
      recordTiming: false,
      ...(heapMb !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMb } }),
    });
    // A thread that dies between tasks, or before its first one, which would wait for it for ever.
    piscina.on('error', () => {
      if (this.#piscina === piscina) this.#piscina = undefined;
      void piscina.destroy();
    });
    this.#piscina = piscina;
    return piscina;
  }

  /** Ends the threads; what they were at is rejected with ERR_CLOSED. Resolves when none is left. */
  close(): Promise<void> {
    this.#closed = true;
    this.#closing ??= Promise.resolve(this.#piscina?.destroy());
    return this.#closing;
  }

  get isClosed(): boolean {
    return this.#closed;
  }
}

function closed(): StateError {
  return new StateError('ERR_CLOSED', 'this Crucible was closed');
}

function workerFailed(cause: unknown): AnalysisError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new AnalysisError('ERR_WORKER_FAILED', `the thread of an analysis died: ${message}`, {}, { cause });
}
