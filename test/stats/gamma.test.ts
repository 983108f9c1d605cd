import { describe, expect, it } from 'vitest';
import { deviance, incompleteGamma, logGamma, stirlingError } from '../../src/stats/gamma.js';
import { expectRelative } from '../support/numeric.js';

// Computed with mpmath 1.3 at 60 digits from the doubles shown.
const LOG_GAMMA: [x: number, expected: number][] = [
  [1e-10, 23.025850929882736],
  [0.1, 2.252712651734206],
  [0.5, 0.5723649429247001],
  [0.9999, 5.7729791561193866e-5],
  [1.0001, -5.771334222047127e-5],
  [1.5, -0.12078223763524522],
  [1.9999, -4.227520877215346e-5],
  [2.5, 0.2846828704729192],
  [3, Math.LN2],
  [5.5, 3.9578139676187165],
  [9.99, 12.779315214350193],
  [10, 12.801827480081469],
  [25.25, 55.585686044869426],
  [100, 359.1342053695754],
  [10000.0, 82099.71749644238],
  [100000000.0, 1742068066.1038346],
  [1000000000000000.0, 3.3538776394910668e16],
];
const UPPER: [a: number, x: number, expected: number][] = [
  [0.5, 0.0005, 0.9747728793699604],
  [0.5, 1.92, 0.050043521248705106],
  [5.0, 50.0, 5.4497019829205295e-17],
  [10.0, 250.0, 2.91026687302731e-93],
  [0.5, 700.0, 2.1010145162642176e-306],
  [5.0, 0.25, 0.999993388289439],
  [500.0, 500.0, 0.49405285382923964],
  [4500.0, 5000.0, 3.0318018385490987e-13],
  [500250.0, 500000.0, 0.6379755067273698],
  [2.5, 650.0, 6.387375234473711e-279],
];
const LOWER: [a: number, x: number, expected: number][] = [
  [0.5, 5e-9, 7.978845594730578e-5],
  [5.0, 0.25, 6.611710561034247e-6],
  [20.0, 0.5, 2.435465429925314e-25],
  [500.0, 450.0, 0.010717238091289742],
  [1.5, 0.0005, 8.40791905804616e-6],
];

describe('logGamma', () => {
  it('is within 3e-15, absolute or relative, from 1e-10 to 1e15', () => {
    for (const [x, expected] of LOG_GAMMA) {
      expect(Math.abs(logGamma(x) - expected)).toBeLessThanOrEqual(3e-15 * Math.max(1, Math.abs(expected)));
    }
  });
});

describe('stirlingError', () => {
  it('joins its series and its definition without a step', () => {
    expectRelative(stirlingError(9.999999999), stirlingError(10), 1e-9);
    expectRelative(stirlingError(1e6), 1 / 12e6, 1e-12);
  });
});

describe('deviance', () => {
  it('keeps its digits where the logarithm and the difference cancel', () => {
    // d²/2m to first order: the naive expression has no correct digit here.
    expectRelative(deviance(1e8 + 1, 1e8), 5e-9, 1e-8);
    expectRelative(deviance(3, 1), 3 * Math.log(3) - 2, 1e-15);
    expect([deviance(0, 2), deviance(2, 2)]).toEqual([2, 0]);
  });
});

describe('incompleteGamma', () => {
  it('has 13 digits in the upper tail, down to 1e-300', () => {
    for (const [a, x, expected] of UPPER)
      expectRelative(incompleteGamma(a, x).upper, expected, 1e-13, `Q(${a}, ${x})`);
  });

  it('has 13 digits in the lower tail', () => {
    for (const [a, x, expected] of LOWER)
      expectRelative(incompleteGamma(a, x).lower, expected, 1e-13, `P(${a}, ${x})`);
  });

  it('has tails that sum to one and end at 0 and infinity', () => {
    expect(incompleteGamma(2, 0)).toEqual({ lower: 0, upper: 1 });
    expect(incompleteGamma(2, Number.POSITIVE_INFINITY)).toEqual({ lower: 1, upper: 0 });
    const { lower, upper } = incompleteGamma(7.5, 7);
    expect(lower + upper).toBeCloseTo(1, 15);
  });
});

it('of no number is none, and ends', () => {
  expect(deviance(Number.NaN, 1)).toBeNaN();
  expect(deviance(1, Number.NaN)).toBeNaN();
  expect(incompleteGamma(0.5, Number.NaN).upper).toBeNaN();
});
