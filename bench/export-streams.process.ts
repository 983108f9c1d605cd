/**
 * Many export streams of one experiment, each stopped by its reader: prints a `StreamsCost` as JSON. A process of its
 * own, since what one format leaves behind would count for the next. Needs --expose-gc.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crucible, type ExportFormat, type ExportOptions } from '../src/index.js';
import { random, syntheticCalls } from './harness.js';
import { residentBytes, watchPeak } from './resident.js';

export interface StreamsJob {
  readonly format: ExportFormat;
  readonly layout: ExportOptions['layout'] | null;
  readonly rows: number;
  readonly streams: number;
}

/** Resident memory in bytes. */
export interface StreamsCost {
  readonly threads: number;
  /** With the rows, and a thread that has exported them once. */
  readonly warmBytes: number;
  /** The most there was while the streams were begun and each of them was read a piece at a time. */
  readonly peakBytes: number;
}

const PIECES = 20;
const MODELS = 16;

const threads = () => readdirSync('/proc/self/task').length;

async function cost({ format, layout, rows, streams }: StreamsJob): Promise<StreamsCost> {
  await using crucible = new Crucible({ workers: 1 });
  const experiment = crucible.startExperiment({ name: 'streams', capacity: rows, producers: 1 });
  const recorders = Array.from({ length: MODELS }, (_, i) =>
    experiment.recorder('req_llm.request.stop', { model: `model-${i}`, provider: 'provider' }),
  );
  const { latencies, costs } = syntheticCalls(4096);
  const next = random(7);
  for (let i = 0; i < rows; i++) {
    const [latencyMs, costUsd] = [latencies[i % 4096] * (1 + next()), costs[i % 4096] * (1 + next())];
    recorders[i % MODELS].recordAt(1.7e15 + i * 3600, latencyMs, costUsd, i % 4000, i % 900, i % 20 !== 0);
  }
  const options = layout === null ? {} : { layout };
  for await (const _ of experiment.exportStream(format, options)) {
    // What its code and the thread take does not count for the streams.
  }
  for (let i = 0; i < 4; i++) {
    gc?.();
    await sleep(10);
  }
  const warmThreads = threads();
  const warmBytes = residentBytes();
  const peak = watchPeak();
  const open = Array.from({ length: streams }, () =>
    experiment.exportStream(format, options)[Symbol.asyncIterator](),
  );
  for (let piece = 0; piece < PIECES; piece++) for (const stream of open) await stream.next();
  return { threads: threads() - warmThreads, warmBytes, peakBytes: peak() };
}

process.stdout.write(JSON.stringify(await cost(JSON.parse(process.argv[2]) as StreamsJob)));
