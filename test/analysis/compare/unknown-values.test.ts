/** What events do not tell is unknown, and not 0: through the package's door. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { Crucible, type Experiment } from '../../../src/index.js';

function arms(): [Experiment, Experiment, Crucible] {
  const crucible = new Crucible();
  onTestFinished(() => crucible.close());
  return [
    crucible.startExperiment({ name: 'old', condition: 'control' }),
    crucible.startExperiment({ name: 'new', condition: 'treatment' }),
    crucible,
  ];
}

function calls(experiment: Experiment, count: number, costOf: (i: number) => number | undefined): void {
  for (let i = 0; i < count; i++) {
    const costUsd = costOf(i);
    experiment.capture(
      'req_llm.request.stop',
      { durationMs: 100 + (i % 17), ...(costUsd !== undefined && { costUsd }) },
      { success: true, userId: `u${i % 20}` },
    );
  }
}

const COST_OF_SUCCESS = { metrics: [{ of: 'costUsd', per: 'success' }] };

describe('the cost of a success', () => {
  it.each(['event', 'userId'])('is unknown where no cost is known, by %s', async (unit) => {
    const [old, now, crucible] = arms();
    calls(old, 200, (i) => 0.01 + (i % 5) * 0.001);
    calls(now, 200, () => undefined);
    const { treatments } = await crucible.compare([old, now], { ...COST_OF_SUCCESS, unit });
    const found = treatments[0]!.metrics['costUsd/success']!;
    expect(found.treatment.estimate).toBeNull();
    expect(found.difference).toBeNull();
    expect(found.significant).toBe(false);
    expect(found.reason).toBeTruthy();
  });

  it('is that of events whose cost is known, and says that others lack one', async () => {
    const [old, now, crucible] = arms();
    calls(old, 400, (i) => 0.01 + (i % 5) * 0.001);
    calls(now, 400, (i) => (i % 2 === 0 ? 0.01 + (i % 5) * 0.001 : undefined));
    const { treatments } = await crucible.compare([old, now], COST_OF_SUCCESS);
    const found = treatments[0]!.metrics['costUsd/success']!;
    expect(found.treatment.estimate).toBeCloseTo(found.baseline.estimate!, 4);
    expect(found.significant).toBe(false);
    const told = treatments[0]!.warnings.find(({ code }) => code === 'unequalShares');
    expect(told?.message).toContain('50 % of the events of new have no costUsd with success');
  });
});

it('a unit that no event has ends with a warning', async () => {
  const [old, now, crucible] = arms();
  calls(old, 40, () => 0.01);
  calls(now, 40, () => 0.02);
  const { treatments } = await crucible.compare([old, now], { unit: 'tenant' });
  expect(treatments[0]!.warnings.map(({ code }) => code)).toContain('withoutUnit');
  expect(treatments[0]!.metrics.latencyMean?.significant ?? false).toBe(false);
});

it('costs of models without a price are told of, also where both arms have as many', async () => {
  const [old, now, crucible] = arms();
  for (const experiment of [old, now]) {
    for (let i = 0; i < 60; i++) {
      const model = i % 3 === 0 ? 'unheard-of' : 'gpt-4';
      const tokens = { prompt: 100 + (i % 7), completion: 10, total: 110 + (i % 7) };
      experiment.capture('req_llm.request.stop', { durationMs: 100 + (i % 17) }, { model, tokens });
    }
  }
  const { treatments } = await crucible.compare([old, now], { metrics: ['costMean'] });
  const told = treatments[0]!.warnings.find(({ code }) => code === 'unknownCosts');
  expect(told?.message).toContain('no price: 20 of 60 of old, 20 of 60 of new');
  const latency = await crucible.compare([old, now], { metrics: ['latencyMean'] });
  expect(latency.treatments[0]!.warnings.map(({ code }) => code)).not.toContain('unknownCosts');
});
