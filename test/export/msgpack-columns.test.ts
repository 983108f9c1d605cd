/** The columnar snapshot, read as docs/formats.md says, with a MessagePack library and nothing else. */

import { decodeMulti } from '@msgpack/msgpack';
import fc from 'fast-check';
import { Unpackr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { openMsgpackColumns } from '../../src/export/msgpack/columns.js';
import { jsonText } from '../../src/formats/text.js';
import type { EventRow, Json } from '../../src/schema/event.js';
import { type Step, script } from '../roundtrip/support.js';
import { encodeEvents, encodeRows, eventsOfView, viewOfSteps } from './msgpack-support.js';
import { event } from './support.js';

interface Column {
  readonly values: Uint8Array | unknown[];
  readonly codes?: Uint8Array;
  readonly nulls?: Uint8Array;
}
interface Batch {
  readonly rows: number;
  readonly columns: Readonly<Record<string, Column>>;
}
interface Header {
  readonly format: string;
  readonly version: number;
  readonly columns: readonly { name: string; type: string; unit?: string }[];
}

const READERS: readonly (readonly [string, (bytes: Buffer) => unknown[]])[] = [
  ['@msgpack/msgpack', (bytes) => [...decodeMulti(bytes)]],
  ['msgpackr', (bytes) => new Unpackr({ useRecords: false }).unpackMultiple(bytes) as unknown[]],
];

function valuesOf(batch: Batch, name: string, type: string): unknown[] {
  const column = batch.columns[name];
  const rows = Array.from({ length: batch.rows }, (_, row) => row);
  if (column === undefined) return rows.map(() => null);
  if (column.codes !== undefined) {
    const bytes = Buffer.from(column.codes);
    const width = bytes.length / batch.rows;
    const codes = rows.map((row) => bytes.readUIntLE(row * width, width));
    const values = column.values as unknown[];
    const told = type === 'json' ? values.map((text) => JSON.parse(text as string)) : values;
    return codes.map((code) => (code === 0 ? null : told[code - 1]));
  }
  const bytes = Buffer.from(column.values as Uint8Array);
  return rows.map((row) => {
    if (column.nulls !== undefined && ((column.nulls[row >> 3]! >> (row & 7)) & 1) === 1) return null;
    return type === 'i64' ? Number(bytes.readBigInt64LE(8 * row)) : bytes.readDoubleLE(8 * row);
  });
}

function read(items: readonly unknown[]): Record<string, unknown>[] {
  const [header, ...batches] = items as [Header, ...Batch[]];
  expect(header).toMatchObject({ format: 'crucible-columns', version: 1 });
  return batches.flatMap((batch) => {
    const columns = header.columns.map(({ name, type }) => [name, valuesOf(batch, name, type)] as const);
    return Array.from({ length: batch.rows }, (_, row) =>
      Object.fromEntries(columns.map(([name, values]) => [name, values[row]])),
    );
  });
}

/** What the document promises of an event. */
function promised(row: EventRow): Record<string, unknown> {
  const json = (value: Json) => JSON.parse(jsonText(value)) as Json;
  const object = (value: Record<string, Json>) => (Object.keys(value).length === 0 ? null : json(value));
  const place = /-(..)-(.{10})$/.exec(row.eventId);
  return {
    timestamp: row.timestamp,
    experiment_id: row.experimentId,
    event_name: row.eventName,
    producer: Number.parseInt(place![1]!, 16),
    sequence: Number.parseInt(place![2]!, 16),
    event_id: null,
    model: row.model === null ? null : json(row.model),
    latency_ms: row.latencyMs,
    cost_usd: row.costUsd,
    cost_source: row.costSource,
    success: row.success,
    malformed: row.malformed,
    malformed_keys: row.malformedKeys.length === 0 ? null : json([...row.malformedKeys]),
    tokens_total: row.tokens?.total ?? null,
    user_id: json(row.userId),
    tags: json([...row.tags]),
    metadata: object(row.metadata),
    measurements: object(row.measurements),
    fields: object(row.fields),
  };
}

describe('the columnar snapshot', () => {
  it.each(READERS)('can be read whatever is told of an experiment, by %s', async (_name, read) => {
    const metadata = JSON.parse('{"__proto__":{"__proto___":1},"a":2}');
    const about = [{ id: 'i', name: 'n', condition: 'c', metadata }];
    const [header] = read(await encodeEvents(openMsgpackColumns(about), [])) as [{ experiments: unknown }];
    expect(header.experiments).toEqual([{ ...about[0], metadata: { __proto___: { __proto____: 1 }, a: 2 } }]);
  });

  it.each(READERS)('says what its document promises, read by %s', async (_name, decode) => {
    await fc.assert(
      fc.asyncProperty(script, async (steps) => {
        const view = viewOfSteps(steps);
        const events = await eventsOfView(view);
        const rows = read(decode(await encodeRows(openMsgpackColumns([]), view)));
        expect(rows).toEqual(events.map((each) => expect.objectContaining(promised(each))));
      }),
      { numRuns: 60 },
    );
  });

  it('has the same bytes from columns and from events', async () => {
    await fc.assert(
      fc.asyncProperty(script, async (steps) => {
        const view = viewOfSteps(steps);
        const fromEvents = await encodeEvents(openMsgpackColumns([]), await eventsOfView(view));
        expect((await encodeRows(openMsgpackColumns([]), view)).equals(fromEvents)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('has the same bytes from columns and from events across batches', async () => {
    const steps = Array.from({ length: 66_000 }, (_, i): Step => {
      const bound = { model: `m${Math.floor(i / 3000) % 5}`, n: i % 3 };
      return { kind: 'record', timeUs: 1e15 + i, event: 'e', bound, values: [i, 2, i % 7, 4, i % 2 === 0] };
    });
    const view = viewOfSteps(steps, 2 ** 17);
    const fromEvents = await encodeEvents(openMsgpackColumns([]), await eventsOfView(view));
    expect((await encodeRows(openMsgpackColumns([]), view)).equals(fromEvents)).toBe(true);
    expect([...decodeMulti(fromEvents)]).toHaveLength(3);
  });

  it('is cut into batches of 65,536 rows, or less with long texts', async () => {
    const many = Array.from({ length: 70_000 }, (_, i) => event({ eventId: `e-${i}`, metadata: { i } }));
    const bytes = await encodeEvents(openMsgpackColumns([{ id: 'EXP', name: 'n', condition: 'c' }]), many);
    const [header, ...batches] = [...decodeMulti(bytes)] as [Header, ...Batch[]];
    expect(batches.map(({ rows }) => rows)).toEqual([65_536, 70_000 - 65_536]);
    expect(read([header, ...batches]).map(({ event_id: id }) => id)).toEqual(
      many.map(({ eventId }) => eventId),
    );
    const long = Array.from({ length: 30 }, (_, i) => event({ metadata: { text: `${i}`.repeat(1 << 20) } }));
    const cut = [...decodeMulti(await encodeEvents(openMsgpackColumns([]), long))].slice(1) as Batch[];
    expect(cut.length).toBeGreaterThan(2);
    expect(cut.reduce((sum, { rows }) => sum + rows, 0)).toBe(30);
  });

  it('is seen to differ when a bit has changed', async () => {
    const view = viewOfSteps([
      { kind: 'record', timeUs: 1e15, event: 'e', bound: { model: 'm' }, values: [1, 2, 3, 4, true] },
    ]);
    const events = await eventsOfView(view);
    const bytes = await encodeRows(openMsgpackColumns([]), view);
    const at = bytes.lastIndexOf('latency_ms') + 'latency_ms'.length + 1 + 'values'.length + 1 + 2;
    bytes[at + 6] ^= 1;
    const [row] = read([...decodeMulti(bytes)]);
    expect(row).not.toEqual(expect.objectContaining(promised(events[0]!)));
  });
});
