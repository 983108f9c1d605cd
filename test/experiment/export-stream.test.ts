/**
 * Exports as streams: whatever becomes of their readers, of the experiment and of the Crucible, they end, with the rows
 * there were, and take few threads and little memory. Runs the built library in processes of its own: `npm run build` first.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, Crucible, type Experiment, ExportError, StateError } from '../../src/index.js';

const CHILD = fileURLToPath(new URL('../support/streams/child.mjs', import.meta.url));

interface Seen {
  threadsBefore: number;
  threads: number;
  residentBeforeMb: number;
  residentMb: number;
  open?: number;
  wrong?: number;
  works?: boolean;
  codes?: (string | null)[];
}

/** What many streams came to in a process that had nothing else to do, and which has ended by itself. */
async function inProcess(
  mode: string,
  format: string,
  streams: number,
  rows: number,
  idleMs = 0,
): Promise<Seen> {
  const args = [CHILD, mode, format, streams, rows, idleMs].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 240_000 });
  return JSON.parse(stdout) as Seen;
}

/** More than the calling thread encodes by itself. */
const ROWS = 20_000;
const WORKERS = 2;

describe('150 streams at a time', () => {
  it('cost nothing until somebody reads them', async () => {
    const { threads, threadsBefore, residentMb, residentBeforeMb, open } = await inProcess(
      'unread',
      'csv',
      150,
      ROWS,
    );
    expect(open).toBe(150);
    expect(threads).toBeLessThanOrEqual(threadsBefore);
    expect(residentMb - residentBeforeMb).toBeLessThan(10);
  });

  it.each([
    ['csv', 6],
    ['parquet', 12],
  ])('of %s are read in turn by a few threads, with %d MB each at most', async (format, eachMb) => {
    const seen = await inProcess('in turn', format, 150, ROWS);
    expect(seen.wrong).toBe(0);
    expect(seen.threads).toBeLessThanOrEqual(seen.threadsBefore + WORKERS);
    expect(seen.residentMb - seen.residentBeforeMb).toBeLessThan(150 * eachMb);
  });

  it('are let go when their clients have vanished: the process ends', async () => {
    const seen = await inProcess('vanish', 'csv', 150, 40_000);
    expect(seen.works).toBe(true);
    expect(seen.threads).toBeLessThanOrEqual(seen.threadsBefore + WORKERS);
  });

  it('end by themselves when nobody has read them for a while', async () => {
    const seen = await inProcess('vanish', 'jsonl', 150, 40_000, 200);
    expect(seen.codes).toEqual(['ERR_STREAM_ABANDONED']);
    expect(seen.works).toBe(true);
  });

  it('end with their Crucible, without an error that nobody handles', async () => {
    const seen = await inProcess('vanish, then close', 'csv', 150, 40_000);
    expect(seen.codes).toEqual(['ERR_CLOSED']);
    expect(seen.threads).toBeLessThan(seen.threadsBefore);
  });
});

let crucible: Crucible;
beforeEach(() => {
  crucible = new Crucible({ workers: 1 });
});
afterEach(() => crucible.close());

function start(of = crucible, rows = ROWS, dir?: string): Experiment {
  const experiment = of.startExperiment({ name: 'streamed', capacity: rows + 1024, ...(dir && { dir }) });
  const recorder = experiment.recorder('e', { model: 'm' });
  for (let i = 0; i < rows; i++) recorder.recordAt(1.7e15 + i, i);
  return experiment;
}

async function linesOf(stream: Readable): Promise<number> {
  let lines = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    for (const byte of chunk) if (byte === 10) lines++;
  }
  return lines;
}

/** How a stream ends. */
function endOf(stream: Readable): Promise<unknown> {
  return new Promise((resolve) => {
    stream.once('error', resolve).once('end', () => resolve('end'));
  });
}

/** Reads a first piece and stops. */
async function begun(stream: Readable): Promise<Readable> {
  await new Promise((resolve) => stream.once('readable', resolve));
  return stream;
}

