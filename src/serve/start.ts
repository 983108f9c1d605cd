/**
 * `serve` as the capturing thread has it: it starts the server's thread, and tells it what experiments there are. The
 * server reads their rows and sums from shared memory and files by itself, so that nobody who looks holds up capture.
 */
import type { Worker } from 'node:worker_threads';
import { deserializeError, ServeError, serializeError } from '../errors.js';
import type { Score } from '../readers/score-table.js';
import type { StudyVerdict } from '../study/verdict.js';
import { startThread } from '../thread.js';
import { VERSION } from '../version.js';
import { DEFAULT_PORT, isLoopback, resolveServeOptions, type ServeOptions } from './options.js';
import type {
  FromServer,
  ProcessExperiment,
  Question,
  ServerStart,
  StudyTold,
  ToServer,
} from './protocol.js';

export interface ServeHandle {
  /** Of the page, with a slash at its end. */
  readonly url: string;
  /** Ends all connections, and the thread. */
  close(): Promise<void>;
}

/** The experiments of a process, as they are now. */
export interface ServedProcess {
  /** Their ids. */
  ids(): readonly string[];
  /** @param known - whether its access was told before */
  tell(id: string, known: boolean): ProcessExperiment | null;
  /** Studies of the process and of its folder. @throws StorageError */
  studies(): readonly StudyTold[];
  /** A look at a study's verdict, which its book notes. @throws as Study.verdict, NotFoundError */
  verdict(study: string): Promise<StudyVerdict>;
  /** Those of an experiment of the process. @throws NotFoundError, StateError */
  scores(experiment: string): readonly Score[];
}

/** How often experiments are looked at while anybody reads, and for how long at once, ms. */
const TELL_MS = 250;
const TELL_AT_ONCE_MS = 2;

/** @throws ConfigError, MemoryError; ServeError ERR_SERVE_FAILED when the address cannot be listened on */
export async function startServing(
  served: ServedProcess,
  options: ServeOptions,
  defaultDir: string | undefined,
): Promise<ServeHandle> {
  const resolved = resolveServeOptions(options, defaultDir);
  // Loaded when it is wanted: most programs serve nothing.
  const { PAGE_FILES: files } = await import('../../generated/page.js');
  const start: ServerStart = { options: resolved, version: VERSION, files };
  const worker = startThread('serve', { data: start });
  const teller = new Teller(worker, served);
  try {
    const port = await listening(worker);
    worker.unref();
    return { url: `http://${urlHost(resolved.host)}:${port}/`, close: () => teller.close() };
  } catch (error) {
    await teller.close();
    throw error;
  }
}

export { DEFAULT_PORT, isLoopback, type ServeOptions };

function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

function listening(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.on('message', (message: FromServer) => {
      if (message.kind === 'listening') resolve(message.port);
      if (message.kind === 'failed') reject(deserializeError(message.error));
    });
    worker.on('error', (cause) => {
      reject(new ServeError('ERR_SERVE_FAILED', `the server's thread died: ${String(cause)}`, {}, { cause }));
      // Whoever serves goes on without it.
      process.emitWarning(`the page is not served any more: ${String(cause)}`, {
        type: 'CrucibleWarning',
        code: 'CRUCIBLE_SERVE',
      });
    });
    worker.once('exit', () => reject(new ServeError('ERR_SERVE_FAILED', "the server's thread ended")));
  });
}

/** Tells the server's thread what has changed of the experiments, as long as anybody looks. */
class Teller {
  readonly #worker: Worker;
  readonly #served: ServedProcess;
  /** What was told last, by id. */
  readonly #told = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  /** Ids that are still to be looked at in this round. */
  #queue: string[] = [];

  constructor(worker: Worker, served: ServedProcess) {
    this.#worker = worker;
    this.#served = served;
    worker.on('message', (message: FromServer) => {
      if (message.kind === 'watched') this.#watch(message.watched);
      if (message.kind === 'asked') void this.#answer(message.number, message.question);
    });
    worker.once('exit', () => this.#watch(false));
    this.#tell(Number.POSITIVE_INFINITY);
  }

  async #answer(number: number, question: Question): Promise<void> {
    let message: ToServer;
    try {
      message = { number, answer: await this.#answerTo(question) };
    } catch (error) {
      message = { number, error: serializeError(error) };
    }
    this.#worker.postMessage(message);
  }

  #answerTo(question: Question): unknown {
    switch (question.what) {
      case 'studies':
        return this.#served.studies();
      case 'verdict':
        return this.#served.verdict(question.study);
      case 'scores':
        return this.#served.scores(question.experiment);
    }
  }

  #watch(watched: boolean): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (!watched) return;
    this.#tell(Number.POSITIVE_INFINITY);
    this.#timer = setInterval(() => this.#tell(TELL_AT_ONCE_MS), TELL_MS).unref();
  }

  #tell(atOnceMs: number): void {
    const ids = new Set(this.#served.ids());
    const gone = [...this.#told.keys()].filter((id) => !ids.has(id));
    for (const id of gone) this.#told.delete(id);
    if (this.#queue.length === 0) this.#queue = [...ids];
    const experiments: ProcessExperiment[] = [];
    const untilMs = performance.now() + atOnceMs;
    while (this.#queue.length > 0 && performance.now() < untilMs) {
      const id = this.#queue.shift() as string;
      const found = ids.has(id) ? this.#served.tell(id, this.#told.has(id)) : null;
      if (found === null) continue;
      const text = JSON.stringify(found.descriptor);
      if (this.#told.get(id) === text) continue;
      this.#told.set(id, text);
      experiments.push(found);
    }
    if (experiments.length === 0 && gone.length === 0) return;
    this.#worker.postMessage({ experiments, gone } satisfies ToServer);
  }

  async close(): Promise<void> {
    this.#watch(false);
    this.#worker.postMessage(null);
    await this.#worker.terminate();
  }
}
