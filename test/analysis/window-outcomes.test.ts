/** Outcomes of windows: as `metrics` has them of the window's events alone. */
import { describe, expect, it } from 'vitest';
import type { Outcome, OutcomeMetrics } from '../../src/analysis/types.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import { START_US, useBench } from '../capture/support.js';
import { expectRelative, seededNormal, seededUniform } from '../support/numeric.js';

const bench = useBench();
const OUTCOMES: readonly Outcome[] = [
  { of: 'score' },
  { of: 'score', summary: { quantile: 0.9 } },
  { of: 'grounded' },
  { of: 'success' },
  { of: 'steps' },
  { of: 'costUsd', per: 'success' },
  { of: 'tokensTotal' },
  { of: 'ttftMs' },
];

/** Captured whole or by a recorder that binds what it knows, out of order in time; some scores are far from the others. */
function filled(count: number): Experiment {
  const experiment = bench.start({
    columns: { score: 'f64', steps: 'i32', grounded: 'bool' },
    capacity: 65_536,
  });
  const [normal, uniform] = [seededNormal(7), seededUniform(8)];
  for (let i = 0; i < count; i++) {
    const atUs = START_US + Math.floor(10_000 * uniform());
    const status = uniform() < 0.8 ? 'ok' : 'error';
    const tokens = { prompt: i % 50, completion: i % 7 };
    const measurements = { latencyMs: 100 * uniform(), ...(i % 3 === 0 && { ttftMs: 10 * uniform() }) };
    const score = uniform() < 0.8 ? normal() * (i % 11 === 0 ? 1e6 : 1) : undefined;
    experiment.captureAt(atUs, 'ask', measurements, {
      status,
      tokens,
      cost: uniform() / 100,
      steps: Math.floor(10 * normal()),
      ...(score !== undefined && { score }),
      ...(uniform() < 0.9 && { grounded: uniform() < 0.5 }),
    });
  }
  return experiment;
}

function expectSame(found: OutcomeMetrics, expected: OutcomeMetrics): void {
  expect([found.of, found.per, found.kind, found.n]).toEqual([
    expected.of,
    expected.per,
    expected.kind,
    expected.n,
  ]);
  expect([found.successes, found.min, found.max]).toEqual([expected.successes, expected.min, expected.max]);
  // Of values that cancel, a mean has no more digits than its spread.
  const about = Math.max(Math.abs(expected.estimate ?? 0), expected.stdDev ?? 0);
  for (const key of ['estimate', 'mean', 'stdDev', 'p50', 'p95'] as const) {
    const value = expected[key];
    if (value === null || value === undefined) expect(found[key]).toBe(value);
    else
      expect(Math.abs(found[key]! - value), key).toBeLessThanOrEqual(
        1e-11 * Math.max(about, Math.abs(value)),
      );
  }
  for (const side of [0, 1] as const) {
    if (expected.confidenceInterval === null) expect(found.confidenceInterval).toBeNull();
    else expectRelative(found.confidenceInterval![side], expected.confidenceInterval[side], 1e-8, 'interval');
  }
}

