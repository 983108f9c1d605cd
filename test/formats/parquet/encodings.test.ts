/** Encodings of Parquet's values, written by the book here and read back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bitPacked, hybrid, valuesOf } from '../../../src/formats/parquet/read/encodings.js';
import {
  BOOLEAN,
  BYTE_ARRAY,
  DOUBLE,
  FIXED_LEN_BYTE_ARRAY,
  FLOAT,
  INT32,
  INT64,
  INT96,
  type LeafType,
} from '../../../src/formats/parquet/read/types.js';

const leaf = (physical: number, bytes = 0): LeafType => ({ physical, bytes, convert: () => null });
const decode = (page: Buffer, encoding: number, type: LeafType, count: number) => {
  const next = valuesOf(page, encoding, type);
  return Array.from({ length: count }, () => next());
};
const smallest = (value: bigint) => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value >= 128n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
  return [...bytes, Number(value)];
}
const zigzag = (value: bigint) => varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));

/** Numbers of `width` bits, least significant bit first. */
function pack(values: readonly bigint[], width: number): number[] {
  let all = 0n;
  values.forEach((value, i) => {
    all |= value << BigInt(i * width);
  });
  return Array.from({ length: Math.ceil((values.length * width) / 8) }, (_, i) =>
    Number((all >> BigInt(8 * i)) & 255n),
  );
}

/** DELTA_BINARY_PACKED in blocks of 128 in four miniblocks; sums of `bits` bits wrap around. */
function deltas(values: readonly bigint[], bits: number): number[] {
  const bytes = [
    ...varint(128n),
    ...varint(4n),
    ...varint(BigInt(values.length)),
    ...zigzag(values[0] ?? 0n),
  ];
  for (let from = 1; from < values.length; from += 128) {
    const block = values
      .slice(from, from + 128)
      .map((value, i) => BigInt.asIntN(bits, value - values[from + i - 1]!));
    const [least] = block.toSorted((a, b) => Number(a - b)) as [bigint];
    const above = block.map((delta) => BigInt.asUintN(bits, delta - least));
    const miniblocks = [0, 32, 64, 96].map((at) => above.slice(at, at + 32));
    const widths = miniblocks.map((mini) =>
      mini.reduce((most, value) => Math.max(most, value.toString(2).length), 0),
    );
    bytes.push(...zigzag(least), ...widths.map((width, i) => (miniblocks[i]!.length === 0 ? 77 : width)));
    miniblocks.forEach((mini, i) => {
      if (mini.length > 0)
        bytes.push(...pack([...mini, ...Array<bigint>(32 - mini.length).fill(0n)], widths[i]!));
    });
  }
  return bytes;
}

