/** Ratios of sums: identities, merging, and errors as often as stated. */
import { describe, expect, it } from 'vitest';
import {
  describe as describeSample,
  PairMoments,
  ratioOfMeans,
  ratioSkewness,
  welchTTest,
} from '../../src/stats/index.js';
import { expectRelative, seededNormal, seededUniform } from '../support/numeric.js';
import { expectAtMost, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';

const normal = seededNormal(5);
const values = (n: number) => Float64Array.from({ length: n }, () => 10 + normal());

describe('ratioOfMeans', () => {
  it('per one is the difference of means with Welch’s standard error', () => {
    const [x, y] = [values(40), values(60)];
    const ones = (n: number) => new Float64Array(n).fill(1);
    const ratio = ratioOfMeans({ of: x, per: ones(40) }, { of: y, per: ones(60) });
    const welch = welchTTest(x, y);
    expectRelative(ratio.estimate, welch.estimate, 1e-12);
    expectRelative(ratio.standardError, welch.standardError!, 1e-12);
    expectRelative(ratio.statistic, welch.statistic!, 1e-12);
  });

  it('of what is proportional has no spread', () => {
    const per = values(30);
    const of = per.map((value) => 3 * value);
    const result = ratioOfMeans({ of, per }, { of, per });
    expect(result.estimate).toBe(0);
    expect(result.standardError ?? 0).toBeLessThan(1e-8);
  });

  it('is the same of merged sums, in any order', () => {
    const [of, per] = [values(100), values(100)];
    const parts = [0, 1, 2].map((part) => {
      const pairs = new PairMoments();
      for (let i = part; i < 100; i += 3) pairs.push(of[i]!, per[i]!);
      return pairs;
    });
    const merged = PairMoments.from(parts[2]!.result());
    merged.merge(parts[0]!);
    merged.merge(parts[1]!);
    merged.merge(new PairMoments());
    const whole = new PairMoments();
    for (let i = 0; i < 100; i++) whole.push(of[i]!, per[i]!);
    const { thirds, ...sums } = whole.result();
    for (const [key, value] of Object.entries(sums)) {
      expectRelative(merged.result()[key as 'n'], value, 1e-10, key);
    }
    for (const [i, third] of thirds!.entries()) expectRelative(merged.result().thirds![i], third, 1e-9);
    // Of what the units deviate from their ratio by.
    const ratio = sums.meanOf / sums.meanPer;
    const { skewness } = describeSample(of.map((value, i) => value - ratio * per[i]!));
    expectRelative(ratioSkewness(whole.result()), skewness!, 1e-9);
  });

  it('says why there is none', () => {
    const nothing = { of: [1, 2, 3], per: [0, 0, 0] };
    expect(ratioOfMeans(nothing, nothing)).toMatchObject({
      estimate: null,
      pValue: null,
      reason: expect.stringContaining('adds up to 0'),
    });
    const one = { of: [1], per: [2] };
    expect(ratioOfMeans(one, one)).toMatchObject({
      estimate: 0,
      pValue: null,
      reason: expect.stringContaining('one unit'),
    });
    expect(() => ratioOfMeans({ of: [1], per: [1, 2] }, one)).toThrow('x.per');
    expect(() => ratioOfMeans({ of: [], per: [] }, one)).toThrow('x');
  });

  it('errs as often as it says: cost of a success, 200 requests an arm', { timeout: TIMEOUT_MS }, () => {
    const count = runs(500);
    const uniform = seededUniform(9);
    const arm = () => {
      const ok = Float64Array.from({ length: 200 }, () => Number(uniform() < 0.8));
      return { of: ok.map((success) => (1 + success) * uniform()), per: ok };
    };
    const share = shareOf(count, () => ratioOfMeans(arm(), arm()).pValue! <= 0.05);
    expectAtMost(share, 0.055, count, 'alarms');
    expect(share).toBeGreaterThan(0.02);
  });
});