describe('outcomes of windows', () => {
  it.each([
    ['tumbling, of few events', 300, 500, 500],
    ['hopping, of few events', 300, 900, 300],
    ['hopping, of many events', 20_000, 5000, 1000],
    ['with events between them', 1000, 200, 700],
  ])('are what metrics has of their events: %s', async (_, count, sizeUs, stepUs) => {
    const experiment = filled(count);
    const windows = await experiment.windowedMetrics({ sizeUs, stepUs, of: OUTCOMES });
    expect(windows.length).toBeGreaterThan(5);
    for (const { windowStart, windowEnd, eventCount, outcomes } of windows) {
      const timeRange = [windowStart, windowEnd - 1] as [number, number];
      const metrics = await experiment.metrics({ timeRange }, { of: OUTCOMES });
      expect(metrics.summary.totalEvents).toBe(eventCount);
      expect(Object.keys(outcomes!)).toEqual(Object.keys(metrics.outcomes!));
      for (const [name, expected] of Object.entries(metrics.outcomes!))
        expectSame(outcomes![name]!, expected);
    }
  });

  it('have the quantiles that were asked for, under their names', async () => {
    const experiment = bench.start({ columns: { score: 'f64' } });
    for (const score of [1, 2, 3, 4, 5]) experiment.captureAt(START_US, 'ask', {}, { score });
    const options = {
      sizeUs: 10,
      stepUs: 10,
      quantiles: [0.25, 1],
      of: [{ of: 'score' }, 'successRate'] as const,
    };
    const [window] = await experiment.windowedMetrics(options);
    expect(window!.outcomes).toEqual({
      score: {
        of: 'score',
        kind: 'mean',
        n: 5,
        estimate: 3,
        confidenceInterval: [expect.closeTo(1.0368), expect.closeTo(4.9632)],
        mean: 3,
        stdDev: expect.closeTo(Math.sqrt(2.5)),
        min: 1,
        max: 5,
        p25: 2,
        p100: 5,
      },
      successRate: {
        of: 'success',
        kind: 'rate',
        n: 0,
        estimate: null,
        confidenceInterval: null,
        successes: 0,
      },
    });
  });

  it('are absent where none were asked for, and of nobody where no event has them', async () => {
    const experiment = bench.start();
    experiment.captureAt(START_US, 'ask', { latencyMs: 1 });
    const [plain] = await experiment.windowedMetrics({ sizeUs: 10, stepUs: 10 });
    expect(plain).not.toHaveProperty('outcomes');
    const [asked] = await experiment.windowedMetrics({ sizeUs: 10, stepUs: 10, of: [{ of: 'ttftMs' }] });
    expect(asked!.outcomes).toEqual({
      ttftMs: { of: 'ttftMs', kind: 'mean', n: 0, estimate: null, confidenceInterval: null },
    });
  });

  it('take what a recorder has bound, and values whose sum is too large for a double', async () => {
    const experiment = bench.start({ columns: { score: 'f64', rated: 'bool' } });
    const recorder = experiment.recorder('ask', { rated: true });
    bench.clock.advance(1);
    recorder.record(5);
    for (let i = 0; i < 3; i++) experiment.capture('ask', {}, { score: 1.5e308 });
    const [window] = await experiment.windowedMetrics({
      sizeUs: 1e6,
      stepUs: 1e6,
      of: [{ of: 'score' }, { of: 'rated' }],
    });
    expect(window!.outcomes).toMatchObject({
      score: { n: 3, p50: 1.5e308 },
      rated: { kind: 'rate', n: 1, successes: 1, estimate: 1 },
    });
    expectRelative(window!.outcomes!.score!.mean, 1.5e308, 1e-12);
  });

  it('take late scores; one that several events share is of the first of them in time', async () => {
    const experiment = bench.start({ columns: { sessionId: 'dict' } });
    // The second event of session a comes before the first one in capture order.
    for (const [at, sessionId] of [
      [25, 'a'],
      [5, 'a'],
      [15, 'b'],
      [27, 'c'],
    ] as const) {
      experiment.captureAt(START_US + at, 'ask', {}, { sessionId });
    }
    experiment.score({ sessionId: 'a' }, 'tone', 4);
    experiment.score({ sessionId: 'b' }, 'tone', 2);
    experiment.score({ sessionId: 'c' }, 'tone', 1);
    const of = [{ of: 'score.tone' }];
    const windows = await experiment.windowedMetrics({ sizeUs: 10, stepUs: 10, align: 'epoch', of });
    expect(
      windows.map(({ outcomes }) => [outcomes!['score.tone']!.n, outcomes!['score.tone']!.mean]),
    ).toEqual([
      [1, 4],
      [1, 2],
      [1, 1],
    ]);
  });

  it('are refused where no event can have them', async () => {
    const experiment = bench.start({ columns: { score: 'f64', team: 'dict' } });
    const asked = (of: unknown) => experiment.windowedMetrics({ sizeUs: 1, stepUs: 1, of } as never);
    await expect(asked([{ of: 'scor' }])).rejects.toThrow(/did you mean score/);
    await expect(asked([{ of: 'team' }])).rejects.toThrow(/metrics\.team\.of/);
    await expect(asked(['latency'])).rejects.toThrow(/metrics\[0\]/);
    await expect(asked([])).rejects.toThrow(/metrics/);
  });
});
