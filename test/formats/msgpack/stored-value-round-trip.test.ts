import { decode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MsgpackWriter,
  OUT_OF_ROOM,
  StoredValueReader,
  setOwn,
} from '../../../src/formats/msgpack/stored-value.js';
import type { Json } from '../../../src/schema/event.js';

const BUFFER_BYTES = 1 << 20;

interface Written {
  readonly bytes: Buffer;
  readonly lossy: boolean;
}

function write(value: unknown, bytesMax = BUFFER_BYTES): Written {
  const buffer = new ArrayBuffer(bytesMax);
  const out = new MsgpackWriter(buffer, 0, bytesMax);
  out.value(value);
  return { bytes: Buffer.from(buffer, 0, out.position), lossy: out.lossy };
}

function roundTrip(value: unknown): { value: Json; lossy: boolean } {
  const { bytes, lossy } = write(value);
  const reader = new StoredValueReader(bytes);
  const read = reader.value();
  expect(reader.position, 'every byte is read').toBe(bytes.length);
  return { value: read, lossy };
}

const wellFormed = (text: string) => Buffer.from(text).toString();

/** What JSON data reads as: the same, but for surrogates that stand alone. */
function expected(value: unknown): Json {
  if (typeof value === 'string') return wellFormed(value);
  if (Array.isArray(value)) return value.map(expected);
  if (typeof value === 'object' && value !== null) {
    const object: Record<string, Json> = {};
    for (const [key, item] of Object.entries(value)) setOwn(object, wellFormed(key), expected(item));
    return object;
  }
  return value as Json;
}

/** Equal in every own key, whatever its name, in the sign of zero, and in being plain. */
function expectSame(actual: unknown, wanted: unknown): void {
  if (typeof wanted !== 'object' || wanted === null) {
    if (!Object.is(actual, wanted)) expect(actual).toBe(wanted);
    return;
  }
  expect(Array.isArray(actual)).toBe(Array.isArray(wanted));
  expect(Object.getPrototypeOf(actual)).toBe(Array.isArray(wanted) ? Array.prototype : Object.prototype);
  expect(Object.getOwnPropertyNames(actual).sort()).toEqual(Object.getOwnPropertyNames(wanted).sort());
  for (const key of Object.keys(wanted)) {
    const [a, b] = [actual, wanted].map(
      (object) => Object.getOwnPropertyDescriptor(object, key)?.value as unknown,
    );
    expectSame(a, b);
  }
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 70 }),
  fc.string({ unit: fc.constantFrom('a', 'é', '漢', '😀', '\ud800', '\udc00', '\0', '\n'), maxLength: 45 }),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'toJSON', ''),
);
const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    -0,
    127,
    128,
    -1,
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    2 ** 53,
    1e308,
    5e-324,
    Number.NaN,
    Infinity,
    -Infinity,
  ),
);
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.oneof(fc.constant(null), fc.boolean(), number, text),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 6 }).map((entries) => {
      const object: Record<string, unknown> = {};
      for (const [key, item] of entries) setOwn(object, key, item);
      return object;
    }),
  ),
})).value;

const throwing = {
  get bad(): never {
    throw new Error('a getter that throws');
  },
  good: 1,
};
const hostileProxy = new Proxy(
  {},
  {
    ownKeys: () => {
      throw new Error('a proxy that throws');
    },
    get: () => {
      throw new Error('a proxy that throws');
    },
    getPrototypeOf: () => {
      throw new Error('a proxy that throws');
    },
  },
);

