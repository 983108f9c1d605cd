import { beforeEach, describe, expect, it } from 'vitest';
import { NO_LOSSES } from '../../../src/storage/segment/format.js';
import { scanSegment } from '../../../src/storage/segment/scan.js';
import { recordOf, SegmentWriter, type Take } from '../../../src/storage/segment/writer.js';
import { createFileSystem as createFaultyDisk, type Fault } from '../../support/disks/faulty-disk.mjs';
import { PowerLossDisk } from '../../support/disks/power-loss-disk.mjs';
import { batchOf, bindingOf, identityOf, type TestRow } from './support.js';

const PATH = '/f/000001.arrows';

let disk: PowerLossDisk;
beforeEach(() => {
  disk = new PowerLossDisk();
  disk.makeFolder('/f');
});

function begin(faults: readonly Fault[] = []): SegmentWriter {
  const files = createFaultyDisk({ faults }, disk);
  return new SegmentWriter(files, files.open(PATH, 'wx'), PATH, identityOf([]));
}

function stage(writer: SegmentWriter, chunk: number, rows: number): Take {
  const row: TestRow = {
    timeUs: 1000 + chunk,
    latency: [0, 0],
    cost: [0, 0],
    prompt: -1,
    completion: -1,
    binding: 1,
    flags: 0,
    payload: null,
    declared: null,
  };
  const batch = batchOf(Array(rows).fill(row), { firstSequence: chunk * 1024, columns: [] });
  writer.encoder.bindings(2, bindingOf);
  const entry = writer.encoder.batch(batch, chunk, 0, NO_LOSSES);
  const take: Take = { chunk, generation: 2, from: 0, rows, chunks: 1 + chunk, entry };
  writer.stage(take);
  return take;
}

const sizeOf = () => disk.readFile(PATH, 1e9).length;

describe('a segment being written', () => {
  it('tells what has become written, synced and finished', () => {
    const writer = begin();
    const first = stage(writer, 0, 10);
    const second = stage(writer, 1, 20);
    expect(writer.bytes).toBe(0);
    expect(writer.write()).toEqual([first, second]);
    expect(writer.write()).toEqual([]);
    expect([writer.bytes, writer.unsyncedBytes, writer.unsyncedChunks]).toEqual([sizeOf(), sizeOf(), 3]);
    expect(writer.sync('/f')).toEqual([first, second]);
    expect(writer.unsyncedBytes).toBe(0);
    writer.beginEnd();
    writer.beginEnd();
    writer.write();
    writer.sync('/f');
    const record = writer.end();
    expect(record).toEqual({
      segment: 1,
      form: 'arrow',
      bytes: sizeOf(),
      rows: 30,
      timeMinUs: 1000,
      timeMaxUs: 1001,
      lastChunk: 1,
      ended: true,
    });
    const index = scanSegment(disk, PATH);
    expect(index.ended).toBe(true);
    expect(recordOf(1, index)).toEqual(record);
  });

  it('syncs its name once', () => {
    const writer = begin();
    for (let chunk = 0; chunk < 3; chunk++) {
      stage(writer, chunk, 5);
      writer.write();
      writer.sync('/f');
    }
    expect(disk.journal.filter(({ operation }) => operation === 'syncFolder').length).toBe(1);
  });

  it('repeats a write that fell short, from where it began', () => {
    const writer = begin([{ operation: 'write', bytes: 100, code: 'ENOSPC', until: 2 }]);
    const take = stage(writer, 0, 50);
    expect(() => writer.write()).toThrow('ENOSPC');
    expect([writer.bytes, sizeOf()]).toEqual([0, 100]);
    expect(writer.write()).toEqual([take]);
    expect(writer.write()).toEqual([]);
    expect(scanSegment(disk, PATH)).toMatchObject({ damage: [], torn: false });
  });

  it('cuts off what is written again elsewhere, when it is given up', () => {
    const writer = begin();
    stage(writer, 0, 10);
    writer.write();
    writer.sync('/f');
    const syncedBytes = sizeOf();
    stage(writer, 1, 20);
    writer.write();
    expect(writer.abandon(0)).toMatchObject({ bytes: syncedBytes, rows: 10, lastChunk: 0, ended: false });
    expect(sizeOf()).toBe(syncedBytes);
  });

  it('keeps what is not, and says that it was never synced', () => {
    const writer = begin();
    stage(writer, 0, 10);
    writer.write();
    writer.sync('/f');
    const { entry } = stage(writer, 1, 20);
    stage(writer, 2, 30);
    writer.write();
    const bytes = entry.offset + entry.bytes;
    expect(writer.abandon(1)).toMatchObject({
      bytes,
      rows: 30,
      unsyncedRows: 20,
      lastChunk: 1,
      ended: false,
    });
    expect(sizeOf()).toBe(bytes);
  });

  it('leaves no file behind when nothing of it was synced', () => {
    const writer = begin();
    stage(writer, 0, 10);
    writer.write();
    expect(writer.abandon(0)).toBe(undefined);
    expect(disk.list('/f')).toEqual([]);
  });

  it('is given up although the disk refuses that, too', () => {
    const writer = begin([{ operation: ['truncate', 'close', 'unlink'], code: 'EIO' }]);
    stage(writer, 0, 10);
    writer.write();
    expect(writer.abandon(0)).toBe(undefined);
    const other = new SegmentWriter(
      disk,
      disk.open('/f/000002.arrows', 'wx'),
      '/f/000002.arrows',
      identityOf([]),
    );
    other.close();
  });

  it('without rows has no times', () => {
    const writer = begin();
    writer.write();
    writer.sync('/f');
    expect(writer.end()).toMatchObject({ rows: 0, timeMinUs: null, timeMaxUs: null, lastChunk: null });
  });
});
