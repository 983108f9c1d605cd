/** What is remembered of rows spares reading them, and never hides one. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FLAG_FAILED, FLAG_SUCCEEDED } from '../../assembly/layout.js';
import { compileFilter } from '../../src/readers/filter.js';
import { matches } from '../../src/readers/matches.js';
import { orderedRows } from '../../src/readers/ordered.js';
import type { RowSource } from '../../src/readers/rows.js';
import { openView } from '../../src/readers/source.js';
import type { Batch, BatchRef } from '../../src/ring/batch.js';
import type { Filter } from '../../src/schema/event.js';
import { collect, makeBatch, SOURCE } from '../support/rows.js';

const source: RowSource = {
  ...SOURCE,
  binding: (id) => ({ event: `e${id}`, model: `m${id % 3}`, provider: null, bound: {} }),
};

/** A ref to a row per tag that counts how often it is read. */
function refTo(tags: readonly number[], firstSequence: number) {
  const timesUs = tags.map((_, i) => firstSequence + i);
  const batch: Batch = { ...makeBatch({ firstSequence, timesUs }), tags: Uint32Array.from(tags) };
  const ref: BatchRef & { reads: number } = {
    firstSequence,
    rows: tags.length,
    producer: 0,
    timeMinUs: firstSequence,
    timeMaxUs: firstSequence + tags.length - 1,
    reads: 0,
    read: () => {
      ref.reads++;
      return batch;
    },
  };
  return ref;
}

const found = async (refs: readonly BatchRef[], filter: Filter) => {
  const view = openView({ source, snapshot: () => ({ refs }) }, compileFilter(filter, source));
  const scanned = (await collect(matches(view))).flatMap(({ batch, rows }) =>
    [...rows].map((row) => batch.timeUs[row]),
  );
  const ordered: number[] = [];
  for await (const { table, rows } of orderedRows(view))
    for (const row of rows) ordered.push(table.timeUs[row]!);
  expect(ordered).toEqual(scanned);
  return scanned;
};

describe('zones', () => {
  it('spare reading rows of other events and outcomes, from the second time on', async () => {
    const refs = [refTo([1, 2], 0), refTo([3 | FLAG_SUCCEEDED, 4], 10), refTo([1 | FLAG_FAILED], 20)];
    const readsFor = async (filter: Filter) => {
      const before = refs.map(({ reads }) => reads);
      const times = await found(refs, filter);
      return { times, reads: refs.map(({ reads }, i) => (reads - before[i]!) / 2) };
    };
    expect(await readsFor({})).toEqual({ times: [0, 1, 10, 11, 20], reads: [1, 1, 1] });
    // The first of two scans has read them all.
    expect(await readsFor({ eventName: 'e3' })).toMatchObject({ times: [10], reads: [0.5, 1, 0.5] });
    expect(await readsFor({ eventName: 'e3' })).toEqual({ times: [10], reads: [0, 1, 0] });
    expect(await readsFor({ success: false })).toEqual({ times: [20], reads: [0, 0, 1] });
    expect(await readsFor({ success: null })).toEqual({ times: [0, 1, 11], reads: [1, 1, 0] });
    expect(await readsFor({ model: 'm2' })).toEqual({ times: [1], reads: [1, 0, 0] });
    expect(await readsFor({ eventName: 'never' })).toEqual({ times: [], reads: [0, 0, 0] });
    expect(await readsFor({})).toEqual({ times: [0, 1, 10, 11, 20], reads: [1, 1, 1] });
  });

  it('spare reading rows whose latencies or costs are others', async () => {
    const refs = [refTo([1, 1], 0), refTo([1, 1], 10)];
    const batches = refs.map((ref) => ref.read() as Batch);
    batches[0]!.latencyMs.set([5, 10]);
    batches[1]!.latencyMs.set([20, Number.NaN]);
    batches[1]!.costUsd.set([0.5, 0.5]);
    await found(refs, { latencyMs: { gt: 1e9 } });
    const readsFor = async (filter: Filter) => {
      const before = refs.map(({ reads }) => reads);
      const times = await found(refs, filter);
      return { times, reads: refs.map(({ reads }, i) => (reads - before[i]!) / 2) };
    };
    // Bounds are inclusive, whatever the operator.
    expect(await readsFor({ latencyMs: { gt: 10 } })).toEqual({ times: [10], reads: [1, 1] });
    expect(await readsFor({ latencyMs: { gt: 10.5 } })).toEqual({ times: [10], reads: [0, 1] });
    expect(await readsFor({ latencyMs: { gte: 10 } })).toEqual({ times: [1, 10], reads: [1, 1] });
    expect(await readsFor({ latencyMs: { lt: 4.5 } })).toEqual({ times: [], reads: [0, 0] });
    expect(await readsFor({ latencyMs: null })).toEqual({ times: [11], reads: [0, 1] });
    expect(await readsFor({ latencyMs: { in: [7, 20] } })).toEqual({ times: [10], reads: [1, 1] });
    expect(await readsFor({ costUsd: { ne: null } })).toEqual({ times: [10, 11], reads: [0, 1] });
    expect(await readsFor({ costUsd: 0.5 })).toEqual({ times: [10, 11], reads: [0, 1] });
    expect(await readsFor({ costUsd: { lte: 0 } })).toEqual({ times: [], reads: [0, 0] });
  });

  it('hide no row, whatever was asked before', async () => {
    const tag = fc
      .tuple(fc.integer({ min: 1, max: 90 }), fc.constantFrom(0, FLAG_SUCCEEDED, FLAG_FAILED))
      .map(([id, flag]) => id | flag);
    const filter: fc.Arbitrary<Filter> = fc.record(
      {
        eventName: fc.integer({ min: 1, max: 90 }).map((id) => `e${id}`),
        model: fc.constantFrom('m0', 'm1', 'm9'),
        success: fc.constantFrom(true, false, null),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(tag, { minLength: 1, maxLength: 100 }), { minLength: 1, maxLength: 5 }),
        fc.array(filter, { minLength: 2, maxLength: 5 }),
        async (batches, filters) => {
          const refs = batches.map((tags, i) => refTo(tags, i * 1000));
          for (const one of filters) {
            const fresh = batches.map((tags, i) => refTo(tags, i * 1000));
            expect(await found(refs, one)).toEqual(await found(fresh, one));
          }
        },
      ),
    );
  });
});
