/** Which experiment the running code belongs to, carried through its async context. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context } from '../schema/event.js';
import type { Losses } from './losses.js';

export interface ActiveRun {
  /** Id of the experiment whose `run` the code is inside of. */
  readonly experimentId: string;
  /** Metadata for everything emitted inside. */
  readonly context: Context | undefined;
  /** Where events are counted that come when the experiment takes no more. */
  readonly losses: Losses;
}

export const activeRun = new AsyncLocalStorage<ActiveRun>();
