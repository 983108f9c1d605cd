/** Opening a folder after its process has ended. What damage does to it is in test/faults/disk-damage.test.ts. */
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/ring/batch.js';
import { readDocument, writeDocument } from '../../src/storage/disk/document.js';
import { segmentName } from '../../src/storage/disk/paths.js';
import { openFolder } from '../../src/storage/recovery.js';
import { PowerLossDisk } from '../support/disks/power-loss-disk.mjs';
import { FOLDER, hooked, recovered, SpoolRig } from '../support/spooling.js';

const ALL = { everything: true, sync: true };
const pathOf = (segment: number) => `${FOLDER}/${segmentName(segment)}`;

/** A folder whose process ended in the midst of things. */
function left(): SpoolRig {
  const rig = new SpoolRig({ producers: 2, chunks: 8, segmentBytes: 40_000 });
  for (let round = 0; round < 4; round++) {
    rig.capture(0, 300);
    rig.capture(1, 200, true);
    rig.step(ALL);
  }
  rig.capture(0, 10);
  rig.step(ALL);
  return rig;
}

function append(disk: PowerLossDisk, path: string, bytes: Uint8Array): void {
  const fd = disk.open(path, 'r+');
  disk.write(fd, [bytes], disk.stat(fd).bytes);
  disk.close(fd);
}

describe('a folder that is opened', () => {
  it('gives every row, its times, its dictionaries and where to go on', async () => {
    const rig = left();
    const { contents, rows } = await recovered(rig.disk);
    expect(rows.length).toBe(2010);
    expect(contents).toMatchObject({ rows: 2010, damage: [], cut: [], timeMinUs: 1.7e15, strings: [] });
    expect(contents.timeMaxUs).toBe(1.7e15 + 7 * 2009);
    expect(contents.segments).toBe(rig.disk.list(FOLDER).filter((name) => name.endsWith('.arrows')).length);
    expect(contents.nextChunk).toBe(rig.ring.reader.chunks().at(-1)!.sequence + 1);
    expect(contents.bindings.slice(1, 3)).toEqual([
      '["event 0","model 0",null,{}]',
      '["event 1","model 1",null,{}]',
    ]);
  });

  it('changes nothing when it is only to be read', async () => {
    const { disk } = left();
    const again = new PowerLossDisk(disk.content());
    append(again, pathOf(readDocument(disk, FOLDER).current!), Buffer.from([255, 255, 255, 255, 0]));
    const entries = again.journal.length;
    expect((await recovered(again)).contents.cut).toEqual([]);
    expect(again.journal.length).toBe(entries);
  });

  it('is repaired: what is not whole is cut off, and every segment listed as finished', async () => {
    const { disk } = left();
    const current = readDocument(disk, FOLDER).current!;
    const bytes = disk.readFile(pathOf(current), 1e9).length;
    append(disk, pathOf(current), Buffer.from([255, 255, 255, 255, 0]));
    const { contents } = await recovered(disk, { repair: true });
    expect(contents.cut).toEqual([{ file: segmentName(current), bytes: 5 }]);
    expect(contents.rows).toBe(2010);
    expect(disk.readFile(pathOf(current), 1e9).length).toBe(bytes);
    const document = readDocument(disk, FOLDER);
    expect(document.current).toBe(null);
    expect(document.segments.at(-1)).toMatchObject({ segment: current, bytes, ended: false });
    expect(document.segments.reduce((sum, { rows }) => sum + rows, 0)).toBe(2010);
    const entries = disk.journal.length;
    expect((await recovered(disk, { repair: true })).contents.document).toEqual(document);
    expect(disk.journal.length).toBe(entries);
  });

  it('hands over batches in capture order, with the dictionaries of all segments', async () => {
    const { disk } = left();
    let next = 0;
    await openFolder(disk, FOLDER, [], {
      repair: false,
      onBatch(batch: Batch, { bindings }) {
        expect(batch.firstSequence).toBeGreaterThanOrEqual(next);
        next = batch.firstSequence + batch.rows;
        expect(bindings.length).toBe(4);
      },
    });
    expect(next).toBeGreaterThan(2010);
  });

  it('forgets a segment that was begun and nothing more, and one that has expired', async () => {
    const { disk } = left();
    const document = readDocument(disk, FOLDER);
    const [first] = document.segments;
    disk.close(disk.open(pathOf(77), 'wx'));
    writeDocument(disk, FOLDER, {
      ...document,
      segments: document.segments.slice(1),
      expired: {
        throughSegment: first!.segment,
        lastChunk: first!.lastChunk,
        segments: 1,
        rows: first!.rows,
        bytes: first!.bytes,
      },
    });
    const { contents } = await recovered(disk, { repair: true });
    expect(contents).toMatchObject({ rows: 2010 - first!.rows, damage: [] });
    expect(disk.list(FOLDER)).not.toContain(segmentName(77));
    expect(disk.list(FOLDER)).not.toContain(segmentName(first!.segment));
  });

  it('tells of the segment that was being written and is not there', async () => {
    const { disk } = left();
    const current = readDocument(disk, FOLDER).current!;
    disk.unlink(pathOf(current));
    const { contents } = await recovered(disk, { repair: true });
    expect(contents.damage).toMatchObject([{ file: segmentName(current), rowsLost: null }]);
  });

  it('reads rows that stand in two segments once', async () => {
    // Rows of a sync that failed are written again, and their first copy could not be cut off.
    const rig = new SpoolRig({
      producers: 1,
      chunks: 32,
      faults: [
        { operation: 'sync', path: '.arrows', code: 'EIO', from: 2, until: 3 },
        { operation: 'truncate', code: 'EIO' },
      ],
    });
    rig.capture(0, 100);
    rig.step(ALL);
    rig.capture(0, 100);
    rig.step(ALL);
    rig.settle();
    expect((await recovered(rig.disk)).rows.length).toBe(200);
    // The same without the document's word on how long the first file is.
    const document = readDocument(rig.disk, FOLDER);
    writeDocument(rig.disk, FOLDER, { ...document, segments: [], current: null });
    const { contents } = await recovered(rig.disk, { repair: true });
    expect(contents).toMatchObject({ rows: 200, damage: [] });
  });

  it('passes errors of the disk on, and closes what it has opened', async () => {
    const { disk } = left();
    let reads = 0;
    const opened = new Set<unknown>();
    const failing = hooked(disk, (perform, operation, [fd]) => {
      if (operation === 'read' && ++reads > 8) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      const result = perform();
      if (operation === 'open') opened.add(result);
      if (operation === 'close') opened.delete(fd);
      return result;
    });
    await expect(recovered(failing)).rejects.toThrow('EIO');
    expect(opened.size).toBe(0);
  });
});
