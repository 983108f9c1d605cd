/** Which process this is, and whether another one still runs. */

import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemCodeOf } from './system-errors.js';

/** A process, told apart from all others, a later one with its number included. Null where the system does not say. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Linux: clock ticks since the machine started; with the number, this is unique until it starts again. */
  readonly processStart: string | null;
  /** Linux: changes whenever the machine starts. */
  readonly bootId: string | null;
  /** Linux: process numbers mean something only within their namespace. */
  readonly pidNamespace: string | null;
  readonly host: string | null;
}

export function thisProcess(): ProcessIdentity {
  return {
    pid: process.pid,
    processStart: procStatOf(process.pid)?.start ?? null,
    bootId: read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: read(() => readlinkSync('/proc/self/ns/pid')),
    host: hostname(),
  };
}

/** Whether a process still runs; undefined when it cannot be seen from here, being of another host or namespace. */
export function isRunning(other: ProcessIdentity, self = thisProcess()): boolean | undefined {
  const isVisible =
    self.bootId === null
      ? other.bootId === null && other.host === self.host
      : other.bootId === self.bootId &&
        self.pidNamespace !== null &&
        other.pidNamespace === self.pidNamespace;
  if (!isVisible) return undefined;
  try {
    process.kill(other.pid, 0);
  } catch (error) {
    // Anything else, such as EPERM, means that there is such a process.
    if (systemCodeOf(error) === 'ESRCH') return false;
  }
  const stat = procStatOf(other.pid);
  if (stat === undefined) return true;
  // A zombie or dead process has only not been asked for its status yet.
  if (stat.state === 'Z' || stat.state === 'X') return false;
  return other.processStart === null || stat.start === other.processStart;
}

/** Fields 3 and 22 of a line of /proc/<pid>/stat; the name before them may hold anything, parentheses too. */
export function parseProcStat(line: string): { state: string; start: string } | undefined {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const [state, start] = [fields[0], fields[19]];
  return state === undefined || start === undefined ? undefined : { state, start };
}

function procStatOf(pid: number): { state: string; start: string } | undefined {
  // In a namespace that still has its parent's /proc, the numbers there are those of other processes.
  if (read(() => readlinkSync('/proc/self')) !== String(process.pid)) return undefined;
  const line = read(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  return line === null ? undefined : parseProcStat(line);
}

/** What the system says, or null where it has no such file. */
function read(operation: () => string): string | null {
  try {
    return operation();
  } catch {
    return null;
  }
}
