/**
 * What it costs to keep events on disk: on the capturing thread, and at the rate a disk takes them.
 *
 * Durable and in-memory experiments take turns in one process, at the same pace, so that the spooler works on the
 * other processor while the bursts of both are timed. Medians are compared here, not minima: the least disturbed
 * burst is the one during which the spooler rested.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Crucible, type Experiment } from '../src/index.js';
import { type Bench, nsText, type Row, type Scale, syntheticCalls } from './harness.js';
import { filePeers } from './peers/files.js';

const INPUTS = 4096;
const { latencies, costs } = syntheticCalls(INPUTS);
const BURST = 4096;
/** A burst each so many ms is a million events a second. */
const PAUSE_MS = 4;

const sleeper = new Int32Array(new SharedArrayBuffer(4));
const sleepSync = (ms: number) => Atomics.wait(sleeper, 0, 0, ms);

/** Runs with a folder that is gone afterwards. */
export async function withFolder<T>(run: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(process.env.CRUCIBLE_BENCH_DIR ?? tmpdir(), 'crucible-bench-'));
  try {
    return await run(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function burstOf(experiment: Experiment): (from: number) => void {
  const recorders = Array.from({ length: 16 }, (_, i) =>
    experiment.recorder('req_llm.request.stop', { model: `model-${i}` }),
  );
  return (from) => {
    for (let i = from; i < from + BURST; i++) {
      const input = (i * 17) & (INPUTS - 1);
      recorders[i & 15].recordAt(1.7e15 + i, latencies[input], costs[input], 100, 50, true);
    }
  };
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];

/** Nanoseconds an event, median burst, of both kinds at a million events a second each. */
async function paced(dir: string, bursts: number): Promise<{ memoryNs: number; durableNs: number }> {
  await using crucible = new Crucible();
  const options = { capacity: 1 << 20, prefault: true };
  const candidates = [
    burstOf(crucible.startExperiment({ name: 'memory', ...options })),
    burstOf(crucible.startExperiment({ name: 'durable', dir, ...options })),
  ];
  const ns: number[][] = [[], []];
  for (let round = 0; round < bursts; round++) {
    // Whoever is first after the pause pays for cold caches, so they take turns.
    for (const k of round & 1 ? [1, 0] : [0, 1]) {
      const start = process.hrtime.bigint();
      candidates[k](round * BURST);
      ns[k].push(Number(process.hrtime.bigint() - start) / BURST);
    }
    sleepSync(PAUSE_MS);
    if (round % 16 === 0) await turn();
  }
  return { memoryNs: median(ns[0]), durableNs: median(ns[1]) };
}

/** Nanoseconds a single call of `record` takes at the 99th percentile, at a million calls a second. */
function p99(experiment: Experiment, calls: number): number {
  const recorder = experiment.recorder('req_llm.request.stop', { model: 'gpt-4' });
  const histogram = new Float64Array(1 << 16);
  const begin = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) {
    const due = begin + BigInt(i) * 1000n;
    while (process.hrtime.bigint() < due);
    const start = process.hrtime.bigint();
    recorder.record(latencies[i & (INPUTS - 1)], costs[i & (INPUTS - 1)], 100, 50, true);
    histogram[Math.min(Number(process.hrtime.bigint() - start), histogram.length - 1)]++;
  }
  let seen = 0;
  for (let at = 0; at < histogram.length; at++) {
    seen += histogram[at];
    if (seen >= 0.99 * calls) return at;
  }
  return histogram.length;
}

/** Events a second from the first one until the last is in a file, and what was lost on the way. */
async function sustained(
  dir: string,
  fsync: 'never' | 'interval',
  events: number,
): Promise<{ perSecond: number; dropped: number; bytesPerEvent: number }> {
  await using crucible = new Crucible({ dir });
  const experiment = crucible.startExperiment({
    name: `sustained ${fsync}`,
    fsync,
    blockMs: 10_000,
    capacity: 1 << 20,
    prefault: true,
    segmentBytes: 1 << 28,
  });
  const burst = burstOf(experiment);
  await experiment.flush();
  const start = performance.now();
  for (let from = 0; from < events; from += BURST) burst(from);
  const captured = experiment.counts.captured;
  while ((experiment.storage?.written ?? 0) < captured)
    await new Promise((resolve) => setTimeout(resolve, 1));
  const seconds = (performance.now() - start) / 1000;
  const { dropped } = experiment.counts;
  await experiment.stop();
  const [{ bytes }] = (await new Crucible().recover(dir, { readOnly: true })).experiments;
  return { perSecond: captured / seconds, dropped, bytesPerEvent: bytes / captured };
}

/** Events in one go by a thread that does nothing else, with the defaults: how long it is kept, and what is lost. */
async function atOnce(dir: string, events: number): Promise<{ ms: number; stopMs: number; dropped: number }> {
  await using crucible = new Crucible({ dir });
  const experiment = crucible.startExperiment({ name: 'burst' });
  const burst = burstOf(experiment);
  const start = performance.now();
  for (let from = 0; from < events; from += BURST) burst(from);
  const end = performance.now();
  const { lost } = await experiment.stop();
  return { ms: end - start, stopMs: performance.now() - end, dropped: lost.total };
}

export const durable: Bench = {
  question: 'What does it cost to keep events on disk?',
  not: 'other disks than that of the temporary folder (CRUCIBLE_BENCH_DIR changes it)',
  async rows(scale: Scale): Promise<Row[]> {
    const rows: Row[] = [];
    const { memoryNs, durableNs } = await withFolder((dir) => paced(dir, scale.smoke ? 10 : 2000));
    rows.push({
      name: 'recordAt, 1 M events/s, durable',
      value: nsText(durableNs),
      against: `${(durableNs / memoryNs).toFixed(2)} × in memory (${nsText(memoryNs)})`,
      bound: '≤ 1.15 ×',
      holds: durableNs <= 1.15 * memoryNs,
    });
    const calls = scale.smoke ? 2000 : 4_000_000;
    const tails = await withFolder(async (dir) => {
      await using crucible = new Crucible();
      const memory = crucible.startExperiment({ name: 'memory', prefault: true });
      const kept = crucible.startExperiment({ name: 'durable', dir, prefault: true });
      const best = { memory: Number.POSITIVE_INFINITY, durable: Number.POSITIVE_INFINITY };
      for (let round = 0; round < 3; round++) {
        best.memory = Math.min(best.memory, p99(memory, calls / 4));
        best.durable = Math.min(best.durable, p99(kept, calls / 4));
      }
      return best;
    });
    rows.push({
      name: 'record, p99 at 1 M events/s, fsync interval',
      value: nsText(tails.durable),
      against: `${tails.durable - tails.memory} ns above in memory (${nsText(tails.memory)})`,
      bound: '≤ 100 ns more',
      holds: tails.durable - tails.memory <= 100,
    });
    for (const fsync of ['never', 'interval'] as const) {
      const events = scale.smoke ? 8 * BURST : fsync === 'never' ? 40_000_000 : 20_000_000;
      const runs = [];
      // The first files are slow where the system has not had the memory for them before.
      for (let run = 0; run < (scale.smoke ? 1 : 3); run++) {
        runs.push(await withFolder((dir) => sustained(dir, fsync, events)));
      }
      const { perSecond, dropped, bytesPerEvent } = runs.reduce((a, b) =>
        b.perSecond > a.perSecond ? b : a,
      );
      rows.push({
        name: `sustained, fsync ${fsync}`,
        value: `${(perSecond / 1e6).toFixed(1)} M/s`,
        against: `${dropped} lost, ${bytesPerEvent.toFixed(1)} bytes an event`,
        bound: fsync === 'never' ? '≥ 10 M/s, 0 lost' : '',
        ...(fsync === 'never' ? { holds: scale.smoke || (perSecond >= 10e6 && dropped === 0) } : {}),
      });
    }
    for (const events of scale.smoke ? [8 * BURST] : [3e6, 10e6]) {
      const { ms, stopMs, dropped } = await withFolder((dir) => atOnce(dir, events));
      rows.push({
        name: `${events / 1e6} M events in one go, defaults`,
        value: `${(ms / 1000).toFixed(2)} s`,
        against: `${dropped} lost, ${(stopMs / 1000).toFixed(2)} s more until all are durable`,
        bound: '0 lost',
        holds: dropped === 0,
      });
    }
    const ours = rows[2].value;
    for (const { name, run } of filePeers) {
      const events = scale.smoke ? 500 : 200_000;
      const seconds = await withFolder(async (dir) => {
        const start = performance.now();
        await run(dir, events);
        return (performance.now() - start) / 1000;
      });
      const value = `${(events / seconds / 1e6).toFixed(2)} M/s`;
      rows.push({ name: `beside: ${name}`, value, against: `ours ${ours}, fsync never`, bound: '' });
    }
    return rows;
  },
};
