/** The order of many doubles. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascending } from '../../../src/analysis/compare/ascending.js';
import { seededNormal } from '../../support/numeric.js';

const SEED = 20_261_123;
const MANY = 70_000;

function expectSorted(values: Float64Array): void {
  const before = values.slice();
  const found = ascending(values);
  const expected = values.slice().sort();
  let wrong = found.length === expected.length ? 0 : 1;
  for (let i = 0; i < expected.length; i++) if (!Object.is(found[i], expected[i])) wrong++;
  expect(wrong).toBe(0);
  expect(values).toEqual(before);
}

describe('ascending', () => {
  it('is the order that comparison gives, to the sign of 0', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 300 }), (values) => {
        // Repeated until they are many enough for digits.
        expectSorted(Float64Array.from({ length: MANY }, (_, i) => values[(i * 7919) % values.length]!));
        expectSorted(Float64Array.from(values));
      }),
      {
        seed: SEED,
        numRuns: 8,
        examples: [[[0, -0, 5e-324, -5e-324, Infinity, -Infinity, Number.MAX_VALUE]]],
      },
    );
  });

  const normal = seededNormal(SEED);
  it.each<[string, () => number]>([
    ['of both signs', normal],
    ['all below 0', () => -Math.exp(normal())],
    ['whole numbers', () => Math.round(500 * Math.exp(normal()))],
    ['one value', () => 7],
    ['of all magnitudes', () => normal() * 2 ** (300 * normal())],
  ])('of doubles %s', (_, draw) => {
    expectSorted(Float64Array.from({ length: MANY }, draw));
  });

  it('puts NaN at the ends, whatever its sign', () => {
    const values = Float64Array.from({ length: MANY }, () => normal());
    const bits = new BigUint64Array(values.buffer);
    bits[17] = 0x7ff8_0000_0000_0000n;
    bits[99] = 0xfff8_0000_0000_0001n;
    const inner = ascending(values).filter((value) => !Number.isNaN(value));
    expect(inner).toHaveLength(MANY - 2);
    const found = ascending(values);
    const start = Number.isNaN(found[0]!) ? found.findIndex((value) => !Number.isNaN(value)) : 0;
    expect(found.subarray(start, start + MANY - 2)).toEqual(inner);
  });
});
