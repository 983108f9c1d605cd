/** What was randomised is a user, a session or a sample: through the public door. */
import { describe, expect, it } from 'vitest';
import type { CompareOptions } from '../../../src/analysis/types.js';
import type { Experiment } from '../../../src/experiment/experiment.js';
import { useBench } from '../../capture/support.js';
import { seededNormal, seededUniform } from '../../support/numeric.js';
import { expectAtMost, runs, TIMEOUT_MS } from '../../support/simulated.js';

const bench = useBench();

/** An arm of users with means of their own, ICC 0.2: `shift` is added to all latencies. */
function usersArm(
  arm: number,
  seed: number,
  { users = 30, requests = 20, shift = 0, bound = false } = {},
): Experiment {
  const experiment = bench.start({ name: `arm ${arm}`, columns: { score: 'f64', good: 'bool' } });
  const normal = seededNormal(1000 * seed + arm);
  const uniform = seededUniform(1000 * seed + arm);
  const means = Array.from({ length: users }, () => 100 * normal());
  const recorders = means.map((_, user) => bound && experiment.recorder('ask', { userId: `${arm}-${user}` }));
  for (let i = 0; i < requests; i++) {
    for (const [user, mean] of means.entries()) {
      const latencyMs = 1000 + mean + shift + 200 * normal();
      const recorder = recorders[user];
      if (recorder) recorder.record(latencyMs, 0.01 * latencyMs, -1, -1, uniform() < 0.9);
      else {
        const metadata = {
          userId: `${arm}-${user}`,
          tenant: { id: user % 7 },
          cost: 0.01 * latencyMs,
          score: latencyMs,
          good: latencyMs > 1000,
        };
        experiment.capture('ask', { latencyMs }, { ...metadata, status: uniform() < 0.9 ? 'ok' : 'error' });
      }
    }
  }
  return experiment;
}

async function compared(experiments: Experiment[], options: CompareOptions) {
  const { treatments, settings } = await bench.crucible().compare(experiments, options);
  return { ...treatments[0]!, settings };
}

const codesOf = ({ warnings }: { warnings: { code: string }[] }) => warnings.map(({ code }) => code);

