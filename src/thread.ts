/**
 * How a thread is started. Its program is text that this package carries along (generated/thread-program.ts) and no
 * file: it is there wherever the package is, be that node_modules, a bundle or a single executable.
 */
import { type Transferable, Worker } from 'node:worker_threads';
import { THREAD_PROGRAM } from '../generated/thread-program.js';
import { addressSpaceLeftBytes } from './address-space.js';
import { MemoryError } from './errors.js';

/** What a thread is for. */
export type ThreadRole = 'analysis' | 'compactor' | 'serve' | 'spooler' | 'stream';

/** Its `workerData`. */
export interface ThreadStart {
  readonly role: ThreadRole;
  readonly data: unknown;
  /** The main thread's script, from which optional packages are found; absent where there is none. */
  readonly script: string | undefined;
}

export interface ThreadOptions {
  /** What the role is told to begin with. */
  readonly data?: unknown;
  readonly transferList?: readonly Transferable[];
  /** Of its JavaScript heap; what typed arrays take is outside of it. */
  readonly heapMb?: number | undefined;
  /** Another program to run; tests bring theirs. */
  readonly program?: URL | undefined;
}

/** V8 ends the process when it cannot reserve what a thread needs: 0.6 to 0.9 GiB (Node 20 to 26). */
const THREAD_SPACE_BYTES = 2 ** 30;

/** @throws MemoryError when a thread would take more address space than is left */
export function checkThreadSpace(): void {
  const leftBytes = addressSpaceLeftBytes();
  if (leftBytes < THREAD_SPACE_BYTES) throw MemoryError.of('a thread', THREAD_SPACE_BYTES, leftBytes);
}

/** What a thread is told to begin with; it is started by `startThread`, or by a pool. */
export function threadStart(role: ThreadRole, data?: unknown): ThreadStart {
  return { role, data, script: process.argv[1] };
}

/** V8 of Node 24 has more by itself, too much to end a thread alone, and not the process, when it comes to its limit. */
const YOUNG_MB = 48;

/** @throws MemoryError */
export function startThread(role: ThreadRole, options: ThreadOptions = {}): Worker {
  checkThreadSpace();
  const { data, transferList = [], heapMb, program } = options;
  return new Worker(program ?? THREAD_PROGRAM, {
    eval: program === undefined,
    workerData: threadStart(role, data),
    transferList: [...transferList],
    name: `crucible-${role}`,
    // What the program was started with is not meant for this thread.
    execArgv: [],
    ...(heapMb !== undefined && {
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: YOUNG_MB },
    }),
  });
}
