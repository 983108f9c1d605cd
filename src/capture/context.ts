/** Which experiment the running code belongs to, carried through its async context. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context, Fields } from '../schema/event.js';
import type { Losses } from './losses.js';
import { merged } from './merge.js';

export interface ActiveRun {
  /** Id of the experiment whose `run` the code is inside of. */
  readonly experimentId: string;
  /** Metadata for everything emitted inside. */
  readonly context: Context | undefined;
  /** Where events are counted that come when the experiment takes no more. */
  readonly losses: Losses;
}

export const activeRun = new AsyncLocalStorage<ActiveRun | undefined>();

/** Metadata for what the running code captures for an experiment: those of its run, where it is in one. */
export function contextIn(experimentId: string): Context | undefined {
  const run = activeRun.getStore();
  return run !== undefined && run.experimentId === experimentId ? run.context : undefined;
}

/**
 * A run of an experiment. Inside another one of the same experiment it has that one's context as well; its own wins.
 * @param losses - of the thread's own part of the experiment
 */
export function runOf(experimentId: string, given: Fields | undefined, losses: Losses): ActiveRun {
  const context = given as Context | undefined;
  const outer = contextIn(experimentId);
  return { experimentId, context: outer === undefined ? context : merged(outer, context), losses };
}
