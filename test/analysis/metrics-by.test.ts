/** Metrics by group, and metrics that have to go over the rows more than once. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STRINGS } from '../../assembly/layout.js';
import { type GroupKey, OTHER_GROUPS } from '../../src/analysis/grouping.js';
import { metricsBy, metricsOf } from '../../src/analysis/metrics.js';
import type { Metrics, MetricsGroup } from '../../src/analysis/types.js';
import { ConfigError } from '../../src/errors.js';
import { kernelsOfThread } from '../../src/kernels/kernels.js';
import { compileFilter } from '../../src/readers/filter.js';
import { MemoryStore } from '../../src/readers/memory-store.js';
import type { RowSource } from '../../src/readers/rows.js';
import { openView, type View } from '../../src/readers/source.js';
import type { Batch } from '../../src/ring/batch.js';
import { BindingTable } from '../../src/ring/bindings.js';
import { Dictionary } from '../../src/ring/dictionary.js';
import { RingReader } from '../../src/ring/reader.js';
import type { EventRow, Filter, Json } from '../../src/schema/event.js';
import { compensatedSum } from '../../src/stats/compensated.js';
import { describe as describeSample } from '../../src/stats/describe.js';
import { quantile } from '../../src/stats/quantile.js';
import { START_US, useBench } from '../capture/support.js';
import { makeBatch, refTo, SOURCE, viewOf } from '../support/rows.js';

const bench = useBench();
const TIMES = { wallClockSeconds: 1, activeSeconds: 1, pausedSeconds: 0 };
const COLUMNS = { arm: 'dict', cached: 'bool', score: 'f64' } as const;

interface Made {
  readonly event: string;
  readonly latencyMs: number | undefined;
  readonly cost: number | undefined;
  readonly model: string | undefined;
  readonly status: string | undefined;
  readonly metadata: Record<string, Json>;
  readonly recorded: boolean;
}

const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });
const made: fc.Arbitrary<Made> = fc.record({
  event: fc.constantFrom('a', 'b', '__proto__'),
  latencyMs: maybe(fc.double({ min: -10, max: 1e4, noNaN: true })),
  cost: maybe(fc.double({ min: 0, max: 1, noNaN: true })),
  model: maybe(fc.constantFrom('m1', 'm2')),
  status: maybe(fc.constantFrom('ok', 'error')),
  metadata: fc.record(
    {
      arm: fc.constantFrom<Json>('x', 'y', 'null', 7),
      cached: fc.constantFrom<Json>(true, false, 'true'),
      tokens: fc.constantFrom<Json>(
        { prompt: 3, completion: 4, total: 9 },
        { prompt: 1, completion: 2, total: 3 },
        { prompt: 5 },
      ),
    },
    { requiredKeys: [] },
  ),
  recorded: fc.boolean(),
});

/** The events as they come out of a ring again, and a view of the same rows. */
async function captured(events: readonly Made[], filter?: Filter): Promise<{ view: View; rows: EventRow[] }> {
  const experiment = bench.start({ columns: COLUMNS });
  events.forEach(({ event, latencyMs, cost, model, status, metadata, recorded }, i) => {
    if (recorded) {
      const { tokens: _, ...bound } = metadata;
      experiment
        .recorder(event, { ...bound, ...(model && { model }) })
        .recordAt(START_US + i, latencyMs ?? Number.NaN, cost, i % 3, -1, status ? status === 'ok' : null);
    } else {
      experiment.captureAt(START_US + i, event, { latencyMs, cost, status }, { ...metadata, model });
    }
  });
  const rows = await experiment.query(filter);
  const { memory, geometry } = experiment.share();
  const bindings = new BindingTable(memory.buffer);
  const strings = new Dictionary(memory.buffer, STRINGS);
  const source: RowSource = {
    ...SOURCE,
    columns: Object.entries(COLUMNS).map(([name, type]) => ({ name, type })),
    binding: (id) => bindings.binding(id),
    text: (id) => strings.text(id),
  };
  const store = new MemoryStore(new RingReader(memory, geometry), source);
  return { view: openView(store, compileFilter(filter, source)), rows };
}

