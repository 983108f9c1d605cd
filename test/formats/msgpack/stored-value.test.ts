/** What becomes of values between capture and reading. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MsgpackWriter,
  OUT_OF_ROOM,
  StoredValueReader,
  writtenKey,
} from '../../../src/formats/msgpack/stored-value.js';
import type { Json } from '../../../src/schema/event.js';

const BYTES = 1 << 20;
const buffer = new SharedArrayBuffer(BYTES);

function roundTrip(value: unknown): { value: Json; lossy: boolean } {
  const writer = new MsgpackWriter(buffer, 0, BYTES);
  writer.value(value);
  const reader = new StoredValueReader(Buffer.from(buffer));
  const read = reader.value();
  expect(reader.position).toBe(writer.position);
  return { value: read, lossy: writer.lossy };
}

/** Nested arrays: [[[…]]]. */
function nested(depth: number): unknown {
  let value: unknown = 'core';
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

describe('MessagePack', () => {
  it('returns every JSON value as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6, noUnicodeString: false }), (json) => {
        expect(roundTrip(json)).toEqual({ value: json, lossy: false });
      }),
      { numRuns: 300 },
    );
  });

  it('returns every number as it was, the special ones too', () => {
    fc.assert(
      fc.property(fc.double(), (number) => Object.is(roundTrip(number).value, number)),
      { numRuns: 300 },
    );
    for (const number of [
      0,
      -0,
      127,
      128,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 32,
      -1,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
    ]) {
      expect(Object.is(roundTrip(number).value, number), String(number)).toBe(true);
    }
  });

  it('returns texts of every length, whatever is in them', () => {
    for (const length of [0, 1, 31, 32, 39, 40, 41, 255, 256, 65_536]) {
      for (const text of ['a'.repeat(length), 'é'.repeat(length), `${'a'.repeat(length)}\0\n"`]) {
        expect(roundTrip(text).value).toBe(text);
      }
    }
    expect(roundTrip('😀 日本 \u{10ffff}').value).toBe('😀 日本 \u{10ffff}');
  });

  it('turns a lone surrogate into U+FFFD', () => {
    expect(roundTrip('a\ud800b').value).toBe('a\ufffdb');
    expect(roundTrip({ '\udfff': 1 }).value).toEqual({ '\ufffd': 1 });
  });

  it.each<[string, unknown, Json]>([
    ['undefined is null', undefined, null],
    ['a small bigint is a number', 12n, 12],
    ['a large bigint is decimal text', 10n ** 30n, '1000000000000000000000000000000'],
    ['a Date is ISO text', new Date(0), '1970-01-01T00:00:00.000Z'],
    [
      'a Map is an object',
      new Map<unknown, unknown>([
        ['a', 1],
        [2, new Map([['b', 3]])],
      ]),
      { a: 1, '2': { b: 3 } },
    ],
    ['a Set is a list', new Set([1, 'b']), [1, 'b']],
    ['a Buffer is base64', Buffer.from('hello'), 'aGVsbG8='],
    ['an ArrayBuffer is base64', new Uint8Array([1, 2, 3]).buffer, 'AQID'],
    ['a DataView is base64', new DataView(new Uint8Array([1, 2, 3]).buffer, 1), 'AgM='],
    ['a Float64Array is a list', new Float64Array([1.5, -2]), [1.5, -2]],
    ['a BigInt64Array is a list', new BigInt64Array([7n]), [7]],
    ['toJSON is asked', { toJSON: () => ({ told: 1 }) }, { told: 1 }],
    ['a URL is its text', new URL('http://example.org/'), 'http://example.org/'],
    ['an Error is its name and message', new TypeError('bad'), { name: 'TypeError', message: 'bad' }],
    [
      'an Error’s code is kept',
      Object.assign(new Error('x'), { code: 'E1' }),
      { name: 'Error', message: 'x', code: 'E1' },
    ],
    ['an object without prototype is an object', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ['a hole in a list is null', Object.assign(new Array(3), { 0: 1, 2: 3 }), [1, null, 3]],
    ['what is used twice is no cycle', ((a) => ({ a, b: a }))({ x: 1 }), { a: { x: 1 }, b: { x: 1 } }],
    ['64 levels are kept', nested(64), nested(64) as Json],
  ])('%s', (_, value, expected) => {
    expect(roundTrip(value)).toEqual({ value: expected, lossy: false });
  });

  it.each<[string, unknown, Json]>([
    ['a function', { a: () => 1, b: 2 }, { a: null, b: 2 }],
    ['a symbol', { a: Symbol('s'), b: 2 }, { a: null, b: 2 }],
    [
      'a getter that throws',
      Object.defineProperty({ b: 2 }, 'a', {
        enumerable: true,
        get() {
          throw new Error('no');
        },
      }),
      { b: 2, a: null },
    ],
    [
      'a toJSON that throws',
      {
        a: {
          toJSON() {
            throw new Error('no');
          },
        },
        b: 2,
      },
      { a: null, b: 2 },
    ],
    ['a toJSON that returns itself', { a: { toJSON: returnThis }, b: 2 }, { a: null, b: 2 }],
    ['a revoked proxy', { a: revoked(), b: 2 }, { a: null, b: 2 }],
    ['a Map key that is no text', { a: new Map([[Object.create(null), 1]]), b: 2 }, { a: null, b: 2 }],
  ])('%s costs that value, and is told', (_, value, expected) => {
    expect(roundTrip(value)).toEqual({ value: expected, lossy: true });
  });

  it('cuts a cycle where it closes', () => {
    const cycle: Record<string, unknown> = { x: 1 };
    cycle.self = cycle;
    cycle.list = [cycle];
    expect(roundTrip(cycle)).toEqual({ value: { x: 1, self: null, list: [null] }, lossy: true });
  });

  it.each([65, 10_000])('cuts %d levels of nesting at the 64th', (depth) => {
    const { value, lossy } = roundTrip(nested(depth));
    expect(lossy).toBe(true);
    let levels = 0;
    for (let inner = value; Array.isArray(inner); inner = inner[0]!) levels++;
    expect(levels).toBe(64);
  });

  it.each(['__proto__', 'constructor', 'hasOwnProperty', ''])('treats %j as a key like any other', (key) => {
    const source = JSON.parse(`{${JSON.stringify(key)}: {"polluted": true}, "b": 1}`) as Record<string, Json>;
    const value = roundTrip(source).value as Record<string, Json>;
    expect(Object.keys(value)).toEqual(Object.keys(source));
    expect(Object.getOwnPropertyDescriptor(value, key)?.value).toEqual({ polluted: true });
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('refuses what does not fit, and never writes past its end', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.nat({ max: 40 }), (json, room) => {
        const bytes = new Uint8Array(buffer);
        bytes.fill(0xaa, 0, 256);
        const writer = new MsgpackWriter(buffer, 64, 64 + room);
        try {
          writer.value(json);
          expect(writer.position).toBeLessThanOrEqual(64 + room);
        } catch (error) {
          expect(error).toBe(OUT_OF_ROOM);
        }
        expect(bytes.subarray(0, 64).every((byte) => byte === 0xaa)).toBe(true);
        expect(bytes.subarray(64 + room, 256).every((byte) => byte === 0xaa)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('tells of an invalid Date, whose time is lost', () => {
    expect(roundTrip({ at: new Date(Number.NaN) })).toEqual({ value: { at: null }, lossy: true });
  });
});

function returnThis(this: unknown): unknown {
  return this;
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

it('a key that is known is written as any other', () => {
  const keys = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ maxLength: 40 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(keys, fc.integer()), { maxLength: 8 }), (entries) => {
      const [plain, known] = [0, 1].map(() => new MsgpackWriter(new ArrayBuffer(4096), 0, 4096)) as [
        MsgpackWriter,
        MsgpackWriter,
      ];
      for (const [key, value] of entries) {
        plain.entry(key, value);
        known.knownEntry(key, writtenKey(key), value);
      }
      expect(Buffer.from(known.written)).toEqual(Buffer.from(plain.written));
    }),
  );
});

it('a key that is known needs room for whole words', () => {
  for (let size = 0; size < 24; size++) {
    const writer = new MsgpackWriter(new ArrayBuffer(64), 0, size);
    const write = () => writer.knownEntry('duration', writtenKey('duration'), true);
    if (size >= 12) {
      write();
      expect(writer.position).toBe(10);
    } else {
      expect(write).toThrow(OUT_OF_ROOM);
      expect(writer.position).toBe(0);
    }
  }
});
