/**
 * A process (node --expose-gc) that starts, captures, flushes, stops, recovers and cleans up experiments for some
 * time, with small segments and old ones deleted, and reports as JSON what it still holds of them: JavaScript memory,
 * file descriptors, resources that keep an event loop alive.
 */
import { readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crucible } from '../../dist/src/index.js';
import { COLUMNS, inspect, Source } from './rows.mjs';

const { dir, rounds, minutes } = JSON.parse(process.argv[2]);

const resources = () => process.getActiveResourcesInfo().sort().join();
/** Linux only; elsewhere always 0. */
const openFiles = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);

async function heapBytes() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await sleep(5);
  }
  return process.memoryUsage().heapUsed;
}

const problems = [];
const check = (ok, what) => {
  if (!ok) problems.push(what);
};

async function round(n) {
  const home = join(dir, `round-${n}`);
  const retained = n % 3 === 0;
  const first = new Crucible({ dir: home });
  const experiment = first.startExperiment({
    name: 'soaked',
    id: 'soaked',
    columns: COLUMNS,
    capacity: 8192,
    blockMs: 60_000,
    flushIntervalMs: 5,
    segmentBytes: 2 ** 16,
    ...(retained ? { retention: { maxBytes: 200_000 } } : {}),
  });
  const source = new Source(experiment, 0);
  for (let i = 0; i < 8; i++) {
    for (let row = 0; row < 1000; row++) source.capture();
    const { captured, pending, deadlineExceeded } = await experiment.flush();
    check(captured === source.count && pending === 0 && !deadlineExceeded, `round ${n}: flush ${i}`);
  }
  if (n % 2 === 0) await experiment.stop();
  const before = await summary(experiment);
  check(before.captured === source.count, `round ${n}: captured`);
  check(before.retained + before.expired === source.count, `round ${n}: retained`);
  check(retained === before.expired > 0, `round ${n}: expired ${before.expired}`);
  // cleanup stops it; so what is recovered can be read.
  await first.close();

  const second = new Crucible({ dir: home });
  const { experiments } = await second.recover();
  check(experiments[0].damage.length === 0 && experiments[0].error === null, `round ${n}: recovered`);
  const after = await summary(second.experiment('soaked'));
  check(after.retained + after.expired === source.count, `round ${n}: recovered ${JSON.stringify(after)}`);
  await second.close();
  rmSync(home, { recursive: true });
}

async function summary(experiment) {
  const inspector = await inspect(experiment);
  for (const problem of inspector.conclude({ gaps: true })) problems.push(problem);
  const { captured, retained, dropped } = experiment.counts;
  check(retained === inspector.rows && dropped === 0, `counted ${retained}, read ${inspector.rows}`);
  return { captured, retained, expired: experiment.storage.expired };
}

/** In the first rounds, and the first half of a long run, what is used is loaded and compiled: some 160 rounds. */
const WARM_UP = 6;
const startMs = performance.now();
const durationMs = minutes * 60_000;
let begun;
let n = 0;
for (; n < rounds || performance.now() - startMs < durationMs; n++) {
  if (begun === undefined && n >= WARM_UP && performance.now() - startMs >= durationMs / 2) {
    begun = {
      heapBytes: await heapBytes(),
      openFiles: openFiles(),
      resources: resources(),
      ms: performance.now(),
    };
  }
  // What is no longer used ages with every collection, compiled code too: both measurements find it as old.
  if (n % 25 === 0) await heapBytes();
  await round(n);
}
await sleep(100);
const heap = await heapBytes();
const report = {
  rounds: n,
  problems: problems.slice(0, 5),
  openFiles: [begun.openFiles, openFiles()],
  resources: [begun.resources, resources()],
  heapGrowthBytes: heap - begun.heapBytes,
  hours: (performance.now() - begun.ms) / 3_600_000,
};
writeSync(1, JSON.stringify(report));
