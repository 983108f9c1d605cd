import { describe, expect, it } from 'vitest';
import { equivalence, nonInferiority, welchTTest } from '../../src/stats/index.js';
import { expectRelative, seededNormal } from '../support/numeric.js';
import { expectAtLeast, expectAtMost, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';

// raphaelvallat/pingouin @ 14994d6, tests/test_equivalence.py, there from R's package equivalence.
const A = [4, 7, 8, 6, 3, 2];
const B = [6, 8, 7, 10, 11, 9];

describe('equivalence', () => {
  it.each([
    [{ margin: 1, test: 'student' }, 10, 0.9650974],
    [{ margin: 1, test: 'welch' }, 9.49, 0.9643479],
    [{ margin: 10, test: 'student' }, 10, 0.00017933],
    [{ margin: 1, test: 'paired' }, 5, 0.9293826],
    [{ margin: 2, test: 'paired' }, 5, 0.8286101],
  ] as const)('has the published p-value: %o', (options, df, pValue) => {
    const found = equivalence(A, B, options);
    expect(found.df!.toFixed(2)).toBe(df.toFixed(2));
    // Printed to eight decimals at most, compared there as numpy.isclose does.
    expect(Math.abs(found.pValue! - pValue)).toBeLessThanOrEqual(1e-8 + 1e-5 * pValue);
    expectRelative(equivalence(B, A, options).pValue, found.pValue!, 1e-12);
    expect(found.shown).toBe(found.pValue! <= 0.05);
  });

  it('is shown where the interval of level 1 − 2 alpha lies within the margins', () => {
    const { confidenceInterval } = equivalence(A, B, { margin: 1 });
    const { confidenceInterval: ninety } = welchTTest(A, B, { confidenceLevel: 0.9 });
    expectRelative(confidenceInterval![0], ninety![0], 1e-12);
    expectRelative(confidenceInterval![1], ninety![1], 1e-12);
    const furthest = Math.max(...ninety!.map(Math.abs));
    expect(equivalence(A, B, { margin: furthest * 1.0001 }).shown).toBe(true);
    expect(equivalence(A, B, { margin: furthest * 0.9999 }).shown).toBe(false);
  });
});

describe('nonInferiority', () => {
  it('decides as the two-sided 95 % interval does', () => {
    const [low, high] = welchTTest(A, B).confidenceInterval!;
    for (const [direction, limit] of [
      ['higher', -low],
      ['lower', high],
    ] as const) {
      const at = Math.abs(limit);
      if (limit <= 0) continue;
      expect(nonInferiority(A, B, { margin: at * 1.0001, direction }).shown).toBe(true);
      expect(nonInferiority(A, B, { margin: at * 0.9999, direction }).shown).toBe(false);
      expectRelative(
        nonInferiority(A, B, { margin: 1, direction }).bound,
        direction === 'higher' ? low : high,
        1e-12,
      );
    }
  });

  it('a relative margin is one of the baseline’s mean, whose own error counts', () => {
    const x = { n: 100, mean: 95, variance: 400 };
    const y = { n: 100, mean: 100, variance: 400 };
    const found = nonInferiority(x, y, { margin: { relative: 0.1 } });
    // (95 − 0.9 · 100) / √(400/100 + 0.81 · 400/100)
    expectRelative(found.statistic, 5 / Math.sqrt(4 + 0.81 * 4), 1e-12);
    expectRelative(found.estimate, -0.05, 1e-12);
    expect(nonInferiority(x, y, { margin: { relative: -found.bound! * 1.0001 } }).shown).toBe(true);
    expect(nonInferiority(x, y, { margin: { relative: -found.bound! * 0.9999 } }).shown).toBe(false);
  });

  it('says what it cannot take, and why there is no answer', () => {
    expect(() => nonInferiority(A, B, { margin: 0 })).toThrow(/margin/);
    expect(() => nonInferiority(A, B, { margin: { relative: -1 } })).toThrow(/margin\.relative/);
    expect(() => nonInferiority(A, B, { margin: 1, direction: 'up' as 'higher' })).toThrow(/direction/);
    expect(() => equivalence(A, B, { margin: 1, test: 'z' as 'welch' })).toThrow(/test/);
    expect(() => equivalence(A, B, {} as { margin: number })).toThrow(/margin/);
    expect(nonInferiority([1], [2], { margin: 1 })).toMatchObject({
      shown: false,
      pValue: null,
      bound: null,
    });
    expect(nonInferiority([1, 1], [1, 1], { margin: 1 }).reason).toMatch(/constant/);
  });

  it('errs as often as it says at the margin', { timeout: TIMEOUT_MS }, () => {
    const n = runs(1000);
    const draw = (seed: number, mean: number, size: number) => {
      const normal = seededNormal(seed);
      return Array.from({ length: size }, () => mean + normal());
    };
    const absolute = shareOf(n, (run) => {
      return nonInferiority(draw(run, 9, 20), draw(run + 1e6, 10, 35), { margin: 1 }).shown;
    });
    const relative = shareOf(n, (run) => {
      return nonInferiority(draw(run, 9, 20), draw(run + 1e6, 10, 35), { margin: { relative: 0.1 } }).shown;
    });
    const equal = shareOf(n, (run) => {
      return equivalence(draw(run, 9, 20), draw(run + 1e6, 10, 35), { margin: 1 }).shown;
    });
    expectAtMost(absolute, 0.025, n, 'absolute');
    expectAtLeast(absolute, 0.02, n, 'absolute');
    expectAtMost(relative, 0.025, n, 'relative');
    expectAtMost(equal, 0.05, n, 'equivalence');
  });
});
