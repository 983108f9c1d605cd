/** Filters answered from bindings and columns give what they give on events. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FLAG_DECLARED } from '../../assembly/layout.js';
import { compileFilter } from '../../src/readers/filter.js';
import { RowTests } from '../../src/readers/row-tests.js';
import { decodeRow, type RowSource } from '../../src/readers/rows.js';
import type { Batch } from '../../src/ring/batch.js';
import type { Binding } from '../../src/ring/bindings.js';
import type { EventRow, Filter } from '../../src/schema/event.js';
import { START_US, useBench } from '../capture/support.js';
import { numberConditions, passesFilter } from '../support/filters.js';
import { makeBatch, SOURCE } from '../support/rows.js';

const bench = useBench();
const COLUMNS = { variant: 'dict', retried: 'bool', score: 'f64', tries: 'i32' } as const;
const texts = ['a', 'b', ''];
const text = fc.constantFrom(...texts);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

const bound = fc.record(
  {
    model: text,
    provider: text,
    region: text,
    variant: text,
    sampleId: fc.constantFrom('a', 1),
    latencyMs: fc.constant('x'),
    tries: fc.constantFrom(1, 2.5),
    tokens: fc.constant({ total: 9 }),
  },
  { requiredKeys: [] },
);
const metadata = fc.record(
  {
    model: text,
    provider: text,
    region: text,
    variant: text,
    retried: fc.boolean(),
    score: fc.constantFrom<unknown>(0, 1.5, 'none', null),
    tries: fc.constantFrom<unknown>(1, 2, 2.5),
    cost: fc.constantFrom(2, Number.NaN),
    tokens: fc.constantFrom<unknown>(
      { prompt: 1, completion: 2 },
      { prompt: 1, completion: 2, total: 3 },
      { prompt: 1, completion: 2, total: 9 },
      'many',
    ),
    latencyMs: fc.constant(7),
  },
  { requiredKeys: [] },
);
const few = numberConditions([0, 1, 1.5, 2, 2.5, 3, 9]);
const latencies = numberConditions([4.5, 5, 7, 8]);
const asked = {
  latencyMs: latencies,
  costUsd: numberConditions([0, 0.5, 2]),
  timestamp: numberConditions([START_US, START_US + 1, START_US + 4]),
  tokensPrompt: few,
  tokensCompletion: few,
  tokensTotal: few,
  score: few,
  tries: few,
};
const anyFilter: fc.Arbitrary<Filter> = fc.record(
  {
    eventName: fc.constantFrom('e', 'f', 'g'),
    model: fc.option(text),
    provider: fc.option(text),
    success: fc.option(fc.boolean()),
    ...asked,
    where: fc.oneof(
      ...(
        [
          ...Object.entries(asked),
          ['region', fc.option(text)],
          ['variant', fc.option(text)],
          ['variant', fc.record({ ne: fc.option(text) })],
          ['retried', fc.option(fc.boolean())],
          ['score', fc.constantFrom(null, 0, 1.5, 'none')],
          ['model', fc.option(text)],
          ['model', fc.record({ in: fc.array(text, { maxLength: 2 }) })],
          ['sampleId', fc.constantFrom(null, 'a', 1)],
          ['sequence', numberConditions([1, 3])],
          ['tokens', fc.constantFrom(null, { prompt: 1, completion: 2, total: 3 })],
          ['eventName', fc.constantFrom('e', 'f')],
          ['absent', fc.constantFrom(null, 1)],
        ] as const
      ).map(([key, value]) => (value as fc.Arbitrary<unknown>).map((wanted) => ({ [key]: wanted }))),
    ),
    predicate: fc.constant((event: EventRow) => event.sequence % 2 === 0),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Filter>;

/** Of all parts together few rows pass: most filters have one or two of them. */
const filter = fc
  .tuple(anyFilter, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
  .map(([all, ...kept]) => {
    const parts = Object.entries(all);
    return Object.fromEntries(parts.filter((_, i) => kept.some((k) => k % parts.length === i))) as Filter;
  });

describe('a filter', () => {
  it('passes the rows that pass as events, however they were captured', async () => {
    const recorded = fc.record({
      event: fc.constantFrom('e', 'f'),
      bound,
      latencyMs: fc.constantFrom(5, Number.NaN),
      success: fc.constantFrom(true, false, null),
    });
    const captured = fc.record({
      event: fc.constantFrom('e', 'f', 'g'),
      metadata,
      measured: maybe(fc.constant(5)),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(recorded, captured), { maxLength: 12 }),
        fc.array(filter, { minLength: 1, maxLength: 6 }),
        async (rows, filters) => {
          const experiment = bench.start({ columns: COLUMNS });
          for (const row of rows) {
            if ('bound' in row)
              experiment.recorder(row.event, row.bound).record(row.latencyMs, 0.5, 1, 2, row.success);
            else
              experiment.capture(
                row.event,
                row.measured === undefined ? {} : { latencyMs: row.measured },
                row.metadata,
              );
          }
          const all = await experiment.query();
          for (const one of filters) {
            const wanted = all.filter((event) => passesFilter(event, one));
            expect(await experiment.query(one)).toEqual(wanted);
            // Once more, with what the first time has taught.
            expect(await experiment.query(one)).toEqual(wanted);
            expect((await experiment.metrics(one)).summary.totalEvents).toBe(wanted.length);
          }
          await experiment.cleanup();
        },
      ),
      { numRuns: 250 },
    );
  });

  it('decodes recorded rows only for what differs from row to row and has no column', () => {
    const decoded = (wanted: Filter, bound: Binding['bound'] = {}) => {
      const binding: Binding = { event: 'e', model: 'm', provider: null, bound };
      const source: RowSource = {
        ...SOURCE,
        columns: [{ name: 'variant', type: 'dict' }],
        binding: () => binding,
        text: (id) => `text ${id}`,
      };
      const batch: Batch = {
        ...makeBatch({ firstSequence: 0, timesUs: [1, 2, 3] }),
        declared: [Int32Array.of(0, 1, 2)],
      };
      batch.tags.fill(1 | FLAG_DECLARED);
      let count = 0;
      const tests = new RowTests(source, compileFilter(wanted, source));
      const { rows } = tests.apply(batch, Uint32Array.of(0, 1, 2), (row) => {
        count++;
        return decodeRow(source, batch, row);
      });
      return { rows: [...rows], decoded: count, excluded: tests.excludes(1) };
    };
    expect(decoded({ eventName: 'e', model: 'm' })).toEqual({ rows: [0, 1, 2], decoded: 0, excluded: false });
    expect(decoded({ model: 'n' })).toEqual({ rows: [], decoded: 0, excluded: true });
    expect(decoded({ where: { variant: 'text 1' } })).toEqual({ rows: [1], decoded: 0, excluded: false });
    expect(decoded({ where: { variant: 'b' } }, { variant: 'b' })).toEqual({
      rows: [0],
      decoded: 0,
      excluded: false,
    });
    expect(decoded({ where: { region: 'eu' } }, { region: 'us' })).toMatchObject({ rows: [], decoded: 0 });
    expect(decoded({ where: { timestamp: 2 } })).toEqual({ rows: [1], decoded: 0, excluded: false });
    expect(decoded({ timestamp: { gt: 2 }, costUsd: null })).toEqual({
      rows: [2],
      decoded: 0,
      excluded: false,
    });
    expect(decoded({ tokensTotal: { gte: 0 } })).toEqual({ rows: [], decoded: 0, excluded: false });
    expect(decoded({ where: { sequence: 2 } })).toEqual({ rows: [2], decoded: 3, excluded: false });
  });
});
