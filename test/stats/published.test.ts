/**
 * Values that other projects' tests print, to the digits they print. Those of one method stand in that method's own file:
 * confseq in sequential-quantiles and mixtures, inspect_ai in clustered, pingouin's equivalence in margins, growthbook's
 * strata in covariates, statsmodels and Krippendorff in agreement.
 */
import { describe, expect, it } from 'vitest';
import {
  adjustPValues,
  chiSquare,
  fisherExact,
  nonInferiority,
  ratioOfMeans,
  type SequentialMeanOptions,
  type SequentialProportionOptions,
  type SkewedSummary,
  sequentialMeanTest,
  sequentialProportionTest,
  tTestPower,
  twoProportionZ,
  welchTTest,
} from '../../src/stats/index.js';

/** Equal to a value that was rounded to so many digits behind the point. */
function expectPrinted(actual: number | null | undefined, printed: number, digits: number): void {
  expect(actual, `${printed}`).toBeTypeOf('number');
  expect(Math.abs(actual! - printed), `${actual} against ${printed}`).toBeLessThanOrEqual(
    0.5000001 * 10 ** -digits,
  );
}

/** To the relative 1e-6 that pytest.approx takes. */
const expectApprox = (actual: number | null | undefined, printed: number) => {
  expect(actual, `${printed}`).toBeTypeOf('number');
  expect(Math.abs(actual! / printed - 1), `${actual} against ${printed}`).toBeLessThanOrEqual(1e-6);
};

describe('growthbook/growthbook @ 8f1db445, packages/stats/tests/frequentist/test_tests.py', () => {
  const arm = (n: number, sum: number, squares: number): SkewedSummary => ({
    n,
    mean: sum / n,
    variance: (squares - sum ** 2 / n) / (n - 1),
    skewness: 0,
  });
  const [sumsA, sumsB] = [
    [1396.87, 52377.9767],
    [2422.7, 134698.29],
  ] as const;
  const [a, b] = [arm(3000, ...sumsA), arm(3461, ...sumsB)];

  it('Welch’s test, two-sided and one-sided', () => {
    const { pValue, confidenceInterval, standardError, estimate } = welchTTest(b, arm(3407, ...sumsA));
    expectPrinted(estimate, 0.29, 5);
    expectPrinted(standardError, 0.12478, 5);
    expectPrinted(pValue, 0.02016, 5);
    expectPrinted(confidenceInterval![0], 0.04538, 5);
    expectPrinted(confidenceInterval![1], 0.53462, 5);
    const greater = welchTTest(b, a, { alternative: 'greater' });
    expectPrinted(greater.pValue, 0.03554, 5);
    expectPrinted(greater.confidenceInterval![0], 0.02079, 5);
    const less = welchTTest(b, a, { alternative: 'less' });
    expectPrinted(less.pValue, 0.96446, 5);
    expectPrinted(less.confidenceInterval![1], 0.44796, 5);
  });

  it('the sequence of means: relative, two-sided, tuning 1,000', () => {
    const found = sequentialMeanTest(a, b, { tuning: 1000, difference: 'relative' });
    expectPrinted(found.estimate, 0.50336, 5);
    expectPrinted(found.standardError, 0.33341, 5);
    expectPrinted(found.confidenceInterval![0], -0.55844, 5);
    expectPrinted(found.confidenceInterval![1], 1.56516, 5);
    expect(found.pValue).toBe(1);
  });

  it.each([
    ['less', 'relative', -0.42356],
    ['less', 'absolute', -0.12657],
    ['greater', 'relative', 1.43029],
    ['greater', 'absolute', 0.59532],
  ] as const)('the sequence of means, one-sided: a %s than b, %s', (alternative, difference, limit) => {
    const options: SequentialMeanOptions = { tuning: 5000, alternative, difference };
    const { confidenceInterval } = sequentialMeanTest(a, b, options);
    expectPrinted(confidenceInterval![alternative === 'less' ? 0 : 1], limit, 5);
  });

  it('the sequence of rates, relative', () => {
    const options: SequentialProportionOptions = { tuning: 5000, difference: 'relative' };
    const found = sequentialProportionTest(
      { successes: 1396, n: 3000 },
      { successes: 2422, n: 3461 },
      options,
    );
    expectPrinted(found.estimate, 0.50386, 5);
    expectPrinted(found.standardError, 0.03386, 5);
    expectPrinted(found.confidenceInterval![0], 0.40098, 5);
    expectPrinted(found.confidenceInterval![1], 0.60675, 5);
    expectPrinted(found.pValue, 0, 5);
  });
});

