/** Rows as a test wants them, segments made of these, and a file in memory to read them from. */

import fc from 'fast-check';
import {
  FLAG_BLOB,
  FLAG_DECLARED,
  FLAG_FAILED,
  FLAG_SUCCEEDED,
  FLAG_WRITTEN,
  TAG_BINDING_MASK,
} from '../../../assembly/layout.js';
import type { Batch, DeclaredValues } from '../../../src/ring/batch.js';
import type { Binding } from '../../../src/ring/bindings.js';
import type { FileSystem } from '../../../src/storage/disk/file-system.js';
import { SegmentEncoder } from '../../../src/storage/segment/encoder.js';
import {
  type BatchEntry,
  NO_LOSSES,
  type SegmentColumns,
  type SegmentIdentity,
} from '../../../src/storage/segment/format.js';

export const ALL_COLUMNS: SegmentColumns = [
  { name: 'temperature', type: 'f64' },
  { name: 'offset', type: 'i32' },
  { name: 'size', type: 'u32' },
  { name: 'cached', type: 'bool' },
  { name: 'label', type: 'dict' },
  { name: 'region', type: 'dict' },
];

export function identityOf(columns: SegmentColumns = ALL_COLUMNS): SegmentIdentity {
  return {
    formatVersion: 1,
    libraryVersion: '0.0.0-test',
    experimentId: 'exp-1',
    segment: 1,
    createdUs: 1_700_000_000_000_000,
    columns,
    priceVersion: '2026-01',
    experiment: { name: 'tëst', tags: ['a'] },
  };
}

/** The two words of a double, low one first: so that NaN keeps its payload. */
export type DoubleBits = readonly [number, number];

export interface TestRow {
  readonly timeUs: number;
  readonly latency: DoubleBits;
  readonly cost: DoubleBits;
  readonly prompt: number;
  readonly completion: number;
  readonly binding: number;
  /** High half of the tag, without FLAG_BLOB and FLAG_DECLARED. */
  readonly flags: number;
  readonly payload: Uint8Array | null;
  /** As the ring keeps them, one per column of ALL_COLUMNS; null where the row has none. */
  readonly declared: readonly number[] | null;
}

export function bitsOf(value: number): DoubleBits {
  const [low, high] = new Uint32Array(Float64Array.of(value).buffer);
  return [low!, high!];
}

/** What a row has without a column: metadata with a text of these bytes, no measurements, and a name for who has no other. */
export function payloadWith(bytes: Uint8Array): Buffer {
  const head = Buffer.from([0xde, 0, 1, 0xa1, 0x70, 0xdb, 0, 0, 0, 0]);
  head.writeUInt32BE(bytes.length, 6);
  return Buffer.concat([head, bytes, Buffer.from([0xde, 0, 0, 0xa1, 0x65])]);
}

/** Columns as a ring's reader would bring them; whatever stands in unused places is not 0. */
export function batchOf(
  rows: readonly TestRow[],
  { firstSequence = 0, producer = 0, columns = ALL_COLUMNS } = {},
): Batch {
  const doubles = (bits: (row: TestRow) => DoubleBits) =>
    new Float64Array(Uint32Array.from(rows.flatMap(bits)).buffer);
  const blobOffsets = new Uint32Array(rows.length).fill(0xdead);
  // As in a chunk: the rows before these have filled some of the byte area.
  const parts: Uint8Array[] = [Buffer.from('earlier')];
  let blobBytes = parts[0]!.length;
  rows.forEach(({ payload }, index) => {
    if (payload === null) return;
    blobOffsets[index] = blobBytes;
    blobBytes += payload.length;
    parts.push(payload);
  });
  return {
    firstSequence,
    producer,
    rows: rows.length,
    timeUs: Float64Array.from(rows, ({ timeUs }) => timeUs),
    latencyMs: doubles(({ latency }) => latency),
    costUsd: doubles(({ cost }) => cost),
    promptTokens: Int32Array.from(rows, ({ prompt }) => prompt),
    completionTokens: Int32Array.from(rows, ({ completion }) => completion),
    tags: Uint32Array.from(
      rows,
      ({ binding, flags, payload, declared }) =>
        binding |
        (flags << 16) |
        (payload === null ? 0 : FLAG_BLOB) |
        (declared === null ? 0 : FLAG_DECLARED),
    ),
    blobOffsets,
    blob: Buffer.concat(parts),
    declared: columns.map(({ type }, column): DeclaredValues => {
      const values = rows.map(({ declared }) => (declared === null ? 77 : declared[column]!));
      return type === 'bool' || type === 'dict' ? Int32Array.from(values) : Float64Array.from(values);
    }),
  };
}

