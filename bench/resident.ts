/** The resident memory of this process: all of its threads, without the system's page cache. */
import { readFileSync, writeFileSync } from 'node:fs';

const SAMPLE_MS = 20;

export const residentBytes = () => process.memoryUsage.rss();

/** Has the kernel forget the highest resident memory there was. @returns false where it has no way to */
function resetHighWater(): boolean {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
    return true;
  } catch {
    return false;
  }
}

/** Highest resident memory that the kernel knows of, bytes. */
function highWaterBytes(): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
}

/**
 * Watches resident memory: by samples, and where there is Linux's mark of the highest, by that too, which sees what
 * comes and goes between two samples.
 * @returns ends it, and tells the most there was in bytes
 */
export function watchPeak(): () => number {
  let peak = residentBytes();
  const sample = () => {
    peak = Math.max(peak, residentBytes());
  };
  const timer = setInterval(sample, SAMPLE_MS);
  const isMarked = resetHighWater();
  return () => {
    clearInterval(timer);
    sample();
    return isMarked ? Math.max(peak, highWaterBytes()) : peak;
  };
}