describe('e10v/tea-tasting @ 90306f1, tests', () => {
  // What numpy.random.default_rng(42) gives its data set of 100 users.
  const ORDERS = {
    control: '41000200102020002021010000100200201000110000101000200',
    treatment: '10001100100031001020000000000010020200001010000',
  };
  const orders = (arm: keyof typeof ORDERS) => Float64Array.from(ORDERS[arm], Number);
  const [control, treatment] = [
    { successes: 19, n: 53 },
    { successes: 13, n: 47 },
  ];
  const table = [
    [13, 34],
    [19, 34],
  ];

  it('Welch’s test of orders (metrics/test_mean.py)', () => {
    const found = welchTTest(orders('treatment'), orders('control'));
    expectApprox(found.estimate, -0.18305901244480127);
    expectApprox(found.confidenceInterval![0], -0.5004359360326984);
    expectApprox(found.confidenceInterval![1], 0.13431791114309583);
    expectApprox(found.pValue, 0.2551230546709908);
    expectApprox(found.statistic, -1.1447678040118034);
  });

  it('tests of rates (metrics/test_proportion.py)', () => {
    expectApprox(fisherExact(table).pValue, 0.3999948918153569);
    expectApprox(fisherExact(table, { alternative: 'less' }).pValue, 0.2546303652212273);
    expectApprox(chiSquare(table, { yates: true }).pValue, 0.5083165530405195);
    expectApprox(twoProportionZ(treatment, control).pValue, 0.3809096823118986);
  });

  it('adjusted p-values (test_multiplicity.py)', () => {
    const pValues = [0.005, 0.06, 0.007, 0.04, 0.01, 0.03];
    const expected = {
      bh: [0.02, 0.06, 0.02, 0.048, 0.02, 0.045],
      by: [0.049, 0.147, 0.049, 0.1176, 0.049, 0.11025],
      hochberg: [0.03, 0.06, 0.035, 0.06, 0.04, 0.06],
      holm: [0.03, 0.09, 0.035, 0.09, 0.04, 0.09],
    } as const;
    for (const [method, values] of Object.entries(expected)) {
      const adjusted = adjustPValues(pValues, method as keyof typeof expected);
      for (const [i, value] of values.entries()) expectApprox(adjusted[i], value);
    }
  });
});

it('the delta method: hoxo-m/deltatest @ 6661c2b, tests/testthat/test-deltatest.R, 100 users of set.seed(314)', () => {
  const sums = (
    n: number,
    of: number,
    per: number,
    squaresOf: number,
    squaresPer: number,
    products: number,
  ) => ({
    n,
    meanOf: of / n,
    meanPer: per / n,
    varianceOf: (squaresOf - of ** 2 / n) / (n - 1),
    variancePer: (squaresPer - per ** 2 / n) / (n - 1),
    covariance: (products - (of * per) / n) / (n - 1),
  });
  const found = ratioOfMeans(sums(44, 117, 621, 729, 10_627, 2026), sums(56, 207, 881, 1235, 15_987, 3701));
  expectPrinted(found.statistic, -1.24156594, 8);
  expectPrinted(found.pValue, 0.214396755, 9);
  expectPrinted(found.estimate, -0.0465544753, 10);
  expectPrinted(found.standardError, 0.037496579, 9);
  expectPrinted(found.confidenceInterval![0], -0.12004642, 8);
  expectPrinted(found.confidenceInterval![1], 0.02693747, 8);
});

it('non-inferiority: spotify/confidence @ e1f8a49, tests/frequentist/test_ztest.py, margins of 2 % of the control', () => {
  const arm = (mean: number, variance: number) => ({ n: 5000, mean, variance });
  const [control, treatment] = [arm(2.00421, 1.0116668), arm(1.978424, 0.9881132)];
  const margin = 0.02 * 2.00421;
  const increase = nonInferiority(treatment, control, { margin, alpha: 0.01 });
  expectPrinted(increase.estimate, -0.0258, 4);
  expectPrinted(increase.bound, -0.0723, 4);
  expect(increase.shown).toBe(false);
  const decrease = nonInferiority(treatment, control, { margin, alpha: 0.01, direction: 'lower' });
  // Printed there as 0.0207, and compared to three digits.
  expectPrinted(decrease.bound, 0.0207, 3);
  expect(decrease.shown).toBe(true);
});

it('power: raphaelvallat/pingouin @ 14994d6, tests/test_power.py, there from R’s package pwr', () => {
  // Two-sided tests there count rejections in the wrong direction, too; power.t.test and this do not.
  const oneSided = { delta: 0.5, alternative: 'greater' } as const;
  expectPrinted(tTestPower({ ...oneSided, n: 20 }).power, 0.4633743, 7);
  expectPrinted(tTestPower({ ...oneSided, power: 0.8 }).n, 50.1508, 4);
  // Five digits: R 4.2’s power.t.test with tol = 1e-12 says 0.8006803; pwr’s root is found to 1e-4 only.
  expectPrinted(tTestPower({ n: 20, power: 0.8, alternative: 'greater' }).delta, 0.8006879, 4);
});
