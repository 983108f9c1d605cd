import { Readable } from 'node:stream';
import { runCli } from '../../../src/cli/app.js';
import type { CliEnvironment, Command } from '../../../src/cli/command.js';
import type { Library } from '../../../src/cli/library.js';
import { type FakeLibrary, fakeLibrary } from './fake-library.js';
import { CollectedStream } from './streams.js';

export interface CliRun {
  status: number;
  stdout: string;
  stderr: string;
  library: FakeLibrary;
}

/** Runs a command line in this process, in a pipe or at a terminal, with a library in memory. */
export async function runInMemory(
  argv: readonly string[],
  commands: readonly Command[],
  options: {
    env?: Record<string, string>;
    /** With so many columns; 100 if only true. */
    terminal?: boolean | number;
    signal?: AbortSignal;
    onEmit?: (event: string) => void;
    /** Of each text on stderr. */
    onStderr?: (text: string) => void;
    /** What comes from standard input. */
    stdin?: readonly Uint8Array[];
    /** Instead of the one in memory. */
    loadLibrary?: () => Promise<Library>;
  } = {},
): Promise<CliRun> {
  const { terminal = false } = options;
  const size = terminal === false ? undefined : { columns: terminal === true ? 100 : terminal, rows: 40 };
  const [stdout, stderr] = [new CollectedStream(size), new CollectedStream(size, options.onStderr)];
  const library = fakeLibrary(options.onEmit);
  const environment: CliEnvironment = {
    stdout,
    stderr,
    stdin: () => Readable.from(options.stdin ?? []),
    env: options.env ?? {},
    signal: options.signal ?? new AbortController().signal,
    nowMs: () => performance.now(),
    version: '1.2.3',
    pid: 4711,
    loadLibrary: options.loadLibrary ?? (async () => library),
  };
  const status = await runCli(argv, commands, environment);
  return { status, stdout: stdout.text, stderr: stderr.text, library };
}
