/** A writer of threads.bench.ts: `rows` rows whose columns all derive from one number. */
import { parentPort, workerData } from 'node:worker_threads';
import { attachExperiment, type ExperimentHandle } from '../src/index.js';

const { handle, first, rows } = workerData as { handle: ExperimentHandle; first: number; rows: number };
const writer = attachExperiment(handle);
const recorder = writer.recorder('bench.row');
const startNs = process.hrtime.bigint();
for (let value = first; value < first + rows; value++) {
  recorder.recordAt(value, value / 2, value / 4, value & 0xffff, 1, true);
}
const ns = Number(process.hrtime.bigint() - startNs) / rows;
writer.close();
parentPort?.postMessage(ns);
