/** Time, so that tests and replays can supply their own. */

export interface Clock {
  /** Microseconds since the Unix epoch, a whole number. */
  nowUs(): number;
  /** Nanoseconds that never decrease; only differences mean something. */
  monotonicNs(): bigint;
}

/**
 * The system's clocks. `nowUs` is monotonic between calls: it is the wall clock's value at load plus the
 * monotonic time since, so a step of the wall clock never turns time back within a process.
 */
export const systemClock: Clock = {
  nowUs: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  monotonicNs: process.hrtime.bigint,
};

/** The same instant on both clocks. */
export function anchor(clock: Clock): { anchorNs: bigint; anchorUs: number } {
  return { anchorUs: clock.nowUs(), anchorNs: clock.monotonicNs() };
}
