/** Differences of means of skewed values, in arms of different sizes. */
import { describe, expect, it } from 'vitest';
import {
  describe as describeSample,
  differenceSkewness,
  skewCorrectedTTest,
  welchTTest,
} from '../../src/stats/index.js';
import { expectRelative, seededNormal, seededUniform } from '../support/numeric.js';
import { expectAtMost, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';

const normal = seededNormal(2);
const uniform = seededUniform(3);
const logNormal = (n: number, sigma: number) =>
  Float64Array.from({ length: n }, () => Math.exp(sigma * normal()));
const rare = (n: number, share: number, factor: number) =>
  Float64Array.from({ length: n }, () => (uniform() < share ? factor : 1) * (1 + 0.1 * uniform()));

describe('differenceSkewness', () => {
  it('is 0 for arms of one size, and changes sign with their order', () => {
    const [x, y] = [logNormal(50, 1), logNormal(200, 1)];
    expect(differenceSkewness(x, logNormal(50, 1))).toBeCloseTo(0, 12);
    expect(differenceSkewness(x, y)).toBeGreaterThan(0);
    expectRelative(differenceSkewness(y, x), -differenceSkewness(x, y)!, 1e-12);
  });

  it('is that of the difference of means, whose values are many: exponential, 40 against 400', () => {
    const [a, b] = [40, 400];
    const expected = (2 * (a ** -2 - b ** -2)) / (1 / a + 1 / b) ** 1.5;
    const mean = (n: number) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum -= Math.log(1 - uniform());
      return sum / n;
    };
    const differences = Float64Array.from({ length: 20_000 }, () => mean(a) - mean(b));
    expect(Math.abs(describeSample(differences).skewness! - expected)).toBeLessThan(0.07);
  });

  it('is the same of summaries, and unknown of those that do not tell theirs', () => {
    const [x, y] = [logNormal(50, 1), logNormal(200, 1)];
    const summary = (values: Float64Array) => {
      const { n, mean, variance, skewness } = describeSample(values);
      return { n, mean, variance, skewness };
    };
    expectRelative(differenceSkewness(summary(x), summary(y)), differenceSkewness(x, y)!, 1e-9);
    expect(differenceSkewness({ n: 5, mean: 1, variance: 2 }, y)).toBeNull();
  });
});

describe('skewCorrectedTTest', () => {
  it('is Welch’s where there is nothing to correct', () => {
    const [x, y] = [logNormal(40, 1), logNormal(40, 1)];
    expectRelative(skewCorrectedTTest(x, y).pValue, welchTTest(x, y).pValue!, 1e-9);
  });

  it('has a p-value below alpha exactly when its interval excludes 0', () => {
    for (let run = 0; run < 200; run++) {
      const [x, y] = [logNormal(20, 1), logNormal(150, 1).map((value) => value * (1 + (run % 5) / 3))];
      for (const alternative of ['two-sided', 'less', 'greater'] as const) {
        const { pValue, confidenceInterval } = skewCorrectedTTest(x, y, { alternative });
        const [low, high] = confidenceInterval!;
        if (Math.abs(pValue! - 0.05) > 1e-6) expect(pValue! <= 0.05, `${run}`).toBe(low > 0 || high < 0);
      }
    }
  });

  const cells: [string, number, number, (n: number) => Float64Array][] = [
    ['1 % of values 100 times as large, 500 against 5,000', 500, 5000, (n) => rare(n, 0.01, 100)],
    ['2 % 50 times, 100 against 900', 100, 900, (n) => rare(n, 0.02, 50)],
    ['log-normal of σ 1.5, 300 against 2,700', 300, 2700, (n) => logNormal(n, 1.5)],
    ['log-normal of σ 1, 100 against 1,000', 100, 1000, (n) => logNormal(n, 1)],
    [
      'exponential, 30 against 300',
      30,
      300,
      (n) => Float64Array.from({ length: n }, () => -Math.log(1 - uniform())),
    ],
  ];

  it.each(cells)(
    'errs as often as it says: %s',
    (name, a, b, draw) => {
      const count = runs(300);
      const share = shareOf(count, () => {
        const [x, y] = [draw(a), draw(b)];
        // What the comparison demands before it says anything.
        return Math.abs(differenceSkewness(x, y)!) <= 0.7 && skewCorrectedTTest(x, y).pValue! <= 0.05;
      });
      expectAtMost(share, 0.055, count, name);
    },
    TIMEOUT_MS,
  );

  it('where Welch’s errs in one of ten: the check above can fail', () => {
    const share = shareOf(400, () => welchTTest(rare(100, 0.02, 50), rare(900, 0.02, 50)).pValue! <= 0.05);
    expect(share).toBeGreaterThan(0.09);
  });
});
