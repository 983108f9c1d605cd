/** A clock that moves only when told, and experiments on it that let go of their memory after each test. */

import { afterEach } from 'vitest';
import type { Clock } from '../../src/clock.js';
import { Crucible, type CrucibleOptions } from '../../src/experiment/crucible.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import type { ExperimentOptions } from '../../src/experiment/options.js';
import type { EventRow } from '../../src/schema/event.js';

/** 2023-11-14T22:13:20Z */
export const START_US = 1_700_000_000_000_000;

export class FakeClock implements Clock {
  us = START_US;
  ns = 5_000_000_000n;

  nowUs(): number {
    return this.us;
  }

  monotonicNs(): bigint {
    return this.ns;
  }

  /** Both clocks, by whole milliseconds; negative ones turn them back. */
  advance(ms: number): void {
    this.us += ms * 1000;
    this.ns += BigInt(ms) * 1_000_000n;
  }
}

export interface Bench {
  readonly clock: FakeClock;
  /** The present test's Crucible. */
  crucible(options?: CrucibleOptions): Crucible;
  /** A small experiment of the present test. */
  start(options?: Partial<ExperimentOptions>): Experiment;
}

/** Sets up a Crucible on a fake clock for every test of the suite, closed at the end of each. */
export function useBench(): Bench {
  const clock = new FakeClock();
  let opened: Crucible[] = [];
  afterEach(async () => {
    const closing = opened;
    opened = [];
    clock.us = START_US;
    clock.ns = 5_000_000_000n;
    for (const crucible of closing) await crucible.close();
  });
  const crucible = (options: CrucibleOptions = {}) => {
    const made = new Crucible({ clock, ...options });
    opened.push(made);
    return made;
  };
  const start = (options: Partial<ExperimentOptions> = {}) =>
    (opened[0] ?? crucible()).startExperiment({ name: 'bench', capacity: 4096, producers: 2, ...options });
  return { clock, crucible, start };
}

/** The event captured last. */
export async function lastEvent(experiment: Experiment): Promise<EventRow> {
  const rows = await experiment.query();
  const last = rows.toSorted((a, b) => a.sequence - b.sequence).at(-1);
  if (last === undefined) throw new Error('nothing was captured');
  return last;
}

/** What the call throws, which must be an error with a code. */
export function codeOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
}
