import { DDSketch } from '@datadog/sketches-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bucketOf,
  bucketValue,
  mantissaBitsFor,
  QuantileSketch,
  relativeErrorOf,
} from '../../src/stats/sketch.js';
import { seededNormal, seededUniform } from '../support/numeric.js';

const PROBABILITIES = [0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1];

function sketchOf(values: Iterable<number>, relativeError?: number): QuantileSketch {
  const sketch = new QuantileSketch(relativeError);
  for (const value of values) sketch.push(value);
  return sketch;
}

/** The order statistic a quantile is judged against. */
function lowerOrderStatistic(values: readonly number[], p: number): number {
  return Float64Array.from(values).sort()[Math.floor(p * (values.length - 1))]!;
}

function datasets(): [name: string, values: number[]][] {
  const uniform = seededUniform(5);
  const normal = seededNormal(6);
  const draw = (n: number, make: () => number) => Array.from({ length: n }, make);
  return [
    ['log-normal latencies', draw(20_000, () => Math.exp(4 + normal()))],
    ['Pareto with infinite variance', draw(20_000, () => (1 - uniform()) ** (-1 / 1.1))],
    ['normal around 0', draw(20_000, normal)],
    ['whole milliseconds with zeros', draw(20_000, () => Math.floor(uniform() * 50))],
    ['two modes nine orders apart', draw(5_000, () => (uniform() < 0.5 ? 1e-6 : 1e3) * (1 + uniform()))],
    ['powers of two', draw(2_000, () => 2 ** Math.floor(uniform() * 40 - 20))],
    ['few values', [3, 1, 2]],
    ['one value', [-0.3]],
  ];
}

/** An identity of a sketch's whole content. */
function contentOf(sketch: QuantileSketch): unknown {
  return [sketch.k, sketch.min, sketch.max, sketch.malformed, ...sketch.buckets()];
}

describe('the buckets', () => {
  it('are 2^6 an octave for 1 % and the fewest that keep any other bound', () => {
    expect(mantissaBitsFor(0.01)).toBe(6);
    expect(relativeErrorOf(6)).toBeCloseTo(0.00775, 5);
    for (const asked of [0.9, 0.2, 0.05, 0.02, 0.01, 0.005, 0.001, 1e-4, 1e-6, 5e-7]) {
      const k = mantissaBitsFor(asked);
      expect(relativeErrorOf(k)).toBeLessThanOrEqual(asked);
      if (k > 0) expect(relativeErrorOf(k - 1)).toBeGreaterThan(asked);
      // A sketch can be rebuilt from the bound it states.
      expect(mantissaBitsFor(relativeErrorOf(k))).toBe(k);
    }
  });

  it('are the exponent and the top k bits of the mantissa, the sign apart', () => {
    expect(bucketOf(1, 6)).toBe(1023 * 64);
    expect(bucketOf(-1, 6)).toBe(1023 * 64);
    expect(bucketOf(1 + 1 / 64, 6)).toBe(1023 * 64 + 1);
    expect(bucketOf(2 - 2 ** -52, 6)).toBe(1023 * 64 + 63);
    expect(bucketOf(2, 6)).toBe(1024 * 64);
    expect(bucketOf(0, 6)).toBe(0);
    expect(bucketOf(Number.MAX_VALUE, 6)).toBe(2047 * 64 - 1);
  });

  it('represent every normal double within the bound, at every k and exponent', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 2 ** -1022, noNaN: true, noDefaultInfinity: true }),
        fc.integer({ min: 0, max: 20 }),
        (value, k) => {
          const error = Math.abs(bucketValue(bucketOf(value, k), k) - value) / value;
          expect(error).toBeLessThanOrEqual(relativeErrorOf(k) * (1 + 1e-9));
        },
      ),
      { numRuns: 2000 },
    );
    for (let exponent = -1022; exponent <= 1023; exponent++) {
      const value = 2 ** exponent;
      expect(Math.abs(bucketValue(bucketOf(value, 6), 6) - value) / value).toBeLessThanOrEqual(
        relativeErrorOf(6) * (1 + 1e-9),
      );
    }
  });
});

