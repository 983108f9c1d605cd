/** Files that say more than they have: each number is compared with what is there before it is believed. */
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { TelemetryError } from '../../src/errors.js';
import { lz4Frame } from '../../src/formats/compression/decompress.js';
import { Pace } from '../../src/pace.js';
import { importAll, useScratch } from './support.js';

const write = useScratch();
const pace = new Pace();

const ARROW = tableToIPC(
  tableFromArrays({
    latency_ms: Float64Array.of(1, 2, 3),
    model: ['a', 'b', 'a'],
    nothing: [null, null, null],
  }),
  'stream',
);
const PARQUET = new Uint8Array(
  parquetWriteBuffer({
    columnData: [
      { name: 'latency_ms', data: [1, 2, 3], type: 'DOUBLE' },
      { name: 'model', data: ['a', 'b', 'a'], type: 'STRING' },
    ],
  }),
);

/** Numbers that a file may claim, little-endian as Arrow has them. */
const CLAIMS = [-1, 0, 1, 7, 255, 65_536, 2 ** 24, 2 ** 31 - 1];

describe('a file with one number changed', () => {
  it.each([
    ['arrow', ARROW],
    ['parquet', PARQUET],
  ])('%s: gives few records or a typed error, and soon', async (format, whole) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 4),
        fc.constantFrom(...CLAIMS),
        fc.constantFrom(1, 2, 4),
        async (at, claim, bytes) => {
          const changed = Buffer.from(whole);
          for (let i = 0; i < bytes; i++) changed[at + i] = (claim >> (8 * i)) & 0xff;
          const path = await write(`changed.${format}`, changed);
          try {
            expect((await importAll(path)).rows).toBeLessThan(2 ** 21);
          } catch (error) {
            expect(error).toBeInstanceOf(TelemetryError);
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe('an Arrow file', () => {
  it('that is cut short is damage, wherever that is', async () => {
    const file = tableToIPC(tableFromArrays({ a: Float64Array.from({ length: 5000 }, (_, i) => i) }), 'file');
    for (const length of [file.length - 1, file.length - 20, file.length - 1000, 2000, 100, 9]) {
      await expect(importAll(await write('cut.arrow', file.subarray(0, length)))).rejects.toMatchObject({
        code: 'ERR_FILE_CORRUPT',
      });
    }
    expect(await importAll(await write('whole.arrow', file))).toMatchObject({ rows: 5000 });
  });
});

describe('lz4Frame', () => {
  /** A frame of blocks as they are, and of one match that repeats the last byte. */
  const frame = (blocks: readonly Uint8Array[]) =>
    Buffer.concat([
      Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]),
      ...blocks.flatMap((block) => {
        const head = Buffer.alloc(4);
        head.writeUInt32LE(block.length);
        return [head, block];
      }),
      Buffer.alloc(4),
    ]);

  it('reads literals, matches that overlap themselves, and matches into an earlier block', async () => {
    const first = Buffer.from([0x3f, 0x61, 0x62, 0x63, 3, 0, 4, 0x10, 0x21]);
    const second = Buffer.from([0x04, 24, 0, 0x10, 0x2e]);
    const expected = `${'abc'.repeat(8)}ab!`;
    expect((await lz4Frame(frame([first]), expected.length, pace)).toString()).toBe(expected);
    const both = await lz4Frame(frame([first, second]), expected.length + 9, pace);
    expect(both.toString().slice(expected.length)).toBe(`${expected.slice(3, 11)}.`);
  });

  it('gives no more than it should, and nothing out of what is damaged', async () => {
    const good = frame([Buffer.from([0x3f, 0x61, 0x62, 0x63, 3, 0, 4, 0x10, 0x21])]);
    await expect(lz4Frame(good, 10, pace)).rejects.toThrow(RangeError);
    await expect(lz4Frame(good, 1000, pace)).rejects.toThrow(RangeError);
    for (let at = 0; at < good.length; at++) {
      for (const value of [0, 0x7f, 0xff]) {
        const changed = Buffer.from(good);
        changed[at] = value;
        try {
          await lz4Frame(changed, 27, pace);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }
    }
  });
});
