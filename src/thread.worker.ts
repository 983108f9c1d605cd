/** The program of every thread that this package starts. The build makes one text of it and all it needs. */
import { parentPort, workerData } from 'node:worker_threads';
import { findOptionalFrom } from './optional.js';
import { runServerThread } from './serve/server.worker.js';
import { runCompactorThread } from './storage/compaction/compaction.worker.js';
import { runSpoolerThread } from './storage/spooler/spooler.worker.js';
import type { ThreadStart } from './thread.js';
import { respond } from './workers/analysis.worker.js';
import { ANALYSIS_HANDLER } from './workers/handler.js';
import { runStreamThread } from './workers/stream.worker.js';

async function run({ role, data, script }: ThreadStart): Promise<void> {
  findOptionalFrom(script);
  const port = parentPort;
  if (port === null) throw new Error('this module is the beginning of a worker thread');
  switch (role) {
    case 'analysis':
      return runAnalysisThread();
    case 'compactor':
      return runCompactorThread(data, port);
    case 'serve':
      return runServerThread(data, port);
    case 'spooler':
      return runSpoolerThread(data, port);
    case 'stream':
      return runStreamThread(port);
  }
}

/** Piscina's own program, which finds the function that answers requests here (scripts/build-sources.js). */
async function runAnalysisThread(): Promise<void> {
  const handlers = new Map([[ANALYSIS_HANDLER, respond]]);
  Object.assign(globalThis, { [Symbol.for('crucible-telemetry.handlers')]: handlers });
  await import('../node_modules/piscina/dist/worker.js');
}

// A rejection ends the thread, and whoever started it is told.
void run(workerData as ThreadStart);
