/**
 * The reference implementation's own answers for 60 mixed events, fed through `captureAt` in order.
 *
 * Its event ids stand for our own by order of input. Where we correct the reference on purpose, the corrected
 * answer is asserted and the test says so. The reference's price for unknown models is given to `foo-model`
 * here, so that costs are the same but for the corrections.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { WindowSpec } from '../../src/analysis/windows.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import type { EventRow, Filter, Json } from '../../src/schema/event.js';
import { REFERENCE_PRICES } from '../../src/schema/prices.js';
import { useBench } from '../capture/support.js';
import { readCsv } from '../export/support.js';
import { countsOf } from '../support/counts.js';
import { cellValue, fixturePath } from '../support/fixtures.js';

const TOLERANCE = 1e-12;
/** What the reference leaves out of an event's cost and we count: each hedged request's duplicate. */
const DUPLICATION_COST = 8e-5;

interface Input {
  event_id: string;
  event_name: string[];
  measurements: Record<string, Json>;
  metadata: Record<string, Json>;
  timestamp: number;
}

type GoldenEvent = Record<string, Json> & { event_id: string; event_name: string[]; cost_usd: number | null };

const bench = useBench();
let experiment: Experiment;
/** Our event id → the reference's. */
let goldenIds: Map<string, string>;

const text = (file: string) => readFileSync(join(fixturePath('golden'), file), 'utf8');
const json = <T>(file: string) => JSON.parse(text(file)) as T;
const lines = <T>(file: string) =>
  text(file)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);

const inputs = () => lines<Input>('inputs_60.jsonl');
const isHedging = ({ event_name }: { event_name: string[] }) => event_name[0] === 'hedging';

function near(actual: number | null | undefined, expected: number, what: string): void {
  expect(actual, what).toBeTypeOf('number');
  const bound = TOLERANCE * Math.max(Math.abs(expected), 1e-300);
  expect(
    Math.abs((actual as number) - expected),
    `${what}: ${actual} against ${expected}`,
  ).toBeLessThanOrEqual(bound);
}

const idsOf = (rows: readonly EventRow[]) => rows.map(({ eventId }) => goldenIds.get(eventId));

beforeEach(async () => {
  const prices = {
    version: 'golden',
    models: { ...REFERENCE_PRICES.models, 'foo-model': [1, 2] as const },
  };
  experiment = bench
    .crucible({ prices })
    .startExperiment({ id: 'EXP', name: 'golden', condition: 'control', tags: ['g', 't'], capacity: 1024 });
  for (const { event_name, measurements, metadata, timestamp } of inputs()) {
    experiment.captureAt(timestamp, event_name.join('.'), measurements, metadata);
  }
  const rows = (await experiment.query()).toSorted((a, b) => a.sequence - b.sequence);
  goldenIds = new Map(inputs().map(({ event_id }, i) => [rows[i]!.eventId, event_id]));
  expect(goldenIds.size).toBe(60);
});

describe('golden events', () => {
  it('are all understood', () => {
    expect(experiment.counts).toEqual(countsOf({ captured: 60 }));
  });

  it('come in the reference’s order; ties keep capture order, which the reference leaves to chance', async () => {
    const rows = await experiment.query();
    const order = json<string[]>('order_60.json');
    const times = new Map(inputs().map(({ event_id, timestamp }) => [event_id, timestamp]));
    expect(rows.map(({ timestamp }) => timestamp)).toEqual(order.map((id) => times.get(id)));
    const stable = inputs().toSorted((a, b) => a.timestamp - b.timestamp);
    expect(idsOf(rows)).toEqual(stable.map(({ event_id }) => event_id));
  });

  it('are enriched as the reference does, with dot-joined names and a hedge’s duplication cost counted', async () => {
    const golden = new Map(lines<GoldenEvent>('export_60.jsonl').map((event) => [event.event_id, event]));
    for (const row of await experiment.query()) {
      const expected = golden.get(goldenIds.get(row.eventId)!)!;
      const { latency_ms, cost_usd } = expected;
      expect(row).toMatchObject({
        eventName: expected.event_name.join('.'),
        timestamp: expected.timestamp,
        experimentId: 'EXP',
        experimentName: 'golden',
        condition: 'control',
        tags: ['g', 't'],
        success: expected.success,
        model: expected.model,
        provider: expected.provider,
        sessionId: expected.session_id,
        userId: expected.user_id,
        sampleId: expected.sample_id,
        cohort: expected.cohort,
        measurements: expected.measurements,
        metadata: expected.metadata,
      });
      if (latency_ms === null) expect(row.latencyMs).toBeNull();
      else near(row.latencyMs, latency_ms as number, 'latency');
      const cost = isHedging(expected) ? DUPLICATION_COST : cost_usd;
      if (cost === null) expect(row.costUsd).toBeNull();
      else near(row.costUsd, cost, 'cost');
    }
  });

  it('have the reference’s category fields', async () => {
    const golden = new Map(lines<GoldenEvent>('export_60.jsonl').map((event) => [event.event_id, event]));
    let compared = 0;
    for (const { eventId, eventName, fields } of await experiment.query()) {
      const expected = golden.get(goldenIds.get(eventId)!)!;
      for (const [name, value] of Object.entries(fields)) {
        if (eventName.startsWith('hedging.')) continue;
        const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
        expect(value, `${eventName} ${name}`).toEqual(expected[snake]);
        compared++;
      }
    }
    expect(compared).toBe(6 * (7 + 5 + 3));
  });
});

