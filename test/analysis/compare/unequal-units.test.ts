/** Arms with different numbers of users, and outcomes that are rare or skewed over them: as few false verdicts as stated. */
import { expect, it } from 'vitest';
import { Crucible } from '../../../src/index.js';
import { seededUniform } from '../../support/numeric.js';
import { expectAtMost, runs, TIMEOUT_MS } from '../../support/simulated.js';

const uniform = seededUniform(12);

/** Arms that do not differ; how often an outcome is found to. */
async function alarms(count: number, users: readonly [number, number]) {
  const found = { successRate: 0, cost: 0 };
  const reasons = new Set<string | undefined>();
  for (let run = 0; run < count; run++) {
    await using crucible = new Crucible({ workers: 0 });
    const arms = users.map((n, arm) => {
      const experiment = crucible.startExperiment({ name: `arm ${arm}`, capacity: 8192, producers: 1 });
      for (let i = 0; i < n; i++) {
        const costUsd = uniform() < 0.02 ? 0.5 : 0.01;
        experiment.capture(
          'req_llm.request.stop',
          { durationMs: 100, costUsd },
          { success: uniform() >= 0.01, userId: `u${arm}-${i}` },
        );
      }
      return experiment;
    });
    const { treatments } = await crucible.compare(arms, {
      metrics: ['successRate', { of: 'costUsd', name: 'cost' }],
      unit: 'userId',
      adjust: 'none',
      expectedRatio: users,
    });
    for (const name of ['successRate', 'cost'] as const) {
      const metric = treatments[0]!.metrics[name]!;
      if (metric.significant) found[name]++;
      reasons.add(metric.reason);
    }
  }
  return { found, reasons };
}

it(
  'a rate and a mean, 1000 users against 100',
  async () => {
    const count = runs(40);
    const { found, reasons } = await alarms(count, [1000, 100]);
    expectAtMost(found.successRate / count, 0.055, count, 'alarms of the rate');
    expectAtMost(found.cost / count, 0.055, count, 'alarms of the mean');
    expect([...reasons].join()).toContain('the arms have different numbers of units');
  },
  TIMEOUT_MS,
);
