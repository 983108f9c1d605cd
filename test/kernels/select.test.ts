/** Selection by counting keys: what sorting says, without sorting. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Kernels } from '../../src/kernels/kernels.js';
import { doubleOf, keyOf } from '../../src/kernels/keys.js';
import { Selector } from '../../src/kernels/select.js';
import { seededNormal } from '../support/numeric.js';

const kernels = new Kernels();
const selector = new Selector(kernels);
const values = kernels.allocate(8 * 100_000);

/** Selects the ranks from the sample, which lies in memory in pieces. */
function select(sample: readonly number[], ranks: readonly number[], pieces = 1): number[] {
  kernels.f64.set(sample, values >> 3);
  const size = Math.ceil(sample.length / pieces);
  const runs = Array.from({ length: pieces }, (_, i) => ({
    values: values + 8 * size * i,
    count: Math.max(0, Math.min(size, sample.length - size * i)),
  }));
  const min = sample.reduce((a, b) => Math.min(a, b));
  const max = sample.reduce((a, b) => Math.max(a, b));
  return selector.select(runs, min, max, ranks);
}

const normal = seededNormal(11);
const logNormal = Array.from({ length: 30_000 }, () => Math.exp(6 + 0.6 * normal()));

it.each<[string, (i: number) => number]>([
  ['latencies', (i) => logNormal[i]!],
  ['latencies among zeros, and with one outlier', (i) => (i % 3 === 0 ? 0 : i === 1 ? 1e100 : logNormal[i]!)],
  ['positive and negative numbers', (i) => logNormal[i]! - 400],
  ['numbers that are all the same', () => 5],
  ['two numbers', (i) => i % 2],
  ['numbers that differ in the last bits', (i) => 1 + (i % 5000) * Number.EPSILON],
  ['numbers ascending', (i) => i],
  ['numbers descending', (i) => -i],
  ['all magnitudes', (i) => (i % 2 === 0 ? 1 : -1) * 2 ** ((i % 2000) - 1000)],
])('finds every rank of %s', (_, valueAt) => {
  const sample = Array.from({ length: logNormal.length }, (_, i) => valueAt(i));
  const sorted = Float64Array.from(sample).sort();
  const ranks = [0, 1, 2, 299, 14_999, 15_000, 15_001, 28_499, 29_699, 29_969, 29_999];
  const expected = ranks.map((rank) => sorted[rank]);
  expect(select(sample, ranks)).toEqual(expected);
  expect(select(sample, ranks, 29)).toEqual(expected);
  expect(kernels.f64.subarray(values >> 3, (values >> 3) + sample.length)).toEqual(Float64Array.from(sample));
});

it('finds any rank of few values', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.double({ min: -1e140, max: 1e140, noNaN: true }).map((v) => v + 0),
          fc.integer({ min: -3, max: 3 }),
        ),
        { minLength: 1, maxLength: 60 },
      ),
      (sample) => {
        const sorted = Float64Array.from(sample).sort();
        expect(select(sample, [...sorted.keys()])).toEqual([...sorted]);
        expect(select(sample, [sample.length - 1, sample.length - 1])).toHaveLength(2);
      },
    ),
  );
});

it('has keys in the order of the numbers, and numbers back', () => {
  const ascending = [-1e140, -1, -5e-324, 0, 5e-324, 1, 1 + Number.EPSILON, 1e140];
  const keys = ascending.map(keyOf);
  expect([...keys].sort((a, b) => (a < b ? -1 : 1))).toEqual(keys);
  expect(keys.map(doubleOf)).toEqual(ascending);
});
