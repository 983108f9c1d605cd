/** Log-gamma, and the regularized incomplete gamma function by both of its tails. */

const LOG_SQRT_2PI = 0.9189385332046727;
const STIRLING_X_MIN = 10;
/** B₂ₖ/(2k(2k − 1)), k = 1…8: coefficients of x^(1 − 2k) in Stirling's series (DLMF 5.11.1). */
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400];
/** Enough for shape parameters of 10^9. */
const MAX_ITERATIONS = 1_000_000;
const EPSILON = Number.EPSILON / 2;
const TINY = 1e-300;

/** ln Γ(x) for x > 0, within 3e-15 absolute or relative, whichever is larger; ∞ at 0, NaN for what is less or no number. */
export function logGamma(x: number): number {
  if (!(x >= 0)) return Number.NaN;
  if (x >= STIRLING_X_MIN) return (x - 0.5) * Math.log(x) - x + LOG_SQRT_2PI + stirlingSeries(x);
  let product = 1;
  let shifted = x;
  while (shifted < STIRLING_X_MIN) {
    product *= shifted;
    shifted++;
  }
  return logGamma(shifted) - Math.log(product);
}

/**
 * What Stirling's formula leaves out: ln Γ(x) − [(x − ½) ln x − x + ln √2π], x > 0. With it, ratios of
 * gamma functions of large arguments need no difference of large logarithms.
 *
 * Source: Loader 2000, Fast and accurate computation of binomial probabilities.
 */
export function stirlingError(x: number): number {
  if (x >= STIRLING_X_MIN) return stirlingSeries(x);
  return logGamma(x) - ((x - 0.5) * Math.log(x) - x + LOG_SQRT_2PI);
}

function stirlingSeries(x: number): number {
  const inverseSquare = 1 / (x * x);
  let sum = 0;
  for (let k = STIRLING.length - 1; k >= 0; k--) sum = sum * inverseSquare + STIRLING[k]!;
  return sum / x;
}

/**
 * x ln(x/m) + m − x for x >= 0 and m > 0: the deviance, without cancellation where x is near m.
 *
 * Source: Loader 2000, as above (there bd0).
 */
export function deviance(x: number, m: number): number {
  if (x === 0) return m;
  const difference = x - m;
  // So that what is no number ends here.
  if (!(Math.abs(difference) < 0.1 * (x + m))) return x * Math.log(x / m) + m - x;
  const ratio = difference / (x + m);
  let sum = difference * ratio;
  let term = 2 * x * ratio;
  for (let odd = 3; ; odd += 2) {
    term *= ratio * ratio;
    const next = sum + term / odd;
    // Of NaN the sum stays NaN, which equals nothing.
    if (next === sum || Number.isNaN(next)) return next;
    sum = next;
  }
}

/** P(a, x) and Q(a, x) = 1 − P(a, x), each with its own relative accuracy; a > 0, x >= 0, and NaN otherwise. */
export function incompleteGamma(a: number, x: number): { lower: number; upper: number } {
  if (!(a > 0 && x >= 0)) return { lower: Number.NaN, upper: Number.NaN };
  if (x === 0) return { lower: 0, upper: 1 };
  if (x === Number.POSITIVE_INFINITY) return { lower: 1, upper: 0 };
  // x^a e^−x / Γ(a)
  const kernel = Math.sqrt(a / (2 * Math.PI)) * Math.exp(-deviance(a, x) - stirlingError(a));
  if (x < a + 1) {
    const lower = (kernel * powerSeries(a, x)) / a;
    return { lower, upper: 1 - lower };
  }
  const upper = kernel * continuedFraction(a, x);
  return { lower: 1 - upper, upper };
}

/** Σ xⁿ/((a + 1)…(a + n)): DLMF 8.11.4. */
function powerSeries(a: number, x: number): number {
  let sum = 1;
  let term = 1;
  for (let n = 1; n < MAX_ITERATIONS; n++) {
    term *= x / (a + n);
    sum += term;
    if (term < sum * EPSILON) break;
  }
  return sum;
}

/** 1/(x + 1 − a − 1(1 − a)/(x + 3 − a − …)): DLMF 8.9.2, evaluated by Lentz's method. */
function continuedFraction(a: number, x: number): number {
  let b = x + 1 - a;
  let c = 1 / TINY;
  let d = 1 / b;
  let fraction = d;
  for (let i = 1; i < MAX_ITERATIONS; i++) {
    const numerator = -i * (i - a);
    b += 2;
    d = 1 / awayFromZero(numerator * d + b);
    c = awayFromZero(b + numerator / c);
    const factor = c * d;
    fraction *= factor;
    if (Math.abs(factor - 1) <= EPSILON * 2) break;
  }
  return fraction;
}

function awayFromZero(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}
