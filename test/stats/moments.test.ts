import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleMoments, Welford } from '../../src/stats/moments.js';
import { describeWithFixture } from '../support/fixtures.js';
import { digitsOfAgreement, expectRelative, seededNormal } from '../support/numeric.js';

interface NistSet {
  data: number[];
  double_exact: { mean: number; stddev: number };
}

function accumulate(values: ArrayLike<number>): Welford {
  const welford = new Welford();
  for (let i = 0; i < values.length; i++) welford.push(values[i]!);
  return welford;
}

function batchStdDev(values: ArrayLike<number>): number {
  const { n, m2, scale } = sampleMoments(values);
  return Math.sqrt(m2 / (n - 1)) * scale;
}

/** The textbook formula that both of ours exist to avoid. */
function stdDevFromSumOfSquares(values: readonly number[]): number {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  const n = values.length;
  return Math.sqrt(Math.max(0, squares - (sum * sum) / n) / (n - 1));
}

describeWithFixture<Record<string, NistSet>>('nist/univariate.json', (sets) => {
  for (const [name, { data, double_exact: exact }] of Object.entries(sets)) {
    it(`${name}: the streaming mean has 14.5 digits and the standard deviation 11.5`, () => {
      const welford = accumulate(data);
      expect(digitsOfAgreement(welford.mean!, exact.mean)).toBeGreaterThanOrEqual(14.5);
      expect(digitsOfAgreement(welford.stdDev!, exact.stddev)).toBeGreaterThanOrEqual(11.5);
    });

    it(`${name}: the batch mean and standard deviation have 15 digits`, () => {
      expect(digitsOfAgreement(sampleMoments(data).mean, exact.mean)).toBeGreaterThanOrEqual(15);
      expect(digitsOfAgreement(batchStdDev(data), exact.stddev)).toBeGreaterThanOrEqual(15);
    });

    it(`${name}: merging chunks of 256 keeps both bars`, () => {
      const merged = new Welford();
      for (let i = 0; i < data.length; i += 256) merged.merge(accumulate(data.slice(i, i + 256)));
      expect(digitsOfAgreement(merged.mean!, exact.mean)).toBeGreaterThanOrEqual(14.5);
      expect(digitsOfAgreement(merged.stdDev!, exact.stddev)).toBeGreaterThanOrEqual(11.5);
    });
  }

  it('the bar is one that a sum of squares fails, on NumAcc3 and NumAcc4', () => {
    for (const name of ['NumAcc3', 'NumAcc4']) {
      const { data, double_exact: exact } = sets[name]!;
      expect(digitsOfAgreement(stdDevFromSumOfSquares(data), exact.stddev)).toBeLessThan(11.5);
    }
  });
});