describe('valuesOf', () => {
  it.each([
    ['int32', INT32, 32],
    ['int64', INT64, 64],
  ])('DELTA_BINARY_PACKED of %s, over the whole range, wrapping around', (_, physical, bits) => {
    const value = fc.oneof(
      fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n }),
      fc.bigInt({ min: -100n, max: 100n }),
    );
    fc.assert(
      fc.property(fc.array(value, { maxLength: 300 }), (values) => {
        const page = Buffer.from(deltas(values, bits));
        expect(decode(page, 5, leaf(physical), values.length)).toEqual(values.map(smallest));
        expect(() => decode(page, 5, leaf(physical), values.length + 1)).toThrow(RangeError);
      }),
    );
  });

  it('DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '漢') })), (texts) => {
        const values = texts.map((text) => Buffer.from(text));
        const lengths = deltas(
          values.map(({ length }) => BigInt(length)),
          32,
        );
        const page = Buffer.from([...lengths, ...values.flatMap((value) => [...value])]);
        expect(decode(page, 6, leaf(BYTE_ARRAY), values.length)).toEqual(values);
        const shared = values.map((value, i) => {
          const last = values[i - 1] ?? Buffer.alloc(0);
          let same = 0;
          while (same < value.length && value[same] === last[same]) same++;
          return same;
        });
        const rest = values.map((value, i) => value.subarray(shared[i]));
        const prefixed = Buffer.from([
          ...deltas(shared.map(BigInt), 32),
          ...deltas(
            rest.map(({ length }) => BigInt(length)),
            32,
          ),
          ...rest.flatMap((value) => [...value]),
        ]);
        expect(decode(prefixed, 7, leaf(BYTE_ARRAY), values.length)).toEqual(values);
      }),
    );
  });

  it('BYTE_STREAM_SPLIT of every type that has it', () => {
    const split = (page: Buffer, size: number) => {
      const count = page.length / size;
      return Buffer.from(Array.from(page, (_, i) => page[(i % count) * size + Math.floor(i / count)]!));
    };
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 240 }), (bytes) => {
        const page = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % 24)));
        for (const [type, size] of [
          [leaf(INT32), 4],
          [leaf(INT64), 8],
          [leaf(FLOAT), 4],
          [leaf(DOUBLE), 8],
          [leaf(FIXED_LEN_BYTE_ARRAY, 3), 3],
        ] as const) {
          const count = page.length / size;
          expect(decode(split(page, size), 9, type, count)).toEqual(decode(page, 0, type, count));
        }
      }),
    );
  });

  it('RLE of booleans, behind its length', () => {
    expect(decode(Buffer.from([4, 0, 0, 0, 6, 1, 3, 0b101]), 3, leaf(BOOLEAN), 6)).toEqual([
      true,
      true,
      true,
      true,
      false,
      true,
    ]);
  });

  it('names what it cannot read', () => {
    for (const [encoding, type, feature] of [
      [4, BOOLEAN, 'the encoding BIT_PACKED of BOOLEAN'],
      [9, INT96, 'the encoding BYTE_STREAM_SPLIT of INT96'],
      [77, DOUBLE, 'the encoding 77 of DOUBLE'],
    ] as const) {
      expect(() => valuesOf(Buffer.alloc(8), encoding, leaf(type))).toThrow(
        expect.objectContaining({ code: 'ERR_UNSUPPORTED_FORMAT', context: { feature } }),
      );
    }
  });

  it('gives nothing that the page has not', () => {
    for (const type of [BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTE_ARRAY]) {
      expect(() => decode(Buffer.alloc(0), 0, leaf(type), 1)).toThrow(RangeError);
    }
    expect(() => decode(Buffer.from([5, 0, 0, 0, 1]), 0, leaf(BYTE_ARRAY), 1)).toThrow(RangeError);
    expect(() => decode(Buffer.from([0, 0, 0]), 5, leaf(INT32), 1)).toThrow(RangeError);
  });
});

describe('hybrid', () => {
  it('reads runs of every width, of one number and of packed ones', () => {
    const run = fc.record({ isPacked: fc.boolean(), count: fc.integer({ min: 1, max: 40 }) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 32 }),
        fc.array(run, { maxLength: 6 }),
        fc.nat(),
        (width, runs, seed) => {
          const bytes: number[] = [];
          const expected: number[] = [];
          let last = BigInt(seed);
          const next = () => {
            last = (last * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) & (2n ** 64n - 1n);
            return (last >> 20n) & (2n ** BigInt(width) - 1n);
          };
          for (const { isPacked, count } of runs) {
            if (isPacked) {
              const values = Array.from({ length: 8 * count }, next);
              bytes.push(...varint(BigInt(2 * count + 1)), ...pack(values, width));
              expected.push(...values.map(Number));
            } else {
              const value = next();
              bytes.push(...varint(BigInt(2 * count)), ...pack([value], 8 * Math.ceil(width / 8)));
              expected.push(...Array<number>(count).fill(Number(value)));
            }
          }
          const read = hybrid(Buffer.from(bytes), width);
          expect(expected.map(() => read())).toEqual(expected);
          expect(read).toThrow(RangeError);
        },
      ),
    );
  });

  it('packed levels of the older form have their most significant bit first', () => {
    const read = bitPacked(Buffer.from([0b00_01_10_11, 0b10_00_00_00]), 2);
    expect([read(), read(), read(), read(), read()]).toEqual([0, 1, 2, 3, 2]);
  });
});
