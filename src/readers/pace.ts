/** Pace: a long read lets the process do other things now and then. */
import { setImmediate } from 'node:timers/promises';

/** Work between two rests. */
const WORK_MS = 50;

export class Pace {
  #restedMs = performance.now();

  get isDue(): boolean {
    return performance.now() - this.#restedMs >= WORK_MS;
  }

  async rest(): Promise<void> {
    await setImmediate();
    this.#restedMs = performance.now();
  }
}