describe.each([0, 1])('with %d workers, a stream', (workers) => {
  beforeEach(async () => {
    await crucible.close();
    crucible = new Crucible({ workers });
  });

  it('has the rows of when it was made, however the experiment goes on', async () => {
    const experiment = start();
    const [unread, read] = [experiment.exportStream('jsonl'), experiment.exportStream('jsonl')];
    await begun(read);
    for (let i = 0; i < 1000; i++) experiment.capture('later', {});
    const third = experiment.exportStream('jsonl');
    await experiment.stop();
    expect(await linesOf(unread)).toBe(ROWS);
    await experiment.cleanup();
    expect(await linesOf(read)).toBe(ROWS);
    expect(await linesOf(third)).toBe(ROWS + 1000);
    expect(() => experiment.exportStream('jsonl')).toThrow(StateError);
  });

  it('has the rows of a durable experiment that is compacted and cleaned up meanwhile', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'crucible-streams-'));
    try {
      const experiment = start(crucible, 100_000, dir);
      const streams = [experiment.exportStream('jsonl'), experiment.exportStream('jsonl')];
      await begun(streams[0]!);
      await experiment.stop();
      await experiment.compact();
      await experiment.cleanup();
      expect(await Promise.all(streams.map(linesOf))).toEqual([100_000, 100_000]);
    } finally {
      await crucible.close();
      await rm(dir, { recursive: true });
    }
  });

  it('that nobody reads on ends with an error, after the time that was given', async () => {
    const experiment = start();
    const stream = await begun(experiment.exportStream('csv', { idleTimeoutMs: 30 }));
    const error = await endOf(stream);
    expect(error).toBeInstanceOf(ExportError);
    expect(error).toMatchObject({ code: 'ERR_STREAM_ABANDONED', context: { idleTimeoutMs: 30 } });
    const unread = await endOf(experiment.exportStream('csv', { idleTimeoutMs: 30 }));
    expect(unread).toMatchObject({ code: 'ERR_STREAM_ABANDONED' });
    expect(await linesOf(experiment.exportStream('csv', { idleTimeoutMs: 0 }))).toBe(ROWS + 1);
  });

  it('is not taken for abandoned while somebody reads it, a little at a time', async () => {
    const stream = start().exportStream('jsonl', { idleTimeoutMs: 1500 });
    let pieces = 0;
    const reader = new Writable({
      highWaterMark: 1,
      write(_chunk, _encoding, done) {
        // All in all many times as long as it may take for one piece.
        setTimeout(done, pieces++ < 12 ? 200 : 0);
      },
    });
    await pipeline(stream, reader);
    expect(pieces).toBeGreaterThan(50);
  });

  it('ends with ERR_CLOSED when the Crucible is closed, begun or not', async () => {
    const experiment = start();
    const ends = [await begun(experiment.exportStream('csv')), experiment.exportStream('parquet')].map(endOf);
    await crucible.close();
    for (const error of await Promise.all(ends)) {
      expect(error).toBeInstanceOf(StateError);
      expect(error).toMatchObject({ code: 'ERR_CLOSED' });
    }
  });

  it('tells whoever listens what has gone wrong', async () => {
    const experiment = start();
    const none = experiment.exportStream('csv', { filter: { eventName: 'never' } });
    await expect(linesOf(none)).rejects.toMatchObject({ code: 'ERR_NO_DATA' });
    const reason = new Error('enough');
    const aborted = experiment.exportStream('csv', { signal: AbortSignal.abort(reason) });
    expect(await endOf(aborted)).toBe(reason);
    for (const idleTimeoutMs of [-1, Number.NaN, 2 ** 31, '1' as unknown as number]) {
      expect(() => experiment.exportStream('csv', { idleTimeoutMs })).toThrow(ConfigError);
    }
  });
});

it('a download by stream.pipeline ends with its client, and leaves the thread to others', async () => {
  const experiment = start(crucible, 200_000);
  const streams: Readable[] = [];
  const ends: Promise<unknown>[] = [];
  const server = http.createServer((_, response) => {
    const stream = experiment.exportStream('csv');
    streams.push(stream);
    ends.push(pipeline(stream, response).catch((error: NodeJS.ErrnoException) => error.code));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  for (let i = 0; i < 5; i++) {
    await new Promise<void>((resolve, reject) => {
      const request = http.get({ host: '127.0.0.1', port, agent: false }, (response) => {
        response.on('error', () => {});
        response.once('data', () => {
          response.destroy();
          resolve();
        });
      });
      request.on('error', reject);
    });
  }
  expect(await Promise.all(ends)).toEqual(Array(5).fill('ERR_STREAM_PREMATURE_CLOSE'));
  expect(streams.every(({ destroyed }) => destroyed)).toBe(true);
  const text = await new Promise<string>((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port, agent: false }, (response) => {
        resolve(Readable.from(response).reduce((all: string, chunk: Buffer) => all + chunk, ''));
      })
      .on('error', reject);
  });
  expect(text.split('\n')).toHaveLength(200_002);
  server.close();
});
