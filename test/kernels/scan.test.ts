/** Which rows a filter's columns let through, and which of their values are values. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FLAG_FAILED, FLAG_SUCCEEDED, FLAGS_DECIDED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import { Kernels } from '../../src/kernels/kernels.js';
import { isValue } from '../../src/ring/batch.js';

const MAX_ROWS = 200;
const kernels = new Kernels();
const { module, f64, u32, u8 } = kernels;
const times = kernels.allocate(8 * MAX_ROWS);
const tags = kernels.allocate(4 * MAX_ROWS);
const values = kernels.allocate(8 * MAX_ROWS);
const kept = kernels.allocate(8 * (MAX_ROWS + 1));
const bindings = kernels.allocate(TAG_BINDING_MASK + 1);
const target = kernels.allocate(4 * (MAX_ROWS + 68));
u8.fill(2, bindings, bindings + TAG_BINDING_MASK + 1);
u8.set([1, 0, 1, 1, 0, 1, 2], bindings);

interface Filter {
  readonly from: number;
  readonly until: number;
  readonly mask: number;
  readonly wanted: number;
}

type Row = readonly [timeUs: number, tag: number];

function pick(rows: readonly Row[], { from, until, mask, wanted }: Filter): number[] | undefined {
  f64.set(
    rows.map(([time]) => time),
    times >> 3,
  );
  u32.set(
    rows.map(([, tag]) => tag),
    tags >> 2,
  );
  const count = module.pickRows(times, tags, rows.length, from, until, mask, wanted, bindings, target);
  return count < 0 ? undefined : [...u32.subarray(target >> 2, (target >> 2) + count)];
}

function expected(rows: readonly Row[], { from, until, mask, wanted }: Filter): number[] | undefined {
  const passing = [...rows.keys()].filter((row) => {
    const [time, tag] = rows[row]!;
    return Math.floor(time) >= from && Math.floor(time) <= until && (tag & mask) === wanted;
  });
  const stateOf = (row: number) => u8[bindings + (rows[row]![1] & TAG_BINDING_MASK)]!;
  if (passing.some((row) => stateOf(row) === 2)) return undefined;
  return passing.filter((row) => stateOf(row) === 1);
}

const bound = fc.oneof(
  fc.constantFrom(
    Number.NEGATIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    -(2 ** 53) - 2,
    1.7e15,
    1.7e15 + 4,
  ),
  fc.double({ min: 1.7e15, max: 1.7e15 + 8, noNaN: true }),
);
const time = fc.oneof(
  { weight: 5, arbitrary: fc.double({ min: 1.7e15, max: 1.7e15 + 8, noNaN: true }) },
  fc.constantFrom(0, -(2 ** 53), -(2 ** 53) - 2, 2 ** 53, 2 ** 53 + 2, -0.5),
);
const tag = fc
  .tuple(
    fc.oneof({ weight: 30, arbitrary: fc.integer({ min: 0, max: 5 }) }, fc.constantFrom(6, TAG_BINDING_MASK)),
    fc.constantFrom(0, FLAG_SUCCEEDED, FLAG_FAILED),
  )
  .map(([binding, flag]) => (binding | flag) >>> 0);
const filter = fc
  .tuple(
    bound,
    bound,
    fc.constantFrom<[number, number]>([0, 0], [FLAG_SUCCEEDED, FLAG_SUCCEEDED], [FLAGS_DECIDED, 0]),
  )
  .map(([a, b, [mask, wanted]]) => ({ from: Math.min(a, b), until: Math.max(a, b), mask, wanted }));

it('picks the rows in time with the outcome and a binding that passes, or says that it cannot tell', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(time, tag), { maxLength: 40 }), filter, (rows, of) => {
      expect(pick(rows, of)).toEqual(expected(rows, of));
    }),
    { numRuns: 2000 },
  );
});

it('takes the whole of the last microsecond', () => {
  const rows: Row[] = [0, 0.25, 0.75, 1, 1.75, 2].map((us) => [1.7e15 + us, 0]);
  expect(pick(rows, { from: 1.7e15, until: 1.7e15 + 1, mask: 0, wanted: 0 })).toEqual([0, 1, 2, 3, 4]);
  expect(pick(rows, { from: 1.7e15 + 0.25, until: 1.7e15 + 1.5, mask: 0, wanted: 0 })).toEqual([3, 4]);
});

it('keeps what is a value, of all rows and of picked ones', () => {
  const value = fc.oneof(
    { weight: 6, arbitrary: fc.double({ min: -1e6, max: 1e6, noNaN: true }) },
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0, 1e300),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(value, fc.boolean()), { maxLength: 40 }), (rows) => {
      const column = rows.map(([number]) => number);
      f64.set(column, values >> 3);
      const picked = [...rows.keys()].filter((row) => rows[row]![1]);
      u32.set(picked, target >> 2);
      const held = (count: number) => [...f64.subarray(kept >> 3, (kept >> 3) + count)];
      const wanted = (numbers: number[]) =>
        numbers.filter((number) => isValue(number)).map((number) => number + 0);
      expect(held(module.keepValues(values, 0, rows.length, kept))).toEqual(wanted(column));
      expect(held(module.keepValues(values, target, picked.length, kept))).toEqual(
        wanted(picked.map((row) => column[row]!)),
      );
    }),
    { numRuns: 1000 },
  );
});
