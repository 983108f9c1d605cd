import { describe, expect, it } from 'vitest';
import { anova, welchAnova } from '../../src/stats/anova.js';
import { Welford } from '../../src/stats/moments.js';
import { welchTTest } from '../../src/stats/t-tests.js';
import { describeWithFixture } from '../support/fixtures.js';
import { digitsOfAgreement, expectRelative } from '../support/numeric.js';

interface NistAnova {
  data: Record<string, number[]>;
  certified: { F: string };
  double_exact: {
    df_between: number;
    df_within: number;
    F: number;
    ss_between: number;
    ss_within: number;
    r_squared: number;
  };
}

/** F from sums of squares of the raw values: the textbook shortcut. */
function fFromRawSums(groups: readonly number[][]): number {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const all = groups.flat();
  const squares = sum(all.map((value) => value * value));
  const groupTerm = sum(groups.map((group) => sum(group) ** 2 / group.length));
  const between = groupTerm - sum(all) ** 2 / all.length;
  return between / (groups.length - 1) / ((squares - groupTerm) / (all.length - groups.length));
}

describeWithFixture<Record<string, NistAnova>>('nist/anova.json', (sets) => {
  for (const [name, { data, double_exact: exact }] of Object.entries(sets)) {
    it(`${name}: F has 8 digits against the answer for the doubles given`, () => {
      const result = anova(Object.values(data));
      expect(digitsOfAgreement(result.statistic!, exact.F)).toBeGreaterThanOrEqual(8);
      expect(result.df).toEqual([exact.df_between, exact.df_within]);
      expectRelative(result.ssBetween, exact.ss_between, 1e-8, 'ssBetween');
      expectRelative(result.ssWithin, exact.ss_within, 1e-8, 'ssWithin');
      expectRelative(result.etaSquared, exact.r_squared, 1e-8, 'etaSquared');
    });

    it(`${name}: F from streaming moments has 8 digits too`, () => {
      const summaries = Object.values(data).map((group) => {
        const welford = new Welford();
        for (const value of group) welford.push(value);
        return welford;
      });
      expect(digitsOfAgreement(anova(summaries).statistic!, exact.F)).toBeGreaterThanOrEqual(8);
    });
  }

  it('the bar is one that raw sums of squares fail, from SmLs04 on', () => {
    for (const name of ['SmLs04', 'SmLs06', 'SmLs07', 'SmLs09']) {
      const { data, double_exact: exact } = sets[name]!;
      expect(digitsOfAgreement(fFromRawSums(Object.values(data)), exact.F)).not.toBeGreaterThanOrEqual(4);
    }
  });
});

interface KSample {
  name: string;
  groups: number[][];
  exact: {
    df1: number;
    df2: number;
    ss_between: number;
    ss_within: number;
    F: number;
    p: number;
    eta_squared: number;
    omega_squared: number;
    welch_anova: { F: number; df1: number; df2: number; p: number };
  };
}

describeWithFixture<KSample[]>('stats/k_sample.json', (cases) => {
  for (const { name, groups, exact } of cases) {
    it(`${name}: agrees with the 50-digit answer`, () => {
      const result = anova(groups);
      expect(result.df).toEqual([exact.df1, exact.df2]);
      expectRelative(result.statistic, exact.F, 1e-10, 'F');
      expectRelative(result.pValue, exact.p, 1e-8, 'p');
      expectRelative(result.ssBetween, exact.ss_between, 1e-10, 'ssBetween');
      expectRelative(result.ssWithin, exact.ss_within, 1e-10, 'ssWithin');
      expectRelative(result.etaSquared, exact.eta_squared, 1e-10, 'etaSquared');
      expectRelative(result.omegaSquared, exact.omega_squared, 1e-10, 'omegaSquared');
    });

    it(`${name}: Welch's version agrees with the 50-digit answer`, () => {
      const { statistic, df, pValue } = welchAnova(groups);
      expectRelative(statistic, exact.welch_anova.F, 1e-10, 'F');
      expect(df![0]).toBe(exact.welch_anova.df1);
      expectRelative(df![1], exact.welch_anova.df2, 1e-10, 'df2');
      expectRelative(pValue, exact.welch_anova.p, 1e-8, 'p');
    });
  }
});

describe('anova', () => {
  it('takes summaries as well as samples', () => {
    const groups = [
      [1, 2, 4],
      [2, 3, 5, 6],
      [7, 8],
    ];
    const summaries = groups.map((group) => {
      const welford = new Welford();
      for (const value of group) welford.push(value);
      return welford;
    });
    expectRelative(anova(summaries).statistic, anova(groups).statistic!, 1e-13);
  });

  it('is undefined, with a reason, without variance within groups', () => {
    for (const groups of [
      [[1], [2], [3]],
      [
        [1, 1],
        [2, 2],
      ],
      [
        [1e200, -1e200],
        [1, 2],
      ],
    ]) {
      expect(anova(groups)).toMatchObject({ statistic: null, pValue: null, reason: expect.any(String) });
    }
  });

  it('is defined with one observation in a group, where the others vary', () => {
    expect(anova([[1], [2, 3, 4]]).pValue).toBeTypeOf('number');
  });

  it('refuses fewer than two groups, empty groups and values that are not finite', () => {
    for (const test of [anova, welchAnova]) {
      expect(() => test([[1, 2], []])).toThrow(expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }));
      for (const groups of [
        [],
        [[1, 2]],
        [
          [1, Number.NaN],
          [2, 3],
        ],
        5 as unknown as number[][],
      ]) {
        expect(() => test(groups)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
      }
    }
  });
});

describe('welchAnova', () => {
  it("is Welch's t-test for two groups: F = t², and the same p", () => {
    const [x, y] = [
      [1, 2, 4, 8],
      [3, 3.5, 5],
    ];
    const t = welchTTest(x!, y!);
    const f = welchAnova([x!, y!]);
    expectRelative(f.statistic, t.statistic! ** 2, 1e-13);
    expectRelative(f.df![1], t.df!, 1e-13);
    expectRelative(f.pValue, t.pValue!, 1e-12);
  });

  it('is undefined, with a reason, where a group has one observation or no variance', () => {
    for (const groups of [
      [[1], [2, 3]],
      [
        [1, 1],
        [2, 3],
      ],
    ]) {
      expect(welchAnova(groups)).toMatchObject({ statistic: null, df: null, pValue: null });
      expect(welchAnova(groups).reason).toContain('groups[0]');
    }
  });
});
