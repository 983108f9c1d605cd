/** Outcomes of one experiment: as the pure functions have them, of all events and by group, however often they are read. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { metricsOf } from '../../src/analysis/metrics.js';
import type { Outcome, OutcomeMetrics } from '../../src/analysis/types.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import { kernelsOfThread } from '../../src/kernels/kernels.js';
import { compileFilter } from '../../src/readers/filter.js';
import { openView } from '../../src/readers/source.js';
import {
  describe as describeSample,
  orderStatisticInterval,
  quantile,
  studentUpperQuantile,
  wilsonInterval,
} from '../../src/stats/index.js';
import { useBench } from '../capture/support.js';
import { expectRelative, seededNormal, seededUniform } from '../support/numeric.js';

const bench = useBench();
const COLUMNS = { score: 'f64', steps: 'i32', grounded: 'bool', team: 'dict' } as const;
const OUTCOMES: readonly Outcome[] = [
  { of: 'score' },
  { of: 'steps' },
  { of: 'grounded' },
  { of: 'success' },
  { of: 'latencyMs', summary: { quantile: 0.9 } },
  { of: 'score', summary: { quantile: 0.5 }, name: 'median score' },
  { of: 'costUsd', per: 'success' },
  { of: 'tokensTotal' },
  { of: 'ttftMs' },
];

interface Made {
  readonly latencyMs: number;
  readonly score: number | undefined;
  readonly steps: number;
  readonly grounded: boolean | undefined;
  readonly ok: boolean;
  readonly cost: number;
  readonly team: string;
  readonly ttftMs: number | undefined;
}

/** Some captured whole, some by recorders that bind a score, some that record it. */
function filled(count: number, seed = 1): { experiment: Experiment; rows: Made[] } {
  const experiment = bench.start({ columns: COLUMNS, capacity: 65_536 });
  const [normal, uniform] = [seededNormal(seed), seededUniform(seed)];
  const bound = experiment.recorder('ask', { score: 0.25, steps: 7, grounded: true, team: 'bound' });
  const rows: Made[] = [];
  for (let i = 0; i < count; i++) {
    const isBound = i % 5 === 4;
    const row: Made = {
      latencyMs: 1000 * Math.exp(0.4 * normal()),
      score: isBound ? 0.25 : uniform() < 0.8 ? normal() : undefined,
      steps: isBound ? 7 : Math.floor(10 * uniform()),
      grounded: isBound ? true : uniform() < 0.9 ? uniform() < 0.7 : undefined,
      ok: uniform() < 0.85,
      cost: 0.01 * uniform(),
      team: isBound ? 'bound' : uniform() < 0.5 ? 'red' : 'blue',
      ttftMs: isBound || uniform() < 0.5 ? undefined : 100 * uniform(),
    };
    rows.push(row);
    const { latencyMs, score, steps, grounded, ok, cost, team, ttftMs } = row;
    if (isBound) bound.record(latencyMs, cost, -1, -1, ok);
    else {
      const metadata = {
        steps,
        team,
        cost,
        ...(score !== undefined && { score }),
        ...(grounded !== undefined && { grounded }),
      };
      const measurements = { latencyMs, ...(ttftMs !== undefined && { ttftMs }) };
      experiment.capture('ask', measurements, { ...metadata, status: ok ? 'ok' : 'error' });
    }
  }
  return { experiment, rows };
}

function expectValues(found: OutcomeMetrics | undefined, values: readonly number[], p?: number): void {
  const { n, mean, stdDev, min, max, sum } = describeSample(values);
  expect(found!.n).toBe(n);
  expectRelative(found!.mean, mean!, 1e-12, 'mean');
  expectRelative(found!.stdDev, stdDev!, 1e-10, 'stdDev');
  expectRelative(found!.sum, sum!, 1e-12, 'sum');
  expect([found!.min, found!.max]).toEqual([min, max]);
  for (const [key, at] of [
    ['p50', 0.5],
    ['p95', 0.95],
    ['p999', 0.999],
  ] as const) {
    expectRelative(found![key], quantile(values, at), 1e-12, key);
  }
  if (p === undefined) {
    expect(found!.estimate).toBe(found!.mean);
    const margin = (stdDev! / Math.sqrt(n)) * studentUpperQuantile(0.025, n - 1);
    expectRelative(found!.confidenceInterval![0], mean! - margin, 1e-9, 'low');
  } else {
    expectRelative(found!.estimate, quantile(values, p), 1e-12, 'quantile');
    const { confidenceInterval } = orderStatisticInterval(values, p);
    for (const side of [0, 1] as const)
      expectRelative(found!.confidenceInterval![side], confidenceInterval![side], 1e-12);
  }
}

const known = (values: readonly (number | undefined)[]) => values.filter((value) => value !== undefined);