/** A row's MessagePack; null when it has none. */
export function payloadOf(batch: Batch, index: number): Buffer | null {
  if ((batch.tags[index] & FLAG_BLOB) === 0) return null;
  let end = batch.blob.length;
  for (let later = batch.rows - 1; later > index; later--) {
    if ((batch.tags[later] & FLAG_BLOB) !== 0) end = batch.blobOffsets[later];
  }
  return batch.blob.subarray(batch.blobOffsets[index], end);
}

/** Everything in which a batch that was read differs from the one that was written; empty when it is the same. */
export function differences(written: Batch, read: Batch, columns = ALL_COLUMNS): string[] {
  const found: string[] = [];
  const compare = (what: string, a: unknown, b: unknown) => {
    if (!Object.is(a, b)) found.push(`${what}: ${String(a)} written, ${String(b)} read`);
  };
  compare('firstSequence', written.firstSequence, read.firstSequence);
  compare('producer', written.producer, read.producer);
  compare('rows', written.rows, read.rows);
  if (written.rows !== read.rows) return found;
  const words = (values: Float64Array) =>
    new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const [latency, latencyRead] = [words(written.latencyMs), words(read.latencyMs)];
  const [cost, costRead] = [words(written.costUsd), words(read.costUsd)];
  for (let row = 0; row < written.rows; row++) {
    // -0 is 0 here: an integer has none.
    compare(`time ${row}`, Math.floor(written.timeUs[row]) + 0, read.timeUs[row]);
    for (const word of [2 * row, 2 * row + 1]) {
      compare(`latency ${row}`, latency[word], latencyRead[word]);
      compare(`cost ${row}`, cost[word], costRead[word]);
    }
    compare(`prompt ${row}`, written.promptTokens[row], read.promptTokens[row]);
    compare(`completion ${row}`, written.completionTokens[row], read.completionTokens[row]);
    compare(`tag ${row}`, written.tags[row], read.tags[row]);
    compare(
      `payload ${row}`,
      payloadOf(written, row)?.toString('hex'),
      payloadOf(read, row)?.toString('hex'),
    );
    const isDeclared = (written.tags[row] & FLAG_DECLARED) !== 0;
    columns.forEach(({ name, type }, column) => {
      const absent = type === 'bool' || type === 'dict' ? 0 : Number.NaN;
      const value = isDeclared ? written.declared[column]![row]! : absent;
      compare(`${name} ${row}`, type === 'i32' ? value + 0 : value, read.declared[column]![row]);
    });
  }
  return found;
}

const someDouble: fc.Arbitrary<DoubleBits> = fc.oneof(
  { weight: 3, arbitrary: fc.double().map(bitsOf) },
  // Any bits at all: NaN of all kinds, subnormal numbers.
  { weight: 2, arbitrary: fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(0xffffffff), fc.constantFrom(0x7ff80000, 0xfff00001, 0x7ff00000)) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(Number.NaN, -0, 0, 5e-324, 1e140, -1e140, 1e140 * (1 + Number.EPSILON), 1e308)
      .map(bitsOf),
  },
  { weight: 1, arbitrary: fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY).map(bitsOf) },
);