describe('QuantileSketch', () => {
  for (const [name, values] of datasets()) {
    it(`${name}: every quantile is within the bound of the order statistic`, () => {
      for (const asked of [0.05, 0.01, 0.001]) {
        const sketch = sketchOf(values, asked);
        for (const p of PROBABILITIES) {
          const exact = lowerOrderStatistic(values, p);
          const error = Math.abs(sketch.quantile(p)! - exact);
          expect(error, `p ${p} at ${asked}`).toBeLessThanOrEqual(asked * Math.abs(exact));
        }
      }
    });

    it(`${name}: it names the same order statistics as Datadog's DDSketch`, () => {
      const oracle = new DDSketch({ relativeAccuracy: 0.01 });
      for (const value of values) oracle.accept(value);
      const sketch = sketchOf(values);
      expect(sketch.count).toBe(oracle.count);
      // Each is within 1 % of the same order statistic, so they are within 2/(1 - 0.01) % of each other.
      for (const p of PROBABILITIES.slice(1, -1)) {
        const theirs = oracle.getValueAtQuantile(p);
        const gap = Math.abs(sketch.quantile(p)! - theirs);
        expect(gap, `p ${p}: ${theirs}`).toBeLessThanOrEqual(0.0203 * Math.abs(theirs) + 1e-12);
      }
    });
  }

  it('fails the bound when its representative is a bucket edge: the test above can fail', () => {
    const values = datasets()[0]![1];
    const sketch = sketchOf(values);
    const atLowerEdge = (p: number) => {
      const bucket = bucketOf(sketch.quantile(p)!, sketch.k);
      return 2 ** (Math.floor(bucket / 64) - 1023) * (1 + (bucket % 64) / 64);
    };
    const errors = PROBABILITIES.map((p) => {
      const exact = lowerOrderStatistic(values, p);
      return Math.abs(atLowerEdge(p) - exact) / exact;
    });
    expect(Math.max(...errors)).toBeGreaterThan(relativeErrorOf(6));
  });

  it('is exact at p = 0 and p = 1, and for a single value everywhere', () => {
    const sketch = sketchOf([5.5, -7.25, 100.125]);
    expect([sketch.quantile(0), sketch.quantile(1)]).toEqual([-7.25, 100.125]);
    expect([sketch.min, sketch.max, sketch.count]).toEqual([-7.25, 100.125, 3]);
    expect(sketchOf([Math.PI]).quantile(0.3)).toBe(Math.PI);
  });

  it('interpolates between order statistics on request, as type 7 does', () => {
    const sketch = sketchOf([1, 3]);
    expect(sketch.quantile(0.5)).toBe(1);
    expect(sketch.quantile(0.5, 'linear')).toBe(2);
    expect(sketch.quantile(0.25, 'linear')).toBe(1.5);
  });

  it('answers null when empty and counts what is not finite', () => {
    const sketch = sketchOf([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect([sketch.quantile(0.5), sketch.quantile(0), sketch.min, sketch.max]).toEqual([
      null,
      null,
      null,
      null,
    ]);
    expect([sketch.count, sketch.malformed]).toEqual([0, 3]);
  });

  it('counts zeros and subnormals as zero, in their place between the signs', () => {
    const sketch = sketchOf([-2, 0, -0, Number.MIN_VALUE, 2]);
    expect([...sketch.buckets()].map(({ sign, count }) => [sign, count])).toEqual([
      [-1, 1],
      [0, 3],
      [1, 1],
    ]);
    expect([sketch.quantile(0), sketch.quantile(0.5), sketch.quantile(1)]).toEqual([-2, 0, 2]);
    expect(sketchOf([Number.MIN_VALUE]).min).toBe(Number.MIN_VALUE);
  });

  it('takes a value with a count as the value so many times', () => {
    const weighted = new QuantileSketch();
    weighted.push(3, 4);
    weighted.push(8, 0);
    expect(contentOf(weighted)).toEqual(contentOf(sketchOf([3, 3, 3, 3])));
  });

  it('merges to the sketch of all values, for any split and any order', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.double().map((value) => value + 0),
            fc.nat({ max: 3 }),
          ),
          { maxLength: 120 },
        ),
        fc.constantFrom([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]),
        (placed, order) => {
          const parts = order.map((part) => sketchOf(placed.filter(([, at]) => at === part).map(([v]) => v)));
          const [a, b, c, d] = parts as [QuantileSketch, QuantileSketch, QuantileSketch, QuantileSketch];
          // (a + b) + (c + d), against all values in one sketch: associativity and commutativity at once.
          a.merge(b);
          c.merge(d);
          a.merge(c);
          expect(contentOf(a)).toEqual(contentOf(sketchOf(placed.map(([v]) => v))));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('merges with itself by doubling every count', () => {
    const sketch = sketchOf([-1, 0, 1, 1]);
    sketch.merge(sketch);
    expect([sketch.count, sketch.quantile(0.5), sketch.min]).toEqual([8, 0, -1]);
  });

  it('folds in the buckets of a kernel as if it had seen the values', () => {
    const values = datasets()[2]![1];
    const folded = new QuantileSketch();
    for (const value of values) folded.addBucket(value < 0 ? -1 : 1, bucketOf(value, folded.k), 1);
    folded.includeRange(Math.min(...values), Math.max(...values));
    expect(contentOf(folded)).toEqual(contentOf(sketchOf(values)));
  });

  it('knows the extremes of folded buckets within the bound when their range was not stated', () => {
    const sketch = new QuantileSketch();
    sketch.addBucket(1, bucketOf(10, 6), 2);
    sketch.addBucket(1, bucketOf(90, 6), 2);
    expect(Math.abs(sketch.min! - 10)).toBeLessThanOrEqual(0.1);
    expect(Math.abs(sketch.quantile(1)! - 90)).toBeLessThanOrEqual(0.9);
    sketch.push(20);
    expect(sketch.quantile(0)).toBeLessThan(11);
  });

  it('refuses unequal resolutions, errors out of range, and impossible buckets, counts and p', () => {
    const sketch = new QuantileSketch();
    const invalid: (() => unknown)[] = [
      () => sketch.merge(new QuantileSketch(0.001)),
      () => new QuantileSketch(0),
      () => new QuantileSketch(4e-7),
      () => new QuantileSketch(1),
      () => new QuantileSketch(Number.NaN),
      () => sketch.push(1, -1),
      () => sketch.push(1, 0.5),
      () => sketch.addBucket(1, 2047 * 64, 1),
      () => sketch.addBucket(1, -1, 1),
      () => sketch.addBucket(2 as 1, 5, 1),
      () => sketch.addBucket(1, 5, Number.NaN),
      () => sketch.includeRange(2, 1),
      () => sketch.includeRange(Number.NaN, 1),
      () => sketch.quantile(-0.1),
      () => sketch.quantile(1.1),
    ];
    for (const call of invalid) expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
  });
});
