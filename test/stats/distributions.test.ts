import { describe, expect, it } from 'vitest';
import { incompleteBeta } from '../../src/stats/beta.js';
import {
  betaQuantile,
  chiSquareSurvival,
  fSurvival,
  kolmogorovSurvival,
  noncentralStudentSurvival,
  studentSurvival,
  studentUpperQuantile,
} from '../../src/stats/distributions.js';
import { expectRelative } from '../support/numeric.js';

// Computed with mpmath 1.3 at 60 digits from the doubles shown; the noncentral t at 30 by quadrature.
const STUDENT: [t: number, df: number, expected: number][] = [
  [0, 3, 0.5],
  [1e-8, 5, 0.4999999962039331],
  [0.5, 1, 0.35241638234956674],
  [1, 1.4705882352941178, 0.22664392023917035],
  [-2, 4, 0.9419417382415922],
  [2.5, 10.5, 0.01521313632054428],
  [40, 200, 1.1243698267601253e-97],
  [100, 2.5, 7.191649211666188e-6],
  [1000000.0, 1, 3.1830988618368455e-7],
  [12.7, 1, 0.02501216384467208],
  [17.5, 149.05, 2.8587189948728594e-38],
  [287, 1948.4, 0.0],
  [5, 1000000.0, 2.866998935445371e-7],
  [8, 10000.0, 6.910604364532691e-16],
  [37, 1000000000.0, 5.72825842877757e-300],
  [6, 1000000000000.0, 9.865876453749096e-10],
  [0.001, 1000000.0, 0.49960105788582454],
  [1.96, 50000, 0.025000668056715497],
];
const F: [f: number, df1: number, df2: number, expected: number][] = [
  [0, 2, 3, 1.0],
  [1, 1, 1, 0.5],
  [50, 3, 100, 7.944424679087572e-20],
  [300, 5, 500, 5.956364548406931e-148],
  [21, 8, 180, 2.5832643372689714e-22],
  [201, 8, 1800, 4.0371418857539826e-243],
  [1.18, 4, 20, 0.3496362912094317],
  [0.01, 4, 20, 0.9997834859346632],
  [4.07, 2, 5.5645, 0.08145622361561668],
  [2001, 8, 18000, 0.0],
  [0.9, 100000, 100000, 1.0],
  [1.02, 1000000, 2000, 0.269934236146883],
];
const CHI_SQUARE: [x: number, df: number, expected: number][] = [
  [0.001, 1, 0.9747728793699604],
  [3.84, 1, 0.050043521248705106],
  [100, 10, 5.4497019829205295e-17],
  [500, 20, 2.91026687302731e-93],
  [1400, 1, 2.1010145162642176e-306],
  [0.5, 10, 0.999993388289439],
  [1000, 1000, 0.49405285382923964],
  [10000.0, 9000, 3.0318018385490987e-13],
  [1000000.0, 1000500, 0.6379755067273698],
  [1300, 5, 6.387375234473711e-279],
];
const KOLMOGOROV: [x: number, expected: number][] = [
  [0.3, 0.9999906941986655],
  [0.5, 0.9639452436648751],
  [0.8276, 0.4999584165635473],
  [0.99, 0.2808738392255489],
  [1.0, 0.2699996716773545],
  [1.001, 0.268929266298627],
  [1.36, 0.04948587675537788],
  [2, 0.0006709252557796953],
  [5, 3.8574996959278356e-22],
  [12, 1.6757885067638739e-125],
];
const NONCENTRAL: [t: number, df: number, shift: number, expected: number][] = [
  [4.302652729911275, 2, 0.1, 0.029126407705271314],
  [2.1, 18, 2.2, 0.5488703790786404],
  [2.776, 4, 1.5, 0.2126936511590698],
  [1.96, 1998, 2.5, 0.7053965941055953],
  [2.0, 38, 0, 0.026342535483833526],
  [12.7062, 1, 3, 0.18610814192650602],
  [3, 6.5, -1, 0.0008817060923212294],
  [2.6, 60, 8, 0.999999928027634],
  [1.965, 5000, 10, 0.9999999999999996],
  [2.3, 20, 30, 1.0],
  [287, 10, 1, 6.50758824413605e-20],
  [1000, 5, 950, 0.5217869327941704],
  [250, 5, 300, 0.7937961107823014],
  [30, 2, 25, 0.5004334890428191],
];

describe('survival functions', () => {
  it('of Student have 12 digits for any df and into the far tail', () => {
    for (const [t, df, expected] of STUDENT)
      expectRelative(studentSurvival(t, df), expected, 1e-12, `t(${df}) > ${t}`);
    expect([studentSurvival(1e200, 3), studentSurvival(-1e200, 3)]).toEqual([0, 1]);
  });

  it('of F have 12 digits where 1 − cdf is 0', () => {
    for (const [f, df1, df2, expected] of F) {
      expectRelative(fSurvival(f, df1, df2), expected, 1e-12, `F(${df1}, ${df2}) > ${f}`);
    }
    expect(fSurvival(Number.POSITIVE_INFINITY, 2, 3)).toBe(0);
  });

  it('of chi-square have 12 digits where 1 − cdf is 0', () => {
    for (const [x, df, expected] of CHI_SQUARE)
      expectRelative(chiSquareSurvival(x, df), expected, 1e-12, `${df}, ${x}`);
  });

  it('of Kolmogorov have 14 digits on both sides of where the two series meet', () => {
    for (const [x, expected] of KOLMOGOROV)
      expectRelative(kolmogorovSurvival(x), expected, 1e-14, `x = ${x}`);
    expect(kolmogorovSurvival(0)).toBe(1);
  });

  it('of the noncentral t have 13 digits', () => {
    for (const [t, df, shift, expected] of NONCENTRAL) {
      expectRelative(noncentralStudentSurvival(t, df, shift), expected, 1e-13, `t(${df}, ${shift}) > ${t}`);
    }
  });
});

describe('studentUpperQuantile', () => {
  it('inverts the survival function from the median to tails of 1e-100', () => {
    for (const [tail, df] of [
      [0.025, 1],
      [0.025, 10],
      [0.05, 1.47],
      [1e-10, 3],
      [0.4999, 5],
      [0.005, 1e6],
      [1e-100, 50],
    ] as const) {
      expectRelative(studentSurvival(studentUpperQuantile(tail, df), df), tail, 1e-13, `${tail}, ${df}`);
    }
    expect(studentUpperQuantile(0.5, 7)).toBe(0);
  });

  it('knows the table value for 95 % and 10 degrees of freedom', () => {
    expect(studentUpperQuantile(0.025, 10)).toBeCloseTo(2.2281388519862744, 13);
  });
});

describe('betaQuantile', () => {
  it('inverts the incomplete beta function, next to 0 and 1 too', () => {
    for (const [probability, a, b] of [
      [0.025, 0.5, 1.5],
      [0.975, 10, 2],
      [0.5, 3, 3],
      [1e-8, 2, 50],
      [0.995, 0.5, 1000.5],
    ] as const) {
      const p = betaQuantile(probability, a, b);
      expectRelative(incompleteBeta(a, b, p, 1 - p).lower, probability, 1e-12, `${probability}, ${a}, ${b}`);
    }
  });
});
