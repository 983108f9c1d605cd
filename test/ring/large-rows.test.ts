/** Rows whose bytes do not fit a chunk's byte area: other chunks are joined to theirs. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK_ROWS, EVENT_BYTES_MAX, LAYOUT_VERSION, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { EventWriter } from '../../src/capture/event-writer.js';
import { StoredValueReader } from '../../src/formats/msgpack/stored-value.js';
import type { Batch } from '../../src/ring/batch.js';
import { planGeometry } from '../../src/ring/memory.js';
import { SpoolRing } from '../../src/ring/spool.js';
import { batchesOf, makeRing, type TestRing } from '../support/ring.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** A text of so many bytes that no other `n` has a part of. */
function textOf(n: number, bytes: number): string {
  const unit = `${n}é😀;`;
  const unitBytes = Buffer.byteLength(unit);
  return unit.repeat(bytes / unitBytes) + 'x'.repeat(bytes % unitBytes);
}

const capture = (writer: EventWriter, n: number, bytes: number) =>
  writer.capture('e', { latencyMs: n }, { n, text: textOf(n, bytes) });

/** What every readable row says of itself, in capture order; it must be what was captured. */
function rowsIn(batches: readonly Batch[], sizes: readonly number[]): number[] {
  return batches.flatMap((batch) =>
    Array.from({ length: batch.rows }, (_, row) => {
      expect(batch.tags[row]! & TAG_BINDING_MASK).toBeGreaterThan(0);
      const { n, text } = new StoredValueReader(batch.blob, batch.blobOffsets[row]!).value() as {
        n: number;
        text: string;
      };
      expect(batch.latencyMs[row]).toBe(n);
      if (text !== textOf(n, sizes[n]!)) throw new Error(`row ${n} is not what was captured`);
      return n;
    }),
  );
}

/** Sizes around every boundary of a ring whose chunks have byte areas of 256 KiB and strides of 298 to 300 KiB. */
const size = ({ geometry: { blobBytes, chunkStrideBytes } }: TestRing) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.nat(2000) },
    { weight: 2, arbitrary: fc.nat(blobBytes) },
    { weight: 1, arbitrary: fc.nat({ max: 3 * MIB }) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.nat(9), fc.integer({ min: -40, max: 40 }))
        .map(([chunks, off]) => Math.max(0, blobBytes + chunks * chunkStrideBytes + off)),
    },
  );

