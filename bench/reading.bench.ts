/** How fast what is on disk comes back: reopening an experiment, and scanning it beside the same rows in memory. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Crucible, type Experiment } from '../src/index.js';
import { withFolder } from './durable.bench.js';
import { type Bench, best, type Row, type Scale, syntheticCalls } from './harness.js';

const INPUTS = 4096;
const { latencies, costs } = syntheticCalls(INPUTS);

async function fill(experiment: Experiment, events: number): Promise<void> {
  const recorders = Array.from({ length: 16 }, (_, i) =>
    experiment.recorder('req_llm.request.stop', { model: `model-${i}` }),
  );
  for (let i = 0; i < events; i++) {
    const input = (i * 17) & (INPUTS - 1);
    recorders[i & 15].recordAt(1.7e15 + i, latencies[input], costs[input], 100, 50, true);
  }
  await experiment.stop();
}

/** Reads every row and keeps none. */
const scan = (experiment: Experiment) => experiment.metrics();

async function reopening(dir: string, id: string, rounds: number): Promise<Row[]> {
  const megabytes = statSync(join(dir, id, '000001.arrows')).size / 2 ** 20;
  const open = async (streamingMetrics: boolean) => {
    await using crucible = new Crucible();
    await crucible.recover(dir, { readOnly: true });
    return streamingMetrics;
  };
  const ms = await best(rounds, () => open(true));
  const rate = megabytes / (ms / 1000);
  return [
    {
      name: `recover ${megabytes.toFixed(0)} MB, verified`,
      value: `${rate.toFixed(0)} MB/s`,
      against: `${((ms * 100) / megabytes / 1000).toFixed(2)} s for 100 MB`,
      bound: '≥ 500 MB/s, ≤ 2 s',
      holds: rate >= 500 && (ms * 100) / megabytes <= 2000,
    },
  ];
}

export const reading: Bench = {
  question: 'How fast does what is on disk come back?',
  not: 'cold files: they are in the page cache',
  async rows(scale: Scale): Promise<Row[]> {
    const events = scale.smoke ? 20_000 : 10_000_000;
    const rounds = scale.smoke ? 1 : 5;
    return withFolder(async (dir) => {
      await using crucible = new Crucible();
      const segmentBytes = 2 ** 40;
      const memory = crucible.startExperiment({ name: 'memory', capacity: events, producers: 1 });
      const kept = crucible.startExperiment({
        name: 'durable',
        dir,
        capacity: 1 << 20,
        segmentBytes,
        fsync: 'never',
        blockMs: 60_000,
      });
      await fill(memory, events);
      await fill(kept, events);
      const inMemory = await best(rounds, () => scan(memory));
      const onDisk = await best(rounds, () => scan(kept));
      const ns = (ms: number) => `${((ms * 1e6) / events).toFixed(1)} ns`;
      return [
        ...(await reopening(dir, kept.id, rounds)),
        {
          name: `metrics() of ${(events / 1e6).toFixed(0)} M events on disk, an event`,
          value: ns(onDisk),
          against: `${(onDisk / inMemory).toFixed(2)} × in memory (${ns(inMemory)})`,
          bound: '≤ 3 ×',
          holds: onDisk <= 3 * inMemory,
        },
      ];
    });
  },
};
