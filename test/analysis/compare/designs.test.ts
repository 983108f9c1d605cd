/** Designs of comparisons: primaries and guardrails, covariates, strata, segments, and what was cut; through the door. */
import { describe, expect, it } from 'vitest';
import type { CompareOptions, Outcome } from '../../../src/analysis/types.js';
import type { Experiment } from '../../../src/experiment/experiment.js';
import { useBench } from '../../capture/support.js';
import { seededNormal, seededUniform } from '../../support/numeric.js';
import { expectAtLeast, expectAtMost, runs, TIMEOUT_MS } from '../../support/simulated.js';

const bench = useBench();

interface Draw {
  readonly normal: () => number;
  readonly uniform: () => number;
}

/** Two experiments of `events` captures each, what `event` says of the i-th event of an arm. */
function arms(
  seed: number,
  events: readonly [number, number],
  event: (isTreatment: boolean, i: number, draw: Draw) => Record<string, unknown> & { latencyMs?: number },
): Experiment[] {
  return events.map((count, arm) => {
    const name = arm === 0 ? 'control' : 'treatment';
    const columns = { score: 'f64', before: 'f64', kind: 'dict', good: 'bool' } as const;
    const experiment = bench.start({ name, columns });
    const draw = { normal: seededNormal(2 * seed + arm), uniform: seededUniform(7 * seed + arm + 1) };
    for (let i = 0; i < count; i++) {
      const { latencyMs, ...metadata } = event(arm === 1, i, draw);
      experiment.capture(
        'ask',
        latencyMs === undefined ? {} : { latencyMs },
        metadata as Record<string, string>,
      );
    }
    return experiment;
  });
}

async function compared(experiments: Experiment[], options: CompareOptions) {
  const { treatments, settings } = await bench.crucible().compare(experiments, options);
  for (const experiment of experiments) await experiment.cleanup();
  return { ...treatments[0]!, settings };
}

const codesOf = ({ warnings }: { warnings: { code: string }[] }) => warnings.map(({ code }) => code);

describe('a primary and guardrails', () => {
  const primary: Outcome = { of: 'score', direction: 'higher', role: 'primary' };
  const guardrail: Outcome = { of: 'latencyMs', role: 'guardrail', margin: { relative: 0.05 } };
  const run = (scoreGain: number, slowerMs: number, count = 600) =>
    compared(
      arms(1, [count, count], (isTreatment, _, { normal }) => ({
        latencyMs: 1000 + (isTreatment ? slowerMs : 0) + 100 * normal(),
        score: normal() + (isTreatment ? scoreGain : 0),
      })),
      { metrics: [primary, guardrail, 'successRate'] },
    );

  it('better needs the primary to be, and all guardrails to hold', async () => {
    const { decision, verdict, metrics } = await run(0.5, 0);
    expect(decision).toMatchObject({ outcome: 'better', guardrails: [{ holds: true, exceeded: false }] });
    expect(verdict).toMatch(
      /That mean latency is worse by 5 % \(4\d+\.?\d* ms|5\d+\.?\d* ms\) or more is ruled out/,
    );
    expect(metrics.score).toMatchObject({ role: 'primary', direction: 'better' });
    expect(decision!.reasons.join(' ')).toContain('The primary outcome, mean score, is better.');
  });

  it('a guardrail that is not shown to hold leaves it undecided; one whose margin is exceeded decides', async () => {
    expect((await run(0.5, 45)).decision).toMatchObject({ outcome: 'undecided' });
    const harm = await run(0.5, 90);
    expect(harm.decision).toMatchObject({ outcome: 'worse', guardrails: [{ holds: false, exceeded: true }] });
    expect(harm.verdict).toMatch(/worse by 5 % \(.*\) or more is shown/);
  });

  it('without a difference it is undecided, and noninferior where that is what was asked', async () => {
    expect((await run(0, 0)).decision).toMatchObject({ outcome: 'undecided' });
    const asked = await compared(
      arms(3, [600, 600], (_, __, { normal }) => ({ latencyMs: 1000 + 100 * normal() })),
      { metrics: [{ ...guardrail, role: 'primary' }] },
    );
    expect(asked.decision).toMatchObject({ outcome: 'noninferior', guardrails: [] });
    expect(asked.metrics.latencyMs!.equivalence!.shown).toBe(true);
  });

  it('primaries are adjusted apart from what is secondary', async () => {
    const { metrics, settings } = await run(0.1, 0);
    expect(metrics.score!.adjustedPValue).toBe(metrics.score!.pValue);
    expect(settings.questions).toBe(2);
  });

  it('there is no decision where nobody asked for one', async () => {
    const { decision } = await compared(
      arms(1, [50, 50], (_, __, { normal }) => ({ latencyMs: 100 + normal() })),
      { metrics: ['latencyMean'] },
    );
    expect(decision).toBeUndefined();
  });

  it('a relative margin errs as often as it says where the treatment is worse by just that', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const count = runs(100);
    const shown: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const { metrics } = await compared(
        arms(i, [60, 90], (isTreatment, _, { normal, uniform }) => ({
          latencyMs: (isTreatment ? 1.2 : 1) * (1000 + 300 * normal()),
          status: uniform() < (isTreatment ? 0.64 : 0.8) ? 'ok' : 'error',
          score: isTreatment ? 0.8 * (10 + normal()) : 10 + normal(),
          sampleId: i,
        })),
        {
          paired: false,
          metrics: [
            { of: 'latencyMs', margin: { relative: 0.2 } },
            { of: 'success', margin: { relative: 0.2 } },
            { of: 'score', direction: 'higher', margin: { relative: 0.2 }, summary: { quantile: 0.5 } },
          ],
        },
      );
      for (const [name, { noninferiority }] of Object.entries(metrics))
        shown[name] = (shown[name] ?? 0) + Number(noninferiority!.shown);
    }
    for (const [name, hits] of Object.entries(shown)) expectAtMost(hits / count, 0.03, count, name);
  });
});

