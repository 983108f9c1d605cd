/** What spooler and producers tell each other in shared memory. */
import { describe, expect, it } from 'vitest';
import {
  CHUNK_ENTRY_BYTES,
  CHUNK_FREE,
  CHUNK_STATE_OFFSET,
  HEADER_NEXT_SEQUENCE_OFFSET,
  HEADER_SPOOL_REQUESTED_OFFSET,
} from '../../assembly/layout.js';
import { SpoolRing, SpoolWords } from '../../src/ring/spool.js';
import { makeRing, type TestRing } from '../support/ring.js';

function filled(rows: number, overflow: 'reject' | 'overwrite' = 'reject') {
  const ring = makeRing({ capacityRows: 2048, overflow, spooled: true });
  const writer = ring.writer();
  const recorder = writer.recorder('e');
  const capture = (count: number) => {
    for (let i = 0; i < count; i++) recorder.recordAt(1e15, i);
  };
  capture(rows);
  writer.ring.publish();
  return { ring, writer, capture, spool: new SpoolRing(ring.memory, ring.geometry) };
}

const stateOf = ({ memory, geometry }: TestRing, chunk: number) =>
  new Int32Array(memory.buffer)[
    (geometry.directoryAddress + chunk * CHUNK_ENTRY_BYTES + CHUNK_STATE_OFFSET) >> 2
  ];

describe('the words of a spooler', () => {
  it('count rows', () => {
    const words = new SpoolWords(makeRing().memory);
    words.addWritten(10);
    words.addWritten(2 ** 40);
    words.addWritten(-3);
    words.addDurable(5);
    words.addExpired(2, 3);
    expect([words.written, words.durable, words.expired]).toEqual([2 ** 40 + 7, 5, 2]);
    expect(words.expiredThrough).toBe(3);
    words.setKept(100, 10, 4, 5);
    expect([words.written, words.durable, words.expired, words.expiredThrough]).toEqual([100, 90, 4, 5]);
  });

  it('number flushes, past 2^31 too', () => {
    const { memory } = makeRing();
    const words = new SpoolWords(memory);
    new Int32Array(memory.buffer)[HEADER_SPOOL_REQUESTED_OFFSET >> 2] = 2 ** 31 - 2;
    words.answer(2 ** 31 - 2, true);
    const first = words.request();
    const second = words.request();
    expect([first, second]).toEqual([2 ** 31 - 1, -(2 ** 31)]);
    expect([words.isAttempted(first), words.isCompleted(first)]).toEqual([false, false]);
    words.answer(first, true);
    expect([words.isCompleted(first), words.isCompleted(second)]).toEqual([true, false]);
    words.answer(second, false);
    expect([words.isAttempted(second), words.isCompleted(second)]).toEqual([true, false]);
    expect(words.waitAttempted(second, 0)).toBe(true);
    expect(words.waitAttempted(words.request(), 5)).toBe(false);
  });

  it('do not let a wake-up be missed', () => {
    const words = new SpoolWords(makeRing().memory);
    const seen = words.wakes;
    words.wake();
    // Returns at once, or the test's own time is up.
    words.sleep(seen, 2 ** 31 - 1);
    words.sleep(words.wakes, 1);
  });

  it('number spoolers', () => {
    const words = new SpoolWords(makeRing().memory);
    expect([words.epoch, words.nextEpoch(), words.nextEpoch(), words.epoch]).toEqual([0, 1, 2, 2]);
    const before = words.beats;
    words.beat();
    expect(words.beats).toBe(before + 1);
  });
});

describe('the ring as a spooler sees it', () => {
  it('has rows taken once, and given back from the end', () => {
    const { ring, spool } = filled(100);
    const [view] = ring.reader.chunks();
    const { chunk, generation } = view!;
    expect(spool.taken(chunk, generation)).toBe(0);
    expect(spool.take(view!, 0, 60)).toBe(true);
    expect(spool.take(view!, 0, 60)).toBe(false);
    expect(spool.take(view!, 60, 100)).toBe(true);
    expect([spool.taken(chunk, generation), spool.takenRows]).toEqual([100, 100]);
    spool.setWritten(chunk, generation, 100);
    expect(spool.untake(chunk, generation, 60)).toBe(true);
    expect(spool.untake(chunk, generation, 80)).toBe(true);
    expect([spool.taken(chunk, generation), spool.written(chunk, generation), spool.takenRows]).toEqual([
      60, 60, 60,
    ]);
    expect(ring.reader.written(view!)).toBe(60);
  });

  it('knows nothing of an earlier generation', () => {
    const { ring, spool, capture, writer } = filled(1024, 'overwrite');
    const [view] = ring.reader.chunks();
    const { chunk, generation } = view!;
    expect(spool.take(view!, 0, 1000)).toBe(true);
    spool.setWritten(chunk, generation, 1000);
    capture(3 * 1024);
    writer.ring.publish();
    const reused = ring.reader.chunks().find((other) => other.chunk === chunk)!;
    expect(reused.generation).toBeGreaterThan(generation);
    expect(spool.taken(chunk, reused.generation)).toBe(0);
    expect(spool.written(chunk, reused.generation)).toBe(0);
    expect(ring.reader.written(reused)).toBe(0);
    expect(spool.take(view!, 1000, 1024)).toBe(false);
    expect(spool.untake(chunk, generation, 0)).toBe(false);
    // Of 2,048 overwritten rows 1,000 are kept elsewhere.
    expect(ring.control.counts().overwritten).toBe(1048);
    spool.loseTaken(1000);
    expect([ring.control.counts().overwritten, spool.takenRows]).toEqual([2048, 0]);
  });

  it('gives a chunk back once it is sealed and all of it is kept', () => {
    const { ring, spool, capture } = filled(1000);
    const [view] = ring.reader.chunks();
    const { chunk, generation } = view!;
    expect(spool.release(chunk, generation, 1000)).toBe(false);
    capture(24);
    expect(spool.release(chunk, generation, 1000)).toBe(false);
    expect(stateOf(ring, chunk)).not.toBe(CHUNK_FREE);
    expect(spool.release(chunk, generation, 1024)).toBe(true);
    expect(stateOf(ring, chunk)).toBe(CHUNK_FREE);
    // Its rows are read from where they are kept, and nothing is lost by that.
    expect(ring.reader.chunks()).toEqual([]);
    capture(2048);
    expect(spool.release(chunk, generation, 1024)).toBe(true);
    expect(ring.control.counts()).toMatchObject({ overwritten: 0, refused: 0 });
  });

  it('publishes for a thread that does not get to it', () => {
    const ring = makeRing({ capacityRows: 2048, spooled: true });
    const writer = ring.writer();
    const recorder = writer.recorder('e');
    for (let i = 0; i < 300; i++) recorder.recordAt(1e15, i);
    const spool = new SpoolRing(ring.memory, ring.geometry);
    expect(ring.control.counts().published).toBe(256);
    expect(spool.publishFor(writer.ring.producer, false)).toBe(true);
    expect(ring.control.counts().published).toBe(300);
    expect(new BigInt64Array(ring.memory.buffer)[HEADER_NEXT_SEQUENCE_OFFSET >> 3]).toBe(1n);
  });
});
