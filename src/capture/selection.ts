/** Which events of a thread's bus an experiment hears: all, those named, or whatever the registry knows. */
import { events as registry } from '../schema/registry.js';
import { attach, attachAlso, detach, type MessageHandler } from './channels.js';

export interface Selection {
  readonly names: 'all' | readonly string[];
  /** Whether events that are registered later are heard, too. */
  readonly followsRegistry: boolean;
  /** What is emitted in no run is not the experiment's own. */
  readonly onlyRuns: boolean;
}

/** Handlers that hear events as soon as they are registered. */
const following = new Set<string>();

registry.onRegister((event) => {
  for (const id of following) attachAlso(id, event);
});

/** @param events - 'standard': the registry's */
export function selectionOf(events: 'standard' | 'all' | readonly string[], onlyRuns: boolean): Selection {
  return events === 'standard'
    ? { names: registry.all(), followsRegistry: true, onlyRuns }
    : { names: events, followsRegistry: false, onlyRuns };
}

/** Whether the event is heard in a run, or everywhere. */
export function selects({ names, followsRegistry }: Selection, event: string): boolean {
  if (names === 'all' || names.includes(event)) return true;
  return followsRegistry && registry.definition(event) !== undefined;
}

/** @throws ConfigError when the id is taken */
export function attachSelected(
  id: string,
  { names, followsRegistry }: Selection,
  handler: MessageHandler,
): void {
  attach(id, followsRegistry ? [...new Set([...names, ...registry.all()])] : names, handler);
  if (followsRegistry) following.add(id);
}

export function detachSelected(id: string): void {
  following.delete(id);
  detach(id);
}
