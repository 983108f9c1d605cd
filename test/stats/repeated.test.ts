import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { passAtK, passHatK } from '../../src/stats/index.js';
import { expectRelative, seededUniform } from '../support/numeric.js';
import { expectAtLeast, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';

/** Of all choices of k tries, by counting them. */
function counted(n: number, c: number, k: number, wanted: 'any' | 'all'): number {
  let [good, total] = [0, 0];
  for (let set = 0; set < 2 ** n; set++) {
    const chosen = Array.from({ length: n }, (_, i) => i).filter((i) => (set >> i) & 1);
    if (chosen.length !== k) continue;
    total++;
    const hits = chosen.filter((i) => i < c).length;
    if (wanted === 'any' ? hits > 0 : hits === k) good++;
  }
  return good / total;
}

describe('passAtK and passHatK', () => {
  it('are the share of choices of k tries, of each task', () => {
    const task = fc.integer({ min: 1, max: 8 }).chain((n) => fc.tuple(fc.constant(n), fc.nat(n)));
    fc.assert(
      fc.property(
        fc.array(task, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 8 }),
        (tasks, most) => {
          const k = Math.min(most, ...tasks.map(([n]) => n));
          const input = tasks.map(([n, successes]) => ({ n, successes }));
          const mean = (wanted: 'any' | 'all') =>
            tasks.reduce((sum, [n, c]) => sum + counted(n, c, k, wanted), 0) / tasks.length;
          expect(passAtK(input, k).estimate).toBeCloseTo(mean('any'), 12);
          expect(passHatK(input, k).estimate).toBeCloseTo(mean('all'), 12);
        },
      ),
    );
  });

  it('of one try both are the success rate', () => {
    const tasks = [
      { successes: 3, n: 10 },
      { successes: 9, n: 10 },
    ];
    expectRelative(passAtK(tasks, 1).estimate, 0.6, 1e-12);
    expectRelative(passHatK(tasks, 1).estimate, 0.6, 1e-12);
  });

  it('hold at many tries', () => {
    expect(passAtK([{ successes: 1, n: 1e6 }], 1000).estimate).toBeCloseTo(0.001, 12);
    expect(passHatK([{ successes: 1e6, n: 1e6 }], 1e5).estimate).toBe(1);
  });

  it('say what they cannot take, and why there is no interval', () => {
    expect(() => passAtK([{ successes: 1, n: 2 }], 3)).toThrow(/tasks\[0\]\.n/);
    expect(() => passAtK([{ successes: 1, n: 2 }], 0)).toThrow(/k/);
    expect(() => passAtK([], 1)).toThrow(/tasks/);
    expect(() => passHatK([{ successes: 5, n: 2 }], 1)).toThrow(/tasks\[0\]\.successes/);
    expect(passAtK([{ successes: 1, n: 2 }], 1)).toMatchObject({ confidenceInterval: null });
  });

  it('cover as often as they say, near the ends as well', { timeout: TIMEOUT_MS }, () => {
    const n = runs(2000);
    const covers = (difficulty: (u: number) => number, measure: typeof passAtK, k: number, truth: number) =>
      shareOf(n, (run) => {
        const uniform = seededUniform(17 * run + k);
        const tasks = Array.from({ length: 40 }, () => {
          const p = difficulty(uniform());
          return { n: 5, successes: Array.from({ length: 5 }, uniform).filter((u) => u < p).length };
        });
        const [low, high] = measure(tasks, k).confidenceInterval!;
        return low <= truth && truth <= high;
      });
    // p uniform: E[1 − (1 − p)³] = 3/4. p = √u: E p³ = ∫ u^1.5 = 2/5; E[1 − (1 − p)³] = ∫ 1 − (1 − √u)³ = 0.9.
    expectAtLeast(
      covers((u) => u, passAtK, 3, 0.75),
      0.94,
      n,
      'pass@3',
    );
    expectAtLeast(covers(Math.sqrt, passAtK, 3, 0.9), 0.94, n, 'pass@3 near 1');
    expectAtLeast(covers(Math.sqrt, passHatK, 3, 0.4), 0.94, n, 'pass^3');
    expectAtLeast(
      covers((u) => 0.02 * u, passAtK, 1, 0.01),
      0.94,
      n,
      'pass@1 near 0',
    );
  });
});
