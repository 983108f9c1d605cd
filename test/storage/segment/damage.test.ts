/**
 * What damage does to a segment. The rule in every test: what is read is what was written, nothing else; and of what
 * lies before the damage nothing is missing.
 */
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { StorageError } from '../../../src/errors.js';
import type { BatchEntry } from '../../../src/storage/segment/format.js';
import { readBatch } from '../../../src/storage/segment/reader.js';
import { type SegmentIndex, scanSegment } from '../../../src/storage/segment/scan.js';
import { sealMessage } from '../../../src/storage/segment/seal.js';
import { rounds } from '../../support/effort.js';
import { seededUniform } from '../../support/numeric.js';
import { SEED } from '../../support/seed.js';
import {
  ALL_COLUMNS,
  differences,
  fileOf,
  messageBounds,
  type TestSegment,
  trafficSegment,
} from './support.js';

/** A scan's index; undefined when the segment is refused as a whole. */
function scanned(bytes: Buffer, verifyBodies: boolean): SegmentIndex | undefined {
  try {
    return scanSegment(fileOf(bytes), 'segment', { verifyBodies });
  } catch (error) {
    if (error instanceof StorageError && error.code === 'ERR_SEGMENT_CORRUPT') return undefined;
    throw error;
  }
}

const known = new Map<TestSegment, SegmentIndex>();

/** The dictionaries that a segment was written with. */
function textsOf(segment: TestSegment): SegmentIndex {
  const index = known.get(segment) ?? scanSegment(fileOf(segment.bytes), 'segment');
  known.set(segment, index);
  return index;
}

/** What a batch differs in from the one that was written; undefined when its reader refuses it. */
function readDifferences(segment: TestSegment, bytes: Buffer, entry: BatchEntry): string[] | undefined {
  const number = segment.entries.findIndex(({ offset }) => offset === entry.offset);
  if (number < 0) return ['a batch where none was written'];
  try {
    return differences(
      segment.batches[number]!,
      readBatch(fileOf(bytes), 1, entry, ALL_COLUMNS, textsOf(segment)),
    );
  } catch (error) {
    if (error instanceof StorageError && error.code === 'ERR_SEGMENT_CORRUPT') return undefined;
    throw error;
  }
}

/** Entries, and values of dictionaries, must be the first ones of those that were written. */
function expectBeginningOf(index: SegmentIndex, whole: SegmentIndex): void {
  expect(index.entries).toEqual(whole.entries.slice(0, index.entries.length));
  expect(index.bindings).toEqual(whole.bindings.slice(0, index.bindings.length));
  expect(index.strings).toEqual(whole.strings.slice(0, index.strings.length));
}

const isSound = (index: SegmentIndex) => index.ended && !index.torn && index.damage.length === 0;

describe('a segment that is cut off', () => {
  it('keeps its whole batches and says that it is torn, wherever it is cut', { timeout: 240_000 }, () => {
    const segment = trafficSegment(5, 140);
    const { bytes } = segment;
    expect(bytes.length).toBeGreaterThan(65_536);
    const whole = scanned(bytes, true)!;
    const bounds = messageBounds(bytes);
    expect(bounds.at(-1)).toBe(bytes.length);
    let entryCount = -1;
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      const index = scanned(cut, true);
      const validBytes = bounds.findLast((bound) => bound <= length)!;
      if (validBytes === 0) {
        expect(index).toBeUndefined();
        continue;
      }
      const expected = segment.entries.filter((entry) => entry.offset + entry.bytes <= validBytes);
      const isRight =
        index!.torn === length > validBytes &&
        index!.validBytes === validBytes &&
        index!.entries.length === expected.length &&
        index!.damage.length === 0;
      if (!isRight) throw new Error(`cut at ${length}: ${JSON.stringify({ ...index, bindings: 0 })}`);
      // All that has been found is read whenever it has become more, and now and then the last of it.
      const more = index!.entries.length !== entryCount;
      entryCount = index!.entries.length;
      if (more) expectBeginningOf(index!, whole);
      const toRead = more ? index!.entries : length % 61 === 0 ? index!.entries.slice(-1) : [];
      for (const entry of toRead) expect(readDifferences(segment, cut, entry)).toEqual([]);
    }
  });
});

