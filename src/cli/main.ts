#!/usr/bin/env node
/** The `crucible` binary: the process's streams, signals and exit status around `runCli`. */

import { createRequire } from 'node:module';
import { EXIT_OK, runCli } from './app.js';
import { commands } from './commands/index.js';
import { loadLibrary } from './library.js';

const { version } = createRequire(import.meta.url)('crucible-telemetry/package.json') as { version: string };

const EXIT_INTERRUPTED = 130;

const stop = new AbortController();

// The first Ctrl-C lets the command finish what it has; the second does not wait.
process.on('SIGINT', () => {
  if (stop.signal.aborted) process.exit(EXIT_INTERRUPTED);
  stop.abort();
});
process.once('SIGTERM', () => stop.abort());

// A reader that has had enough (`crucible help | head -1`) is no failure: stop working, and say nothing.
let readerGone = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    readerGone = true;
    stop.abort();
  });
}

const status = await runCli(process.argv.slice(2), commands, {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: stop.signal,
  nowMs: () => performance.now(),
  version,
  loadLibrary,
});
process.exitCode = readerGone ? EXIT_OK : status;
