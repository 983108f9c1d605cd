/** Several experiments read as one: what is summed up is what one experiment with all events would have. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment } from '../../src/index.js';

const COLUMNS = { score: 'f64', kind: 'dict', good: 'bool' } as const;

describe('united experiments', () => {
  let crucible: Crucible;
  afterEach(() => crucible.close());

  const capture = (experiment: Experiment, i: number, way: number) => {
    const at = 1_700_000_000_000_000 + i * 1000;
    if (way === 0) {
      experiment
        .recorder('e', { model: `m${i % 3}`, kind: `k${i % 5}` })
        .recordAt(at, i % 17, 0.25, 10, i % 7, i % 4 > 0);
      return;
    }
    const metadata = {
      userId: `u${i % 11}`,
      model: `m${i % 4}`,
      score: i % 13,
      kind: `k${i % 6}`,
      good: i % 3 === 0,
    };
    experiment.captureAt(
      at,
      way === 1 ? 'e' : 'f',
      { durationMs: i % 17, status: i % 4 ? 'ok' : 'error' },
      metadata,
    );
  };

  it('are as the whole, whatever the split, names and columns', async () => {
    const events = fc.array(fc.record({ part: fc.nat({ max: 2 }), way: fc.nat({ max: 2 }) }), {
      minLength: 40,
      maxLength: 120,
    });
    await fc.assert(
      fc.asyncProperty(events, async (all) => {
        crucible = new Crucible({ workers: 0 });
        const small = { capacity: 1024, producers: 1, events: ['e', 'f'], columns: COLUMNS };
        const design = { name: 's', arms: { a: {}, b: {} }, unit: 'sessionId', ...small };
        const study = crucible.study(design);
        const whole = crucible.startExperiment({ name: 'whole', ...small });
        const baseline = study.experiment('a');
        // Three experiments of one arm: two of them are of a study that was stopped.
        for (let part = 0; part < 3; part++) {
          const arm = crucible.study(design).experiment('b');
          all.forEach(({ part: own, way }, i) => {
            if (own === part) capture(arm, i, way);
          });
          await crucible.study(design).stop();
        }
        all.forEach(({ way }, i) => {
          capture(whole, i, way);
          capture(baseline, i, 1);
        });
        const metrics = [
          { of: 'latencyMs' },
          { of: 'score' },
          { of: 'good' },
          { of: 'costUsd', per: 'success' },
          { of: 'score', summary: { quantile: 0.5 } },
        ];
        const { outcomes, arms } = await crucible.study(design).verdict({ outcomes: metrics, event: 'all' });
        const {
          treatments: [alone],
        } = await crucible.compare([baseline, whole], { metrics, unit: 'sessionId', event: 'all' });
        expect(arms.b!.events).toBe(all.length);
        for (const [name, { treatment }] of Object.entries(outcomes)) {
          const expected = alone!.metrics[name]!.treatment;
          expect(treatment.n).toBe(expected.n);
          if (expected.estimate === null) expect(treatment.estimate).toBeNull();
          else expect(treatment.estimate).toBeCloseTo(expected.estimate, 9);
        }
        await crucible.close();
      }),
      { numRuns: 12 },
    );
  });

  it('filter by bindings, columns and what is in the events', async () => {
    crucible = new Crucible({ workers: 0 });
    const small = { capacity: 1024, producers: 1, events: ['e'], columns: COLUMNS };
    const design = { name: 's', arms: { a: {}, b: {} }, ...small };
    for (let part = 0; part < 2; part++) {
      const study = crucible.study(design);
      // The ids of models and kinds come in another order in each part.
      for (let i = 0; i < 60; i++) {
        for (const arm of study.arms) capture(study.experiment(arm), part === 0 ? i : 59 - i, i % 2);
      }
      await study.stop();
    }
    const of = async (filter: object) => {
      const { arms } = await crucible.study(design).verdict({ filter });
      return arms.a!.events;
    };
    const experiments = crucible.experiments().filter(({ condition }) => condition === 'a');
    for (const filter of [
      { model: 'm1' },
      { where: { kind: 'k2' } },
      { where: { userId: 'u3' } },
      { where: { good: true } },
      { where: { score: { gte: 6 } } },
      { success: false },
    ]) {
      const rows = await Promise.all(experiments.map((experiment) => experiment.query(filter)));
      expect(await of(filter)).toBe(rows.flat().length);
      expect(rows.flat().length).toBeGreaterThan(0);
    }
  });
});
