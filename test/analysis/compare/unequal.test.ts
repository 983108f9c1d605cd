/** Arms of different sizes whose values are skewed: no verdict that they do not bear. */
import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import type { CompareOptions } from '../../../src/analysis/types.js';
import { seededUniform } from '../../support/numeric.js';
import { expectAtMost, runs, shareOf, TIMEOUT_MS } from '../../support/simulated.js';
import { armOf, logNormal } from './support.js';

describe('costs of which one in a hundred is a hundred times as large', () => {
  const uniform = seededUniform(8);
  const costs = (n: number) =>
    Float64Array.from({ length: n }, () => (uniform() < 0.01 ? 100 : 1) * (1 + 0.1 * uniform()));
  const compared = (n: readonly [number, number], options: CompareOptions = {}) =>
    compareArms([armOf('old', { costUsd: costs(n[0]) }), armOf('new', { costUsd: costs(n[1]) })], {
      metrics: ['costMean'],
      expectedRatio: n,
      ...options,
    }).treatments[0]!;

  it.each([
    [50, 5000],
    [100, 5000],
    [500, 5000],
  ])(
    'differ by chance as rarely as stated: %d against %d',
    (...n) => {
      const count = runs(100);
      const share = shareOf(count, () => compared(n).metrics.costMean!.significant);
      expectAtMost(share, 0.055, count, 'alarms');
    },
    TIMEOUT_MS,
  );

  it('get no verdict where the smaller arm is too small, and the reader is told', () => {
    for (const options of [{}, { sequential: true }]) {
      const { metrics, warnings, verdict } = compared([50, 5000], options);
      expect(metrics.costMean).toMatchObject({ pValue: null, confidenceInterval: null, significant: false });
      expect(metrics.costMean!.reason).toContain(
        'the arms are of different sizes and their values are skewed',
      );
      expect(warnings.map(({ code }) => code)).toContain('unequalSkew');
      expect(verdict).toContain('Not tested: mean cost');
    }
  });

  it('are compared as ever in arms of one size', () => {
    const { metrics } = compared([500, 500]);
    expect(metrics.costMean!.tests[0]!.method).toBe('Welch two-sample t-test');
  });
});

it('the correction says its name', () => {
  const arms = [
    armOf('old', { latencyMs: logNormal(300, 100, 1, 1.5) }),
    armOf('new', { latencyMs: logNormal(2700, 100, 2, 1.5) }),
  ];
  const { metrics } = compareArms(arms, { metrics: ['latencyMean'], expectedRatio: [1, 9] }).treatments[0]!;
  expect(metrics.latencyMean!.intervalMethod).toContain('Hall');
});
