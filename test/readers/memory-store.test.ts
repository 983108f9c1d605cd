/** Rows of a ring, as a store. */

import { describe, expect, it } from 'vitest';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import { MemoryStore } from '../../src/readers/memory-store.js';
import type { Batch, BatchRef } from '../../src/ring/batch.js';
import { useBench } from '../capture/support.js';
import { makeRing } from '../support/ring.js';
import { SOURCE } from '../support/rows.js';

const bench = useBench();
const EVER = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;

/** A ring of two chunks, and a way to fill them. */
function start() {
  const ring = makeRing({ capacityRows: 2 * CHUNK_ROWS });
  const writer = ring.writer();
  const recorder = writer.recorder('e');
  let written = 0;
  const write = (rows: number) => {
    for (let i = 0; i < rows; i++, written++) recorder.recordAt(written, written);
    writer.ring.publish();
  };
  return { store: new MemoryStore(ring.reader, SOURCE), write };
}

const read = (ref: BatchRef) => ref.read() as Batch | undefined;
const rangeOf = ({ firstSequence, rows }: BatchRef) => [firstSequence, rows];

describe('a store in memory', () => {
  it('refers to its rows by their place in capture order, with their time range', () => {
    const { store, write } = start();
    write(CHUNK_ROWS + 10);
    const { refs } = store.snapshot(...EVER);
    expect(refs).toMatchObject([
      { firstSequence: 0, rows: CHUNK_ROWS, producer: 0, timeMinUs: 0, timeMaxUs: CHUNK_ROWS - 1 },
      { firstSequence: CHUNK_ROWS, rows: 10, producer: 0, timeMinUs: CHUNK_ROWS, timeMaxUs: CHUNK_ROWS + 9 },
    ]);
    expect(refs.map((ref) => read(ref)!.firstSequence)).toEqual([0, CHUNK_ROWS]);
    expect(store.snapshot(CHUNK_ROWS, CHUNK_ROWS).refs.map(rangeOf)).toEqual([[CHUNK_ROWS, 10]]);
    expect(store.snapshot(-5, -1).refs).toEqual([]);
  });

  it('copies rows when they are read, as many as there were', () => {
    const { store, write } = start();
    write(CHUNK_ROWS + 10);
    const { refs } = store.snapshot(...EVER);
    write(10);
    expect(refs.map((ref) => read(ref)!.rows)).toEqual([CHUNK_ROWS, 10]);
    expect(read(refs[0]!)).not.toBe(read(refs[0]!));
    // What is overwritten until then is gone, and counted.
    write(CHUNK_ROWS);
    expect(read(refs[0]!)).toBeUndefined();
    expect(store.lappedRows).toBe(CHUNK_ROWS);
  });
});

describe.each(['overwrite', 'reject'] as const)('an experiment that %ss', (overflow) => {
  it('is read as it was when the read began, whatever is captured meanwhile', async () => {
    const experiment = bench.start({ capacity: 2 * CHUNK_ROWS, overflow });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 1500; i++) recorder.recordAt(i, i);
    const seen: (number | null)[] = [];
    for await (const { latencyMs } of experiment.events()) {
      seen.push(latencyMs);
      for (let i = 0; i < 10; i++) recorder.recordAt(i, -1);
    }
    expect(seen).toEqual(Array.from({ length: 1500 }, (_, i) => i));
    expect(experiment.counts.captured).toBeGreaterThan(1500);
  });

  it('is read on when it is cleaned up meanwhile', async () => {
    const experiment = bench.start({ overflow });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 3000; i++) recorder.recordAt(i, i);
    const events = experiment.events();
    await events.next();
    await experiment.cleanup();
    let rest = 0;
    for await (const { latencyMs } of events) expect(latencyMs).toBe(++rest);
    expect(rest).toBe(2999);
  });

  it('is read the same after it was stopped', async () => {
    const experiment = bench.start({ overflow });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 3000; i++) recorder.recordAt(i, i);
    const before = [await experiment.query(), await experiment.metrics()];
    await experiment.stop();
    expect([await experiment.query(), await experiment.metrics()]).toEqual(before);
  });
});
