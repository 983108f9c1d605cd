/**
 * The spooler as the experiment's thread sees it: started, watched, asked to flush, replaced when it dies or hangs.
 */
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { deserializeError, StorageError, type TelemetryError } from '../../errors.js';
import { SpoolWords } from '../../ring/spool.js';
import { startThread } from '../../thread.js';
import type { DamagedBatch } from '../damage.js';
import { nodeFileSystem } from '../disk/file-system.js';
import type { FileSystemModule } from '../disk/file-system-module.js';
import { type CompactedOrder, runSpooler, type SpoolerNews, type SpoolerOrder } from './loop.js';
import type { ExperimentFields, SpoolerOptions } from './spooler.js';
import type { SpoolerWorkerData } from './spooler.worker.js';

/** How patient the experiment's thread is, in ms. */
export interface SpoolerTiming {
  /** Between two looks at whether the spooler still moves. */
  readonly watchMs: number;
  /** A spooler that has not moved for so long is replaced. Twice as long after each time. */
  readonly hangMs: number;
  /** Before a spooler that died is replaced. Twice as long after each time, up to `restartMaxMs`. */
  readonly restartMs: number;
  readonly restartMaxMs: number;
  /** At the end of a process, a spooler that has not moved for so long is taken for dead. */
  readonly exitPatienceMs: number;
}

const TIMING: SpoolerTiming = {
  watchMs: 1000,
  hangMs: 10_000,
  restartMs: 10,
  restartMaxMs: 1000,
  exitPatienceMs: 2000,
};
const HEAP_MB = 128;

export interface FlushOutcome {
  readonly completed: boolean;
  /** What was in the way; null when it was only time. */
  readonly error: TelemetryError | null;
}

/** Spoolers in a row that died before they had said anything: there is no use in waiting for another one. */
const FAILED_STARTS_MAX = 2;
/** Spoolers that died while somebody waited for them. */
const DEATHS_MAX = 3;

/** Somebody who waits for the spooler. */
interface Waiting {
  deaths: number;
}

interface WaitingFlush extends Waiting {
  readonly ticket: number;
  readonly settle: (outcome: FlushOutcome) => void;
}

interface WaitingFinish extends Waiting {
  readonly settle: (error: TelemetryError | null) => void;
}

export class SpoolerThread {
  readonly #options: Omit<SpoolerOptions, 'epoch'>;
  readonly #fileSystem: FileSystemModule | null;
  readonly #words: SpoolWords;
  readonly #onState: (error: TelemetryError | null) => void;
  readonly #onListed: () => void;
  readonly #onDamaged: (damaged: readonly DamagedBatch[]) => void;
  readonly #timing: SpoolerTiming;
  /** By segment; a spooler that takes over is told again. */
  readonly #compacted = new Map<number, { order: CompactedOrder; settle: () => void }>();
  readonly #flushes = new Set<WaitingFlush>();
  #experiment: ExperimentFields;
  #worker: Worker | undefined;
  /** The way to the thread at work. */
  #orders: MessagePort | undefined;
  #watch: NodeJS.Timeout;
  #beats = 0;
  #stillForMs = 0;
  #hangMs: number;
  #restartDelayMs: number;
  /** Until the next one is started. */
  #restartTimer: NodeJS.Timeout | undefined;
  #restarts = 0;
  /** Whether the one at work has said anything, and how many before it have not. */
  #hasSpoken = false;
  #failedStarts = 0;
  #finish: WaitingFinish | undefined;
  #ended = false;
  #error: TelemetryError | null = null;

  /**
   * @param onState - told when the storage fails, and with null when it works again
   * @param onListed - told when the document lists segments that it did not list before
   * @param onDamaged - told everything that has been found lost of what was written, when it is more than before
   */
  constructor(
    options: Omit<SpoolerOptions, 'epoch'>,
    experiment: ExperimentFields,
    fileSystem: FileSystemModule | null,
    onState: (error: TelemetryError | null) => void,
    onListed: () => void,
    onDamaged: (damaged: readonly DamagedBatch[]) => void,
    timing = TIMING,
  ) {
    this.#options = options;
    this.#experiment = experiment;
    this.#fileSystem = fileSystem;
    this.#onState = onState;
    this.#onListed = onListed;
    this.#onDamaged = onDamaged;
    this.#timing = timing;
    this.#hangMs = timing.hangMs;
    this.#restartDelayMs = timing.restartMs;
    this.#words = new SpoolWords(options.memory);
    this.#start();
    this.#watch = setInterval(() => this.#look(), timing.watchMs).unref();
  }

  /** Why rows are not becoming durable; null while they are. */
  get error(): TelemetryError | null {
    return this.#error;
  }

  /** Spoolers started after the first. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Replaces the experiment's part of its document, soon. */
  set experiment(experiment: ExperimentFields) {
    this.#experiment = experiment;
    this.#order({ kind: 'experiment', experiment });
  }

