/**
 * How fast do rows become text? Numbers by themselves, then a million recorded rows as CSV and JSON Lines in a file:
 * beside DuckDB's COPY of the same columns on two threads, where it is installed, and writers in plain JavaScript that
 * work from the same columns.
 *
 * Files go to the page cache: CRUCIBLE_BENCH_DIR may name a folder in memory.
 */
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { TEXT_SLACK_BYTES } from '../assembly/text-layout.js';
import { exportBlocks } from '../src/export/index.js';
import { Crucible, type Experiment } from '../src/index.js';
import { TextKernels } from '../src/kernels/text.js';
import { compileFilter } from '../src/readers/filter.js';
import type { View } from '../src/readers/source.js';
import { openView } from '../src/readers/source.js';
import { withFolder } from './durable.bench.js';
import { type Bench, nsText, type Row, random, type Scale, syntheticCalls, time } from './harness.js';

const START_US = 1.7e15;
/** Between two rows. */
const STEP_US = 3600;
const EVENT = 'req_llm.request.stop';
const PROVIDER = 'provider';
const MODELS = 16;
/** Rows that a JavaScript writer puts together before it writes. */
const BLOCK_ROWS = 1024;

interface Calls {
  readonly rows: number;
  readonly latencies: Float64Array;
  readonly costs: Float64Array;
  readonly prompts: Int32Array;
  readonly completions: Int32Array;
  readonly succeeded: readonly boolean[];
}

function callsOf(rows: number): Calls {
  const next = random(7);
  return {
    rows,
    ...syntheticCalls(rows),
    prompts: Int32Array.from({ length: rows }, () => Math.floor(4000 * next())),
    completions: Int32Array.from({ length: rows }, () => Math.floor(1000 * next())),
    succeeded: Array.from({ length: rows }, () => next() < 0.95),
  };
}

// ── Numbers ──────────────────────────────────────────────────────────────────────────────────────

function numberRows(scale: Scale): Row[] {
  const kernels = new TextKernels();
  const { module, tables } = kernels;
  const out = kernels.allocate(TEXT_SLACK_BYTES);
  const count = Math.min(scale.operations, 1 << 16);
  const next = random(11);
  const bits = Uint32Array.from({ length: 2 * count }, () => next() * 2 ** 32);
  const any = new Float64Array(bits.buffer).map((value) => (Number.isFinite(value) ? value : 1 / 3));
  const { latencies } = syntheticCalls(count, 5);
  const ours = (values: Float64Array) => () => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += module.writeNumber(values[i], out, tables);
    return sum;
  };
  const [random64, latency, plain] = time(
    [
      { name: 'text of random bits', operations: count, run: ours(any) },
      { name: 'text of latencies', operations: count, run: ours(latencies) },
      {
        name: 'String(x)',
        operations: count,
        run: () => {
          let sum = 0;
          // V8 remembers the texts of numbers; these are new in every round.
          const scaled = 1 + next();
          for (let i = 0; i < count; i++) sum += String(any[i] * scaled).length;
          return sum;
        },
      },
    ],
    scale,
  );
  return [random64, latency].map((timing) => ({
    name: timing.name,
    value: nsText(timing.ns),
    against: `${(plain.ns / timing.ns).toFixed(1)} × quicker than String(x) (${nsText(plain.ns)})`,
    bound: '≤ 40 ns',
    holds: timing.ns <= 40,
  }));
}

// ── Files ────────────────────────────────────────────────────────────────────────────────────────

async function experimentOf(crucible: Crucible, calls: Calls): Promise<Experiment> {
  const experiment = crucible.startExperiment({ name: 'export', capacity: calls.rows, producers: 1 });
  const recorders = Array.from({ length: MODELS }, (_, i) =>
    experiment.recorder(EVENT, { model: `model-${i}`, provider: PROVIDER }),
  );
  for (let i = 0; i < calls.rows; i++) {
    recorders[i % MODELS].recordAt(
      START_US + i * STEP_US,
      calls.latencies[i],
      calls.costs[i],
      calls.prompts[i],
      calls.completions[i],
      calls.succeeded[i],
    );
  }
  await experiment.stop();
  return experiment;
}

/** Writes a file in blocks. @param text - of rows [from, end) */
function writeFile(
  path: string,
  rows: number,
  head: string,
  text: (from: number, end: number) => string,
): void {
  const file = openSync(path, 'w');
  writeSync(file, head);
  for (let from = 0; from < rows; from += BLOCK_ROWS) {
    const bytes = Buffer.from(text(from, Math.min(rows, from + BLOCK_ROWS)));
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
  }
  closeSync(file);
}

