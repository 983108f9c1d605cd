/**
 * How fast are exact answers? The kernels by themselves, then whole calls, on a million events of an hour, and the calls
 * on ten million; beside sorting, memory.copy and, where it is installed, DuckDB on the same data.
 */
import { FLAG_FAILED, FLAG_SUCCEEDED } from '../assembly/layout.js';
import { Crucible, type Experiment } from '../src/index.js';
import { Kernels } from '../src/kernels/kernels.js';
import { ColumnMoments } from '../src/kernels/moments.js';
import { ranksOf } from '../src/kernels/quantiles.js';
import { type Run, Selector } from '../src/kernels/select.js';
import { type Shelf, Shelves } from '../src/kernels/shelves.js';
import {
  type Bench,
  best,
  nsText,
  plainRow,
  type Row,
  random,
  type Scale,
  syntheticCalls,
  time,
} from './harness.js';

const EVENT = 'req_llm.request.stop';
const START_US = 1.7e15;
const HOUR_US = 3600e6;
const MINUTE_US = 60e6;
const STEP_US = 10e6;
const MILLION = 1_000_000;
/** Rows of a batch. */
const BATCH_ROWS = 1024;
const QUANTILES = [0.5, 0.95, 0.99];

interface Calls {
  readonly events: number;
  readonly latencies: Float64Array;
  readonly costs: Float64Array;
  /** Evenly over an hour. */
  readonly timesUs: Float64Array;
  readonly succeeded: readonly boolean[];
}

function callsOf(events: number): Calls {
  const { latencies, costs } = syntheticCalls(events);
  const next = random(7);
  return {
    events,
    latencies,
    costs,
    timesUs: Float64Array.from({ length: events }, (_, i) => Math.floor(START_US + (i * HOUR_US) / events)),
    succeeded: Array.from({ length: events }, () => next() < 0.95),
  };
}

const msText = (ms: number) => `${ms.toFixed(2)} ms`;

/** @param limitMs - null where there is no bound */
function atMost(name: string, ms: number, limitMs: number | null, against = ''): Row {
  const row = { name, value: msText(ms), against };
  return limitMs === null
    ? { ...row, bound: '' }
    : { ...row, bound: `≤ ${limitMs} ms`, holds: ms <= limitMs };
}

// ── Kernels ──────────────────────────────────────────────────────────────────────────────────────

function kernelRows(calls: Calls, scale: Scale): Row[] {
  const { events, latencies } = calls;
  const kernels = new Kernels();
  const { module, f64 } = kernels;
  const values = kernels.allocate(8 * events);
  const copied = kernels.allocate(8 * events);
  f64.set(latencies, values >> 3);
  const selector = new Selector(kernels);
  const moments = new ColumnMoments(kernels);
  moments.addValues(values, events);
  const { min, max } = moments;
  const ranks = ranksOf(QUANTILES, events);
  const all: Run[] = [{ values, count: events }];
  const windowed = windowKernels(kernels, calls);
  const filtered = filteredSum(kernels, calls, values);
  const [select, found, copy, first, second, windows, filter] = time(
    [
      { name: 'select', operations: 1, run: () => selector.select(all, min, max, ranks)[0] },
      {
        name: 'extremes and p50, p95, p99',
        operations: 1,
        run() {
          moments.clear();
          moments.addValues(values, events);
          return selector.select(all, moments.min, moments.max, ranks)[0];
        },
      },
      {
        name: 'memory.copy',
        operations: 1,
        run() {
          module.copy(copied, values, 8 * events);
          return f64[copied >> 3];
        },
      },
      {
        name: 'sum, min, max',
        operations: 1,
        run() {
          moments.clear();
          moments.addValues(values, events);
          return moments.sum;
        },
      },
      {
        name: 'squared deviations',
        operations: 1,
        run() {
          moments.addSquares(values, events);
          return moments.scaledSquares;
        },
      },
      { name: 'windows', operations: 1, run: windowed },
      { name: 'filtered', operations: events, run: filtered },
    ],
    scale,
  );
  const [sortTiming] = time(
    [{ name: 'sort', operations: 1, run: () => Float64Array.from(latencies).sort()[0] }],
    // It takes long, and its least is soon found.
    { ...scale, rounds: Math.min(scale.rounds, 5) },
  );
  const million = `${(events / 1e6).toFixed(1)} M values`;
  const speed = (ns: number) => copy.ns / ns;
  const moved = (passes: number, ns: number) => (passes * copy.ns) / ns;
  return [
    {
      ...atMost(`exact p50, p95, p99 of ${million}`, select.ns / 1e6, 3),
      against: `${(sortTiming.ns / select.ns).toFixed(0)} × sorting`,
      bound: '≤ 3 ms, ≥ 30 ×',
      holds: select.ns <= 3e6 && sortTiming.ns >= 30 * select.ns,
    },
    plainRow(found, `${(sortTiming.ns / found.ns).toFixed(0)} × sorting`),
    {
      name: 'moments, both passes: bytes read a second',
      value: `${moved(2, first.ns + second.ns).toFixed(2)} ×`,
      against: `memory.copy (${nsText(copy.ns)})`,
      bound: '≥ 0.9 ×',
      holds: moved(2, first.ns + second.ns) >= 0.9,
    },
    plainRow(first, `${speed(first.ns).toFixed(2)} × memory.copy`),
    plainRow(second, `${speed(second.ns).toFixed(2)} × memory.copy`),
    {
      name: 'sum of latency by time, success and binding',
      value: nsText(filter.ns),
      against: 'a row',
      bound: '≤ 1 ns',
      holds: filter.ns <= 1,
    },
    atMost('windows of 60 s every 10 s, kernel time', windows.ns / 1e6, 3),
  ];
}

