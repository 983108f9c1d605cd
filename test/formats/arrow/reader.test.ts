/** Arrow files that apache-arrow has written. */

import {
  Field as ArrowField,
  Bool,
  Dictionary,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeUtf8,
  List,
  makeData,
  makeTable,
  RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  tableToIPC,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArrowReader } from '../../../src/formats/arrow/reader.js';
import type { Json } from '../../../src/schema/event.js';
import { importAll, itemsOf, useScratch } from '../../import/support.js';

const write = useScratch();

async function read(bytes: Uint8Array, cut = 1000): Promise<Record<string, Json>[]> {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += cut) chunks.push(bytes.subarray(at, at + cut));
  const slice = async (start: number, end: number) => Uint8Array.from(bytes.subarray(start, end)).buffer;
  return (await itemsOf(new ArrowReader(chunks, { size: bytes.length, slice }))).map(({ record }) => record!);
}

const COLUMNS = {
  i8: vectorFromArray([-128, null, 127], new Int8()),
  u8: vectorFromArray([0, null, 255], new Uint8()),
  i16: vectorFromArray([-32768, null, 32767], new Int16()),
  u16: vectorFromArray([0, null, 65535], new Uint16()),
  i32: vectorFromArray([-(2 ** 31), null, 2 ** 31 - 1], new Int32()),
  u32: vectorFromArray([0, null, 2 ** 32 - 1], new Uint32()),
  i64: vectorFromArray([-(2n ** 63n), null, 2n ** 53n - 1n], new Int64()),
  u64: vectorFromArray([0n, null, 2n ** 64n - 1n], new Uint64()),
  f16: vectorFromArray([1.5, null, -0.25], new Float16()),
  f32: vectorFromArray([1.5, null, Number.NaN], new Float32()),
  f64: vectorFromArray([0.1, null, -0], new Float64()),
  bool: vectorFromArray([true, null, false], new Bool()),
  utf8: vectorFromArray(['a', null, '漢字😀'], new Utf8()),
  large: vectorFromArray(['', null, 'x'.repeat(300)], new LargeUtf8()),
  dictionary: vectorFromArray(['p', null, 'q'], new Dictionary(new Utf8(), new Int8())),
  s: vectorFromArray([1_700_000_000_000, null, 0], new TimestampSecond()),
  ms: vectorFromArray([1_700_000_000_123, null, -1], new TimestampMillisecond()),
  us: vectorFromArray([1_700_000_000_123, null, 0], new TimestampMicrosecond()),
  ns: vectorFromArray([1_700_000_000_000, null, 0], new TimestampNanosecond()),
  list: vectorFromArray([[1, 2], null, []], new List(new ArrowField('item', new Int32()))),
  struct: vectorFromArray(
    [{ a: 1, b: 'x' }, null, { a: null, b: 'y' }],
    new Struct([new ArrowField('a', new Int32()), new ArrowField('b', new Utf8())]),
  ),
};
const VALUES: Record<keyof typeof COLUMNS, Json[]> = {
  i8: [-128, null, 127],
  u8: [0, null, 255],
  i16: [-32768, null, 32767],
  u16: [0, null, 65535],
  i32: [-(2 ** 31), null, 2 ** 31 - 1],
  u32: [0, null, 2 ** 32 - 1],
  i64: ['-9223372036854775808', null, 2 ** 53 - 1],
  u64: [0, null, '18446744073709551615'],
  f16: [1.5, null, -0.25],
  f32: [1.5, null, null],
  f64: [0.1, null, -0],
  bool: [true, null, false],
  utf8: ['a', null, '漢字😀'],
  large: ['', null, 'x'.repeat(300)],
  dictionary: ['p', null, 'q'],
  s: ['2023-11-14T22:13:20Z', null, '1970-01-01T00:00:00Z'],
  ms: ['2023-11-14T22:13:20.123Z', null, '1969-12-31T23:59:59.999Z'],
  us: ['2023-11-14T22:13:20.123000Z', null, '1970-01-01T00:00:00.000000Z'],
  ns: ['2023-11-14T22:13:20.000000000Z', null, '1970-01-01T00:00:00.000000000Z'],
  list: [[1, 2], null, []],
  struct: [{ a: 1, b: 'x' }, null, { a: null, b: 'y' }],
};