const someTime = fc.oneof(
  fc.double({ min: -8.64e18, max: 8.64e18, noNaN: true }),
  fc.double({ min: 1.6e15, max: 1.9e15, noNaN: true }),
  fc.double({ min: -10, max: 10, noNaN: true }),
  fc.constantFrom(8.64e18, -8.64e18, 0, -0, -1, -0.5, 2 ** 32, 2 ** 32 - 1, -(2 ** 32), 2 ** 53),
);

const someTokens = fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.integer());

export interface IdLimits {
  readonly bindings: number;
  readonly strings: number;
}

export function someRow({ bindings, strings }: IdLimits): fc.Arbitrary<TestRow> {
  const whole = (min: number, max: number) => fc.option(fc.integer({ min, max }), { nil: Number.NaN });
  const success = fc.constantFrom(0, FLAG_SUCCEEDED, FLAG_FAILED);
  return fc.record({
    timeUs: someTime,
    latency: someDouble,
    cost: someDouble,
    prompt: someTokens,
    completion: someTokens,
    binding: fc.nat(bindings - 1),
    flags: fc
      .tuple(fc.nat(0xffff), success)
      .map(
        ([others, decided]) =>
          ((others << 16) & ~(FLAG_BLOB | FLAG_DECLARED | FLAG_SUCCEEDED | FLAG_FAILED)) | decided,
      )
      .map((flags) => flags >>> 16),
    payload: fc.option(fc.uint8Array({ maxLength: 40 }).map(payloadWith)),
    declared: fc.option(
      fc.tuple(
        fc.double({ noDefaultInfinity: true }),
        whole(-(2 ** 31), 2 ** 31 - 1),
        whole(0, 2 ** 32 - 1),
        fc.nat(2),
        fc.nat(strings - 1),
        fc.nat(strings - 1),
      ),
    ),
  });
}

export function bindingOf(id: number): Binding {
  if (id === 0) return { event: '(overflow)', model: null, provider: null, bound: {} };
  return {
    event: `event ${id % 5}`,
    model: id % 3 === 0 ? null : `modèl ${id % 7}`,
    provider: id % 4 === 0 ? `provider ${id % 2}` : null,
    bound: id % 6 === 0 ? { note: `n${id}`, deep: [id, null] } : {},
  };
}

export const textOf = (id: number): string => (id === 0 ? '(overflow)' : `text “${id}”${'x'.repeat(id % 9)}`);

export interface TestSegment {
  readonly bytes: Buffer;
  readonly entries: readonly BatchEntry[];
  readonly batches: readonly Batch[];
  /** Ids known before each batch was written. */
  readonly limits: readonly IdLimits[];
}

/** A segment of batches, each of which knows some more bindings and texts than the one before. */
export function segmentOf(batches: readonly Batch[], limits: readonly IdLimits[]): TestSegment {
  const encoder = new SegmentEncoder(identityOf());
  const parts: Buffer[] = [];
  const entries: BatchEntry[] = [];
  encoder.begin();
  batches.forEach((batch, index) => {
    encoder.bindings(limits[index]!.bindings, bindingOf);
    encoder.strings(limits[index]!.strings, textOf);
    const chunk = Math.floor(batch.firstSequence / 1024);
    entries.push(
      encoder.batch(batch, chunk, batch.firstSequence % 1024, { ...NO_LOSSES, overwritten: index }),
    );
    if (index % 2 === 1) parts.push(Buffer.from(encoder.take()));
  });
  encoder.end();
  parts.push(Buffer.from(encoder.take()));
  return { bytes: Buffer.concat(parts), entries, batches, limits };
}

/** A segment of rows that look like traffic, the same ones for the same seed. */
export function trafficSegment(batchCount: number, rowCount: number, seed = 1): TestSegment {
  const limits = Array.from({ length: batchCount }, (_, index) => ({
    bindings: 3 + 2 * index,
    strings: 2 + index,
  }));
  const batches = limits.map((limit, index) => {
    const rows = fc.sample(fc.array(someRow(limit), { minLength: rowCount, maxLength: rowCount }), {
      seed: seed + index,
      numRuns: 1,
    })[0]!;
    return batchOf(rows, { firstSequence: index * 1024 + 5, producer: index % 3 });
  });
  return segmentOf(batches, limits);
}

