/** Rows that were captured before, put into the statistics of a new memory. */
import { describe, expect, it } from 'vitest';
import { Replay } from '../../src/ring/replay.js';
import { batchesOf, makeRing, type TestRing } from '../support/ring.js';

/** A ring with rows of several bindings, malformed ones among them. */
function captured(rows: number): TestRing {
  const ring = makeRing({ capacityRows: 65_536, overflow: 'reject' });
  const writer = ring.writer();
  for (let i = 0; i < rows; i++) {
    const recorder = writer.recorder(`event ${i % 5}`, { model: `model ${i % 3}` });
    const latencyMs = i % 11 === 0 ? Number.NaN : i % 101 === 0 ? Number.POSITIVE_INFINITY : (i % 97) - 20;
    recorder.recordAt(1e15 + i, latencyMs, i / 1000, i % 7, i % 3, i % 2 === 0 ? null : i % 3 === 0);
  }
  writer.ring.publish();
  return ring;
}

/** What the statistics of a ring say, slot by slot. */
function tallies(ring: TestRing) {
  return [...ring.accumulators.read()].map(
    ([slot, { rows, succeeded, failed, tokenRows, promptTokens, latency, cost }]) => {
      const { count, sum, min, max } = latency;
      return {
        slot,
        rows,
        succeeded,
        failed,
        tokenRows,
        promptTokens,
        count,
        sum,
        min,
        max,
        cost: cost.sum,
        p99: latency.sketch.quantile(0.99),
      };
    },
  );
}

describe('a replay', () => {
  it('gives the statistics that the rows had, before anybody captures', () => {
    const before = captured(10_000);
    const after = makeRing({ capacityRows: 1024 });
    const texts: string[] = [''];
    for (let id = 1; id < before.bindings.size; id++) {
      const { event, model, provider, bound } = before.bindings.binding(id);
      texts.push(JSON.stringify([event, model, provider, bound]));
    }
    after.bindings.restore(texts);
    const replay = new Replay(after.memory, after.geometry);
    for (const batch of batchesOf(before)) replay.add(batch);
    expect(tallies(after)).toEqual(tallies(before));
    expect(tallies(after).length).toBeGreaterThan(10);
  });

  it('leaves no row to be read, and counts nothing as captured or malformed', () => {
    const before = captured(3000);
    const after = makeRing({ capacityRows: 1024 });
    const replay = new Replay(after.memory, after.geometry);
    for (const batch of batchesOf(before)) replay.add(batch);
    expect(batchesOf(after)).toEqual([]);
    expect(after.control.counts()).toEqual({
      published: 0,
      overwritten: 0,
      refused: 0,
      malformed: 0,
      overflowed: 0,
      cut: 0,
    });
  });

  it('is added to by what is captured next', () => {
    const before = captured(1000);
    const after = makeRing({ capacityRows: 2048 });
    const replay = new Replay(after.memory, after.geometry);
    for (const batch of batchesOf(before)) replay.add(batch);
    const writer = after.writer();
    const recorder = writer.recorder('new');
    for (let i = 0; i < 500; i++) recorder.recordAt(2e15 + i, 1);
    writer.ring.publish();
    expect(tallies(after).reduce((sum, { rows }) => sum + rows, 0)).toBe(1500);
    expect(batchesOf(after).flatMap((batch) => [...batch.latencyMs])).toEqual(Array(500).fill(1));
  });
});
