/** The beta function and the regularized incomplete beta function by both of its tails. */

import { deviance, logGamma, stirlingError } from './gamma.js';

/** Enough for parameters of 10^9. */
const MAX_ITERATIONS = 1_000_000;
const TINY = 1e-300;

/** ln B(a, b) for a, b > 0; NaN for what is less or no number. */
export function logBeta(a: number, b: number): number {
  const small = Math.min(a, b);
  const large = Math.max(a, b);
  if (large < 10) return logGamma(a) + logGamma(b) - logGamma(a + b);
  // With Stirling's formula the large logarithms cancel on paper instead of in doubles.
  const stirling = stirlingError(large) - stirlingError(a + b);
  return (
    logGamma(small) + stirling + small - small * Math.log(a + b) - (large - 0.5) * Math.log1p(small / large)
  );
}

/**
 * I_x(a, b) and its complement I_y(b, a), each with its own relative accuracy, for a, b > 0 and
 * x + y = 1. Both x and y are asked for because the smaller one carries digits that 1 − x would lose. NaN where a
 * parameter is not above 0, or anything is no number.
 *
 * Source: Didonato & Morris 1992, ACM TOMS 18, 360-373, eq. 9; the power x^a y^b / B(a, b) is in Loader's
 * form (see gamma.ts).
 */
export function incompleteBeta(a: number, b: number, x: number, y: number): { lower: number; upper: number } {
  if (!(a > 0 && b > 0) || Number.isNaN(x + y)) return { lower: Number.NaN, upper: Number.NaN };
  if (x <= 0) return { lower: 0, upper: 1 };
  if (y <= 0) return { lower: 1, upper: 0 };
  const n = a + b;
  const kernel =
    Math.sqrt((a / (2 * Math.PI)) * (b / n)) *
    Math.exp(
      stirlingError(n) - stirlingError(a) - stirlingError(b) - deviance(a, n * x) - deviance(b, n * y),
    );
  // How far x is below the mean, in units of 1/n; from the smaller of x and y, where nothing cancels.
  const belowMean = y < x ? n * y - b : a - n * x;
  // The fraction converges fast on the side of the mean that x is on.
  if (belowMean >= 0) {
    const lower = kernel / continuedFraction(a, b, x, y, belowMean);
    return { lower, upper: 1 - lower };
  }
  const upper = kernel / continuedFraction(b, a, y, x, -belowMean);
  return { lower: 1 - upper, upper };
}

/** β₀ + α₁/(β₁ + α₂/(β₂ + …)) by Lentz's method. */
function continuedFraction(a: number, b: number, x: number, y: number, belowMean: number): number {
  let fraction = awayFromZero((a * (belowMean + 1)) / (a + 1));
  let c = fraction;
  let d = 0;
  for (let m = 1; m < MAX_ITERATIONS; m++) {
    const odd = a + 2 * m - 1;
    const w = (m * (b - m) * x) / odd;
    const alpha = ((a + m - 1) / odd) * (a + b + m - 1) * w * x;
    const beta = m + w + ((a + m) * (belowMean + 1 + m * (1 + y))) / (odd + 2);
    d = 1 / awayFromZero(beta + alpha * d);
    c = awayFromZero(beta + alpha / c);
    const factor = c * d;
    fraction *= factor;
    if (Math.abs(factor - 1) <= Number.EPSILON) break;
  }
  return fraction;
}

function awayFromZero(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}
