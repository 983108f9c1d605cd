import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type QuantileType, quantile } from '../../src/stats/quantile.js';
import { describeWithFixture } from '../support/fixtures.js';

interface Described {
  percentile_type7_exact: number[];
  percentile_numpy: Record<string, number[]>;
}
interface TwoSample {
  percentile_p: number[];
  cases: { name: string; x: number[]; y: number[]; describe_x: Described; describe_y: Described }[];
}

const TYPES: QuantileType[] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

describeWithFixture<TwoSample>('stats/two_sample.json', ({ percentile_p: p, cases }) => {
  for (const { name, x, y, describe_x, describe_y } of cases) {
    it(`${name}: all nine types agree to 1e-10`, () => {
      for (const [sample, reference] of [
        [x, describe_x],
        [y, describe_y],
      ] as const) {
        const expected = Object.entries(reference.percentile_numpy ?? {});
        expected.push(['type7', reference.percentile_type7_exact]);
        for (const [label, values] of expected) {
          const type = Number(label[4]) as QuantileType;
          quantile(sample, p, type).forEach((value, i) => {
            expect(Math.abs(value - values[i]!), `${label} at ${p[i]}`).toBeLessThanOrEqual(
              1e-10 * Math.abs(values[i]!),
            );
          });
        }
      }
    });
  }
});

describe('quantile', () => {
  const sample = [15, 20, 35, 40, 50];

  it('follows each definition of Hyndman and Fan', () => {
    // NumPy 2: np.quantile([15, 20, 35, 40, 50], 0.4, method=...), in the order of the types.
    const expected = [20, 27.5, 20, 20, 27.5, 26, 29, 27, 27.125];
    for (const type of TYPES)
      expect(quantile(sample, 0.4, type), `type ${type}`).toBeCloseTo(expected[type - 1]!, 12);
  });

  it('interpolates linearly at p(n − 1) by default', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(quantile([4, 1, 3, 2], [0, 0.25, 1])).toEqual([1, 1.75, 4]);
  });

  it('leaves its input as it was', () => {
    const shuffled = [3, 1, 2];
    quantile(shuffled, [0.1, 0.9]);
    expect(shuffled).toEqual([3, 1, 2]);
  });

  it('takes typed arrays and a single value', () => {
    expect(quantile(Float64Array.of(2, 1), 0.5)).toBe(1.5);
    for (const type of TYPES) expect(quantile([7], [0, 0.3, 1], type)).toEqual([7, 7, 7]);
  });

  it('treats a position that is whole but for the rounding of p as whole', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
    // 100 · 0.29 is 28.999999999999996 in doubles.
    expect(quantile(hundred, 0.29, 1)).toBe(29);
    expect(quantile(hundred, 0.29, 4)).toBe(29);
  });

  it('never leaves the range of the sample and never decreases in p', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 40 }),
        fc.constantFrom(...TYPES),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 10 }),
        (values, type, probabilities) => {
          const ascending = [...probabilities].sort((a, b) => a - b);
          const result = quantile(values, ascending, type);
          for (const [i, value] of result.entries()) {
            expect(value).toBeGreaterThanOrEqual(Math.min(...values));
            expect(value).toBeLessThanOrEqual(Math.max(...values));
            if (i > 0) expect(value).toBeGreaterThanOrEqual(result[i - 1]!);
          }
        },
      ),
    );
  });

  it('refuses an empty sample, values that are not finite, and p or type out of range', () => {
    expect(() => quantile([], 0.5)).toThrow(expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }));
    const invalid: (() => unknown)[] = [
      () => quantile([1, Number.NaN], 0.5),
      () => quantile([1, Number.POSITIVE_INFINITY], 0.5),
      () => quantile([1, 2], 1.5),
      () => quantile([1, 2], [0.5, -0.1]),
      () => quantile([1, 2], Number.NaN),
      () => quantile([1, 2], 0.5, 10 as QuantileType),
    ];
    for (const call of invalid) expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
  });
});
