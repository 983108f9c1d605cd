/** Pages written by hand: what their heads say is compared with what is there. */
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Budget } from '../../../src/formats/parquet/read/budget.js';
import { PageReader } from '../../../src/formats/parquet/read/pages.js';
import type { Leaf } from '../../../src/formats/parquet/read/schema.js';
import { INT32 } from '../../../src/formats/parquet/read/types.js';
import type { SourceFile } from '../../../src/import/source-file.js';
import { Pace } from '../../../src/pace.js';
import type { Json } from '../../../src/schema/event.js';

type Fields = Readonly<Record<number, number | object | null>>;

const zigzag = (value: number) => varint(value < 0 ? -2 * value - 1 : 2 * value);
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

/** A struct as Thrift's compact protocol writes it; null stands for a list of two booleans. */
function struct(fields: Fields): number[] {
  let last = 0;
  const bytes = Object.entries(fields).flatMap(([key, value]) => {
    const delta = Number(key) - last;
    last = Number(key);
    if (typeof value === 'number') return [(delta << 4) | 5, ...zigzag(value)];
    if (value === null) return [(delta << 4) | 9, 0x21, 1, 2];
    return [(delta << 4) | 12, ...struct(value as Fields)];
  });
  return [...bytes, 0];
}

const NUMBERS = [5, -1, 2 ** 31 - 1];
const BODY = [...Buffer.from(Int32Array.from(NUMBERS).buffer)];
const SUM = crc32(Buffer.from(BODY)) | 0;
const v1 = { 1: 0, 2: 12, 3: 12, 4: SUM, 5: { 1: 3, 2: 0, 3: 3, 4: 3 } };
const v2 = { 1: 3, 2: 12, 3: 12, 8: { 1: 3, 2: 0, 3: 3, 4: 0, 5: 0, 6: 0, 9: null } };
const dictionary = { 1: 2, 2: 12, 3: 12, 7: { 1: 3, 2: 0 } };
const coded = { 1: 0, 2: 3, 3: 3, 5: { 1: 3, 2: 8, 3: 3, 4: 3 } };
const page = (head: Fields, body = BODY) => [...struct(head), ...body];

async function read(values: number, ...pages: readonly (readonly number[])[]): Promise<Json[]> {
  const bytes = Uint8Array.from(pages.flat());
  const slice = async (from: number, to: number) => bytes.slice(from, to).buffer;
  const leaf: Leaf = {
    physical: INT32,
    bytes: 0,
    convert: (value) => value as number,
    name: 'a',
    index: 0,
    definitionMax: 0,
    repetitionMax: 0,
  };
  const reader = new PageReader(
    {
      file: { slice } as unknown as SourceFile,
      pace: new Pace(),
      budget: new Budget(bytes.length, 2 ** 20),
      windowBytes: 16,
    },
    leaf,
    { physicalType: INT32, codec: 0, values, start: 0, end: bytes.length },
  );
  const all: Json[] = [];
  for (let next = await reader.next(); next !== null; next = await reader.next()) {
    for (; next.left > 0; next.left--) all.push(next.value());
  }
  return all;
}

describe('the pages of a Parquet column', () => {
  it('may be of every kind, and have anything behind them', async () => {
    const codes = page(coded, [2, 3, 0b10_00_01]);
    expect(await read(9, page(v1), page(v2), page(dictionary), codes, [1, 2, 3])).toEqual([
      ...NUMBERS,
      ...NUMBERS,
      NUMBERS[1],
      NUMBERS[0],
      NUMBERS[2],
    ]);
    expect(await read(0, [1, 2, 3])).toEqual([]);
  });

  it('are compared with their checksums', async () => {
    const changed = page(v1, [...BODY.slice(0, -1), 0x7e]);
    await expect(read(3, changed)).rejects.toThrow('does not have its checksum');
  });

  it.each<[string, Fields]>([
    ['no size', { ...v1, 3: null }],
    ['a size below 0', { ...v1, 3: -1 }],
    ['a size beyond the column', { ...v1, 3: 4096 }],
    ['another size than what comes out', { ...v1, 2: 11 }],
    ['no kind', { ...v1, 1: null }],
    ['another kind', { ...v1, 1: 9 }],
    ['no description', { ...v1, 5: null }],
    ['the description of another kind', { ...v1, 1: 3 }],
    ['no number of values', { ...v1, 5: { 2: 0 } }],
    ['more values than the column has', { ...v1, 5: { ...v1[5], 1: 17 } }],
    ['more values than bytes', { ...v1, 5: { ...v1[5], 1: 4 } }],
    ['no encoding', { ...v1, 5: { 1: 3 } }],
    ['nulls below 0', { ...v2, 8: { ...v2[8], 2: -1 } }],
    ['nulls where there can be none', { ...v2, 8: { ...v2[8], 2: 1 } }],
    ['no length of its levels', { ...v2, 8: { 1: 3, 2: 0, 3: 3, 4: 0 } }],
    ['levels beyond its end', { ...v2, 8: { ...v2[8], 5: 10, 6: 11 } }],
    ['a dictionary of too many values', { ...dictionary, 7: { 1: 4, 2: 0 } }],
  ])('are refused with %s', async (_, head) => {
    await expect(read(6, page(head), page(v1))).rejects.toThrow(RangeError);
    await expect(read(9, page(v1), page(head), page(v1))).rejects.toThrow(RangeError);
  });

  it('are refused where a head has no end', async () => {
    await expect(read(3, struct(v1).slice(0, -1))).rejects.toThrow('ends early');
    await expect(read(3, new Array(64).fill(0x1c))).rejects.toThrow('nested too deep');
    await expect(read(3, [0x15, ...new Array(12).fill(0xff)])).rejects.toThrow('too long');
    await expect(read(3, [0x1f])).rejects.toThrow('cannot be read');
    await expect(read(3, [0x19, 0xf5, 0xff, 0xff, 0xff, 0x7f])).rejects.toThrow('too long');
  });

  it('are refused where a code is in no dictionary', async () => {
    await expect(read(3, page(coded, [2, 3, 0b11]))).rejects.toThrow('not in the dictionary');
    await expect(read(3, page(dictionary), page(coded, [2, 3, 0b11]))).rejects.toThrow(
      'not in the dictionary',
    );
  });
});
