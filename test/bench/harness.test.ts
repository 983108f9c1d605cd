import { describe, expect, it, vi } from 'vitest';
import {
  type Candidate,
  consumed,
  nsText,
  plainRow,
  random,
  ratioRow,
  SMOKE,
  syntheticCalls,
  time,
} from '../../bench/harness.js';

const scale = { ...SMOKE, rounds: 3 };

describe('time', () => {
  it('lets the candidates take turns and consumes what each round returns', () => {
    const turns: string[] = [];
    const candidate = (name: string, result: number): Candidate => ({
      name,
      operations: 1,
      run() {
        turns.push(name);
        return result;
      },
    });
    const before = consumed();
    const timings = time([candidate('a', 1), candidate('b', 10)], scale);
    expect(turns).toEqual(['a', 'b', 'a', 'b', 'a', 'b']);
    expect(consumed() - before).toBe(33);
    expect(timings.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it("takes the best round's time, an operation", () => {
    const rounds = [40_000n, 4_000n, 50_000n];
    let now = 7n;
    const clock = vi.spyOn(process.hrtime, 'bigint').mockImplementation(() => now);
    const run = () => {
      now += rounds.shift() ?? 0n;
      return 0;
    };
    try {
      expect(time([{ name: 'work', operations: 1000, run }], scale)).toEqual([{ name: 'work', ns: 4 }]);
    } finally {
      clock.mockRestore();
    }
  });
});

describe('nsText', () => {
  it.each([
    [7.14, '7.1 ns'],
    [99.94, '99.9 ns'],
    [100.4, '100 ns'],
    [123_456, '123456 ns'],
    [2_340_000, '2.3 ms'],
  ])('writes %d as %s', (ns, text) => expect(nsText(ns)).toBe(text));
});

describe('rows', () => {
  const base = { name: 'floor', ns: 4 };

  it('holds a ratio at its limit, and not above', () => {
    expect(ratioRow({ name: 'x', ns: 8 }, base, 2)).toEqual({
      name: 'x',
      value: '8.0 ns',
      against: '2.00 × floor',
      bound: '≤ 2 ×',
      holds: true,
    });
    expect(ratioRow({ name: 'x', ns: 8.1 }, base, 2).holds).toBe(false);
  });

  it('has no verdict without a limit', () => {
    expect(ratioRow({ name: 'x', ns: 8 }, base, undefined)).not.toHaveProperty('holds');
    expect(plainRow(base)).toEqual({ name: 'floor', value: '4.0 ns', against: '', bound: '' });
    expect(plainRow(base, 'as it is').against).toBe('as it is');
  });
});

describe('inputs', () => {
  it('are the same for the same seed, and others for another', () => {
    const draw = (seed: number) => {
      const next = random(seed);
      return Array.from({ length: 5 }, next);
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(syntheticCalls(10)).toEqual(syntheticCalls(10));
  });

  it('spread evenly over [0, 1)', () => {
    const next = random(3);
    const values = Array.from({ length: 10_000 }, next);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(values.reduce((sum, value) => sum + value, 0) / values.length).toBeCloseTo(0.5, 1);
  });

  it('look like the calls of language models', () => {
    const { latencies, costs } = syntheticCalls(10_001);
    const median = (values: Float64Array) => values.slice().sort()[5000];
    expect(latencies.every((value) => value > 0 && Number.isFinite(value))).toBe(true);
    expect(Math.log(median(latencies))).toBeCloseTo(6, 1);
    expect(Math.log(median(costs))).toBeCloseTo(-6, 1);
  });
});
