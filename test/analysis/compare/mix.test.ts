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

/** Arms whose declared values have these shares; latency is of the value. */
async function warnedOf(
  shares: readonly [number, number],
  values: (i: number, has: boolean) => string | undefined,
  name = 'lang',
) {
  const experiments = shares.map((share, arm) => {
    const experiment = bench.start({ name: `arm ${arm}`, columns: { [name]: 'dict' } });
    const [normal, uniform] = [seededNormal(arm), seededUniform(arm + 9)];
    const bound = experiment.recorder('req', { [name]: values(0, true) });
    for (let i = 0; i < 500; i++) {
      const has = uniform() < share;
      const latencyMs = (has ? 2000 : 500) * Math.exp(0.5 * normal());
      if (has && i % 2 === 0) bound.record(latencyMs);
      else experiment.capture('req', { latencyMs }, { [name]: values(i, has) });
    }
    return experiment;
  });
  const { treatments } = await bench.crucible().compare(experiments, { metrics: ['latencyMean'] });
  return treatments[0]!.warnings.filter(({ code }) => code === 'unequalMix');
}

describe('a comparison of arms of several values of a declared column', () => {
  it('warns where their shares differ, bound or captured', async () => {
    const told = await warnedOf([0.8, 0.2], (_, has) => (has ? 'de' : 'en'));
    expect(told).toHaveLength(1);
    expect(told[0]!.message).toMatch(
      /^arm 0 and arm 1 are made of different values of lang \((de (79|80|81|82|83) %|en).*filter by lang/,
    );
  });

  it('takes names that every object has for what they are', async () => {
    const told = await warnedOf([1, 0.5], (_, has) => (has ? 'constructor' : 'toString'));
    expect(told[0]!.message).toMatch(/toString 0 % and (4|5)\d %/);
  });

  it('counts events that have none', async () => {
    const told = await warnedOf([0.8, 0.2], (_, has) => (has ? 'de' : undefined));
    expect(told[0]!.message).toContain('(none)');
  });

  it.each([
    ['shares are alike', [0.5, 0.5], (_: number, has: boolean) => (has ? 'de' : 'en'), 'lang'],
    ['arms have nothing in common', [1, 0], (_: number, has: boolean) => (has ? 'de' : 'en'), 'lang'],
    ['values are too many to be a mix', [0.8, 0.2], (i: number, has: boolean) => `${has} ${i % 60}`, 'lang'],
    ['they are ids', [0.8, 0.2], (_: number, has: boolean) => (has ? 'a' : 'b'), 'userId'],
    ['they are how calls ended', [0.8, 0.2], (_: number, has: boolean) => (has ? 'ok' : 'error'), 'outcome'],
  ] as const)('does not where %s', async (_, shares, values, name) => {
    expect(await warnedOf(shares, values, name)).toEqual([]);
  });
});