describe('Welford', () => {
  it('has no mean, extremes or variance before the first value, and no variance at the first', () => {
    const welford = new Welford();
    expect([welford.count, welford.sum]).toEqual([0, 0]);
    expect([welford.mean, welford.variance, welford.stdDev, welford.stdDevPopulation]).toEqual(
      Array(4).fill(null),
    );
    expect([welford.min, welford.max]).toEqual([null, null]);
    welford.push(3);
    expect([welford.mean, welford.stdDevPopulation, welford.min, welford.max]).toEqual([3, 0, 3, 3]);
    expect([welford.variance, welford.stdDev]).toEqual([null, null]);
  });

  it('counts NaN and infinities as malformed and leaves them out of every figure', () => {
    const welford = accumulate([1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3, Number.NEGATIVE_INFINITY]);
    expect([welford.count, welford.malformed, welford.mean, welford.variance]).toEqual([3, 3, 2, 1]);
    expect([welford.min, welford.max, welford.sum]).toEqual([1, 3, 6]);
  });

  it('keeps a constant constant: no variance out of rounding', () => {
    const welford = accumulate(Array(1000).fill(0.1));
    expect([welford.mean, welford.variance]).toEqual([0.1, 0]);
  });

  it('says null, not NaN, where the variance or the gap between values leaves the range of a double', () => {
    const welford = accumulate([1.7e308, -1.7e308, 1.7e308, -1.7e308]);
    expect(welford.variance).toBeNull();
    expect(welford.mean).toBeTypeOf('number');
    expect(accumulate([1e200, -1e200]).stdDev).toBeNull();
  });

  it('gives the same moments for any split of any values, merged in any order', () => {
    // No −0: which of two equal zeros is the smallest does depend on the order.
    const finite = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => value + 0);
    fc.assert(
      fc.property(
        fc.array(finite, { minLength: 1, maxLength: 80 }),
        fc.infiniteStream(fc.nat({ max: 4 })),
        fc.array(fc.nat({ max: 4 }), { minLength: 5, maxLength: 5 }),
        (values, parts, priorities) => {
          const split: number[][] = [[], [], [], [], []];
          for (const value of values) split[parts.next().value]!.push(value);
          const order = [0, 1, 2, 3, 4].sort((a, b) => priorities[a]! - priorities[b]!);
          const merged = new Welford();
          for (const part of order) merged.merge(accumulate(split[part]!));
          const whole = accumulate(values);
          const spread = Math.max(...values.map(Math.abs), Number.MIN_VALUE);
          expect(merged.count).toBe(whole.count);
          expect([merged.min, merged.max]).toEqual([whole.min, whole.max]);
          expect(Math.abs(merged.mean! - whole.mean!)).toBeLessThanOrEqual(1e-15 * spread + 1e-300);
          const varianceGap = Math.abs((merged.variance ?? 0) - (whole.variance ?? 0));
          expect(varianceGap).toBeLessThanOrEqual(1e-13 * (whole.variance ?? 0) + 1e-300);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('merges associatively: the nesting of three merges does not matter', () => {
    const normal = seededNormal(11);
    const [a, b, c] = [40, 3, 700].map((n) => Array.from({ length: n }, () => 1e9 + normal()));
    const left = accumulate(a!);
    left.merge(accumulate(b!));
    left.merge(accumulate(c!));
    const right = accumulate(b!);
    right.merge(accumulate(c!));
    const outer = accumulate(a!);
    outer.merge(right);
    expectRelative(outer.variance, left.variance!, 1e-13);
    expect(outer.mean).toBe(left.mean);
  });

  it('merges with itself and with nothing', () => {
    const welford = accumulate([1, 2, 3, 4]);
    welford.merge(new Welford());
    expect([welford.count, welford.mean]).toEqual([4, 2.5]);
    welford.merge(welford);
    expect([welford.count, welford.mean]).toEqual([8, 2.5]);
    expectRelative(welford.variance, 10 / 7, 1e-15);
  });

  it('goes through toMoments and from unchanged, and takes the moments a kernel computed', () => {
    const whole = accumulate([1e9 + 0.25, 1e9 + 0.5, Number.NaN, 1e9 + 2]);
    expect(Welford.from(whole.toMoments()).toMoments()).toEqual(whole.toMoments());
    const kernel = Welford.from({ count: 3, mean: 2, m2: 2, min: 1, max: 3 });
    expect([kernel.variance, kernel.sum, kernel.malformed]).toEqual([1, 6, 0]);
    expect(Welford.from({ count: 0, mean: 0, m2: 0, min: 0, max: 0 }).mean).toBeNull();
  });

  it('refuses moments that no sample has', () => {
    const good = { count: 2, mean: 0, m2: 1, min: -1, max: 1 };
    for (const bad of [{ count: -1 }, { count: 1.5 }, { mean: Number.NaN }, { m2: -1 }, { min: 2 }]) {
      expect(() => Welford.from({ ...good, ...bad })).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
      );
    }
  });
});

describe('sampleMoments', () => {
  it('survives values whose sum, square or fourth power overflow', () => {
    expect(sampleMoments([1.7e308, 1.7e308, 1.7e308]).mean).toBe(1.7e308);
    expect(sampleMoments([1.7e308, -1.7e308]).mean).toBe(0);
    expectRelative(batchStdDev([1e200, 3e200]), Math.SQRT2 * 1e200, 1e-15);
    expectRelative(batchStdDev([1e-200, 3e-200]), Math.SQRT2 * 1e-200, 1e-15);
  });
});
