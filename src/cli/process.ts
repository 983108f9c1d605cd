/** A command line in a process: its streams, its signals and its exit status. */

import { EXIT_OK, runCli } from './app.js';
import type { Command } from './command.js';
import { INTERRUPT_SIGNALS, InterruptedError, type InterruptSignal, isReaderGone } from './errors.js';
import type { Library } from './library.js';
import type { OutputStream } from './terminal/stream.js';

/** What is needed of `process`. */
export interface HostProcess {
  readonly argv: readonly string[];
  readonly pid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: HostStream;
  readonly stderr: HostStream;
  readonly stdin: AsyncIterable<Uint8Array>;
  exitCode?: number | string | null | undefined;
  on(signal: InterruptSignal, listener: () => void): unknown;
  exit(code: number): void;
}

interface HostStream extends OutputStream {
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
}

/** A terminal and npx may both send the signal of one Ctrl-C. */
const ONE_SIGNAL_MS = 500;

/** Runs the process's command line and sets its exit code, leaving it to end by itself. */
export async function runProcess(
  host: HostProcess,
  commands: readonly Command[],
  version: string,
  loadLibrary: () => Promise<Library>,
  nowMs = () => performance.now(),
): Promise<void> {
  const stop = new AbortController();
  let askedMs = Number.POSITIVE_INFINITY;
  // The first signal lets the command clear up and finish with what it has; a second one does not wait.
  const interrupt = (signal: InterruptSignal) => {
    const reason = new InterruptedError(signal);
    if (nowMs() - askedMs > ONE_SIGNAL_MS) host.exit(reason.exitStatus);
    askedMs = Math.min(askedMs, nowMs());
    stop.abort(reason);
  };
  for (const signal of INTERRUPT_SIGNALS) host.on(signal, () => interrupt(signal));

  // A reader that has had enough is no failure: stop working, and say nothing.
  let readerGone = false;
  const onStreamError = (error: NodeJS.ErrnoException) => {
    if (!isReaderGone(error)) throw error;
    readerGone = true;
    stop.abort(error);
  };
  host.stdout.on('error', onStreamError);
  host.stderr.on('error', onStreamError);

  const status = await runCli(host.argv.slice(2), commands, {
    stdout: host.stdout,
    stderr: host.stderr,
    stdin: () => host.stdin,
    env: host.env,
    signal: stop.signal,
    nowMs,
    version,
    pid: host.pid,
    loadLibrary,
  });
  host.exitCode = readerGone ? EXIT_OK : status;
}
