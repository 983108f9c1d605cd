/** Pace: a long read lets the process do other things now and then. */
import { setImmediate } from 'node:timers/promises';

/** Work between two rests, unless said otherwise. */
const WORK_MS = 50;

export class Pace {
  readonly #workMs: number;
  #restedMs = performance.now();

  constructor(workMs = WORK_MS) {
    this.#workMs = workMs;
  }

  get isDue(): boolean {
    return performance.now() - this.#restedMs >= this.#workMs;
  }

  async rest(): Promise<void> {
    await setImmediate();
    this.#restedMs = performance.now();
  }
}
