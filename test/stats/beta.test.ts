import { describe, expect, it } from 'vitest';
import { incompleteBeta, logBeta } from '../../src/stats/beta.js';
import { logGamma } from '../../src/stats/gamma.js';
import { expectRelative } from '../support/numeric.js';

// Computed with mpmath 1.3 at 60 digits from the doubles shown.
const TAILS: [a: number, b: number, x: number, lower: number, upper: number][] = [
  [0.5, 0.5, 0.3, 0.36901011956554536, 0.6309898804344546],
  [2, 3, 0.001, 5.992003e-6, 0.999994007997],
  [0.001, 3, 0.5, 0.9999317848369582, 6.821516304182144e-5],
  [50, 1, 0.9, 0.00515377520732012, 0.9948462247926799],
  [1, 50, 0.1, 0.9948462247926799, 0.005153775207320112],
  [1000, 2000, 0.3, 4.0738279160507714e-5, 0.9999592617208395],
  [5000.5, 2.5, 0.999, 0.07502289207472446, 0.9249771079252755],
  [100000.0, 100000.0, 0.5, 0.5, 0.5],
  [1000000.0, 0.5, 0.9999, 2.0780712799762738e-45, 1.0],
  [10, 1000000.0, 1e-5, 0.5420821709850846, 0.45791782901491535],
  [300, 700, 0.2, 3.328240872606518e-14, 0.9999999999999667],
  [0.1, 0.1, 0.999, 0.7457583434113918, 0.2542416565886082],
];

describe('incompleteBeta', () => {
  it('has 13 digits in both tails', () => {
    for (const [a, b, x, expectedLower, expectedUpper] of TAILS) {
      const { lower, upper } = incompleteBeta(a, b, x, 1 - x);
      expectRelative(lower, expectedLower, 1e-13, `I(${a}, ${b}; ${x})`);
      expectRelative(upper, expectedUpper, 1e-13, `1 - I(${a}, ${b}; ${x})`);
    }
  });

  it('uses the digits of y that 1 − x has lost', () => {
    // With b = 1 the upper tail is 1 − (1 − y)^a, nearly a·y.
    expectRelative(incompleteBeta(2, 1, 1, 1e-40).upper, 2e-40, 1e-14);
  });

  it('is 0 and 1 at the ends', () => {
    expect(incompleteBeta(2, 3, 0, 1)).toEqual({ lower: 0, upper: 1 });
    expect(incompleteBeta(2, 3, 1, 0)).toEqual({ lower: 1, upper: 0 });
  });
});

describe('logBeta', () => {
  it('agrees with its definition and keeps digits where the definition cancels', () => {
    expectRelative(logBeta(2.5, 3.5), logGamma(2.5) + logGamma(3.5) - logGamma(6), 1e-14);
    // B(1, b) = 1/b, B(2, b) = 1/(b(b + 1)).
    expectRelative(logBeta(1, 1e12), -Math.log(1e12), 1e-15);
    expectRelative(logBeta(1e9, 2), -Math.log(1e9) - Math.log(1e9 + 1), 1e-15);
    expectRelative(logBeta(40, 60), logGamma(40) + logGamma(60) - logGamma(100), 1e-13);
  });
});
