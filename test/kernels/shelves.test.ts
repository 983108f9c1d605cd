/** Ranks over many runs of values, each in order of bins. */

import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { Kernels } from '../../src/kernels/kernels.js';
import { type Run, Selector } from '../../src/kernels/select.js';
import { type Shelf, Shelves } from '../../src/kernels/shelves.js';

const kernels = new Kernels();
const mark = kernels.mark;
afterEach(() => kernels.release(mark));

/** Puts the samples on shelves, as far as they are large enough, and selects every rank of all of them. */
function selectAll(samples: readonly (readonly number[])[], ranksOf: (count: number) => number[]) {
  const selector = new Selector(kernels);
  const shelves = new Shelves(kernels, selector);
  const shelved: Shelf[] = [];
  const loose: Run[] = [];
  for (const sample of samples) {
    const values = kernels.allocate(8 * sample.length);
    kernels.f64.set(sample, values >> 3);
    const run = { values, count: sample.length };
    const shelf = shelves.shelve(run, Math.min(...sample), Math.max(...sample));
    if (shelf === undefined) loose.push(run);
    else shelved.push(shelf);
  }
  const all = Float64Array.from(samples.flat()).sort();
  const ranks = ranksOf(all.length);
  const selected = shelves.select(shelved, loose, all[0]!, all[all.length - 1]!, ranks);
  return { selected, expected: ranks.map((rank) => all[rank]), shelved: shelved.length };
}

const value = fc.oneof(
  { weight: 5, arbitrary: fc.double({ min: 1, max: 1e4, noNaN: true }) },
  fc.double({ min: -1e140, max: 1e140, noNaN: true }).map((v) => v + 0),
  fc.constantFrom(0, 5),
);
const large = fc.array(value, { minLength: 256, maxLength: 700 });
const small = fc.array(value, { minLength: 1, maxLength: 200 });

it('finds every rank, whatever lies on the shelves and beside them', () => {
  fc.assert(
    fc.property(large, fc.array(fc.oneof(large, small), { maxLength: 5 }), (first, others) => {
      const { selected, expected } = selectAll([first, ...others], (count) => [
        ...Array.from({ length: count }, (_, rank) => rank),
      ]);
      expect(selected).toEqual(expected);
    }),
    { numRuns: 40 },
  );
});

it.each<[string, (i: number) => number]>([
  ['beyond the range of the first', (i) => 1e6 + i],
  ['below it', (i) => -i],
  ['all the same', () => 7],
])('finds ranks where later values are %s', (_, valueAt) => {
  const first = Array.from({ length: 300 }, (_, i) => 100 + i);
  const later = Array.from({ length: 3000 }, (_, i) => valueAt(i));
  const { selected, expected, shelved } = selectAll([first, later], (count) => [
    0,
    1,
    299,
    300,
    1500,
    count - 1,
  ]);
  expect(shelved).toBe(2);
  expect(selected).toEqual(expected);
});
