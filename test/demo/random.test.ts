import { describe, expect, it } from 'vitest';
import { hash32, Random } from '../../src/demo/random.js';

describe('Random', () => {
  it('repeats for the same seed and keys, and differs when either differs', () => {
    const draw = (seed: number, ...keys: (string | number)[]) => new Random(seed, ...keys).uniform();
    expect(draw(1, 'a', 2)).toBe(draw(1, 'a', 2));
    expect(new Set([draw(1, 'a', 2), draw(2, 'a', 2), draw(1, 'a', 3), draw(1, 'a2')]).size).toBe(4);
  });

  it('has the moments it claims', () => {
    const random = new Random(7, 'moments');
    const n = 20_000;
    const normals = Float64Array.from({ length: n }, () => random.normal());
    const mean = normals.reduce((a, b) => a + b) / n;
    const variance = normals.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1);
    expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(n));
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);

    const logNormals = Float64Array.from({ length: n }, () => random.logNormal(50, 0.8)).sort();
    expect(logNormals[n / 2]).toBeGreaterThan(48);
    expect(logNormals[n / 2]).toBeLessThan(52);
  });

  it('draws integers over the whole closed range', () => {
    const random = new Random(3);
    const seen = new Set(Array.from({ length: 500 }, () => random.integer(2, 5)));
    expect([...seen].sort()).toEqual([2, 3, 4, 5]);
  });
});

describe('hash32', () => {
  it('is an unsigned 32-bit integer that tells near keys apart', () => {
    const hashes = Array.from({ length: 1000 }, (_, i) => hash32(`q${i}`));
    expect(new Set(hashes).size).toBe(1000);
    expect(hashes.every((h) => Number.isInteger(h) && h >= 0 && h < 2 ** 32)).toBe(true);
  });
});
