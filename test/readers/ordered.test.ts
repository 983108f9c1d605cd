/** Rows ascending by time in bounded memory, against a plain sort. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matches } from '../../src/readers/matches.js';
import { orderedEvents, orderedRows } from '../../src/readers/ordered.js';
import type { Batch } from '../../src/ring/batch.js';
import type { EventRow, Filter } from '../../src/schema/event.js';
import { LiveBatches, type Rows, refTo, rowValue, viewOf } from '../support/rows.js';
import { allEvents, lastEvents } from './support.js';

/** Ways in which times may go with capture. */
const shapes: Record<string, fc.Arbitrary<(row: number) => number>> = {
  ascending: fc.constant((row) => row * 10),
  descending: fc.constant((row) => -row * 10),
  'all the same': fc.constant(() => 7),
  'a few of the same': fc.constant((row) => row % 3),
  random: fc.integer().map((seed) => (row) => Math.abs(Math.imul(row + seed, 0x9e3779b1)) % 5000),
  'random with fractions': fc
    .integer()
    .map((seed) => (row) => (Math.imul(row + seed, 0x9e3779b1) % 5000) / 7),
  'nearly ascending': fc.constant((row) => row * 10 - (row % 7) * 25),
  'of several producers': fc.constant((row) => (row % 16) * 10 + Math.floor(row / 64) * 160 + (row % 64)),
  'with outliers decades away': fc.constant((row) => (row % 37 === 0 ? -1e15 + row : row)),
  'ascending, with one far ahead': fc.constant((row) => (row === 5 ? 8.64e18 : row)),
  'mostly the same': fc.constant((row) => (row % 50 === 0 ? row : 0)),
  'beyond whole microseconds': fc.constant((row) => 4e18 + (row % 5) * 512),
};

const layout = fc.record({
  rows: fc.integer({ min: 1, max: 400 }),
  batchRows: fc.integer({ min: 1, max: 40 }),
  sliceRows: fc.integer({ min: 1, max: 60 }),
  padBytes: fc.constantFrom(0, 10),
  isAsync: fc.boolean(),
});

interface Layout {
  readonly rows: number;
  readonly batchRows: number;
  readonly padBytes: number;
}

function batches({ rows, batchRows, padBytes }: Layout, timeOf: (row: number) => number): Rows[] {
  const all: Rows[] = [];
  for (let first = 0, n = 0; first < rows; first += batchRows, n++) {
    const timesUs = Array.from({ length: Math.min(batchRows, rows - first) }, (_, i) => timeOf(first + i));
    all.push({ firstSequence: 1000 + first, timesUs, producer: n % 3, padBytes });
  }
  return all;
}

const refs = (all: readonly Rows[], isAsync: boolean) =>
  all.map((rows) => refTo(rows, (batch) => (isAsync ? Promise.resolve(batch) : batch)));

/** [sequence, time], ascending by time and then sequence. */
function sorted(all: readonly Rows[], filter: (time: number, sequence: number) => boolean = () => true) {
  return all
    .flatMap(({ firstSequence, timesUs }) =>
      timesUs.map((time, i) => [firstSequence + i, Math.floor(time)] as const),
    )
    .filter(([sequence, time]) => filter(time, sequence))
    .sort(([a, timeA], [b, timeB]) => timeA - timeB || a - b);
}

const placeOf = ({ sequence, timestamp }: EventRow) => [sequence, timestamp] as const;

