/** Parquet written by the book, with each number it states through `n`. */
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { little, type Random, type Stated, varint, zigzag } from './stated.js';
import { zstdFrame } from './wrappers.js';

type N = Stated['n'];
type Field = readonly [id: number, type: number, bytes: readonly number[]];

const I32 = 5;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;
const BOOLEAN = 0;
const INT32 = 1;
const INT64 = 2;
const DOUBLE = 5;
const BYTE_ARRAY = 6;

function struct(...fields: (Field | null)[]): number[] {
  let last = 0;
  const bytes: number[] = [];
  for (const field of fields) {
    if (field === null) continue;
    const [id, type, value] = field;
    bytes.push(((id - last) << 4) | type, ...value);
    last = id;
  }
  return [...bytes, 0];
}
const number = (id: number, type: number, value: number): Field => [id, type, zigzag(value)];
const binary = (id: number, text: string, n: N): Field => [
  id,
  BINARY,
  [...varint(n(text.length)), ...Buffer.from(text)],
];
const inner = (id: number, bytes: readonly number[]): Field => [id, STRUCT, bytes];
const list = (id: number, type: number, items: readonly (readonly number[])[], n: N): Field => [
  id,
  LIST,
  [
    ...(items.length < 15 ? [(n(items.length) << 4) | type] : [0xf0 | type, ...varint(n(items.length))]),
    ...items.flat(),
  ],
];

/** Numbers in one run of each kind. */
function hybrid(values: readonly number[], width: number, isPacked: boolean, n: N): number[] {
  if (isPacked) {
    const groups = Math.ceil(values.length / 8);
    const bits = Array.from({ length: groups * 8 }, (_, i) => values[i] ?? 0);
    let all = 0n;
    bits.forEach((value, i) => {
      all |= BigInt(value) << BigInt(i * width);
    });
    return [
      ...varint(n(groups * 2 + 1)),
      ...Array.from({ length: groups * width }, (_, i) => Number((all >> BigInt(8 * i)) & 255n)),
    ];
  }
  const bytes: number[] = [];
  for (let at = 0; at < values.length; ) {
    let end = at;
    while (end < values.length && values[end] === values[at]) end++;
    bytes.push(...varint(n((end - at) * 2)), ...little(values[at]!, Math.ceil(width / 8)));
    at = end;
  }
  return bytes;
}

function deltas(values: readonly number[], n: N): number[] {
  const bytes = [
    ...varint(n(128)),
    ...varint(n(4)),
    ...varint(n(values.length)),
    ...zigzag(n(values[0] ?? 0)),
  ];
  for (let from = 1; from < values.length; from += 128) {
    const block = values.slice(from, from + 128).map((value, i) => value - values[from + i - 1]!);
    const least = Math.min(...block);
    bytes.push(...zigzag(n(least)));
    for (let mini = 0; mini < 4; mini++) bytes.push(n(32) & 255);
    for (let i = 0; i < 128; i++)
      if (i < Math.ceil(block.length / 32) * 32) bytes.push(...little((block[i] ?? least) - least, 4));
  }
  return bytes;
}

interface Column {
  readonly name: string;
  readonly type: number;
  readonly isOptional: boolean;
  readonly isList: boolean;
}

function valueBytes(type: number, value: number, n: N): number[] {
  switch (type) {
    case INT32:
      return little(value, 4);
    case INT64:
      return little(value, 8);
    case DOUBLE:
      return [...Buffer.from(Float64Array.of(value / 3).buffer)];
    default: {
      const text = `text ${value}`;
      return [...little(n(text.length), 4), ...Buffer.from(text)];
    }
  }
}

