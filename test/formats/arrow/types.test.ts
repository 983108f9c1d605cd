/** Arrow's rarer types, as apache-arrow writes them, and by hand those that it does not write. */
import {
  Field as ArrowField,
  DenseUnion,
  FixedSizeList,
  Float64,
  Int32,
  IntervalDayTime,
  IntervalYearMonth,
  Map_,
  makeData,
  makeVector,
  RecordBatch,
  Schema,
  SparseUnion,
  Struct,
  Table,
  TimeMicrosecond,
  TimeMillisecond,
  TimeNanosecond,
  TimeSecond,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import {
  bool,
  type FlatFields,
  int8,
  int16,
  int32,
  int64,
  pairs,
  string,
  table,
  tables,
} from '../../../src/formats/arrow/flatbuffer-writer.js';
import {
  encapsulate,
  HEADER_BATCH,
  HEADER_SCHEMA,
  messageFields,
} from '../../../src/formats/arrow/message.js';
import { ArrowReader } from '../../../src/formats/arrow/reader.js';
import type { Json } from '../../../src/schema/event.js';
import { itemsOf } from '../../import/support.js';

async function read(bytes: Uint8Array): Promise<Record<string, Json>[]> {
  return (await itemsOf(new ArrowReader([bytes]))).map(({ record }) => record!);
}
const valuesOf = async (bytes: Uint8Array) => (await read(bytes)).map(({ v }) => v);
const written = (vector: unknown) => tableToIPC(new Table({ v: vector } as never), 'stream');

describe('a type that apache-arrow writes', () => {
  it.each<[string, unknown, Json[]]>([
    [
      'time of day in s',
      makeVector({ type: new TimeSecond(), data: Int32Array.of(0, 86_399) } as never),
      ['00:00:00', '23:59:59'],
    ],
    [
      'in ms',
      makeVector({ type: new TimeMillisecond(), data: Int32Array.of(1, 86_399_999) } as never),
      ['00:00:00.001', '23:59:59.999'],
    ],
    [
      'in µs',
      makeVector({ type: new TimeMicrosecond(), data: BigInt64Array.of(1n) } as never),
      ['00:00:00.000001'],
    ],
    [
      'in ns',
      makeVector({ type: new TimeNanosecond(), data: BigInt64Array.of(45_296_123_456_789n) } as never),
      ['12:34:56.123456789'],
    ],
    [
      'interval of months',
      makeVector({ type: new IntervalYearMonth(), data: Int32Array.of(14, 0, -1) } as never),
      ['P14M', 'PT0S', 'P-1M'],
    ],
    [
      'interval of days',
      makeVector({ type: new IntervalDayTime(), data: Int32Array.of(3, 4500, 0, -5) } as never),
      ['P3DT4.5S', 'PT-0.005S'],
    ],
    [
      'map',
      vectorFromArray(
        [
          new Map([
            ['a', 1],
            ['b', 2],
          ]),
          null,
        ],
        new Map_(
          new ArrowField(
            'entries',
            new Struct([new ArrowField('key', new Utf8()), new ArrowField('value', new Int32())]) as never,
          ),
        ) as never,
      ),
      [{ a: 1, b: 2 }, null],
    ],
    [
      'list of a fixed size',
      vectorFromArray([[1, 2], null, [3, 4]], new FixedSizeList(2, new ArrowField('item', new Int32()))),
      [[1, 2], null, [3, 4]],
    ],
  ])('%s', async (_, vector, expected) => {
    expect(await valuesOf(written(vector))).toEqual(expected);
  });

  it.each(['dense', 'sparse'])('%s union', async (mode) => {
    const children = [new ArrowField('n', new Int32()), new ArrowField('t', new Utf8())];
    const isDense = mode === 'dense';
    const type = isDense ? new DenseUnion([5, 7], children) : new SparseUnion([5, 7], children);
    const numbers = vectorFromArray(isDense ? [1, 2] : [1, 0, 2], new Int32());
    const texts = vectorFromArray(isDense ? ['x'] : ['', 'x', ''], new Utf8());
    const data = makeData({
      type: type as never,
      length: 3,
      typeIds: Int8Array.of(5, 7, 5),
      ...(isDense && { valueOffsets: Int32Array.of(0, 0, 1) }),
      children: [numbers.data[0], texts.data[0]],
    } as never);
    const schema = new Schema([new ArrowField('v', type as never)]);
    const batch = new RecordBatch(
      schema,
      makeData({ type: new Struct(schema.fields), length: 3, children: [data] } as never) as never,
    );
    expect(await valuesOf(tableToIPC(new Table([batch]), 'stream'))).toEqual([1, 'x', 2]);
  });

  it('struct whose members have one name', async () => {
    const type = new Struct([new ArrowField('a', new Int32()), new ArrowField('a', new Float64())] as never);
    const data = makeData({
      type,
      length: 1,
      children: [makeVector(Int32Array.of(1)).data[0], makeVector(Float64Array.of(2.5)).data[0]],
    } as never);
    const schema = new Schema([new ArrowField('v', type)]);
    const batch = new RecordBatch(
      schema,
      makeData({ type: new Struct(schema.fields), length: 1, children: [data] } as never) as never,
    );
    expect(await valuesOf(tableToIPC(new Table([batch]), 'stream'))).toEqual([{ a: 1, a_2: 2.5 }]);
  });
});

/** A column's field: its name, type number and type, and children. */
const field = (name: string, number: number, type: FlatFields, children: FlatFields[] = []): FlatFields => [
  string(name),
  bool(true),
  int8(number),
  table(...type),
  null,
  tables(children),
];
const INT = (name: string, bits: number) => field(name, 2, [int32(bits), bool(true)]);

/** A stream of one batch: lengths of its columns and their children, and their buffers. */
function stream(
  fields: FlatFields[],
  rows: number,
  lengths: number[],
  buffers: Uint8Array[],
  endianness = 0,
  version = 4,
): Uint8Array {
  const schema = encapsulate(
    withVersion(messageFields(HEADER_SCHEMA, table(int16(endianness), tables(fields)), {}), version),
  );
  const places: [number, number][] = [];
  let at = 0;
  for (const { length } of buffers) {
    places.push([at, length]);
    at += Math.ceil(length / 8) * 8;
  }
  const body = new Uint8Array(at);
  for (const [i, buffer] of buffers.entries()) body.set(buffer, places[i]![0]);
  const batch = table(int64(rows), pairs(lengths.map((length) => [length, 0] as const)), pairs(places));
  const [, type, header, , metadata] = messageFields(HEADER_BATCH, batch, {});
  const message = encapsulate([int16(version), type!, header!, int64(at), metadata!]);
  return Buffer.concat([schema, message, body]);
}
const withVersion = ([, ...rest]: FlatFields, version: number): FlatFields => [int16(version), ...rest];
const ints = (...values: number[]) => new Uint8Array(Int32Array.from(values).buffer);
const shorts = (...values: number[]) => new Uint8Array(Int16Array.from(values).buffer);
const NONE = new Uint8Array(0);

describe('a type written by hand', () => {
  const RUNS = field('v', 22, [], [INT('run_ends', 16), INT('values', 32)]);
  const LISTS = field('v', 25, [], [INT('item', 32)]);

  it('runs', async () => {
    const bytes = stream([RUNS], 6, [6, 3, 3], [NONE, shorts(1, 4, 9), NONE, ints(10, 20, 30)]);
    expect(await valuesOf(bytes)).toEqual([10, 20, 20, 20, 30, 30]);
  });

  it.each([
    ['go down', shorts(4, 1, 9)],
    ['end early', shorts(1, 2, 3)],
  ])('runs that %s are damage', async (_, ends) => {
    const bytes = stream([RUNS], 6, [6, 3, 3], [NONE, ends, NONE, ints(10, 20, 30)]);
    await expect(valuesOf(bytes)).rejects.toMatchObject({ code: 'ERR_FILE_CORRUPT' });
  });

  it('views of lists, which may overlap', async () => {
    const bytes = stream([LISTS], 3, [3, 4], [NONE, ints(2, 0, 1), ints(2, 3, 0), NONE, ints(1, 2, 3, 4)]);
    expect(await valuesOf(bytes)).toEqual([[3, 4], [1, 2, 3], []]);
    const outside = stream([LISTS], 1, [1, 4], [NONE, ints(2), ints(3), NONE, ints(1, 2, 3, 4)]);
    await expect(valuesOf(outside)).rejects.toMatchObject({ code: 'ERR_FILE_CORRUPT' });
  });

  it('views that overlap until nothing could hold them are too large', async () => {
    const rows = 20_000;
    const all = Int32Array.from({ length: rows }, () => 0);
    const sizes = Int32Array.from({ length: rows }, () => rows);
    const bytes = stream(
      [LISTS],
      rows,
      [rows, rows],
      [NONE, new Uint8Array(all.buffer), new Uint8Array(sizes.buffer), NONE, new Uint8Array(all.buffer)],
    );
    await expect(valuesOf(bytes)).rejects.toMatchObject({ code: 'ERR_FILE_TOO_LARGE' });
  });
});

describe('what is not supported', () => {
  it.each<[string, Uint8Array]>([
    ['big-endian numbers', stream([INT('v', 32)], 1, [1], [NONE, ints(1)], 1)],
    ['version 6 of its metadata', stream([INT('v', 32)], 1, [1], [NONE, ints(1)], 0, 5)],
    ['version 3 of its metadata', stream([INT('v', 32)], 1, [1], [NONE, ints(1)], 0, 2)],
    ['column "v" of Arrow type number 99', stream([field('v', 99, [])], 1, [1], [NONE, ints(1)])],
  ])('is named: %s', async (feature, bytes) => {
    await expect(valuesOf(bytes)).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
      context: { feature },
    });
  });

  it('version 4 of the metadata is', async () => {
    expect(await valuesOf(stream([INT('v', 32)], 2, [2], [NONE, ints(1, 2)], 0, 3))).toEqual([1, 2]);
  });
});

it('NaN and infinities are null, and counted', async () => {
  const x = vectorFromArray([Number.NaN, 1, Number.NEGATIVE_INFINITY], new Float64());
  const items = await itemsOf(new ArrowReader([tableToIPC(new Table({ x }))], null));
  expect(items.map(({ record }) => record)).toEqual([{ x: null }, { x: 1 }, { x: null }]);
  expect(items.map(({ reason }) => reason)).toEqual(['nonFinite', undefined, 'nonFinite']);
});
