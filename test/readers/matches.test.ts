/** The scan in capture order. */

import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Matches, matches } from '../../src/readers/matches.js';
import type { EventRow, Filter } from '../../src/schema/event.js';
import { collect, LiveBatches, refTo, viewOf } from '../support/rows.js';

const BATCHES = 60;

/** Sixty batches of four rows: times 0, 1, 2, … */
const refs = (live?: LiveBatches) =>
  Array.from({ length: BATCHES }, (_, n) =>
    refTo({ firstSequence: n * 4, timesUs: [0, 1, 2, 3].map((i) => n * 4 + i) }, (batch) =>
      live ? live.handOut(batch) : batch,
    ),
  );

async function scan(filter?: Filter): Promise<Matches[]> {
  return collect(matches(viewOf(refs(), filter)));
}

const sequencesOf = (found: readonly Matches[]) =>
  found.flatMap(({ batch, rows }) => [...rows].map((row) => batch.firstSequence + row));

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a scan', () => {
  it('gives every batch once, in capture order, and decodes nothing that the filter can do without', async () => {
    const found = await scan();
    expect(sequencesOf(found)).toEqual(Array.from({ length: 4 * BATCHES }, (_, i) => i));
    expect(found).toHaveLength(BATCHES);
    expect((await scan({ success: true })).every(({ events }) => events === undefined)).toBe(true);
  });

  it('gives the rows that pass with the events that were decoded for it, and no batch without any', async () => {
    const found = await scan({
      timeRange: [6, 17],
      predicate: ({ sequence }: EventRow) => sequence % 5 === 0,
    });
    expect(sequencesOf(found)).toEqual([10, 15]);
    expect(found.map(({ events }) => events?.map((event) => event?.sequence))).toEqual([[10], [15]]);
  });

  it('reads only batches whose time range meets the filter’s', async () => {
    let reads = 0;
    const view = viewOf(
      Array.from({ length: 10 }, (_, n) =>
        refTo({ firstSequence: n, timesUs: [n + 0.7] }, (batch) => {
          reads++;
          return batch;
        }),
      ),
      { timeRange: [3, 5] },
    );
    expect(sequencesOf(await collect(matches(view)))).toEqual([3, 4, 5]);
    expect(reads).toBe(3);
  });

  it('reads nothing where nothing can pass', async () => {
    let reads = 0;
    const ref = refTo({ firstSequence: 0, timesUs: [0] }, (batch) => {
      reads++;
      return batch;
    });
    for (const filter of [{ timeRange: [1, 0] as [number, number] }, { condition: 'other' }]) {
      expect(await collect(matches(viewOf([ref], filter)))).toEqual([]);
    }
    expect(reads).toBe(0);
  });

  it('holds one batch at a time', async () => {
    const live = new LiveBatches(3);
    for await (const { rows } of matches(viewOf(refs(live)))) expect(rows).toHaveLength(4);
    expect(live.reads).toBe(BATCHES);
    expect(live.most).toBeLessThanOrEqual(2);
  });

  it('lets other work go on every 50 ms', async () => {
    let nowMs = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    let turns = 0;
    let isDone = false;
    const others = (async () => {
      for (; !isDone; turns++) await setImmediate();
    })();
    // Each batch takes 10 ms.
    for await (const { rows } of matches(viewOf(refs()))) nowMs += 2.5 * rows.length;
    const turnsMeanwhile = turns;
    isDone = true;
    await others;
    expect(turnsMeanwhile).toBeGreaterThanOrEqual(10);
    expect(turnsMeanwhile).toBeLessThanOrEqual(13);
  });
});