describe.each(Object.entries(shapes))('rows whose times are %s', (_, shape) => {
  it('come in the order of a plain sort, each whole', async () => {
    await fc.assert(
      fc.asyncProperty(layout, shape, async ({ sliceRows, isAsync, ...form }, timeOf) => {
        const all = batches(form, timeOf);
        const events = await allEvents(viewOf(refs(all, isAsync)), { sliceRows });
        expect(events.map(placeOf)).toEqual(sorted(all));
        for (const { sequence, latencyMs, metadata, eventId } of events) {
          expect(latencyMs).toBe(rowValue(sequence));
          const isCaptured = form.padBytes > 0 && ((sequence - 1000) % form.batchRows) % 3 === 0;
          expect(metadata).toEqual(
            isCaptured ? { value: rowValue(sequence), pad: 'x'.repeat(form.padBytes) } : {},
          );
          const batch = Math.floor((sequence - 1000) / form.batchRows);
          expect(eventId).toBe(`x-0${batch % 3}-${sequence.toString(16).padStart(10, '0')}`);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('come in that order when there are more bytes than a slice may hold', async () => {
    await fc.assert(
      fc.asyncProperty(layout, shape, async (form, timeOf) => {
        const all = batches({ ...form, padBytes: 100 }, timeOf);
        const events = await allEvents(viewOf(refs(all, false)), { sliceBytes: 2000 });
        expect(events.map(placeOf)).toEqual(sorted(all));
      }),
      { numRuns: 15 },
    );
  });

  it('are the last n when asked for those', async () => {
    await fc.assert(
      fc.asyncProperty(layout, shape, fc.integer({ min: 1, max: 450 }), async (options, timeOf, count) => {
        const { sliceRows, isAsync, ...form } = options;
        const all = batches(form, timeOf);
        const events = await lastEvents(viewOf(refs(all, isAsync)), count, { sliceRows });
        expect(events.map(placeOf)).toEqual(sorted(all).slice(-count));
      }),
      { numRuns: 25 },
    );
  });

  it('pass a filter of times and events, whose predicate sees each once', async () => {
    await fc.assert(
      fc.asyncProperty(layout, shape, fc.tuple(fc.nat(400), fc.nat(400)), async (options, timeOf, rows) => {
        const { sliceRows, isAsync, ...form } = options;
        const all = batches(form, timeOf);
        const [a, b] = rows.map(timeOf) as [number, number];
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const seen: number[] = [];
        const predicate = ({ sequence }: EventRow) => {
          seen.push(sequence);
          return sequence % 2 === 0;
        };
        const filter: Filter = { timeRange: [low, high], predicate };
        const events = await allEvents(viewOf(refs(all, isAsync), filter), { sliceRows });
        const inRange = sorted(all, (time) => time >= low && time <= high);
        expect(events.map(placeOf)).toEqual(inRange.filter(([sequence]) => sequence % 2 === 0));
        expect(seen).toEqual(inRange.map(([sequence]) => sequence));
      }),
      { numRuns: 25 },
    );
  });

  it('are never held in greater numbers than four slices or one batch', async () => {
    await fc.assert(
      fc.asyncProperty(layout, shape, fc.boolean(), async (options, timeOf, latestFirst) => {
        const { sliceRows, isAsync, ...form } = options;
        const view = viewOf(refs(batches(form, timeOf), isAsync));
        for await (const { table } of orderedRows(view, { sliceRows, latestFirst })) {
          expect(table.rows).toBeLessThanOrEqual(Math.max(4 * sliceRows, form.batchRows));
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe('reading in order', () => {
  const form = { rows: 5000, batchRows: 50, padBytes: 0 };
  const random = (row: number) => (row * 7919) % 5003;

  function watched(timeOf: (row: number) => number, live: LiveBatches) {
    return viewOf(batches(form, timeOf).map((rows) => refTo(rows, (batch) => live.handOut(batch))));
  }

  it.each([
    ['random', random],
    ['ascending', (row: number) => row],
    ['far apart in every batch', (row: number) => (row % 50 === 0 ? -1e15 : row)],
    ['the same', () => 1],
  ])('holds few batches at once, whatever the order: times %s', async (_, timeOf) => {
    const live = new LiveBatches(10);
    for await (const { rows } of orderedRows(watched(timeOf, live), { sliceRows: 1000 })) {
      expect(rows.length).toBeGreaterThan(0);
    }
    expect(live.reads).toBeGreaterThanOrEqual(100);
    // Those kept for the next slice, and the one being read.
    expect(live.most).toBeLessThanOrEqual(18);
  });

  it('would be found out if it held on to batches', async () => {
    const live = new LiveBatches(10);
    const held: Batch[] = [];
    for await (const { batch } of matches(watched(random, live))) held.push(batch);
    expect(live.most).toBeGreaterThanOrEqual(90);
    expect(held).toHaveLength(100);
  });

  it('reads each batch once where times ascend with capture', async () => {
    let reads = 0;
    const view = viewOf(
      batches(form, (row) => row * 3).map((rows) =>
        refTo(rows, (batch) => {
          reads++;
          return batch;
        }),
      ),
    );
    await allEvents(view, { sliceRows: 330 });
    expect(reads).toBe(100);
    reads = 0;
    expect(await lastEvents(view, 100, { sliceRows: 330 })).toHaveLength(100);
    expect(reads).toBeLessThan(15);
  });

  it('leaves out what is gone by the time it is read', async () => {
    const all = batches({ ...form, rows: 500 }, random);
    const view = viewOf(
      all.map((rows, n) => refTo(rows, (batch) => (n % 3 === 0 ? undefined : Promise.resolve(batch)))),
    );
    const events = await allEvents(view, { sliceRows: 100 });
    expect(events.map(placeOf)).toEqual(sorted(all.filter((_, n) => n % 3 !== 0)));
  });

  it('gives the same rows as often as it is asked', async () => {
    const view = viewOf(refs(batches(form, random), true));
    const first = await allEvents(view, { sliceRows: 500 });
    const second: EventRow[] = [];
    for await (const event of orderedEvents(view)) second.push(event);
    expect(second).toEqual(first);
  });

  it('fails as the read of a batch fails', async () => {
    const error = new Error('disk');
    const view = viewOf([refTo({ firstSequence: 0, timesUs: [1] }, () => Promise.reject(error))]);
    await expect(allEvents(view)).rejects.toBe(error);
    await expect(matches(view).next()).rejects.toBe(error);
  });
});
