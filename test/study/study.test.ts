/** A study in one process: what it decides, and what it says of a plan that was not followed. */
import { describe, expect, it } from 'vitest';
import { type StudyOptions, telemetry } from '../../src/index.js';
import { codeOf, START_US, useBench } from '../capture/support.js';
import { serve } from './support.js';

const ARMS = { control: {}, treatment: {} };
const OPTIONS: StudyOptions = {
  name: 'shorter prompt',
  arms: ARMS,
  capacity: 8192,
  producers: 2,
  events: ['answer'],
  plan: { outcomes: [{ of: 'latencyMs' }], unitsPerArm: 60 },
};
const EQUAL = { control: 200, treatment: 200 };
const FASTER = { control: 200, treatment: 185 };
const SLOWER = { control: 200, treatment: 215 };
const GUARDED = [
  { of: 'latencyMs' },
  { of: 'success', role: 'guardrail', margin: 0.08 },
] satisfies NonNullable<StudyOptions['plan']>['outcomes'];

describe('the verdict of a study', () => {
  const bench = useBench();
  const begin = (options: Partial<StudyOptions> = {}) =>
    bench.crucible({ workers: 0 }).study({ ...OPTIONS, ...options });

  it('is better where the primary outcome is, by unit, with method and assumptions', async () => {
    const study = begin();
    serve(study, 0, 160, { latencyMs: FASTER });
    const verdict = await study.verdict();
    expect(verdict).toMatchObject({
      study: 'shorter prompt',
      baseline: 'control',
      treatment: 'treatment',
      decision: 'better',
      planFollowed: true,
      deviations: [],
      ended: true,
      unit: 'userId',
      event: 'answer',
      alpha: 0.05,
      sequential: null,
      looks: [],
      plannedAt: START_US,
    });
    expect(verdict.method).toMatch(/CR2/);
    expect(verdict.assumptions.join()).toMatch(/userId was assigned by the study alone/);
    expect(verdict.assumptions.join()).toMatch(/one look, at the planned end/);
    expect(verdict.wouldChange.join()).toMatch(/interval of mean latency with 0 in it/);
    const { control, treatment } = verdict.arms;
    expect(control!.units + treatment!.units).toBe(160);
    expect(control!.events).toBe(3 * control!.units);
    expect(treatment).toMatchObject({ processes: 1 });
    const { latencyMs } = verdict.outcomes;
    expect(latencyMs).toMatchObject({ role: 'primary', planned: true, label: 'mean latency' });
    expect(latencyMs!.confidenceInterval![1]).toBeLessThan(0);
    expect(Math.abs(latencyMs!.difference! + 15)).toBeLessThan(5);
  });

  it('is worse where the primary outcome is', async () => {
    const study = begin();
    serve(study, 0, 160, { latencyMs: SLOWER });
    await expect(study.verdict()).resolves.toMatchObject({ decision: 'worse', planFollowed: true });
  });

  it('is undecided where nothing is shown, and tells what such a study could see', async () => {
    const study = begin();
    serve(study, 0, 160, { latencyMs: EQUAL });
    const { decision, wouldChange, reasons } = await study.verdict();
    expect(decision).toBe('undecided');
    expect(reasons[0]).toMatch(/primary outcome, mean latency, shows no difference/);
    expect(wouldChange.join()).toMatch(/80 % power/);
  });

  it('is noninferior where the margin is ruled out', async () => {
    const plan = { outcomes: [{ of: 'latencyMs', margin: 20 }], unitsPerArm: 60 };
    const study = begin({ plan });
    serve(study, 0, 160, { latencyMs: EQUAL });
    await expect(study.verdict()).resolves.toMatchObject({ decision: 'noninferior', planFollowed: true });
  });

  it('is worse where it is so for sure, if by less than the margin, which is said', async () => {
    const plan = { outcomes: [{ of: 'latencyMs', margin: 40 }], unitsPerArm: 60 };
    const study = begin({ plan });
    serve(study, 0, 160, { latencyMs: SLOWER });
    const { decision, reasons } = await study.verdict();
    expect(decision).toBe('worse');
    expect(reasons[0]).toMatch(/is worse; that mean latency is worse by 40.* is ruled out/);
  });

  it('is worse where a guardrail is broken, however good the primary outcome is', async () => {
    const study = begin({ plan: { outcomes: GUARDED, unitsPerArm: 60 } });
    serve(study, 0, 200, { latencyMs: FASTER, failing: { treatment: 0.3 } });
    const { decision, reasons } = await study.verdict();
    expect(decision).toBe('worse');
    expect(reasons.join()).toMatch(/As a guardrail: that success rate is worse by .* is shown/);
  });

  it('is undecided while a guardrail is open, and better once it holds', async () => {
    const few = begin({ plan: { outcomes: GUARDED, unitsPerArm: 20 } });
    const failing = { control: 0.3, treatment: 0.3 };
    serve(few, 0, 60, { latencyMs: FASTER, failing });
    const open = await few.verdict();
    expect(open).toMatchObject({ decision: 'undecided' });
    expect(open.reasons.join()).toMatch(/As a guardrail: that success rate is worse by .* is not ruled out/);
    const many = begin({ plan: { outcomes: GUARDED, unitsPerArm: 20 } });
    serve(many, 0, 1200, { latencyMs: FASTER, failing: { control: 0.02, treatment: 0.02 } });
    await expect(many.verdict()).resolves.toMatchObject({ decision: 'better' });
  });

  it('is invalid where the units seen do not fit the weights', async () => {
    const study = begin();
    // Units of the treatment are lost before anything is captured.
    for (let i = 0, seen = 0; i < 400; i++) {
      if (study.assign(`u${i}`) === 'treatment' && seen++ % 3 > 0) continue;
      serve(study, i, i + 1, { latencyMs: FASTER });
    }
    const { decision, reasons, wouldChange } = await study.verdict();
    expect(decision).toBe('invalid');
    expect(reasons[0]).toMatch(/sample ratio mismatch/);
    expect(wouldChange.join()).toMatch(/new study/);
  });

  it('is by units, not by events: users who make many requests are no mismatch', async () => {
    const study = begin();
    for (let i = 0; i < 160; i++) {
      serve(study, i, i + 1, { latencyMs: EQUAL, perUnit: study.assign(`u${i}`) === 'treatment' ? 9 : 2 });
    }
    await expect(study.verdict()).resolves.toMatchObject({ decision: 'undecided' });
  });

  it('is invalid where units are in both arms', async () => {
    const study = begin();
    serve(study, 0, 160, { latencyMs: FASTER });
    for (let i = 0; i < 5; i++) {
      for (const arm of study.arms)
        study.experiment(arm).capture('answer', { durationMs: 1 }, { userId: `u${i}` });
    }
    const { decision, reasons } = await study.verdict();
    expect(decision).toBe('invalid');
    expect(reasons[0]).toMatch(/assignment was not kept/);
  });

  it('is invalid where units are in the arm of the others', async () => {
    const study = begin();
    serve(study, 0, 160, { latencyMs: EQUAL });
    // As code does that asks for the arm once, and takes it for all.
    for (let i = 200; i < 205; i++) {
      const [arm] = study.arms.filter((name) => name !== study.assign(`u${i}`));
      study.experiment(arm!).capture('answer', { durationMs: 1 }, { userId: `u${i}` });
    }
    const { decision, reasons } = await study.verdict();
    expect(decision).toBe('invalid');
    expect(reasons[0]).toMatch(/assignment was not kept: units \(userId\) are in another arm .*: [1-5] of/);
  });

  it('is undecided before there is anything', async () => {
    const study = begin();
    const nothing = await study.verdict();
    expect(nothing).toMatchObject({ decision: 'undecided', treatment: null, outcomes: {} });
    expect(nothing.arms).toEqual({
      control: { events: 0, units: 0, processes: 0 },
      treatment: { events: 0, units: 0, processes: 0 },
    });
    study.experiment('control').capture('answer', { durationMs: 5 }, { userId: 'u1' });
    const half = await study.verdict();
    expect(half.decision).toBe('undecided');
    expect(half.reasons.join()).toMatch(/no events yet in treatment/);
  });

  it('of several treatments is about the best, and tells of each', async () => {
    const arms = { control: {}, slow: {}, fast: { weight: 2 } };
    const study = begin({ arms });
    serve(study, 0, 320, { latencyMs: { control: 200, slow: 215, fast: 180 } });
    const verdict = await study.verdict();
    expect(verdict).toMatchObject({ decision: 'better', treatment: 'fast' });
    expect(verdict.treatments).toMatchObject({ slow: { decision: 'worse' }, fast: { decision: 'better' } });
    expect(Object.keys(verdict.outcomes.latencyMs!.treatments)).toEqual(['slow', 'fast']);
    expect(verdict.reasons.join()).toMatch(/mean latency was lower: .*adjusted p/i);
  });

  it('takes units by any path of the metadata', async () => {
    const study = begin({ unit: 'tenant.id' });
    for (let i = 0; i < 160; i++) {
      study.run(
        `t${i}`,
        () => {
          for (let j = 0; j < 2; j++) {
            const arm = study.assign(`t${i}`);
            study
              .experiment(arm)
              .capture('answer', { durationMs: arm === 'control' ? 20 : 10 + (i % 5) }, { n: j });
          }
        },
        { tenant: { plan: 'free' } },
      );
    }
    const { arms, decision } = await study.verdict();
    expect(arms.control!.units + arms.treatment!.units).toBe(160);
    expect(decision).toBe('better');
    const [row] = await study.experiment('control').query();
    expect(row!.metadata.tenant).toMatchObject({ plan: 'free', id: expect.stringMatching(/^t\d+$/) });
  });
});