describe('a covariate', () => {
  const event =
    (gain: number) =>
    (isTreatment: boolean, _: number, { normal, uniform }: Draw) => {
      const before = 5 + normal();
      return {
        score: 2 * before + 0.5 * normal() + (isTreatment ? gain : 0),
        ...(uniform() < 0.9 && { before }),
      };
    };
  const outcome: Outcome = { of: 'score', direction: 'higher', covariate: 'before' };

  it('takes out what it explains, and says how much', async () => {
    const plain = await compared(arms(5, [150, 150], event(0.4)), {
      metrics: [{ ...outcome, covariate: undefined }],
    });
    const found = await compared(arms(5, [150, 150], event(0.4)), { metrics: [outcome] });
    const { score } = found.metrics;
    const width = ([low, high]: readonly [number, number]) => high - low;
    expect(width(score!.confidenceInterval!)).toBeLessThan(
      0.8 * width(plain.metrics.score!.confidenceInterval!),
    );
    expect(score!.covariate!.explained).toBeGreaterThan(0.5);
    expect(score!.covariate!.unadjustedDifference).toBeCloseTo(plain.metrics.score!.difference!, 10);
    expect(score!.difference).toBeCloseTo(score!.treatment.estimate! - score!.baseline.estimate!, 10);
    expect(found.verdict).toContain('Adjusted for what was known before: mean score by before.');
    expect(codesOf(found)).not.toContain('covariateDiffers');
  });

  it('errs as often as it says, by event, by user and at every look', { timeout: TIMEOUT_MS }, async () => {
    const count = runs(60);
    const alarms = { event: 0, user: 0, watched: 0 };
    for (let run = 0; run < count; run++) {
      const { metrics } = await compared(arms(run + 1, [40, 70], event(0)), { metrics: [outcome] });
      alarms.event += Number(metrics.score!.significant);
      const users = new Map<string, number>();
      const byUser = (isTreatment: boolean, i: number, { normal }: Draw) => {
        const userId = `${isTreatment} ${i % 20}`;
        const before = users.get(userId) ?? normal();
        users.set(userId, before);
        return { userId, before, score: before + normal() };
      };
      const by = await compared(arms(run + 1, [200, 200], byUser), { metrics: [outcome], unit: 'userId' });
      alarms.user += Number(by.metrics.score!.significant);
      const watched = await compared(arms(run + 1, [100, 150], event(0)), {
        metrics: [outcome],
        sequential: { tuning: 250 },
      });
      alarms.watched += Number(watched.metrics.score!.significant);
    }
    for (const [name, hits] of Object.entries(alarms)) expectAtMost(hits / count, 0.055, count, name);
  });

  it('that differs between the arms is warned of', async () => {
    const found = await compared(
      arms(5, [300, 300], (isTreatment, _, { normal }) => {
        const before = normal() + (isTreatment ? 1 : 0);
        return { before, score: before + normal() };
      }),
      { metrics: [outcome] },
    );
    expect(codesOf(found)).toContain('covariateDiffers');
  });

  it('is refused where it has no meaning', async () => {
    const experiments = arms(1, [2, 2], () => ({ latencyMs: 1 }));
    const asked = (metrics: Outcome[]) => bench.crucible().compare(experiments, { metrics });
    await expect(asked([{ of: 'score', covariate: 'befor' }])).rejects.toThrow(/before/);
    await expect(asked([{ of: 'score', covariate: 'score' }])).rejects.toThrow(/covariate/);
    await expect(asked([{ of: 'costUsd', per: 'success', covariate: 'before' }])).rejects.toThrow(
      /covariate/,
    );
  });
});