/** @returns the values, and the number of their encoding */
function encode(type: number, values: readonly number[], random: Random, n: N): [number[], number] {
  if (type === BOOLEAN) {
    if (random.flip()) {
      const runs = hybrid(
        values.map((value) => value & 1),
        1,
        random.flip(),
        n,
      );
      return [[...little(n(runs.length), 4), ...runs], 3];
    }
    return [Array.from({ length: Math.ceil(values.length / 8) }, (_, i) => values[i]! & 255), 0];
  }
  if ((type === INT32 || type === INT64) && random.flip()) return [deltas(values, n), 5];
  if (type === BYTE_ARRAY && random.flip()) {
    const texts = values.map((value) => Buffer.from(`text ${value}`));
    const lengths = deltas(
      texts.map(({ length }) => length),
      n,
    );
    const suffixes = texts.flatMap((text) => [...text]);
    if (random.flip()) return [[...lengths, ...suffixes], 6];
    return [
      [
        ...deltas(
          texts.map(() => 0),
          n,
        ),
        ...lengths,
        ...suffixes,
      ],
      7,
    ];
  }
  const plain = values.map((value) => valueBytes(type, value, n));
  if (type !== BYTE_ARRAY && random.flip() && plain.length > 0) {
    return [plain[0]!.flatMap((_, byte) => plain.map((value) => value[byte]!)), 9];
  }
  return [plain.flat(), 0];
}

function compress(codec: number, bytes: readonly number[], n: N): Uint8Array {
  const all = Uint8Array.from(bytes);
  switch (codec) {
    case 1: {
      // One literal for all.
      const length = all.length === 0 ? [] : [(61 << 2) | 0, ...little(n(all.length - 1), 2)];
      return Uint8Array.from([...varint(n(all.length)), ...length, ...all]);
    }
    case 2:
      return gzipSync(all);
    case 4:
      return brotliCompressSync(all);
    case 6:
      return zstdFrame(all, n);
    case 7: {
      const extra = all.length - 15;
      const head =
        extra < 0
          ? [all.length << 4]
          : [0xf0, ...Array<number>(Math.floor(extra / 255)).fill(255), n(extra % 255) & 255];
      return Uint8Array.from([...head, ...all]);
    }
    default:
      return all;
  }
}

