import { parquetMetadata } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { checkPages } from '../../src/import/parquet-pages.js';

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

const BODY = 20;
const v1 = { 1: 0, 2: BODY, 3: BODY, 4: -5, 5: { 1: 8, 2: 0, 3: 3, 4: 3 } };
const v2 = { 1: 3, 2: BODY, 3: BODY, 8: { 1: 8, 2: 1, 3: 8, 4: 8, 5: 4, 6: 0, 9: null } };
const dictionary = { 1: 2, 2: BODY, 3: BODY, 7: { 1: 3, 2: 0 } };
const page = (head: Fields) => [...struct(head), ...new Array(BODY).fill(0xff)];
const check = (...pages: readonly (readonly number[])[]) => checkPages(Uint8Array.from(pages.flat()), 16);

describe('the pages of a Parquet column', () => {
  it('may be of every kind, and have anything behind them', () => {
    check(page(dictionary), page(v1), page(v2));
    check(page(v2), page(v2), [1, 2, 3]);
    checkPages(new Uint8Array(0), 16);
    checkPages(Uint8Array.of(1, 2, 3), 0);
  });

  it.each<[string, Fields]>([
    ['no size', { ...v1, 3: null }],
    ['a size below 0', { ...v1, 3: -1 }],
    ['a size beyond the column', { ...v1, 3: 4096 }],
    ['no kind', { ...v1, 1: null }],
    ['another kind', { ...v1, 1: 1 }],
    ['no description', { ...v1, 5: null }],
    ['the description of another kind', { ...v1, 1: 3 }],
    ['no number of values', { ...v1, 5: { 2: 0 } }],
    ['more values than the column has', { ...v1, 5: { ...v1[5], 1: 17 } }],
    ['no encoding', { ...v1, 5: { 1: 8 } }],
    ['nulls below 0', { ...v2, 8: { ...v2[8], 2: -1 } }],
    ['no length of its levels', { ...v2, 8: { 1: 8, 2: 1, 3: 8, 4: 8 } }],
    ['levels beyond its end', { ...v2, 8: { ...v2[8], 5: 10, 6: 11 } }],
    ['a dictionary of too many values', { ...dictionary, 7: { 1: 17, 2: 0 } }],
  ])('are refused with %s', (_, head) => {
    expect(() => check(page(head), page(v1), page(v1))).toThrow(
      new RangeError('the page at byte 0 of its column has a damaged head'),
    );
    expect(() => check(page(v1), page(head), page(v1))).toThrow(RangeError);
  });

  it('are refused where a head has no end', () => {
    expect(() => check(struct(v1).slice(0, -1))).toThrow('ends early');
    expect(() => check(new Array(64).fill(0x1c))).toThrow('nested too deep');
    expect(() => check([0x15, ...new Array(12).fill(0xff)])).toThrow('too long');
    expect(() => check([0x1f])).toThrow('cannot be read');
  });

  it('that a writer has made are accepted, and what is made of them by a change is refused or has its values', () => {
    const values = Array.from({ length: 3000 }, (_, i) => `text ${i % 40}`);
    const file = parquetWriteBuffer({ columnData: [{ name: 'a', data: values, type: 'STRING' }] });
    const { row_groups } = parquetMetadata(file);
    const [{ meta_data }] = row_groups[0]!.columns as [(typeof row_groups)[0]['columns'][0]];
    const { dictionary_page_offset, data_page_offset, total_compressed_size, num_values } = meta_data!;
    const start = Number(dictionary_page_offset ?? data_page_offset);
    const chunk = new Uint8Array(file, start, Number(total_compressed_size));
    checkPages(chunk, Number(num_values));
    let refused = 0;
    for (let bit = 0; bit < 8 * 24; bit++) {
      const changed = Uint8Array.from(chunk);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      try {
        checkPages(changed, Number(num_values));
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(50);
  });
});
