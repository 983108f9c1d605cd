import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kaplanMeier, kaplanMeierQuantile, orderStatisticInterval } from '../../src/stats/index.js';
import { seededUniform } from '../support/numeric.js';
import { expectAtLeast, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';

// R 4.2, survival 3.5: quantile(survfit(Surv(time, status) ~ x, data = aml, conf.type = …), c(.25, .5, .75)).
const MAINTAINED = {
  times: [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161],
  ended: [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0].map(Boolean),
};
const NOT_MAINTAINED = {
  times: [5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45],
  ended: [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1].map(Boolean),
};
const INF = Number.POSITIVE_INFINITY;

describe('kaplanMeierQuantile', () => {
  it.each([
    [MAINTAINED, 'log', [18, 31, 48], [13, 18, 34], [INF, INF, INF]],
    [MAINTAINED, 'log-log', [18, 31, 48], [9, 13, 31], [34, INF, INF]],
    [NOT_MAINTAINED, 'log', [8, 23, 33], [5, 8, 27], [30, INF, INF]],
    [NOT_MAINTAINED, 'log-log', [8, 23, 33], [5, 5, 23], [23, 33, INF]],
  ] as const)(
    'has R’s quantiles and intervals (%#)',
    ({ times, ended }, transform, estimates, lows, highs) => {
      for (const [i, p] of [0.25, 0.5, 0.75].entries()) {
        const found = kaplanMeierQuantile(times, ended, p, { transform });
        expect(found.estimate).toBe(estimates[i]);
        expect(found.confidenceInterval).toEqual([lows[i], highs[i]]);
      }
    },
  );

  it('without anything cut, the curve is the share that is above', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 50 }), (times) => {
        for (const { time, survival } of kaplanMeier(
          times,
          times.map(() => true),
        )) {
          expect(survival).toBeCloseTo(times.filter((other) => other > time).length / times.length, 12);
        }
      }),
    );
  });

  it('is null where the quantile lies beyond what was cut', () => {
    const found = kaplanMeierQuantile([1, 2, 3, 3, 3], [true, true, false, false, false], 0.9);
    expect(found).toMatchObject({ estimate: null, confidenceInterval: null, censored: 3 });
    expect(found.reason).toMatch(/beyond/);
  });

  it('says what it cannot take', () => {
    expect(() => kaplanMeierQuantile([], [], 0.5)).toThrow(/times/);
    expect(() => kaplanMeierQuantile([1], [], 0.5)).toThrow(/isEnded/);
    expect(() => kaplanMeierQuantile([1], [true], 0)).toThrow(/p/);
    expect(() => kaplanMeierQuantile([1], [true], 0.5, { transform: 'x' as 'log' })).toThrow(/transform/);
  });

  it('covers the true median although a third was cut, which order statistics of what ended do not', {
    timeout: TIMEOUT_MS,
  }, () => {
    const n = runs(500);
    const run = (seed: number) => {
      const uniform = seededUniform(9 * seed + 1);
      const rows = Array.from({ length: 100 }, () => {
        const [lasts, cut] = [-Math.log(1 - uniform()), -2 * Math.log(1 - uniform())];
        return { time: Math.min(lasts, cut), ended: lasts <= cut };
      });
      return { times: rows.map(({ time }) => time), ended: rows.map(({ ended }) => ended) };
    };
    const holds = (interval: readonly [number, number] | null) =>
      interval !== null && interval[0] <= Math.LN2 && Math.LN2 <= interval[1];
    const covered = shareOf(n, (seed) => {
      const { times, ended } = run(seed);
      return holds(kaplanMeierQuantile(times, ended, 0.5).confidenceInterval);
    });
    expectAtLeast(covered, 0.94, n, 'coverage');
    const naive = shareOf(n, (seed) => {
      const { times, ended } = run(seed);
      return holds(
        orderStatisticInterval(
          times.filter((_, i) => ended[i]),
          0.5,
        ).confidenceInterval,
      );
    });
    expect(naive).toBeLessThan(0.6);
  });
});
