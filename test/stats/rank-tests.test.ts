import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kruskalWallis, mannWhitneyU } from '../../src/stats/rank-tests.js';
import { PooledRanks } from '../../src/stats/ranks.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectRelative } from '../support/numeric.js';

interface TwoSample {
  cases: {
    name: string;
    x: number[];
    y: number[];
    rank_exact: {
      U1: number;
      U2: number;
      has_ties: boolean;
      note?: string;
      asymptotic_no_continuity?: { abs_z: number; p_two_sided: number };
      asymptotic_continuity?: { abs_z: number; p_two_sided: number };
      exact?: { p_two_sided: number; p_less: number };
      prob_superiority_x_gt_y_plus_half_ties: number;
    };
  }[];
}

describeWithFixture<TwoSample>('stats/two_sample.json', ({ cases }) => {
  for (const { name, x, y, rank_exact: reference } of cases) {
    it(`${name}: U, z and both asymptotic p-values agree with the exact arithmetic`, () => {
      expect(mannWhitneyU(x, y).statistic).toBe(reference.U1);
      expect(mannWhitneyU(y, x).statistic).toBe(reference.U2);
      expectRelative(mannWhitneyU(x, y).estimate, reference.prob_superiority_x_gt_y_plus_half_ties, 1e-14);
      for (const [continuity, expected] of [
        [true, reference.asymptotic_continuity],
        [false, reference.asymptotic_no_continuity],
      ] as const) {
        const { z, pValue, reason } = mannWhitneyU(x, y, { method: 'asymptotic', continuity });
        if (expected === undefined) {
          expect([z, pValue]).toEqual([null, null]);
          expect(reason).toBeTypeOf('string');
        } else {
          expectRelative(Math.abs(z!), expected.abs_z, 1e-10, 'z');
          if (expected.p_two_sided > 1e-300) expectRelative(pValue, expected.p_two_sided, 1e-8, 'p');
          else expect(pValue).toBeLessThanOrEqual(1e-300);
        }
      }
    });

    const { exact } = reference;
    if (exact === undefined) continue;
    it(`${name}: the exact p-values agree to 1e-9`, () => {
      const method = 'exact';
      expectRelative(mannWhitneyU(x, y, { method }).pValue, exact.p_two_sided, 1e-9, 'two-sided');
      expectRelative(mannWhitneyU(x, y, { method, alternative: 'less' }).pValue, exact.p_less, 1e-9, 'less');
      expectRelative(
        mannWhitneyU(y, x, { method, alternative: 'greater' }).pValue,
        exact.p_less,
        1e-9,
        'greater',
      );
    });
  }
});

interface KSample {
  name: string;
  groups: number[][];
  exact: { kruskal: { H_tie_corrected: number; df: number; p: number } };
}

describeWithFixture<KSample[]>('stats/k_sample.json', (cases) => {
  for (const { name, groups, exact } of cases) {
    it(`${name}: Kruskal-Wallis agrees with the exact arithmetic`, () => {
      const result = kruskalWallis(groups);
      expectRelative(result.statistic, exact.kruskal.H_tie_corrected, 1e-10, 'H');
      expect(result.df).toBe(exact.kruskal.df);
      expectRelative(result.pValue, exact.kruskal.p, 1e-8, 'p');
    });
  }
});

