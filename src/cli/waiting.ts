/** Work that does not tell how far it is: a line at a terminal while it lasts, and an end when somebody wants one. */

import type { CommandContext } from './command.js';
import { LiveRegion } from './terminal/live-region.js';

/** What the work gives. Ctrl-C does not wait for it; whoever started it still has to close what it works on. */
export async function waitFor<T>(
  { stderr, style, live, signal }: Pick<CommandContext, 'stderr' | 'style' | 'live' | 'signal'>,
  label: string,
  work: Promise<T>,
): Promise<T> {
  const region = new LiveRegion(stderr);
  if (live) region.draw([style.dim(`${label} …`)]);
  const interrupted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    region.close();
  }
}