/** Sum, min and max of the latencies of successes with one of eight of 16 bindings in the middle half of the time. */
function filteredSum(kernels: Kernels, { events, timesUs, succeeded }: Calls, values: number): () => number {
  const { module, f64, u32, u8 } = kernels;
  const times = kernels.allocate(8 * events);
  const tags = kernels.allocate(4 * events);
  const bindings = kernels.allocate(65536);
  const rows = kernels.allocate(4 * (BATCH_ROWS + 68));
  const kept = kernels.allocate(8 * BATCH_ROWS);
  const moments = new ColumnMoments(kernels);
  const next = random(3);
  f64.set(timesUs, times >> 3);
  for (let i = 0; i < events; i++)
    u32[(tags >> 2) + i] = (1 + Math.floor(16 * next())) | (succeeded[i] ? FLAG_SUCCEEDED : FLAG_FAILED);
  u8.fill(0, bindings, bindings + 65536).fill(1, bindings + 1, bindings + 9);
  const [from, until] = [START_US + HOUR_US / 4, START_US + (3 * HOUR_US) / 4];
  // As chunks and segments have them: what lies outside the range is not read.
  const leastUs: number[] = [];
  const greatestUs: number[] = [];
  for (let row = 0; row < events; row += BATCH_ROWS) {
    leastUs.push(timesUs[row]);
    greatestUs.push(timesUs[Math.min(row + BATCH_ROWS, events) - 1]);
  }
  return () => {
    moments.clear();
    for (let row = 0, batch = 0; row < events; row += BATCH_ROWS, batch++) {
      if (greatestUs[batch] < from || leastUs[batch] > until) continue;
      const count = Math.min(BATCH_ROWS, events - row);
      const [time, tag] = [times + 8 * row, tags + 4 * row];
      const picked = module.pickRows(
        time,
        tag,
        count,
        from,
        until,
        FLAG_SUCCEEDED,
        FLAG_SUCCEEDED,
        bindings,
        rows,
      );
      moments.addValues(kept, module.keepValues(values + 8 * row, rows, picked, kept));
    }
    return moments.sum;
  };
}

