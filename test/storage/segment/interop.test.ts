/** Segments as other readers of Arrow see them: apache-arrow and Flechette, whole and cut after any message. */

import { tableFromIPC as flechetteTable } from '@uwdata/flechette';
import { tableFromIPC as arrowTable, type Table } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { HEADER_DICTIONARY, readDictionaryContent, readMessage } from '../../../src/formats/arrow/message.js';
import type { Batch } from '../../../src/ring/batch.js';
import { SegmentEncoder } from '../../../src/storage/segment/encoder.js';
import { NO_LOSSES } from '../../../src/storage/segment/format.js';
import {
  bindingOf,
  identityOf,
  logicalRow,
  messageBounds,
  type TestSegment,
  trafficSegment,
} from './support.js';

type Row = Record<string, unknown>;

const plain = (value: unknown) =>
  value instanceof Uint8Array ? Buffer.from(value).toString('hex') : (value ?? null);

/** Rows by column name, times as the int64 that they are. */
const READERS: Record<string, (bytes: Uint8Array) => Row[]> = {
  'apache-arrow': (bytes) => {
    const table: Table = arrowTable(bytes);
    const times = table.batches.flatMap((batch) => [
      ...(batch.data.children[0]!.values as BigInt64Array).subarray(0, batch.numRows),
    ]);
    return times.map((timestamp, index) => {
      const row: Row = { timestamp };
      for (const { name } of table.schema.fields) {
        if (name !== 'timestamp') row[name] = plain(table.getChild(name)!.get(index));
      }
      return row;
    });
  },
  flechette: (bytes) => {
    const table = flechetteTable(bytes);
    const column = (name: string) => table.getChild(name)!;
    const times = column('timestamp').data.flatMap((batch) => [
      ...(batch.values as BigInt64Array).subarray(0, batch.length),
    ]);
    return times.map((timestamp, index) => {
      const row: Row = { timestamp };
      for (const { name } of table.schema.fields) {
        if (name !== 'timestamp') row[name] = plain(column(name).at(index));
      }
      return row;
    });
  },
};

function expectedRows(batches: readonly Batch[]): Row[] {
  return batches.flatMap((batch) =>
    Array.from({ length: batch.rows }, (_, index) => ({
      timestamp: BigInt(Math.floor(batch.timeUs[index])),
      ...logicalRow(batch, index),
    })),
  );
}

function oneRow(binding: number): Batch {
  return {
    firstSequence: binding * 1024,
    producer: 0,
    rows: 1,
    timeUs: Float64Array.of(binding),
    latencyMs: Float64Array.of(1),
    costUsd: Float64Array.of(Number.NaN),
    promptTokens: Int32Array.of(-1),
    completionTokens: Int32Array.of(-1),
    tags: Uint32Array.of(binding),
    blobOffsets: Uint32Array.of(0),
    blob: Buffer.alloc(0),
    declared: [],
  };
}

/** How many dictionary messages bring all values, and how many only new ones. */
function deltasIn(bytes: Buffer): { whole: number; deltas: number } {
  const counts = { whole: 0, deltas: 0 };
  for (const at of messageBounds(bytes).slice(0, -1)) {
    const metadataBytes = bytes.readInt32LE(at + 4);
    if (metadataBytes === 0) continue;
    const { headerType, header } = readMessage(bytes.subarray(at + 8, at + 8 + metadataBytes));
    if (headerType !== HEADER_DICTIONARY) continue;
    if (readDictionaryContent(header, bytes.length).isDelta) counts.deltas++;
    else counts.whole++;
  }
  return counts;
}

