import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BATCH_ROWS,
  CHUNK_ROWS,
  CHUNK_TIME_MAX_OFFSET,
  CHUNK_TIME_MIN_OFFSET,
  TIME_US_MAX,
} from '../../assembly/layout.js';
import { MemoryStore } from '../../src/readers/memory-store.js';
import type { RowSource } from '../../src/readers/rows.js';
import type { Batch } from '../../src/ring/batch.js';
import { batchesOf, latenciesOf, makeRing } from '../support/ring.js';

const oddTime = fc.oneof(
  { weight: 10, arbitrary: fc.double({ min: -1e6, max: 2e15, noNaN: true }) },
  { weight: 2, arbitrary: fc.constantFrom(0, -0, 1e308, -1e308, 5e-324) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity) },
);

describe('a reader of the ring', () => {
  it('sees nothing that was not published, and then all of it', () => {
    const ring = makeRing({ capacityRows: 2048 });
    const writer = ring.writer();
    const recorder = writer.recorder('e');
    for (let i = 0; i < 1500; i++) {
      recorder.recordAt(i, i);
      // A batch is published with its last row.
      expect(ring.control.counts().published).toBe(Math.floor((i + 1) / BATCH_ROWS) * BATCH_ROWS);
    }
    writer.ring.publish();
    expect(latenciesOf(ring)).toEqual(Array.from({ length: 1500 }, (_, i) => i));
  });

  it('says that it was lapped, and never returns rows of two laps', () => {
    const ring = makeRing({ capacityRows: 2 * CHUNK_ROWS });
    const writer = ring.writer();
    const recorder = writer.recorder('e');
    const write = (rows: number, latencyMs: number) => {
      for (let i = 0; i < rows; i++) recorder.recordAt(i, latencyMs);
      writer.ring.publish();
    };
    write(2 * CHUNK_ROWS, 1);
    const [first, second] = ring.reader.chunks();
    write(1, 2);
    expect(ring.reader.read(first!)).toBeUndefined();
    expect([...ring.reader.read(second!)!.latencyMs]).toEqual(new Array(CHUNK_ROWS).fill(1));
    // A whole lap later the entry looks alike, but for its generation.
    write(2 * CHUNK_ROWS, 3);
    expect(ring.reader.read(first!)).toBeUndefined();
    expect(ring.reader.read(second!)).toBeUndefined();
  });

  it('returns rows of one lap or none when the writer comes between listing and copying, wherever that is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 4 }),
        (chunks, bursts) => {
          const ring = makeRing({ capacityRows: chunks * CHUNK_ROWS });
          const writer = ring.writer();
          const recorder = writer.recorder('e');
          let written = 0;
          const write = (rows: number) => {
            for (let i = 0; i < rows; i++, written++) recorder.recordAt(written, written);
            writer.ring.publish();
          };
          write(700);
          for (const burst of bursts) {
            const views = ring.reader.chunks();
            write(burst);
            for (const view of views) {
              const batch = ring.reader.read(view);
              // The rows from its first on, as many as were listed, although more may have come.
              if (batch)
                expect([...batch.latencyMs]).toEqual(
                  Array.from({ length: view.rows }, (_, i) => batch.latencyMs[0]! + i),
                );
              else expect(ring.reader.chunks()).not.toContainEqual(view);
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('reports the rows of lapped chunks in a snapshot', () => {
    const ring = makeRing({ capacityRows: 2 * CHUNK_ROWS });
    const writer = ring.writer();
    const recorder = writer.recorder('e');
    for (let i = 0; i < 2 * CHUNK_ROWS; i++) recorder.recordAt(i, i);
    writer.ring.publish();
    const { reader } = ring;
    // A reader during whose listing the ring moves on by a chunk.
    const slow = Object.create(reader, {
      chunks: {
        value: () => {
          const views = reader.chunks();
          recorder.recordAt(0, -1);
          writer.ring.publish();
          return views;
        },
      },
      read: { value: (view: ReturnType<typeof reader.chunks>[number]) => reader.read(view) },
    }) as typeof reader;
    const store = new MemoryStore(slow, {} as RowSource);
    const { refs } = store.snapshot(-Infinity, Infinity);
    const read = refs.map((ref) => ref.read() as Batch | undefined);
    expect(store.lappedRows).toBe(CHUNK_ROWS);
    expect(read.flatMap((batch) => [...(batch?.latencyMs ?? [])])).toEqual(
      Array.from({ length: CHUNK_ROWS }, (_, i) => CHUNK_ROWS + i),
    );
  });

  it('is told a time range that covers the rows, whatever their times, which are repaired and counted', () => {
    fc.assert(
      fc.property(
        fc.array(oddTime, { minLength: 1, maxLength: 700 }),
        fc.array(fc.nat(700)),
        (times, publishAt) => {
          const ring = makeRing({ capacityRows: 2048 });
          const writer = ring.writer();
          const recorder = writer.recorder('e');
          times.forEach((time, i) => {
            recorder.recordAt(time, i);
            if (publishAt.includes(i)) writer.ring.publish();
          });
          writer.ring.publish();
          const [view] = ring.reader.chunks();
          const [batch] = batchesOf(ring);
          let before = 0;
          const repaired = times.map((time) => {
            if (Math.abs(time) <= TIME_US_MAX) before = time;
            return before;
          });
          expect([...batch!.timeUs]).toEqual(repaired);
          for (const time of repaired) {
            expect(time >= view!.timeMinUs && time <= view!.timeMaxUs, `${time} in ${view!.timeMinUs}…`).toBe(
              true,
            );
          }
          const malformed = times.filter((time) => !(Math.abs(time) <= TIME_US_MAX)).length;
          expect(ring.control.counts().malformed).toBe(malformed);
        },
      ),
      { numRuns: 80 },
    );
  });

  it('is told of a chunk claimed anew no time of its former rows', () => {
    const ring = makeRing();
    const writer = ring.writer();
    const recorder = writer.recorder('e');
    for (let i = 0; i < CHUNK_ROWS; i++) recorder.recordAt(i === 0 ? -1e9 : 1e9, i);
    recorder.recordAt(5, 5);
    writer.ring.publish();
    expect(ring.reader.chunks()).toMatchObject([{ rows: 1, timeMinUs: 5, timeMaxUs: 5 }]);
    const entry = new Float64Array(ring.memory.buffer);
    expect(entry[(ring.geometry.directoryAddress + CHUNK_TIME_MIN_OFFSET) >> 3]).toBe(5);
    expect(entry[(ring.geometry.directoryAddress + CHUNK_TIME_MAX_OFFSET) >> 3]).toBe(5);
  });

  it('gets copies: what it holds stays when the ring moves on', () => {
    const ring = makeRing();
    const writer = ring.writer();
    const recorder = writer.recorder('e');
    for (let i = 0; i < CHUNK_ROWS; i++) recorder.recordAt(i, 1);
    writer.ring.publish();
    const [held] = batchesOf(ring);
    for (let i = 0; i < CHUNK_ROWS; i++) recorder.recordAt(i, 2);
    writer.ring.publish();
    expect(new Set(held!.latencyMs)).toEqual(new Set([1]));
  });

  it('counts a row with an unusable time and an infinite value as malformed once', () => {
    const ring = makeRing();
    const writer = ring.writer();
    writer.recorder('e').recordAt(Number.NaN, Infinity, -Infinity);
    writer.ring.publish();
    expect(ring.control.counts().malformed).toBe(1);
    expect([...batchesOf(ring)[0]!.timeUs]).toEqual([0]);
  });
});