/** From the events, by sorting. */
function oracle(rows: readonly EventRow[]): Metrics {
  const numbers = (values: readonly (number | null)[]) => values.filter((value) => value !== null);
  const latencies = numbers(rows.map(({ latencyMs }) => latencyMs)).map((value) => value + 0);
  const costs = numbers(rows.map(({ costUsd }) => costUsd)).map((value) => value + 0);
  const tokens = rows.flatMap((row) => row.tokens ?? []);
  const times = rows.map(({ timestamp }) => timestamp);
  const [start, end] = [Math.min(...times), Math.max(...times)];
  const successful = rows.filter(({ success }) => success === true).length;
  const failed = rows.filter(({ success }) => success === false).length;
  const counts = new Map<string, number>();
  for (const { eventName } of rows) counts.set(eventName, (counts.get(eventName) ?? 0) + 1);
  const eventTypes = Object.fromEntries(counts);
  const [p50, p90, p95, p99, p999] =
    latencies.length === 0 ? [] : quantile(latencies, [0.5, 0.9, 0.95, 0.99, 0.999]);
  const { mean, stdDev, stdDevPopulation, min, max } = describeSample(latencies);
  const meanCost = costs.length === 0 ? 0 : describeSample(costs).mean!;
  const sumOf = (key: 'prompt' | 'completion' | 'total') => tokens.reduce((sum, told) => sum + told[key], 0);
  const near = (value: number | null) => (value === null ? null : expect.closeTo(value, 9));
  const decidedRequests = successful + failed;
  const successRate = successful / decidedRequests;
  return {
    summary: {
      totalEvents: rows.length,
      timeRange: { start, end },
      durationSeconds: (end - start) / 1e6,
      eventTypes,
      ...TIMES,
    },
    latency:
      latencies.length === 0
        ? { count: 0 }
        : ({
            count: latencies.length,
            mean: near(mean),
            median: p50,
            stdDev: near(stdDev),
            stdDevPopulation: near(stdDevPopulation),
            ...{ min, max, p50, p90, p95, p99, p999 },
          } as unknown as Metrics['latency']),
    cost:
      costs.length === 0
        ? { count: 0, total: 0 }
        : {
            total: near(compensatedSum(costs)) as number,
            count: costs.length,
            meanPerRequest: near(meanCost) as number,
            medianPerRequest: quantile(costs, 0.5),
            costPer1kRequests: expect.closeTo(meanCost * 1e3, 6),
            costPer1mRequests: expect.closeTo(meanCost * 1e6, 3),
          },
    reliability:
      decidedRequests === 0
        ? ({
            totalRequests: rows.length,
            decidedRequests,
            successful,
            failed,
            successRate: null,
          } as Metrics['reliability'])
        : {
            totalRequests: rows.length,
            ...{ decidedRequests, successful, failed, successRate },
            failureRate: failed / decidedRequests,
            sla99: successRate >= 0.99,
            sla999: successRate >= 0.999,
            sla9999: successRate >= 0.9999,
          },
    tokens:
      tokens.length === 0
        ? { count: 0 }
        : {
            count: tokens.length,
            totalPrompt: sumOf('prompt'),
            totalCompletion: sumOf('completion'),
            total: sumOf('total'),
            meanPrompt: sumOf('prompt') / tokens.length,
            meanCompletion: sumOf('completion') / tokens.length,
            meanTotal: sumOf('total') / tokens.length,
          },
    events: Object.fromEntries(Object.entries(eventTypes).map(([name, count]) => [name, { count }])),
  };
}

const KEY_OF: Record<string, (row: EventRow) => string | null> = {
  eventName: ({ eventName }) => eventName,
  model: ({ model }) => model,
  provider: ({ provider }) => provider,
  arm: ({ metadata }) => (metadata.arm === undefined ? null : String(metadata.arm)),
  cached: ({ metadata }) => (metadata.cached === undefined ? null : String(metadata.cached)),
};

function groupsOf(rows: readonly EventRow[], keyOf: (row: EventRow) => string | null): MetricsGroup[] {
  const groups = new Map<string | null, EventRow[]>();
  for (const row of rows) groups.set(keyOf(row), [...(groups.get(keyOf(row)) ?? []), row]);
  return [...groups]
    .map(([key, inside]) => ({ key, metrics: oracle(inside) }))
    .sort(
      (a, b) =>
        b.metrics.summary.totalEvents - a.metrics.summary.totalEvents ||
        ((a.key ?? '') < (b.key ?? '') ? -1 : 1),
    );
}

const filters = fc.constantFrom<Filter | undefined>(
  undefined,
  { success: true },
  { success: false, model: 'm1' },
  { success: null },
  { eventName: 'a' },
  { eventName: 'b', timeRange: [START_US + 3, START_US + 40] },
  { timeRange: [START_US + 20, Number.POSITIVE_INFINITY] },
  { predicate: ({ sequence }) => sequence % 3 !== 1 },
);
const keep = fc.constantFrom(1, 5, 30, 10_000);