describe('golden metrics', () => {
  type Stats = Record<string, number>;
  type Golden = Record<'latency' | 'cost' | 'reliability' | 'tokens', Stats> & {
    summary: { event_types: Stats; time_range: Stats; duration_seconds: number; total_events: number };
    events: Record<string, { count: number }>;
    event_counts: Stats;
  };

  /** Costs with the duplicates, ascending. */
  const costs = () =>
    Float64Array.from(
      lines<GoldenEvent>('export_60.jsonl').flatMap((event) =>
        isHedging(event) ? [DUPLICATION_COST] : event.cost_usd === null ? [] : [event.cost_usd],
      ),
    ).sort();

  it('summary, events, tokens and latency', async () => {
    const golden = json<Golden>('metrics_60.json');
    const { summary, events, tokens, latency } = await experiment.metrics();
    expect(summary).toMatchObject({
      totalEvents: golden.summary.total_events,
      timeRange: golden.summary.time_range,
      durationSeconds: golden.summary.duration_seconds,
      eventTypes: golden.summary.event_types,
    });
    expect(events).toEqual(golden.events);
    const { mean_prompt, mean_completion, mean_total, total_prompt, total_completion, total, count } =
      golden.tokens;
    expect(tokens).toEqual({
      count,
      totalPrompt: total_prompt,
      totalCompletion: total_completion,
      total,
      meanPrompt: mean_prompt,
      meanCompletion: mean_completion,
      meanTotal: mean_total,
    });
    const actual = latency as unknown as Stats;
    for (const name of ['count', 'mean', 'median', 'min', 'max', 'p50', 'p90', 'p95', 'p99']) {
      near(actual[name], golden.latency[name]!, `latency ${name}`);
    }
  });

  it('standard deviation: corrected to that of a sample, the reference’s population value beside it', async () => {
    const { latency } = await experiment.metrics();
    const { std_dev: population } = json<Golden>('metrics_60.json').latency;
    const { std_dev: sample } = json<Golden>('streaming_60.json').latency;
    expect(latency).toHaveProperty('stdDevPopulation');
    near((latency as { stdDevPopulation: number }).stdDevPopulation, population!, 'population');
    near((latency as { stdDev: number }).stdDev, sample!, 'sample');
  });

  it('cost: corrected by the duplication costs of hedged requests', async () => {
    const golden = json<Golden>('metrics_60.json').cost;
    const { cost } = await experiment.metrics();
    const actual = cost as unknown as Stats;
    const total = golden.total! + 6 * DUPLICATION_COST;
    const count = golden.count! + 6;
    const sorted = costs();
    expect(actual.count).toBe(count);
    near(actual.total, total, 'total');
    near(actual.meanPerRequest, total / count, 'mean');
    near(actual.medianPerRequest, (sorted[23]! + sorted[24]!) / 2, 'median');
    near(actual.costPer1kRequests, (total / count) * 1e3, 'per 1k');
    near(actual.costPer1mRequests, (total / count) * 1e6, 'per 1m');
    // Without the hedged requests, the reference's own numbers.
    const plain = (
      await experiment.metrics({ predicate: ({ eventName }) => !eventName.startsWith('hedging.') })
    ).cost;
    const uncorrected = plain as unknown as Stats;
    expect(uncorrected.count).toBe(golden.count);
    near(uncorrected.total, golden.total!, 'total');
    near(uncorrected.meanPerRequest, golden.mean_per_request!, 'mean');
    near(uncorrected.medianPerRequest, golden.median_per_request!, 'median');
    near(uncorrected.costPer1kRequests, golden.cost_per_1k_requests!, 'per 1k');
    near(uncorrected.costPer1mRequests, golden.cost_per_1m_requests!, 'per 1m');
  });

  it('reliability: totalRequests corrected to all events in both, decidedRequests those of known success', async () => {
    const batch = json<Golden>('metrics_60.json').reliability;
    const streaming = json<Golden>('streaming_60.json').reliability;
    const expected = {
      totalRequests: batch.total_requests,
      decidedRequests: streaming.total_requests,
      successful: batch.successful,
      failed: batch.failed,
      successRate: batch.success_rate,
      failureRate: batch.failure_rate,
      sla99: batch.sla_99,
      sla999: batch.sla_999,
      sla9999: batch.sla_9999,
    };
    expect((await experiment.metrics()).reliability).toEqual(expected);
    expect(experiment.streamingMetrics().reliability).toEqual(expected);
  });

  it('streaming: latency and event counts, and cost corrected by the duplication costs', () => {
    const golden = json<Golden>('streaming_60.json');
    const { latency, cost, eventCounts } = experiment.streamingMetrics();
    expect(eventCounts).toEqual(golden.event_counts);
    expect(latency.count).toBe(golden.latency.count);
    near(latency.mean, golden.latency.mean!, 'mean');
    near(latency.stdDev, golden.latency.std_dev!, 'stdDev');
    near(latency.min, golden.latency.min!, 'min');
    near(latency.max, golden.latency.max!, 'max');
    const total = golden.cost.total! + 6 * DUPLICATION_COST;
    const count = golden.cost.count! + 6;
    expect(cost.count).toBe(count);
    near(cost.total, total, 'total');
    near(cost.meanPerRequest, total / count, 'mean');
    near(cost.costPer1kRequests, (total / count) * 1e3, 'per 1k');
    near(cost.costPer1mRequests, (total / count) * 1e6, 'per 1m');
  });
});

