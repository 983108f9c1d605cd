import { decodeMulti } from '@msgpack/msgpack';
import fc from 'fast-check';
import { Unpackr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { jsonRecord } from '../../src/export/jsonl.js';
import { openMsgpackColumns } from '../../src/export/msgpack/columns.js';
import { msgpackFormat } from '../../src/export/msgpack/format.js';
import { openMsgpackRows } from '../../src/export/msgpack/rows.js';
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
    Object.entries(value).map(([key, inner]) => [
      Buffer.from(key)
        .toString()
        // A key that these readers refuse, or change, has one more underscore; as has what looks like it then.
        .replace(/^__proto___*$/, '$&_'),
      sanitised(inner),
    ]),
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
        expect(read(await encodeRows(openMsgpackRows(), view))).toEqual(events.map(document));
      }),
      { numRuns: 200 },
    );
  });

  it('are the same bytes from columns and from events', async () => {
    await fc.assert(
      fc.asyncProperty(script, async (steps) => {
        const view = viewOfSteps(steps);
        const events = await eventsOfView(view);
        const fromRows = await encodeRows(openMsgpackRows(), view);
        const fromEvents = await encodeEvents(openMsgpackRows(), events);
        expect(fromRows.equals(fromEvents)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it.each(READERS)(
    'can be read whatever the keys are: `__proto__` at any depth, by %s',
    async (_name, read) => {
      const inner = JSON.parse(
        '{"__proto__":{"__proto__":1},"__proto___":2,"__proto____":3,"__proto":4,"___":5}',
      );
      const metadata = { ...inner, list: [inner], text: '__proto__' };
      const written = {
        ...{ __proto___: { __proto___: 1 }, __proto____: 2, __proto_____: 3, __proto: 4, ___: 5 },
      };
      const expected = {
        metadata: { ...written, list: [written], text: '__proto__' },
        measurements: written,
      };
      for (const event of ['e', 'crucible_train.epoch.stop']) {
        const view = viewOfSteps([
          { kind: 'capture', timeUs: 1e15, event, measurements: inner, metadata },
          // One that is copied as it was stored, between two that are not.
          { kind: 'capture', timeUs: 1e15 + 1, event, measurements: {}, metadata: { _a: { _proto__: 1 } } },
          { kind: 'capture', timeUs: 1e15 + 2, event, measurements: inner, metadata },
        ]);
        const rows = read(await encodeRows(openMsgpackRows(), view));
        expect(rows).toMatchObject([expected, { metadata: { _a: { _proto__: 1 } } }, expected]);
        expect(Object.keys((rows[0] as { metadata: object }).metadata)).toEqual(
          Object.keys(expected.metadata),
        );
        const events = await encodeEvents(openMsgpackRows(), await eventsOfView(view));
        expect(read(events)).toEqual(rows);
      }
      // What these readers do with the key itself.
      const plain = Buffer.concat([Buffer.from([0x81, 0xa9]), Buffer.from('__proto__'), Buffer.from([1])]);
      let made: unknown = null;
      try {
        [made] = read(plain);
      } catch {}
      expect(Object.keys(made ?? {})).not.toContain('__proto__');
    },
  );

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
    const [map] = [...decodeMulti(await encodeRows(openMsgpackRows(), view))] as [object];
    expect(Object.keys(map)).toEqual(Object.keys(jsonRecord(event!)));
  });

  it('are told from the columnar snapshot by an option', async () => {
    const schemaOf = async (layout?: 'rows' | 'columns') =>
      (await msgpackFormat.open(null, [], layout ? { layout } : {})).schema;
    expect(await schemaOf()).toEqual(openMsgpackRows().schema);
    expect(await schemaOf('rows')).toEqual(openMsgpackRows().schema);
    expect(await schemaOf('columns')).toEqual(openMsgpackColumns([]).schema);
  });

  it('are seen to differ when a bit has changed', async () => {
    const view = viewOfSteps([
      { kind: 'record', timeUs: 1e15, event: 'e', bound: { model: 'm' }, values: [1, 2, 3, 4, true] },
    ]);
    const events = await eventsOfView(view);
    const bytes = await encodeRows(openMsgpackRows(), view);
    bytes[bytes.indexOf('timestamp') + 'timestamp'.length + 8] ^= 1;
    for (const [, read] of READERS) expect(read(bytes)).not.toEqual(events.map(document));
  });
});