describe('a bit that is wrong', () => {
  const segment = trafficSegment(4, 20);
  const { bytes, entries } = segment;
  const whole = scanned(bytes, true)!;
  const bounds = messageBounds(bytes);
  const messages = bounds.slice(0, -1).map((start, index) => ({
    start,
    headEnd: start + 8 + bytes.readInt32LE(start + 4),
    end: bounds[index + 1]!,
  }));

  it('in any message’s metadata is found, and everything before is kept', { timeout: 240_000 }, () => {
    const flipped = Buffer.from(bytes);
    for (const { start, headEnd } of messages) {
      const before = entries.filter(({ offset }) => offset < start);
      for (let at = start; at < headEnd; at++) {
        for (let bit = 0; bit < 8; bit++) {
          flipped[at]! ^= 1 << bit;
          const index = scanned(flipped, false);
          if (start === 0) {
            if (index !== undefined) throw new Error(`byte ${at}, bit ${bit}: not found`);
          } else {
            const kept = index?.entries.length === before.length && index.validBytes === start;
            if (!kept || isSound(index)) throw new Error(`byte ${at}, bit ${bit}: ${JSON.stringify(index)}`);
            if (bit === 0) expectBeginningOf(index, whole);
          }
          flipped[at]! ^= 1 << bit;
        }
      }
    }
    expect(flipped.equals(bytes)).toBe(true);
  });

  it('in a body costs the batch, or what follows the dictionary', { timeout: 120_000 }, () => {
    const uniform = seededUniform(SEED);
    const bodies = messages.filter(({ headEnd, end }) => end > headEnd);
    const dictionaries = bodies.filter(({ start }) => !entries.some(({ offset }) => offset === start));
    for (let run = 0; run < rounds(1500, 6000); run++) {
      // Batches are far larger than dictionaries; these get every fourth run.
      const from = run % 4 === 0 ? dictionaries : bodies;
      const { start, headEnd, end } = from[Math.floor(uniform() * from.length)]!;
      const at = headEnd + Math.floor(uniform() * (end - headEnd));
      const bit = Math.floor(uniform() * 8);
      const what = `seed ${SEED}, run ${run}: byte ${at}, bit ${bit}`;
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << bit;
      const index = scanned(flipped, true)!;
      const damaged = entries.findIndex(({ offset }) => offset === start);
      if (damaged < 0) {
        expect(index.validBytes, what).toBe(start);
        expect(index.damage, what).toMatchObject([{ offset: start, bytes: null }]);
        expectBeginningOf(index, whole);
      } else {
        expect(index.damage, what).toMatchObject([{ offset: start, bytes: end - start }]);
        expect(index.entries, what).toEqual(entries.toSpliced(damaged, 1));
        expect({ ...index, entries: 0, damage: 0 }).toEqual({ ...whole, entries: 0, damage: 0 });
      }
      for (const entry of index.entries) expect(readDifferences(segment, flipped, entry), what).toEqual([]);

      // Without a look at the bodies the batch is listed, and refused when it is read.
      if (damaged >= 0) {
        const listed = scanned(flipped, false)!;
        expect(listed.entries, what).toEqual(entries);
        const refused = listed.entries.filter(
          (entry) => readDifferences(segment, flipped, entry) === undefined,
        );
        expect(refused, what).toEqual([entries[damaged]]);
      }
    }
  });

  it('would be seen in the values, were the checksums no guard', () => {
    const entry = entries[2]!;
    const message = messages.find(({ start }) => start === entry.offset)!;
    const uniform = seededUniform(SEED);
    let seen = 0;
    for (let run = 0; run < 400; run++) {
      const forged = Buffer.from(bytes);
      const at = message.headEnd + Math.floor(uniform() * (message.end - message.headEnd));
      forged[at]! ^= 1 << Math.floor(uniform() * 8);
      sealMessage(forged, message.start, message.headEnd, message.end);
      const index = scanned(forged, true)!;
      expect(index.damage).toEqual([]);
      const found = readDifferences(segment, forged, index.entries[2]!);
      // Refused where a row would refer to what there is not.
      if (found === undefined || found.length > 0) seen++;
    }
    // What is not seen lies in padding, bitmaps, or indices that only other readers look at.
    expect(seen).toBeGreaterThan(200);
  });
});

