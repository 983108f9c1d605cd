/** What the spooler, who owns the document, does about segments that have become Parquet. */

import { describe, expect, it } from 'vitest';
import { SpoolWords } from '../../../src/ring/spool.js';
import { compactSegment } from '../../../src/storage/compaction/segment-to-parquet.js';
import { FORMAT, FORMAT_VERSION, readDocument, writeDocument } from '../../../src/storage/disk/document.js';
import type { FileSystem } from '../../../src/storage/disk/file-system.js';
import { openFolder } from '../../../src/storage/recovery.js';
import { NO_LOSSES } from '../../../src/storage/segment/format.js';
import { runSpooler, type SpoolerNews, type SpoolerOrder } from '../../../src/storage/spooler/loop.js';
import { type Retention, Spooler, type SpoolerOptions } from '../../../src/storage/spooler/spooler.js';
import { createFileSystem as createFaultyDisk } from '../../support/disks/faulty-disk.mjs';
import { crashStates, PowerLossDisk } from '../../support/disks/power-loss-disk.mjs';
import { makeRing, type TestRing } from '../../support/ring.js';

const FOLDER = '/x';
const ROWS = 3000;

function optionsOf(ring: TestRing, retention: Retention = {}): SpoolerOptions {
  return {
    memory: ring.memory,
    geometry: ring.geometry,
    folder: FOLDER,
    lock: null,
    identity: {
      formatVersion: FORMAT_VERSION,
      libraryVersion: '0.0.0-test',
      experimentId: 'exp-1',
      columns: [],
      priceVersion: '2026-01',
    },
    overflow: 'block',
    fsync: 'interval',
    flushIntervalMs: 1,
    segmentBytes: 50_000,
    retention,
    losses: NO_LOSSES,
    rowsBefore: 0,
    expiredBefore: 0,
    epoch: new SpoolWords(ring.memory).nextEpoch(),
  };
}

const EVERYTHING = { everything: true, sync: true };

/** A ring and what its spooler has written of it: several finished segments, whose rows are in the ring too. */
async function begin(retention?: Retention) {
  const disk = new PowerLossDisk(new Map([[FOLDER, null]]));
  writeDocument(disk, FOLDER, {
    format: FORMAT,
    formatVersion: FORMAT_VERSION,
    libraryVersion: '0.0.0-test',
    experiment: { id: 'exp-1' },
    segments: [],
    current: null,
    expired: { throughSegment: 0, lastChunk: null, segments: 0, rows: 0, bytes: 0 },
    losses: NO_LOSSES,
    updatedAtUs: 1,
  });
  const ring = makeRing({ capacityRows: 8192, overflow: 'block', spooled: true });
  const writer = ring.writer();
  const spooler = new Spooler(optionsOf(ring, retention), disk);
  const recorder = writer.recorder('recorded', { model: 'm' });
  for (let i = 0; i < ROWS; i++) {
    recorder.recordAt(1e15 + i, i);
    if (i % 1500 !== 1499) continue;
    writer.ring.publish();
    spooler.step(EVERYTHING);
  }
  return { disk, ring, spooler };
}

async function compacted(disk: FileSystem, segment: number): Promise<number> {
  const record = readDocument(disk, FOLDER).segments.find((found) => found.segment === segment);
  return compactSegment(disk, FOLDER, record!);
}

const names = (disk: FileSystem) =>
  disk
    .list(FOLDER)
    .filter((name) => /^\d/.test(name))
    .sort();

describe('the spooler', () => {
  it('lists the Parquet file and then deletes the other, and does not mind being told twice', async () => {
    const { disk, spooler } = await begin();
    const before = readDocument(disk, FOLDER).segments;
    expect(before.map(({ form }) => form)).toEqual(['arrow', 'arrow']);
    const bytes = await compacted(disk, 1);
    for (let times = 0; times < 2; times++) {
      spooler.compacted(1, bytes);
      spooler.step(EVERYTHING);
      expect(names(disk)).toEqual(['000001.parquet', '000002.arrows']);
      expect(readDocument(disk, FOLDER).segments).toEqual([
        { ...before[0], form: 'parquet', bytes },
        before[1],
      ]);
    }
  });

  it('loses nothing when the power goes meanwhile', async () => {
    const { disk, spooler } = await begin();
    const from = disk.journal.length;
    const bytes = await compacted(disk, 1);
    spooler.compacted(1, bytes);
    spooler.step(EVERYTHING);
    const seed = 5;
    for (const { content, point } of crashStates(disk.initial, disk.journal, {
      seed,
      from,
      statesPerPoint: 5,
    })) {
      const after = new PowerLossDisk(content);
      const { rows, damage } = await openFolder(after, FOLDER, [], { repair: true });
      expect([rows, damage], `seed ${seed}, point ${point}`).toEqual([ROWS, []]);
      expect(names(after)).toHaveLength(2);
    }
  });

  it('keeps the Arrow file as long as the document cannot be written', async () => {
    const { disk, ring } = await begin();
    const bytes = await compacted(disk, 1);
    const files = createFaultyDisk({ faults: [{ operation: 'rename', code: 'EIO', until: 3 }] }, disk);
    const spooler = new Spooler(optionsOf(ring), files);
    spooler.compacted(1, bytes);
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(() => spooler.step(EVERYTHING)).toThrow('EIO');
      expect(names(disk)).toEqual(['000001.arrows', '000001.parquet', '000002.arrows']);
    }
    spooler.step(EVERYTHING);
    expect(names(disk)).toEqual(['000001.parquet', '000002.arrows']);
  });

  it('that takes over knows which rows are in a Parquet file', async () => {
    const { disk, ring, spooler } = await begin();
    spooler.compacted(1, await compacted(disk, 1));
    spooler.step(EVERYTHING);
    const other = new Spooler(optionsOf(ring), disk);
    other.step(EVERYTHING);
    other.finish();
    // Were rows of the ring taken again, there would be another segment.
    expect(names(disk)).toEqual(['000001.parquet', '000002.arrows']);
    expect((await openFolder(disk, FOLDER, [], { repair: false })).rows).toBe(ROWS);
  });

  it('deletes Parquet files that are too old, and those of segments that were', async () => {
    const { disk, ring, spooler } = await begin();
    spooler.compacted(1, await compacted(disk, 1));
    spooler.step(EVERYTHING);
    const bytes = await compacted(disk, 2);
    const strict = new Spooler(optionsOf(ring, { maxBytes: 1 }), disk);
    strict.step(EVERYTHING);
    expect(readDocument(disk, FOLDER).segments).toEqual([]);
    expect(names(disk)).toEqual(['000002.parquet']);
    strict.compacted(2, bytes);
    strict.step(EVERYTHING);
    expect(names(disk)).toEqual([]);
  });
});

describe("the spooler's day", () => {
  it('tells of segments that are new, and answers what it is told of Parquet files', async () => {
    const { disk, ring } = await begin();
    const bytes = await compacted(disk, 1);
    const orders: SpoolerOrder[] = [
      { kind: 'compacted', segment: 1, bytes },
      { kind: 'finish', experiment: { id: 'exp-1' }, ticket: null },
    ];
    const news: SpoolerNews[] = [];
    runSpooler(optionsOf(ring), disk, {
      receive: () => orders.shift(),
      post: (item) => void news.push(item),
    });
    expect(news.map(({ kind }) => kind).filter((kind) => kind !== 'attempted')).toEqual([
      'compacted',
      'listed',
      'state',
      'finished',
    ]);
    expect(names(disk)).toEqual(['000001.parquet', '000002.arrows']);
  });
});
