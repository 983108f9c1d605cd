/** A thread that does what it is told, message by message. */
import type { MessagePort } from 'node:worker_threads';

/** `null` ends it: nothing is waited for any more. A handler that rejects ends it, too, with that error. */
export function serve<M>(port: MessagePort, handle: (message: M) => unknown): void {
  const listener = (message: M | null) => {
    // Not by closing the port, which a thread's port has no way to in Deno.
    if (message === null) port.off('message', listener);
    else handle(message);
  };
  port.on('message', listener);
}