describe('a comparison by unit', () => {
  const outcomes: CompareOptions['metrics'] = [
    'latencyMean',
    'successRate',
    { of: 'good' },
    { of: 'costUsd', per: 'success' },
    { of: 'score', summary: { quantile: 0.5 } },
  ];

  it('takes the events of a user as they are, for means, rates, ratios and quantiles', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const count = runs(60);
    const alarms: Record<string, number> = {};
    for (let run = 0; run < count; run++) {
      const experiments = [0, 1].map((arm) => usersArm(arm, run));
      const { metrics } = await compared(experiments, { metrics: outcomes, unit: 'userId', adjust: 'none' });
      for (const [name, { significant }] of Object.entries(metrics))
        alarms[name] = (alarms[name] ?? 0) + Number(significant);
      for (const experiment of experiments) await experiment.cleanup();
    }
    expect(Object.keys(alarms)).toHaveLength(5);
    for (const [name, hits] of Object.entries(alarms)) expectAtMost(hits / count, 0.055, count, name);
  });

  it('finds a difference, says of how many units, and which unit', async () => {
    const experiments = [usersArm(0, 1), usersArm(1, 1, { shift: 150 })];
    const found = await compared(experiments, { metrics: outcomes, unit: 'userId' });
    const { latencyMean } = found.metrics;
    expect(latencyMean).toMatchObject({
      significant: true,
      direction: 'worse',
      baseline: { n: 600, units: 30 },
    });
    expect(latencyMean!.intervalMethod).toContain('CR2');
    expect(found.metrics['score.p50']).toMatchObject({ significant: true });
    expect(found.settings.unit).toBe('userId');
    expect(found.verdict).toContain('What was randomised is taken to be the userId');
    const known = ['tooFewSamples', 'repeatedUnits', 'repeatedSamples', 'serialCorrelation'];
    expect(codesOf(found).filter((code) => known.includes(code))).toEqual([]);
  });

  it('reads users from bindings, and paths from metadata', async () => {
    const bound = [0, 1].map((arm) => usersArm(arm, 2, { bound: true }));
    const told = [0, 1].map((arm) => usersArm(arm, 2));
    const ofUsers = (experiments: Experiment[], unit: string) =>
      compared(experiments, { metrics: ['latencyMean'], unit }).then(({ metrics }) => metrics.latencyMean!);
    const [fromBindings, fromEvents] = [await ofUsers(bound, 'userId'), await ofUsers(told, 'userId')];
    expect(fromBindings.confidenceInterval).toEqual(fromEvents.confidenceInterval);
    expect(await ofUsers(told, 'tenant.id')).toMatchObject({ baseline: { units: 7 } });
  });

  it('counts the sample ratio in units', { timeout: TIMEOUT_MS }, async () => {
    const count = runs(60);
    let alarms = 0;
    let byEvents = 0;
    const uniform = seededUniform(7);
    for (let run = 0; run < count; run++) {
      const experiments = [0, 1].map((arm) => bench.start({ name: `${arm}`, columns: { userId: 'u32' } }));
      // 60 users, each in an arm by a fair coin, with 30 events on average.
      for (let user = 0; user < 60; user++) {
        const experiment = experiments[uniform() < 0.5 ? 0 : 1]!;
        const events = 1 + Math.floor(-30 * Math.log(1 - uniform()));
        for (let i = 0; i < events; i++)
          experiment.capture('ask', { latencyMs: uniform() }, { userId: user });
      }
      const has = async (options: CompareOptions) =>
        codesOf(await compared(experiments, { metrics: ['latencyMean'], ...options })).includes(
          'sampleRatioMismatch',
        );
      if (await has({ unit: 'userId' })) alarms++;
      // Not named, repeated users are found.
      if (await has({})) byEvents++;
      for (const experiment of experiments) await experiment.cleanup();
    }
    expectAtMost(alarms / count, 0.001, count, 'by units');
    expectAtMost(byEvents / count, 0.001, count, 'by users that were found');
  });

  it('leaves out events without a unit, and says so; and so of units in both arms', async () => {
    const experiments = [0, 0].map((arm) => usersArm(arm, 3));
    experiments[1]!.capture('ask', { latencyMs: 5e6 });
    const found = await compared(experiments, { metrics: ['latencyMean'], unit: 'userId' });
    expect(found.warnings.find(({ code }) => code === 'withoutUnit')!.message).toContain('0 events of arm 0');
    expect(found.warnings.find(({ code }) => code === 'sharedUnits')!.message).toContain(
      '30 units (userId) are in both arms',
    );
    expect(found.metrics.latencyMean!.treatment.n).toBe(600);
  });

  it('begins its sequence once there are enough units', async () => {
    const experiments = [0, 1].map((arm) => usersArm(arm, 3));
    const found = await compared(experiments, { metrics: ['latencyMean'], unit: 'userId', sequential: true });
    expect(found.metrics.latencyMean).toMatchObject({
      pValue: null,
      reason: expect.stringContaining('begins at 30 units'),
    });
  });
});

describe('without a unit', () => {
  it.each<[string, CompareOptions]>([
    ['pairs sought', {}],
    ['unpaired', { paired: false }],
    ['sequential', { sequential: true }],
  ])('repeated users are warned of: %s', async (_, options) => {
    for (const bound of [false, true]) {
      const found = await compared(
        [0, 1].map((arm) => usersArm(arm, 4, { bound })),
        { metrics: ['latencyMean'], ...options },
      );
      const told = found.warnings.filter(({ code }) => code === 'repeatedUnits');
      expect(told).toHaveLength(2);
      expect(told[0]!.message).toBe(
        "arm 0 has 20.0 events per user, counted as if they were independent: unit: 'userId' takes them as they are",
      );
      expect(found.verdict).toContain('To be read with care');
    }
  });

  it.each<[CompareOptions]>([[{ paired: false }], [{ sequential: true }]])(
    'repeated samples too: %j',
    async (options) => {
      const experiments = [0, 1].map((arm) => {
        const experiment = bench.start({ name: `${arm}` });
        for (let i = 0; i < 200; i++) experiment.capture('ask', { latencyMs: i % 13 }, { sampleId: i % 20 });
        return experiment;
      });
      expect(codesOf(await compared(experiments, { metrics: ['latencyMean'], ...options }))).toContain(
        'repeatedSamples',
      );
    },
  );

  it('values that follow each other and are alike are warned of', async () => {
    const experiments = [0, 1].map((arm) => {
      const experiment = bench.start({ name: `${arm}` });
      const recorder = experiment.recorder('ask');
      const normal = seededNormal(arm);
      for (let i = 0, x = 0; i < 500; i++) {
        x = 0.7 * x + normal();
        recorder.record(1000 + 30 * x);
      }
      return experiment;
    });
    const found = await compared(experiments, { metrics: ['latencyMean'] });
    expect(codesOf(found)).toEqual(expect.arrayContaining(['serialCorrelation', 'serialCorrelation']));
  });
});