const place = (i: number) => `-00-${i.toString(16).padStart(10, '0')}`;

/** CSV by concatenation, knowing that nothing is to be quoted. */
function plainCsv(calls: Calls, id: string, head: string, path: string): void {
  const { latencies, costs, prompts, completions, succeeded } = calls;
  let second = -1;
  let secondText = '';
  writeFile(path, calls.rows, head, (from, end) => {
    let text = '';
    for (let i = from; i < end; i++) {
      const timeUs = START_US + i * STEP_US;
      if (Math.floor(timeUs / 1e6) !== second) {
        second = Math.floor(timeUs / 1e6);
        secondText = new Date(second * 1000).toISOString().slice(0, 20);
      }
      const micros = String(timeUs - second * 1e6).padStart(6, '0');
      const model = `model-${i % MODELS}`;
      text += `,default,,event,${costs[i]},${secondText}${micros}Z,${id}${place(i)},${EVENT},${id},export,${latencies[i]},false,${model},${PROVIDER},${model},${PROVIDER},,,,${succeeded[i]},,${timeUs},${completions[i]},${prompts[i]},${prompts[i] + completions[i]},,\n`;
    }
    return text;
  });
}

/** JSON Lines by JSON.stringify of an object a row. */
function plainJsonl(calls: Calls, id: string, path: string): void {
  const { latencies, costs, prompts, completions, succeeded } = calls;
  writeFile(path, calls.rows, '', (from, end) => {
    let text = '';
    for (let i = from; i < end; i++) {
      const model = `model-${i % MODELS}`;
      const line = JSON.stringify({
        cohort: null,
        condition: 'default',
        correlation_id: null,
        cost_source: 'event',
        cost_usd: costs[i],
        event_id: id + place(i),
        event_name: EVENT,
        experiment_id: id,
        experiment_name: 'export',
        latency_ms: latencies[i],
        malformed: false,
        measurements: {},
        metadata: { model, provider: PROVIDER },
        model,
        provider: PROVIDER,
        sample_id: null,
        session_id: null,
        span_id: null,
        success: succeeded[i],
        tags: [],
        timestamp: START_US + i * STEP_US,
        tokens: { prompt: prompts[i], completion: completions[i], total: prompts[i] + completions[i] },
        trace_id: null,
        user_id: null,
      });
      text += `${line}\n`;
    }
    return text;
  });
}

interface Peer {
  copy(path: string): Promise<unknown>;
  close(): void;
}

/** DuckDB with the columns that the CSV has, on two threads; null where it is not installed. */
async function peerOf(calls: Calls, id: string): Promise<Peer | null> {
  const duckdb = await import('@duckdb/node-api').catch(() => null);
  if (duckdb === null) return null;
  const instance = await duckdb.DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  await connection.run(
    `CREATE TABLE calls (i BIGINT, latency_ms DOUBLE, cost_usd DOUBLE, prompt INTEGER, completion INTEGER,
      success BOOLEAN)`,
  );
  const appender = await connection.createAppender('calls');
  for (let i = 0; i < calls.rows; i++) {
    appender.appendBigInt(BigInt(i));
    appender.appendDouble(calls.latencies[i]);
    appender.appendDouble(calls.costs[i]);
    appender.appendInteger(calls.prompts[i]);
    appender.appendInteger(calls.completions[i]);
    appender.appendBoolean(calls.succeeded[i]);
    appender.endRow();
  }
  appender.closeSync();
  const nothing = (...names: string[]) => names.map((name) => `NULL::VARCHAR AS ${name}`).join(', ');
  await connection.run(
    `CREATE TABLE rows AS SELECT ${nothing('cohort')}, 'default' AS condition, ${nothing('correlation_id')},
      'event' AS cost_source, cost_usd, make_timestamp(${START_US} + i * ${STEP_US}) AS datetime,
      '${id}-00-' || lpad(lower(hex(i)), 10, '0') AS event_id, '${EVENT}' AS event_name, '${id}' AS experiment_id,
      'export' AS experiment_name, latency_ms, false AS malformed, 'model-' || (i % ${MODELS}) AS metadata_model,
      '${PROVIDER}' AS metadata_provider, 'model-' || (i % ${MODELS}) AS model, '${PROVIDER}' AS provider,
      ${nothing('sample_id', 'session_id', 'span_id')}, success, ${nothing('tags')},
      ${START_US}::BIGINT + i * ${STEP_US} AS timestamp, completion AS tokens_completion, prompt AS tokens_prompt,
      prompt + completion AS tokens_total, ${nothing('trace_id', 'user_id')} FROM calls`,
  );
  return {
    copy: (path) => connection.run(`COPY rows TO '${path}' (FORMAT csv, HEADER)`),
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

interface Contender {
  readonly path: string;
  run(): unknown;
}

/** Milliseconds of the quickest of several rounds, in which all take turns. */
async function best(
  rounds: number,
  contenders: readonly Contender[],
): Promise<{ ms: number; bytes: number }[]> {
  const least = contenders.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { path, run }] of contenders.entries()) {
      // Taking the last round's file away is nobody's work here.
      rmSync(path, { force: true });
      const start = performance.now();
      await run();
      least[i] = Math.min(least[i], performance.now() - start);
    }
  }
  return contenders.map(({ path }, i) => ({ ms: least[i], bytes: statSync(path).size }));
}

