/** An experiment on the bus of a thread: what code in a run emits goes to that run's experiment alone. */
import type { Context, Measurements, Metadata } from '../schema/event.js';
import { attach, detach, isAttached } from './channels.js';
import { activeRun } from './context.js';

type Capture = (
  event: string,
  measurements: Measurements,
  metadata: Metadata,
  context: Context | undefined,
) => void;

const handlerId = (experimentId: string) => `experiment:${experimentId}`;

/** Whether somebody on this thread listens for the experiment. Whoever does captures, so there is one at a time. */
export function isHeard(experimentId: string): boolean {
  return isAttached(handlerId(experimentId));
}

/** What of the bus an experiment listens to. */
export interface Listening {
  readonly events: 'all' | readonly string[];
  /** What is emitted in no run is not its own. */
  readonly onlyRuns: boolean;
}

/** @throws ConfigError when it is heard already */
export function listen(experimentId: string, { events, onlyRuns }: Listening, capture: Capture): void {
  attach(handlerId(experimentId), events, (event, measurements, metadata) => {
    const run = activeRun.getStore();
    if (run === undefined) {
      if (!onlyRuns) capture(event, measurements, metadata, undefined);
    } else if (run.experimentId === experimentId) capture(event, measurements, metadata, run.context);
  });
}

export function unlisten(experimentId: string): void {
  detach(handlerId(experimentId));
}