describe('a plan that is not followed', () => {
  const bench = useBench();
  const begin = (options: Partial<StudyOptions> = {}) =>
    bench.crucible({ workers: 0 }).study({ ...OPTIONS, ...options });
  const codes = ({ deviations }: { deviations: readonly { code: string }[] }) =>
    deviations.map(({ code }) => code);

  it('looked early: nothing is decided, and it is said later too', async () => {
    const study = begin();
    serve(study, 0, 60, { latencyMs: FASTER });
    const early = await study.verdict();
    expect(early).toMatchObject({ decision: 'undecided', planFollowed: false, ended: false });
    expect(codes(early)).toEqual(['lookedEarly']);
    serve(study, 60, 160, { latencyMs: FASTER });
    const late = await study.verdict();
    expect(late).toMatchObject({ decision: 'better', planFollowed: false, ended: true });
    expect(codes(late)).toEqual(['lookedEarly']);
    expect(late.looks).toMatchObject([{ decision: 'undecided', deviations: ['lookedEarly'] }]);
  });

  it('may be looked at again when it has ended', async () => {
    const study = begin();
    serve(study, 0, 160, { latencyMs: FASTER });
    await study.verdict();
    await expect(study.verdict()).resolves.toMatchObject({ planFollowed: true, decision: 'better' });
  });

  it('decides once, at its planned end: what comes later changes nothing', async () => {
    const study = begin();
    serve(study, 0, 160, { latencyMs: FASTER });
    const test = await study.verdict();
    expect(test).toMatchObject({ decision: 'better', planFollowed: true });
    serve(study, 160, 400, { latencyMs: { control: 100, treatment: 300 } });
    const later = await study.verdict();
    expect(later).toMatchObject({ decision: 'better', planFollowed: false });
    expect(codes(later)).toEqual(['lookedAgain']);
    expect(later.reasons[0]).toContain('its decision stands');
  });

  it('is not at its end before the outcome of the planned units is known', async () => {
    const study = begin({
      plan: { outcomes: [{ of: 'score.quality', direction: 'higher' }], unitsPerArm: 60 },
    });
    serve(study, 0, 200, { latencyMs: FASTER });
    for (let i = 0; i < 20; i++) {
      const experiment = study.experiment(study.assign(`u${i}`));
      const [row] = await experiment.query({ where: { userId: `u${i}` } });
      experiment.score({ eventId: row!.eventId }, 'quality', i % 3);
    }
    const verdict = await study.verdict();
    expect(verdict).toMatchObject({ ended: false, decision: 'undecided' });
    expect(verdict.reasons.join()).toMatch(/ of 60 planned units/);
  });

  it('may be looked at any time where it is sequential', async () => {
    const study = begin({
      unit: 'requestId',
      plan: { outcomes: [{ of: 'latencyMs' }], sequential: true, unitsPerArm: 10_000 },
    });
    serve(study, 0, 60, { latencyMs: FASTER });
    const first = await study.verdict();
    expect(codes(first)).toEqual([]);
    await study.stop();
    const last = await study.verdict();
    expect(last).toMatchObject({ planFollowed: true, sequential: { tuning: 5000 } });
    expect(last.looks).toHaveLength(1);
  });

  it('stopped below the planned units', async () => {
    const study = begin();
    serve(study, 0, 60, { latencyMs: FASTER });
    await study.stop();
    const verdict = await study.verdict();
    expect(codes(verdict)).toEqual(['belowPlannedUnits']);
    // Nobody had looked: the test is as good as it was planned, only with less power.
    expect(verdict).toMatchObject({ decision: 'better', planFollowed: false });
  });

  it('looked at and stopped below the planned units: there is no decision', async () => {
    const study = begin();
    serve(study, 0, 50, { latencyMs: FASTER });
    await study.verdict();
    serve(study, 50, 60, { latencyMs: FASTER });
    await study.stop();
    const verdict = await study.verdict();
    expect(codes(verdict)).toEqual(['lookedEarly', 'belowPlannedUnits']);
    expect(verdict.decision).toBe('undecided');
    expect(verdict.reasons.join()).toMatch(/looked at before and stopped/);
  });

  it('ends at its time', async () => {
    const until = new Date(START_US / 1000 + 3600_000).toISOString();
    const study = begin({ plan: { outcomes: [{ of: 'latencyMs' }], until } });
    serve(study, 0, 160, { latencyMs: FASTER });
    await expect(study.verdict()).resolves.toMatchObject({ ended: false, decision: 'undecided' });
    bench.clock.advance(3_600_000);
    await expect(study.verdict()).resolves.toMatchObject({ ended: true, decision: 'better' });
  });

  it.each([
    ['addedOutcomes', { outcomes: [{ of: 'success' }] }, 'better'],
    ['changedFilter', { filter: { success: true } }, 'undecided'],
    ['changedFilter', { filter: { predicate: () => true } }, 'undecided'],
    ['changedEvent', { event: 'all' }, 'undecided'],
    ['changedAlpha', { alpha: 0.2 }, 'undecided'],
  ] as const)('%s', async (code, options, decision) => {
    const study = begin();
    serve(study, 0, 160, { latencyMs: FASTER });
    const verdict = await study.verdict(options);
    expect(codes(verdict)).toEqual([code]);
    expect(verdict).toMatchObject({ decision, planFollowed: false });
  });

  it('an added outcome neither decides nor changes what was planned', async () => {
    const study = begin();
    serve(study, 0, 160, { latencyMs: FASTER });
    const [alone, beside] = [await study.verdict(), await study.verdict({ outcomes: [{ of: 'success' }] })];
    expect(beside.outcomes.success).toMatchObject({ planned: false, role: 'secondary' });
    expect(beside.reasons).toEqual(alone.reasons);
  });

  it('what is the planned filter is none that changed', async () => {
    const study = begin({ plan: { outcomes: [{ of: 'latencyMs' }], filter: { success: true } } });
    serve(study, 0, 160, { latencyMs: FASTER });
    await study.stop();
    await expect(study.verdict({ filter: { success: true } })).resolves.toMatchObject({ planFollowed: true });
    expect(codes(await study.verdict({ filter: { success: false } }))).toEqual(['changedFilter']);
  });

  it('nothing planned: the usual metrics are shown, and nothing is decided', async () => {
    const study = begin({ plan: undefined as never });
    serve(study, 0, 160, { latencyMs: FASTER });
    const verdict = await study.verdict();
    expect(codes(verdict)).toEqual(['noPlan']);
    expect(verdict).toMatchObject({ decision: 'undecided', planFollowed: false });
    expect(verdict.outcomes.latencyMean!.significant).toBe(true);
  });
});

