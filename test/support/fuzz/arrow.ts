/** Arrow streams and files of all kinds of columns, with each number that they state through `n`. */
import {
  bool,
  type FlatField,
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
  END_OF_STREAM,
  encapsulate,
  HEADER_BATCH,
  HEADER_DICTIONARY,
  HEADER_SCHEMA,
} from '../../../src/formats/arrow/message.js';
import { little, type Random, type Stated } from './stated.js';
import { zstdFrame } from './wrappers.js';

type N = Stated['n'];

interface Column {
  readonly field: (n: N) => FlatFields;
  /** Lengths and buffers of so many rows. */
  readonly data: (rows: number, random: Random, n: N) => { lengths: number[]; buffers: number[][] };
  readonly isDictionary?: boolean;
  readonly isUnion?: boolean;
}

const field = (
  name: string,
  number: number,
  type: FlatFields,
  n: N,
  children: FlatFields[] = [],
): FlatFields => [string(name), bool(true), int8(n(number) & 127), table(...type), null, tables(children)];
const INT = (name: string, bits: number, n: N) => field(name, 2, [int32(small(n(bits))), bool(true)], n);
/** Of what is written as 32 bits. */
const small = (value: number) => value | 0;
const exact = (value: number) => (Number.isSafeInteger(value) ? value : 2 ** 50);

const whole = (count: number, of: (i: number) => number, bytes = 4) =>
  Array.from({ length: count }, (_, i) => little(of(i), bytes)).flat();

/** Columns to choose from. */
const COLUMNS: readonly Column[] = [
  {
    field: (n) => field('latency_ms', 3, [int16(n(2) & 3)], n),
    data: (rows) => ({
      lengths: [rows],
      buffers: [[], [...Buffer.from(Float64Array.from({ length: rows }, (_, i) => i / 3).buffer)]],
    }),
  },
  {
    field: (n) => INT('i', 32, n),
    data: (rows, random) => ({
      lengths: [rows],
      buffers: [Array.from({ length: Math.ceil(rows / 8) }, () => random.below(256)), whole(rows, (i) => i)],
    }),
  },
  {
    field: (n) => field('t', 5, [], n),
    data: (rows, _, n) => ({
      lengths: [rows],
      buffers: [[], whole(rows + 1, (i) => n(i)), Array<number>(rows).fill(0x61)],
    }),
  },
  {
    field: (n) => field('l', 12, [], n, [INT('item', 32, n)]),
    data: (rows, _, n) => ({
      lengths: [rows, 2 * rows],
      buffers: [[], whole(rows + 1, (i) => n(2 * i)), [], whole(2 * rows, (i) => i)],
    }),
  },
  {
    field: (n) => field('f', 16, [int32(small(n(2)))], n, [INT('item', 16, n)]),
    data: (rows) => ({ lengths: [rows, 2 * rows], buffers: [[], [], whole(2 * rows, (i) => i, 2)] }),
  },
  {
    field: (n) => field('s', 13, [], n, [INT('a', 64, n), field('b', 6, [], n)]),
    data: (rows) => ({
      lengths: [rows, rows, rows],
      buffers: [[], [], whole(rows, (i) => i, 8), [], whole(Math.ceil(rows / 8), (i) => i, 1)],
    }),
  },
  {
    field: (n) => field('u', 14, [int16(1)], n, [INT('a', 32, n), INT('b', 8, n)]),
    data: (rows, random, n) => ({
      lengths: [rows, rows, rows],
      buffers: [
        whole(rows, () => n(random.below(2)), 1),
        whole(rows, (i) => n(i)),
        [],
        whole(rows, (i) => i),
        [],
        whole(rows, (i) => i, 1),
      ],
    }),
    isUnion: true,
  },
  {
    field: (n) => field('r', 22, [], n, [INT('run_ends', 32, n), INT('values', 32, n)]),
    data: (rows, _, n) => ({
      lengths: [rows, 1, 1],
      buffers: [[], whole(1, () => n(rows)), [], whole(1, () => 7)],
    }),
  },
  {
    field: (n) => field('lv', 25, [], n, [INT('item', 32, n)]),
    data: (rows, random, n) => ({
      lengths: [rows, rows],
      buffers: [
        [],
        whole(rows, () => n(0)),
        whole(rows, () => n(random.below(rows))),
        [],
        whole(rows, (i) => i),
      ],
    }),
  },
  {
    field: (n) => field('d', 7, [int32(small(n(38))), int32(small(n(3))), int32(small(n(128)))], n),
    data: (rows) => ({ lengths: [rows], buffers: [[], whole(rows, (i) => i * 1000, 16)] }),
  },
  {
    field: (n) => field('time', 10, [int16(n(2) & 3)], n),
    data: (rows) => ({ lengths: [rows], buffers: [[], whole(rows, (i) => 1_700_000_000_000_000 + i, 8)] }),
  },
  { field: (n) => field('nothing', 1, [], n), data: (rows) => ({ lengths: [rows], buffers: [] }) },
  {
    field: (n) => [string('dict'), bool(true), int8(5), table(), table(int64(exact(n(7)))), tables([])],
    data: (rows, random, n) => ({ lengths: [rows], buffers: [[], whole(rows, () => n(random.below(3)))] }),
    isDictionary: true,
  },
];