function expectAll(outcomes: Record<string, OutcomeMetrics> | undefined, rows: readonly Made[]): void {
  expect(Object.keys(outcomes!)).toHaveLength(OUTCOMES.length);
  expectValues(outcomes!.score, known(rows.map(({ score }) => score)));
  expectValues(
    outcomes!.steps,
    rows.map(({ steps }) => steps),
  );
  expectValues(
    outcomes!['latencyMs.p90'],
    rows.map(({ latencyMs }) => latencyMs),
    0.9,
  );
  expectValues(outcomes!['median score'], known(rows.map(({ score }) => score)), 0.5);
  expectValues(outcomes!.ttftMs, known(rows.map(({ ttftMs }) => ttftMs)));
  const grounded = rows.flatMap(({ grounded }) => (grounded === undefined ? [] : [grounded]));
  for (const [name, values] of [
    ['grounded', grounded],
    ['success', rows.map(({ ok }) => ok)],
  ] as const) {
    const successes = values.filter(Boolean).length;
    const { confidenceInterval } = wilsonInterval(successes, values.length);
    expect(outcomes![name]).toMatchObject({ kind: 'rate', n: values.length, successes, confidenceInterval });
  }
  const cost = rows.reduce((sum, row) => sum + row.cost, 0);
  const ratio = outcomes!['costUsd/success']!;
  expect(ratio).toMatchObject({ kind: 'ratio', per: 'success', n: rows.length });
  expectRelative(ratio.estimate, cost / rows.filter(({ ok }) => ok).length, 1e-10);
  expect(ratio.confidenceInterval![0]).toBeLessThan(ratio.estimate!);
  expect(outcomes!.tokensTotal).toEqual({
    of: 'tokensTotal',
    kind: 'mean',
    n: 0,
    estimate: null,
    confidenceInterval: null,
  });
}

describe('outcomes of an experiment', () => {
  it('are those of its values, captured, bound and recorded', async () => {
    const { experiment, rows } = filled(3000);
    const metrics = await experiment.metrics({}, { of: OUTCOMES });
    expectAll(metrics.outcomes, rows);
    expect(metrics.latency.count).toBe(3000);
    expect((await experiment.metrics()).outcomes).toBeUndefined();
  });

  it('are those of each group', async () => {
    const { experiment, rows } = filled(3000, 2);
    const groups = await experiment.metricsBy('team', {}, { of: OUTCOMES.slice(0, 6) });
    expect(groups.map(({ key }) => key).sort()).toEqual(['blue', 'bound', 'red']);
    for (const { key, metrics } of groups) {
      const own = rows.filter(({ team }) => team === key);
      expect(metrics.outcomes!.success).toMatchObject({
        n: own.length,
        successes: own.filter(({ ok }) => ok).length,
      });
      expectRelative(
        metrics.outcomes!['median score']!.estimate,
        quantile(known(own.map(({ score }) => score)), 0.5),
        1e-12,
      );
    }
  });

  it('are the same where values do not fit into memory and rows are read again', async () => {
    const { experiment, rows } = filled(4000, 3);
    const { readable } = experiment.selected();
    const view = openView(readable.store, compileFilter({}, readable.store.source), readable.limit());
    const times = { wallClockSeconds: 1, activeSeconds: 1, pausedSeconds: 0 };
    const { outcomes } = await metricsOf(view, times, kernelsOfThread(), { keepMax: 500, of: OUTCOMES });
    expectAll(outcomes, rows);
  });

  it('of few values have no interval of a quantile that nothing bounds', async () => {
    const { experiment } = filled(4, 4);
    const { outcomes } = await experiment.metrics(
      {},
      { of: [{ of: 'latencyMs', summary: { quantile: 0.95 } }] },
    );
    expect(outcomes!['latencyMs.p95']).toMatchObject({ n: 4, confidenceInterval: null });
  });

  it('are refused where no event can have them', async () => {
    const { experiment } = filled(4, 4);
    await expect(experiment.metrics({}, { of: [{ of: 'scor' }] })).rejects.toThrow(/score/);
    await expect(experiment.metricsBy('team', {}, { of: [] })).rejects.toThrow(/metrics/);
    await expect(experiment.metrics({}, { off: [] } as object)).rejects.toThrow(/options\.off/);
  });

  it('take late scores as columns', async () => {
    const { experiment, rows } = filled(100, 5);
    for (const [i, { eventId }] of (await experiment.query()).entries()) {
      if (i % 2 === 0) experiment.score({ eventId }, 'tone', rows[i]!.ok ? 1 : 3, { by: 'judge' });
    }
    const { outcomes } = await experiment.metrics({}, { of: [{ of: 'score.tone' }] });
    expectValues(
      outcomes!['score.tone'],
      rows.flatMap(({ ok }, i) => (i % 2 === 0 ? [ok ? 1 : 3] : [])),
    );
  });

  it('hold for any values', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 2, maxLength: 60 }),
        async (values) => {
          const experiment = bench.start({ columns: { score: 'f64' } });
          const recorder = experiment.recorder('ask');
          for (const score of values) experiment.capture('ask', {}, { score });
          recorder.record(1);
          const { outcomes } = await experiment.metrics({}, { of: [{ of: 'score' }] });
          await experiment.cleanup();
          expect(outcomes!.score!.n).toBe(values.length);
          expect(outcomes!.score!.p50).toBeCloseTo(quantile(values, 0.5), 6);
        },
      ),
      { numRuns: 20 },
    );
  });
});
