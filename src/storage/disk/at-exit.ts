/**
 * The end of the process: what has to be done then, whichever way it comes about.
 *
 * `process.exit`, an uncaught exception and an event loop that runs empty all end in the 'exit' event, during which
 * other threads still run. SIGTERM, SIGINT and SIGHUP do not, unless somebody listens. We listen, do what is to be
 * done, and let the signal have its way: the default one if nobody else listens, and that of the others otherwise.
 *
 * What others may take over from this process, such as a lock, is let go last, when nothing but its end can follow.
 */
import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];

/** How long the end of a process may be held up, for all tasks together. */
const DEADLINE_MS = 10_000;

export interface ExitTask {
  /** Does what is to be done; must not wait for the event loop, nor longer than `deadlineMs`. */
  run(deadlineMs: number): void;
  /** Lets go of what others may have, once all tasks have run and the process certainly ends. */
  release(): void;
}

const tasks = new Set<ExitTask>();
let isListening = false;

/** Has `task` run when the process ends. @returns what takes that back */
export function atExit(task: ExitTask): () => void {
  tasks.add(task);
  if (!isListening) listen();
  return () => {
    tasks.delete(task);
    if (tasks.size === 0) stopListening();
  };
}

/** Tells the user something at the end of the process, when it is too late for a warning: those wait for a turn. */
export function sayAtExit(text: string): void {
  try {
    writeSync(2, `${text}\n`);
  } catch {
    // Nobody listens.
  }
}

function listen(): void {
  isListening = true;
  process.on('exit', onExit);
  listenToSignals();
}

function stopListening(): void {
  isListening = false;
  process.off('exit', onExit);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

function listenToSignals(): void {
  // Only the main thread gets signals. First in line, so that listeners for one time only are still counted.
  if (isMainThread) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
}

function onExit(): void {
  runTasks();
  release();
}

function onSignal(signal: NodeJS.Signals): void {
  const others = process.listenerCount(signal) - 1;
  // Somebody else decides what the signal means; if that is the end, 'exit' will come.
  if (others > deferringListeners()) return;
  runTasks();
  if (others > 0) giveWay(signal);
  else end(signal);
}

/** Lets others have the signal. Most probably they end the process, but they may not: its locks stay where they are. */
function giveWay(signal: NodeJS.Signals): void {
  process.off(signal, onSignal);
  setImmediate(() => {
    if (isListening) process.prependListener(signal, onSignal);
  });
}

/** Ends the process as if nobody had listened. Nothing runs on this thread any more. */
function end(signal: NodeJS.Signals): void {
  release();
  stopListening();
  process.kill(process.pid, signal);
  // The system spares process 1 of a container the signals that it has no handler for.
  process.exit(128 + constants.signals[signal]);
}

/**
 * Listeners of the package signal-exit, whose two versions count theirs in places that everybody can see: they end
 * the process when nobody but them listens. We do the same, so that without this each would leave it to the other.
 */
function deferringListeners(): number {
  const counters = [
    (process as unknown as Record<string, unknown>).__signal_exit_emitter__,
    (globalThis as unknown as Record<symbol, unknown>)[Symbol.for('signal-exit emitter')],
  ] as ({ count?: unknown } | undefined)[];
  return counters.reduce((sum, counter) => sum + (typeof counter?.count === 'number' ? counter.count : 0), 0);
}

function runTasks(): void {
  const deadlineAtMs = performance.now() + DEADLINE_MS;
  for (const task of [...tasks]) attempt(() => task.run(Math.max(0, deadlineAtMs - performance.now())));
}

function release(): void {
  for (const task of [...tasks]) attempt(() => task.release());
}

function attempt(action: () => void): void {
  try {
    action();
  } catch (error) {
    // The others must have their turn.
    sayAtExit(String(error));
  }
}
