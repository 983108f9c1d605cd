/** Outcomes that the caller names, of one kind of event, through the public door. */
import { describe, expect, it } from 'vitest';
import type { Experiment } from '../../../src/experiment/experiment.js';
import { twoProportionZ } from '../../../src/stats/proportions.js';
import { quantile } from '../../../src/stats/quantile.js';
import { ratioOfMeans } from '../../../src/stats/ratio.js';
import { welchTTest } from '../../../src/stats/t-tests.js';
import { useBench } from '../../capture/support.js';
import { seededNormal, seededUniform } from '../../support/numeric.js';
import { expectAtMost, runs, TIMEOUT_MS } from '../../support/simulated.js';

const bench = useBench();
const COLUMNS = { score: 'f64', passed: 'bool', ttftMs: 'f64', chunks: 'u32' } as const;

describe('a comparison of outcomes', () => {
  /** 300 requests, each told in full; the same numbers are kept beside the experiment. */
  function arm(name: string, shift: number, seed: number) {
    const experiment = bench.start({ name, columns: COLUMNS });
    const [normal, uniform] = [seededNormal(seed), seededUniform(seed + 1000)];
    const told = Array.from({ length: 300 }, () => ({
      score: 5 + shift + normal(),
      passed: uniform() < 0.6 + 0.2 * shift,
      ttftMs: 100 * Math.exp(normal() / 3),
      chunks: Math.floor(10 * uniform()),
      cost: 0.01 * uniform(),
      ok: uniform() < 0.9,
    }));
    const recorder = experiment.recorder('bound', { passed: true, score: 1 });
    for (const { ok, cost, ...columns } of told) {
      experiment.capture('e', { latencyMs: 5 }, { ...columns, cost, status: ok ? 'ok' : 'error' });
    }
    return { experiment, told, recorder };
  }

  it('is that of their values: means, rates, quantiles and ratios of any declared column', async () => {
    const [old, now] = [arm('old', 0, 1), arm('new', 0.5, 2)];
    const { treatments } = await bench.crucible().compare([old.experiment, now.experiment], {
      adjust: 'none',
      metrics: [
        { of: 'score', direction: 'higher' },
        { of: 'passed' },
        { of: 'ttftMs', summary: { quantile: 0.5 } },
        { of: 'chunks', name: 'chunks a request' },
        { of: 'costUsd', per: 'success' },
        { of: 'tokensPrompt' },
      ],
    });
    const { metrics } = treatments[0]!;
    expect(Object.keys(metrics)).toEqual([
      'score',
      'passed',
      'ttftMs.p50',
      'chunks a request',
      'costUsd/success',
      'tokensPrompt',
    ]);
    const [x, y] = [old.told, now.told];
    const score = welchTTest(
      y.map((row) => row.score),
      x.map((row) => row.score),
    );
    expect(metrics.score).toMatchObject({
      difference: score.estimate,
      direction: 'better',
      of: 'score',
      unit: 'number',
    });
    expect(metrics.score!.pValue).toBeCloseTo(score.pValue!, 12);
    const passed = (rows: typeof x) => ({ successes: rows.filter((row) => row.passed).length, n: 300 });
    expect(metrics.passed!.pValue).toBeCloseTo(twoProportionZ(passed(y), passed(x)).pValue!, 12);
    expect(metrics['ttftMs.p50']!.baseline.estimate).toBeCloseTo(
      quantile(
        x.map((row) => row.ttftMs),
        0.5,
      ) as number,
      10,
    );
    const sums = (rows: typeof x) => ({
      of: rows.map((row) => row.cost),
      per: rows.map((row) => Number(row.ok)),
    });
    const ratio = ratioOfMeans(sums(y), sums(x));
    expect(metrics['costUsd/success']!.difference).toBeCloseTo(ratio.estimate!, 14);
    expect(metrics['costUsd/success']!.pValue).toBeCloseTo(ratio.pValue!, 10);
    expect(metrics['costUsd/success']!.label).toBe('cost per success');
    expect(metrics.tokensPrompt!.reason).toContain('neither arm has values of tokensPrompt');
  });

  it('is in percent with the sign of the difference, and not of a baseline that is not told from 0', async () => {
    /** 200 scores with a known mean: 100 each at one below and one above. */
    const scored = (mean: number) => {
      const experiment = bench.start({ name: `mean ${mean}`, columns: COLUMNS });
      for (let i = 0; i < 200; i++) {
        experiment.capture('e', { latencyMs: 5 }, { score: mean + (i % 2 === 0 ? 1 : -1), status: 'ok' });
      }
      return experiment;
    };
    const scoreOf = async (baseline: number, treatment: number) => {
      const arms = [scored(baseline), scored(treatment)];
      const { treatments } = await bench.crucible().compare(arms, { metrics: [{ of: 'score' }] });
      return treatments[0]!.metrics.score!;
    };
    const risen = await scoreOf(-10, -8);
    expect(risen.relativePct).toBeCloseTo(20, 10);
    expect(risen).not.toHaveProperty('reason');
    expect((await scoreOf(-10, -12)).relativePct).toBeCloseTo(-20, 10);
    for (const nearZero of [0, 0.05, -0.05]) {
      const found = await scoreOf(nearZero, 2);
      expect(found).toMatchObject({ relativePct: null, significant: true });
      expect(found.reason).toContain('not told from 0');
      expect(found.verdict).toMatch(/ was higher: .* \(\+\S+; 95 % interval /);
    }
  });

  it('takes what a recorder has bound for rows that bring nothing of their own', async () => {
    const [old, now] = [arm('old', 0, 1), arm('new', 0, 2)];
    for (const { recorder } of [old, now]) for (let i = 0; i < 50; i++) recorder.record(5);
    const { treatments, event } = await bench.crucible().compare([old.experiment, now.experiment], {
      event: 'bound',
      metrics: [{ of: 'score' }, { of: 'passed' }],
    });
    expect(event).toBe('bound');
    expect(treatments[0]!.metrics.score!.baseline).toMatchObject({ estimate: 1, n: 50 });
    expect(treatments[0]!.metrics.passed!.treatment).toMatchObject({ estimate: 1, n: 50 });
  });

  it('pairs any of them by sample', async () => {
    const experiments = [0, 0.2].map((shift, i) => {
      const experiment = bench.start({ name: `${i}`, columns: COLUMNS });
      const normal = seededNormal(i);
      for (let q = 0; q < 60; q++) {
        experiment.capture('e', {}, { sampleId: q, score: q + shift + 0.1 * normal(), passed: q % 2 === 0 });
      }
      return experiment;
    });
    const { treatments } = await bench
      .crucible()
      .compare(experiments, { metrics: [{ of: 'score' }, { of: 'passed' }] });
    expect(treatments[0]!.metrics.score).toMatchObject({ significant: true, pairs: expect.anything() });
    expect(treatments[0]!.metrics.passed).toMatchObject({ pairs: { equal: 60 }, difference: 0 });
  });

  it('refuses what no arm has, and says what was probably meant', async () => {
    const experiments = [arm('old', 0, 1), arm('new', 0, 2)].map(({ experiment }) => experiment);
    const refused = (of: string) => bench.crucible().compare(experiments, { metrics: [{ of }] });
    await expect(refused('scores')).rejects.toThrow('did you mean score?');
    await expect(refused('latency_ms')).rejects.toThrow('did you mean latencyMs?');
  });
});

describe('a comparison of one kind of event', () => {
  /** Equal LLM calls; the second arm makes five quick tool calls beside each. */
  function arms(seed: number, calls = 200): Experiment[] {
    return ['plain', 'with tools'].map((name, tools) => {
      const experiment = bench.start({ name });
      const normal = seededNormal(2 * seed + tools);
      const [llm, tool] = [experiment.recorder('llm'), experiment.recorder('tool.stop')];
      for (let i = 0; i < calls; i++) {
        llm.record(1000 * Math.exp(normal() / 3));
        for (let t = 0; t < 5 * tools; t++) tool.record(20);
      }
      return experiment;
    });
  }

  it('is not faster for quick calls beside: no more alarms than it says', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const count = runs(100);
    let alarms = 0;
    for (let run = 0; run < count; run++) {
      const experiments = arms(run, 50);
      const { treatments, event } = await bench.crucible().compare(experiments, { metrics: ['latencyMean'] });
      expect(event).toBe('llm');
      if (treatments[0]!.metrics.latencyMean!.significant) alarms++;
      for (const experiment of experiments) await experiment.cleanup();
    }
    expectAtMost(alarms / count, 0.05, count, 'alarms');
  });

  it('names what it leaves out where the arms differ in it; pooled, the mixture is another number', async () => {
    const experiments = arms(1);
    const crucible = bench.crucible();
    const { treatments, experiments: told } = await crucible.compare(experiments);
    expect(treatments[0]!.warnings.map(({ code }) => code)).toContain('otherEvents');
    expect(treatments[0]!.warnings.find(({ code }) => code === 'otherEvents')!.message).toContain(
      'tool (0 and 1,000)',
    );
    expect(told[1]!.metrics).toEqual(await experiments[1]!.metrics());
    const pooled = await crucible.compare(experiments, { event: 'all' });
    expect(pooled.event).toBe('all');
    expect(pooled.treatments[0]!.metrics.latencyMean!.relativePct).toBeLessThan(-70);
  });

  it('counts no beginnings, and no survivors only', async () => {
    const experiments = [0, 1].map((failing) => {
      const experiment = bench.start({ name: `${failing}` });
      for (let i = 0; i < 100; i++) {
        experiment.capture('r.start', {});
        const fails = failing === 1 && i % 2 === 0;
        experiment.capture(
          fails ? 'r.exception' : 'r.stop',
          { latencyMs: 10 + (i % 3) },
          { status: fails ? 'error' : 'ok' },
        );
      }
      return experiment;
    });
    const { treatments, event } = await bench.crucible().compare(experiments, { metrics: ['successRate'] });
    expect(event).toBe('r');
    expect(treatments[0]!.metrics.successRate).toMatchObject({
      baseline: { estimate: 1, n: 100 },
      treatment: { estimate: 0.5, n: 100 },
      direction: 'worse',
    });
  });

  it('compares all where the arms have no kind in common, and says so', async () => {
    const experiments = ['a', 'b'].map((name) => {
      const experiment = bench.start({ name });
      const recorder = experiment.recorder(`ask.${name}`);
      for (let i = 0; i < 50; i++) recorder.record(10 + (i % 7));
      return experiment;
    });
    const { treatments, event } = await bench.crucible().compare(experiments, { metrics: ['latencyMean'] });
    expect(event).toBe('all');
    expect(treatments[0]!.warnings.map(({ code }) => code)).toEqual(['noCommonEvent']);
    expect(treatments[0]!.metrics.latencyMean!.baseline.n).toBe(50);
  });
});