describe.each(['overwrite', 'reject'] as const)('a ring that would %s', (overflow) => {
  it('keeps rows of any size whole, from several producers, and counts those that it does not keep', () => {
    const sizes = size(makeRing());
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.tuple(fc.boolean(), sizes), { minLength: 1, maxLength: 60 }),
        (chunks, events) => {
          const ring = makeRing({ capacityRows: chunks * CHUNK_ROWS, overflow });
          const writers = [ring.writer(), ring.writer()];
          events.forEach(([second, bytes], n) => {
            const { refused } = ring.control.counts();
            capture(writers[second ? 1 : 0]!, n, bytes);
            if (overflow === 'overwrite' && chunks > 2) expect(ring.control.counts().refused).toBe(refused);
          });
          for (const writer of writers) writer.ring.publish();
          const { published, overwritten, refused } = ring.control.counts();
          const rows = rowsIn(
            batchesOf(ring),
            events.map(([, bytes]) => bytes),
          );
          expect(published + refused).toBe(events.length);
          expect(rows.length).toBe(published - overwritten);
          expect(new Set(rows).size).toBe(rows.length);
          if (overflow === 'reject') expect(overwritten).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});

describe('a ring of one chunk', () => {
  it('holds the largest event, again and again', () => {
    const ring = makeRing({ producerCount: 1 });
    const writer = ring.writer();
    const half = 16 * MIB - 100;
    for (let n = 0; n < 3; n++) {
      capture(writer, 2 * n, 10);
      writer.capture('e', { latencyMs: n }, { a: textOf(n, half), b: textOf(n, half) });
      writer.ring.publish();
      const batch = batchesOf(ring).at(-1)!;
      const row = batch.rows - 1;
      const stored = new StoredValueReader(batch.blob, batch.blobOffsets[row]!).value();
      expect(stored).toEqual({ a: textOf(n, half), b: textOf(n, half) });
    }
    expect(ring.control.counts()).toMatchObject({ published: 6, refused: 0, malformed: 0 });
  });

  it('holds 8 MiB of rows that are each too large for it, and then begins anew', () => {
    const ring = makeRing({ producerCount: 1 });
    const writer = ring.writer();
    const sizes = Array.from({ length: 30 }, () => 300 * KIB);
    for (const [n, bytes] of sizes.entries()) capture(writer, n, bytes);
    writer.ring.publish();
    const perChunk = Math.ceil((8 * MIB) / (300 * KIB + 20));
    expect(rowsIn(batchesOf(ring), sizes)).toEqual([28, 29]);
    expect(ring.control.counts().overwritten).toBe(perChunk);
  });
});

describe('joined chunks', () => {
  it('are free once those of their head are overwritten, and a reader that comes too late is told so', () => {
    const ring = makeRing({ capacityRows: 2 * CHUNK_ROWS, producerCount: 1 });
    const writer = ring.writer();
    capture(writer, 0, 15 * MIB);
    const [view] = ring.reader.chunks();
    expect(rowsIn([ring.reader.read(view!)!], [15 * MIB])).toEqual([0]);
    capture(writer, 1, 15 * MIB);
    expect(ring.reader.read(view!)).toBeDefined();
    // Of the spare ones there are too few left: this one needs those of the first.
    capture(writer, 2, 15 * MIB);
    expect(ring.reader.read(view!)).toBeUndefined();
    expect(rowsIn(batchesOf(ring), [0, 15 * MIB, 15 * MIB])).toEqual([1, 2]);
    expect(ring.control.counts()).toMatchObject({ published: 3, overwritten: 1, refused: 0 });
  });

  it('are free once a spooler gives their head back, whose rows nobody reads from then on', () => {
    const ring = makeRing({ capacityRows: CHUNK_ROWS, overflow: 'reject', producerCount: 1, spooled: true });
    const spool = new SpoolRing(ring.memory, ring.geometry);
    const writer = ring.writer();
    for (let n = 0; n < 4; n++) {
      capture(writer, n, 15 * MIB);
      const [view] = ring.reader.chunks();
      expect(rowsIn([ring.reader.read(view!)!], Array(4).fill(15 * MIB))).toEqual([n]);
      expect(spool.take(view!, 0, 1)).toBe(true);
      spool.setWritten(view!.chunk, view!.generation, 1);
      expect(ring.reader.written(view!)).toBe(1);
      expect(spool.release(view!.chunk, view!.generation, 1)).toBe(true);
      expect(ring.reader.chunks()).toEqual([]);
      expect(ring.reader.read(view!)).toBeUndefined();
    }
    expect(ring.control.counts()).toMatchObject({ published: 4, overwritten: 0, refused: 0 });
  });

  it('are refused while there are too few, and none is taken then', () => {
    const ring = makeRing({ capacityRows: 3 * CHUNK_ROWS, overflow: 'reject', producerCount: 2 });
    const [first, second] = [ring.writer(), ring.writer()];
    const sizes = [15 * MIB, 15 * MIB, 15 * MIB, 1 * MIB, 5];
    capture(first, 0, sizes[0]!);
    capture(second, 1, sizes[1]!);
    capture(first, 2, sizes[2]!);
    expect(ring.control.counts().refused).toBe(1);
    capture(first, 3, sizes[3]!);
    capture(second, 4, sizes[4]!);
    for (const writer of [first, second]) writer.ring.publish();
    expect(ring.control.counts()).toMatchObject({ published: 3, refused: 2 });
    expect(rowsIn(batchesOf(ring), sizes)).toEqual([0, 1, 3]);
  });
});

it('the spare chunks hold the largest event, whatever the capacity and the columns', () => {
  expect(LAYOUT_VERSION).toBeGreaterThan(2);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 25_000_000 }),
      fc.nat(64),
      fc.integer({ min: 1, max: 8 }),
      (rows, columns, producers) => {
        const declared = Array.from({ length: columns }, (_, i) => ({ name: `c${i}`, type: 'f64' as const }));
        let geometry: ReturnType<typeof planGeometry>;
        try {
          geometry = planGeometry(rows, declared, producers);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CONFIG_INVALID' });
          return;
        }
        const { spareCount, chunkStrideBytes, chunkCount, chunksAddress, memoryBytes, blobBytes } = geometry;
        expect(spareCount * chunkStrideBytes).toBeGreaterThanOrEqual(EVENT_BYTES_MAX);
        expect(chunksAddress + (chunkCount + spareCount) * chunkStrideBytes).toBeLessThanOrEqual(memoryBytes);
        expect(memoryBytes).toBeLessThanOrEqual(0x7fff0000);
        expect(blobBytes).toBeGreaterThanOrEqual(16 * CHUNK_ROWS);
      },
    ),
  );
});
