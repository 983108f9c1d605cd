import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../../src/ring/batch.js';
import { SegmentEncoder } from '../../../src/storage/segment/encoder.js';
import { NO_LOSSES } from '../../../src/storage/segment/format.js';
import { readBatch } from '../../../src/storage/segment/reader.js';
import { scanSegment } from '../../../src/storage/segment/scan.js';
import {
  ALL_COLUMNS,
  batchOf,
  bindingOf,
  bitsOf,
  differences,
  fileOf,
  identityOf,
  payloadWith,
  segmentOf,
  someRow,
  type TestRow,
  textOf,
  WRITTEN,
} from './support.js';

const PLAIN_ROW: TestRow = {
  timeUs: 1.7e15,
  latency: bitsOf(12.5),
  cost: bitsOf(0.25),
  prompt: 10,
  completion: 20,
  binding: 1,
  flags: WRITTEN,
  payload: null,
  declared: null,
};

/** Batches with a count of known ids that grows from one to the next. */
const someBatches = fc
  .array(fc.tuple(fc.nat(4), fc.nat(3)), { minLength: 1, maxLength: 5 })
  .map((growth) => {
    let [bindings, strings] = [1, 1];
    return growth.map(([moreBindings, moreStrings]) => {
      bindings += moreBindings;
      strings += moreStrings;
      return { bindings, strings };
    });
  })
  .chain((limits) =>
    fc.record({
      limits: fc.constant(limits),
      rows: fc.tuple(...limits.map((limit) => fc.array(someRow(limit), { minLength: 1, maxLength: 70 }))),
      firstRow: fc.nat(900),
    }),
  );

describe('a segment', () => {
  it('gives back the batches that went in, bit for bit', () => {
    fc.assert(
      fc.property(someBatches, ({ limits, rows, firstRow }) => {
        const batches = rows.map((list, index) =>
          batchOf(list, { firstSequence: (2 ** 40 + index) * 1024 + firstRow, producer: index }),
        );
        const { bytes, entries } = segmentOf(batches, limits);
        const files = fileOf(bytes);
        const index = scanSegment(files, 'segment', { verifyBodies: true });
        expect(index).toMatchObject({ damage: [], ended: true, torn: false, validBytes: bytes.length });
        expect(index.identity).toEqual(identityOf());
        expect(index.entries).toEqual(entries);
        expect(scanSegment(files, 'segment')).toEqual(index);
        const last = limits.at(-1)!;
        expect(index.strings).toEqual(Array.from({ length: last.strings }, (_, id) => textOf(id)));
        expect(index.bindings).toEqual(
          Array.from({ length: last.bindings }, (_, id) => {
            const { event, model, provider, bound } = bindingOf(id);
            return JSON.stringify([event, model, provider, bound]);
          }),
        );
        index.entries.forEach((entry, number) => {
          const read = readBatch(files, 1, entry, ALL_COLUMNS, index);
          expect(differences(batches[number]!, read)).toEqual([]);
        });
      }),
      { numRuns: 150 },
    );
  });

  it('says of each batch where it belongs, when its rows were, and what was lost by then', () => {
    const encoder = new SegmentEncoder(identityOf([]));
    encoder.begin();
    encoder.bindings(2, bindingOf);
    const rows = [5.9, -3.2, 8.64e18].map((timeUs) => ({ ...PLAIN_ROW, timeUs }));
    const losses = { overwritten: 2 ** 53 - 1, refused: 3, malformed: 2 ** 32, overflowed: 1, cut: 2 ** 40 };
    const batch = batchOf(rows, { producer: 31, columns: [] });
    const entry = encoder.batch(batch, 2 ** 43 - 1, 1021, losses);
    expect(entry).toMatchObject({
      chunk: 2 ** 43 - 1,
      firstRow: 1021,
      rows: 3,
      producer: 31,
      timeMinUs: -4,
      timeMaxUs: 8.64e18,
      losses,
    });
    expect(entry.offset + entry.bytes).toBe(encoder.position);
    const files = fileOf(Buffer.from(encoder.take()));
    const index = scanSegment(files, 'segment');
    expect(index.entries).toEqual([entry]);
    expect(readBatch(files, 1, entry, [], index).firstSequence).toBe(2 ** 53 - 1024 + 1021);
  });

  it('holds as many bindings and texts as the ring', () => {
    const limits = [{ bindings: 65_536, strings: 65_536 }];
    const declared = [1, 2, 3, 1, 65_535, 0];
    const batch = batchOf([{ ...PLAIN_ROW, binding: 65_535, declared }]);
    const files = fileOf(segmentOf([batch], limits).bytes);
    const index = scanSegment(files, 'segment', { verifyBodies: true });
    const { entries, bindings, strings } = index;
    expect(differences(batch, readBatch(files, 1, entries[0]!, ALL_COLUMNS, index))).toEqual([]);
    expect([bindings.length, strings.length]).toEqual([65_536, 65_536]);
    expect(strings[65_535]).toBe(textOf(65_535));
  });

  it('takes chunks of 1,024 rows with large payloads', () => {
    const payload = payloadWith(Buffer.alloc(9000, 'payload'));
    const batch = batchOf(Array.from({ length: 1024 }, (_, prompt) => ({ ...PLAIN_ROW, prompt, payload })));
    const files = fileOf(segmentOf([batch], [{ bindings: 2, strings: 1 }]).bytes);
    const index = scanSegment(files, 'segment', { verifyBodies: true });
    expect(differences(batch, readBatch(files, 1, index.entries[0]!, ALL_COLUMNS, index))).toEqual([]);
  });
});

