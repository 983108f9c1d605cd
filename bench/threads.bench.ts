/** What it costs to write one experiment from two threads, and whether any row is torn, lost or mixed. */
import { Worker } from 'node:worker_threads';
import { Crucible, type Experiment } from '../src/index.js';
import { type Bench, nsText, type Row, type Scale } from './harness.js';

/** Rows name their writer and number in every column, so a reader can check each one by itself. */
const PRODUCER_STRIDE = 2 ** 28;

/** Counts rows whose columns do not all belong to one write. */
function mixedRows(times: Float64Array, latencies: Float64Array, costs: Float64Array): number {
  let mixed = 0;
  for (let i = 0; i < times.length; i++) {
    if (latencies[i] !== times[i] / 2 || costs[i] !== times[i] / 4) mixed++;
  }
  return mixed;
}

/** Worker threads need JavaScript: when this runs from the sources, the worker is the built one. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? '../dist/bench/threads.worker.js' : './threads.worker.js',
  import.meta.url,
);

/** Runs the writers to the end and returns nanoseconds an event of the slowest. */
async function write(experiment: Experiment, threads: number, rows: number): Promise<number> {
  const workers = Array.from(
    { length: threads },
    (_, thread) =>
      new Worker(WORKER, {
        workerData: { handle: experiment.share(), first: (thread + 1) * PRODUCER_STRIDE, rows },
      }),
  );
  const times = await Promise.all(
    workers.map(
      (worker) =>
        new Promise<number>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  await Promise.all(workers.map((worker) => worker.terminate()));
  return Math.max(...times);
}

export const threads: Bench = {
  question: 'Do two threads that write one experiment disturb each other?',
  not: 'more threads than processors',
  async rows(scale: Scale): Promise<Row[]> {
    const rows = scale.smoke ? 20_000 : 50_000_000;
    await using crucible = new Crucible();
    const start = (name: string) => crucible.startExperiment({ name, capacity: 1 << 18 });
    const one = await write(start('one'), 1, rows);
    const shared = start('two');
    // Read while they write: every batch must hold whole rows only.
    let reading = true;
    let read = 0;
    let mixed = 0;
    const reader = (async () => {
      while (reading) {
        for await (const { timestamp, latencyMs, costUsd } of shared.events()) {
          read++;
          mixed += mixedRows(
            Float64Array.of(timestamp),
            Float64Array.of(latencyMs ?? 0),
            Float64Array.of(costUsd ?? 0),
          );
          if (read % 5000 === 0) break;
        }
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    })();
    const two = await write(shared, 2, rows);
    reading = false;
    await reader;
    await shared.stop();
    const { captured, retained, dropped } = shared.counts;
    for await (const { timestamp, latencyMs, costUsd } of shared.events()) {
      read++;
      mixed += mixedRows(
        Float64Array.of(timestamp),
        Float64Array.of(latencyMs ?? 0),
        Float64Array.of(costUsd ?? 0),
      );
    }
    const lost = 2 * rows - captured + (captured - retained - dropped);
    const { count, latency } = shared.streamingMetrics();
    const unaccounted = Math.abs(2 * rows - count) + Math.abs(2 * rows - latency.count);
    return [
      { name: 'one thread', value: nsText(one), against: '', bound: '' },
      {
        name: 'two threads, each',
        value: nsText(two),
        against: `${(two / one).toFixed(2)} × one thread`,
        bound: '≤ 1.6 ×',
        holds: two / one <= 1.6,
      },
      {
        name: `torn or mixed of ${read.toLocaleString('en-US')} rows read`,
        value: String(mixed),
        against: '',
        bound: '0',
        holds: mixed === 0,
      },
      {
        name: `lost of ${(2 * rows).toLocaleString('en-US')} rows written`,
        value: String(lost + unaccounted),
        against: '',
        bound: '0',
        holds: lost + unaccounted === 0,
      },
    ];
  },
};
