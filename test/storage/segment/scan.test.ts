import { describe, expect, it } from 'vitest';
import type { FileSystem } from '../../../src/storage/disk/file-system.js';
import { readBatch } from '../../../src/storage/segment/reader.js';
import { scanSegment } from '../../../src/storage/segment/scan.js';
import { ALL_COLUMNS, differences, fileOf, messageBounds, trafficSegment } from './support.js';

describe('scanSegment', () => {
  const segment = trafficSegment(6, 300);
  const { bytes, entries } = segment;
  const whole = scanSegment(fileOf(bytes), 'segment', { verifyBodies: true });

  it('goes on with a segment that has grown, from any length it had', () => {
    for (const verifyBodies of [false, true]) {
      let index = scanSegment(fileOf(bytes.subarray(0, messageBounds(bytes)[1])), 'segment');
      for (let length = index.validBytes; length < bytes.length; length += 997) {
        index = scanSegment(fileOf(bytes.subarray(0, length)), 'segment', { verifyBodies, from: index });
        expect(index.damage).toEqual([]);
      }
      index = scanSegment(fileOf(bytes), 'segment', { verifyBodies, from: index });
      expect(index).toEqual(whole);
      expect(scanSegment(fileOf(bytes), 'segment', { from: index })).toEqual(whole);
    }
  });

  it('leaves the index it goes on from as it was', () => {
    const first = scanSegment(fileOf(bytes), 'segment', { limitBytes: entries[2]!.offset });
    const copy = structuredClone(first);
    scanSegment(fileOf(bytes), 'segment', { from: first });
    expect(first).toEqual(copy);
  });

  it('keeps what it knew to be damaged, and looks again at what ended it', () => {
    const damaged = Buffer.from(bytes);
    damaged[entries[1]!.offset + entries[1]!.bytes - 100]! ^= 1;
    const half = Buffer.concat([damaged.subarray(0, entries[3]!.offset), Buffer.alloc(64)]);
    const first = scanSegment(fileOf(half), 'segment', { verifyBodies: true });
    expect(first.damage.map(({ offset }) => offset)).toEqual([entries[1]!.offset, entries[3]!.offset]);
    const second = scanSegment(fileOf(damaged), 'segment', { verifyBodies: true, from: first });
    expect(second.damage).toEqual([first.damage[0]]);
    expect(second.entries).toEqual(entries.toSpliced(1, 1));
  });

  it('takes the file for no longer than it is told', () => {
    const limitBytes = entries[2]!.offset + 5;
    const limited = scanSegment(fileOf(bytes), 'segment', { limitBytes });
    expect(limited).toMatchObject({ fileBytes: limitBytes, torn: true, ended: false });
    expect(limited).toEqual(scanSegment(fileOf(bytes.subarray(0, limitBytes)), 'segment'));
  });

  it('reads a file whose system hands it out in small pieces', () => {
    const plain = fileOf(bytes);
    const files: FileSystem = {
      ...plain,
      read: (fd, target, position) => plain.read(fd, target.subarray(0, 777), position),
    };
    for (const verifyBodies of [false, true]) {
      expect(scanSegment(files, 'segment', { verifyBodies })).toEqual(whole);
    }
    const read = readBatch(files, 1, entries[3]!, ALL_COLUMNS, whole);
    expect(differences(segment.batches[3]!, read)).toEqual([]);
  });

  it('skips bodies unless it is to verify them', () => {
    const plain = fileOf(bytes);
    const readBytes = (verifyBodies: boolean) => {
      let sum = 0;
      const read: FileSystem['read'] = (fd, target, position) => {
        const count = plain.read(fd, target, position);
        sum += count;
        return count;
      };
      scanSegment({ ...plain, read }, 'segment', { verifyBodies });
      return sum;
    };
    expect(readBytes(true)).toBe(bytes.length);
    expect(readBytes(false)).toBeLessThan(bytes.length / 2);
  });

  it('closes the file, whatever becomes of it', () => {
    for (const content of [bytes, Buffer.alloc(50)]) {
      let open = 0;
      const files = {
        ...fileOf(content),
        open: () => ++open,
        close: () => {
          open--;
        },
      };
      try {
        scanSegment(files, 'segment');
      } catch {
        // The second is no segment.
      }
      expect(open).toBe(0);
    }
  });
});