describe('golden windows', () => {
  interface Windowed {
    window_size: number;
    step_size: number;
    windows: {
      window_start: number;
      window_end: number;
      event_count: number;
      mean_latency: number | null;
      total_cost: number;
      success_count: number;
      failure_count: number;
    }[];
  }

  it.each([0, 1, 2])(
    'size and step %#: as the reference, cost corrected by the duplication costs',
    async (which) => {
      const { window_size, step_size, windows } = json<Windowed[]>('windowed_60.json')[which]!;
      const rows = await experiment.windowedMetrics({ sizeUs: window_size, stepUs: step_size });
      expect(rows).toHaveLength(windows.length);
      const hedged = inputs().filter(isHedging);
      for (const [i, expected] of windows.entries()) {
        const row = rows[i]!;
        expect(row).toMatchObject({
          windowStart: expected.window_start,
          windowEnd: expected.window_end,
          eventCount: expected.event_count,
          successCount: expected.success_count,
          failureCount: expected.failure_count,
        });
        if (expected.mean_latency === null) expect(row.meanLatency).toBeNull();
        else near(row.meanLatency, expected.mean_latency, 'mean latency');
        const duplicates = hedged.filter(
          ({ timestamp }) => timestamp >= expected.window_start && timestamp < expected.window_end,
        );
        near(row.totalCost, expected.total_cost + duplicates.length * DUPLICATION_COST, 'total cost');
      }
    },
  );

  it('a span shorter than the window: corrected to one window with every event, where the reference has none', async () => {
    const { window_size, step_size, windows } = json<Windowed[]>('windowed_60.json')[3]!;
    expect(windows).toEqual([]);
    const rows = await experiment.windowedMetrics({ sizeUs: window_size, stepUs: step_size });
    expect(rows).toMatchObject([
      { windowStart: 1_700_000_000_000_000, eventCount: 60, successCount: 24, failureCount: 12 },
    ]);
  });
});

describe('golden queries', () => {
  it('every filter finds the reference’s events, with dot-joined names', async () => {
    const cases = json<{ filter: Record<string, Json>; event_ids: string[] }[]>('queries_60.json');
    expect(cases).toHaveLength(13);
    for (const { filter, event_ids } of cases) {
      const { event_name, time_range, ...rest } = filter;
      const ours: Filter = { ...rest };
      if (event_name !== undefined) ours.eventName = (event_name as string[]).join('.');
      if (time_range !== undefined) ours.timeRange = time_range as [number, number];
      const found = idsOf(await experiment.query(ours));
      expect(found.toSorted(), JSON.stringify(filter)).toEqual(event_ids.toSorted());
      const stable = inputs().toSorted((a, b) => a.timestamp - b.timestamp);
      const wanted = new Set(event_ids);
      expect(found).toEqual(stable.flatMap(({ event_id }) => (wanted.has(event_id) ? [event_id] : [])));
    }
  });

  it('every window finds the reference’s events', async () => {
    const cases = json<{ spec: Json[]; now?: number; event_ids: string[] }[]>('query_window_60.json');
    expect(cases).toHaveLength(3);
    for (const { spec, now, event_ids } of cases) {
      const [kind, first, second] = spec as [string, number, number & 'seconds'];
      const ours: WindowSpec =
        kind === 'last_n'
          ? { lastN: first }
          : kind === 'range'
            ? { range: [first, second] }
            : { last: first, unit: second, ...(now !== undefined && { now }) };
      expect(idsOf(await experiment.window(ours)), kind).toEqual(event_ids);
    }
  });
});

