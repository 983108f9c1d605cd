/** Tails and quantiles of the distributions that the tests refer to. Of what is no number they are NaN. */

import { incompleteBeta } from './beta.js';
import { deviance, incompleteGamma, stirlingError } from './gamma.js';
import { normalQuantile, normalSurvival } from './normal.js';
import { findRoot } from './root.js';
import type { Alternative } from './sample.js';

/** P(T > t) for Student's t with df > 0 degrees of freedom. */
export function studentSurvival(t: number, df: number): number {
  const square = t * t;
  if (Number.isNaN(t + df)) return Number.NaN;
  if (df === Number.POSITIVE_INFINITY) return normalSurvival(t);
  if (square === Number.POSITIVE_INFINITY) return t > 0 ? 0 : 1;
  const x = df / (df + square);
  const y = square / (df + square);
  const { lower, upper } = incompleteBeta(df / 2, 0.5, x, y);
  return t > 0 ? lower / 2 : 0.5 + upper / 2;
}

/** The t with P(T > t) = tail, for tail in (0, 1). */
export function studentUpperQuantile(tail: number, df: number): number {
  if (!(df > 0)) return Number.NaN;
  if (tail === 0.5) return 0;
  if (tail > 0.5) return -studentUpperQuantile(1 - tail, df);
  // On logarithmic scales the tail is close to a line, so few steps are needed however far out it is.
  const excess = (logT: number) => Math.log(studentSurvival(Math.exp(logT), df) / tail);
  const start = Math.log(-normalQuantile(tail));
  let high = start;
  for (let stride = 0.25; excess(high) > 0; stride *= 2) high += stride;
  return Math.exp(findRoot(excess, start - 0.25, high));
}

/** P(F > f) for f >= 0 with df1 and df2 degrees of freedom. */
export function fSurvival(f: number, df1: number, df2: number): number {
  if (Number.isNaN(f + df1 + df2)) return Number.NaN;
  if (f === Number.POSITIVE_INFINITY) return 0;
  const scaled = df1 * f;
  return incompleteBeta(df1 / 2, df2 / 2, scaled / (scaled + df2), df2 / (scaled + df2)).upper;
}

/** P(χ² > x) for x >= 0. */
export function chiSquareSurvival(x: number, df: number): number {
  return incompleteGamma(df / 2, x / 2).upper;
}

/** The p with I_p(a, b) = probability: a quantile of the beta distribution, a, b > 0; NaN for an invalid probability. */
export function betaQuantile(probability: number, a: number, b: number): number {
  if (!(a > 0 && b > 0 && probability >= 0 && probability <= 1)) return Number.NaN;
  if (probability === 0 || probability === 1) return probability;
  // Solved on the logit scale, where a quantile next to 0 or 1 keeps its digits.
  const excess = (logit: number) => {
    const { lower, upper } = incompleteBeta(a, b, 1 / (1 + Math.exp(-logit)), 1 / (1 + Math.exp(logit)));
    return Math.log(lower / probability) - Math.log(upper / (1 - probability));
  };
  const middle = Math.log(a / b);
  let low = middle;
  let high = middle;
  for (let stride = 1; excess(low) > 0; stride *= 2) low -= stride;
  for (let stride = 1; excess(high) < 0; stride *= 2) high += stride;
  return 1 / (1 + Math.exp(-findRoot(excess, low, high)));
}

/**
 * The limit of P(√n D > x) for Kolmogorov's statistic D, two-sided.
 *
 * Source: Kolmogorov 1933; the second form, for small x, is its theta-function transform.
 */
export function kolmogorovSurvival(x: number): number {
  if (x <= 0) return 1;
  if (x < 1) {
    const exponent = -(Math.PI ** 2) / (8 * x * x);
    let sum = 0;
    for (let odd = 1; odd <= 9; odd += 2) sum += Math.exp(exponent * odd * odd);
    return 1 - (Math.sqrt(2 * Math.PI) / x) * sum;
  }
  let sum = 0;
  for (let k = 1; k <= 8; k++) sum += (k % 2 === 1 ? 1 : -1) * Math.exp(-2 * k * k * x * x);
  return Math.min(1, 2 * sum);
}

/**
 * P(T > t) for the noncentral t with df degrees of freedom and t >= 0: T = (Z + shift)/S, S² ~ χ²/df. NaN unless df and
 * the shift are finite.
 *
 * The expectation over whichever of S and Z is the wider in the other's terms, by the trapezoidal rule.
 * Both integrands are analytic and log-concave, so a step of half the narrowest width gives all digits of
 * a double, and about a hundred terms are enough for any arguments.
 */
export function noncentralStudentSurvival(t: number, df: number, shift: number): number {
  if (!(df > 0 && Number.isFinite(df) && Number.isFinite(shift)) || Number.isNaN(t)) return Number.NaN;
  const a = df / 2;
  if (shift * shift > 100 * df && t > 0) {
    const probability = (z: number) =>
      z + shift <= 0 ? 0 : incompleteGamma(a, a * ((z + shift) / t) ** 2).lower;
    const step = 0.5 * Math.min(1, t / Math.sqrt(2 * df));
    return sumLogConcave((z) => Math.exp((-z * z) / 2) * probability(z), step, 40) / Math.sqrt(2 * Math.PI);
  }
  // u = ln S, whose density is proportional to exp(−deviance(a, a·e^2u)).
  const density = (u: number) => Math.exp(-deviance(a, a * Math.exp(2 * u)));
  const step = 0.5 * Math.min(1 / Math.sqrt(2 * df), 1 / (1 + Math.abs(shift)), 0.1);
  const sum = sumLogConcave((u) => density(u) * normalSurvival(t * Math.exp(u) - shift), step, 745 / df + 1);
  return 2 * Math.sqrt(a / (2 * Math.PI)) * Math.exp(-stirlingError(a)) * sum;
}

/** step · Σ f(i·step), ended on each side at the first negligible term, or where |x| exceeds `reach`. */
function sumLogConcave(f: (x: number) => number, step: number, reach: number): number {
  let sum = f(0);
  for (const direction of [-step, step]) {
    let previous = 0;
    for (let i = 1; i * step <= reach; i++) {
      const value = f(i * direction);
      sum += value;
      if (sum > 0 && value <= previous && value <= 1e-19 * sum) break;
      previous = value;
    }
  }
  return sum * step;
}

/** The p-value of a statistic whose survival function under the null is `survival`, symmetric around 0. */
export function symmetricPValue(
  statistic: number,
  alternative: Alternative,
  survival: (x: number) => number,
): number {
  if (alternative === 'greater') return survival(statistic);
  if (alternative === 'less') return survival(-statistic);
  return Math.min(1, 2 * survival(Math.abs(statistic)));
}