describe('strata', () => {
  /** Two models, one of them twice as slow; 80 : 20 in one arm, 20 : 80 in the other. */
  const mixed =
    (gain: number) =>
    (isTreatment: boolean, i: number, { normal }: Draw) => {
      const isSlow = i % 10 < (isTreatment ? 2 : 8);
      return {
        latencyMs: (isSlow ? 2000 : 1000) + 100 * normal() + (isTreatment ? gain : 0),
        model: isSlow ? 'slow' : 'fast',
      };
    };

  it('compare as if both arms were of one mix', async () => {
    const pooled = await compared(arms(2, [400, 400], mixed(50)), { metrics: ['latencyMean'] });
    expect(pooled.metrics.latencyMean!.direction).toBe('better');
    expect(codesOf(pooled)).toContain('unequalMix');
    const { metrics, verdict, settings, ...rest } = await compared(arms(2, [400, 400], mixed(50)), {
      metrics: ['latencyMean', 'latencyP95'],
      strata: 'model',
    });
    expect(metrics.latencyMean).toMatchObject({ direction: 'worse', strata: { count: 2, leftOut: 0 } });
    expect(metrics.latencyMean!.difference).toBeGreaterThan(30);
    expect(verdict).toContain('one mix of model');
    expect(settings.strata).toEqual({ by: 'model', without: ['latencyP95'] });
    expect(codesOf(rest)).not.toContain('unequalMix');
  });

  it('err as often as they say', { timeout: TIMEOUT_MS }, async () => {
    const count = runs(100);
    let alarms = 0;
    for (let run = 0; run < count; run++) {
      const { metrics } = await compared(arms(run, [60, 90], mixed(0)), {
        metrics: ['latencyMean'],
        strata: 'model',
      });
      alarms += Number(metrics.latencyMean!.significant);
    }
    expectAtMost(alarms / count, 0.05, count, 'false alarms');
  });

  it('of one arm are left out, and told', async () => {
    const found = await compared(
      arms(2, [100, 100], (isTreatment, i, { normal }) => ({
        latencyMs: 100 + normal(),
        kind: isTreatment && i < 20 ? 'new' : 'old',
      })),
      { metrics: ['latencyMean'], strata: 'kind' },
    );
    expect(found.metrics.latencyMean!.strata).toEqual({ count: 1, leftOut: 20 });
    expect(codesOf(found)).toContain('strataLeftOut');
  });

  it('are refused beside what they do not go with', async () => {
    const experiments = arms(1, [2, 2], () => ({ latencyMs: 1 }));
    const asked = (options: CompareOptions) => bench.crucible().compare(experiments, options);
    await expect(asked({ strata: 'model', unit: 'userId' })).rejects.toThrow(/strata/);
    await expect(asked({ strata: 'model', sequential: true })).rejects.toThrow(/strata/);
    await expect(asked({ strata: 'score' })).rejects.toThrow(/column of type dict/);
  });
});

describe('segments', () => {
  it('are compared each on its own, and adjusted together', async () => {
    const experiments = arms(4, [600, 600], (isTreatment, i, { normal }) => ({
      latencyMs: 1000 + 100 * normal() - (isTreatment && i % 3 === 0 ? 100 : 0),
      kind: ['search', 'chat', 'code'][i % 3],
    }));
    const { segments, settings, metrics } = await compared(experiments, {
      metrics: ['latencyMean'],
      segments: {
        search: { where: { kind: 'search' } },
        chat: { where: { kind: 'chat' } },
        code: { where: { kind: 'code' } },
      },
    });
    expect(Object.keys(segments!)).toEqual(['search', 'chat', 'code']);
    expect(segments!.search!.metrics.latencyMean).toMatchObject({
      direction: 'better',
      baseline: { n: 200 },
    });
    expect(segments!.chat!.metrics.latencyMean!.significant).toBe(false);
    const { pValue, adjustedPValue } = segments!.search!.metrics.latencyMean!;
    expect(adjustedPValue).toBeCloseTo(3 * pValue!, 12);
    expect(settings).toMatchObject({ questions: 1, segmentQuestions: 3 });
    expect(metrics.latencyMean!.adjustedPValue).toBe(metrics.latencyMean!.pValue);
    expect(segments!.search!.verdict).toContain('lower mean latency');
  });

  it('are refused where they are no filters', async () => {
    const experiments = arms(1, [2, 2], () => ({ latencyMs: 1 }));
    const asked = (segments: unknown) =>
      bench
        .crucible()
        .compare(experiments, { segments: segments as NonNullable<CompareOptions['segments']> });
    await expect(asked(['a'])).rejects.toThrow(/segments/);
    await expect(asked({ a: { nme: 1 } })).rejects.toThrow(/filter\.nme/);
  });
});

