/** Rates of errors in simulations: short ones in the suite, 2,000 runs with `CRUCIBLE_LONG=1`. */
import { expect } from 'vitest';
import { IS_LONG, rounds } from './effort.js';

export const TIMEOUT_MS = IS_LONG ? 1_800_000 : 120_000;

export const runs = (short: number): number => rounds(short, 2000);

/** In how many of the runs, numbered from 0, it happened. */
export function shareOf(count: number, happens: (run: number) => boolean): number {
  let hits = 0;
  for (let run = 0; run < count; run++) if (happens(run)) hits++;
  return hits / count;
}

/** In the long form every rate is printed, to be written down beside what claims it. */
function tell(share: number, count: number, what: string): void {
  if (IS_LONG) console.log(`${expect.getState().currentTestName} | ${what}: ${share} of ${count} runs`);
}

/** Fails where a true rate of at most `rate` would give so large a share in fewer than 1 of 1,000 simulations. */
export function expectAtMost(share: number, rate: number, count: number, what: string): void {
  tell(share, count, what);
  const limit = rate + 3.1 * Math.sqrt((rate * (1 - rate)) / count);
  expect(share, `${what}: ${share} of ${count} runs`).toBeLessThanOrEqual(limit);
}

/** Fails where a true rate of at least `rate` would give so small a share in fewer than 1 of 1,000 simulations. */
export function expectAtLeast(share: number, rate: number, count: number, what: string): void {
  tell(share, count, what);
  const limit = rate - 3.1 * Math.sqrt((rate * (1 - rate)) / count);
  expect(share, `${what}: ${share} of ${count} runs`).toBeGreaterThanOrEqual(limit);
}
