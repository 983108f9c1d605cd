/** MessagePack as msgpackr and others write it: lists of maps, records, and types of its own. */
import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { Packr, PackrStream } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { MsgpackReader } from '../../../src/formats/msgpack/reader.js';
import type { Json } from '../../../src/schema/event.js';
import { importAll, itemsOf, useScratch } from '../../import/support.js';

const write = useScratch();

async function read(bytes: Uint8Array, cut = bytes.length): Promise<Json[]> {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += cut) chunks.push(bytes.subarray(at, at + cut));
  return (await itemsOf(new MsgpackReader(chunks))).map(({ record }) => record);
}

async function streamed(values: readonly unknown[], options: object): Promise<Buffer> {
  const stream = new PackrStream(options);
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  for (const value of values) stream.write(value);
  stream.end();
  await new Promise((resolve) => stream.on('end', resolve));
  return Buffer.concat(parts);
}

/** No negative zero, which one of the writers does not keep. */
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);

/** Objects of few shapes, so that records repeat, with numbers that stand for records elsewhere. */
const objects = fc.array(
  fc.oneof(
    fc.record({ n: fc.integer({ min: 0, max: 200 }), text: fc.string() }),
    fc.record({
      n: fc.constantFrom(63, 64, 65, 127),
      inner: fc.record({ a: double, b: fc.boolean() }),
    }),
    fc.record({ list: fc.array(fc.record({ x: fc.nat(), y: fc.constant(null) }), { maxLength: 4 }) }),
  ),
  { minLength: 1, maxLength: 12 },
);

describe('a list of maps', () => {
  it('is as many records, in chunks of any size, one list after the other', async () => {
    await fc.assert(
      fc.asyncProperty(objects, objects, fc.integer({ min: 1, max: 40 }), async (first, second, cut) => {
        const bytes = Buffer.concat([encode(first), encode([]), encode(second)]);
        expect(await read(bytes, cut)).toEqual([...first, ...second]);
      }),
    );
  });

  it('of 100,000 is read item by item, and recognised without a name', async () => {
    const list = Array.from({ length: 100_000 }, (_, i) => ({ latency_ms: i, model: 'm' }));
    const { rows, records } = await importAll(await write('list', encode(list)));
    expect(rows).toBe(100_000);
    expect(records.at(-1)).toMatchObject({ latencyMs: 99_999, model: 'm' });
  });

  it('that ends before its last item is damage, with all before it handed on', async () => {
    const whole = encode([{ latency_ms: 1 }, { latency_ms: 2 }, { latency_ms: 3 }]);
    for (const bytes of [whole.subarray(0, -1), whole.subarray(0, -whole.length / 3 + 1)]) {
      await expect(importAll(await write('cut.msgpack', bytes))).rejects.toMatchObject({
        code: 'ERR_FILE_CORRUPT',
        context: expect.objectContaining({ records: expect.any(Number) }),
      });
    }
    await expect(read(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff))).rejects.toMatchObject({
      code: 'ERR_FILE_CORRUPT',
    });
  });
});

describe("msgpackr's records", () => {
  it.each([
    [
      'each with its definition',
      async (values: unknown[]) => Buffer.concat(values.map((v) => new Packr().pack(v))),
    ],
    [
      'of one packer',
      async (values: unknown[]) => {
        const packr = new Packr();
        return Buffer.concat(values.map((value) => Buffer.from(packr.pack(value))));
      },
    ],
    ['in one list', async (values: unknown[]) => new Packr().pack(values)],
    ['in a stream, defined once', (values: unknown[]) => streamed(values, { sequential: true })],
    ['by two bytes', (values: unknown[]) => streamed(values, { sequential: true, maxOwnStructures: 8000 })],
  ] as const)('%s', async (_, pack) => {
    await fc.assert(
      fc.asyncProperty(objects, fc.integer({ min: 1, max: 40 }), async (values, cut) => {
        expect(await read(await pack(values as unknown[]), cut)).toEqual(JSON.parse(JSON.stringify(values)));
      }),
      { numRuns: 50 },
    );
  });

  it('are recognised without a name', async () => {
    const bytes = new Packr().pack([
      { latency_ms: 64, model: 'm' },
      { latency_ms: 65, model: 'n' },
    ]);
    const { records } = await importAll(await write('records', bytes));
    expect(records.map(({ latencyMs }) => latencyMs)).toEqual([64, 65]);
  });
});

describe('a value of msgpackr', () => {
  it.each<[string, unknown, Json]>([
    ['undefined', undefined, null],
    ['an integer beyond 64 bits', 2n ** 80n + 1n, '1208925819614629174706177'],
    ['a negative one', -(2n ** 70n), '-1180591620717411303424'],
    ['a time', new Date(1_700_000_000_123), '2023-11-14T22:13:20.123000000Z'],
    ['bytes', Buffer.from([0, 255]), 'AP8='],
    ['an infinity', Number.POSITIVE_INFINITY, null],
  ])('%s', async (_, value, expected) => {
    const packr = new Packr({ useRecords: false, largeBigIntToFloat: false, useBigIntExtension: true });
    expect(await read(packr.pack({ value }))).toEqual([{ value: expected }]);
  });

  it('of an extension that nobody knows is its bytes', async () => {
    expect(await read(Uint8Array.of(0x81, 0xa1, 0x61, 0xd5, 0x33, 1, 2))).toEqual([{ a: 'AQI=' }]);
  });
});

describe('what msgpackr writes with more types', () => {
  it('is in its place: sets, errors and expressions are lists of their parts', async () => {
    const packr = new Packr({ moreTypes: true, useRecords: false });
    const value = { before: 1, set: new Set([1, 'a']), error: new TypeError('no'), re: /a+/g, after: 2 };
    expect(await read(packr.pack(value))).toEqual([
      { before: 1, set: [1, 'a'], error: ['TypeError', 'no', null], re: ['a+', 'g'], after: 2 },
    ]);
  });

  it('is refused where it says that an object is another one', async () => {
    const shared = { x: 1 };
    const bytes = new Packr({ structuredClone: true, useRecords: false }).pack({
      a: shared,
      b: shared,
      c: 2,
    });
    await expect(importAll(await write('clone.msgpack', bytes))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
      message: expect.stringContaining('structuredClone'),
    });
  });

  it('is refused where the keys of its records are kept elsewhere', async () => {
    const packr = new Packr({ structures: [] });
    const first = packr.pack({ latency_ms: 1, inner: { a: 1 } });
    const bytes = Buffer.concat([first, packr.pack({ latency_ms: 2, inner: { a: 2 } })]);
    await expect(importAll(await write('structures.msgpack', bytes))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
      message: expect.stringContaining('record 1: records of msgpackr whose keys are kept elsewhere'),
    });
  });
});

it('NaN and infinities are null, and counted', async () => {
  const bytes = encode({
    a: Number.NaN,
    b: [1, Number.POSITIVE_INFINITY],
    c: { d: -Infinity },
    latency_ms: 1,
  });
  const { records, reasons, errors } = await importAll(await write('nan.msgpack', bytes));
  expect(records[0]!.metadata).toEqual({ a: null, b: [1, null], c: { d: null } });
  expect({ reasons, errors }).toEqual({
    reasons: { nonFinite: 1 },
    errors: [{ line: 1, message: 'NaN or an infinity is null, 3 times' }],
  });
});

it('a record of more keys than there may be is left out', async () => {
  const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, i]));
  const { rows, reasons } = await importAll(await write('wide.msgpack', encode([wide, { a: 1 }])));
  expect({ rows, reasons }).toEqual({ rows: 1, reasons: { tooLong: 1 } });
});
