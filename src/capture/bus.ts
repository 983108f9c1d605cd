/** The event bus: what is emitted, and who hears it. */

import { ConfigError } from '../errors.js';
import { span } from './bus-span.js';
import { attach as attachTo, detach, execute, type TelemetryHandler } from './channels.js';

export { HANDLER_FAILURE, type TelemetryHandler } from './channels.js';

/**
 * Calls `handler` for each of the events, synchronously with the emitter, until it is detached: by `detach`, or because it
 * threw, of which the process is warned. `'all'` means every event.
 * @throws ConfigError when the id is taken, or an argument is of no use
 */
function attach(id: string, events: string | readonly string[], handler: TelemetryHandler): void {
  if (typeof handler !== 'function') throw new ConfigError('handler', 'a function', handler);
  for (const event of [events].flat()) {
    if (typeof event === 'string' && event.includes('*'))
      throw new ConfigError('events', "whole names of events, or 'all'; not a pattern", event);
  }
  // A handler of users is told of events, not of messages.
  attachTo(id, events, (event, measurements, metadata) => handler(event, measurements, metadata));
}

export const telemetry = { execute, span, attach, detach };