/** What windowedMetrics asks of the kernels: moments of each pane, quantiles of each window. */
function windowKernels(kernels: Kernels, { timesUs, latencies }: Calls): () => number {
  const events = timesUs.length;
  const selector = new Selector(kernels);
  const moments = new ColumnMoments(kernels);
  const values = kernels.allocate(8 * events);
  const paneRows = Math.floor((events * STEP_US) / HOUR_US);
  const each = MINUTE_US / STEP_US;
  kernels.f64.set(latencies, values >> 3);
  return () => {
    const { mark } = kernels;
    const shelves = new Shelves(kernels, selector);
    const panes: { shelf: Shelf; min: number; max: number }[] = [];
    let consumed = 0;
    for (let start = 0; start + paneRows <= events; start += paneRows) {
      const run = { values: values + 8 * start, count: paneRows };
      moments.clear();
      moments.addValues(run.values, run.count);
      moments.addSquares(run.values, run.count);
      consumed += moments.scaledSquares;
      const { min, max } = moments;
      const shelf = shelves.shelve(run, min, max);
      if (shelf !== undefined) panes.push({ shelf, min, max });
      if (panes.length < each) continue;
      const least = panes.reduce((value, pane) => Math.min(value, pane.min), Number.POSITIVE_INFINITY);
      const most = panes.reduce((value, pane) => Math.max(value, pane.max), Number.NEGATIVE_INFINITY);
      const on = panes.map(({ shelf }) => shelf);
      consumed += shelves.select(on, [], least, most, ranksOf(QUANTILES, each * paneRows))[0];
      shelves.free((panes.shift() as (typeof panes)[0]).shelf);
    }
    kernels.release(mark);
    return consumed;
  };
}

// ── Calls ────────────────────────────────────────────────────────────────────────────────────────

async function experimentOf(crucible: Crucible, calls: Calls): Promise<Experiment> {
  const { events, latencies, costs, timesUs, succeeded } = calls;
  const experiment = crucible.startExperiment({ name: 'analysis', capacity: events, producers: 1 });
  const recorders = Array.from({ length: 16 }, (_, i) => experiment.recorder(EVENT, { model: `model-${i}` }));
  for (let i = 0; i < events; i++) {
    recorders[i & 15].recordAt(timesUs[i], latencies[i], costs[i], 100, 50, succeeded[i]);
  }
  await experiment.stop();
  return experiment;
}

/** @param rounds - of each call; the best counts */
async function callRows(calls: Calls, rounds: number, peer: Peer | null): Promise<Row[]> {
  // The bounds are those of a million.
  const isBounded = calls.events <= MILLION;
  await using crucible = new Crucible();
  const experiment = await experimentOf(crucible, calls);
  const range: [number, number] = [START_US + 30 * MINUTE_US, START_US + 31 * MINUTE_US];
  const metricsMs = await best(rounds, () => experiment.metrics());
  const rangeMs = await best(rounds, () => experiment.metrics({ timeRange: range }));
  const queryMs = await best(rounds, () => experiment.query({ timeRange: range }));
  const windowsMs = await best(Math.min(rounds, 5), () =>
    experiment.windowedMetrics({ sizeUs: MINUTE_US, stepUs: STEP_US }),
  );
  const beside = async (sql: string) =>
    peer === null ? '' : `DuckDB ${msText(await best(rounds, () => peer.run(sql)))}`;
  const inRange = `time_us BETWEEN ${range[0]} AND ${range[1]}`;
  const events = `${(calls.events / 1e6).toFixed(1)} M events`;
  return [
    atMost(`metrics() of ${events}`, metricsMs, isBounded ? 25 : null, await beside(PEER_METRICS)),
    {
      name: `query of 60 s, ${Math.round(calls.events / 60).toLocaleString('en')} rows`,
      value: msText(queryMs),
      against: await beside(`SELECT * FROM calls WHERE ${inRange} ORDER BY time_us`),
      bound: '',
    },
    atMost('the same without its rows: metrics() of them', rangeMs, isBounded ? 2 : null),
    {
      name: `windowedMetrics() of ${events}, 60 s every 10 s`,
      value: msText(windowsMs),
      against: await beside(PEER_WINDOWS),
      bound: '',
    },
  ];
}

/** Moments and quantiles of declared columns of each type beside those of latencies, of which they are multiples. */
async function columnRows({ events, latencies, timesUs }: Calls, rounds: number): Promise<Row[]> {
  await using crucible = new Crucible({ workers: 0 });
  const columns = { score: 'f64', ttftMs: 'f64', change: 'i32', size: 'u32', good: 'bool' } as const;
  const experiment = crucible.startExperiment({ name: 'columns', capacity: events, producers: 1, columns });
  for (let i = 0; i < events; i++) {
    const latencyMs = latencies[i]!;
    const whole = Math.round(100 * latencyMs);
    const values = {
      score: latencyMs,
      ttftMs: latencyMs / 3,
      change: -whole,
      size: whole,
      good: whole > 10_000,
    };
    experiment.captureAt(timesUs[i], EVENT, { latencyMs }, values);
  }
  await experiment.stop();
  const of = (measure: string) => () => experiment.metrics(undefined, { of: [{ of: measure }] });
  const names = Object.keys(columns) as (keyof typeof columns)[];
  const [latencyMs, ...columnsMs] = await alternating(rounds, [of('latencyMs'), ...names.map(of)]);
  return names.map((name, i) => {
    const times = columnsMs[i]! / latencyMs!;
    return {
      name: `metrics() of a declared column (${name}, ${columns[name]}), ${(events / 1e6).toFixed(1)} M events`,
      value: msText(columnsMs[i]!),
      against: `${times.toFixed(2)} × of latencies (${msText(latencyMs!)})`,
      bound: '≤ 1.2 ×',
      holds: times <= 1.2,
    };
  });
}

