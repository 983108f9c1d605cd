import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bernoulliConfidenceInterval, sequentialQuantileTest } from '../../src/stats/index.js';
import { seededNormal, seededUniform } from '../support/numeric.js';
import { expectAtLeast, expectAtMost, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';

describe('sequentialQuantileTest', () => {
  // gostevehoward/confseq @ 70b1ef3, test/uniform_boundaries_unittest.cpp:118-127: 1 to 1,000 against the same shifted,
  // tightest at 100 observations an arm. Printed to seven decimals, compared there to 1e-5.
  it.each([
    [0.5, 70, 0.814704],
    [0.5, 85, 0.0838055],
    [0.5, 100, 0.0054947],
    [0.9, 55, 0.0340463],
  ])('has the published p-value of quantile %d, shifted by %d', (p, shift, expected) => {
    const a = Array.from({ length: 1000 }, (_, i) => i + 1);
    const found = sequentialQuantileTest(
      a,
      a.map((value) => value + shift),
      p,
      { tuning: 200 },
    );
    expect(found.pValue).toBeCloseTo(expected, 5);
    expect(found.estimate).toBeCloseTo(shift, 9);
  });

  it('and the published interval of a rate is as it was', () => {
    // The same file:130-134.
    const [low, high] = bernoulliConfidenceInterval(700, 1000, 0.05, { tOpt: 100 });
    expect(low).toBeCloseTo(0.651629, 5);
    expect(high).toBeCloseTo(0.745949, 5);
  });

  const values = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 80 });
  const levels = fc.constantFrom(0.1, 0.5, 0.95);

  it('rejects equality where the interval excludes 0, and only there', () => {
    fc.assert(
      fc.property(values, values, levels, fc.integer({ min: -40, max: 40 }), (a, b, p, shift) => {
        const moved = b.map((value) => value + shift);
        const { pValue, confidenceInterval, confidenceLevel } = sequentialQuantileTest(a, moved, p, {
          tuning: 50,
          alpha: 0.2,
        });
        const [low, high] = confidenceInterval;
        expect(confidenceLevel).toBeCloseTo(0.8, 12);
        // At the very end of the interval 0 may be on either side.
        if (low > 0 || high < 0) expect(pValue).toBeLessThanOrEqual(0.2);
        if (low < 0 && high > 0) expect(pValue).toBeGreaterThan(0.2);
      }),
    );
  });

  it('swaps sides with the arms, and moves with the values', () => {
    fc.assert(
      fc.property(values, values, levels, fc.integer({ min: -99, max: 99 }), (a, b, p, shift) => {
        const there = sequentialQuantileTest(a, b, p, { tuning: 60 });
        const back = sequentialQuantileTest(b, a, p, { tuning: 60 });
        expect(back.pValue).toBeCloseTo(there.pValue, 9);
        expect(back.confidenceInterval.map((end) => 0 - end).reverse()).toEqual(
          there.confidenceInterval.map((end) => end + 0),
        );
        const moved = sequentialQuantileTest(
          a,
          b.map((value) => value + shift),
          p,
          { tuning: 60 },
        );
        expect(moved.confidenceInterval[0]).toBeCloseTo(there.confidenceInterval[0] + shift, 9);
      }),
    );
  });

  it('says what it cannot take', () => {
    expect(() => sequentialQuantileTest([], [1], 0.5)).toThrow(/a: expected at least 1 observation/);
    expect(() => sequentialQuantileTest([1], [1], 1)).toThrow(/p/);
    expect(() => sequentialQuantileTest([1], [1], 0.5, { tuning: 0 })).toThrow(/tuning/);
    // One observation bounds nothing.
    const { confidenceInterval, pValue } = sequentialQuantileTest([1], [2], 0.5);
    expect(confidenceInterval).toEqual([-Infinity, Infinity]);
    expect(pValue).toBeGreaterThan(0.5);
  });

  it('errs no more often than it says over all looks, in arms of 1 : 4 and with rare large values, and finds what is there', {
    timeout: TIMEOUT_MS,
  }, () => {
    const everRejects = (seed: number, shift: number) => {
      const [normal, uniform] = [seededNormal(seed), seededUniform(seed + 1)];
      const draw = () => Math.exp(normal()) * (uniform() < 0.02 ? 50 : 1);
      const [a, b]: [number[], number[]] = [[], []];
      for (let i = 1; i <= 400; i++) {
        (i % 5 === 0 ? a : b).push(draw() * (i % 5 === 0 ? 1 : shift));
        if (a.length > 0 && b.length > 0 && i % 10 === 0) {
          if (sequentialQuantileTest(a, b, 0.5, { tuning: 400 }).pValue <= 0.05) return true;
        }
      }
      return false;
    };
    const n = runs(200);
    expectAtMost(
      shareOf(n, (run) => everRejects(31 * run, 1)),
      0.05,
      n,
      'false alarms',
    );
    expectAtLeast(
      shareOf(n, (run) => everRejects(31 * run, 3)),
      0.8,
      n,
      'power',
    );
  });
});
