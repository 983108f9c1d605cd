import { describe, expect, it } from 'vitest';
import { Welford } from '../../src/stats/moments.js';
import { pairedTTest, studentTTest, type TTestResult, welchTTest } from '../../src/stats/t-tests.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectInterval, expectRelative } from '../support/numeric.js';

interface ExactT {
  t: number;
  df: number;
  p_two_sided: number;
  p_less: number;
  p_greater: number;
  mean_diff: number;
  se: number;
  'ci_0.90': [number, number];
  'ci_0.95': [number, number];
  'ci_0.99': [number, number];
}
interface TwoSample {
  cases: {
    name: string;
    x: number[];
    y: number[];
    t_exact: { student?: ExactT; welch?: ExactT; paired?: { t: number; df: number; p_two_sided: number } };
  }[];
}

function summaryOf(sample: readonly number[]): Welford {
  const welford = new Welford();
  for (const value of sample) welford.push(value);
  return welford;
}

function expectUndefined(result: TTestResult): void {
  expect(result).toMatchObject({ statistic: null, df: null, pValue: null, confidenceInterval: null });
  expect(result.reason).toBeTypeOf('string');
}

describeWithFixture<TwoSample>('stats/two_sample.json', ({ cases }) => {
  for (const { name, x, y, t_exact } of cases) {
    for (const [kind, test] of [
      ['welch', welchTTest],
      ['student', studentTTest],
    ] as const) {
      const reference = t_exact[kind];
      if (reference === undefined) {
        it(`${name}: ${kind} is undefined and says why`, () => expectUndefined(test(x, y)));
        continue;
      }
      it(`${name}: ${kind} agrees with the 50-digit answer`, () => {
        const result = test(x, y);
        expectRelative(result.statistic, reference.t, 1e-10, 't');
        expectRelative(result.df, reference.df, 1e-10, 'df');
        expectRelative(result.estimate, reference.mean_diff, 1e-10, 'estimate');
        expectRelative(result.standardError, reference.se, 1e-10, 'standardError');
        for (const [alternative, p] of [
          ['two-sided', reference.p_two_sided],
          ['less', reference.p_less],
          ['greater', reference.p_greater],
        ] as const) {
          const { pValue } = test(x, y, { alternative });
          if (p > 1e-300) expectRelative(pValue, p, 1e-8, alternative);
          else expect(pValue, alternative).toBeLessThanOrEqual(1e-300);
        }
        for (const level of ['0.90', '0.95', '0.99'] as const) {
          const { confidenceInterval } = test(x, y, { confidenceLevel: Number(level) });
          expectInterval(confidenceInterval, reference[`ci_${level}`], 1e-9, level);
        }
      });

      it(`${name}: ${kind} from summaries agrees with ${kind} from samples`, () => {
        expectRelative(test(summaryOf(x), summaryOf(y)).statistic, reference.t, 1e-10);
        // A mean in one double has lost digits of a difference that the offset dwarfs.
        const rounded = [x, y].map((sample) => {
          const { n, mean, variance } = summaryOf(sample);
          return { n, mean, variance };
        });
        const tolerance = name.startsWith('offset_') ? 1e-3 : 1e-9;
        expectRelative(test(rounded[0]!, rounded[1]!).statistic, reference.t, tolerance);
      });
    }

    const paired = t_exact.paired;
    if (paired !== undefined) {
      it(`${name}: the paired test agrees with the 50-digit answer`, () => {
        const result = pairedTTest(x, y);
        expectRelative(result.statistic, paired.t, 1e-10, 't');
        expect(result.df).toBe(paired.df);
        if (paired.p_two_sided > 1e-300) expectRelative(result.pValue, paired.p_two_sided, 1e-8, 'p');
      });
    }
  }
});

