import { describe, expect, it } from 'vitest';
import { erfc, normalCdf, normalQuantile, normalSurvival } from '../../src/stats/normal.js';
import { expectRelative } from '../support/numeric.js';

// Computed with mpmath 1.3 at 60 digits from the doubles shown.
const SURVIVAL: [x: number, expected: number][] = [
  [-38, 1.0],
  [-8, 0.9999999999999993],
  [-3, 0.9986501019683699],
  [-0.7, 0.758036347776927],
  [-0.5, 0.6914624612740131],
  [-1e-9, 0.5000000003989423],
  [0, 0.5],
  [1e-9, 0.49999999960105773],
  [0.3, 0.3820885778110474],
  [0.6744, 0.2500285213729406],
  [0.6745, 0.24999674286369916],
  [1, 0.15865525393145705],
  [1.96, 0.024997895148220435],
  [3, 0.0013498980316300946],
  [5.65, 8.022391850663497e-9],
  [5.66, 7.568649751997714e-9],
  [8, 6.220960574271784e-16],
  [10, 7.619853024160525e-24],
  [20, 2.7536241186062337e-89],
  [30, 4.906713927148187e-198],
  [37, 5.725571222524577e-300],
  [37.5, 4.605353009581955e-308],
];
const ERFC: [x: number, expected: number][] = [
  [-5, 1.9999999999984626],
  [-1, 1.8427007929497148],
  [-0.1, 1.1124629160182848],
  [0, 1.0],
  [0.1, 0.887537083981715],
  [0.5, 0.4795001221869535],
  [1, 0.15729920705028513],
  [2, 0.004677734981047266],
  [5, 1.537459794428035e-12],
  [10, 2.088487583762545e-45],
  [20, 5.395865611607901e-176],
  [26, 5.663192408856143e-296],
];
const QUANTILE: [x: number, expected: number][] = [
  [1e-300, -37.0470962993612],
  [1e-100, -21.273453560965326],
  [1e-50, -14.933337534788489],
  [1e-20, -9.262340089798407],
  [1e-10, -6.361340902404057],
  [1e-5, -4.264890793922825],
  [0.001, -3.0902323061678136],
  [0.025, -1.9599639845400543],
  [0.05, -1.6448536269514726],
  [0.074, -1.4466320671589785],
  [0.0751, -1.43882539275254],
  [0.2, -0.8416212335729142],
  [0.4, -0.2533471031357997],
  [0.499, -0.002506630899571766],
  [0.6, 0.2533471031357997],
];

describe('normalSurvival', () => {
  it('has 14 digits from the centre to the last doubles of the tail', () => {
    for (const [z, expected] of SURVIVAL) expectRelative(normalSurvival(z), expected, 1e-14, `z = ${z}`);
  });

  it('is what one minus the lower tail cannot give', () => {
    expect(1 - normalCdf(10)).toBe(0);
    expectRelative(normalSurvival(10), 7.61985302416052e-24, 1e-14);
  });

  it('mirrors normalCdf, and ends at 0 and 1', () => {
    for (const z of [0.1, 0.7, 4, 9]) expect(normalCdf(z)).toBe(normalSurvival(-z));
    expect([normalSurvival(40), normalSurvival(-40)]).toEqual([0, 1]);
  });
});

describe('erfc', () => {
  it('has 12 digits up to x = 26, where it is 6e-296', () => {
    for (const [x, expected] of ERFC) expectRelative(erfc(x), expected, 1e-12, `x = ${x}`);
  });
});

describe('normalQuantile', () => {
  it('has 15 digits down to a tail of 1e-300', () => {
    for (const [p, expected] of QUANTILE) expectRelative(normalQuantile(p), expected, 1e-15, `p = ${p}`);
  });

  it('inverts normalCdf', () => {
    for (const z of [-30, -5, -1, -0.2, 0, 0.2, 1]) expect(normalQuantile(normalCdf(z))).toBeCloseTo(z, 12);
  });

  it('is infinite at 0 and 1', () => {
    expect([normalQuantile(0), normalQuantile(1)]).toEqual([
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
  });
});