describe('SegmentEncoder', () => {
  const started = (columns = ALL_COLUMNS) => {
    const encoder = new SegmentEncoder(identityOf(columns));
    encoder.begin();
    return encoder;
  };
  const batch = batchOf([PLAIN_ROW, { ...PLAIN_ROW, payload: payloadWith(Buffer.from('abc')) }]);

  it('stages no message where nothing is new', () => {
    const encoder = started();
    encoder.bindings(3, bindingOf);
    encoder.strings(2, textOf);
    const { position } = encoder;
    encoder.bindings(3, bindingOf);
    encoder.strings(2, textOf);
    expect(encoder.position).toBe(position);
  });

  it('brings first values whole, and only later ones as additions', () => {
    const encoder = started();
    encoder.bindings(3, bindingOf);
    encoder.strings(2, textOf);
    encoder.batch(batch, 0, 0, NO_LOSSES);
    const files = fileOf(Buffer.from(encoder.take()));
    // The dictionaries' messages are five; an addition would be a sixth.
    const { valueCounts } = scanSegment(files, 'segment');
    expect(valueCounts).toEqual([3, 2, 0, 3, 2]);
  });

  it('hands out each byte once and tells positions in the segment', () => {
    const encoder = started();
    expect(encoder.stagedBytes).toBe(encoder.position);
    const first = encoder.take().length;
    expect(encoder.stagedBytes).toBe(0);
    expect(encoder.position).toBe(first);
    encoder.bindings(2, bindingOf);
    const entry = encoder.batch(batch, 0, 0, NO_LOSSES);
    expect(entry.offset).toBeGreaterThan(first);
    expect(encoder.take().length).toBe(encoder.position - first);
    expect(encoder.take().length).toBe(0);
  });

  it('takes back messages, dictionaries among them, as if they had never been staged', () => {
    const plain = started();
    plain.bindings(5, bindingOf);
    plain.strings(3, textOf);
    plain.batch(batch, 7, 0, NO_LOSSES);
    const expected = Buffer.from(plain.take());

    for (const [bindingsBefore, takeBefore] of [
      [0, false],
      [0, true],
      [5, false],
      [5, true],
    ] as const) {
      const encoder = started();
      const parts: Buffer[] = [];
      if (bindingsBefore > 0) {
        encoder.bindings(bindingsBefore, bindingOf);
        encoder.strings(3, textOf);
      }
      if (takeBefore) parts.push(Buffer.from(encoder.take()));
      const { position } = encoder;
      encoder.bindings(5, bindingOf);
      encoder.strings(3, textOf);
      encoder.batch(batchOf([PLAIN_ROW, PLAIN_ROW, PLAIN_ROW]), 6, 0, NO_LOSSES);
      encoder.rewind(position);
      expect(encoder.position).toBe(position);
      encoder.batch(batch, 7, 0, NO_LOSSES);
      parts.push(Buffer.from(encoder.take()));
      expect(Buffer.concat(parts).equals(expected)).toBe(true);
    }
  });

  it('does not take back what was handed out', () => {
    const encoder = started();
    const { position } = encoder;
    encoder.take();
    expect(() => encoder.rewind(position - 8)).toThrow(RangeError);
    expect(() => encoder.rewind(position + 8)).toThrow(RangeError);
    encoder.rewind(position);
  });

  it('survives rows that were overwritten while it copied them, and leaves nothing of them behind', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 64 * 48, maxLength: 64 * 48 }),
        fc.uint8Array({ maxLength: 99 }),
        (noise, blob) => {
          const memory = new Uint8Array(noise).buffer;
          const rows = 64;
          const garbage: Batch = {
            firstSequence: 0,
            producer: 0,
            rows,
            timeUs: new Float64Array(memory, 0, rows),
            latencyMs: new Float64Array(memory, 512, rows),
            costUsd: new Float64Array(memory, 1024, rows),
            promptTokens: new Int32Array(memory, 1536, rows),
            completionTokens: new Int32Array(memory, 1792, rows),
            tags: new Uint32Array(memory, 2048, rows),
            blobOffsets: new Uint32Array(memory, 2304, rows),
            blob: Buffer.from(blob),
            declared: ALL_COLUMNS.map(({ type }) =>
              type === 'bool' || type === 'dict'
                ? new Int32Array(memory, 2560, rows)
                : new Float64Array(memory, 2560, rows),
            ),
          };
          const encode = (withGarbage: boolean) => {
            const encoder = started();
            encoder.bindings(3, bindingOf);
            const { position } = encoder;
            if (withGarbage) {
              encoder.batch(garbage, 0, 0, NO_LOSSES);
              encoder.rewind(position);
            }
            encoder.strings(2, textOf);
            encoder.batch(batch, 0, 0, NO_LOSSES);
            return Buffer.from(encoder.take());
          };
          expect(encode(true).equals(encode(false))).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });
});
