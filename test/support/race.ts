/** Threads that write one experiment, and the check that every row that is read is one that was written. */

import { Worker } from 'node:worker_threads';
import type { ExperimentHandle } from '../../src/index.js';

/** Words of the control array; race-worker.mjs has the same. */
const STARTED = 0;
const GO = 1;
const STOP = 2;
const ROWS_WRITTEN = 8;

export interface RaceOptions {
  mode: 'hot' | 'exit' | 'paced' | 'process.exit' | 'throw' | 'hang' | 'turns';
  threads: number;
  rows: number;
  /** Every n-th row is captured, with a byte area; the rest are recorded. 0 = none. */
  captureEvery?: number;
}

export class Race {
  readonly workers: readonly Worker[];
  readonly #words = new Int32Array(new SharedArrayBuffer(256));
  readonly #exits: Promise<unknown>[];

  constructor(handle: ExperimentHandle, { mode, threads, rows, captureEvery = 0 }: RaceOptions) {
    this.workers = Array.from({ length: threads }, (_, thread) => {
      const workerData = { handle, thread, rows, mode, captureEvery, words: this.#words };
      const worker = new Worker(new URL('./race-worker.mjs', import.meta.url), { workerData });
      worker.on('error', (error) => {
        if (mode !== 'throw') throw error;
      });
      return worker;
    });
    this.#exits = this.workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
  }

  /** Lets all threads begin together, once all of them are attached. */
  async start(): Promise<void> {
    while (Atomics.load(this.#words, STARTED) < this.workers.length) await turn();
    Atomics.store(this.#words, GO, 1);
    Atomics.notify(this.#words, GO);
  }

  /** Rows that the thread has written for certain. */
  rowsWritten(thread: number): number {
    return Atomics.load(this.#words, ROWS_WRITTEN + thread);
  }

  /** Waits until every thread has written so many rows. */
  async untilWritten(rows: number): Promise<void> {
    while (this.workers.some((_, thread) => this.rowsWritten(thread) < rows)) await turn();
  }

  /** Asks the threads to write no more. */
  stop(): void {
    Atomics.store(this.#words, STOP, 1);
    Atomics.notify(this.#words, STOP);
  }

  async ended(): Promise<void> {
    await Promise.all(this.#exits);
  }

  get running(): boolean {
    return this.workers.some(({ threadId }) => threadId !== -1);
  }

  async terminate(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}

/** Lets this thread's event loop turn once. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The part of an EventRow that the check looks at. */
export interface RaceRow {
  readonly eventName: string;
  readonly timestamp: number;
  readonly latencyMs: number | null;
  readonly costUsd: number | null;
  readonly tokens: { readonly prompt: number; readonly completion: number } | null;
  readonly success: boolean | null;
  readonly model: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * The counters of each thread's rows, in the order they were read.
 * @throws Error when a row is not what its thread wrote, or comes twice
 */
export function checkRows(rows: readonly RaceRow[], captureEvery = 0): Map<number, number[]> {
  const counters = new Map<number, number[]>();
  const seen = new Set<number>();
  for (const row of rows) {
    const latencyMs = row.latencyMs ?? Number.NaN;
    const thread = Math.floor(latencyMs / 2 ** 24);
    const i = latencyMs - thread * 2 ** 24;
    const captured = captureEvery > 0 && i % captureEvery === 0;
    const isWhole =
      row.eventName === `thread ${thread}` &&
      row.model === `model ${thread}` &&
      row.timestamp === i &&
      row.costUsd === latencyMs / 8 &&
      row.tokens?.prompt === i &&
      row.tokens.completion === (i * 31 + thread) % 1000 &&
      row.success === (i % 3 === 0 ? null : i % 3 === 1) &&
      (!captured ||
        (row.metadata.check === `${thread}/${i}/${'x'.repeat(i % 50)}` &&
          row.metadata.label === `label ${i % 200}`));
    if (!isWhole) throw new Error(`torn row: ${JSON.stringify(row)}`);
    if (seen.has(latencyMs)) throw new Error(`row twice: thread ${thread}, counter ${i}`);
    seen.add(latencyMs);
    const list = counters.get(thread);
    if (list) list.push(i);
    else counters.set(thread, [i]);
  }
  return counters;
}

/** @throws Error unless the counters are 0, 1, 2, … */
export function checkGapless(counters: Map<number, number[]>): void {
  for (const [thread, list] of counters) {
    list.forEach((counter, i) => {
      if (counter !== i) throw new Error(`thread ${thread}: row ${i} is missing, ${counter} is in its place`);
    });
  }
}

/** @throws Error unless the counters ascend */
export function checkAscending(counters: Map<number, number[]>): void {
  for (const [thread, list] of counters) {
    list.forEach((counter, i) => {
      if (i > 0 && counter <= list[i - 1]!) throw new Error(`thread ${thread}: ${counter} out of order`);
    });
  }
}
