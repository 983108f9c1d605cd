/** An experiment on the bus of a thread: what code in a run emits goes to that run's experiment alone. */
import type { Context, Measurements, Metadata } from '../schema/event.js';
import { isAttached } from './channels.js';
import { activeRun } from './context.js';
import { attachSelected, detachSelected, type Selection, selects } from './selection.js';

type Capture = (
  event: string,
  measurements: Measurements,
  metadata: Metadata,
  context: Context | undefined,
  unread: readonly string[] | undefined,
) => void;

/** Who listens on this thread, and where it counts what no event has. */
interface Listener {
  readonly selection: Selection;
  readonly countUnread: (event: string, key: string) => void;
}

const listeners = new Map<string, Listener>();

const handlerId = (experimentId: string) => `experiment:${experimentId}`;

/** Whether somebody on this thread listens for the experiment. Whoever does captures, so there is one at a time. */
export function isHeard(experimentId: string): boolean {
  return isAttached(handlerId(experimentId));
}

/**
 * @param countUnread - counts what was meant for an event that has been captured
 * @throws ConfigError when it is heard already
 */
export function listen(
  experimentId: string,
  selection: Selection,
  capture: Capture,
  countUnread: Listener['countUnread'],
): void {
  attachSelected(handlerId(experimentId), selection, (event, measurements, metadata, unread) => {
    const run = activeRun.getStore();
    if (run === undefined) {
      if (!selection.onlyRuns) capture(event, measurements, metadata, undefined, unread);
    } else if (run.experimentId === experimentId) capture(event, measurements, metadata, run.context, unread);
  });
  listeners.set(experimentId, { selection, countUnread });
}

/** Counts what was offered for an event that is over, where that event was captured. @param experimentId - of its run */
export function countUnread(event: string, key: string, experimentId: string | undefined): void {
  for (const [id, listener] of listeners) {
    const isOwn = experimentId === undefined ? !listener.selection.onlyRuns : experimentId === id;
    if (isOwn && selects(listener.selection, event)) listener.countUnread(event, key);
  }
}

export function unlisten(experimentId: string): void {
  listeners.delete(experimentId);
  detachSelected(handlerId(experimentId));
}
