/** Measures of agreement between a computed number and its reference. */

import { expect } from 'vitest';

/** |actual − expected| / |expected|; 0 when both are equal, zero included. */
export function relativeError(actual: number, expected: number): number {
  if (actual === expected) return 0;
  return Math.abs(actual - expected) / Math.abs(expected);
}

/** Digits of agreement, −log10 of the relative error (NIST's LRE); 17 when equal. */
export function digitsOfAgreement(actual: number, expected: number): number {
  const error = relativeError(actual, expected);
  return error === 0 ? 17 : -Math.log10(error);
}

/** Fails unless `actual` is a number within relative `tolerance` of `expected`. */
export function expectRelative(
  actual: number | null | undefined,
  expected: number,
  tolerance: number,
  what = 'value',
): void {
  expect(actual, `${what}: expected ${expected}`).toBeTypeOf('number');
  const error = relativeError(actual as number, expected);
  expect(error, `${what}: ${actual} against ${expected}`).toBeLessThanOrEqual(tolerance);
}

/** Fails unless both limits are within `tolerance` of the interval's width. */
export function expectInterval(
  actual: readonly [number, number] | null | undefined,
  expected: readonly [number, number],
  tolerance: number,
  what = 'interval',
): void {
  expect(actual, what).toHaveLength(2);
  const width = expected[1] - expected[0];
  for (const side of [0, 1] as const) {
    const error = Math.abs(actual![side] - expected[side]) / width;
    expect(error, `${what}[${side}]: ${actual![side]} against ${expected[side]}`).toBeLessThanOrEqual(
      tolerance,
    );
  }
}

/** A small seeded generator of uniforms in [0, 1) (mulberry32), so that every run sees the same data. */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal deviates from uniforms (Box-Muller). */
export function seededNormal(seed: number): () => number {
  const uniform = seededUniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