describe('golden comparison', () => {
  it('with the same data at latency × 0.8 and cost × 1.5: cost corrected by the duplication costs', async () => {
    const golden = json<{ treatment_1: Record<string, number> }>('compare_60.json').treatment_1;
    const treatment = bench.start({ name: 'treatment' });
    for (const { timestamp, eventName, latencyMs, costUsd, success } of await experiment.query()) {
      treatment.captureAt(
        timestamp,
        eventName,
        { ...(latencyMs !== null && { latencyMs: latencyMs * 0.8 }) },
        {
          ...(costUsd !== null && { cost: costUsd * 1.5 }),
          ...(success !== null && { status: success ? 'ok' : 'error' }),
        },
      );
    }
    const { treatments } = await bench.crucible().compare([experiment, treatment]);
    const [actual] = treatments;
    near(actual?.latencyImprovementPct, golden.latency_improvement_pct!, 'latency');
    near(actual?.costDifferenceUsd, golden.cost_difference_usd! + 0.5 * 6 * DUPLICATION_COST, 'cost');
    expect(actual?.successRateImprovementPct).toBe(golden.success_rate_improvement_pct);
    expect(actual?.eventCountDifference).toBe(golden.event_count_difference);
  });
});

describe('golden exports', () => {
  async function exported(format: 'csv' | 'jsonl', options: { flatten?: boolean } = {}): Promise<string> {
    let whole = '';
    for await (const part of experiment.exportStream(format, options)) whole += part;
    return whole;
  }

  it.each<[string, { flatten?: boolean }]>([
    ['export_60.csv', {}],
    ['export_flat_false_60.csv', { flatten: false }],
  ])(
    '%s, cell by cell: ids our own, columns the union of all rows, cost corrected',
    async (file, options) => {
      const written = await exported('csv', options);
      const [expected, actual] = [await readCsv(text(file)), await readCsv(written)];
      expect(actual).toHaveLength(60);
      const columns = Object.keys(expected[0]!);
      const header = written.slice(0, written.indexOf('\n')).split(',');
      if (options.flatten === false) expect(header).toEqual(columns);
      else {
        expect(header.filter((name) => columns.includes(name))).toEqual(columns);
        expect(header).toEqual(
          expect.arrayContaining(['metadata_note', 'metadata_winner', 'measurement_loss', 'tags']),
        );
      }
      const actualById = new Map(actual.map((row) => [goldenIds.get(row.event_id as string), row]));
      for (const row of expected) {
        const ours = actualById.get(row.event_id as string)!;
        for (const column of columns) {
          if (column === 'event_id') continue;
          const hedged = column === 'cost_usd' && row.event_name === 'hedging.request.stop';
          const wanted = hedged ? DUPLICATION_COST : cellValue(row[column]);
          const cell = cellValue(ours[column]);
          if (typeof wanted === 'number') near(cell as number, wanted, `${row.event_id} ${column}`);
          else expect(cell, `${row.event_id} ${column}`).toBe(wanted);
        }
      }
    },
  );

  it('export_60.jsonl, event by event: ids our own, names dot-joined, cost corrected', async () => {
    const actual = (await exported('jsonl'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, Json>);
    expect(actual).toHaveLength(60);
    const actualById = new Map(actual.map((event) => [goldenIds.get(event.event_id as string), event]));
    for (const { event_id, event_name, cost_usd, latency_ms, ...rest } of lines<GoldenEvent>(
      'export_60.jsonl',
    )) {
      const ours = actualById.get(event_id)!;
      expect(ours).toMatchObject({ ...rest, event_name: event_name.join('.') });
      const cost = event_name[0] === 'hedging' ? DUPLICATION_COST : cost_usd;
      if (cost === null) expect(ours.cost_usd).toBeNull();
      else near(ours.cost_usd as number, cost, 'cost');
      if (latency_ms === null) expect(ours.latency_ms).toBeNull();
      else near(ours.latency_ms as number, latency_ms as number, 'latency');
    }
  });
});