/** Where messages begin, and the end of the last one, told from their lengths alone. */
export function messageBounds(bytes: Buffer): number[] {
  const bounds = [0];
  for (let at = 0; at < bytes.length; ) {
    const metadataBytes = bytes.readInt32LE(at + 4);
    // Of a whole segment the body's length is what leads to the next marker.
    let end = at + 8 + metadataBytes;
    while (metadataBytes !== 0 && end < bytes.length && !isMessageStart(bytes, end)) end += 8;
    at = end;
    bounds.push(at);
  }
  return bounds;
}

const SEAL_START = Buffer.from('v=1 crc=');

function isMessageStart(bytes: Buffer, at: number): boolean {
  if (bytes.readInt32LE(at) !== -1) return false;
  const metadataBytes = bytes.readInt32LE(at + 4);
  if (metadataBytes === 0) return at + 8 === bytes.length;
  const seal = at + 8 + metadataBytes - 256;
  return seal > at && seal + 8 <= bytes.length && bytes.subarray(seal, seal + 8).equals(SEAL_START);
}

/** The operations of reading, on one file in memory that every path leads to. */
export function fileOf(bytes: Uint8Array): FileSystem {
  const refuse = () => {
    throw new Error('only reading is possible here');
  };
  return {
    open: () => 1,
    close: () => {},
    stat: () => ({
      isFile: true,
      bytes: bytes.length,
      links: 1,
      id: '1',
      modifiedMs: 0,
      permissions: 0o600,
    }),
    read: (_fd, target, position) => {
      const part = bytes.subarray(position, position + target.length);
      target.set(part);
      return part.length;
    },
    readFile: () => bytes,
    list: () => [],
    write: refuse,
    truncate: refuse,
    sync: refuse,
    syncFolder: refuse,
    rename: refuse,
    link: refuse,
    unlink: refuse,
    makeFolder: refuse,
  };
}

/** What another reader should show of a row: the logical values. */
export function logicalRow(batch: Batch, index: number): Record<string, unknown> {
  const tag = batch.tags[index];
  const { event, model, provider, bound } = bindingOf(tag & TAG_BINDING_MASK);
  const number = (value: number) => (Math.abs(value) <= 1e140 ? value : null);
  const isDeclared = (tag & FLAG_DECLARED) !== 0;
  const declared = ALL_COLUMNS.map(({ name, type }, column) => {
    const value = batch.declared[column]![index]!;
    const isAbsent = type === 'bool' || type === 'dict' ? value === 0 : Number.isNaN(value);
    if (!isDeclared || isAbsent) return [`metadata_${name}`, null];
    if (type === 'bool') return [`metadata_${name}`, value === 2];
    return [`metadata_${name}`, type === 'dict' ? textOf(value) : value];
  });
  const payload = payloadOf(batch, index);
  return {
    event,
    model,
    provider,
    latency_ms: number(batch.latencyMs[index]),
    cost_usd: number(batch.costUsd[index]),
    prompt_tokens: batch.promptTokens[index] === -1 ? null : batch.promptTokens[index],
    completion_tokens: batch.completionTokens[index] === -1 ? null : batch.completionTokens[index],
    success: (tag & FLAG_SUCCEEDED) !== 0 ? true : (tag & FLAG_FAILED) !== 0 ? false : null,
    binding: JSON.stringify([event, model, provider, bound]),
    flags: tag >>> 16,
    payload: payload === null ? null : payload.toString('hex'),
    ...Object.fromEntries(declared),
  };
}

/** FLAG_WRITTEN as TestRow has flags: what every row of a ring carries. */
export const WRITTEN = FLAG_WRITTEN >>> 16;
