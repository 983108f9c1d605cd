/**
 * A process that captures until it is killed.
 *
 * Everything it knows it writes to a journal at once, so that it outlives it. Each line is a word, the system's
 * monotonic time in µs, and rows captured by each producer, counted from the experiment's beginning:
 *
 *   recovered  what was found on disk at the start
 *   captured   so many had been captured by that time
 *   spooling   the thread that writes to the disk has begun to
 *   flushed    so many are acknowledged
 *   problem    what is wrong with the rows on disk, as JSON
 */
import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Crucible } from '../../dist/src/index.js';
import { seededRandom } from '../support/disks/random.mjs';
import { COLUMNS, inspect, Source } from './rows.mjs';

const task = JSON.parse(process.argv[2]);
const { dir, journal, producers, seed, rowsPerMs, promptEvery, options, lies, recoverOnly } = task;
const random = seededRandom(seed);
const fd = openSync(journal, 'a');
const nobody = new Int32Array(new SharedArrayBuffer(4));
const counts = new Int32Array(new SharedArrayBuffer(4 * producers));
const nowUs = () => Number(process.hrtime.bigint() / 1000n);

function note(word, rows = [...counts]) {
  writeSync(fd, `${word} ${nowUs()} ${rows.join(' ')}\n`);
}

const crucible = new Crucible({ dir });
const { experiments } = await crucible.recover();
let experiment;
if (experiments.length === 0) {
  experiment = crucible.startExperiment({ name: 'killed', id: 'killed', columns: COLUMNS, ...options });
} else {
  experiment = crucible.experiment('killed');
  const inspector = await inspect(experiment);
  const problems = inspector.conclude();
  const [{ access, damage, error }] = experiments;
  if (access !== 'write') problems.push(`access: ${access} ${JSON.stringify(error)}`);
  if (damage.length > 0) problems.push(`damage: ${JSON.stringify(damage)}`);
  const { captured, retained, dropped } = experiment.counts;
  if (captured !== inspector.rows || retained !== inspector.rows || dropped !== 0) {
    problems.push(`${inspector.rows} rows, and counted ${JSON.stringify(experiment.counts)}`);
  }
  if (problems.length > 0) writeSync(fd, `problem ${JSON.stringify(problems)}\n`);
  inspector.counts.forEach((count, producer) => {
    counts[producer] = count;
  });
}
note('recovered');
// Until the thread that writes has begun, a kill leaves nothing: mostly it has.
if (random() < 0.7) await experiment.flush();
writeSync(1, 'ready\n');
if (recoverOnly) process.exit();

for (let producer = 1; producer < producers; producer++) {
  const workerData = {
    handle: experiment.share(),
    producer,
    from: counts[producer],
    counts,
    seed: seed + producer,
    rowsPerMs,
    promptEvery,
  };
  new Worker(new URL('./kill-worker.mjs', import.meta.url), { workerData });
}

const source = new Source(experiment, 0, counts[0], promptEvery);
const writtenBefore = experiment.storage.written;
let isSpooling = false;
function burst() {
  const ms = 0.2 + random() * 3;
  for (let left = Math.ceil(ms * rowsPerMs); left > 0; left--) {
    source.capture();
    counts[0] = source.count;
  }
  note('captured');
  if (!isSpooling && experiment.storage.written > writtenBefore) {
    isSpooling = true;
    note('spooling');
  }
  return ms;
}

let flushes = 0;
async function flush() {
  if (flushes >= 3) return;
  flushes++;
  const rows = [...counts];
  const { deadlineExceeded } = lies ? { deadlineExceeded: false } : await experiment.flush();
  if (!deadlineExceeded) note('flushed', rows);
  flushes--;
}

for (;;) {
  if (random() < 0.05) void flush();
  if (random() < 0.03) {
    // The event loop stands still.
    for (let bursts = 1 + random() * 20; bursts > 0; bursts--) Atomics.wait(nobody, 0, 0, burst());
  }
  const ms = burst();
  if (random() < 0.3) await turn();
  else await sleep(ms);
}
