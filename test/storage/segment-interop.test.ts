/** Segments as other readers of Arrow see them: apache-arrow and Flechette, whole and cut after any message. */
import { tableFromIPC as flechetteTable } from '@uwdata/flechette';
import { tableFromIPC as arrowTable, type Table } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/ring/batch.js';
import { SegmentEncoder } from '../../src/storage/segment-encoder.js';
import {
  bindingOf,
  identityOf,
  logicalRow,
  messageBounds,
  type TestSegment,
  trafficSegment,
} from './segment-support.js';

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
