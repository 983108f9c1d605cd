import { Encoder, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { MsgpackReader } from '../../../src/formats/msgpack/reader.js';
import type { Json } from '../../../src/schema/event.js';
import { importAll, itemsOf, useScratch } from '../../import/support.js';

const write = useScratch();

function cutUp(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const starts = [0, ...places];
  return starts.map((start, i) => bytes.subarray(start, starts[i + 1] ?? bytes.length));
}

async function read(...chunks: Uint8Array[]): Promise<Json[]> {
  return (await itemsOf(new MsgpackReader(chunks))).map(({ record }) => record);
}

describe('MessagePack', () => {
  it.each([
    ['@msgpack/msgpack', () => (value: unknown) => new Encoder().encode(value)],
    ['msgpackr', () => (value: unknown) => new Packr({ useRecords: false }).encode(value)],
  ] as const)('reads what %s writes, in chunks of any size', async (_name, encoder) => {
    const encodeOne = encoder();
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.dictionary(
            fc.string().filter((key) => key !== '__proto__'),
            fc.jsonValue({ maxDepth: 3 }),
          ),
          { maxLength: 8 },
        ),
        fc.array(fc.nat(), { maxLength: 10 }),
        async (objects, cuts) => {
          const bytes = Buffer.concat(objects.map((object) => Buffer.from(encodeOne(object))));
          expect(await read(...cutUp(bytes, cuts))).toEqual(JSON.parse(JSON.stringify(objects)));
        },
      ),
    );
  });

  it.each<[string, unknown, Json]>([
    ['int64', -(2 ** 40), -(2 ** 40)],
    ['uint64 beyond 2^53', 2n ** 64n - 1n, '18446744073709551615'],
    ['int64 beyond 2^53', -(2n ** 63n), '-9223372036854775808'],
    ['NaN', Number.NaN, null],
    ['bytes', Uint8Array.of(1, 2, 255), 'AQL/'],
    ['a time', new Date('2023-11-14T22:13:20.123Z'), '2023-11-14T22:13:20.123000000Z'],
    ['an old time', new Date('1901-01-01T00:00:00Z'), '1901-01-01T00:00:00.000000000Z'],
    ['a long text', 'é'.repeat(70_000), 'é'.repeat(70_000)],
  ])('%s', async (_name, value, expected) => {
    const bytes = encode({ value }, { useBigInt64: true });
    expect(await read(bytes)).toEqual([{ value: expected }]);
  });

  it('keeps the sign of zero', async () => {
    expect(await read(Uint8Array.of(0x81, 0xa1, 0x61, 0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0))).toEqual([{ a: -0 }]);
  });

  it('takes off what our exports put behind `__proto__`, and leaves the files of others as they are', async () => {
    const own = { event_id: 'x-00-0000000001', event_name: 'e', experiment_id: 'x', timestamp: 1 };
    const metadata = { __proto___: [{ __proto_____: 1 }], __proto: 2, ['__proto__'.padEnd(60, '_')]: 3 };
    const [kept, back, plain] = await read(
      encode({ metadata }),
      encode({ ...own, metadata }),
      encode({ ...own, metadata: { a: 1 } }),
    );
    expect(kept).toEqual({ metadata });
    const shorter = `{"__proto__":[{"__proto____":1}],"__proto":2,"${'__proto__'.padEnd(59, '_')}":3}`;
    expect(back).toEqual({ ...own, metadata: JSON.parse(shorter) });
    expect(Object.keys((back as { metadata: object }).metadata)[0]).toBe('__proto__');
    expect(plain).toEqual({ ...own, metadata: { a: 1 } });
  });

  it('takes keys of any kind, `__proto__` included', async () => {
    const [record] = await read(Uint8Array.of(0x82, 0xa9, ...Buffer.from('__proto__'), 1, 7, 2));
    expect(Object.entries(record as object)).toEqual([
      ['7', 2],
      ['__proto__', 1],
    ]);
  });

  it('counts values that are no maps, and goes on', async () => {
    const bytes = Buffer.concat([
      encode({ latency_ms: 1 }),
      encode([1]),
      encode(7),
      encode({ latency_ms: 2 }),
    ]);
    expect(await importAll(await write('mixed.msgpack', bytes))).toMatchObject({
      rows: 2,
      skipped: 2,
      errors: [
        { line: 2, message: 'the value is not a map' },
        { line: 3, message: 'the value is not a map' },
      ],
    });
  });

  it('maps the columns of any file, as for JSON Lines', async () => {
    const bytes = Buffer.concat([encode({ latency_s: 0.5, model: 'm', ts: 1_700_000_000 })]);
    const { records } = await importAll(await write('any.msgpack', bytes));
    expect(records[0]).toMatchObject({ latencyMs: 500, model: 'm', timestampUs: 1_700_000_000_000_000 });
  });

  it.each([
    ['a byte that begins no value', [0xc1]],
    ['the beginning of a map', [0x81, 0xa1]],
    ['a text without end', [0xdb, 0xff, 0xff, 0xff, 0xff, 1]],
  ])('ends with a typed error at %s, with all before it handed on', async (_name, rest) => {
    const bytes = Buffer.concat([encode({ latency_ms: 1 }), encode({ latency_ms: 2 }), Buffer.from(rest)]);
    const path = await write('cut.msgpack', bytes);
    await expect(importAll(path)).rejects.toMatchObject({
      name: 'ImportError',
      code: 'ERR_FILE_CORRUPT',
      context: { records: 2 },
    });
    const rows: number[] = [];
    const { importRecords } = await import('../../../src/import/index.js');
    await importRecords(path, {}, ({ latencyMs }) => {
      rows.push(latencyMs!);
    }).catch(() => {});
    expect(rows).toEqual([1, 2]);
  });

  it('refuses nesting that would exhaust the stack', async () => {
    await expect(read(Buffer.alloc(100_000, 0x91))).rejects.toMatchObject({ code: 'ERR_FILE_CORRUPT' });
  });

  it.each<[string, object]>([
    ['no number of rows', { columns: {} }],
    ['no columns', { rows: 1 }],
    ['codes without a value', { rows: 1, columns: { model: { values: [], codes: Uint8Array.of(3) } } }],
    ['codes for more rows', { rows: 1, columns: { model: { values: [], codes: Uint8Array.of(0, 0, 0) } } }],
    ['too few numbers', { rows: 2, columns: { latency_ms: { values: new Uint8Array(8) } } }],
    ['no JSON', { rows: 1, columns: { metadata: { values: ['{'], codes: Uint8Array.of(1) } } }],
  ])('ends with a typed error at a snapshot with %s', async (_name, batch) => {
    const header = encode({ format: 'crucible-columns', version: 1 });
    await expect(read(header, encode(batch))).rejects.toMatchObject({ code: 'ERR_FILE_CORRUPT' });
  });

  it('refuses a snapshot of a later version', async () => {
    const header = encode({ format: 'crucible-columns', version: 2 });
    await expect(read(header)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED_FORMAT' });
  });
});