describe('metrics of any events', () => {
  it('are what sorting them says, in all and by any key, however little is kept', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(made, { minLength: 1, maxLength: 80 }),
        filters,
        keep,
        fc.constantFrom(...Object.keys(KEY_OF)),
        async (events, filter, keepMax, key) => {
          const { view, rows } = await captured(events, filter);
          if (rows.length > 0) {
            expect(await metricsOf(view, TIMES, kernelsOfThread(), { keepMax })).toEqual(oracle(rows));
          }
          const groups = await metricsBy(view, key, TIMES, kernelsOfThread(), { keepMax });
          expect(groups).toEqual(groupsOf(rows, KEY_OF[key]!));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('would be seen to be off by one value', async () => {
    const { view, rows } = await captured(fc.sample(made, { numRuns: 60, seed: 3 }));
    const changed = rows.map((row) => ({ ...row }));
    const row = changed.find(({ latencyMs }) => latencyMs !== null)!;
    row.latencyMs = row.latencyMs! + 1e-6;
    expect(await metricsOf(view, TIMES, kernelsOfThread())).not.toEqual(oracle(changed));
  });

  it('do not disturb one another, nor leave memory taken', async () => {
    const { view, rows } = await captured(fc.sample(made, { numRuns: 60, seed: 3 }));
    const kernels = kernelsOfThread();
    const before = kernels.mark;
    const expected = oracle(rows);
    const all = await Promise.all(
      [1, 10_000, 7].map((keepMax) => metricsOf(view, TIMES, kernels, { keepMax })),
    );
    for (const metrics of all) expect(metrics).toEqual(expected);
    expect(kernels.mark).toBe(before);
  });
});

describe('grouping', () => {
  const rowsOf = (events: readonly [event: string, arm: string | null][]) =>
    captured(
      events.map(([event, arm]) => ({
        event,
        latencyMs: 1,
        cost: undefined,
        model: undefined,
        status: undefined,
        metadata: (arm === null ? {} : { arm }) as Made['metadata'],
        recorded: false,
      })),
    );
  const keysOf = (groups: readonly MetricsGroup[]) =>
    groups.map(({ key, metrics }) => [key, metrics.summary.totalEvents]);

  it('puts most events first, ties by key, and tells no value from the text null', async () => {
    const { view } = await rowsOf([
      ['e', 'y'],
      ['e', 'null'],
      ['e', null],
      ['e', null],
      ['e', 'x'],
    ]);
    expect(keysOf(await metricsBy(view, 'arm', TIMES, kernelsOfThread()))).toEqual([
      [null, 2],
      ['null', 1],
      ['x', 1],
      ['y', 1],
    ]);
  });

  it('makes one group of all beyond the first thousand', async () => {
    const { view } = await rowsOf(Array.from({ length: 1003 }, (_, i) => [`e${i}`, null]));
    const groups = await metricsBy(view, 'eventName', TIMES, kernelsOfThread());
    expect(groups).toHaveLength(1001);
    expect(groups[0]!.key).toBe(OTHER_GROUPS);
    expect(groups[0]!.metrics.summary.eventTypes).toEqual({ e1000: 1, e1001: 1, e1002: 1 });
  });

  it.each<[string, GroupKey]>([
    ['a number', 'score'],
    ['what is no column', 'sampleId'],
    ['nothing', ''],
  ])('by %s is refused', async (_, key) => {
    const { view } = await rowsOf([]);
    const grouped = metricsBy(view, key, TIMES, kernelsOfThread());
    await expect(grouped).rejects.toThrow(ConfigError);
    await expect(grouped).rejects.toThrow('by: expected');
  });

  it('of no rows has no groups', async () => {
    const { view } = await rowsOf([]);
    expect(await metricsBy(view, 'model', TIMES, kernelsOfThread())).toEqual([]);
  });
});

describe('rows that disappear while they are read', () => {
  const rows = { firstSequence: 0, timesUs: Array.from({ length: 50 }, (_, i) => i) };
  const other = { firstSequence: 50, timesUs: Array.from({ length: 50 }, (_, i) => 50 + i) };

  it('are in no part of the result', async () => {
    let reads = 0;
    const ref = refTo(other, (batch: Batch) => (reads++ === 0 ? batch : undefined));
    const metrics = await metricsOf(viewOf([refTo(rows), ref]), TIMES, kernelsOfThread(), { keepMax: 10 });
    expect(metrics).toMatchObject({
      summary: { totalEvents: 50 },
      latency: { count: 50, max: 49, p50: 24.5 },
    });
  });

  it('again and again are read in one pass, which needs none of them twice', async () => {
    let reads = 0;
    const ref = refTo(other, () => (reads++ % 2 === 0 ? makeBatch(other) : undefined));
    const metrics = await metricsOf(viewOf([refTo(rows), ref]), TIMES, kernelsOfThread(), { keepMax: 10 });
    expect(metrics).toMatchObject({ latency: { count: 100, max: 99, p50: 49.5 } });
    expect(reads).toBe(3);
    await expect(metricsOf(viewOf([refTo(rows)]), TIMES, kernelsOfThread())).resolves.toMatchObject({
      summary: { totalEvents: 50 },
    });
  });
});
