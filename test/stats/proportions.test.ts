import { describe, expect, it } from 'vitest';
import {
  type ProportionIntervalMethod,
  proportionInterval,
  twoProportionZ,
  wilsonInterval,
} from '../../src/stats/proportions.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectInterval, expectRelative } from '../support/numeric.js';

type Pair = [number, number];
interface Proportions {
  tables: {
    table: [Pair, Pair];
    expected: {
      two_prop_z_pooled?: { z: number; p_two_sided: number };
      diff_p1_minus_p2: number;
      wald_ci95_diff?: Pair;
      newcombe_ci95_diff_statsmodels: Pair;
    };
  }[];
  single_proportions: { successes: number; n: number; expected: Record<string, Pair> }[];
}

describeWithFixture<Proportions>('stats/proportions.json', ({ tables, single_proportions: singles }) => {
  for (const { table, expected } of tables) {
    it(`${JSON.stringify(table)}: z, p and both intervals of the difference agree`, () => {
      const [x, y] = table.map(([successes, failures]) => ({ successes, n: successes + failures }));
      const result = twoProportionZ(x!, y!);
      expectRelative(result.estimate, expected.diff_p1_minus_p2, 1e-10, 'estimate');
      expectInterval(result.confidenceInterval, expected.newcombe_ci95_diff_statsmodels, 1e-9, 'Newcombe');
      if (expected.wald_ci95_diff === undefined) expect(result.waldInterval).toBeNull();
      else {
        // As R has it: a difference of proportions is one from −1 to 1.
        const [low, high] = expected.wald_ci95_diff;
        expectInterval(result.waldInterval, [Math.max(-1, low), Math.min(1, high)], 1e-9, 'Wald');
      }
      const reference = expected.two_prop_z_pooled;
      if (reference === undefined) {
        expect(result).toMatchObject({ statistic: null, pValue: null, reason: expect.any(String) });
      } else {
        expectRelative(result.statistic, reference.z, 1e-10, 'z');
        expectRelative(result.pValue, reference.p_two_sided, 1e-8, 'p');
      }
    });
  }

  for (const { successes, n, expected } of singles) {
    it(`${successes} of ${n}: all four intervals agree at every level`, () => {
      for (const [label, interval] of Object.entries(expected)) {
        const [method, level] = label.split('_0.') as [string, string];
        const options = {
          method: method.replace('_', '-') as ProportionIntervalMethod,
          confidenceLevel: Number(`0.${level}`),
        };
        expectInterval(proportionInterval(successes, n, options).confidenceInterval, interval, 1e-9, label);
      }
      expectInterval(
        wilsonInterval(successes, n).confidenceInterval,
        expected['wilson_0.95']!,
        1e-9,
        'wilson',
      );
    });
  }
});

describe('wilsonInterval', () => {
  it('says what it is and reaches 0 and 1 exactly, never beyond', () => {
    expect(wilsonInterval(0, 10)).toMatchObject({ estimate: 0, confidenceLevel: 0.95, n: [10] });
    expect(wilsonInterval(0, 10).confidenceInterval[0]).toBe(0);
    expect(wilsonInterval(10, 10).confidenceInterval[1]).toBe(1);
    for (const successes of [1, 5, 9]) {
      const [low, high] = wilsonInterval(successes, 10, 0.9999).confidenceInterval;
      expect(low).toBeGreaterThan(0);
      expect(high).toBeLessThan(1);
    }
  });

  it('refuses no trials, counts that are not counts, more successes than trials, and levels outside (0, 1)', () => {
    expect(() => wilsonInterval(0, 0)).toThrow(expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }));
    for (const call of [
      () => wilsonInterval(11, 10),
      () => wilsonInterval(-1, 10),
      () => wilsonInterval(1.5, 10),
      () => wilsonInterval(1, Number.POSITIVE_INFINITY),
      () => wilsonInterval(1, 10, 1),
      () => wilsonInterval(1, 10, 95),
      () => proportionInterval(1, 10, { method: 'normal' as 'wilson' }),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});

describe('twoProportionZ', () => {
  const x = { successes: 10, n: 100 };
  const y = { successes: 25, n: 100 };

  it("reads 'less' as x below y, and opens the interval to the end of the scale on the other side", () => {
    const less = twoProportionZ(x, y, { alternative: 'less' });
    expect(less.pValue).toBeLessThan(0.01);
    expect(less.confidenceInterval[0]).toBe(-1);
    expect(less.confidenceInterval[1]).toBeLessThan(0);
    const greater = twoProportionZ(x, y, { alternative: 'greater' });
    expect(greater.pValue! + less.pValue!).toBeCloseTo(1, 14);
    expect(greater.confidenceInterval[1]).toBe(1);
  });

  it('refuses arms that are not counts of trials', () => {
    expect(() => twoProportionZ({ successes: 0, n: 0 }, y)).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }),
    );
    for (const call of [
      () => twoProportionZ({ successes: 11, n: 10 }, y),
      () => twoProportionZ(x, { successes: Number.NaN, n: 10 }),
      () => twoProportionZ(x, y, { alpha: 1.5 }),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});