describe('damage of other kinds', () => {
  const segment = trafficSegment(3, 10);
  const { bytes, entries } = segment;

  it('is told by a batch that is not where its entry says', () => {
    const read = (entry: BatchEntry) => readDifferences(segment, bytes, entry);
    expect(read(entries[1]!)).toEqual([]);
    expect(read({ ...entries[1]!, timeMinUs: entries[1]!.timeMinUs + 1 })).toBeUndefined();
    expect(read({ ...entries[1]!, firstRow: 0 })).toBeUndefined();
    expect(read({ ...entries[1]!, bytes: entries[1]!.bytes - 8 })).toBeUndefined();
    expect(() =>
      readBatch(
        fileOf(bytes),
        1,
        { ...entries[1]!, offset: entries[1]!.offset + 8 },
        ALL_COLUMNS,
        textsOf(segment),
      ),
    ).toThrow(expect.objectContaining({ code: 'ERR_SEGMENT_CORRUPT' }));
  });

  it('ends a segment that goes on in zeros, as after a power cut, or after its end', () => {
    const zeros = Buffer.concat([bytes.subarray(0, -8), Buffer.alloc(5000)]);
    expect(scanned(zeros, true)).toMatchObject({
      validBytes: bytes.length - 8,
      ended: false,
      torn: false,
      damage: [{ offset: bytes.length - 8, bytes: null }],
    });
    const more = Buffer.concat([bytes, bytes.subarray(0, 100)]);
    const index = scanned(more, false)!;
    expect(index).toMatchObject({ ended: true, validBytes: bytes.length, torn: false });
    expect(index.damage).toMatchObject([{ offset: bytes.length, bytes: null }]);
    expect(index.entries).toEqual(entries);
  });

  it('never makes a scan reserve what a wrong length asks for', () => {
    for (const length of [0x7ffffff8, 0x7fffffff, -8, 1 << 20, 4, 3]) {
      const first = Buffer.from(bytes);
      first.writeInt32LE(length, 4);
      expect(scanned(first, true)).toBeUndefined();
      const later = Buffer.from(bytes);
      later.writeInt32LE(length, entries[1]!.offset + 4);
      expect(scanned(later, true)!.entries).toEqual([entries[0]]);
    }
  });

  it('is met without other errors and without an end of time in metadata that is forged', () => {
    const uniform = seededUniform(SEED);
    const bounds = messageBounds(bytes);
    for (let run = 0; run < rounds(750, 3000); run++) {
      const forged = Buffer.from(bytes);
      const number = Math.floor(uniform() * (bounds.length - 2));
      const start = bounds[number]!;
      const headEnd = start + 8 + bytes.readInt32LE(start + 4);
      const changes = 1 + Math.floor(uniform() * 4);
      for (let change = 0; change < changes; change++) {
        const at = start + 8 + Math.floor(uniform() * (headEnd - start - 8));
        forged[at] = Math.floor(uniform() * 256);
      }
      sealMessage(forged, start, headEnd, bounds[number + 1]!);
      let index: SegmentIndex | undefined;
      try {
        index = scanned(forged, run % 2 === 0);
      } catch (error) {
        // What was changed may be the version.
        if (!(error instanceof StorageError)) throw new Error(`seed ${SEED}, run ${run}`, { cause: error });
      }
      for (const entry of index?.entries ?? []) readDifferences(segment, forged, entry);
    }
  });

  it('is refused, with a word about versions, where the format is a later one', () => {
    const later = Buffer.from(bytes);
    const at = later.indexOf('"formatVersion":1');
    later.write('"formatVersion":2', at);
    const headEnd = 8 + later.readInt32LE(4);
    sealMessage(later, 0, headEnd, headEnd);
    expect(() => scanSegment(fileOf(later), 'the/path')).toThrow(
      expect.objectContaining({
        code: 'ERR_SEGMENT_VERSION',
        message: expect.stringMatching(/the\/path.*version 2.*reads 1/),
      }),
    );
  });

  it.each(['"columns":', '"experimentId":', '"segment":'])(
    'is refused where the first message lacks %s',
    (key) => {
      const incomplete = Buffer.from(bytes);
      incomplete.write(`"_${key.slice(2)}`, incomplete.indexOf(key));
      const headEnd = 8 + incomplete.readInt32LE(4);
      sealMessage(incomplete, 0, headEnd, headEnd);
      expect(() => scanSegment(fileOf(incomplete), 'the/path')).toThrow(
        expect.objectContaining({
          code: 'ERR_SEGMENT_CORRUPT',
          message: expect.stringMatching(/is not complete/),
        }),
      );
    },
  );

  it('names the file, the place and the reason where nothing can be read', () => {
    const corrupt = (content: Buffer) => () => scanSegment(fileOf(content), 'the/path');
    for (const content of [Buffer.alloc(0), Buffer.from('hello, world'), bytes.subarray(100)]) {
      expect(corrupt(content)).toThrow(
        expect.objectContaining({
          code: 'ERR_SEGMENT_CORRUPT',
          context: expect.objectContaining({ path: 'the/path', offset: 0, reason: expect.any(String) }),
        }),
      );
    }
  });

  it('is checked with CRC-32 over the body as it stands in the file', () => {
    const { offset } = entries[0]!;
    const headEnd = offset + 8 + bytes.readInt32LE(offset + 4);
    const seal = bytes.toString('latin1', headEnd - 256, headEnd);
    const crc = crc32(bytes.subarray(headEnd, offset + entries[0]!.bytes));
    expect(seal).toContain(` body=${crc.toString(16).padStart(8, '0')} seq=00000000000000 row=0005 `);
  });
});
