/** Moments and quantiles, exact whatever is kept of the values. */

import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type ColumnSummary, type ExactColumn, ExactColumns } from '../../src/kernels/exact-column.js';
import { Kernels } from '../../src/kernels/kernels.js';
import { Staging } from '../../src/kernels/staging.js';
import { describe as describeSample } from '../../src/stats/describe.js';
import { quantile } from '../../src/stats/quantile.js';
import { describeWithFixture } from '../support/fixtures.js';
import { digitsOfAgreement, seededNormal } from '../support/numeric.js';

const QUANTILES = [0, 0.25, 0.5, 0.7, 0.9, 0.99, 0.999, 1];
const KEEP_ALL = 1 << 22;

const kernels = new Kernels();
const mark = kernels.mark;
afterEach(() => kernels.release(mark));

/** Gives a column values that lie anywhere; every other time as rows picked from more. */
function give(column: ExactColumn, values: ArrayLike<number>, staging: Staging, picked: boolean): void {
  if (!picked) {
    column.add(staging.addressOf('values', Float64Array.from(values)), 0, values.length);
    return;
  }
  const spread = Float64Array.from({ length: 2 * values.length }, (_, i) =>
    i % 2 === 0 ? -7 : values[i >> 1]!,
  );
  const rows = Uint32Array.from(values, (_, i) => 2 * i + 1);
  column.add(staging.addressOf('values', spread), staging.addressOf('rows', rows), rows.length);
}

/** Goes through the columns as often as wanted, a few rows of each at a time. */
function summarise(
  samples: readonly (readonly number[])[],
  keepMax: number,
  quantiles = QUANTILES,
): { summaries: (ColumnSummary | undefined)[]; passes: number } {
  kernels.release(mark);
  const staging = new Staging(kernels);
  const columns = new ExactColumns(kernels, { keepMax });
  const each = samples.map(() => columns.column(quantiles));
  const values = samples.map((sample) => Float64Array.from(sample));
  const longest = Math.max(...samples.map(({ length }) => length));
  for (let passes = 1; ; passes++) {
    for (let from = 0; from < longest; from += 100) {
      values.forEach((column, i) => {
        give(each[i]!, column.subarray(from, from + 100), staging, from % 200 === 0);
      });
    }
    const outcome = columns.endPass();
    expect(outcome).not.toBe('afresh');
    if (outcome === 'done') return { summaries: each.map((column) => column.result()), passes };
    expect(passes).toBeLessThan(100);
  }
}

const summaryOf = (sample: readonly number[], keepMax = KEEP_ALL) =>
  summarise([sample], keepMax).summaries[0];

/** Holds a summary to the functions of src/stats, which sort. */
function expectExact(summary: ColumnSummary | undefined, sample: readonly number[]): void {
  const positive = sample.map((value) => value + 0);
  if (positive.length === 0) {
    expect(summary).toBeUndefined();
    return;
  }
  const expected = describeSample(positive);
  expect(summary).toMatchObject({ count: expected.n, min: expected.min, max: expected.max });
  expect(summary!.quantiles).toEqual(quantile(positive, QUANTILES));
  // Sums are those of twice the precision, so they may differ where they all but cancel, and no more than this.
  const magnitude = positive.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const tolerance = magnitude * 1e-28 * positive.length;
  const near = (actual: number, wanted: number) =>
    expect(Math.abs(actual - wanted)).toBeLessThanOrEqual(Math.abs(wanted) * 4.5e-16 + tolerance);
  near(summary!.sum, expected.sum);
  near(summary!.mean, expected.mean!);
  expect(digitsOfAgreement(summary!.stdDevPopulation, expected.stdDevPopulation!)).toBeGreaterThan(13);
  if (positive.length === 1) expect(summary!.stdDev).toBeNull();
  else expect(digitsOfAgreement(summary!.stdDev!, expected.stdDev!)).toBeGreaterThan(13);
}

const value = fc.oneof(
  { weight: 4, arbitrary: fc.double({ min: 1e-3, max: 1e6, noNaN: true }) },
  fc.double({ min: -1e140, max: 1e140, noNaN: true }),
  fc.double({ min: -1e-300, max: 1e-300, noNaN: true }),
  fc.constantFrom(0, -0, 1, 5e-324, -5e-324, 1e140, -1e140, 1 + Number.EPSILON),
);
const sample = fc.oneof(
  fc.array(value, { maxLength: 300 }),
  // Ties.
  fc.array(fc.constantFrom(1, 2, 3, -1), { maxLength: 300 }),
  // Numbers that differ in their last bits only.
  fc.array(
    fc.nat({ max: 40 }).map((n) => 1000 + n * 2 ** -43),
    { maxLength: 300 },
  ),
);

