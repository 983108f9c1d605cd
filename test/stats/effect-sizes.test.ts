import { describe, expect, it } from 'vitest';
import { cliffsDelta, cohensD, hedgesG } from '../../src/stats/effect-sizes.js';
import { Welford } from '../../src/stats/moments.js';
import { studentTTest } from '../../src/stats/t-tests.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectRelative, seededNormal } from '../support/numeric.js';

interface TwoSample {
  cases: {
    name: string;
    x: number[];
    y: number[];
    t_exact: { effect?: { cohens_d_pooled: number; hedges_g_exact_gamma: number } };
    rank_exact: { cliffs_delta_x_minus_y: number };
  }[];
}

describeWithFixture<TwoSample>('stats/two_sample.json', ({ cases }) => {
  for (const { name, x, y, t_exact, rank_exact } of cases) {
    it(`${name}: d, g and delta agree with the 50-digit answer`, () => {
      expectRelative(cliffsDelta(x, y).estimate, rank_exact.cliffs_delta_x_minus_y, 1e-10, 'delta');
      if (t_exact.effect === undefined) {
        expect(cohensD(x, y)).toMatchObject({ estimate: null, reason: expect.any(String) });
        expect(hedgesG(x, y)).toMatchObject({ estimate: null, reason: expect.any(String) });
      } else {
        expectRelative(cohensD(x, y).estimate, t_exact.effect.cohens_d_pooled, 1e-10, 'd');
        expectRelative(hedgesG(x, y).estimate, t_exact.effect.hedges_g_exact_gamma, 1e-10, 'g');
      }
    });
  }
});

describe('cohensD and hedgesG', () => {
  const x = [5.1, 4.9, 6.2, 5.8, 5.5];
  const y = [6.0, 6.6, 7.1, 5.9];

  it('are positive where x is above y, and take summaries', () => {
    const summaries = [x, y].map((sample) => {
      const welford = new Welford();
      for (const value of sample) welford.push(value);
      return welford;
    });
    expect(cohensD(y, x).estimate).toBeGreaterThan(0);
    expectRelative(cohensD(summaries[1]!, summaries[0]!).estimate, cohensD(y, x).estimate!, 1e-12);
  });

  it('differ by a factor that tends to 1 with the sample', () => {
    // J(7) from the gamma functions: Γ(3.5)/(√3.5 Γ(3)).
    expectRelative(hedgesG(x, y).estimate! / cohensD(x, y).estimate!, 0.8882029076727, 1e-12);
    const large = { n: 5e8, mean: 1, variance: 1 };
    const other = { n: 5e8, mean: 0, variance: 1 };
    expectRelative(hedgesG(large, other).estimate, 1 - 3 / (4e9 - 9), 1e-15);
  });

  it('have an interval that excludes 0 exactly when the t-test rejects', () => {
    const { pValue } = studentTTest(x, y);
    for (const [alpha, excludes] of [
      [pValue! * 1.001, true],
      [pValue! * 0.999, false],
    ] as const) {
      const [low, high] = cohensD(x, y, { alpha }).confidenceInterval!;
      expect(low > 0 || high < 0).toBe(excludes);
    }
  });

  it('have the interval of the noncentral t, for any size of effect', () => {
    // SciPy 1.17: the shifts at which nct.sf(0.5/√0.1, 38, shift) is 0.025 and 0.975, times √0.1.
    const [low, high] = cohensD({ n: 20, mean: 0.5, variance: 1 }, { n: 20, mean: 0, variance: 1 })
      .confidenceInterval!;
    expect(low).toBeCloseTo(-0.13301811322887533, 12);
    expect(high).toBeCloseTo(1.126661275294288, 12);
    const huge = cohensD({ n: 20, mean: 1e7, variance: 1 }, { n: 20, mean: 0, variance: 1 });
    expect(huge.confidenceInterval![0]).toBeGreaterThan(7e6);
    expect(huge.confidenceInterval![1]).toBeLessThan(1.3e7);
    const less = cohensD(x, y, { alternative: 'less' }).confidenceInterval!;
    expect(less[0]).toBe(Number.NEGATIVE_INFINITY);
    expect(less[1]).toBeLessThan(0);
  });

  it('are undefined for constants and single observations, and refuse what is not a sample', () => {
    expect(cohensD([1, 1], [2, 2])).toMatchObject({ estimate: null, confidenceInterval: null });
    expect(hedgesG([1], [2, 3])).toMatchObject({ estimate: null, reason: expect.any(String) });
    expect(() => cohensD([], y)).toThrow(expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }));
    expect(() => hedgesG([1, Number.NaN], y)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    );
    expect(() => cohensD(x, y, { alpha: 2 })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    );
  });
});

describe('cliffsDelta', () => {
  it('is the balance of pairs', () => {
    expect(cliffsDelta([1, 4, 4], [2, 4]).estimate).toBeCloseTo((1 + 1 - 2) / 6, 15);
    expect(cliffsDelta([5, 6], [1, 2]).estimate).toBe(1);
  });

  it('has an interval whose variance is that of the dominance matrix', () => {
    const x = [1, 3, 3, 7, 8];
    const y = [2, 3, 4, 4];
    const matrix = x.map((a) => y.map((b) => Math.sign(a - b)));
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const delta = mean(matrix.flat());
    const [m, n] = [5, 4];
    const rows = matrix.map((row) => (mean(row) - delta) ** 2).reduce((a, b) => a + b);
    const columns = y
      .map((_, j) => (mean(matrix.map((row) => row[j]!)) - delta) ** 2)
      .reduce((a, b) => a + b);
    const cells = matrix
      .flat()
      .map((d) => (d - delta) ** 2)
      .reduce((a, b) => a + b);
    const variance = (n * n * rows + m * m * columns - cells) / (m * n * (m - 1) * (n - 1));
    const z2 = 1.959963984540054 ** 2 * variance;
    const half = Math.sqrt(z2 * ((1 - delta ** 2) ** 2 + z2));
    const [low, high] = cliffsDelta(x, y).confidenceInterval!;
    expect(low).toBeCloseTo((delta - delta ** 3 - half) / (1 - delta ** 2 + z2), 12);
    expect(high).toBeCloseTo((delta - delta ** 3 + half) / (1 - delta ** 2 + z2), 12);
  });

  it('covers the truth about as often as it says', () => {
    const normal = seededNormal(8);
    // P(X > Y) − P(X < Y) for N(0.5, 1) against N(0, 1): 2Φ(0.5/√2) − 1.
    const truth = 0.2763263901682369;
    let covered = 0;
    for (let run = 0; run < 400; run++) {
      const x = Float64Array.from({ length: 40 }, () => normal() + 0.5);
      const y = Float64Array.from({ length: 40 }, normal);
      const [low, high] = cliffsDelta(x, y).confidenceInterval!;
      if (low <= truth && truth <= high) covered++;
    }
    expect(covered / 400).toBeGreaterThan(0.92);
    expect(covered / 400).toBeLessThan(0.98);
  });

  it('has no interval for one observation a side or samples that do not overlap', () => {
    expect(cliffsDelta([1], [2, 3])).toMatchObject({ estimate: -1, confidenceInterval: null });
    expect(cliffsDelta([1, 2], [3, 4])).toMatchObject({
      confidenceInterval: null,
      reason: expect.any(String),
    });
    expect(cliffsDelta([7, 7], [7, 7]).estimate).toBe(0);
  });
});