/** A file of a few columns and row groups, by chance. */
export function parquet(random: Random, n: N): Uint8Array {
  const columns: Column[] = Array.from({ length: 1 + random.below(3) }, (_, i) => ({
    name: i === 0 ? 'latency_ms' : `c${i}`,
    type: random.of([BOOLEAN, INT32, INT64, DOUBLE, BYTE_ARRAY]),
    isOptional: random.flip(),
    isList: random.below(4) === 0,
  }));
  const file: number[] = [...Buffer.from('PAR1')];
  const groups: number[][] = [];
  let total = 0;
  for (let group = 0; group < 1 + random.below(2); group++) {
    const rows = 1 + random.below(60);
    total += rows;
    const chunks = columns.map((column) => chunk(column, rows));
    groups.push(struct(list(1, STRUCT, chunks, n), number(2, I64, n(1000)), number(3, I64, n(rows))));
  }
  const schema = [struct(binary(4, 'root', n), number(5, I32, n(columns.length)))];
  for (const { name, type, isOptional, isList } of columns) {
    const text = type === BYTE_ARRAY ? number(6, I32, n(0)) : null;
    if (isList) {
      schema.push(
        struct(number(3, I32, n(1)), binary(4, name, n), number(5, I32, n(1)), number(6, I32, n(3))),
      );
      schema.push(struct(number(3, I32, n(2)), binary(4, 'list', n), number(5, I32, n(1))));
    }
    const repetition = number(3, I32, n(isOptional ? 1 : 0));
    schema.push(struct(number(1, I32, n(type)), repetition, binary(4, isList ? 'element' : name, n), text));
  }
  const footer = struct(
    number(1, I32, n(2)),
    list(2, STRUCT, schema, n),
    number(3, I64, n(total)),
    list(4, STRUCT, groups, n),
  );
  return Uint8Array.from([...file, ...footer, ...little(n(footer.length), 4), ...Buffer.from('PAR1')]);

  function chunk({ name, type, isOptional, isList }: Column, rows: number): number[] {
    const codec = random.of([0, 0, 1, 2, 4, 6, 7]);
    const isV2 = random.flip();
    const hasDictionary = type !== BOOLEAN && random.flip();
    const definitionMax = (isList ? 2 : 0) + (isOptional ? 1 : 0);
    const repetitions: number[] = [];
    const definitions: number[] = [];
    const values: number[] = [];
    for (let row = 0; row < rows; row++) {
      const entries = isList ? random.below(4) : 1;
      if (entries === 0) {
        repetitions.push(0);
        definitions.push(random.below(2));
      }
      for (let i = 0; i < entries; i++) {
        repetitions.push(i === 0 ? 0 : 1);
        const isNull = isOptional && random.below(3) === 0;
        definitions.push(isNull ? definitionMax - 1 : definitionMax);
        if (!isNull) values.push(random.below(10));
      }
    }
    const start = file.length;
    if (hasDictionary) {
      const distinct = Array.from({ length: 10 }, (_, i) => i);
      const plain = distinct.flatMap((value) => valueBytes(type, value, n));
      const stored = compress(codec, plain, n);
      const description = struct(number(1, I32, n(10)), number(2, I32, n(0)));
      file.push(
        ...struct(
          number(1, I32, n(2)),
          number(2, I32, n(plain.length)),
          number(3, I32, n(stored.length)),
          inner(7, description),
        ),
        ...stored,
      );
    }
    const dataAt = file.length;
    const [body, encoding] = hasDictionary
      ? [[n(4) & 255, ...hybrid(values, 4, random.flip(), n)], 8]
      : encode(type, values, random, n);
    const levels = (all: readonly number[], max: number) =>
      max === 0 ? [] : hybrid(all, 32 - Math.clz32(max), random.flip(), n);
    const repetition = levels(repetitions, isList ? 1 : 0);
    const definition = levels(definitions, definitionMax);
    const entries = definitions.length;
    if (isV2) {
      const stored = compress(codec, body, n);
      const sizes = repetition.length + definition.length;
      const description = struct(
        number(1, I32, n(entries)),
        number(2, I32, n(entries - values.length)),
        number(3, I32, n(rows)),
        number(4, I32, n(encoding)),
        number(5, I32, n(definition.length)),
        number(6, I32, n(repetition.length)),
      );
      file.push(
        ...struct(
          number(1, I32, n(3)),
          number(2, I32, n(sizes + body.length)),
          number(3, I32, n(sizes + stored.length)),
          inner(8, description),
        ),
        ...repetition,
        ...definition,
        ...stored,
      );
    } else {
      const whole = [
        ...(repetition.length > 0 ? [...little(n(repetition.length), 4), ...repetition] : []),
        ...(definition.length > 0 ? [...little(n(definition.length), 4), ...definition] : []),
        ...body,
      ];
      const stored = compress(codec, whole, n);
      const description = struct(
        number(1, I32, n(entries)),
        number(2, I32, n(encoding)),
        number(3, I32, n(3)),
        number(4, I32, n(3)),
      );
      file.push(
        ...struct(
          number(1, I32, n(0)),
          number(2, I32, n(whole.length)),
          number(3, I32, n(stored.length)),
          inner(5, description),
        ),
        ...stored,
      );
    }
    const path = isList ? [name, 'list', 'element'] : [name];
    const metadata = struct(
      number(1, I32, n(type)),
      list(2, I32, [zigzag(n(encoding))], n),
      list(
        3,
        BINARY,
        path.map((part) => [...varint(n(part.length)), ...Buffer.from(part)]),
        n,
      ),
      number(4, I32, n(codec)),
      number(5, I64, n(entries)),
      number(6, I64, n(file.length - start)),
      number(7, I64, n(file.length - start)),
      number(9, I64, n(dataAt)),
      hasDictionary ? number(11, I64, n(start)) : null,
    );
    return struct(number(2, I64, n(start)), inner(3, metadata));
  }
}
