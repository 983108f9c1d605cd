/** One thread of the stream pool. */
import type { Worker } from 'node:worker_threads';
import { startThread, type ThreadOptions } from '../thread.js';
import type { StreamNews, StreamOrder, StreamRequest } from './stream.worker.js';

interface Asked {
  resolve(news: StreamNews): void;
  reject(error: unknown): void;
}

export class StreamThread {
  /** Resolves when it is gone. */
  readonly ended: Promise<void>;
  /** Streams begun and not ended. */
  streams = 0;
  readonly #worker: Worker;
  /** By the streams' numbers. */
  readonly #asked = new Map<number, Asked>();
  /** Why the process must not end; it keeps the process alive for as long as there is a reason. */
  #holds = 0;
  #failure: unknown;
  #isAlive = true;

  /** @throws MemoryError */
  constructor(options: ThreadOptions) {
    const worker = startThread('stream', options);
    worker.on('message', (news: StreamNews) => this.#settle(news.stream)?.resolve(news));
    worker.on('error', (error) => {
      this.#failure = error;
    });
    this.ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#isAlive = false;
        this.#failure ??= new Error(`it ended with exit code ${code}`);
        for (const stream of this.#asked.keys()) this.#settle(stream)?.reject(this.#failure);
        resolve();
      });
    });
    worker.unref();
    this.#worker = worker;
  }

  begin(stream: number, request: StreamRequest): void {
    this.streams++;
    this.#worker.postMessage({ stream, begin: request } satisfies StreamOrder);
  }

  /** The stream's next piece of news; one request of a stream at a time. @throws why the thread died, if it does */
  ask(stream: number): Promise<StreamNews> {
    return new Promise((resolve, reject) => {
      if (!this.#isAlive) {
        reject(this.#failure);
        return;
      }
      this.#asked.set(stream, { resolve, reject });
      this.hold();
      this.#worker.postMessage({ stream, next: true } satisfies StreamOrder);
    });
  }

  end(stream: number): void {
    this.streams--;
    this.#worker.postMessage({ stream, end: true } satisfies StreamOrder);
    this.#settle(stream);
  }

  /** Keeps the process alive until `letGo` is called as often. */
  hold(): void {
    if (this.#holds++ === 0) this.#worker.ref();
  }

  letGo(): void {
    if (--this.#holds === 0) this.#worker.unref();
  }

  /** Lets a thread that has no streams end by itself. */
  dismiss(): void {
    this.#worker.postMessage(null);
  }

  /** Ends it in the midst of whatever it does. Resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
    await this.ended;
  }

  #settle(stream: number): Asked | undefined {
    const asked = this.#asked.get(stream);
    if (asked !== undefined) this.letGo();
    this.#asked.delete(stream);
    return asked;
  }
}
