/** Waiting for a producer's lock, which the module itself cannot. */

/** Its holder may have been put aside by the system; one that died has left it for ever. */
const NAPS = 2000;
const NAP_MS = 0.5;

const nobody = new Int32Array(new SharedArrayBuffer(4));

/**
 * Calls `operation(0)` until it no longer returns `busy`, sleeping in between; after a second the holder is taken for
 * dead and the operation forced. @returns what the operation returned
 */
export function insist(operation: (force: 0 | 1) => number, busy: number): number {
  for (let nap = 0; nap < NAPS; nap++) {
    const result = operation(0);
    if (result !== busy) return result;
    Atomics.wait(nobody, 0, 0, NAP_MS);
  }
  return operation(1);
}
