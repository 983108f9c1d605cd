/** A command line in a process: its streams, its signals and its exit status. */

import { runCli, told } from './app.js';
import type { Command } from './command.js';
import {
  INTERRUPT_SIGNALS,
  InterruptedError,
  type InterruptSignal,
  isReaderGone,
  OutputError,
} from './errors.js';
import { EXIT_FAILED, EXIT_OK } from './exit-status.js';
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

  const argv = host.argv.slice(2);
  let outcome: number | null = null;
  const onOutputError = (error: NodeJS.ErrnoException) => {
    if (outcome !== null) return;
    // A reader that has had enough is no failure: stop working, and say nothing.
    outcome = isReaderGone(error) ? EXIT_OK : EXIT_FAILED;
    const failure = new OutputError(error);
    if (outcome === EXIT_FAILED) host.stderr.write(told(failure, outcome, argv, host.env));
    host.exitCode = outcome;
    stop.abort(outcome === EXIT_OK ? error : failure);
  };
  host.stdout.on('error', onOutputError);
  host.stderr.on('error', (error) => {
    // There is nobody left to tell.
    outcome ??= isReaderGone(error) ? EXIT_OK : EXIT_FAILED;
    host.exitCode = outcome;
    stop.abort(error);
  });

  const status = await runCli(argv, commands, {
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
  host.exitCode = outcome ?? status;
}
