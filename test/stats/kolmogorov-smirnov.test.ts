import { describe, expect, it } from 'vitest';
import { kolmogorovSmirnov } from '../../src/stats/kolmogorov-smirnov.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectRelative } from '../support/numeric.js';

interface TwoSample {
  cases: {
    name: string;
    x: number[];
    y: number[];
    rank_exact: {
      has_ties: boolean;
      ks: { D: number; p_exact_scipy?: number; 'p_kolmogorov_limit_sqrt(nm/(n+m))*D': number };
    };
  }[];
}

describeWithFixture<TwoSample>('stats/two_sample.json', ({ cases }) => {
  for (const { name, x, y, rank_exact } of cases) {
    const { ks } = rank_exact;
    it(`${name}: D and the Kolmogorov limit agree`, () => {
      const result = kolmogorovSmirnov(x, y, { method: 'asymptotic' });
      expectRelative(result.statistic, ks.D, 1e-10, 'D');
      const limit = ks['p_kolmogorov_limit_sqrt(nm/(n+m))*D'];
      if (limit > 1e-300 || limit === 0) expectRelative(result.pValue, limit, 1e-8, 'p');
    });

    const exact = ks.p_exact_scipy;
    if (exact === undefined || rank_exact.has_ties) continue;
    it(`${name}: the exact p-value agrees to 1e-9`, () => {
      expectRelative(kolmogorovSmirnov(x, y).pValue, exact, 1e-9);
    });
  }
});

describe('kolmogorovSmirnov', () => {
  it('is exact up to a million pairs, and asymptotic above', () => {
    const ramp = (n: number, shift: number) => Array.from({ length: n }, (_, i) => i + shift);
    expect(kolmogorovSmirnov(ramp(1000, 0), ramp(1000, 0.5)).method).toContain('exact');
    const large = kolmogorovSmirnov(ramp(1001, 0), ramp(1000, 30.5));
    expect(large.method).toContain('asymptotic');
    // The approximation is close by then.
    const exact = kolmogorovSmirnov(ramp(1001, 0), ramp(1000, 30.5), { method: 'exact' });
    expectRelative(large.pValue, exact.pValue, 0.05);
  });

  it('enumerates with ties: the exact p-value is the share of relabellings at least as extreme', () => {
    const pooled = [1, 1, 2, 2, 2, 5, 7];
    const pick = (mask: number, wanted: number) => pooled.filter((_, bit) => ((mask >> bit) & 1) === wanted);
    const masks = Array.from({ length: 128 }, (_, mask) => mask).filter((mask) => pick(mask, 1).length === 3);
    for (const alternative of ['two-sided', 'less', 'greater'] as const) {
      const results = masks.map((mask) => kolmogorovSmirnov(pick(mask, 1), pick(mask, 0), { alternative }));
      for (const { statistic, pValue } of results) {
        const share = results.filter((other) => other.statistic >= statistic - 1e-12).length / results.length;
        expect(pValue, alternative).toBeCloseTo(share, 12);
      }
    }
  });

  it("reads 'less' as x below y", () => {
    const low = [1, 2, 3, 4, 5, 6];
    const high = low.map((value) => value + 10);
    expect(kolmogorovSmirnov(low, high, { alternative: 'less' })).toMatchObject({ statistic: 1 });
    expect(kolmogorovSmirnov(low, high, { alternative: 'less' }).pValue).toBeLessThan(0.01);
    expect(kolmogorovSmirnov(low, high, { alternative: 'greater' })).toMatchObject({
      statistic: 0,
      pValue: 1,
    });
    const asymptotic = kolmogorovSmirnov(low, high, { alternative: 'less', method: 'asymptotic' });
    expect(asymptotic.pValue).toBeCloseTo(Math.exp(-6), 12);
  });

  it('finds no difference where all values tie', () => {
    expect(kolmogorovSmirnov([7, 7], [7, 7, 7])).toMatchObject({ statistic: 0, pValue: 1 });
  });

  it('refuses empty samples, values that are not finite and an exact test that would not end', () => {
    expect(() => kolmogorovSmirnov([1], [])).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }),
    );
    const long = new Float64Array(20_000);
    for (const call of [
      () => kolmogorovSmirnov([Number.NaN], [1]),
      () => kolmogorovSmirnov([1], [1], { method: 'fast' as 'auto' }),
      () => kolmogorovSmirnov([1], [1], { confidenceLevel: -1 }),
      () => kolmogorovSmirnov(long, long, { method: 'exact' }),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});
