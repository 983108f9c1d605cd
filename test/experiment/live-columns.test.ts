/** Streaming metrics of declared columns. Needs the built files, for the threads. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Crucible, type Experiment } from '../../src/index.js';
import { describe as describeValues } from '../../src/stats/index.js';

const COLUMNS = {
  score: { type: 'f64', live: true },
  plain: 'f64',
  turn: { type: 'i32', live: true },
  cached: { type: 'bool', live: true },
} as const;

type Values = Partial<Record<keyof typeof COLUMNS, unknown>>;

const number = fc.oneof(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.constantFrom(0, 1e9, 1e9 + 1));
const row: fc.Arbitrary<Values> = fc.record(
  {
    score: fc.oneof(number, fc.constantFrom(null, 'high', Number.NaN)),
    plain: number,
    turn: fc.integer({ min: -50, max: 50 }),
    cached: fc.boolean(),
  },
  { requiredKeys: [] },
);

/** What the rows bring as numbers, by live column. */
function expected(rows: readonly Values[]): Record<string, number[]> {
  const numbers = (name: keyof Values) =>
    rows.map((values) => values[name]).filter((value): value is number => Number.isFinite(value));
  const cached = rows.map((values) => values.cached).filter((value) => typeof value === 'boolean');
  return { score: numbers('score'), turn: numbers('turn'), cached: cached.map(Number) };
}

function expectColumns(experiment: Experiment, values: Record<string, number[]>): void {
  const { columns } = experiment.streamingMetrics();
  expect(Object.keys(columns)).toEqual(Object.keys(values));
  for (const [name, known] of Object.entries(values)) {
    const { count, sum, mean, stdDev, min, max, p50, p95 } = columns[name]!;
    expect(count, name).toBe(known.length);
    if (known.length === 0) {
      expect({ mean, min, max, p50 }).toEqual({ mean: null, min: null, max: null, p50: null });
      continue;
    }
    const told = describeValues(known);
    const scale = Math.max(...known.map(Math.abs), 1);
    expect({ min, max }).toEqual({ min: told.min, max: told.max });
    expect(Math.abs(sum - told.sum!)).toBeLessThanOrEqual(1e-9 * scale * known.length);
    expect(Math.abs(mean! - told.mean!)).toBeLessThanOrEqual(1e-9 * scale);
    if (known.length > 1) expect(Math.abs(stdDev! - told.stdDev!)).toBeLessThanOrEqual(1e-6 * scale);
    for (const [p, got] of [
      [0.5, p50],
      [0.95, p95],
    ] as const) {
      // Between the neighbours that exact interpolation lies between, and 1 % beyond.
      const sorted = [...known].sort((a, b) => a - b);
      const at = p * (known.length - 1);
      const [below, above] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
      expect(got!).toBeGreaterThanOrEqual(below - 0.011 * Math.abs(below) - 1e-8);
      expect(got!).toBeLessThanOrEqual(above + 0.011 * Math.abs(above) + 1e-8);
    }
  }
}

describe('live columns', () => {
  it('add up to what a plain list of their values does, while the ring laps', async () => {
    await using crucible = new Crucible({ workers: 0 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 300 }),
        fc.integer({ min: 1, max: 8 }),
        async (rows, times) => {
          const experiment = crucible.startExperiment({ name: 'live', capacity: 1024, columns: COLUMNS });
          const all = Array.from({ length: times }, () => rows).flat();
          for (const values of all) experiment.capture('e', {}, values);
          expectColumns(experiment, expected(all));
          await experiment.cleanup();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are the same after a reset as of a new experiment, and end with the others', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'live', columns: COLUMNS });
    for (let i = 0; i < 1000; i++) experiment.capture('e', {}, { score: i });
    expect(experiment.streamingMetrics().columns.score).toMatchObject({ count: 1000, max: 999 });
    experiment.resetStreamingMetrics();
    expectColumns(experiment, { score: [], turn: [], cached: [] });
    experiment.capture('e', {}, { score: -3, cached: true });
    expectColumns(experiment, { score: [-3], turn: [], cached: [1] });
    experiment.stopStreamingMetrics();
    expect(() => experiment.streamingMetrics()).toThrow();
  });

  it('count what several threads write, each row once', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'live', capacity: 4096, columns: COLUMNS });
    const rows = 20_000;
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.library).then(({ attachExperiment }) => {
        const writer = attachExperiment(workerData.handle);
        for (let i = 0; i < ${rows}; i++) writer.capture('e', {}, { score: workerData.add + i, cached: i % 4 === 0 });
        writer.close();
        parentPort.postMessage('done');
      });`;
    const library = new URL('../../dist/src/index.js', import.meta.url).href;
    const done = [0, 1e6].map(
      (add) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(source, {
            eval: true,
            workerData: { library, add, handle: experiment.share() },
          });
          worker.on('message', resolve).on('error', reject);
        }),
    );
    for (let i = 0; i < rows; i++) experiment.capture('e', {}, { score: -i });
    await Promise.all(done);
    const { score, cached } = experiment.streamingMetrics().columns;
    const sum = (rows * (rows - 1)) / 2;
    expect(score).toMatchObject({
      count: 3 * rows,
      sum: sum + 1e6 * rows,
      min: 1 - rows,
      max: 1e6 + rows - 1,
    });
    expect(cached).toMatchObject({ count: 2 * rows, mean: 0.25 });
  });

  it('go on after a recovery with what is on disk', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'crucible-live-'));
    try {
      {
        await using crucible = new Crucible({ dir });
        const experiment = crucible.startExperiment({
          name: 'live',
          id: 'live',
          columns: COLUMNS,
          capacity: 4096,
        });
        for (let i = 0; i < 10_000; i++) experiment.capture('e', {}, { score: i, cached: i % 2 === 0 });
        await experiment.stop();
      }
      await using crucible = new Crucible({ dir });
      await crucible.recover(dir, { reopen: true });
      const experiment = crucible.experiment('live');
      experiment.capture('e', {}, { score: 10_000 });
      const { score, cached } = experiment.streamingMetrics().columns;
      expect(score).toMatchObject({ count: 10_001, mean: 5000, max: 10_000 });
      expect(cached).toMatchObject({ count: 10_000, mean: 0.5 });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it.each<[string, Record<string, unknown>]>([
    ['columns.a.live', { a: { type: 'dict', live: true } }],
    ['columns.a.live', { a: { type: 'f64', live: 'yes' } }],
    ['columns.a.lvie', { a: { type: 'f64', lvie: true } }],
    ['columns.a', { a: { live: true } }],
    [
      'columns',
      Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`c${i}`, { type: 'f64', live: true }])),
    ],
  ])('refuse, at %s, %j', async (path, columns) => {
    await using crucible = new Crucible({ workers: 0 });
    const start = () => crucible.startExperiment({ name: 'live', columns: columns as never });
    expect(start).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', context: expect.objectContaining({ path }) }),
    );
  });

  it('have no streaming metrics where they are not live', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({
      name: 'plain',
      columns: { score: 'f64', turn: { type: 'i32' } },
    });
    experiment.capture('e', {}, { score: 1, turn: 2 });
    expect(experiment.streamingMetrics().columns).toEqual({});
    expect((await experiment.query())[0]!.metadata).toEqual({ score: 1, turn: 2 });
  });
});
