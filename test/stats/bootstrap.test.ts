import { describe, expect, it } from 'vitest';
import { bootstrapInterval, type Statistic } from '../../src/stats/bootstrap.js';
import { quantile } from '../../src/stats/quantile.js';
import { describeWithFixture } from '../support/fixtures.js';
import { seededNormal } from '../support/numeric.js';

const mean = (sample: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < sample.length; i++) sum += sample[i]!;
  return sum / sample.length;
};
const median = (sample: ArrayLike<number>) => quantile(sample, 0.5);

const STATISTICS: Record<string, Statistic> = {
  mean: (x) => mean(x!),
  median: (x) => median(x!),
  p95: (x) => quantile(x!, 0.95),
  'mean(x)-mean(y)': (x, y) => mean(x!) - mean(y!),
  'median(x)-median(y)': (x, y) => median(x!) - median(y!),
};

interface Limit {
  mean: number;
  tol: number;
}
interface Bootstrap {
  confidence: number;
  resamples_per_run: number;
  entries: {
    case: string;
    sample: string;
    statistic: string;
    percentile: { low: Limit; high: Limit };
    BCa?: { low: Limit; high: Limit };
  }[];
}

describeWithFixture<{ cases: { name: string; x: number[]; y: number[] }[] }>(
  'stats/two_sample.json',
  ({ cases }) => {
    describeWithFixture<Bootstrap>(
      'stats/bootstrap.json',
      ({ confidence, resamples_per_run: resamples, entries }) => {
        for (const entry of entries) {
          const data = cases.find(({ name }) => name === entry.case);
          // The other half of the samples is elsewhere.
          if (data === undefined) continue;
          for (const [method, reference] of [
            ['percentile', entry.percentile],
            ['bca', entry.BCa],
          ] as const) {
            if (reference === undefined) continue;
            it(`${entry.case}, ${entry.statistic} of ${entry.sample}, ${method}: within Monte-Carlo error of SciPy`, () => {
              const statistic = STATISTICS[entry.statistic]!;
              const input = entry.sample === 'x,y' ? [data.x, data.y] : data[entry.sample as 'x' | 'y'];
              const options = { resamples, confidenceLevel: confidence, method, seed: 20 };
              const [low, high] = bootstrapInterval(input, statistic, options).confidenceInterval!;
              expect(Math.abs(low - reference.low.mean)).toBeLessThanOrEqual(reference.low.tol);
              expect(Math.abs(high - reference.high.mean)).toBeLessThanOrEqual(reference.high.tol);
            });
          }
        }
      },
    );
  },
);

describe('bootstrapInterval', () => {
  const normal = seededNormal(3);
  const sample = Array.from({ length: 60 }, () => 10 + normal());

  it('is the same for the same seed and another for another', () => {
    const interval = (seed: number) =>
      bootstrapInterval(sample, 'mean', { seed, resamples: 500 }).confidenceInterval;
    expect(interval(5)).toEqual(interval(5));
    expect(interval(5)).not.toEqual(interval(6));
  });

  it('estimates the standard error of a mean and covers it', () => {
    const result = bootstrapInterval(sample, 'mean', { seed: 2 });
    expect(result.standardError).toBeCloseTo(1 / Math.sqrt(60), 1);
    expect(result.estimate).toBeCloseTo(mean(sample), 12);
    expect(result).toMatchObject({ resamples: 10_000, seed: 2, n: [60], confidenceLevel: 0.95 });
  });

  it('corrects for skew in BCa: the interval of a skewed mean moves to the longer tail', () => {
    const skewed = sample.map((value) => Math.exp(value - 10));
    const bca = bootstrapInterval(skewed, 'mean', { method: 'bca' }).confidenceInterval!;
    const percentile = bootstrapInterval(skewed, 'mean', { method: 'percentile' }).confidenceInterval!;
    expect(bca[0]).toBeGreaterThan(percentile[0]);
    expect(bca[1]).toBeGreaterThan(percentile[1]);
  });

  it('takes statistics by name, in place sorting ones, and of several samples', () => {
    const sorting: Statistic = (x) => x!.sort()[0]!;
    const before = [...sample];
    expect(bootstrapInterval(sample, sorting, { method: 'percentile', resamples: 200 }).estimate).toBe(
      Math.min(...sample),
    );
    expect(sample).toEqual(before);
    expect(bootstrapInterval(sample, 'median', { resamples: 200 }).estimate).toBe(median(sample));
    const two = bootstrapInterval([sample, [1, 2, 3]], (x, y) => mean(x!) - mean(y!), { resamples: 200 });
    expect(two.n).toEqual([60, 3]);
    expect(two.confidenceInterval![0]).toBeGreaterThan(6);
  });

  it('is undefined, with a reason, where the statistic never varies or is not a number', () => {
    for (const result of [
      bootstrapInterval([3, 3, 3], 'mean'),
      bootstrapInterval([3], 'median', { method: 'percentile' }),
      bootstrapInterval([1, 2, 3], () => Number.NaN, { resamples: 10 }),
      bootstrapInterval([1, 2, 3], (x) => 1 / (x![0]! - 2), { resamples: 50, method: 'percentile' }),
    ]) {
      expect(result.confidenceInterval).toBeNull();
      expect(result.reason).toBeTypeOf('string');
    }
  });

  it('refuses empty samples, values that are not finite and options out of range', () => {
    expect(() => bootstrapInterval([], 'mean')).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }),
    );
    expect(() => bootstrapInterval([sample, []], 'mean')).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }),
    );
    for (const call of [
      () => bootstrapInterval([1, Number.NaN], 'mean'),
      () => bootstrapInterval(sample, 'mode' as 'mean'),
      () => bootstrapInterval(sample, 'mean', { resamples: 0 }),
      () => bootstrapInterval(sample, 'mean', { seed: 0.5 }),
      () => bootstrapInterval(sample, 'mean', { method: 'basic' as 'bca' }),
      () => bootstrapInterval(sample, 'mean', { confidenceLevel: 1.5 }),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});
