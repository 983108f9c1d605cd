/** How long a thread waits for room in a ring that blocks, on a clock that its waiting moves. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SpoolRing, SpoolWords } from '../../src/ring/spool.js';
import { latenciesOf, makeRing } from '../support/ring.js';

/** What the storage does while the writer waits, told how long it has waited so far, ms. */
type Storage = (waitedMs: number) => void;

let waitedMs: number;
let storage: Storage;
beforeEach(() => {
  waitedMs = 0;
  storage = () => {};
  vi.spyOn(performance, 'now').mockImplementation(() => waitedMs);
  vi.spyOn(Atomics, 'wait').mockImplementation((_, __, ___, timeoutMs) => {
    waitedMs += timeoutMs as number;
    storage(waitedMs);
    return 'timed-out';
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** A full ring of two chunks. */
function full(blockMs: number) {
  const ring = makeRing({ capacityRows: 2048, producerCount: 1, overflow: 'block', blockMs });
  const writer = ring.writer();
  const recorder = writer.recorder('e');
  for (let i = 0; i < 2048; i++) recorder.recordAt(i, i);
  const words = new SpoolWords(ring.memory);
  const spool = new SpoolRing(ring.memory, ring.geometry);
  const release = () => {
    const [oldest] = ring.reader.chunks();
    spool.release(oldest!.chunk, oldest!.generation, oldest!.rows);
  };
  const refused = () => ring.control.counts().refused;
  return { ring, writer, recorder, words, release, refused };
}

describe('a writer that finds the ring full', () => {
  it('waits for as long as the storage gets on, and loses nothing when room comes', () => {
    const { ring, writer, recorder, words, release, refused } = full(60_000);
    storage = (ms) => {
      if (ms % 4000 < 50) words.addWritten(1);
      if (ms > 50_000) release();
    };
    recorder.recordAt(2048, 2048);
    expect(waitedMs).toBeGreaterThan(50_000);
    expect(refused()).toBe(0);
    writer.ring.publish();
    expect(latenciesOf(ring).at(-1)).toBe(2048);
  });

  it('waits no longer than blockMs, however the storage gets on', () => {
    const { recorder, words, refused } = full(7000);
    storage = () => words.addDurable(1);
    recorder.recordAt(2048, 2048);
    expect(waitedMs).toBe(7000);
    expect(refused()).toBe(1);
  });

  it('gives storage up that has kept nothing for five seconds, and waits again once it has released something', () => {
    const { recorder, words, release, refused } = full(60_000);
    storage = (ms) => {
      if (ms < 1000) words.addWritten(1);
    };
    recorder.recordAt(2048, 2048);
    expect(waitedMs).toBeGreaterThanOrEqual(5900);
    expect(waitedMs).toBeLessThanOrEqual(6000);
    // The rows behind it are refused at once.
    const waitedFirstMs = waitedMs;
    for (let i = 0; i < 100; i++) recorder.recordAt(i, i);
    expect(waitedMs).toBe(waitedFirstMs);
    expect(refused()).toBe(101);
    release();
    for (let i = 0; i < 1024; i++) recorder.recordAt(i, i);
    expect(refused()).toBe(101);
    recorder.recordAt(0, 0);
    expect(waitedMs).toBe(waitedFirstMs + 5000);
    expect(refused()).toBe(102);
  });

  it('does not wait at all where nothing is ever released', () => {
    const { recorder, refused } = full(0);
    recorder.recordAt(2048, 2048);
    expect(waitedMs).toBe(0);
    expect(refused()).toBe(1);
  });
});