describe('Arrow', () => {
  describe.each(['stream', 'file'] as const)('%s', (layout) => {
    it.each(Object.keys(COLUMNS) as (keyof typeof COLUMNS)[])('%s', async (name) => {
      const bytes = tableToIPC(new Table({ [name]: COLUMNS[name] }), layout);
      expect((await read(bytes)).map((record) => record[name])).toEqual(VALUES[name]);
    });

    it('all at once, in chunks of any size', async () => {
      const bytes = tableToIPC(new Table(COLUMNS as never), layout);
      const expected = [0, 1, 2].map((row) =>
        Object.fromEntries(Object.entries(VALUES).map(([name, values]) => [name, values[row]])),
      );
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 5000 }), async (cut) => {
          expect(await read(bytes, cut)).toEqual(expected);
        }),
        { numRuns: 20 },
      );
    });

    it('several batches', async () => {
      const Writer = layout === 'file' ? RecordBatchFileWriter : RecordBatchStreamWriter;
      const writer = new Writer();
      for (let i = 0; i < 3; i++)
        writer.write(makeTable({ a: Float64Array.of(i, i + 0.5) }).batches[0] as RecordBatch);
      const records = await read(writer.finish().toUint8Array(true));
      expect(records.map(({ a }) => a)).toEqual([0, 0.5, 1, 1.5, 2, 2.5]);
    });
  });

  it('reads dictionaries that grow by deltas', async () => {
    const type = new Dictionary(new Utf8(), new Int32(), 7);
    const schema = new Schema([new ArrowField('d', type, true)]);
    const first = vectorFromArray(['a', 'b'], new Utf8());
    const grown = first.concat(vectorFromArray(['c'], new Utf8()));
    const batch = (codes: number[], dictionary: typeof first) => {
      const { length } = codes;
      const child = makeData({ type, length, nullCount: 0, data: Int32Array.from(codes), dictionary });
      return new RecordBatch(
        schema,
        makeData({ type: new Struct(schema.fields), length, nullCount: 0, children: [child] }),
      );
    };
    const writer = new RecordBatchStreamWriter();
    writer.write(batch([1, 0], first));
    writer.write(batch([2, 1], grown));
    const records = await read(writer.finish().toUint8Array(true));
    expect(records.map(({ d }) => d)).toEqual(['b', 'a', 'c', 'b']);
  });

  it('is found out by its first bytes, whatever the name', async () => {
    const table = makeTable({ latency_ms: Float64Array.of(1, 2.5), time: Float64Array.of(1.7e9, 1.7e9 + 1) });
    for (const layout of ['stream', 'file'] as const) {
      const { records } = await importAll(await write(`arrow-${layout}.bin`, tableToIPC(table, layout)));
      expect(records.map(({ latencyMs }) => latencyMs)).toEqual([1, 2.5]);
      expect(records[1]!.timestampUs).toBe(1_700_000_001_000_000);
    }
  });

  it('keeps what came before the end of a file that was cut off, and says so', async () => {
    const writer = new RecordBatchStreamWriter();
    for (let i = 0; i < 3; i++)
      writer.write(makeTable({ latency_ms: Float64Array.of(i) }).batches[0] as RecordBatch);
    const whole = writer.finish().toUint8Array(true);
    const seen = new Set<number>();
    for (let size = 0; size <= whole.length; size += 8) {
      let rows = 0;
      let failure: unknown;
      try {
        for await (const items of new ArrowReader([whole.subarray(0, size)]).batches()) rows += items.length;
      } catch (error) {
        failure = error;
      }
      seen.add(rows);
      if (failure !== undefined)
        expect(failure).toMatchObject({ name: 'ImportError', code: 'ERR_FILE_CORRUPT' });
    }
    expect([...seen]).toEqual([0, 1, 2, 3]);
  });

  it('ends with a typed error, or reads values, whichever bit is flipped', async () => {
    const whole = tableToIPC(new Table(COLUMNS as never), 'stream');
    const clean = JSON.stringify(await read(whole));
    let noticed = 0;
    for (let bit = 0; bit < whole.length * 8; bit += 61) {
      const damaged = Uint8Array.from(whole);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      try {
        if (JSON.stringify(await read(damaged)) !== clean) noticed++;
      } catch (error) {
        expect(error, `bit ${bit}: ${String(error)}`).toMatchObject({ name: 'ImportError' });
        noticed++;
      }
    }
    expect(noticed).toBeGreaterThan(100);
  });
});
