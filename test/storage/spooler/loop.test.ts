/** The spooler's day, on the test's own thread, with orders that come at exactly the wrong moment. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deserializeError } from '../../../src/errors.js';
import { readDocument } from '../../../src/storage/disk/document.js';
import { type FileSystem, nodeFileSystem } from '../../../src/storage/disk/file-system.js';
import { runSpooler, type SpoolerNews, type SpoolerOrder } from '../../../src/storage/spooler/loop.js';
import { read } from '../../faults/kill.mjs';
import { createFileSystem as createFaultyDisk } from '../../support/disks/faulty-disk.mjs';
import { type Bench, openBench } from './support.js';

let bench: Bench;
beforeEach(() => {
  bench = openBench({ flushIntervalMs: 20, capacity: 8192 });
});
afterEach(() => bench.close());

/** Runs a spooler to its end. @param turn - called at each turn of it, to say which order it finds there */
function run(
  turn: (turns: number) => SpoolerOrder | undefined,
  files: FileSystem = nodeFileSystem,
  onNews: (news: SpoolerNews) => void = () => {},
): SpoolerNews[] {
  const { options, words } = bench;
  const news: SpoolerNews[] = [];
  let turns = 0;
  let hasOrder = false;
  runSpooler({ ...options, epoch: words.nextEpoch() }, files, {
    receive() {
      // It looks again after each order.
      const order = hasOrder ? undefined : turn(turns++);
      hasOrder = order !== undefined;
      return order;
    },
    post(item) {
      // What compaction wants to know is tested elsewhere.
      if (item.kind !== 'listed') news.push(item);
      onNews(item);
    },
  });
  return news;
}

function capture(rows: number): void {
  for (let i = 0; i < rows; i++) bench.source.capture();
  bench.publish();
}

const finish = (ticket: number | null): SpoolerOrder => ({
  kind: 'finish',
  experiment: bench.fields,
  ticket,
});
const isEnded = () => {
  const { segments, current } = readDocument(nodeFileSystem, bench.folder);
  return current === null && segments.length > 0 && segments.every(({ ended }) => ended);
};

describe('the order to finish', () => {
  it('answers its flush although that is asked for only after the spooler has gone', () => {
    capture(3000);
    const ticket = (bench.words.requested + 1) | 0;
    run((turns) => (turns === 0 ? finish(ticket) : undefined));
    expect(bench.words.request()).toBe(ticket);
    expect(bench.words.isCompleted(ticket)).toBe(true);
    expect(isEnded()).toBe(true);
  });

  it('is carried out before its flush is answered, wherever the spooler was when it came', () => {
    capture(3000);
    const queue: SpoolerOrder[] = [];
    const news = run(
      (turns) => {
        const order = queue.shift();
        if (turns === 0) {
          // Between the look for an order, which found none, and the look for a flush.
          queue.push(finish((bench.words.requested + 1) | 0));
          bench.words.request();
        }
        return order;
      },
      nodeFileSystem,
      ({ kind }) => {
        if (kind === 'attempted') expect(isEnded()).toBe(true);
      },
    );
    expect(news.map(({ kind }) => kind)).toEqual(['state', 'attempted', 'finished']);
  });

  it('leaves all rows on disk', async () => {
    capture(3000);
    run(() => finish(null));
    expect(await read(bench.dir)).toMatchObject({ rows: 3000, counts: [3000], problems: [] });
  });
});

describe('what is in the way', () => {
  it('is said when it is a disk, and when it no longer is', async () => {
    capture(3000);
    const ticket = bench.words.request();
    const disk = createFaultyDisk({ faults: [{ operation: 'write', from: 1, until: 2, code: 'EIO' }] });
    const news = run((turns) => (turns === 3 ? finish(null) : undefined), disk);
    const [failed, attempted, works, finished] = news;
    expect(failed).toMatchObject({ kind: 'state' });
    expect(deserializeError(failed!.error!)).toMatchObject({ code: 'ERR_STORAGE_IO' });
    expect(attempted).toMatchObject({ kind: 'attempted', ticket, error: failed!.error });
    expect(works).toEqual({ kind: 'state', error: null });
    expect(finished).toEqual({ kind: 'finished', error: null });
    expect(bench.words.isCompleted(ticket)).toBe(false);
    expect(await read(bench.dir)).toMatchObject({ rows: 3000, counts: [3000], problems: [] });
  });

  it('ends the spooler when it is none, and the next one loses nothing', async () => {
    capture(3000);
    let isBroken = true;
    const disk: FileSystem = {
      ...nodeFileSystem,
      sync(fd) {
        if (isBroken) throw new TypeError('what no disk throws');
        nodeFileSystem.sync(fd);
      },
    };
    expect(() => run(() => finish(null), disk)).toThrow(TypeError);
    isBroken = false;
    expect(run(() => finish(null), disk)).toEqual([
      { kind: 'state', error: null },
      { kind: 'finished', error: null },
    ]);
    expect(await read(bench.dir)).toMatchObject({ rows: 3000, counts: [3000], problems: [] });
  });

  it('leaves flushes to the one that takes over, and says nothing', () => {
    capture(3000);
    const ticket = bench.words.request();
    const disk: FileSystem = {
      ...nodeFileSystem,
      write(fd, buffers, position) {
        bench.words.nextEpoch();
        return nodeFileSystem.write(fd, buffers, position);
      },
    };
    expect(run(() => undefined, disk)).toEqual([]);
    expect(bench.words.isAttempted(ticket)).toBe(false);
  });
});