describe.each(Object.keys(READERS))('%s', (name) => {
  const rowsOf = READERS[name]!;

  it('reads all values, and nulls where there are none', () => {
    for (const seed of [1, 100, 200]) {
      const { bytes, batches } = trafficSegment(6, 90, seed);
      expect(rowsOf(bytes)).toEqual(expectedRows(batches));
    }
  });

  it('reads what there is of a segment that has no end yet, after every message', () => {
    const segment: TestSegment = trafficSegment(5, 11);
    for (const bound of messageBounds(segment.bytes).slice(1)) {
      const whole = segment.entries.filter(({ offset, bytes }) => offset + bytes <= bound);
      const rows = rowsOf(segment.bytes.subarray(0, bound));
      expect(rows).toEqual(expectedRows(segment.batches.slice(0, whole.length)));
    }
  });

  it('reads dictionaries that grow: brought whole while they are small, by deltas when they are large', () => {
    const encoder = new SegmentEncoder(identityOf([]));
    encoder.begin();
    const parts: Uint8Array[] = [];
    const expected: unknown[] = [];
    // An event name of its own for each binding, of 1 KiB: the first few messages are whole, the later ones are not.
    const eventOf = (id: number) => (id === 0 ? '(overflow)' : `${id} ${'e'.repeat(1024)}`);
    const binding = (id: number) => ({ event: eventOf(id), model: null, provider: null, bound: {} });
    for (let id = 1; id <= 40; id++) {
      encoder.bindings(id + 1, binding);
      encoder.batch(oneRow(id), id, 0, NO_LOSSES);
      parts.push(Buffer.from(encoder.take()));
      expected.push(eventOf(id));
    }
    encoder.end();
    const bytes = Buffer.concat([...parts, Buffer.from(encoder.take())]);
    expect(deltasIn(bytes)).toEqual({ whole: 15 + 15 + 2, deltas: 25 + 25 });
    expect(rowsOf(bytes).map(({ event }) => event)).toEqual(expected);
  });

  it('reads a segment without a row, with dictionaries or without', () => {
    const encoder = new SegmentEncoder(identityOf());
    encoder.begin();
    expect(rowsOf(Buffer.from(encoder.take()))).toEqual([]);
    const other = new SegmentEncoder(identityOf());
    other.begin();
    other.bindings(1, bindingOf);
    other.end();
    expect(rowsOf(Buffer.from(other.take()))).toEqual([]);
  });
});

it('gives columns the types that are promised', () => {
  const { schema } = arrowTable(trafficSegment(1, 3).bytes);
  const text = 'Dictionary<Int32, Utf8>';
  expect(schema.fields.map((field) => [field.name, `${field.type}`, field.nullable])).toEqual([
    ['timestamp', 'Timestamp<MICROSECOND, UTC>', false],
    ['event', text, false],
    ['model', text, true],
    ['provider', text, true],
    ['latency_ms', 'Float64', true],
    ['cost_usd', 'Float64', true],
    ['prompt_tokens', 'Int32', true],
    ['completion_tokens', 'Int32', true],
    ['success', 'Bool', true],
    ['binding', text, false],
    ['flags', 'Uint16', false],
    ['payload', 'Binary', true],
    ['metadata_temperature', 'Float64', true],
    ['metadata_offset', 'Int32', true],
    ['metadata_size', 'Uint32', true],
    ['metadata_cached', 'Bool', true],
    ['metadata_label', text, true],
    ['metadata_region', text, true],
  ]);
  expect(JSON.parse(schema.metadata.get('crucible.segment')!)).toEqual(identityOf());
  const metadataOf = (name: string) => schema.fields.find((field) => field.name === name)!.metadata;
  expect(metadataOf('latency_ms').get('unit')).toBe('ms');
  expect(metadataOf('metadata_size').get('type')).toBe('u32');
});

it('is not read by others when a value has changed: the comparison would tell', () => {
  const { bytes, batches, entries } = trafficSegment(1, 30);
  const changed = Buffer.from(bytes);
  // The first bytes of the body are those of the first time.
  changed[entries[0]!.offset + 8 + changed.readInt32LE(entries[0]!.offset + 4)]! ^= 1;
  for (const rowsOf of Object.values(READERS)) expect(rowsOf(changed)).not.toEqual(expectedRows(batches));
});