describe('MessagePack of an event', () => {
  it('reads JSON data back as it was, keys of any name, NaN and the sign of zero included', () => {
    fc.assert(
      fc.property(json, (value) => {
        const read = roundTrip(value);
        expectSame(read.value, expected(value));
        expect(read.lossy).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('is read the same by another implementation, wherever that accepts the keys', () => {
    fc.assert(
      fc.property(json, (value) => {
        const { bytes } = write(value);
        let other: unknown;
        try {
          other = decode(bytes);
        } catch (error) {
          // It refuses a key that ours takes as any other.
          expect(String(error)).toContain('__proto__');
          return;
        }
        expectSame(new StoredValueReader(bytes).value(), other);
      }),
      { numRuns: 300 },
    );
  });

  it('begins where it is told and reads from there', () => {
    const buffer = new SharedArrayBuffer(64);
    const out = new MsgpackWriter(buffer, 10, 64);
    out.value('first');
    const second = out.position;
    out.value({ a: 1 });
    const bytes = Buffer.from(buffer);
    expect(new StoredValueReader(bytes, 10).value()).toBe('first');
    expect(new StoredValueReader(bytes, second).value()).toEqual({ a: 1 });
    expect([...bytes.subarray(0, 10)]).toEqual(new Array(10).fill(0));
  });

  it.each([
    ['undefined', undefined, null, false],
    ['a small bigint', 12n, 12, false],
    ['the largest exact bigint', BigInt(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER, false],
    ['a huge bigint', -(10n ** 40n), `-1${'0'.repeat(40)}`, false],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z', false],
    [
      'a map',
      new Map<unknown, unknown>([
        ['a', 1],
        [2, { b: 3 }],
      ]),
      { a: 1, 2: { b: 3 } },
      false,
    ],
    ['a map with the key __proto__', new Map([['__proto__', 1]]), JSON.parse('{"__proto__":1}'), false],
    ['a set', new Set(['a', 1]), ['a', 1], false],
    ['a Buffer', Buffer.from('hello'), 'aGVsbG8=', false],
    ['a part of a buffer', new Uint8Array([9, 1, 2, 9]).subarray(1, 3), 'AQI=', false],
    ['a DataView', new DataView(new Uint8Array([1, 2]).buffer), 'AQI=', false],
    ['an ArrayBuffer', new Uint8Array([1, 2]).buffer, 'AQI=', false],
    ['a Float64Array', Float64Array.of(1.5, Number.NaN, -0), [1.5, Number.NaN, -0], false],
    ['a BigInt64Array', BigInt64Array.of(-1n, 5n), [-1, 5], false],
    ['a sparse array', [1, undefined, 3], [1, null, 3], false],
    [
      'an error',
      Object.assign(new TypeError('no'), { code: 'E1' }),
      { name: 'TypeError', message: 'no', code: 'E1' },
      false,
    ],
    ['an object that knows its JSON', { toJSON: () => ({ a: 1 }) }, { a: 1 }, false],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), { a: 1 }, false],
    ['a boxed number', Object(1), 1, false],
    ['a boxed bigint', Object(5n), 5, false],
    ['a boxed symbol', Object(Symbol('s')), null, true],
    ['a promise', Promise.resolve(1), null, true],
    ['a weak map', new WeakMap(), null, true],
    ['what keeps its entries to itself', new URLSearchParams('a=1'), null, true],
    [
      'an error with a cause',
      new Error('outer', { cause: new TypeError('inner') }),
      { name: 'Error', message: 'outer', cause: { name: 'TypeError', message: 'inner' } },
      false,
    ],
    ['a function', () => 1, null, true],
    ['a symbol', Symbol('s'), null, true],
    ['a getter that throws', { outer: throwing }, { outer: { bad: null, good: 1 } }, true],
    ['a proxy that throws', { a: 1, proxy: hostileProxy, b: 2 }, { a: 1, proxy: null, b: 2 }, true],
    ['a revoked proxy', { a: revoked(), b: 2 }, { a: null, b: 2 }, true],
    ['a toJSON that throws', { a: { toJSON: raise }, b: 2 }, { a: null, b: 2 }, true],
    ['a map with a key that has no text', { a: new Map([[{ toString: raise }, 1]]) }, { a: null }, true],
    ['a date that is none', { a: new Date(Number.NaN) }, { a: null }, true],
  ] as const)('writes %s as near as JSON goes', (_what, value, wanted, lossy) => {
    const read = roundTrip(value);
    expectSame(read.value, wanted);
    expect(read.lossy).toBe(lossy);
  });

  it('writes null for what contains itself, and all the rest', () => {
    const cycle: Record<string, unknown> = { a: 1, list: [] };
    cycle.self = cycle;
    (cycle.list as unknown[]).push(cycle, 2);
    const read = roundTrip(cycle);
    expectSame(read.value, { a: 1, list: [null, 2], self: null });
    expect(read.lossy).toBe(true);
  });

  it('writes an object as often as it occurs, where it does not contain itself', () => {
    const shared = { a: 1 };
    const read = roundTrip([shared, shared, { shared }]);
    expectSame(read.value, [{ a: 1 }, { a: 1 }, { shared: { a: 1 } }]);
    expect(read.lossy).toBe(false);
  });

  it('cuts nesting of 10,000 off, and objects that make ever new ones', () => {
    let deep: unknown = 'bottom';
    for (let i = 0; i < 10_000; i++) deep = i % 2 === 0 ? [deep] : { deep };
    const endless = (): object => ({ toJSON: endless });
    for (const value of [deep, endless()]) {
      const read = roundTrip({ value, after: 1 });
      expect(read.lossy).toBe(true);
      expect((read.value as Record<string, Json>).after).toBe(1);
    }
  });

  it('keeps the first 65,535 entries of a larger object', () => {
    const large: Record<string, number> = {};
    for (let i = 0; i < 65_600; i++) large[`k${i}`] = 1;
    for (const value of [large, new Map(Object.entries(large))]) {
      const read = roundTrip(value);
      expect(read.lossy).toBe(true);
      expect(Object.keys(read.value as object)).toHaveLength(65_535);
    }
  });

  it('throws OUT_OF_ROOM and nothing else at every size too small, and writes nothing past the end', () => {
    const value = {
      text: 'x'.repeat(45),
      short: 'é',
      numbers: [1, 1000, -5, 0.5, 2n ** 80n],
      nested: { map: new Map([['a', new Set([true, null])]]), bytes: Buffer.from('hello'), getter: throwing },
      proxy: hostileProxy,
      error: new Error('no'),
      date: new Date(0),
    };
    const whole = write(value).bytes;
    let fits = 0;
    for (let size = 0; size <= whole.length + 16; size++) {
      const guarded = Buffer.alloc(size + 16, 0x5a);
      const buffer = new ArrayBuffer(size + 16);
      Buffer.from(buffer).set(guarded);
      const out = new MsgpackWriter(buffer, 0, size);
      try {
        out.value(value);
        fits++;
        expect([...Buffer.from(buffer, 0, out.position)]).toEqual([...whole]);
      } catch (error) {
        expect(error).toBe(OUT_OF_ROOM);
        expect(size).toBeLessThan(whole.length + 16);
      }
      expect([...new Uint8Array(buffer, size)]).toEqual(new Array(16).fill(0x5a));
      expect(out.position).toBeLessThanOrEqual(size);
    }
    expect(fits).toBeGreaterThan(0);
  });

  it('can be used again after it ran out of room, as if nothing had been', () => {
    const out = new MsgpackWriter(new ArrayBuffer(32), 0, 32);
    const inner = { a: 'x'.repeat(100) };
    expect(() => out.value({ inner })).toThrow(OUT_OF_ROOM);
    out.position = 0;
    out.value({ inner: 1 });
    expect(out.lossy).toBe(false);
  });
});

function raise(): never {
  throw new Error('thrown by the value');
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
