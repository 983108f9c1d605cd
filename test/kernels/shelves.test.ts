/** Ranks over many runs of values, of each of which some are kept. */

import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { Kernels } from '../../src/kernels/kernels.js';
import { keyOf } from '../../src/kernels/keys.js';
import { ranksOf } from '../../src/kernels/quantiles.js';
import { type Run, Selector } from '../../src/kernels/select.js';
import { type Shelf, Shelves } from '../../src/kernels/shelves.js';
import { seededNormal } from '../support/numeric.js';

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

const PANES = 40;
const normal = seededNormal(5);
const latency = () => Math.exp(6 + 0.6 * normal());

/** Slides over panes of 300 to 900 values, three at a time, and compares the quantiles of each window with sorting. */
function slide(valueAt: (pane: number, i: number) => number, quantiles = [0.5, 0.95, 0.99]): void {
  const selector = new Selector(kernels);
  const shelves = new Shelves(kernels, selector);
  const open: { shelf: Shelf; sample: Float64Array }[] = [];
  // Room in which values lie for a while, as they are moved when it runs out.
  const rooms = [kernels.allocate(8 * 4000), kernels.allocate(8 * 4000)];
  for (let pane = 0; pane < PANES; pane++) {
    const count = 300 + ((pane * 157) % 600);
    const sample = Float64Array.from({ length: count }, (_, i) => valueAt(pane, i));
    let at = rooms[pane % 2]! >> 3;
    for (const { shelf, sample: held } of open) {
      kernels.f64.set(held, at);
      shelf.values = 8 * at;
      at += held.length;
    }
    kernels.f64.set(sample, at);
    const run = { values: 8 * at, count };
    open.push({ shelf: shelves.shelve(run, Math.min(...sample), Math.max(...sample)) as Shelf, sample });
    const all = Float64Array.from(open.flatMap(({ sample }) => [...sample])).sort();
    const ranks = ranksOf(quantiles, all.length);
    const inside = open.map(({ shelf }) => shelf);
    const selected = shelves.select(inside, [], all[0]!, all[all.length - 1]!, ranks);
    expect(selected).toEqual(ranks.map((rank) => all[rank]));
    if (open.length === 3) shelves.free((open.shift() as (typeof open)[0]).shelf);
  }
}

it.each<[string, (pane: number, i: number) => number]>([
  ['are alike', () => latency()],
  ['drift', (pane) => latency() * 1.1 ** pane],
  ['jump by many magnitudes', (pane) => latency() * 10 ** ((pane * 37) % 200)],
  ['are tied heavily', () => 100 * Math.ceil(latency() / 100)],
  ['are whole milliseconds', () => Math.ceil(latency())],
  ['are all the same', () => 7],
  ['are two numbers', (_, i) => i % 2],
  ['are zero, then not', (pane) => (pane < 10 ? 0 : latency())],
  ['are negative', () => -latency()],
  ['are on both sides of zero', () => normal()],
  ['are denormal', (_, i) => 5e-324 * ((i * 7919) % 1000)],
  ['are of all magnitudes', (_, i) => (i % 3 === 0 ? -1 : 1) * 2 ** (((i * 7919) % 2000) - 1000)],
  ['differ in the last bits', (_, i) => 1 + ((i * 7919) % 997) * Number.EPSILON],
  ['are as large as can be', (_, i) => (i % 2 === 0 ? 1.7e308 : -1.7e308) / (1 + (i % 7))],
])('has the quantiles of sorting in every window where values %s', (_, valueAt) => {
  slide(valueAt);
  slide(valueAt, [0, 0.001, 0.5, 0.5, 0.51, 1]);
  slide(valueAt, [0.75]);
});

it('has none where nothing is wanted', () => slide(latency, []));

it('says how many values lie below a band, and gathers those in it', () => {
  const keys = kernels.allocate(2 * 2048);
  const target = kernels.allocate(8 + 8 * 2048);
  const table = kernels.allocate(8);
  const scratch = kernels.allocate(8 * 1025);
  const values = kernels.allocate(8 * 2048);
  const wordOf = (value: number) => Number((keyOf(value) >> 32n) & 0x7fffffffn);
  const key = fc.integer({ min: 0, max: 0x7fff });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 700 }),
      fc.integer({ min: 0, max: 12 }),
      fc.tuple(key, key),
      (sample, shift, edges) => {
        const [first, end] = [Math.min(...edges), Math.max(...edges)];
        const low = wordOf(100);
        kernels.f64.set(sample, values >> 3);
        kernels.u32.set([first, end], table >> 2);
        kernels.module.shortenKeys(values, sample.length, low, shift, keys);
        kernels.module.gatherBands(keys, values, sample.length, table, 1, 1024, target, scratch);
        const keyOfValue = (of: number) =>
          of <= 0 ? 0 : Math.min(0x7ffe, Math.max(0, wordOf(of) - low) >> shift);
        const inside = sample.filter((of) => keyOfValue(of) >= first && keyOfValue(of) < end);
        const [below, size] = kernels.u32.subarray(target >> 2, (target >> 2) + 2);
        expect(below).toBe(sample.filter((of) => keyOfValue(of) < first).length);
        expect(size).toBe(inside.length);
        expect([...kernels.f64.subarray((target >> 3) + 1, (target >> 3) + 1 + inside.length)]).toEqual(
          inside,
        );
      },
    ),
    { numRuns: 500 },
  );
});
