import { describe, expect, it } from 'vitest';
import { chiSquare, fisherExact } from '../../src/stats/contingency.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectRelative } from '../support/numeric.js';

type Table = [[number, number], [number, number]];
interface Proportions {
  tables: {
    table: Table;
    expected: {
      chi2_uncorrected?: { statistic: number; df: number; p: number };
      chi2_yates?: { statistic: number; df: number; p: number };
      fisher: { 'two-sided': number; less: number; greater: number };
      odds_ratio_sample: number;
    };
  }[];
}

describeWithFixture<Proportions>('stats/proportions.json', ({ tables }) => {
  for (const { table, expected } of tables) {
    const name = JSON.stringify(table);
    for (const [yates, reference] of [
      [false, expected.chi2_uncorrected],
      [true, expected.chi2_yates],
    ] as const) {
      it(`${name}: chi-square ${yates ? 'with' : 'without'} Yates' correction agrees`, () => {
        const result = chiSquare(table, { yates });
        expect(result.df).toBe(1);
        if (reference === undefined) {
          expect(result).toMatchObject({ statistic: null, pValue: null, reason: expect.any(String) });
        } else {
          expectRelative(result.statistic, reference.statistic, 1e-10, 'statistic');
          expectRelative(result.pValue, reference.p, 1e-8, 'p');
        }
      });
    }

    it(`${name}: Fisher's exact p-values agree to 1e-9`, () => {
      for (const alternative of ['two-sided', 'less', 'greater'] as const) {
        const { pValue } = fisherExact(table, { alternative });
        expectRelative(pValue, expected.fisher[alternative], 1e-9, alternative);
      }
      const { estimate } = fisherExact(table);
      if (Number.isNaN(expected.odds_ratio_sample)) expect(estimate).toBeNull();
      else expectRelative(estimate, expected.odds_ratio_sample, 1e-12, 'odds ratio');
    });
  }
});

describe('chiSquare', () => {
  it('takes tables of any size', () => {
    // SciPy 1.17: chi2_contingency([[12, 5, 7], [9, 8, 10]], correction=False)
    const result = chiSquare([
      [12, 5, 7],
      [9, 8, 10],
    ]);
    expect(result.df).toBe(2);
    expect(result.statistic).toBeCloseTo(1.4789377289377283, 13);
    expect(result.expected![0]![0]).toBeCloseTo((24 * 21) / 51, 12);
  });

  it("measures association by Cramér's V, 1 where rows determine columns", () => {
    expect(
      chiSquare([
        [10, 0],
        [0, 20],
      ]).cramersV,
    ).toBeCloseTo(1, 14);
  });

  it("refuses counts that are not counts, ragged and empty tables, and Yates' correction beyond 2 × 2", () => {
    for (const table of [
      [
        [1.5, 2],
        [3, 4],
      ],
      [
        [-1, 2],
        [3, 4],
      ],
      [
        [Number.NaN, 2],
        [3, 4],
      ],
      [[1, 2], [3]],
      [[1, 2]],
      [],
      null as unknown as number[][],
    ]) {
      expect(() => chiSquare(table)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
      expect(() => fisherExact(table)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
    const wide = [
      [1, 2, 3],
      [3, 2, 1],
    ];
    expect(() => chiSquare(wide, { yates: true })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    );
    const zeros = [
      [0, 0],
      [0, 0],
    ];
    expect(() => chiSquare(zeros)).toThrow(expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }));
  });
});

describe('fisherExact', () => {
  const tea = [
    [3, 1],
    [1, 3],
  ];

  it("knows the lady's cups of tea, interval included", () => {
    // Limits solved with mpmath at 30 digits; R prints 0.2117329 and 621.93, at its root finder's tolerance.
    const result = fisherExact(tea);
    expect(result.pValue).toBeCloseTo(0.4857142857142857, 14);
    expect(result.confidenceInterval![0]).toBeCloseTo(0.211735595446579, 13);
    expect(result.confidenceInterval![1]).toBeCloseTo(626.243530588814, 9);
    expect(fisherExact(tea, { alternative: 'greater' }).confidenceInterval![0]).toBeCloseTo(
      0.3135737675049858,
      13,
    );
    expect(fisherExact(tea, { alternative: 'greater' }).confidenceInterval![1]).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  it('enumerates: p-values are sums of hypergeometric probabilities', () => {
    const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);
    const [row, column, total] = [7, 9, 20];
    const probability = (a: number) =>
      (choose(row, a) * choose(total - row, column - a)) / choose(total, column);
    for (let a = 0; a <= 7; a++) {
      const table = [
        [a, row - a],
        [column - a, total - row - column + a],
      ];
      let less = 0;
      let twoSided = 0;
      for (let k = 0; k <= 7; k++) {
        if (k <= a) less += probability(k);
        if (probability(k) <= probability(a) * (1 + 1e-9)) twoSided += probability(k);
      }
      expect(fisherExact(table, { alternative: 'less' }).pValue).toBeCloseTo(less, 13);
      expect(fisherExact(table).pValue).toBeCloseTo(twoSided, 13);
    }
  });

  it('keeps its digits in a table of four million, where differences of log-factorials do not', () => {
    // Summed with mpmath at 40 digits.
    const table = [
      [1_000_000, 1_000_000],
      [1_001_000, 999_000],
    ];
    expectRelative(fisherExact(table, { alternative: 'less' }).pValue, 0.1588973154050892, 1e-12);
    expectRelative(fisherExact(table, { alternative: 'greater' }).pValue, 0.8415866260641133, 1e-12);
  });

  it('keeps tiny p-values', () => {
    const { pValue } = fisherExact([
      [900, 100],
      [100, 900],
    ]);
    expect(pValue).toBeGreaterThan(0);
    expect(pValue).toBeLessThan(1e-250);
  });

  it('has an infinite or zero odds ratio where a cell is empty, with an interval that says how far', () => {
    const result = fisherExact([
      [7, 12],
      [0, 5],
    ]);
    expect(result.estimate).toBe(Number.POSITIVE_INFINITY);
    expect(result.confidenceInterval![0]).toBeGreaterThan(0);
    expect(result.confidenceInterval![1]).toBe(Number.POSITIVE_INFINITY);
    const mirrored = fisherExact([
      [0, 5],
      [7, 12],
    ]);
    expect(mirrored.estimate).toBe(0);
    expect(mirrored.confidenceInterval![1]).toBeCloseTo(1 / result.confidenceInterval![0], 9);
  });

  it('has no odds ratio, and a p-value of 1, where a margin is empty', () => {
    const result = fisherExact([
      [12, 0],
      [9, 0],
    ]);
    expect(result).toMatchObject({
      pValue: 1,
      estimate: null,
      confidenceInterval: null,
      reason: expect.any(String),
    });
  });

  it('refuses tables other than 2 × 2 and options out of range', () => {
    expect(() =>
      fisherExact([
        [1, 2, 3],
        [3, 2, 1],
      ]),
    ).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    expect(() => fisherExact(tea, { alpha: 1.5 })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    );
  });
});
