import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cohensKappa, krippendorffAlpha } from '../../src/stats/index.js';
import { expectRelative, seededUniform } from '../support/numeric.js';
import { expectAtLeast, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';

/** Two judges' ratings, from a table of counts. */
function judges(table: readonly (readonly number[])[]): [number[], number[]] {
  const pairs = table.flatMap((row, i) =>
    row.flatMap((count, j) => new Array<[number, number]>(count).fill([i, j])),
  );
  return [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
}

describe('cohensKappa', () => {
  // statsmodels/statsmodels @ 039c320, statsmodels/stats/tests/test_inter_rater.py: a printout of SAS, four decimals.
  const TABLE = [
    [0, 4, 1],
    [0, 8, 0],
    [0, 1, 5],
  ];
  it.each([
    ['none', [0.4842, 0.138, 0.2137, 0.7547, 3.2626, 0.0011]],
    ['linear', [0.4701, 0.1457, 0.1845, 0.7558, 3.2971, 0.001]],
  ] as const)('has the published numbers, weights %s', (weights, expected) => {
    const { estimate, standardError, confidenceInterval, statistic, pValue } = cohensKappa(...judges(TABLE), {
      weights,
    });
    for (const [i, value] of [estimate, standardError, ...confidenceInterval!, statistic, pValue].entries()) {
      expect(value).toBeCloseTo(expected[i]!, 4);
    }
  });

  it('is 0.4 in the textbook’s example', () => {
    const { estimate } = cohensKappa(
      ...judges([
        [20, 5],
        [10, 15],
      ]),
    );
    expectRelative(estimate, 0.4, 1e-12);
  });

  it('takes texts, and their order where weights ask for it', () => {
    const a = ['good', 'bad', 'fair', 'good', 'bad', 'fair'];
    const b = ['good', 'fair', 'fair', 'good', 'bad', 'bad'];
    const order = { categories: ['bad', 'fair', 'good'] };
    const places = (words: string[]) => words.map((word) => order.categories.indexOf(word));
    for (const weights of ['none', 'linear', 'quadratic'] as const) {
      expectRelative(
        cohensKappa(a, b, { weights, ...order }).estimate,
        cohensKappa(places(a), places(b), { weights }).estimate!,
        1e-12,
      );
    }
    expect(() => cohensKappa(a, b, { weights: 'linear' })).toThrow(/categories/);
    expect(() => cohensKappa(a, b, { categories: ['bad', 'good'] })).toThrow(/categories/);
  });

  it('says what it cannot take, and why there is no answer', () => {
    expect(() => cohensKappa([1], [1, 2])).toThrow(/b/);
    expect(() => cohensKappa([], [])).toThrow(/a/);
    expect(() => cohensKappa([Number.NaN], [1])).toThrow(/a\[0\]/);
    expect(cohensKappa([1, 1], [1, 1])).toMatchObject({ estimate: null, pValue: null });
    expect(cohensKappa([1, 2], [1, 2])).toMatchObject({ estimate: 1, confidenceInterval: null });
  });

  it('covers as often as it says', { timeout: TIMEOUT_MS }, () => {
    const n = runs(1000);
    const covered = shareOf(n, (run) => {
      const uniform = seededUniform(run);
      const a: number[] = [];
      const b: number[] = [];
      // Judges agree on 60 %, and otherwise guess one of three: κ = 0.6.
      for (let i = 0; i < 150; i++) {
        const truth = Math.floor(3 * uniform());
        const agree = uniform() < 0.6;
        a.push(truth);
        b.push(agree ? truth : Math.floor(3 * uniform()));
      }
      const [low, high] = cohensKappa(a, b).confidenceInterval!;
      return low <= 0.6 && 0.6 <= high;
    });
    expectAtLeast(covered, 0.94, n, 'coverage');
  });
});

describe('krippendorffAlpha', () => {
  const _ = null;
  // pln-fing-udelar/fast-krippendorff @ 13c1938, tests/test_krippendorff.py; the second is Krippendorff 2011's example.
  const THREE = [
    [_, _, _, _, _, 3, 4, 1, 2, 1, 1, 3, 3, _, 3],
    [1, _, 2, 1, 3, 3, 4, 3, _, _, _, _, _, _, _],
    [_, _, 2, 1, 3, 4, 4, _, 2, 1, 1, 3, 3, _, 4],
  ];
  const FOUR = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
  ];
  it.each([
    [THREE, 'nominal', 6, 0.691358],
    [THREE, 'interval', 6, 0.810845],
    [FOUR, 'nominal', 3, 0.743],
    [FOUR, 'ordinal', 3, 0.815],
    [FOUR, 'interval', 3, 0.849],
  ] as const)('has the published value (%#)', (ratings, level, digits, expected) => {
    const { estimate } = krippendorffAlpha(ratings, { level, resamples: 100 });
    expect(estimate!.toFixed(digits)).toBe(expected.toFixed(digits));
  });

  it('has the published value of texts, by name and in their order', () => {
    const words = ['very low', 'low', 'mid', 'high', 'very high'];
    const texts = FOUR.map((judge) => judge.map((place) => (place === null ? null : words[place - 1]!)));
    const found = krippendorffAlpha(texts, { level: 'ordinal', categories: words });
    expect(found.estimate!.toFixed(3)).toBe('0.815');
    expect(found).toMatchObject({ items: 11, ratings: 40 });
    const few = [
      ['pos', 'neg', 'neu', _],
      ['pos', 'neg', 'neu', 'pos'],
      ['pos', 'neg', 'pos', 'pos'],
    ];
    expect(krippendorffAlpha(few).estimate!.toFixed(6)).toBe('0.722222');
  });

  it('does not depend on the judges’ order, nor at the interval level on origin and scale', () => {
    const rating = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constant(null));
    const table = fc.array(fc.tuple(rating, rating, rating), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(table, (items) => {
        const by = (order: number[], move = (v: number) => v) =>
          order.map((judge) => items.map((item) => (item[judge] == null ? null : move(item[judge]))));
        const options = { level: 'interval', resamples: 100 } as const;
        const one = krippendorffAlpha(by([0, 1, 2]), options);
        const other = krippendorffAlpha(
          by([2, 0, 1], (v) => 1e6 + 3 * v),
          options,
        );
        if (one.estimate === null) expect(other.estimate).toBeNull();
        else expect(other.estimate).toBeCloseTo(one.estimate, 6);
      }),
    );
  });

  it('says what it cannot take, and why there is no answer', () => {
    expect(() => krippendorffAlpha([[1], [1, 2]])).toThrow(/ratings\[0\]/);
    expect(() => krippendorffAlpha([['a'], ['b']], { level: 'interval' })).toThrow(/ratings\[0\]\[0\]/);
    expect(() => krippendorffAlpha([['a'], ['b']], { level: 'ordinal' })).toThrow(/categories/);
    expect(() => krippendorffAlpha([[1], [2]], { resamples: 1 })).toThrow(/resamples/);
    expect(krippendorffAlpha([[1], [_]])).toMatchObject({ estimate: null, items: 0 });
    expect(
      krippendorffAlpha([
        [1, 1],
        [1, 1],
      ]),
    ).toMatchObject({ estimate: null });
    expect(
      krippendorffAlpha([
        [1, 2],
        [1, 2],
      ]),
    ).toMatchObject({ estimate: 1, confidenceInterval: null });
  });

  it('covers nearly as often as it says', { timeout: TIMEOUT_MS }, () => {
    const n = runs(300);
    const covered = shareOf(n, (run) => {
      const uniform = seededUniform(5 * run + 2);
      const items = Array.from({ length: 120 }, () => {
        const truth = Math.floor(3 * uniform());
        return Array.from({ length: 3 }, () => (uniform() < 0.7 ? truth : Math.floor(3 * uniform())));
      });
      const by = [0, 1, 2].map((judge) => items.map((item) => item[judge]!));
      const [low, high] = krippendorffAlpha(by, { resamples: 500, seed: run }).confidenceInterval!;
      // Two judges agree beyond chance where neither guesses: 0.7².
      return low <= 0.49 && 0.49 <= high;
    });
    expectAtLeast(covered, 0.93, n, 'coverage');
  });
});