describe('mannWhitneyU', () => {
  it('counts pairs, ties half', () => {
    expect(mannWhitneyU([1, 4, 4], [2, 4]).statistic).toBe(1 + 1 + 0.5 + 0.5);
  });

  it('has the U and the ties that ranks of the pooled values give', () => {
    const few = fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(few, few, (x, y) => {
        const ranks = new PooledRanks([x, y]);
        const { statistic, z } = mannWhitneyU(x, y, { method: 'asymptotic', continuity: false });
        const [m, n] = [x.length, y.length];
        expect(statistic).toBe(ranks.rankSum(x) - (m * (m + 1)) / 2);
        expect(z === null).toBe(ranks.allTied);
        if (z === null) return;
        const spread = (m * n * (m + n + 1 - ranks.tieSum / ((m + n) * (m + n - 1)))) / 12;
        expect(Math.abs(z)).toBe(Math.abs(statistic - (m * n) / 2) / Math.sqrt(spread));
      }),
      { seed: 20_261_123 },
    );
  });

  it("is exact in 'auto' for small samples without ties, and only there", () => {
    expect(mannWhitneyU([1, 2], [3, 4]).method).toContain('exact');
    expect(mannWhitneyU([1, 2], [2, 4]).method).toContain('approximation');
    const fifty = Array.from({ length: 50 }, (_, i) => i + 0.5);
    expect(mannWhitneyU(fifty, [1, 2, 3]).method).toContain('approximation');
  });

  it('enumerates: the exact p-value is the share of rank assignments at least as extreme', () => {
    const half = (mask: number) => [0, 1, 2, 3, 4, 5, 6].filter((bit) => (mask >> bit) & 1);
    const splits = Array.from({ length: 128 }, (_, mask) => [half(mask), half(127 - mask)] as const).filter(
      ([a]) => a.length === 3,
    );
    const statistics = splits.map(([a, b]) => mannWhitneyU(a, b).statistic);
    for (const [i, [a, b]] of splits.entries()) {
      const share = statistics.filter((u) => u <= statistics[i]!).length / splits.length;
      expect(mannWhitneyU(a, b, { alternative: 'less' }).pValue).toBeCloseTo(share, 14);
    }
  });

  it('has one-sided p-values that share the probability of the observed U', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer(), { minLength: 4, maxLength: 20 }), (values) => {
        const x = values.slice(0, values.length >> 1);
        const y = values.slice(values.length >> 1);
        const less = mannWhitneyU(x, y, { alternative: 'less' }).pValue!;
        const greater = mannWhitneyU(x, y, { alternative: 'greater' }).pValue!;
        expect(less + greater).toBeGreaterThan(1);
        expect(mannWhitneyU(y, x, { alternative: 'greater' }).pValue).toBeCloseTo(less, 12);
        expect(mannWhitneyU(x, y).pValue).toBeCloseTo(Math.min(1, 2 * Math.min(less, greater)), 12);
      }),
    );
  });

  it('is undefined, with a reason, when all values tie or an exact test meets ties', () => {
    expect(mannWhitneyU([7, 7], [7, 7, 7])).toMatchObject({ pValue: null, reason: expect.any(String) });
    expect(mannWhitneyU([1, 2], [2, 3], { method: 'exact' })).toMatchObject({
      pValue: null,
      reason: expect.any(String),
    });
  });

  it('refuses what it cannot rank and an exact test that would not end', () => {
    expect(() => mannWhitneyU([], [1])).toThrow(expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }));
    const long = Array.from({ length: 2000 }, (_, i) => i * 2);
    const between = long.map((value) => value + 1);
    for (const call of [
      () => mannWhitneyU([1, Number.NaN], [1]),
      () => mannWhitneyU([1], [Number.NEGATIVE_INFINITY]),
      () => mannWhitneyU([1], [2], { method: 'normal' as 'auto' }),
      () => mannWhitneyU([1], [2], { alpha: 1.5 }),
      () => mannWhitneyU(long, between, { method: 'exact' }),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});

describe('kruskalWallis', () => {
  it('equals the squared z of Mann-Whitney for two groups', () => {
    const groups = [
      [1, 5, 7, 7, 9],
      [2, 3, 3, 8],
    ];
    const { z } = mannWhitneyU(groups[0]!, groups[1]!, { method: 'asymptotic', continuity: false });
    expectRelative(kruskalWallis(groups).statistic, z! ** 2, 1e-13);
  });

  it('is undefined, with a reason, when all values tie', () => {
    expect(kruskalWallis([[1, 1], [1], [1, 1]])).toMatchObject({ pValue: null, reason: expect.any(String) });
  });

  it('refuses fewer than two groups, an empty group and values that are not finite', () => {
    expect(() => kruskalWallis([[1, 2], []])).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }),
    );
    for (const groups of [[], [[1, 2]], [[1, Number.NaN], [2]]]) {
      expect(() => kruskalWallis(groups)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});
