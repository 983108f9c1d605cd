/** Values of an arm in bounded memory: what is kept, what is known of the rest, and what a sample is worth. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SampledValues } from '../../src/analysis/compare/samples.js';
import { GatheredValues } from '../../src/analysis/gathered-values.js';
import { describe as describeSample } from '../../src/stats/describe.js';
import { chiSquareSurvival } from '../../src/stats/distributions.js';
import { sampleMoments } from '../../src/stats/moments.js';
import { expectRelative } from '../support/numeric.js';
import { heldBytes, logNormal } from './compare/support.js';

const SEED = 20_261_123;

function gather(values: Iterable<number>, seed: number, keptMax: number) {
  const gathered = new GatheredValues(seed, keptMax);
  for (const value of values) gathered.push(value);
  return gathered.result();
}

const sampleOf = (values: Iterable<number>, seed: number, keptMax: number) =>
  gather(values, seed, keptMax) as SampledValues;

describe('gathered values', () => {
  it('are all there, in their order, as long as they are not too many', () => {
    fc.assert(
      fc.property(fc.nat(20_000), fc.nat(3), (n, room) => {
        const values = Float64Array.from({ length: n }, (_, i) => i);
        expect(gather(values, SEED, n + room)).toEqual(values);
      }),
      { seed: SEED, numRuns: 30 },
    );
  });

  it('beyond that are a sample without replacement, and the moments of all', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 9000 }), (kept, more) => {
        const values = Float64Array.from({ length: kept + more }, (_, i) => i);
        const { sample, ...known } = sampleOf(values, SEED, kept);
        expect(sample).toHaveLength(kept);
        expect(new Set(sample).size).toBe(kept);
        expect(sample.every((value) => value < values.length)).toBe(true);
        expect(known).toMatchObject({ n: values.length, mean: (values.length - 1) / 2 });
        expectRelative(known.largestShare, 2 / values.length, 1e-12);
      }),
      { seed: SEED, numRuns: 30 },
    );
  });

  it.each([
    ['skewed', (value: number) => value],
    ['far from 0', (value: number) => 1e9 + value],
    ['of both signs', (value: number) => value - 100],
  ])('have moments as exact as those of all values at once: %s', (_, change) => {
    const values = logNormal(50_000, 100, SEED, 1).map(change);
    const { mean, variance } = describeSample(values);
    const { n, m2, m3 } = sampleMoments(values);
    const known = sampleOf(values, SEED, 10_000);
    expect(known.n).toBe(50_000);
    expectRelative(known.mean, mean!, 1e-15, 'mean');
    expectRelative(known.variance, variance!, 1e-13, 'variance');
    expectRelative(known.skewness, m3 / n / (m2 / n) ** 1.5, 1e-12, 'skewness');
    const magnitudes = values.map(Math.abs);
    const share = magnitudes.reduce((a, b) => Math.max(a, b)) / magnitudes.reduce((a, b) => a + b);
    expectRelative(known.largestShare, share, 1e-12, 'largest');
  });

  it('that are all one value have no skewness', () => {
    const constant = new Float64Array(100).fill(7);
    expect(sampleOf(constant, SEED, 10)).toMatchObject({ mean: 7, variance: 0, skewness: null });
  });

  it('at the edge of the range of doubles have what can be told, and no NaN', () => {
    const values = Float64Array.from({ length: 9000 }, (_, i) => (i % 2 === 0 ? 1e308 : -1.7e308));
    const { sample: _, ...known } = sampleOf(values, SEED, 10);
    expectRelative(known.mean, -0.35e308, 1e-12);
    expect(known).toMatchObject({ n: 9000, variance: null, skewness: null });
  });

  it('hold no more than they may, however many come', () => {
    const keptMax = 10_000;
    const gathered = new GatheredValues(SEED, keptMax);
    const held: number[] = [];
    for (let i = 0; i < 300_000; i++) {
      gathered.push(i);
      if (i % 50_000 === 49_999) held.push(heldBytes(gathered));
    }
    // The values, and one block of those that came last.
    for (const bytes of held) expect(bytes).toBeLessThanOrEqual(8 * (keptMax + 4096));
    expect(heldBytes(gathered.result())).toBe(8 * keptMax);
    // The counter sees values that are held.
    expect(heldBytes({ list: [1, 2, 3], more: new Float64Array(5) })).toBe(64);
  });
});

describe('the random sample', () => {
  /** Chi-square p-value of how often each of n places is in a sample of k, over many seeds. */
  function uniformity(n: number, k: number, runs: number, draw: (seed: number) => Iterable<number>): number {
    const counts = new Float64Array(n);
    for (let seed = 0; seed < runs; seed++) for (const place of draw(SEED + seed)) counts[place]!++;
    const expected = (runs * k) / n;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // Drawn without replacement, counts vary less.
    return chiSquareSurvival((chiSquare * (n - 1)) / (n - k), n - 1);
  }

  const places = (n: number) => Float64Array.from({ length: n }, (_, i) => i);

  it.each([
    [60, 20],
    [300, 7],
    [40, 39],
  ])('of %d values has each of them as often: %d', (n, k) => {
    const values = places(n);
    const p = uniformity(n, k, 4000, (seed) => sampleOf(values, seed, k).sample);
    expect(p).toBeGreaterThan(0.001);
    expect(p).toBeLessThan(0.999);
  });

  it('is as likely to hold values of any block', () => {
    const values = places(20_000);
    const counts = new Float64Array(50);
    for (let seed = 0; seed < 400; seed++) {
      for (const value of sampleOf(values, SEED + seed, 500).sample) counts[Math.floor(value / 400)]!++;
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - 4000) ** 2 / 4000, 0);
    expect(chiSquareSurvival((chiSquare * 19_999) / 19_500, 49)).toBeGreaterThan(0.001);
  });

  it('would be found out if it favoured anybody', () => {
    const values = places(60);
    // Every tenth time the first value stands in for another.
    const biased = (seed: number) => {
      const { sample } = sampleOf(values, seed, 20);
      if (seed % 10 === 0 && !sample.includes(0)) sample[0] = 0;
      return sample;
    };
    expect(uniformity(60, 20, 4000, biased)).toBeLessThan(0.001);
  });

  it('holds pairs of values as often as it should', () => {
    const values = places(30);
    let both = 0;
    for (let seed = 0; seed < 6000; seed++) {
      const { sample } = sampleOf(values, SEED + seed, 10);
      if (sample.includes(3) && sample.includes(25)) both++;
    }
    const share = (10 / 30) * (9 / 29);
    expect(Math.abs(both / 6000 - share)).toBeLessThan(4 * Math.sqrt((share * (1 - share)) / 6000));
  });

  it('is the same for the same seed, and another for another', () => {
    const values = places(5000);
    const [first, again, other] = [SEED, SEED, SEED + 1].map((seed) => sampleOf(values, seed, 100).sample);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});
