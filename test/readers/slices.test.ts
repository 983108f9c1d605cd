/** Where the time line is cut. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateCuts, slicesBetween, TimeSample } from '../../src/readers/slices.js';
import { refTo } from '../support/rows.js';

const time = fc.oneof(
  fc.integer({ min: -50, max: 5000 }),
  fc.double({ min: -8.64e18, max: 8.64e18, noNaN: true }),
);

/** A ref to 100 rows somewhere in a range. */
function spread(fromUs: number, toUs: number) {
  return refTo({ firstSequence: 0, timesUs: [fromUs, ...new Array<number>(98).fill(fromUs), toUs] });
}

const EVER = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;

describe('estimateCuts', () => {
  it('gives every slice the wanted rows where they are spread evenly', () => {
    const refs = Array.from({ length: 50 }, (_, i) => spread(i * 1000, i * 1000 + 999));
    const cuts = estimateCuts(refs, ...EVER, 500);
    expect(cuts).toHaveLength(9);
    for (const [i, cut] of cuts.entries()) expect(Math.abs(cut - (i + 1) * 5000)).toBeLessThan(10);
  });

  it('adds up refs that overlap, and needs no cut for few rows', () => {
    const overlapping = [spread(0, 1000), spread(0, 1000), spread(500, 1500)];
    expect(estimateCuts(overlapping, ...EVER, 300)).toEqual([]);
    const cuts = estimateCuts(overlapping, ...EVER, 150);
    // 100 rows by 500, and 0.3 a microsecond from there.
    expect(Math.abs(cuts[0]! - 667)).toBeLessThan(3);
    // Nothing lies beyond the last row.
    expect(cuts.slice(1).every((cut) => cut >= 1499)).toBe(true);
  });

  it('cuts within the wanted range only', () => {
    const refs = [spread(0, 10_000), spread(5000, 20_000)];
    for (const cut of estimateCuts(refs, 3000, 6000, 10)) {
      expect(cut).toBeGreaterThan(3000);
      expect(cut).toBeLessThanOrEqual(6001);
    }
  });

  it('gives ascending times for any refs, and ends', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(time, time), { maxLength: 30 }),
        fc.integer({ min: 1, max: 1000 }),
        (pairs, sliceRows) => {
          const refs = pairs.map(([a, b]) => spread(Math.min(a, b), Math.max(a, b)));
          const cuts = estimateCuts(refs, ...EVER, sliceRows);
          expect(cuts.every((cut, i) => Number.isFinite(cut) && (i === 0 || cut > cuts[i - 1]!))).toBe(true);
          // Rounding down to a microsecond leaves a slice at least half of its rows.
          expect(cuts.length).toBeLessThanOrEqual((2 * refs.length * 100) / sliceRows + 2 * refs.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a sample of times', () => {
  it('cuts so that no slice is empty, whatever the times and however few it keeps', () => {
    fc.assert(
      fc.property(
        fc.array(
          time.map((us) => Math.floor(us) + 0),
          { minLength: 2, maxLength: 300 },
        ),
        fc.integer({ min: 2, max: 40 }),
        fc.integer({ min: 1, max: 50 }),
        (times, parts, kept) => {
          fc.pre(times.some((one) => one !== times[0]));
          const sample = new TimeSample(kept);
          for (const one of times) sample.add(one);
          expect([sample.count, sample.minUs, sample.maxUs]).toEqual([
            times.length,
            Math.min(...times),
            Math.max(...times),
          ]);
          const cuts = sample.cuts(parts);
          expect(cuts.length).toBeGreaterThan(0);
          for (const { fromUs, toUs } of slicesBetween({ fromUs: EVER[0], toUs: EVER[1] }, cuts)) {
            expect(
              times.some((one) => one >= fromUs && one < toUs),
              `[${fromUs}, ${toUs})`,
            ).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('cuts into parts of about as many rows each', () => {
    const sample = new TimeSample(1000);
    for (let i = 0; i < 100_000; i++) sample.add((i * 7919) % 100_003);
    const cuts = sample.cuts(10);
    expect(cuts).toHaveLength(9);
    for (const [i, cut] of cuts.entries()) expect(Math.abs(cut - (i + 1) * 10_000)).toBeLessThan(2000);
  });

  it('sets a time apart that most rows have', () => {
    const sample = new TimeSample(100);
    for (let i = 0; i < 1000; i++) sample.add(5);
    sample.add(9);
    expect(sample.cuts(2)).toEqual([6]);
  });
});
