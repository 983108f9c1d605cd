/** One thread of the pool, and the request it is at. */
import type { MessagePort, Worker } from 'node:worker_threads';
import { startThread, type ThreadOptions } from '../thread.js';
import type { Request, Response } from './analysis.worker.js';

interface Asked {
  resolve(response: Response): void;
  reject(error: unknown): void;
}

export class PoolThread {
  /** Resolves when it is gone. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  #asked: Asked | undefined;
  #isAlive = true;

  constructor(options: ThreadOptions) {
    const worker = startThread('analysis', options);
    let failure: unknown;
    worker.on('message', (response: Response) => this.#settle()?.resolve(response));
    worker.on('error', (error) => {
      failure = error;
    });
    this.ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#isAlive = false;
        this.#settle()?.reject(failure ?? new Error(`it ended with exit code ${code}`));
        resolve();
      });
    });
    // It keeps the process alive for as long as it is asked for something.
    worker.unref();
    this.#worker = worker;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** One request at a time. @throws why the thread died, if it does */
  run(request: Request, transferList: readonly MessagePort[]): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
      this.#worker.ref();
      this.#worker.postMessage(request, transferList);
    });
  }

  /** Lets a thread that has nothing to do end by itself. */
  dismiss(): void {
    this.#worker.postMessage(null);
  }

  /** Ends it in the midst of whatever it does. Resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
    await this.ended;
  }

  #settle(): Asked | undefined {
    const asked = this.#asked;
    this.#asked = undefined;
    this.#worker.unref();
    return asked;
  }
}
