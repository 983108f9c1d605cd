/** Arms that are made of different models: through the public door. */
import { describe, expect, it } from 'vitest';
import { useBench } from '../../capture/support.js';
import { seededNormal, seededUniform } from '../../support/numeric.js';

const bench = useBench();

async function warned(shares: readonly [number, number], how: 'bound' | 'captured' = 'bound') {
  const experiments = shares.map((share, arm) => {
    const experiment = bench.start({ name: `arm ${arm}` });
    const [normal, uniform] = [seededNormal(arm), seededUniform(arm + 9)];
    const recorders = {
      big: experiment.recorder('req', { model: 'big' }),
      small: experiment.recorder('req', { model: 'small' }),
    };
    for (let i = 0; i < 500; i++) {
      const model = uniform() < share ? 'big' : 'small';
      const latencyMs = (model === 'big' ? 2000 : 500) * Math.exp(0.5 * normal());
      if (how === 'bound') recorders[model].record(latencyMs);
      else experiment.capture('req', { latencyMs }, { model });
    }
    return experiment;
  });
  const { treatments } = await bench.crucible().compare(experiments, { metrics: ['latencyMean'] });
  return treatments[0]!;
}

describe('a comparison of arms of several models', () => {
  it.each(['bound', 'captured'] as const)('warns where their shares differ: %s', async (how) => {
    const { warnings, verdict } = await warned([0.8, 0.2], how);
    const told = warnings.filter(({ code }) => code === 'unequalMix');
    expect(told).toHaveLength(1);
    expect(told[0]!.message).toMatch(
      /^arm 0 and arm 1 are made of different models \((big|small) \d+ % and \d+ %/,
    );
    expect(verdict).toContain('the arms are made of different models');
  });

  it.each([
    ['are alike', [0.5, 0.5]],
    ['have nothing in common', [1, 0]],
  ] as const)('does not where they %s', async (_, shares) => {
    const { warnings } = await warned(shares);
    expect(warnings.map(({ code }) => code)).not.toContain('unequalMix');
  });
});
