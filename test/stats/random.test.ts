import { describe, expect, it } from 'vitest';
import { chiSquareSurvival } from '../../src/stats/distributions.js';
import { SeededRandom } from '../../src/stats/random.js';

describe('SeededRandom', () => {
  it('gives the same stream for the same seed and another for another', () => {
    const stream = (seed: number) => {
      const random = new SeededRandom(seed);
      return Array.from({ length: 8 }, () => random.nextUint32());
    };
    expect(stream(42)).toEqual(stream(42));
    expect(stream(42)).not.toEqual(stream(43));
    expect(stream(-1)).toEqual(stream(2 ** 32 - 1));
  });

  it('spreads indices evenly, neighbours and successive pairs alike', () => {
    const random = new SeededRandom(7);
    const cells = 36;
    const counts = new Float64Array(cells);
    const draws = 72_000;
    for (let i = 0; i < draws; i++) counts[random.nextIndex(6) * 6 + random.nextIndex(6)]!++;
    const expected = draws / cells;
    const statistic = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquareSurvival(statistic, cells - 1)).toBeGreaterThan(1e-3);
  });

  it('reaches every index and none beyond', () => {
    const random = new SeededRandom(1);
    const seen = new Set(Array.from({ length: 500 }, () => random.nextIndex(5)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4]);
  });
});
