import { expect, it, describe as suite } from 'vitest';
import { describe } from '../../src/stats/describe.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectRelative } from '../support/numeric.js';

interface Described {
  n: number;
  sum: number;
  mean: number;
  min: number;
  max: number;
  variance?: number;
  stddev?: number;
  variance_population?: number;
  skewness_g1?: number;
  excess_kurtosis_g2?: number;
}
interface TwoSample {
  cases: { name: string; x: number[]; y: number[]; describe_x: Described; describe_y: Described }[];
}

describeWithFixture<TwoSample>('stats/two_sample.json', ({ cases }) => {
  for (const { name, x, y, describe_x, describe_y } of cases) {
    it(`${name}: every figure agrees with the 50-digit one to 1e-10, whatever the offset`, () => {
      for (const [sample, reference] of [
        [x, describe_x],
        [y, describe_y],
      ] as const) {
        const actual = describe(sample);
        const population = reference.variance_population;
        const pairs: [number | null, number | undefined, string][] = [
          [actual.n, reference.n, 'n'],
          [actual.sum, reference.sum, 'sum'],
          [actual.mean, reference.mean, 'mean'],
          [actual.min, reference.min, 'min'],
          [actual.max, reference.max, 'max'],
          [actual.variance, reference.variance, 'variance'],
          [actual.stdDev, reference.stddev, 'stdDev'],
          [actual.stdDevPopulation, population === undefined ? 0 : Math.sqrt(population), 'stdDevPopulation'],
          [actual.skewness, reference.skewness_g1, 'skewness'],
          [actual.kurtosis, reference.excess_kurtosis_g2, 'kurtosis'],
        ];
        for (const [value, expected, field] of pairs) {
          if (expected === undefined) {
            expect(value, field).toBeNull();
            expect(actual.reason).toBeTypeOf('string');
          } else expectRelative(value, expected, 1e-10, field);
        }
      }
    });
  }
});

suite('describe', () => {
  it('gives the median and no reason where everything is defined', () => {
    expect(describe([4, 1, 2, 10])).toMatchObject({ n: 4, median: 3, min: 1, max: 10 });
    expect(describe([4, 1, 2, 10])).not.toHaveProperty('reason');
  });

  it('describes nothing, one value and a constant by nulls with a reason', () => {
    expect(describe([])).toMatchObject({
      n: 0,
      sum: 0,
      mean: null,
      median: null,
      reason: expect.any(String),
    });
    expect(describe([5])).toMatchObject({
      n: 1,
      mean: 5,
      variance: null,
      stdDevPopulation: 0,
      skewness: null,
    });
    expect(describe([5, 5])).toMatchObject({
      variance: 0,
      skewness: null,
      kurtosis: null,
      reason: expect.any(String),
    });
    expect(describe([1e200, -1e200])).toMatchObject({ variance: null, stdDev: expect.any(Number) });
  });

  it('leaves its input as it was and refuses what is not a finite number', () => {
    const sample = [3, 1, 2];
    describe(sample);
    expect(sample).toEqual([3, 1, 2]);
    for (const bad of [[1, Number.NaN], [Number.POSITIVE_INFINITY], ['1'], null, 5]) {
      expect(() => describe(bad as number[])).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
      );
    }
  });
});