describe('Crucible.study', () => {
  const bench = useBench();

  it('gives the same study for the same plan', () => {
    const crucible = bench.crucible({ workers: 0 });
    const study = crucible.study(OPTIONS);
    expect(crucible.study({ ...OPTIONS, arms: { control: { weight: 1 }, treatment: {} } })).toBe(study);
    expect(crucible.study('shorter prompt')).toBe(study);
    expect(codeOf(() => crucible.study('another'))).toBe('ERR_NOT_FOUND');
  });

  it('refuses another plan under the same name, with every difference', () => {
    const crucible = bench.crucible({ workers: 0 });
    crucible.study(OPTIONS);
    const changed = {
      ...OPTIONS,
      arms: { control: {}, treatment: { weight: 2 } },
      hypothesis: 'it is faster',
    };
    let error: unknown;
    try {
      crucible.study(changed);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      name: 'StudyError',
      code: 'ERR_PLAN_CHANGED',
      context: {
        differences: [
          { path: 'arms[1].weight', planned: 1, given: 2 },
          { path: 'hypothesis', planned: null, given: 'it is faster' },
        ],
      },
    });
    expect((error as Error).message).toMatch(/arms\[1\]\.weight was 1, is 2/);
  });

  it('takes of the bus what is emitted in its runs, and nothing that belongs to no unit', async () => {
    const study = bench.crucible({ workers: 0 }).study(OPTIONS);
    for (const arm of study.arms) study.experiment(arm);
    telemetry.execute('answer', { durationMs: 1 }, { userId: 'u1' });
    study.run('u1', () => telemetry.execute('answer', { durationMs: 2 }));
    const rows = await Promise.all(study.arms.map((arm) => study.experiment(arm).query()));
    expect(rows.flat().map(({ latencyMs, userId }) => [latencyMs, userId])).toEqual([[2, 'u1']]);
  });

  it('goes on after a stop, with experiments of their own', async () => {
    const crucible = bench.crucible({ workers: 0 });
    const first = crucible.study(OPTIONS);
    serve(first, 0, 80, { latencyMs: FASTER });
    await first.stop();
    expect(codeOf(() => crucible.study({ ...OPTIONS, unit: 'sessionId' }))).toBe('ERR_PLAN_CHANGED');
    const second = crucible.study(OPTIONS);
    expect(second.experiment('control').id).not.toBe(first.experiment('control').id);
    serve(second, 80, 160, { latencyMs: FASTER });
    const { arms, decision } = await second.verdict();
    expect(arms.control!.units + arms.treatment!.units).toBe(160);
    expect(decision).toBe('better');
  });

  it('runs what it is given after a stop as well, and the events are late', async () => {
    const study = bench.crucible({ workers: 0 }).study(OPTIONS);
    serve(study, 0, 20, { latencyMs: EQUAL });
    await study.stop();
    expect(study.run('u1', () => 'answered')).toBe('answered');
    const never = bench.crucible({ workers: 0 }).study(OPTIONS);
    await never.stop();
    expect(never.run('u1', () => 'answered')).toBe('answered');
    expect(codeOf(() => never.experiment('control'))).toBe('ERR_NOT_RUNNING');
  });

  it.each<[string, Partial<StudyOptions> | Record<string, unknown>]>([
    ['name', { name: '' }],
    ['name', { name: '\ud800' }],
    ['arms', { arms: { control: {} } }],
    ['arms', { arms: { '2': {}, '1': {} } }],
    ['arms', { arms: [] }],
    ['arms.treatment.weight', { arms: { control: {}, treatment: { weight: 0 } } }],
    ['arms.treatment.wieght', { arms: { control: {}, treatment: { wieght: 1 } } }],
    ['arms.treatment.metadata', { arms: { control: {}, treatment: { metadata: { at: new Date(0) } } } }],
    ['unit', { unit: 'event' }],
    ['plan.outcomes', { plan: { outcomes: [] } }],
    [
      'plan.outcomes',
      {
        plan: {
          outcomes: [
            { of: 'a', role: 'primary' },
            { of: 'b', role: 'primary' },
          ],
        },
      },
    ],
    ['plan.outcomes', { plan: { outcomes: [{ of: 'success', role: 'guardrail', margin: 0.1 }] } }],
    ['plan.outcomes[0].direction', { plan: { outcomes: [{ of: 'tokensTotal' }] } }],
    ['plan.alpha', { plan: { outcomes: [{ of: 'latencyMs' }], alpha: 1 } }],
    ['plan.until', { plan: { outcomes: [{ of: 'latencyMs' }], until: 'soon' } }],
    ['plan.unitsPerArm', { plan: { outcomes: [{ of: 'latencyMs' }], unitsPerArm: 1.5 } }],
    ['plan.sequentially', { plan: { outcomes: [{ of: 'latencyMs' }], sequentially: true } }],
    ['plan.filter', { plan: { outcomes: [{ of: 'latencyMs' }], filter: { predicate: () => true } } }],
    ['condition', { condition: 'x' }],
    ['capacityy', { capacityy: 5 }],
  ])('refuses %s %j', (path, options) => {
    const crucible = bench.crucible({ workers: 0 });
    expect(() => crucible.study({ ...OPTIONS, ...options } as StudyOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', context: expect.objectContaining({ path }) }),
    );
  });

  it('takes names that mean something to JavaScript', async () => {
    const arms = JSON.parse('{ "__proto__": {}, "constructor": { "weight": 3 } }') as StudyOptions['arms'];
    const study = bench.crucible({ workers: 0 }).study({ ...OPTIONS, name: '__proto__', arms });
    expect(study.arms).toEqual(['__proto__', 'constructor']);
    for (let i = 0; i < 200; i++) {
      const arm = study.assign(`u${i}`);
      study
        .experiment(arm)
        .capture('answer', { durationMs: arm === 'constructor' ? 10 : 20 + (i % 3) }, { userId: `u${i}` });
    }
    const { arms: counts, decision } = await study.verdict();
    expect(Object.keys(counts)).toEqual(['__proto__', 'constructor']);
    expect(decision).toBe('better');
  });

  it.each([
    ['an object', {}],
    ['nothing', ''],
    ['NaN', Number.NaN],
  ])('assigns no unit to %s', (_, unit) => {
    const study = bench.crucible({ workers: 0 }).study(OPTIONS);
    expect(codeOf(() => study.assign(unit as string))).toBe('ERR_CONFIG_INVALID');
  });
});