describe('a column', () => {
  it('is exact, whether its values are kept or gone through again', () => {
    fc.assert(
      fc.property(sample, fc.constantFrom(1, 2, 7, 30, 1000), (values, keepMax) => {
        expectExact(summaryOf(values, keepMax), values);
      }),
      { numRuns: 300 },
    );
  });

  it('is exact beside others that share the memory, however little there is', () => {
    fc.assert(
      fc.property(
        fc.array(sample, { minLength: 2, maxLength: 8 }),
        fc.integer({ min: 1, max: 400 }),
        (samples, keepMax) => {
          summarise(samples, keepMax).summaries.forEach((summary, i) => {
            expectExact(summary, samples[i]!);
          });
        },
      ),
      { numRuns: 100 },
    );
  });

  it.each([1, 2, 3])('of %d values has the quantiles between them', (count) => {
    const values = [30, 10, 20].slice(0, count);
    expectExact(summaryOf(values), values);
  });

  it('of none has no summary', () => {
    expect(summaryOf([])).toBeUndefined();
    expect(summaryOf([Number.NaN, Number.POSITIVE_INFINITY, 1e141, -1e300])).toBeUndefined();
  });

  it('leaves out what is no value', () => {
    expect(summaryOf([Number.NaN, 1, Number.POSITIVE_INFINITY, 3, 1e141])).toMatchObject({
      count: 2,
      mean: 2,
    });
  });

  it('has no −0', () => {
    const { min, max, mean, sum, quantiles } = summaryOf([-0, 0, -0])!;
    for (const zero of [min, max, mean, sum, ...quantiles]) expect(Object.is(zero, 0)).toBe(true);
  });

  it('adds up as in twice the precision', () => {
    const values = Array.from({ length: 4000 }, (_, i) => [1e16, 1, -1e16, 1][i % 4]!);
    expect(summaryOf(values)).toMatchObject({ sum: 2000, mean: 0.5 });
    expect(summaryOf(values, 64)).toMatchObject({ sum: 2000, mean: 0.5 });
    expect(summaryOf(new Array(3000).fill(0.1))).toMatchObject({ mean: 0.1, stdDev: 0, sum: 300 });
  });

  it('takes two passes where few values are in question, and more where they are many', () => {
    const normal = seededNormal(5);
    const values = Array.from({ length: 40_000 }, () => Math.exp(6 + 0.6 * normal()));
    const quantiles = [0.5, 0.9, 0.95, 0.99, 0.999];
    const kept = summarise([values], 40_000, quantiles);
    const again = summarise([values], 8192, quantiles);
    const oftener = summarise([values], 500, quantiles);
    expect([kept.passes, again.passes, oftener.passes]).toEqual([1, 2, 3]);
    for (const { summaries } of [kept, again, oftener]) {
      expect(summaries[0]!.quantiles).toEqual(quantile(values, quantiles));
      expect(summaries[0]!.stdDev).toBeCloseTo(describeSample(values).stdDev!, 9);
    }
  });

  it('knows values that no memory could hold all copies of', () => {
    // All 64 bits of the keys have to be told apart, 16 in each pass.
    const values = Array.from({ length: 5000 }, (_, i) => (i < 2000 ? 7 : 7 + 2 ** -50));
    const { summaries, passes } = summarise([values], 16, [0.1, 0.9]);
    expect(summaries[0]!.quantiles).toEqual([7, 7 + 2 ** -50]);
    expect(passes).toBe(4);
  });

  it('waits for its turn where more columns want to count than tables are allowed', () => {
    const samples = Array.from({ length: 150 }, (_, n) =>
      Array.from({ length: 60 }, (_, i) => n + ((i * 7) % 60)),
    );
    const { summaries, passes } = summarise(samples, 8, [0.5]);
    summaries.forEach((summary, n) => {
      expect(summary).toMatchObject({ count: 60, min: n, max: n + 59, quantiles: [n + 29.5] });
    });
    expect(passes).toBeGreaterThan(3);
  });

  it('notices that values are gone', () => {
    const staging = new Staging(kernels);
    const columns = new ExactColumns(kernels, { keepMax: 8 });
    const column = columns.column([0.5]);
    const values = Float64Array.from({ length: 100 }, (_, i) => i);
    give(column, values, staging, false);
    expect(columns.endPass()).toBe('again');
    give(column, values.subarray(1), staging, false);
    expect(columns.endPass()).toBe('afresh');
  });
});

interface NistSet {
  data: number[];
  double_exact: { mean: number; stddev: number };
}

describeWithFixture<Record<string, NistSet>>('nist/univariate.json', (sets) => {
  for (const [name, { data, double_exact: exact }] of Object.entries(sets)) {
    it.each([KEEP_ALL, 16])(`${name}: mean and standard deviation have 15 digits, %d kept`, (keepMax) => {
      const { mean, stdDev } = summaryOf(data, keepMax)!;
      expect(digitsOfAgreement(mean, exact.mean), `mean ${mean}`).toBeGreaterThanOrEqual(15);
      expect(digitsOfAgreement(stdDev!, exact.stddev), `stdDev ${stdDev}`).toBeGreaterThanOrEqual(15);
    });
  }

  it('sets a bar that plain sums do not reach on NumAcc4', () => {
    const { data, double_exact: exact } = sets.NumAcc4!;
    const mean = data.reduce((a, b) => a + b) / data.length;
    const stdDev = Math.sqrt(data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (data.length - 1));
    expect(digitsOfAgreement(stdDev, exact.stddev)).toBeLessThan(15);
  });
});
