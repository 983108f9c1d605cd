/**
 * A process that captures ten times as fast as its disk writes, and reports as JSON what that did to it.
 *
 * What a busy machine does to this thread is measured too, by the same loop capturing nothing. That a call waits for
 * something is told by the waits it asks for, whatever time they take.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { Crucible } from '../../dist/src/index.js';
import { BrokenControl } from './broken-disk.mjs';
import { COLUMNS, inspect, Source } from './rows.mjs';

const { dir, overflow, seconds, blockMs } = JSON.parse(process.argv[2]);
/** Bytes of a row on disk, roughly; the disk takes 40,000 rows a second. */
const ROW_BYTES = 80;
const ROWS_PER_S = 40_000;
const writeMsPerMiB = ((2 ** 20 / ROW_BYTES) * 1000) / ROWS_PER_S;

/** Waits longer than for a lock that is held for microseconds, ms. */
const waitsMs = [];
const wait = Atomics.wait;
Atomics.wait = (words, at, value, timeoutMs) => {
  if (!(timeoutMs <= 0.5)) waitsMs.push(timeoutMs);
  return wait(words, at, value, timeoutMs);
};

const crucible = new Crucible({ dir });
const experiment = crucible.startExperiment({
  name: 'overloaded',
  id: 'overloaded',
  columns: COLUMNS,
  overflow,
  blockMs,
  capacity: 32_768,
  fsync: 'never',
  fileSystem: {
    url: new URL('./broken-disk.mjs', import.meta.url).href,
    spec: { control: new BrokenControl().words, writeMsPerMiB },
  },
});
await experiment.flush();
const source = new Source(experiment, 0);
let rssBytes = 0;

/** Has `capture` called as often as the load demands. @returns how the event loop fared */
async function load(seconds, capture) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const startMs = performance.now();
  let calls = 0;
  let slowestCallMs = 0;
  let rssAtHalfBytes = 0;
  delays.enable();
  for (let elapsedMs = 0; elapsedMs < seconds * 1000; elapsedMs = performance.now() - startMs) {
    // A few milliseconds' worth at most at a time: when the thread was kept waiting, the load does not add up.
    const due = Math.min(2000, Math.ceil((elapsedMs * 10 * ROWS_PER_S) / 1000) - calls);
    for (let i = 0; i < due; i++) {
      const beforeMs = performance.now();
      capture();
      slowestCallMs = Math.max(slowestCallMs, performance.now() - beforeMs);
    }
    calls += Math.max(0, due);
    rssBytes = Math.max(rssBytes, process.memoryUsage.rss());
    if (elapsedMs < seconds * 500) rssAtHalfBytes = rssBytes;
    await turn();
  }
  delays.disable();
  const rssGrowthBytes = rssBytes - rssAtHalfBytes;
  return {
    slowestCallMs,
    delayP99Ms: delays.percentile(99) / 1e6,
    delayMaxMs: delays.max / 1e6,
    rssGrowthBytes,
  };
}

const idle = await load(Math.min(10, seconds), () => {});
waitsMs.length = 0;
const loaded = await load(seconds, () => source.capture());
const waits = { count: waitsMs.length, longestMs: Math.max(0, ...waitsMs) };
const offered = source.count;
// With 'overwrite', what is overwritten while it waits is not durable, which it says.
const flushed = await experiment.flush({ deadlineMs: 60_000 }).catch((error) => error.context.report);
const { deadlineExceeded } = flushed;
await experiment.stop();
const { counts } = experiment;
const live = await inspect(experiment);
const report = {
  offered,
  ...counts,
  read: live.rows,
  problems: live.conclude({ gaps: true }),
  deadlineExceeded,
  waits,
  loaded,
  idle,
  rssBytes,
};
await crucible.close();
console.log(JSON.stringify(report));
