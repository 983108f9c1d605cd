import { describe, expect, it } from 'vitest';
import { findRoot } from '../../src/stats/root.js';

describe('findRoot', () => {
  it('finds smooth, steep, flat and one-sided roots to the last bits', () => {
    expect(findRoot((x) => x * x - 2, 0, 2)).toBeCloseTo(Math.SQRT2, 15);
    expect(findRoot((x) => Math.exp(50 * x) - 1, -1, 2)).toBeCloseTo(0, 14);
    expect(findRoot((x) => (x - 0.3) ** 9, 0, 1)).toBeCloseTo(0.3, 2);
    expect(findRoot((x) => (x < 1 / 3 ? -1 : 1), 0, 1)).toBeCloseTo(1 / 3, 14);
  });

  it('takes a root at an end of the bracket, and a bracket in either order', () => {
    expect(findRoot((x) => x - 1, 1, 4)).toBe(1);
    expect(findRoot((x) => x - 1, 0, 1)).toBe(1);
    expect(findRoot((x) => x - 1, 4, 0)).toBe(1);
  });

  it('needs few evaluations where the function is smooth', () => {
    let evaluations = 0;
    findRoot(
      (x) => {
        evaluations++;
        return Math.cos(x) - x;
      },
      0,
      2,
    );
    expect(evaluations).toBeLessThan(15);
  });

  it('copes with an infinite value at an end', () => {
    expect(findRoot((x) => Math.log(x), 0, 5)).toBeCloseTo(1, 14);
  });
});