describe('latencies that were cut', () => {
  const cutAt =
    (cut: readonly [number, number]) =>
    (isTreatment: boolean, _: number, { normal }: Draw) => ({
      latencyMs: Math.min(
        cut[Number(isTreatment)]!,
        1000 * Math.exp(0.5 * normal()) * (isTreatment ? 1.1 : 1),
      ),
    });

  it('have no quantile where it lies in what was cut, and one where it does not', async () => {
    const { metrics } = await compared(arms(6, [500, 500], cutAt([2000, 2000])), {
      metrics: ['latencyP95', { of: 'latencyMs', summary: { quantile: 0.5 } }, 'latencyMean'],
    });
    expect(metrics.latencyP95).toMatchObject({ pValue: null, difference: null });
    expect(metrics.latencyP95!.reason).toContain('nothing bounds it from above');
    expect(metrics['latencyMs.p50']!.pValue).not.toBeNull();
    expect(metrics.latencyMean!.censored!.treatment).toBeGreaterThan(0.05);
    expect(metrics.latencyMean!.assumptions.join()).toContain('up to the cut');
    expect(metrics.latencyMean!.pValue).not.toBeNull();
  });

  it('in one arm only, with the other going beyond, give no verdict on means', async () => {
    const { metrics } = await compared(arms(6, [500, 500], cutAt([1e9, 1500])), { metrics: ['latencyMean'] });
    expect(metrics.latencyMean).toMatchObject({ pValue: null, significant: false });
    expect(metrics.latencyMean!.reason).toContain('those of the other go beyond');
  });
});

describe('at every look', () => {
  const OUTCOMES: readonly Outcome[] = [
    { of: 'costUsd', per: 'success' },
    { of: 'latencyMs', summary: { quantile: 0.5 } },
    { of: 'latencyMs' },
  ];

  /** Which outcomes were ever called different, of twice as many events in the treatment, at any of a few looks. */
  async function everCalled(seed: number, unit: 'event' | 'userId', effect: number) {
    const experiments = arms(seed, [0, 0], () => ({}));
    const draws = [0, 1].map((arm) => ({
      normal: seededNormal(1000 * seed + arm),
      uniform: seededUniform(1000 * seed + arm + 5),
    }));
    const means = new Map<string, number>();
    const ever = new Set<string>();
    for (let n = 1; n <= 600; n++) {
      for (const [arm, experiment] of experiments.entries()) {
        if (arm === 0 && n % 2 === 0) continue;
        const { normal, uniform } = draws[arm]!;
        const userId = `${arm} ${Math.floor(uniform() * Math.max(30, n / 4))}`;
        const own = unit === 'event' ? 0 : (means.get(userId) ?? 0.5 * normal());
        means.set(userId, own);
        const level = Math.exp(own + 0.5 * normal() + (arm === 1 ? effect : 0));
        const status = uniform() < 0.8 ? 'ok' : 'error';
        experiment.capture('ask', { latencyMs: 100 * level }, { userId, cost: 0.01 * level, status });
      }
      if (n < 150 || n % 75 > 0) continue;
      const sequential = { tuning: unit === 'event' ? 600 : 200 };
      const options = { metrics: OUTCOMES, adjust: 'none', unit, sequential } as const;
      const { treatments } = await bench.crucible().compare(experiments, options);
      for (const [name, { significant }] of Object.entries(treatments[0]!.metrics))
        if (significant) ever.add(name);
    }
    for (const experiment of experiments) await experiment.cleanup();
    return ever;
  }

  it.each(['event', 'userId'] as const)(
    'by %s, ratios, quantiles and means err no more often than they say, and find what is there',
    { timeout: TIMEOUT_MS },
    async (unit) => {
      const count = runs(30);
      const found = 20;
      const hits = { none: new Map<string, number>(), some: new Map<string, number>() };
      const add = (to: Map<string, number>, names: ReadonlySet<string>) => {
        for (const name of names) to.set(name, (to.get(name) ?? 0) + 1);
      };
      for (let run = 0; run < count; run++) add(hits.none, await everCalled(run + 1, unit, 0));
      for (let run = 0; run < found; run++) add(hits.some, await everCalled(run + 1, unit, 0.6));
      for (const name of ['costUsd/success', 'latencyMs.p50', 'latencyMs']) {
        expectAtMost((hits.none.get(name) ?? 0) / count, 0.05, count, name);
        expectAtLeast((hits.some.get(name) ?? 0) / found, 0.75, found, name);
      }
    },
  );
});
