/** What decompresses gives what was compressed, all of it, and nothing else. */
import { createRequire } from 'node:module';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import fc from 'fast-check';
import { Compression, Table, WriterPropertiesBuilder, writeParquet } from 'parquet-wasm';
import { beforeAll, describe, expect, it } from 'vitest';
import { zstd } from '../../../src/formats/compression/decompress.js';
import { importRecords } from '../../../src/import/index.js';
import { Pace } from '../../../src/pace.js';
import { useScratch } from '../../import/support.js';
import { Stated } from '../../support/fuzz/stated.js';
import { zstdFrame } from '../../support/fuzz/wrappers.js';

const write = useScratch();
const pace = new Pace();
const { init, compress } = createRequire(import.meta.url)('@bokuweb/zstd-wasm') as {
  init(): Promise<void>;
  compress(bytes: Uint8Array, level: number): Uint8Array;
};
beforeAll(() => init());

const some = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 500 }),
  fc
    .record({ part: fc.string({ minLength: 1 }), times: fc.integer({ min: 1, max: 5000 }) })
    .map(({ part, times }) => Buffer.from(part.repeat(times))),
);

describe('zstd', () => {
  it('gives back what was compressed, in one frame or several, and says when it is more or less', async () => {
    await fc.assert(
      fc.asyncProperty(some, some, fc.constantFrom(1, 9), async (first, second, level) => {
        const frame = compress(first, level);
        expect(await zstd(frame, first.length, pace)).toEqual(Buffer.from(first));
        await expect(zstd(frame, first.length + 1, pace)).rejects.toThrow(RangeError);
        await expect(zstd(frame, first.length - 1, pace)).rejects.toThrow(RangeError);
        await expect(zstd(frame.subarray(0, -1), first.length, pace)).rejects.toThrow(RangeError);
        const both = Buffer.concat([frame, compress(second, level)]);
        expect(await zstd(both, first.length + second.length, pace)).toEqual(Buffer.concat([first, second]));
      }),
      { numRuns: 20 },
    );
  });

  it('believes no size that a frame states', async () => {
    const bytes = Buffer.from('x'.repeat(200));
    const honest = zstdFrame(bytes, new Stated().n);
    expect(await zstd(honest, 200, pace)).toEqual(bytes);
    for (const claim of [0, 199, 201, 2 ** 30, 2 ** 32 - 1]) {
      const lying = Buffer.from(honest);
      lying.writeUInt32LE(claim, 5);
      await expect(zstd(lying, 200, pace)).rejects.toThrow(RangeError);
    }
  });
});

describe('pages of a megabyte', () => {
  it.each([
    ['Snappy', Compression.SNAPPY],
    ['LZ4_RAW', Compression.LZ4_RAW],
    ['ZSTD', Compression.ZSTD],
    ['GZIP', Compression.GZIP],
    ['BROTLI', Compression.BROTLI],
  ] as const)('%s', async (_, codec) => {
    const texts = Array.from({ length: 40_000 }, (_, i) => `prompt number ${i} ${'of many '.repeat(i % 9)}`);
    const builder = new WriterPropertiesBuilder()
      .setCompression(codec)
      .setDictionaryEnabled(false)
      .setDataPageSizeLimit(64 * 1024 * 1024);
    const table = Table.fromIPCStream(tableToIPC(tableFromArrays({ texts }), 'stream'));
    const path = await write('large.parquet', writeParquet(table, builder.build()));
    const read: unknown[] = [];
    await importRecords(path, { time: 'now' }, (_, raw) => {
      read.push(raw.texts);
    });
    expect(read).toEqual(texts);
  });
});
