/** What a sample costs is the sum over its events, however many of them it takes. */
import { expect, it } from 'vitest';
import { Crucible } from '../../../src/index.js';

it('does not call the arm cheaper that pays for a second request on top of the same first one', async () => {
  await using crucible = new Crucible();
  const [control, hedged] = ['control', 'hedged'].map((name) => crucible.startExperiment({ name }));
  for (let i = 0; i < 100; i++) {
    const sampleId = `q${i}`;
    const cost = 0.002 * (0.5 + i / 100);
    for (const experiment of [control!, hedged!]) {
      experiment.capture('req_llm.request.stop', { duration: 5e8 }, { sampleId, cost, response: 'yes' });
    }
    hedged!.capture('hedging.request.duplicated', {}, { sampleId, cost: cost / 2 });
  }
  const { treatments } = await crucible.compare([control!, hedged!], { metrics: ['costMean'] });
  const { pairing, costDifferenceUsd, metrics } = treatments[0]!;
  expect(pairing.used).toBe(true);
  // Half as much again: 0.1 USD in all.
  expect(costDifferenceUsd).toBeCloseTo(0.0995);
  expect(metrics.costMean!.direction).not.toBe('better');
});
