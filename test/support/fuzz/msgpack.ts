/** MessagePack and the columnar snapshot, with each number that they state through `n`. */
import { big, type Random, type Stated } from './stated.js';

type N = Stated['n'];

const text = (value: string, n: N): number[] => [0xd9, n(value.length) & 255, ...Buffer.from(value)];
const bytes = (value: readonly number[], n: N): number[] => [0xc6, ...big(n(value.length), 4), ...value];
const map = (entries: readonly (readonly [string, readonly number[]])[], n: N, size = 2): number[] => [
  size === 2 ? 0xde : 0xdf,
  ...big(n(entries.length), size),
  ...entries.flatMap(([key, value]) => [...text(key, n), ...value]),
];
const list = (items: readonly (readonly number[])[], n: N): number[] => [
  0xdd,
  ...big(n(items.length), 4),
  ...items.flat(),
];
const double = (value: number): number[] => [
  0xcb,
  ...[...Buffer.from(Float64Array.of(value).buffer)].reverse(),
];

function value(random: Random, n: N, depth: number): number[] {
  switch (random.below(depth > 3 ? 6 : 8)) {
    case 0:
      return text(`text ${random.below(10)}`, n);
    case 1:
      return double(random.below(100) / 7);
    case 2:
      return bytes(
        random.list(8, () => random.below(256)),
        n,
      );
    case 3:
      return [0xc7, n(12) & 255, n(255) & 255, ...big(n(5), 4), ...big(n(1_700_000_000), 8)];
    case 4:
      return [0xd3, ...big(n(random.below(1000)), 8)];
    case 5:
      return [random.of([0xc0, 0xc2, 0xc3, 0x07, 0xe0])];
    case 6:
      return list(
        random.list(4, () => value(random, n, depth + 1)),
        n,
      );
    default:
      return map(
        random.list(3, (i) => [`k${i}`, value(random, n, depth + 1)] as const),
        n,
      );
  }
}

const record = (random: Random, n: N): number[] =>
  map(
    [
      ['latency_ms', double(random.below(100))],
      ...random.list(4, (i) => [`k${i}`, value(random, n, 0)] as const),
    ],
    n,
  );

/** Maps one after the other, in a list, or as records. */
export function msgpack(random: Random, n: N): Uint8Array {
  const count = 1 + random.below(20);
  switch (random.below(3)) {
    case 0:
      return Uint8Array.from(Array.from({ length: count }, () => record(random, n)).flat());
    case 1:
      return Uint8Array.from(
        list(
          Array.from({ length: count }, () => record(random, n)),
          n,
        ),
      );
    default: {
      const keys = list([text('latency_ms', n), text('k', n)], n);
      const rows = Array.from({ length: count }, () => [n(0x40) & 255, ...double(1), ...value(random, n, 0)]);
      return Uint8Array.from([
        0xd4,
        0x72,
        n(0x40) & 255,
        ...keys,
        ...double(1),
        ...text('x', n),
        ...rows.flat(),
      ]);
    }
  }
}

export function snapshot(random: Random, n: N): Uint8Array {
  const file = map(
    [
      ['format', text('crucible-columns', n)],
      ['version', [n(1) & 127]],
    ],
    n,
  );
  for (let batch = 0; batch < 1 + random.below(2); batch++) {
    const rows = 1 + random.below(30);
    const each = (width: number, of: (row: number) => number[]) =>
      bytes(Array.from({ length: rows }, (_, row) => of(row).slice(0, width)).flat(), n);
    const numbers = (of: (row: number) => number) =>
      map([['values', each(8, (row) => [...Buffer.from(Float64Array.of(of(row)).buffer)])]], n);
    const codes = (values: readonly string[]) =>
      map(
        [
          [
            'values',
            list(
              values.map((word) => text(word, n)),
              n,
            ),
          ],
          ['codes', each(1, () => [n(random.below(values.length + 1)) & 255])],
        ],
        n,
      );
    file.push(
      ...map(
        [
          ['rows', [0xd3, ...big(n(rows), 8)]],
          [
            'columns',
            map(
              [
                ['timestamp', map([['values', each(8, () => big(1_700_000_000_000_000, 8).reverse())]], n)],
                ['event_name', codes(['my.request.stop'])],
                ['experiment_id', codes(['e'])],
                ['latency_ms', numbers((row) => row / 3)],
                ['sequence', numbers((row) => row)],
                ['producer', numbers(() => 0)],
                ['metadata', codes(['{"a":1}', '{}'])],
                ['model', codes(['m', 'n'])],
              ],
              n,
            ),
          ],
        ],
        n,
      ),
    );
  }
  return Uint8Array.from(file);
}
