/**
 * The end of the process: what has to be done then, whichever way it comes about.
 *
 * `process.exit`, an uncaught exception and an event loop that runs empty all end in the 'exit' event, during which
 * other threads still run. SIGTERM, SIGINT and SIGHUP do not, unless somebody listens. We listen, do what is to be
 * done, and let the signal have its way: the default one if nobody else listens, and that of the others otherwise.
 */
import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];

const tasks = new Set<() => void>();
let isListening = false;

/** Has `task` run when the process ends; it must not wait for the event loop. @returns what takes that back */
export function atExit(task: () => void): () => void {
  tasks.add(task);
  listen();
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
  if (isListening) return;
  isListening = true;
  process.on('exit', runTasks);
  // Only the main thread gets signals. First in line, so that listeners for one time only are still counted.
  if (isMainThread) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
}

function stopListening(): void {
  isListening = false;
  process.off('exit', runTasks);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

function onSignal(signal: NodeJS.Signals): void {
  // Somebody else decides what the signal means; if that is the end, 'exit' will come.
  if (process.listenerCount(signal) > 1) return;
  runTasks();
  stopListening();
  process.kill(process.pid, signal);
}

function runTasks(): void {
  for (const task of [...tasks]) {
    try {
      task();
    } catch (error) {
      // The others must have their turn.
      sayAtExit(String(error));
    }
  }
}
