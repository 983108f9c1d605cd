/** Sizes of studies: what R gives where R has it, and what simulations give where it has not. */
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/stats/random.js';
import { sequentialMeanTest } from '../../src/stats/sequential.js';
import { welchTTest } from '../../src/stats/t-tests.js';
import { type StudySizeOptions, studySize } from '../../src/study/size.js';

const MEAN = { mean: 100, stdDev: 30 };
const normal = (random: SeededRandom) => {
  const uniform = () => (random.nextUint32() + 0.5) / 2 ** 32;
  return Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
};

describe('the size of a study', () => {
  it.each<[string, StudySizeOptions, number[]]>([
    // R 4.2: power.t.test(delta = 5, sd = 30, power = 0.8)$n = 566.08; (delta = 5, sd = 30, power = 0.9)$n = 757.50
    ['of means', { baseline: MEAN, effect: 5 }, [567, 567]],
    ['of means, relative', { baseline: MEAN, effect: { relative: -0.05 } }, [567, 567]],
    ['at more power', { baseline: MEAN, effect: 5, power: 0.9 }, [758, 758]],
    // power.prop.test(p1 = .5, p2 = .55, power = .8)$n = 1564.53
    ['of rates', { baseline: { rate: 0.5 }, effect: 0.05 }, [1565, 1565]],
    // power.t.test(delta = 5, sd = 30, power = 0.8, sig.level = 0.025)$n = 685.4
    ['of two treatments', { baseline: MEAN, effect: 5, weights: [1, 1, 1] }, [686, 686, 686]],
  ])('%s', (_, options, expected) => {
    expect(studySize(options).unitsPerArm).toEqual(expected);
  });

  it('is least for arms of equal size, and follows 1/a + 1/b', () => {
    const of = (weights: number[]) => studySize({ baseline: MEAN, effect: 3, weights }).units!;
    expect(of([9, 1]) / of([1, 1])).toBeCloseTo((1 / 9 + 1) / (1 / 5 + 1 / 5), 1);
    expect(of([1, 9])).toBe(of([9, 1]));
  });

  it('grows with clusters and falls with a covariate, as their formulas say', () => {
    const alone = studySize({ baseline: MEAN, effect: 3 });
    const clustered = studySize({ baseline: MEAN, effect: 3, eventsPerUnit: 10, icc: 0.2 });
    expect(clustered.designEffect).toBeCloseTo(2.8, 12);
    expect(clustered.units! / alone.units!).toBeCloseTo(0.28, 2);
    expect(clustered.events).toBe(clustered.units! * 10);
    const adjusted = studySize({ baseline: MEAN, effect: 3, covariateCorrelation: 0.6 });
    expect(adjusted.units! / alone.units!).toBeCloseTo(0.64, 2);
  });

  it('has a curve that goes through the power asked for', () => {
    const { curve, units, power } = studySize({ baseline: { rate: 0.2 }, effect: 0.03 });
    const powers = curve.map((point) => point.power);
    expect(powers).toEqual(powers.toSorted((a, b) => a - b));
    expect(curve.find((point) => point.units > units!)!.power).toBeGreaterThan(power);
    expect(curve.findLast((point) => point.units < units!)!.power).toBeLessThan(power);
  });

  it.each([
    ['fixed', [1, 1]],
    ['fixed', [4, 1]],
  ] as const)('of a %s study finds the effect as often as it says, with arms %j', (_, weights) => {
    const { unitsPerArm, power } = studySize({ baseline: MEAN, effect: 12, weights });
    const random = new SeededRandom(7);
    const runs = 2000;
    let found = 0;
    for (let run = 0; run < runs; run++) {
      const [a, b] = unitsPerArm!.map((n, arm) =>
        Float64Array.from({ length: n }, () => 100 + 12 * arm + 30 * normal(random)),
      );
      if (welchTTest(b!, a!).pValue! <= 0.05) found++;
    }
    expect(Math.abs(found / runs - power)).toBeLessThan(4 * Math.sqrt((power * (1 - power)) / runs));
  });

  it('of a sequential study finds the effect at least as often, and half of the time by then', () => {
    const { unitsPerArm, power, tuning, unitsHalf } = studySize({
      baseline: MEAN,
      effect: 12,
      sequential: true,
    });
    const fixed = studySize({ baseline: MEAN, effect: 12 });
    expect(unitsPerArm![0]).toBeGreaterThan(fixed.unitsPerArm![0]!);
    const random = new SeededRandom(11);
    const runs = 400;
    const foundAt: number[] = [];
    for (let run = 0; run < runs; run++) {
      const sums = [0, 0];
      const squares = [0, 0];
      const n = unitsPerArm![0]!;
      for (let i = 1; i <= n; i++) {
        const arms = [0, 1].map((arm) => {
          const value = 100 + 12 * arm + 30 * normal(random);
          sums[arm] += value;
          squares[arm] += value * value;
          const mean = sums[arm]! / i;
          return { n: i, mean, variance: (squares[arm]! - i * mean * mean) / (i - 1) };
        });
        if (
          i >= 10 &&
          sequentialMeanTest(arms[0]!, arms[1]!, { alpha: 0.05, tuning: tuning! }).pValue! <= 0.05
        ) {
          foundAt.push(2 * i);
          break;
        }
      }
    }
    expect(foundAt.length / runs).toBeGreaterThan(power - 3 * Math.sqrt((power * (1 - power)) / runs));
    const byHalf = foundAt.filter((units) => units <= unitsHalf!).length / runs;
    expect(byHalf).toBeGreaterThan(0.42);
  });

  it('of a trial of non-inferiority is that of its margin', () => {
    const { unitsPerArm, method } = studySize({ baseline: MEAN, effect: 5, noninferiority: true });
    expect(unitsPerArm).toEqual([567, 567]);
    expect(method).toMatch(/non-inferiority/);
  });

  it('is none where no study is large enough', () => {
    expect(studySize({ baseline: MEAN, effect: 1e-9 })).toMatchObject({
      units: null,
      curve: [],
      reason: expect.any(String),
    });
  });

  it.each<[string, Partial<StudySizeOptions>]>([
    ['baseline', { baseline: null as never }],
    ['baseline.rate', { baseline: { rate: 1 } }],
    ['baseline.stdDev', { baseline: { mean: 1, stdDev: 0 } }],
    ['effect', { effect: 0 }],
    ['effect', { baseline: { rate: 0.9 }, effect: 0.2 }],
    ['power', { power: 1 }],
    ['weights', { weights: [1] }],
    ['icc', { icc: 2 }],
    ['covariateCorrelation', { covariateCorrelation: 1 }],
    ['unitsPerDay', { unitsPerDay: 0 }],
    ['sequential', { sequential: true, noninferiority: true }],
  ])('refuses %s: %j', (path, options) => {
    expect(() => studySize({ baseline: MEAN, effect: 5, ...options })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', context: expect.objectContaining({ path }) }),
    );
  });
});
