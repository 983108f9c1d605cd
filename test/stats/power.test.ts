import { describe, expect, it } from 'vitest';
import { proportionPower, tTestPower } from '../../src/stats/power.js';
import { studentTTest } from '../../src/stats/t-tests.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectRelative, seededNormal } from '../support/numeric.js';

interface TCase {
  solve: 'n' | 'power' | 'delta';
  n_per_group?: number;
  n_ceiling?: number;
  delta: number;
  sd: number;
  power: number;
  alpha: number;
}
interface PropCase {
  solve: 'n' | 'power';
  n_per_group: number;
  n_ceiling?: number;
  p1: number;
  p2: number;
  power: number;
  alpha: number;
}

describeWithFixture<{ power_t: TCase[]; power_prop: PropCase[] }>(
  'stats/power.json',
  ({ power_t, power_prop }) => {
    it.each(power_t)('t: solves $solve as R does (delta $delta, power $power, alpha $alpha)', (reference) => {
      const { solve, n_per_group: n, delta, sd: stdDev, power, alpha } = reference;
      if (solve === 'n') {
        const result = tTestPower({ delta, stdDev, power, alpha });
        expectRelative(result.n, n!, 1e-6, 'n');
        expect(result.nCeiling).toBe(reference.n_ceiling);
      } else if (solve === 'power') {
        expectRelative(tTestPower({ n: n!, delta, stdDev, alpha }).power, power, 1e-8, 'power');
      } else {
        // R finds the root to 1.2e-4.
        expectRelative(tTestPower({ n: n!, stdDev, power, alpha }).delta, delta, 1e-4, 'delta');
      }
    });

    it.each(power_prop)(
      'proportions: solves $solve as R does ($p1 against $p2, power $power)',
      (reference) => {
        const { solve, n_per_group: n, p1, p2, power, alpha } = reference;
        if (solve === 'n') {
          const result = proportionPower({ p1, p2, power, alpha });
          expectRelative(result.n, n, 1e-6, 'n');
          expect(result.nCeiling).toBe(reference.n_ceiling);
        } else {
          expectRelative(proportionPower({ n, p1, p2, alpha }).power, power, 1e-8, 'power');
        }
      },
    );
  },
);

describe('tTestPower', () => {
  it('gives back what it solved for, from whichever of the three is left out', () => {
    for (const alternative of ['two-sided', 'less', 'greater'] as const) {
      const design = { stdDev: 3, alpha: 0.02, alternative };
      const { n } = tTestPower({ ...design, delta: 1, power: 0.85 });
      expectRelative(tTestPower({ ...design, n: n!, delta: 1 }).power, 0.85, 1e-12);
      expectRelative(tTestPower({ ...design, n: n!, power: 0.85 }).delta, 1, 1e-10);
    }
  });

  it('predicts how often the test rejects', () => {
    const normal = seededNormal(12);
    const { power } = tTestPower({ n: 12, delta: 1, stdDev: 1, alpha: 0.05 });
    let rejected = 0;
    for (let run = 0; run < 3000; run++) {
      const x = Float64Array.from({ length: 12 }, () => normal() + 1);
      const y = Float64Array.from({ length: 12 }, normal);
      if (studentTTest(x, y).pValue! <= 0.05) rejected++;
    }
    // Four standard errors of a share of 3,000.
    expect(Math.abs(rejected / 3000 - power!)).toBeLessThan(4 * Math.sqrt((power! * (1 - power!)) / 3000));
  });

  it('takes the smallest sample where even that is enough, and none where none is', () => {
    expect(tTestPower({ delta: 100, stdDev: 1, power: 0.8 })).toMatchObject({ n: 2, nCeiling: 2 });
    expect(tTestPower({ delta: 0, stdDev: 1, power: 0.8 })).toMatchObject({
      n: null,
      reason: expect.any(String),
    });
    expect(tTestPower({ delta: 1e-9, stdDev: 1, power: 0.8 }).n).toBeNull();
  });

  it('ignores the sign of delta and has the power of chance without one', () => {
    expect(tTestPower({ n: 20, delta: -0.7 }).power).toBe(tTestPower({ n: 20, delta: 0.7 }).power);
    expectRelative(tTestPower({ n: 20, delta: 0, alternative: 'less' }).power, 0.05, 1e-12);
    expectRelative(tTestPower({ n: 20, delta: 0, alternative: 'less', alpha: 0.7 }).power, 0.7, 1e-12);
  });

  it('refuses anything but one unknown, and values out of range', () => {
    for (const options of [
      {},
      { n: 10 },
      { n: 10, delta: 1, power: 0.8 },
      { delta: 1, power: 1 },
      { delta: 1, power: 0.8, alpha: 1.5 },
      { delta: Number.NaN, power: 0.8 },
      { n: 1, delta: 1 },
      { n: Number.POSITIVE_INFINITY, delta: 1 },
      { delta: 1, power: 0.8, stdDev: 0 },
      { delta: 1, power: 0.8, alternative: 'two.sided' as 'less' },
    ]) {
      expect(() => tTestPower(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});

describe('proportionPower', () => {
  it('gives back what it solved for, above p1 or, for the other side, below', () => {
    for (const [alternative, p2] of [
      ['two-sided', 0.3],
      ['less', 0.3],
      ['greater', 0.1],
    ] as const) {
      const design = { p1: 0.2, alternative };
      const { n } = proportionPower({ ...design, p2, power: 0.9 });
      expectRelative(proportionPower({ ...design, n: n!, p2 }).power, 0.9, 1e-12);
      expectRelative(proportionPower({ ...design, n: n!, power: 0.9 }).p2, p2, 1e-10);
    }
  });

  it('says so where no p2 or no n will do', () => {
    expect(proportionPower({ n: 2, p1: 0.5, power: 0.99 })).toMatchObject({
      p2: null,
      reason: expect.any(String),
    });
    expect(proportionPower({ p1: 0.5, p2: 0.5, power: 0.9 })).toMatchObject({
      n: null,
      reason: expect.any(String),
    });
  });

  it('refuses anything but one unknown, and values out of range', () => {
    for (const options of [
      { p1: 0.1 },
      { p1: 0.1, p2: 0.2, n: 10, power: 0.5 },
      { p1: 0, p2: 0.2, n: 10 },
      { p1: 0.1, p2: 1, n: 10 },
      { p1: 0.1, p2: 0.2, n: 0 },
      { p1: 0.1, p2: 0.2, n: 10, alpha: 1.5 },
    ]) {
      expect(() => proportionPower(options)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});
