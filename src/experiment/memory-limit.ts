/** How much memory this process may use. */
import { totalmem } from 'node:os';

/** The container's limit, where there is one, or the machine's memory. */
export function memoryLimitBytes(): number {
  // 0 or undefined: not known; without a limit, more than any machine has.
  return Math.min(totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY);
}
