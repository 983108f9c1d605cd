/**
 * Does analysis hold up the thread that captures? Ten million events are analysed and exported by the pool while another
 * experiment is captured as fast as it goes; beside the same without analysis, in turns.
 */
import { setImmediate } from 'node:timers/promises';
import { Crucible, type Experiment } from '../src/index.js';
import { withFolder } from './durable.bench.js';
import { type Bench, nsText, type Row, type Scale, syntheticCalls } from './harness.js';

const EVENT = 'req_llm.request.stop';
const START_US = 1.7e15;
const MINUTE_US = 60e6;
const HOUR_US = 3600e6;
const INPUTS = 4096;
/** Calls timed together. */
const BURST = 256;
const { latencies, costs } = syntheticCalls(INPUTS);

interface Turns {
  /** Nanoseconds a call, of each burst. */
  readonly burstNs: number[];
  /** Milliseconds between the end of a burst and the beginning of the next one: what the loop did in between. */
  readonly delayMs: number[];
}

/** Captures a burst at each turn of the event loop until told to stop. */
async function capture(experiment: Experiment, isOver: () => boolean, turns: Turns): Promise<void> {
  const recorder = experiment.recorder(EVENT, { model: 'm' });
  let ended = performance.now();
  while (!isOver()) {
    const start = performance.now();
    turns.delayMs.push(start - ended);
    for (let i = 0; i < BURST; i++) recorder.record(latencies[i], costs[i], 100, 50, true);
    ended = performance.now();
    turns.burstNs.push(((ended - start) * 1e6) / BURST);
    await setImmediate();
  }
}

const quantile = (values: readonly number[], p: number) =>
  Float64Array.from(values).sort()[Math.floor(p * (values.length - 1))];

export const responsive: Bench = {
  question: 'Does analysis hold up the thread that captures?',
  not: 'predicates, which run on the calling thread; decoding the rows of a large query, which it does a little at a time',
  async rows(scale: Scale): Promise<Row[]> {
    const events = scale.smoke ? 40_000 : 10_000_000;
    return withFolder((dir) => rowsIn(dir, scale, events));
  },
};

async function rowsIn(dir: string, scale: Scale, events: number): Promise<Row[]> {
  await using crucible = new Crucible({ workers: 1 });
  const large = crucible.startExperiment({ name: 'large', capacity: events, producers: 1 });
  const recorders = Array.from({ length: 16 }, (_, i) => large.recorder(EVENT, { model: `model-${i}` }));
  for (let i = 0; i < events; i++) {
    const input = (i * 17) & (INPUTS - 1);
    recorders[i & 15].recordAt(
      START_US + (i * HOUR_US) / events,
      latencies[input],
      costs[input],
      100,
      50,
      i % 20 !== 0,
    );
  }
  const beside = crucible.startExperiment({ name: 'beside', capacity: 1 << 16, producers: 1 });
  const other = beside.recorder(EVENT, { model: 'model-0' });
  for (let i = 0; i < 10_000; i++) {
    other.recordAt(
      START_US + (i * HOUR_US) / 10_000,
      latencies[i & (INPUTS - 1)],
      costs[i & (INPUTS - 1)],
      100,
      50,
      i % 20 !== 0,
    );
  }
  const live = crucible.startExperiment({ name: 'live', capacity: 1 << 20, producers: 1 });
  const range: [number, number] = [START_US + 10 * MINUTE_US, START_US + 11 * MINUTE_US];
  const calls: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['metrics()', () => large.metrics()],
    ['metricsBy(model)', () => large.metricsBy('model')],
    ['windowedMetrics()', () => large.windowedMetrics({ sizeUs: MINUTE_US, stepUs: MINUTE_US / 6 })],
    ['query of a minute', () => large.query({ timeRange: range })],
    ['export of a minute, csv', () => large.export('csv', { dir, filter: { timeRange: range } })],
    ['export of a minute, parquet', () => large.export('parquet', { dir, filter: { timeRange: range } })],
    ['compare() of a minute', () => crucible.compare([large, beside], { filter: { timeRange: range } })],
  ];
  // Threads are started, and code is compiled, before anything counts.
  for (const [, call] of calls) await call();
  const idle: Turns = { burstNs: [], delayMs: [] };
  const busy: Turns = { burstNs: [], delayMs: [] };
  const took = new Map<string, number>();
  const rounds = scale.smoke ? 1 : 5;
  for (let round = 0; round < rounds; round++) {
    for (const [name, call] of calls) {
      let isOver = false;
      const capturing = capture(live, () => isOver, busy);
      const start = performance.now();
      await call();
      const ms = performance.now() - start;
      isOver = true;
      await capturing;
      took.set(name, Math.min(ms, took.get(name) ?? Number.POSITIVE_INFINITY));
      const until = performance.now() + ms;
      await capture(live, () => performance.now() >= until, idle);
    }
  }
  const [quiet, loaded] = [idle, busy].map(({ burstNs }) => quantile(burstNs, 0.5));
  const [quietMs, loadedMs] = [idle, busy].map(({ delayMs }) => quantile(delayMs, 0.99));
  const longestMs = quantile(busy.delayMs, 1);
  return [
    {
      name: 'record() while ten million events are analysed, median burst',
      value: nsText(loaded),
      against: `${(loaded / quiet).toFixed(2)} × without (${nsText(quiet)})`,
      bound: '≤ 1.2 ×',
      holds: loaded <= 1.2 * quiet,
    },
    {
      name: 'delay of the event loop, p99',
      value: `${loadedMs.toFixed(2)} ms`,
      against: `longest ${longestMs.toFixed(1)} ms; p99 without ${quietMs.toFixed(2)} ms`,
      bound: '≤ 5 ms',
      holds: loadedMs <= 5,
    },
    ...[...took].map(([name, ms]) => ({
      name: `${name} of ${(events / 1e6).toFixed(0)} M events`,
      value: `${ms.toFixed(0)} ms`,
      against: `${((ms * 1e6) / events).toFixed(1)} ns an event`,
      bound: '',
    })),
  ];
}