/** The least that each of the calls takes, by turns. */
async function alternating(rounds: number, calls: readonly (() => Promise<unknown>)[]): Promise<number[]> {
  const least = calls.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++) {
    for (const [i, call] of calls.entries()) least[i] = Math.min(least[i]!, await best(1, call));
  }
  return least;
}

// ── DuckDB ───────────────────────────────────────────────────────────────────────────────────────

interface Peer {
  run(sql: string): Promise<unknown>;
  close(): void;
}

const PEER_METRICS = `
  SELECT count(*), min(time_us), max(time_us), avg(latency_ms), stddev_samp(latency_ms), min(latency_ms),
    max(latency_ms), quantile_cont(latency_ms, [0.5, 0.9, 0.95, 0.99, 0.999]), sum(cost_usd), avg(cost_usd),
    quantile_cont(cost_usd, 0.5), count(*) FILTER (success), sum(prompt_tokens), sum(completion_tokens)
  FROM calls`;
const PEER_WINDOWS = `
  SELECT k, count(*), avg(latency_ms), stddev_samp(latency_ms), quantile_cont(latency_ms, [0.5, 0.95, 0.99]),
    sum(cost_usd), count(*) FILTER (success), sum(prompt_tokens), sum(completion_tokens)
  FROM (
    SELECT *, unnest(range(greatest(0, CAST((time_us - ${START_US} - ${MINUTE_US}) // ${STEP_US} + 1 AS BIGINT)),
      CAST((time_us - ${START_US}) // ${STEP_US} + 1 AS BIGINT))) AS k
    FROM calls
  ) GROUP BY k ORDER BY k`;

/** The calls as a table of DuckDB's; null where it is not installed. */
async function peerOf({ events, latencies, costs, timesUs, succeeded }: Calls): Promise<Peer | null> {
  const duckdb = await import('@duckdb/node-api').catch(() => null);
  if (duckdb === null) return null;
  const instance = await duckdb.DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(
    `CREATE TABLE calls (time_us DOUBLE, latency_ms DOUBLE, cost_usd DOUBLE, prompt_tokens INTEGER,
      completion_tokens INTEGER, success BOOLEAN)`,
  );
  const appender = await connection.createAppender('calls');
  for (let i = 0; i < events; i++) {
    appender.appendDouble(timesUs[i]);
    appender.appendDouble(latencies[i]);
    appender.appendDouble(costs[i]);
    appender.appendInteger(100);
    appender.appendInteger(50);
    appender.appendBoolean(succeeded[i]);
    appender.endRow();
  }
  appender.closeSync();
  return {
    run: async (sql) => (await connection.runAndReadAll(sql)).getRows(),
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

async function callRowsBesidePeer(calls: Calls, rounds: number): Promise<Row[]> {
  const peer = await peerOf(calls);
  try {
    return await callRows(calls, rounds, peer);
  } finally {
    peer?.close();
  }
}

export const analysis: Bench = {
  question: 'How fast are exact answers?',
  not: 'cold pages; DuckDB is left out where it is not installed',
  async rows(scale) {
    const calls = callsOf(scale.smoke ? 4096 : MILLION);
    return [
      ...kernelRows(calls, scale),
      ...(await callRowsBesidePeer(calls, scale.smoke ? 1 : 15)),
      ...(await columnRows(calls, scale.smoke ? 1 : 15)),
      ...(scale.smoke ? [] : await columnRows(callsOf(10 * MILLION), 4)),
      ...(scale.smoke ? [] : await callRowsBesidePeer(callsOf(10 * MILLION), 4)),
    ];
  },
};
