/** Few threads for many streams, as many of these at a time as there may be, and none that waits for another's reader. */

import { afterEach, describe, expect, it } from 'vitest';
import { AnalysisError, StateError } from '../../src/errors.js';
import type { StreamRequest } from '../../src/workers/stream.worker.js';
import { type ChunkSource, StreamPool, type StreamPoolOptions } from '../../src/workers/stream-pool.js';

const PROGRAM = new URL('../support/streams/thread.mjs', import.meta.url);

let pool: StreamPool;
afterEach(() => pool.close());

const open = (options: Partial<StreamPoolOptions> = {}) => {
  pool = new StreamPool({ threads: 1, program: PROGRAM, ...options });
};
const stream = (kind: string): ChunkSource =>
  pool.open({ parts: [], task: { kind: 'export', format: kind, options: {} } } as StreamRequest, () => {});

async function all(source: ChunkSource): Promise<number[]> {
  const bytes: number[] = [];
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) bytes.push(...chunk);
  return bytes;
}

describe('a pool for streams', () => {
  it('gives each stream its own chunks, in whatever order they are read', async () => {
    open({ threads: 2 });
    const [a, b, c] = [stream('fine'), stream('fine'), stream('fine')];
    expect(await a!.next()).toEqual(Uint8Array.of(1));
    expect(await c!.next()).toEqual(Uint8Array.of(3));
    expect(await b!.next()).toEqual(Uint8Array.of(2));
    expect(await Promise.all([all(c!), all(a!), all(b!)])).toEqual([
      [3, 3],
      [1, 1],
      [2, 2],
    ]);
  });

  it('begins so many at a time, and others when those end or are given up', async () => {
    open({ streamsMax: 2 });
    const [first, second, third, fourth] = ['fine', 'fine', 'fine', 'fine'].map(stream);
    await first!.next();
    await second!.next();
    let begun = 0;
    const waiting = [third!, fourth!].map((source) => all(source).then(() => begun++));
    await second!.next();
    expect(begun).toBe(0);
    await all(second!);
    await Promise.race(waiting);
    first!.end();
    await Promise.all(waiting);
    expect(begun).toBe(2);
  });

  it('gives the place of one that was given up while it waited to the next', async () => {
    open({ streamsMax: 1 });
    const [first, second, third] = ['fine', 'fine', 'fine'].map(stream);
    await first!.next();
    void second!.next().catch(() => {});
    const wanted = all(third!);
    second!.end();
    first!.end();
    expect(await wanted).toEqual([3, 3, 3]);
    expect(await all(stream('fine'))).toHaveLength(3);
  });

  it('fails the streams of a thread that dies, and does others in another one', async () => {
    open();
    const [fine, dies] = [stream('fine'), stream('exit')];
    await fine.next();
    const failed = await all(dies).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(AnalysisError);
    expect(failed).toMatchObject({ code: 'ERR_WORKER_FAILED' });
    await expect(all(fine)).rejects.toThrow(AnalysisError);
    expect(await all(stream('fine'))).toHaveLength(3);
  });

  it('ends what is under way, and what waits, when it is closed', async () => {
    open({ streamsMax: 1 });
    const outcomes = Promise.allSettled([stream('silent'), stream('fine')].map((source) => source.next()));
    await new Promise(setImmediate);
    await pool.close();
    for (const outcome of await outcomes) {
      expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(StateError);
      expect((outcome as PromiseRejectedResult).reason).toMatchObject({ code: 'ERR_CLOSED' });
    }
    await expect(stream('fine').next()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });
});
