/** Numbers as text: what JavaScript writes, bit for bit. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  POWER_BYTES,
  POWER_MAX,
  POWER_MIN,
  TABLES_POWERS_OFFSET,
  TEXT_SLACK_BYTES,
} from '../../assembly/text-layout.js';
import { TextKernels } from '../../src/kernels/text.js';

const kernels = new TextKernels();
const out = kernels.allocate(TEXT_SLACK_BYTES);

function textOf(value: number, by = kernels, at = out): string {
  return by.bytes.toString('latin1', at, by.module.writeNumber(value, at, by.tables));
}

/** String(x), but for −0. */
const expected = (value: number) => (Object.is(value, -0) ? '-0' : String(value));

const f64 = new Float64Array(1);
const u64 = new BigUint64Array(f64.buffer);

function doubleOf(bits: bigint): number {
  u64[0] = bits;
  return f64[0]!;
}

/** The value, those next to it, and their negatives. */
function around(value: number): number[] {
  f64[0] = value;
  const bits = u64[0]!;
  return [-2n, -1n, 0n, 1n, 2n]
    .filter((step) => bits + step >= 0n)
    .map((step) => doubleOf(bits + step))
    .filter(Number.isFinite)
    .flatMap((near) => [near, -near]);
}

/** Values whose text differs. */
function wrong(values: Iterable<number>, by = kernels, at = out): [string, string][] {
  const found: [string, string][] = [];
  for (const value of values) {
    const text = textOf(value, by, at);
    if (text !== expected(value)) found.push([expected(value), text]);
  }
  return found;
}

function* randomBits(count: number, seed: number): Generator<number> {
  let state = BigInt(seed) | 1n;
  for (let i = 0; i < count; i++) {
    // xorshift64*
    state ^= state >> 12n;
    state = BigInt.asUintN(64, state ^ (state << 25n));
    state ^= state >> 27n;
    const value = doubleOf(BigInt.asUintN(64, state * 2685821657736338717n));
    if (Number.isFinite(value)) yield value;
  }
}

describe('writeNumber', () => {
  it.each([
    [-0, '-0'],
    [0, '0'],
    [5e-324, '5e-324'],
    [2 ** 53, '9007199254740992'],
    [2 ** 53 + 2, '9007199254740994'],
    [8.64e18, '8640000000000000000'],
    [1e21, '1e+21'],
    [123456789012345680000, '123456789012345680000'],
    [1e-6, '0.000001'],
    [1e-7, '1e-7'],
    [1.5e-7, '1.5e-7'],
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
    [0.1 + 0.2, '0.30000000000000004'],
    [1234567890.5, '1234567890.5'],
    [100000000000000.5, '100000000000000.5'],
  ])('writes %d as %s', (value, text) => {
    expect(textOf(value)).toBe(text);
  });

  it('writes the powers of two and their neighbours as JavaScript does', () => {
    for (let power = -1074; power <= 1023; power++) expect(wrong(around(2 ** power))).toEqual([]);
  });

  it('writes the powers of ten, their neighbours and short decimals as JavaScript does', () => {
    for (let power = -323; power <= 308; power++) {
      expect(wrong(around(Number(`1e${power}`)))).toEqual([]);
      const short = Array.from({ length: 150 }, (_, i) => Number(`${1 + 67 * i}e${power - 5}`));
      expect(wrong(short.filter(Number.isFinite))).toEqual([]);
    }
  });

  it('writes whole numbers of every length, halves and ties as JavaScript does', () => {
    for (let bits = 1; bits < 70; bits++) {
      expect(wrong(around(2 ** bits - 1))).toEqual([]);
      expect(wrong(around(2 ** bits + 0.5))).toEqual([]);
      expect(wrong(around(Math.floor(2 ** bits / 3)))).toEqual([]);
    }
    // Halfway between two decimals of 17 digits.
    const halfway = [2 ** 52 - 0.5, 2 ** 51 + 0.25, 2 ** 53 + 2, 2 ** 60 + 128, 5e-324, 19 * 5e-324];
    for (const value of halfway) expect(wrong(around(value))).toEqual([]);
  });

  it('writes random bits as JavaScript does', () => {
    const seed = Date.now();
    expect(wrong(randomBits(200_000, seed)), `seed ${seed}`).toEqual([]);
  });

  it('writes what people measure as JavaScript does', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 20 }), fc.double(), (whole, places, any) => {
        const values = [whole / 10 ** places, whole * 10 ** places, any, Math.fround(any)];
        expect(wrong(values.filter(Number.isFinite))).toEqual([]);
      }),
    );
  });

  it('writes nothing beyond the slack', () => {
    for (const value of [...around(Number.MAX_VALUE), ...around(1 / 3), 1e20, 123456.789, -1.2e-5]) {
      kernels.bytes.fill(0xee, out, out + TEXT_SLACK_BYTES);
      const end = kernels.module.writeNumber(value, out, kernels.tables);
      expect(kernels.bytes.subarray(end + 32, out + TEXT_SLACK_BYTES).every((byte) => byte === 0xee)).toBe(
        true,
      );
    }
  });

  it('would be found out if one bit of the table were wrong', () => {
    const broken = new TextKernels();
    const at = broken.allocate(TEXT_SLACK_BYTES);
    // 0.1 is scaled by the sixteenth power of ten or so.
    for (let power = 10; power < 20; power++) {
      broken.bytes[broken.tables + TABLES_POWERS_OFFSET + (power - POWER_MIN) * POWER_BYTES + 3]! ^= 1;
    }
    const values = Array.from({ length: 1000 }, (_, i) => Math.sqrt(i + 2));
    expect(wrong(values)).toEqual([]);
    expect(wrong(values, broken, at).length).toBeGreaterThan(0);
  });
});

describe('the table of powers', () => {
  it('has every power rounded up by less than one in 2^127', () => {
    for (let power = POWER_MIN; power <= POWER_MAX; power++) {
      const at = (kernels.tables + TABLES_POWERS_OFFSET + (power - POWER_MIN) * POWER_BYTES) >> 3;
      const bits = (kernels.u64[at]! << 64n) | kernels.u64[at + 1]!;
      expect(bits >> 127n).toBe(1n);
      // bits × 2^shift ≥ 10^power > (bits − 1) × 2^shift
      const shift = Math.floor(power * Math.log2(10)) - 127;
      const [ten, one] = [10n ** BigInt(Math.max(power, 0)), 10n ** BigInt(Math.max(-power, 0))];
      const scaled = (value: bigint) => (shift >= 0 ? value << BigInt(shift) : value) * one;
      const wanted = shift >= 0 ? ten : ten << BigInt(-shift);
      expect(scaled(bits) >= wanted && scaled(bits - 1n) < wanted, `10^${power}`).toBe(true);
    }
  });
});

it('takes room that does not overlap, and says when there is none left', () => {
  const own = new TextKernels();
  const [first, second] = [own.allocate(10), own.allocate(10)];
  expect(second).toBeGreaterThanOrEqual(first + 10);
  expect(() => own.allocate(own.room + 1)).toThrow(RangeError);
  own.allocate(own.room);
  expect(own.room).toBe(0);
});
