/** How much address space this process may still take (`ulimit -v`). */
import { readFileSync } from 'node:fs';

let limitBytes: number | undefined;

/** Infinity where it is not limited, or where nobody says (other systems than Linux). */
export function addressSpaceLeftBytes(): number {
  limitBytes ??= numberIn('/proc/self/limits', /^Max address space +(\d+)/m);
  if (limitBytes === Number.POSITIVE_INFINITY) return limitBytes;
  const takenBytes = 1024 * numberIn('/proc/self/status', /^VmSize:\s+(\d+) kB/m);
  return Math.max(0, limitBytes - takenBytes);
}

function numberIn(path: string, pattern: RegExp): number {
  try {
    const [, digits] = pattern.exec(readFileSync(path, 'latin1')) ?? [];
    return digits === undefined ? Number.POSITIVE_INFINITY : Number(digits);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
