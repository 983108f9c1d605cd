/** Which layer captures a call: where a framework does, the transport under it keeps silent. */
import { AsyncLocalStorage } from 'node:async_hooks';

const suppressed = new AsyncLocalStorage<true>();

/** Runs `fn` with nothing captured by the layers under the caller's. */
export function suppress<T>(fn: () => T): T {
  return suppressed.run(true, fn);
}

export function isSuppressed(): boolean {
  return suppressed.getStore() === true;
}