  /** Resolves once everything published before the call is durable, could not be made so, or time is up. */
  flush(deadlineMs: number): Promise<FlushOutcome> {
    const ticket = this.#words.request();
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => settle({ completed: this.#words.isCompleted(ticket), error: null }),
        Math.min(deadlineMs, 2 ** 31 - 1),
      );
      const waiting: WaitingFlush = {
        ticket,
        deaths: 0,
        settle: (outcome) => settle(outcome),
      };
      const settle = (outcome: FlushOutcome) => {
        clearTimeout(timer);
        this.#flushes.delete(waiting);
        if (this.#flushes.size === 0) this.#worker?.unref();
        resolve(outcome);
      };
      this.#flushes.add(waiting);
      this.#hurry();
      this.#worker?.ref();
      if (this.#ended) settle({ completed: this.#words.isCompleted(ticket), error: this.#error });
    });
  }

  /** Resolves once the document lists a segment's Parquet file and the Arrow one is deleted, or the spooler ends. */
  compacted(segment: number, bytes: number): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      const order: CompactedOrder = { kind: 'compacted', segment, bytes };
      this.#compacted.set(segment, { order, settle: resolve });
      this.#order(order);
    });
  }

  /**
   * Makes everything durable, ends the segment and the thread.
   * @throws StorageError when that cannot be done; the spooler goes on trying, and `finish` may be called again
   */
  async finish(experiment: ExperimentFields, deadlineMs: number): Promise<void> {
    if (this.#ended) return;
    this.#experiment = experiment;
    const error = await new Promise<TelemetryError | null>((resolve) => {
      const timer = setTimeout(() => settle(timedOut(this.#options.folder, deadlineMs)), deadlineMs);
      const settle = (outcome: TelemetryError | null) => {
        clearTimeout(timer);
        this.#finish = undefined;
        resolve(outcome);
      };
      this.#finish = { deaths: 0, settle };
      this.#hurry();
      this.#worker?.ref();
      this.#order({ kind: 'finish', experiment, ticket: null });
    });
    if (error !== null) {
      this.#worker?.unref();
      throw error;
    }
    this.#end();
  }

  /**
   * The same without turning the event loop, for the end of a process: waits for the thread, or does its work when
   * it is gone. @returns whether everything is durable
   */
  finishNow(experiment: ExperimentFields, deadlineMs: number): boolean {
    if (this.#ended) return true;
    // The order says which flush it is: the thread may have carried it out and ended before that is asked for.
    this.#order({ kind: 'finish', experiment, ticket: (this.#words.requested + 1) | 0 });
    const ticket = this.#words.request();
    const deadlineAtMs = performance.now() + deadlineMs;
    for (
      let leftMs = deadlineMs;
      leftMs > 0 && this.#worker !== undefined;
      leftMs = deadlineAtMs - performance.now()
    ) {
      const { beats } = this.#words;
      if (this.#words.waitAttempted(ticket, Math.min(leftMs, this.#timing.exitPatienceMs))) {
        const isCompleted = this.#words.isCompleted(ticket);
        // It would go on trying, and nobody must write who holds no lock.
        if (!isCompleted) this.#words.nextEpoch();
        return isCompleted;
      }
      if (this.#words.beats === beats) break;
    }
    return this.#finishHere(experiment, ticket);
  }

  /** Lets go of everything without writing anything more: what is in memory only is lost. */
  abandon(): void {
    if (this.#ended) return;
    this.#words.nextEpoch();
    this.#end();
  }

  /** The thread does not answer: the last pass is made on this one. */
  #finishHere(experiment: ExperimentFields, ticket: number): boolean {
    const options = { ...this.#options, epoch: this.#words.nextEpoch() };
    if (this.#fileSystem !== null) return false;
    let ordered = false;
    let failed = false;
    runSpooler(options, nodeFileSystem, {
      receive: () => {
        // An error would be followed by another attempt; at the end of a process there is one.
        if (ordered) return undefined;
        ordered = true;
        return { kind: 'finish', experiment, ticket };
      },
      post: (news) => {
        if (news.kind === 'finished' && news.error !== null) {
          failed = true;
          this.#words.nextEpoch();
        }
      },
    });
    return !failed && this.#words.isCompleted(ticket);
  }

  #start(): void {
    const options: SpoolerOptions = { ...this.#options, epoch: this.#words.nextEpoch() };
    const { port1, port2 } = new MessageChannel();
    const data: SpoolerWorkerData = { options, fileSystem: this.#fileSystem, orders: port2 };
    this.#hasSpoken = false;
    let worker: Worker;
    try {
      worker = startThread('spooler', { data, transferList: [port2], heapMb: HEAP_MB });
    } catch (error) {
      // The system gives this process no more threads.
      this.#setError(spoolerDied(this.#options.folder, error as Error));
      this.#die();
      return;
    }
    worker.on('message', (news: SpoolerNews) => {
      if (worker === this.#worker) this.#hear(news);
    });
    worker.on('error', (error) => {
      if (worker === this.#worker) this.#setError(spoolerDied(this.#options.folder, error));
    });
    worker.on('exit', () => {
      if (worker === this.#worker && !this.#ended) this.#die();
    });
    this.#worker = worker;
    this.#orders = port1;
    if (this.#flushes.size === 0 && this.#finish === undefined) worker.unref();
    // It may have been replaced in the midst of finishing.
    for (const { order } of this.#compacted.values()) this.#order(order);
    const experiment = this.#experiment;
    if (this.#finish === undefined) this.#order({ kind: 'experiment', experiment });
    else this.#order({ kind: 'finish', experiment, ticket: null });
  }

  #hear(news: SpoolerNews): void {
    this.#hasSpoken = true;
    this.#failedStarts = 0;
    const error = news.error === null ? null : deserializeError(news.error);
    if (news.kind === 'state') this.#setError(error);
    else if (news.kind === 'finished') this.#finish?.settle(error);
    else if (news.kind === 'listed') this.#onListed();
    else if (news.kind === 'damaged') this.#onDamaged(news.damaged);
    else if (news.kind === 'compacted') this.#settleCompacted(news.segment);
    else {
      this.#restartDelayMs = this.#timing.restartMs;
      this.#settleAttempted(error);
    }
  }

  #settleCompacted(segment: number): void {
    this.#compacted.get(segment)?.settle();
    this.#compacted.delete(segment);
  }

  #settleAttempted(error: TelemetryError | null): void {
    for (const { ticket, settle } of this.#flushes) {
      if (this.#words.isAttempted(ticket)) settle({ completed: this.#words.isCompleted(ticket), error });
    }
  }

  /** Keeps the latest error, and tells of the first. */
  #setError(error: TelemetryError | null): void {
    const isNews = (error === null) !== (this.#error === null);
    this.#error = error;
    if (isNews) this.#onState(error);
  }

  #order(order: SpoolerOrder): void {
    this.#orders?.postMessage(order);
    this.#words.wake();
  }

  /** The spooler has died. Who has seen too many of them die waits no longer. */
  #die(): void {
    if (!this.#hasSpoken) this.#failedStarts++;
    // It may have done something without living to tell.
    this.#settleAttempted(this.#error);
    this.#giveUpWaiting();
    this.#replace();
  }

  /** Starts another one, after a while. */
  #replace(): void {
    this.#worker = undefined;
    const delayMs = this.#restartDelayMs;
    this.#restartDelayMs = Math.min(2 * delayMs, this.#timing.restartMaxMs);
    this.#restartTimer = setTimeout(() => this.#restart(), delayMs);
    if (this.#flushes.size === 0 && this.#finish === undefined) this.#restartTimer.unref();
  }

  #restart(): void {
    this.#restartTimer = undefined;
    this.#restarts++;
    try {
      this.#start();
    } catch (error) {
      this.#setError(spoolerDied(this.#options.folder, error as Error));
      void this.#replace();
    }
  }

  /** Somebody waits for a spooler: if there is none, now is the time to start it. */
  #hurry(): void {
    if (this.#restartTimer === undefined) return;
    clearTimeout(this.#restartTimer);
    this.#restart();
  }

  #giveUpWaiting(): void {
    const cannotStart = this.#failedStarts >= FAILED_STARTS_MAX;
    const isEnough = (waiting: Waiting) => ++waiting.deaths >= DEATHS_MAX || cannotStart;
    const error = this.#error ?? spoolerDied(this.#options.folder, new Error('it ends of its own accord'));
    for (const flush of this.#flushes) if (isEnough(flush)) flush.settle({ completed: false, error });
    if (this.#finish !== undefined && isEnough(this.#finish)) this.#finish.settle(error);
  }

  /** Replaces a spooler that does not move. Its epoch is over: should it wake up, it stops. */
  #look(): void {
    const { beats } = this.#words;
    this.#stillForMs = beats === this.#beats ? this.#stillForMs + this.#timing.watchMs : 0;
    this.#beats = beats;
    if (this.#stillForMs < this.#hangMs || this.#worker === undefined) {
      this.#words.wake();
      return;
    }
    this.#stillForMs = 0;
    this.#hangMs *= 2;
    const hung = this.#worker;
    this.#setError(spoolerDied(this.#options.folder, new Error('it does not move')));
    this.#replace();
    void hung.terminate();
  }

  #end(): void {
    this.#ended = true;
    clearInterval(this.#watch);
    clearTimeout(this.#restartTimer);
    for (const { ticket, settle } of this.#flushes) {
      settle({ completed: this.#words.isCompleted(ticket), error: this.#error });
    }
    for (const { settle } of this.#compacted.values()) settle();
    this.#compacted.clear();
    const worker = this.#worker;
    this.#worker = undefined;
    // It ends by itself, having finished or seen that its epoch is over. Threads that are terminated while V8 compiles
    // their code have been seen to take the process with them (Node 20, NodePlatform::ForIsolate).
    worker?.unref();
    this.#words.wake();
  }
}

function spoolerDied(folder: string, cause: Error): StorageError {
  return new StorageError(
    'ERR_STORAGE_IO',
    `the thread that writes ${folder} has died, and is started again: ${cause.message}`,
    { path: folder },
    { cause },
  );
}

function timedOut(folder: string, deadlineMs: number): StorageError {
  return new StorageError(
    'ERR_FLUSH_DEADLINE',
    `${folder}: not everything was durable within ${deadlineMs} ms`,
    { path: folder, deadlineMs },
  );
}
