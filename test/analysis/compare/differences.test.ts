/** Comparing experiments with the first of them. */

import { describe, expect, it } from 'vitest';
import { AnalysisError, NotFoundError } from '../../../src/errors.js';
import type { Measurements } from '../../../src/schema/event.js';
import { useBench } from '../../capture/support.js';

const bench = useBench();

function arm(name: string, events: readonly Measurements[], condition = name) {
  const experiment = bench.start({ name, condition });
  for (const measurements of events) experiment.capture('e', measurements);
  return experiment;
}

describe('compare', () => {
  it('tells each treatment’s difference from the baseline, the first one', async () => {
    const crucible = bench.crucible();
    const baseline = arm('baseline', [
      { latencyMs: 100, cost: 1, status: 'ok' },
      { latencyMs: 200, cost: 1, status: 'error' },
    ]);
    const faster = arm('faster', [{ latencyMs: 75, cost: 0.5, status: 'ok' }]);
    const slower = arm('slower', [
      { latencyMs: 300, cost: 3, status: 'error' },
      { latencyMs: 300, cost: 3, status: 'ok' },
      { latencyMs: 300, cost: 3, status: 'error' },
      { latencyMs: 300, cost: 3, status: 'error' },
    ]);
    const comparison = await crucible.compare([baseline, faster.id, slower]);
    expect(comparison.baseline).toEqual({ id: baseline.id, name: 'baseline', condition: 'baseline' });
    expect(comparison.treatments).toMatchObject([
      {
        id: faster.id,
        name: 'faster',
        condition: 'faster',
        latencyImprovementPct: -50,
        costDifferenceUsd: -1.5,
        successRateImprovementPct: 100,
        eventCountDifference: -1,
      },
      {
        id: slower.id,
        name: 'slower',
        condition: 'slower',
        latencyImprovementPct: 100,
        costDifferenceUsd: 10,
        successRateImprovementPct: -50,
        eventCountDifference: 2,
      },
    ]);
    expect(comparison.experiments.map(({ id, metrics }) => [id, metrics.summary.totalEvents])).toEqual([
      [baseline.id, 2],
      [faster.id, 1],
      [slower.id, 4],
    ]);
    expect(comparison.experiments[0]?.metrics).toEqual(await baseline.metrics());
  });

  const full = [{ latencyMs: 100, cost: 1, status: 'ok' }];
  const nulls = { latencyImprovementPct: null, costDifferenceUsd: null, successRateImprovementPct: null };

  it.each<[string, Measurements[], Measurements[], object]>([
    ['the baseline has no events', [], full, { ...nulls, eventCountDifference: 1 }],
    ['the treatment has no events', full, [], { ...nulls, eventCountDifference: -1 }],
    ['neither has', [], [], { ...nulls, eventCountDifference: 0 }],
    ['the baseline says nothing', [{}], full, { ...nulls, eventCountDifference: 0 }],
    ['the treatment says nothing', full, [{}], { ...nulls, eventCountDifference: 0 }],
    [
      'the old values are 0',
      [{ latencyMs: 0, cost: 0, status: 'error' }],
      full,
      { latencyImprovementPct: null, costDifferenceUsd: 1, successRateImprovementPct: null },
    ],
    [
      'the new values are 0',
      full,
      [{ latencyMs: 0, cost: 0, status: 'error' }],
      { latencyImprovementPct: -100, costDifferenceUsd: -1, successRateImprovementPct: -100 },
    ],
  ])('has null for what cannot be said where %s', async (_, before, after, expected) => {
    const crucible = bench.crucible();
    const { treatments } = await crucible.compare([arm('a', before), arm('b', after)]);
    expect(treatments).toMatchObject([expected]);
  });

  it('applies a filter to every arm', async () => {
    const crucible = bench.crucible();
    const events = [
      { latencyMs: 100, status: 'ok' },
      { latencyMs: 900, status: 'error' },
    ];
    const { treatments } = await crucible.compare(
      [arm('a', events), arm('b', [{ latencyMs: 50, status: 'ok' }, ...events.slice(1)])],
      { filter: { success: true } },
    );
    expect(treatments).toMatchObject([{ latencyImprovementPct: -50, eventCountDifference: 0 }]);
  });

  it('works on experiments that are stopped, and on those that were cleaned up with their data kept', async () => {
    const crucible = bench.crucible();
    const [a, b] = [arm('a', full), arm('b', full)];
    await a.stop();
    await b.cleanup({ keepData: true });
    expect((await crucible.compare([a, b])).treatments).toMatchObject([{ latencyImprovementPct: 0 }]);
  });

  it.each([0, 1])('of %d experiments is an error', async (count) => {
    const crucible = bench.crucible();
    const arms = [arm('a', full)].slice(0, count);
    await expect(crucible.compare(arms)).rejects.toThrow(AnalysisError);
    await expect(crucible.compare(arms)).rejects.toMatchObject({ code: 'ERR_TOO_FEW_EXPERIMENTS' });
  });

  it('of an id that nobody has is an error', async () => {
    const crucible = bench.crucible();
    const known = arm('a', full);
    await expect(crucible.compare([known, 'unknown'])).rejects.toThrow(NotFoundError);
    await known.cleanup();
    await expect(crucible.compare([known.id, known.id])).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});
