import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pearson, spearman } from '../../src/stats/correlation.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectInterval, expectRelative } from '../support/numeric.js';

interface TwoSample {
  cases: {
    name: string;
    x: number[];
    y: number[];
    correlation_first_k_pairs?: {
      pairs_used: number;
      pearson_r: number;
      pearson_p: number;
      pearson_ci95_fisher?: [number, number];
      spearman_rho: number;
      spearman_p_t_approx: number;
    };
  }[];
}

describeWithFixture<TwoSample>('stats/two_sample.json', ({ cases }) => {
  for (const { name, x, y, correlation_first_k_pairs: reference } of cases) {
    if (reference === undefined) continue;
    it(`${name}: r, ρ, their p-values and Fisher's interval agree`, () => {
      const [a, b] = [x.slice(0, reference.pairs_used), y.slice(0, reference.pairs_used)];
      const r = pearson(a, b);
      expectRelative(r.estimate, reference.pearson_r, 1e-10, 'r');
      expectRelative(r.pValue, reference.pearson_p, 1e-8, 'p of r');
      if (reference.pearson_ci95_fisher === undefined) expect(r.confidenceInterval).toBeNull();
      else expectInterval(r.confidenceInterval, reference.pearson_ci95_fisher, 1e-9, 'interval');
      const rho = spearman(a, b);
      expectRelative(rho.estimate, reference.spearman_rho, 1e-10, 'rho');
      expectRelative(rho.pValue, reference.spearman_p_t_approx, 1e-8, 'p of rho');
    });
  }
});

describe('pearson and spearman', () => {
  const x = [1, 2, 3, 4, 5, 6];
  const y = [2.1, 3.9, 6.2, 7.8, 10.1, 30];

  it('are ±1 on a line, and spearman on any monotone curve', () => {
    expect(pearson(x, x).estimate).toBeCloseTo(1, 15);
    expect(
      pearson(
        x,
        x.map((value) => -2 * value),
      ).estimate,
    ).toBeCloseTo(-1, 15);
    expect(spearman(x, y)).toMatchObject({ estimate: 1, pValue: 0 });
    expect(pearson(x, y).estimate).toBeLessThan(1);
  });

  it("read 'less' as a negative correlation", () => {
    const falling = [9, 7, 8, 4, 3, 1];
    const less = pearson(x, falling, { alternative: 'less' });
    expect(less.pValue).toBeLessThan(0.01);
    expect(less.confidenceInterval![0]).toBe(-1);
    expect(less.confidenceInterval![1]).toBeLessThan(0);
    expect(pearson(x, falling, { alternative: 'greater' }).pValue! + less.pValue!).toBeCloseTo(1, 12);
  });

  it('stay within [−1, 1] and do not change when the samples swap', () => {
    const coordinate = fc.double({ min: -1e3, max: 1e3, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(coordinate, coordinate), { minLength: 3, maxLength: 30 }), (pairs) => {
        const [a, b] = [pairs.map(([first]) => first), pairs.map(([, second]) => second)];
        for (const correlate of [pearson, spearman]) {
          const { estimate } = correlate(a, b);
          if (estimate === null) continue;
          expect(Math.abs(estimate)).toBeLessThanOrEqual(1);
          expect(correlate(b, a).estimate).toBeCloseTo(estimate, 12);
        }
      }),
    );
  });

  it('are undefined, with a reason, for one pair and for a constant, and untested for two pairs', () => {
    for (const correlate of [pearson, spearman]) {
      expect(correlate([1], [2])).toMatchObject({ estimate: null, pValue: null, reason: expect.any(String) });
      expect(correlate([1, 1, 1], [1, 2, 3])).toMatchObject({
        estimate: null,
        reason: expect.stringContaining('x'),
      });
      expect(correlate([1, 2, 3], [4, 4, 4])).toMatchObject({
        estimate: null,
        reason: expect.stringContaining('y'),
      });
      expect(correlate([1, 2], [3, 5])).toMatchObject({ pValue: null, reason: expect.any(String) });
      expect(correlate([1, 2, 4], [3, 5, 4])).toMatchObject({
        pValue: expect.any(Number),
        confidenceInterval: null,
      });
    }
  });

  it('refuse unequal lengths, empty samples, values that are not finite and levels out of range', () => {
    for (const correlate of [pearson, spearman]) {
      expect(() => correlate([], [])).toThrow(expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }));
      for (const call of [
        () => correlate(x, [1, 2]),
        () => correlate([1, Number.NaN], [1, 2]),
        () => correlate(x, y, { alpha: 0 }),
      ]) {
        expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
      }
    }
  });
});