function atLeast(name: string, value: number, unit: string, limit: number, against: string): Row {
  return {
    name,
    value: `${value.toFixed(2)} ${unit}`,
    against,
    bound: `≥ ${limit} ${unit}`,
    holds: value >= limit,
  };
}

const msText = (ms: number) => `${ms.toFixed(0)} ms`;

async function fileRows(scale: Scale, dir: string): Promise<Row[]> {
  const calls = callsOf(scale.smoke ? 5000 : 1_000_000);
  await using crucible = new Crucible();
  const experiment = await experimentOf(crucible, calls);
  const { id } = experiment;
  const { readable, selection } = experiment.selected();
  const view = openView(readable.store, compileFilter(undefined, readable.store.source), selection.limit);
  const at = (name: string) => join(dir, name);
  const head = await headOf(view);
  const peer = await peerOf(calls, id);
  const rounds = scale.smoke ? 1 : 6;
  const contender = (name: string, run: (path: string) => unknown): Contender => ({
    path: at(name),
    run: () => run(at(name)),
  });
  try {
    const written = (format: 'csv' | 'jsonl') => async (path: string) => {
      const file = openSync(path, 'w');
      for await (const bytes of exportBlocks([view], format)) writeSync(file, bytes);
      closeSync(file);
    };
    const [csv, jsonl, csvFile, jsonlFile, jsCsv, jsJsonl, copy] = await best(rounds, [
      contender('blocks.csv', written('csv')),
      contender('blocks.jsonl', written('jsonl')),
      contender('ours.csv', (path) => experiment.export('csv', { path })),
      contender('ours.jsonl', (path) => experiment.export('jsonl', { path })),
      contender('js.csv', (path) => plainCsv(calls, id, head, path)),
      contender('js.jsonl', (path) => plainJsonl(calls, id, path)),
      ...(peer === null ? [] : [contender('copy.csv', (path) => peer.copy(path))]),
    ]);
    const speed = ({ ms, bytes }: { ms: number; bytes: number }) => bytes / ms / 1e6;
    const times = (a: { ms: number }, b: { ms: number }) => a.ms / b.ms;
    const whole = (name: string, timing: { ms: number; bytes: number }): Row => ({
      name,
      value: `${speed(timing).toFixed(2)} GB/s`,
      against: msText(timing.ms),
      bound: '',
    });
    return [
      atLeast('CSV in a file', speed(csv), 'GB/s', 0.85, `${msText(csv.ms)} for ${calls.rows} rows`),
      ...(copy === undefined
        ? []
        : [atLeast('CSV beside COPY on 2 threads', times(copy, csv), '×', 3, `DuckDB ${msText(copy.ms)}`)]),
      atLeast('CSV beside concatenation', times(jsCsv, csv), '×', 4, `JavaScript ${msText(jsCsv.ms)}`),
      whole('CSV by export(): checksum, sync, manifest', csvFile),
      atLeast(
        'JSON Lines beside JSON.stringify',
        times(jsJsonl, jsonl),
        '×',
        5,
        `JavaScript ${msText(jsJsonl.ms)}, ours ${msText(jsonl.ms)}`,
      ),
      whole('JSON Lines by export()', jsonlFile),
    ];
  } finally {
    peer?.close();
  }
}

/** The line of the columns' names. */
async function headOf(view: View): Promise<string> {
  for await (const bytes of exportBlocks([view], 'csv')) return Buffer.from(bytes).toString();
  return '';
}

export const exportText: Bench = {
  question: 'How fast do rows become text?',
  not: 'the disk; DuckDB is left out where it is not installed, and makes no checksum',
  async rows(scale) {
    return [...numberRows(scale), ...(await withFolder((dir) => fileRows(scale, dir)))];
  },
};
