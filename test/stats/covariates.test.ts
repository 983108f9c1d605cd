import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  anytimeValidLinear,
  CovariateMoments,
  type CovariateSums,
  cuped,
  postStratifiedTest,
  sequentialMeanTest,
  welchTTest,
} from '../../src/stats/index.js';
import { expectRelative, seededNormal } from '../support/numeric.js';
import { expectAtLeast, expectAtMost, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';
import { REGRESSION_STRATA } from './published-strata.js';

/** From n and sums: of y, y², x, x², xy. */
function sums([n, y, yy, x, xx, xy]: readonly number[]): CovariateSums {
  const cross = xy! - (y! * x!) / n!;
  return {
    n: n!,
    means: [y! / n!, x! / n!],
    products: [yy! - y! ** 2 / n!, cross, cross, xx! - x! ** 2 / n!],
  };
}

describe('cuped', () => {
  it('has the published estimate within each stratum, and over all of them', () => {
    // growthbook/growthbook @ 0255a0f, packages/stats/tests/frequentist/test_post_strat.py: point_estimate_count_reg_abs.
    const total = REGRESSION_STRATA.reduce((sum, [a, b]) => sum + a[0]! + b[0]!, 0);
    const estimate = REGRESSION_STRATA.reduce((sum, [a, b]) => {
      return sum + ((a[0]! + b[0]!) / total) * cuped(sums(b), sums(a)).estimate;
    }, 0);
    expectRelative(estimate, 3.7116918650826394, 1e-13);
  });

  it('is the regression of the outcome on arm and covariate where both arms vary alike', () => {
    // R 4.2: y <- c(3,5,4,8,9,7,6,10); x <- c(1,2,2,4,4,3,3,5); g <- rep(0:1, each = 4); summary(lm(y ~ g + x))
    const [y, x] = [
      [3, 5, 4, 8, 9, 7, 6, 10],
      [1, 2, 2, 4, 4, 3, 3, 5],
    ];
    const arm = (from: number) => ({ of: y!.slice(from, from + 4), covariates: [x!.slice(from, from + 4)] });
    const found = cuped(arm(4), arm(0));
    expectRelative(found.estimate, 0.4, 1e-12);
    expectRelative(found.theta[0], 1.73333333333333, 1e-12);
    expectRelative(anytimeValidLinear(arm(0), arm(4)).standardError, 0.484424056655599, 1e-12);
    expectRelative(anytimeValidLinear(arm(0), arm(4)).df, 5, 1e-12);
  });

  it('is Welch’s test without covariates, and beside one that is constant', () => {
    const normal = seededNormal(4);
    const [a, b] = [15, 40].map((n) => Array.from({ length: n }, normal));
    const welch = welchTTest(a!, b!);
    for (const covariates of [(_: number[]) => [], (arm: number[]) => [arm.map(() => 7)]]) {
      const found = cuped({ of: a!, covariates: covariates(a!) }, { of: b!, covariates: covariates(b!) });
      for (const key of ['estimate', 'statistic', 'df', 'pValue', 'standardError'] as const) {
        expectRelative(found[key], welch[key]!, 1e-9, key);
      }
      expect(found.explained).toBe(0);
    }
  });

  it('leaves a covariate aside that others explain', () => {
    const normal = seededNormal(5);
    const arm = () => {
      const x = Array.from({ length: 30 }, normal);
      return { of: x.map((v) => v + normal()), covariates: [x, x.map((v) => 2 * v + 1)] };
    };
    const [a, b] = [arm(), arm()];
    const one = cuped(
      { of: a.of, covariates: [a.covariates[0]!] },
      { of: b.of, covariates: [b.covariates[0]!] },
    );
    const two = cuped(a, b);
    expectRelative(two.estimate, one.estimate, 1e-9);
    expectRelative(two.standardError, one.standardError!, 1e-9);
  });

  it('adds up: the sums of two processes give the verdict of one', () => {
    const rows = fc.array(fc.tuple(...[1, 2, 3].map(() => fc.double({ min: -9, max: 9, noNaN: true }))), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(rows, rows, (first, second) => {
        const [all, a, b] = [1, 2, 3].map(() => new CovariateMoments(2));
        for (const row of first) a!.push(row);
        for (const row of second) b!.push(row);
        for (const row of [...first, ...second]) all!.push(row);
        a!.merge(b!.result());
        const [merged, whole] = [a!.result(), all!.result()];
        expect(merged.n).toBe(whole.n);
        for (const [i, product] of merged.products.entries())
          expect(product).toBeCloseTo(whole.products[i]!, 8);
        for (const [i, mean] of merged.means.entries()) expect(mean).toBeCloseTo(whole.means[i]!, 10);
      }),
    );
  });

  it('says what it cannot take, and why there is no answer', () => {
    const one = { of: [1], covariates: [[2]] };
    expect(cuped(one, one)).toMatchObject({ pValue: null, reason: /too few/ as unknown as string });
    expect(() => cuped({ of: [1, 2], covariates: [[1]] }, one)).toThrow(/x\.covariates\[0\]/);
    expect(() => cuped({ of: [], covariates: [[]] }, one)).toThrow(/x/);
    expect(() => cuped({ of: [1, 2], covariates: [] }, one)).toThrow(/as many in both arms/);
    const exact = { of: [1, 2, 3], covariates: [[1, 2, 3]] };
    expect(cuped(exact, exact).reason).toMatch(/leave nothing/);
  });

  it('errs as often as it says, and finds more than without', { timeout: TIMEOUT_MS }, () => {
    const run = (seed: number, effect: number) => {
      const normal = seededNormal(seed);
      const arm = (n: number, shift: number) => {
        const x = Array.from({ length: n }, normal);
        return { of: x.map((v) => shift + 2 * v + normal()), covariates: [x] };
      };
      return { x: arm(12, effect), y: arm(30, 0) };
    };
    const n = runs(1000);
    const rejects = (effect: number) => (seed: number) => {
      const { x, y } = run(7 * seed + 1, effect);
      return cuped(x, y).pValue! <= 0.05;
    };
    expectAtMost(shareOf(n, rejects(0)), 0.05, n, 'false alarms');
    expectAtLeast(shareOf(n, rejects(0)), 0.04, n, 'false alarms');
    const plain = (seed: number) => {
      const { x, y } = run(7 * seed + 1, 1);
      return welchTTest(x.of, y.of).pValue! <= 0.05;
    };
    expectAtLeast(shareOf(n, rejects(1)), shareOf(n, plain) + 0.3, n, 'power');
  });
});

describe('anytimeValidLinear', () => {
  it('is the closed form, and its interval is where that reaches alpha', () => {
    const normal = seededNormal(11);
    const arm = (shift: number) => {
      const x = Array.from({ length: 50 }, normal);
      return { of: x.map((v) => shift + v + normal()), covariates: [x] };
    };
    const [a, b] = [arm(0), arm(0.3)];
    const alpha = 0.05;
    const { statistic, df, pValue, confidenceInterval, estimate, standardError } = anytimeValidLinear(a, b, {
      tuning: 100,
    });
    const twice = -2 * Math.log(alpha);
    const g = 100 / (twice + Math.log(1 + twice));
    const r = g / (g + 100);
    const logG = (t: number) =>
      0.5 * Math.log(r) + 0.5 * (df! + 1) * (Math.log(1 + t ** 2 / df!) - Math.log(1 + (r * t ** 2) / df!));
    expectRelative(pValue, Math.min(1, Math.exp(-logG(statistic!))), 1e-10);
    expectRelative(logG((confidenceInterval![1] - estimate) / standardError!), -Math.log(alpha), 1e-9);
  });

  it('comes to the sequence of means as observations grow', () => {
    const normal = seededNormal(12);
    const [a, b] = [4000, 4000].map((n) => Array.from({ length: n }, normal));
    const linear = anytimeValidLinear(
      { of: a!, covariates: [] },
      { of: b!, covariates: [] },
      { variances: 'unequal' },
    );
    const mean = sequentialMeanTest(a!, b!);
    expectRelative(linear.confidenceInterval![1], mean.confidenceInterval![1], 0.02);
  });

  it('errs no more often than it says over all looks', { timeout: TIMEOUT_MS }, () => {
    const everRejects = (seed: number, effect: number, variances: 'equal' | 'unequal') => {
      const normal = seededNormal(seed);
      const [a, b] = [new CovariateMoments(1), new CovariateMoments(1)];
      for (let i = 0; i < 400; i++) {
        const x = normal();
        const isB = i % 3 === 0;
        (isB ? b : a).push([x + normal() + (isB ? effect : 0), x]);
        if (i < 60) continue;
        if (anytimeValidLinear(a.result(), b.result(), { tuning: 400, variances }).pValue! <= 0.05)
          return true;
      }
      return false;
    };
    const n = runs(300);
    for (const variances of ['equal', 'unequal'] as const) {
      expectAtMost(
        shareOf(n, (run) => everRejects(13 * run, 0, variances)),
        0.05,
        n,
        variances,
      );
      expectAtLeast(
        shareOf(n, (run) => everRejects(13 * run, 0.5, variances)),
        0.8,
        n,
        variances,
      );
    }
  });

  it('has no interval while nothing bounds it', () => {
    const few = { of: [1, 2], covariates: [] };
    const found = anytimeValidLinear(few, { of: [2, 4], covariates: [] }, { tuning: 5000 });
    expect(found.confidenceInterval).toBeNull();
    expect(found.reason).toMatch(/too few/);
  });
});

describe('postStratifiedTest', () => {
  const arms = REGRESSION_STRATA.map(([a, b]) => {
    const summary = ([n, y, yy]: readonly number[]) => ({
      n: n!,
      mean: y! / n!,
      variance: (yy! - y! ** 2 / n!) / (n! - 1),
    });
    return { x: summary(b), y: summary(a) };
  });

  it('has the published estimate and standard error', () => {
    // The same file: point_estimate_count_abs, standard_error_count_abs.
    const found = postStratifiedTest(arms);
    expectRelative(found.estimate, 3.548094377986586, 1e-13);
    expectRelative(found.standardError, 0.37634374823059685, 1e-12);
    expect(found).toMatchObject({ strata: 5, leftOut: 0, n: [501, 499] });
  });

  it('leaves out, and counts, strata of one arm', () => {
    const alone = { x: { n: 10, mean: 4, variance: 1 }, y: { n: 0, mean: null, variance: null } };
    const found = postStratifiedTest([...arms, alone]);
    expect(found).toMatchObject({ strata: 5, leftOut: 10, estimate: postStratifiedTest(arms).estimate });
    expect(postStratifiedTest([alone])).toMatchObject({ estimate: null, pValue: null });
    expect(postStratifiedTest([])).toMatchObject({ estimate: null, pValue: null });
  });

  it('finds nothing where only the mix differs, as often as it says', { timeout: TIMEOUT_MS }, () => {
    const p = (seed: number) => {
      const normal = seededNormal(seed);
      const stratum = (mean: number, nx: number, ny: number) => ({
        x: Array.from({ length: nx }, () => mean + normal()),
        y: Array.from({ length: ny }, () => mean + normal()),
      });
      return postStratifiedTest([stratum(0, 80, 20), stratum(5, 20, 80)]).pValue!;
    };
    const n = runs(1000);
    expectAtMost(
      shareOf(n, (run) => p(3 * run) <= 0.05),
      0.05,
      n,
      'false alarms',
    );
  });
});
