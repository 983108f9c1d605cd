/** A thread of kill-child.mjs that captures: in bursts, its event loop turning or not. */
import { workerData } from 'node:worker_threads';
import { attachExperiment } from '../../dist/src/index.js';
import { seededRandom } from '../support/disks/random.mjs';
import { Source } from './rows.mjs';

const { handle, producer, from, counts, seed, rowsPerMs, promptEvery } = workerData;
const random = seededRandom(seed);
const source = new Source(attachExperiment(handle), producer, from, promptEvery);
const nobody = new Int32Array(new SharedArrayBuffer(4));
const turns = random() < 0.5;

function burst() {
  const ms = 0.2 + random() * 3;
  for (let left = Math.ceil(ms * rowsPerMs); left > 0; left--) {
    source.capture();
    Atomics.store(counts, producer, source.count);
  }
  return ms;
}

if (turns) {
  const step = () => setTimeout(step, burst());
  step();
} else for (;;) Atomics.wait(nobody, 0, 0, burst());