export function arrow(random: Random, n: N): Uint8Array {
  const columns = [COLUMNS[0]!, ...random.list(4, () => random.of(COLUMNS))];
  const isCompressed = random.below(3) === 0;
  const isFile = random.flip();
  const version = random.of([3, 4]);
  const schema = () => table(int16(0), tables(columns.map(({ field }) => field(n))));
  const message = (type: number, header: FlatField, body: Uint8Array) => [
    ...encapsulate([int16(n(version) & 7), int8(n(type) & 7), header, int64(exact(n(body.length)))]),
    ...body,
  ];
  const batchOf = (
    rows: number,
    lengths: number[],
    buffers: readonly number[][],
  ): [FlatField, Uint8Array] => {
    const places: [number, number][] = [];
    const body: number[] = [];
    for (const buffer of buffers) {
      const stored =
        isCompressed && buffer.length > 0
          ? [...little(n(buffer.length), 8), ...zstdFrame(Uint8Array.from(buffer), n)]
          : buffer;
      places.push([exact(n(body.length)), exact(n(stored.length))]);
      body.push(...stored, ...Array<number>((8 - (stored.length % 8)) % 8).fill(0));
    }
    const batch = table(
      int64(exact(n(rows))),
      pairs(lengths.map((length) => [exact(n(length)), exact(n(1))] as const)),
      pairs(places),
      isCompressed ? table(int8(n(1) & 127), int8(0)) : null,
    );
    return [batch, Uint8Array.from(body)];
  };
  const file: number[] = isFile ? [...Buffer.from('ARROW1\0\0')] : [];
  file.push(...message(HEADER_SCHEMA, schema(), new Uint8Array(0)));
  if (columns.some(({ isDictionary }) => isDictionary === true)) {
    const [batch, body] = batchOf(3, [3], [[], whole(4, (i) => n(i)), [0x61, 0x62, 0x63]]);
    file.push(...message(HEADER_DICTIONARY, table(int64(exact(n(7))), batch, bool(false)), body));
  }
  for (let i = 0; i < 1 + random.below(2); i++) {
    const rows = 1 + random.below(40);
    const all = columns.map(({ data, isUnion }) => {
      const { lengths, buffers } = data(rows, random, n);
      // Unions had a null mask before version 5.
      return { lengths, buffers: isUnion === true && version < 4 ? [[], ...buffers] : buffers };
    });
    const [batch, body] = batchOf(
      rows,
      all.flatMap(({ lengths }) => lengths),
      all.flatMap(({ buffers }) => buffers),
    );
    file.push(...message(HEADER_BATCH, batch, body));
  }
  if (!isFile) return Uint8Array.from(file);
  file.push(...END_OF_STREAM);
  const footer = encapsulate([int16(version), schema()]).subarray(8);
  return Uint8Array.from([...file, ...footer, ...little(n(footer.length), 4), ...Buffer.from('ARROW1')]);
}
