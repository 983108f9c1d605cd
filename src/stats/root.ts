/** Finding where a function crosses zero. */

/**
 * A root of `f` in [low, high], whose ends must have values of opposite sign (or zero), to the last bits
 * of a double: bisection that takes interpolated steps where they shrink the bracket faster.
 *
 * Source: Brent 1973, Algorithms for minimization without derivatives, chapter 4 (zeroin).
 */
export function findRoot(f: (x: number) => number, low: number, high: number): number {
  let a = low;
  let b = high;
  let fa = f(a);
  let fb = f(b);
  let c = a;
  let fc = fa;
  let step = b - a;
  let previousStep = step;
  for (let i = 0; i < 200; i++) {
    if (Math.abs(fc) < Math.abs(fb)) {
      [a, b, c] = [b, c, b];
      [fa, fb, fc] = [fb, fc, fb];
    }
    const tolerance = 2 * Number.EPSILON * Math.abs(b);
    const half = (c - b) / 2;
    if (Math.abs(half) <= tolerance || fb === 0) break;
    const interpolated = interpolationStep(a, b, c, fa, fb, fc);
    const useful =
      Math.abs(previousStep) >= tolerance &&
      Math.abs(fa) > Math.abs(fb) &&
      interpolated * half > 0 &&
      Math.abs(interpolated) < Math.min(1.5 * Math.abs(half), Math.abs(previousStep / 2));
    if (useful) {
      previousStep = step;
      step = interpolated;
    } else {
      step = half;
      previousStep = half;
    }
    a = b;
    fa = fb;
    b += Math.abs(step) > tolerance ? step : Math.sign(half) * tolerance;
    fb = f(b);
    if (fb > 0 === fc > 0) {
      c = a;
      fc = fa;
      step = b - a;
      previousStep = step;
    }
  }
  return b;
}

/** From b: inverse quadratic through three distinct points, else secant through two. */
function interpolationStep(a: number, b: number, c: number, fa: number, fb: number, fc: number): number {
  const s = fb / fa;
  if (a === c) return ((b - c) * s) / (1 - s);
  const q = fa / fc;
  const r = fb / fc;
  const p = s * ((c - b) * q * (q - r) - (b - a) * (r - 1));
  return -p / ((q - 1) * (r - 1) * (s - 1));
}