describe('t-tests', () => {
  const x = [5.1, 4.9, 6.2, 5.8];
  const y = [6.0, 6.6, 7.1, 5.9];

  it('say what they are, what they assume and how many values they saw', () => {
    const result = welchTTest(x, y);
    expect(result.method).toContain('Welch');
    expect(result.assumptions.length).toBeGreaterThan(0);
    expect(result.n).toEqual([4, 4]);
    expect(result).toMatchObject({ alternative: 'two-sided', confidenceLevel: 0.95 });
    expect(result).not.toHaveProperty('reason');
  });

  it("read 'less' as x below y, and leave the other side of the interval open", () => {
    const less = welchTTest(x, y, { alternative: 'less' });
    const greater = welchTTest(x, y, { alternative: 'greater' });
    expect(less.pValue).toBeLessThan(0.05);
    expect(less.pValue! + greater.pValue!).toBeCloseTo(1, 12);
    expect(less.confidenceInterval![0]).toBe(Number.NEGATIVE_INFINITY);
    expect(less.confidenceInterval![1]).toBeLessThan(0);
    expect(greater.confidenceInterval![1]).toBe(Number.POSITIVE_INFINITY);
  });

  it('reject at alpha exactly when the interval at that level excludes 0', () => {
    const { pValue } = studentTTest(x, y);
    for (const [alpha, excludes] of [
      [pValue! * 1.0001, true],
      [pValue! * 0.9999, false],
    ] as const) {
      const [low, high] = studentTTest(x, y, { alpha }).confidenceInterval!;
      expect(low > 0 || high < 0).toBe(excludes);
    }
  });

  it('take alpha and confidenceLevel as names of one choice', () => {
    const byLevel = welchTTest(x, y, { confidenceLevel: 0.9 }).confidenceInterval!;
    expectInterval(welchTTest(x, y, { alpha: 0.1 }).confidenceInterval, byLevel, 1e-14);
    expect(() => welchTTest(x, y, { alpha: 0.1, confidenceLevel: 0.95 })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    );
  });

  it('keep the far tail: a p-value that 1 − cdf would call 0', () => {
    const near = Array.from({ length: 200 }, (_, i) => 10 + (i % 7) / 10);
    const far = near.map((value) => value + 1);
    expect(welchTTest(near, far).pValue).toBeGreaterThan(0);
    expect(welchTTest(near, far).pValue).toBeLessThan(1e-100);
  });

  it('are undefined, with a reason, for one observation, constants and equal differences', () => {
    expectUndefined(welchTTest([1], [1, 2, 3]));
    expectUndefined(studentTTest([1, 2, 3], [1]));
    expectUndefined(welchTTest([2, 2], [3, 3]));
    expectUndefined(pairedTTest([1], [2]));
    expectUndefined(pairedTTest([1, 2, 3], [2, 3, 4]));
    expectUndefined(welchTTest({ n: 1, mean: 4, variance: null }, { n: 5, mean: 3, variance: 2 }));
    expectUndefined(welchTTest([1e200, -1e200], [1, 2]));
    expectUndefined(welchTTest([1.7e308, 1.7e308], [-1.7e308, -1.6e308]));
  });

  it('throw for an empty sample, for values, summaries and options that are not what they must be', () => {
    for (const call of [
      () => welchTTest([], y),
      () => studentTTest(x, []),
      () => pairedTTest([], []),
      () => welchTTest({ n: 0, mean: 0, variance: 0 }, y),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }));
    }
    for (const call of [
      () => welchTTest([1, Number.NaN, 3], y),
      () => welchTTest(x, [1, 2, Number.POSITIVE_INFINITY]),
      () => pairedTTest(x, [1, 2]),
      () => pairedTTest(summaryOf(x) as unknown as number[], y),
      () => welchTTest({ n: 2.5, mean: 1, variance: 1 }, y),
      () => welchTTest({ n: 3, mean: Number.NaN, variance: 1 }, y),
      () => welchTTest({ n: 3, mean: 1, variance: -1 }, y),
      () => welchTTest(x, y, { alpha: 1.5 }),
      () => welchTTest(x, y, { alpha: 0 }),
      () => welchTTest(x, y, { confidenceLevel: 1 }),
      () => welchTTest(x, y, { confidenceLevel: 95 }),
      () => welchTTest(x, y, { alternative: 'two.sided' as 'less' }),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});
