import { decodeMulti } from '@msgpack/msgpack';
import fc from 'fast-check';
import { Unpackr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { jsonRecord } from '../../src/export/jsonl.js';
import { MsgpackColumns } from '../../src/export/msgpack/columns.js';
import { msgpackFormat } from '../../src/export/msgpack/format.js';
import { MsgpackRows } from '../../src/export/msgpack/rows.js';
import type { EventRow, Json } from '../../src/schema/event.js';
import { script } from '../roundtrip/support.js';
import { encodeEvents, encodeRows, eventsOfView, viewOfSteps } from './msgpack-support.js';

/** What a JSON line says of the event, but for zeros with a sign, which JSON.stringify loses. */
function document(event: EventRow): unknown {
  return sanitised(jsonRecord(event));
}

function sanitised(value: Json): Json {
  if (typeof value === 'string') return Buffer.from(value).toString();
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(sanitised);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [Buffer.from(key).toString(), sanitised(inner)]),
  );
}

/** Two readers that know nothing of one another. */
const READERS: readonly (readonly [string, (bytes: Buffer) => unknown[]])[] = [
  ['@msgpack/msgpack', (bytes) => [...decodeMulti(bytes)]],
  [
    'msgpackr',
    (bytes) => new Unpackr({ useRecords: false, int64AsType: 'number' }).unpackMultiple(bytes) as unknown[],
  ],
];

describe('MessagePack rows', () => {
  it.each(READERS)('say what a JSON line says, read by %s', async (_name, read) => {
    await fc.assert(
      fc.asyncProperty(script, async (steps) => {
        const view = viewOfSteps(steps);
        const events = await eventsOfView(view);
        expect(read(await encodeRows(new MsgpackRows(), view))).toEqual(events.map(document));
      }),
      { numRuns: 200 },
    );
  });

  it('are the same bytes from columns and from events', async () => {
    await fc.assert(
      fc.asyncProperty(script, async (steps) => {
        const view = viewOfSteps(steps);
        const events = await eventsOfView(view);
        const fromRows = await encodeRows(new MsgpackRows(), view);
        const fromEvents = await encodeEvents(new MsgpackRows(), events);
        expect(fromRows.equals(fromEvents)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('keep the order of the keys that JSON Lines has', async () => {
    const view = viewOfSteps([
      {
        kind: 'record',
        timeUs: 1e15,
        event: 'crucible_train.epoch.stop',
        bound: {},
        values: [1, 2, 3, 4, null],
      },
    ]);
    const [event] = await eventsOfView(view);
    const [map] = [...decodeMulti(await encodeRows(new MsgpackRows(), view))] as [object];
    expect(Object.keys(map)).toEqual(Object.keys(jsonRecord(event!)));
  });

  it('are told from the columnar snapshot by an option', async () => {
    const open = (layout?: 'rows' | 'columns') => msgpackFormat.open(null, [], layout ? { layout } : {});
    expect(await open()).toBeInstanceOf(MsgpackRows);
    expect(await open('rows')).toBeInstanceOf(MsgpackRows);
    expect(await open('columns')).toBeInstanceOf(MsgpackColumns);
  });

  it('are seen to differ when a bit has changed', async () => {
    const view = viewOfSteps([
      { kind: 'record', timeUs: 1e15, event: 'e', bound: { model: 'm' }, values: [1, 2, 3, 4, true] },
    ]);
    const events = await eventsOfView(view);
    const bytes = await encodeRows(new MsgpackRows(), view);
    bytes[bytes.indexOf('timestamp') + 'timestamp'.length + 8] ^= 1;
    for (const [, read] of READERS) expect(read(bytes)).not.toEqual(events.map(document));
  });
});
