import { beforeEach, describe, expect, it } from 'vitest';
import type { Batch } from '../../../src/ring/batch.js';
import { segmentName } from '../../../src/storage/disk/paths.js';
import { Segments, segmentFiles } from '../../../src/storage/segment/segments.js';
import { PowerLossDisk } from '../../support/disks/power-loss-disk.mjs';
import { FOLDER, SpoolRig } from '../../support/spooling.js';

const ALL = { everything: true, sync: true };
const pathOf = (segment: number) => `${FOLDER}/${segmentName(segment)}`;

let rig: SpoolRig;
let segments: Segments;
beforeEach(() => {
  rig = new SpoolRig({ producers: 1, chunks: 8 });
  segments = new Segments(rig.disk, FOLDER, [], 'exp-1');
});

function write(rows: number): void {
  rig.capture(0, rows);
  expect(rig.step(ALL)).toBe(true);
}

function replace(path: string, bytes: Uint8Array): void {
  if (rig.disk.list(FOLDER).includes(path.slice(FOLDER.length + 1))) rig.disk.unlink(path);
  const fd = rig.disk.open(path, 'wx');
  rig.disk.write(fd, [bytes], 0);
  rig.disk.close(fd);
}

const rowsOf = (of: Segments) => of.refs().reduce((sum, { rows }) => sum + rows, 0);

describe('segments', () => {
  it('are found by their names', () => {
    const disk = new PowerLossDisk(
      new Map(
        ['000010.arrows', '000002.arrows', '1000000.arrows', '2.arrows', 'x.lock', '3.parquet'].map(
          (name) => [`/f/${name}`, new Uint8Array(0)],
        ),
      ),
    );
    expect(segmentFiles(disk, '/f').map(({ segment }) => segment)).toEqual([2, 10, 1_000_000]);
  });

  it('grow under their reader, who looks at what is new only', () => {
    write(100);
    const first = segments.refs();
    expect(first.map(({ firstSequence, rows }) => [firstSequence, rows])).toEqual([[0, 100]]);
    write(50);
    const second = segments.refs();
    expect(second[0]).toBe(first[0]);
    expect(second.map(({ firstSequence, rows }) => [firstSequence, rows])).toEqual([
      [0, 100],
      [100, 50],
    ]);
    expect([...(second[1]!.read() as Batch).latencyMs]).toEqual(
      Array.from({ length: 50 }, (_, i) => 100 + i),
    );
    segments.close();
    expect((first[0]!.read() as Batch).rows).toBe(100);
  });

  it('say what texts they know', () => {
    write(10);
    segments.refs();
    expect(segments.texts.bindings[1]).toBe('["event 0","model 0",null,{}]');
  });

  it('that are deleted have no rows any more, and were not damaged', async () => {
    write(100);
    const [ref] = segments.refs();
    rig.disk.unlink(pathOf(1));
    expect(await ref!.read()).toBe(undefined);
    expect([segments.refs(), segments.damaged]).toEqual([[], []]);
  });

  it('that are not begun yet have none either', () => {
    replace(pathOf(1), new Uint8Array(0));
    expect([segments.refs(), segments.damaged]).toEqual([[], []]);
  });

  it('list a batch whose body has changed, once it was read, and leave it out from then on', () => {
    write(100);
    write(50);
    const [first] = segments.refs();
    const bytes = rig.disk.readFile(pathOf(1), 1e9);
    const offset = (first as unknown as { place: { offset: number; bytes: number } }).place;
    bytes[offset.offset + offset.bytes - 9]! ^= 1;
    replace(pathOf(1), bytes);
    segments.close();
    expect(segments.damaged).toEqual([]);
    expect(first!.read()).toBe(undefined);
    expect(segments.damaged).toMatchObject([{ path: pathOf(1), offset: offset.offset, rows: 100 }]);
    expect(rowsOf(segments)).toBe(50);
    expect(segments.damaged.length).toBe(1);
  });

  it('list where metadata has changed, and keep what comes before', () => {
    write(100);
    write(50);
    const [, second] = segments.refs();
    const { offset } = (second as unknown as { place: { offset: number } }).place;
    const bytes = rig.disk.readFile(pathOf(1), 1e9);
    bytes[offset + 40]! ^= 1;
    replace(pathOf(1), bytes);
    const others = new Segments(rig.disk, FOLDER, [], 'exp-1');
    expect(rowsOf(others)).toBe(100);
    expect(others.damaged).toMatchObject([{ path: pathOf(1), offset, rows: null }]);
  });

  it('list files that are of no use: garbage, and segments of another experiment', () => {
    write(100);
    const other = new SpoolRig({ producers: 1, experimentId: 'exp-2' });
    other.capture(0, 10);
    other.step(ALL);
    replace(pathOf(7), other.disk.readFile(pathOf(1), 1e9));
    replace(pathOf(8), Buffer.from('nothing that could be read as a segment at all'));
    expect(rowsOf(segments)).toBe(100);
    expect(segments.damaged).toMatchObject([
      { path: pathOf(7), offset: 0, rows: null, reason: 'it belongs to experiment exp-2' },
      { path: pathOf(8), offset: 0, rows: null },
    ]);
    rig.disk.unlink(pathOf(7));
    rig.disk.unlink(pathOf(8));
    expect(rowsOf(segments)).toBe(100);
    expect(segments.damaged).toEqual([]);
  });

  it('that are being written and become shorter have fewer rows, until they are there again: whoever writes tells why', () => {
    write(100);
    write(50);
    segments.refs();
    const bytes = rig.disk.readFile(pathOf(1), 1e9);
    const [, second] = segments.refs();
    const { offset } = (second as unknown as { place: { offset: number } }).place;
    replace(pathOf(1), bytes.slice(0, offset));
    expect(rowsOf(segments)).toBe(100);
    expect(segments.damaged).toEqual([]);
    replace(pathOf(1), bytes);
    expect(rowsOf(segments)).toBe(150);
    expect(segments.damaged).toEqual([]);
  });

  it('let other errors of the disk through', () => {
    write(10);
    const failing = new Proxy(rig.disk, {
      get: (target, name: keyof PowerLossDisk) => {
        if (name === 'read') throw Object.assign(new Error('EIO'), { code: 'EIO' });
        return (target[name] as () => unknown).bind(target);
      },
    });
    expect(() => new Segments(failing, FOLDER, [], 'exp-1').refs()).toThrow('EIO');
  });
});
