/** Arrow files and streams, read by two libraries that did not write them. */

import * as flechette from '@uwdata/flechette';
import * as apache from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrowFormat, openArrow } from '../../src/export/arrow.js';
import type { EncodeOptions, ExportBlock } from '../../src/export/encoder.js';
import { ColumnPlan } from '../../src/export/plan.js';
import type { EventRow, Json } from '../../src/schema/event.js';
import { shapedBlocks } from '../support/arbitrary-blocks.js';
import { eventsOfBlock } from '../support/blocks.js';
import { refTo, viewOf } from '../support/rows.js';
import {
  anyEvent,
  captured,
  encodeEvents,
  encodeViews,
  eventsOfView,
  expectedCell,
  expectedColumns,
  mixedRows,
} from './columns-support.js';
import { encoded, event } from './support.js';

const SEED = Date.now();

/** Columns as a reader sees them: texts, numbers, booleans and null. */
type Columns = Map<string, Json[]>;

function readApache(bytes: Uint8Array): Columns {
  const table = apache.tableFromIPC(bytes);
  return new Map(
    table.schema.fields.map((field, index) => {
      const vector = table.getChildAt(index)!;
      if (!apache.DataType.isTimestamp(field.type)) {
        return [field.name, Array.from({ length: vector.length }, (_, row) => plain(vector.get(row)))];
      }
      return [field.name, vector.data.flatMap((data) => Array.from(data.values as BigInt64Array, plain))];
    }),
  );
}

function readFlechette(bytes: Uint8Array): Columns {
  const table = flechette.tableFromIPC(bytes, { useBigInt: true });
  return new Map(
    table.schema.fields.map((field, index) => {
      const column = table.getChildAt(index);
      // Its times are milliseconds, and too coarse for early and late ones.
      const cells =
        field.type.typeId === flechette.Type.Timestamp
          ? column.data.flatMap((batch) => Array.from(batch.values as BigInt64Array, plain))
          : Array.from({ length: column.length }, (_, row) => plain(column.at(row)));
      return [field.name, cells];
    }),
  );
}

const plain = (value: unknown): Json =>
  typeof value === 'bigint' ? Number(value) : ((value ?? null) as Json);

const READERS = { 'apache-arrow': readApache, flechette: readFlechette };

/** @throws what `expect` throws when a reader does not see what the events say */
function check(bytes: Uint8Array, events: readonly EventRow[], flatten = true): void {
  const expected = expectedColumns(events, flatten);
  for (const [reader, read] of Object.entries(READERS)) {
    const columns = read(bytes);
    expect([...columns.keys()], reader).toEqual([...expected.keys()]);
    for (const [name, { kind, values }] of expected) {
      const cells = columns.get(name)!;
      const actual = kind === 'json' ? cells.map((cell) => cell && JSON.parse(cell as string)) : cells;
      const cellsExpected = values.map((value) => expectedCell(kind, value));
      expect(actual, `${reader}: ${name}`).toEqual(cellsExpected);
    }
  }
}

const LAYOUTS: EncodeOptions[] = [{}, { layout: 'stream' }, { flatten: false }];

describe('arrow', () => {
  it.each(LAYOUTS)('tells what events say, whatever they are: %j', async (options) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { minLength: 1, maxLength: 12 }), async (events) => {
        check(await encodeEvents(arrowFormat, events, options, [], 5), events, options.flatten !== false);
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  it.each(LAYOUTS)('tells the same of captured rows and of their events: %j', async (options) => {
    const view = mixedRows(3000);
    const events = await eventsOfView(view);
    expect(events).toHaveLength(3000);
    const bytes = await encodeViews(arrowFormat, [view], options);
    check(bytes, events, options.flatten !== false);
    const fromEvents = await encodeEvents(arrowFormat, events, options, [], 1024, view.source.columns);
    expect(fromEvents.equals(bytes)).toBe(true);
  });

  it('has one file of several experiments', async () => {
    const views = [
      mixedRows(500),
      captured({ id: 'e2', name: 'other' }, (writer) => {
        for (let i = 0; i < 10; i++) writer.recorder('other', { model: `m${i}` }).recordAt(i, i);
      }),
    ];
    const events = (await Promise.all(views.map(eventsOfView))).flat();
    check(await encodeViews(arrowFormat, views), events);
  });

  it('has several record batches, whole dictionaries before the first, and none of them twice', async () => {
    const view = captured({ capacity: 70_000 }, (writer) => {
      const recorders = [1, 2, 3].map((n) => writer.recorder('e', { model: `model ${n}` }));
      for (let i = 0; i < 70_000; i++) recorders[i % 3].recordAt(1.7e15 + i, i / 7, i, i, i % 5, i % 2 === 0);
    });
    const bytes = await encodeViews(arrowFormat, [view]);
    const messages: string[] = [];
    const reader = apache.RecordBatchReader.from(bytes);
    let rows = 0;
    for (const batch of reader) {
      messages.push('batch');
      rows += batch.numRows;
    }
    expect(rows).toBe(70_000);
    expect(messages.length).toBeGreaterThan(1);
    check(bytes, await eventsOfView(view));
  });

  it('tells units, experiments, losses and the library version', async () => {
    const about = [
      {
        id: 'e1',
        name: 'typed',
        condition: 'ü',
        counts: { captured: 9, retained: 5, dropped: 4, malformed: 2 },
      },
    ];
    const { schema } = apache.tableFromIPC(await encodeViews(arrowFormat, [mixedRows(50)], {}, about));
    expect(schema.metadata.get('crucible.version')).toMatch(/^\d+\.\d+/);
    expect(JSON.parse(schema.metadata.get('crucible.experiments')!)).toEqual(about);
    expect(schema.metadata.get('crucible.dropped')).toBe('4');
    expect(schema.metadata.get('crucible.malformed')).toBe('2');
    const units = new Map(schema.fields.map((field) => [field.name, field.metadata.get('unit')]));
    expect(units.get('latency_ms')).toBe('ms');
    expect(units.get('cost_usd')).toBe('USD');
    expect(units.get('timestamp')).toBe('us');
    expect(units.get('tokens_total')).toBe('tokens');
    expect(units.get('model')).toBeUndefined();
  });

  it.each([true, false])(
    'has of rows of one shape the same bytes as of their events, flatten: %s',
    async (flatten) => {
      const bytesOf = (plan: ColumnPlan, block: ExportBlock) =>
        encoded(openArrow(plan, [], { flatten }), [block]);
      await fc.assert(
        fc.asyncProperty(shapedBlocks, async ({ source, block }) => {
          const [byRows, byEvents] = [new ColumnPlan(), new ColumnPlan()];
          const events = eventsOfBlock(source, block);
          byRows.addRows(source, block);
          for (const event of events) byEvents.add(event);
          const ours = await bytesOf(byRows, { source, block });
          expect(ours.equals(await bytesOf(byEvents, { events }))).toBe(true);
        }),
        { numRuns: 300 },
      );
    },
  );

  it('keeps the types that columns were declared with, unless a value does not fit', async () => {
    const typesOf = async (values: Record<string, Json>) => {
      const columns = { score: 'f64', rank: 'i32', size: 'u32', good: 'bool', kind: 'dict' } as const;
      const view = captured({ columns }, (writer) => {
        writer.capture('e', {}, { score: 1, rank: 2, size: 3, good: true, kind: 'a' });
        writer.capture('e', {}, values);
      });
      const bytes = await encodeViews(arrowFormat, [view]);
      check(bytes, await eventsOfView(view));
      const { fields } = apache.tableFromIPC(bytes).schema;
      return fields
        .filter(({ name }) => name.startsWith('metadata_'))
        .map(({ name, type }) => `${name.slice(9)} ${type}`);
    };
    expect(await typesOf({})).toEqual([
      'good Bool',
      'kind Dictionary<Int8, Utf8>',
      'rank Int32',
      'score Float64',
      'size Uint32',
    ]);
    const misfits = { score: 'x', rank: 2 ** 31, size: -1, good: 0, kind: 5 };
    expect(await typesOf(misfits)).toEqual([
      'good Utf8',
      'kind Utf8',
      'rank Int64',
      'score Utf8',
      'size Int64',
    ]);
  });

  it('has the times of all calendars, and ids of any length', async () => {
    const times = [-8.64e18, -(2 ** 51), -1, 0, 2 ** 51 - 1, 2 ** 51, 8.64e18];
    const refs = [
      refTo({ firstSequence: 2 ** 40 - 3, timesUs: times, producer: 255 }),
      refTo({ firstSequence: 2 ** 41, timesUs: [1.7e15, 1.8e15], producer: 256 }),
    ];
    const view = viewOf(refs);
    check(await encodeViews(arrowFormat, [view]), await eventsOfView(view));
  });

  it('says in its footer where each of its batches stands', async () => {
    const view = mixedRows(40_000);
    const bytes = await encodeViews(arrowFormat, [view]);
    expect(apache.tableFromIPC(bytes).batches.length).toBe(3);
    check(bytes, await eventsOfView(view));
  });

  it('writes texts out that are too many for a dictionary, and batches before they hold too many bytes', async () => {
    const events = Array.from({ length: 20_000 }, (_, i) =>
      event({
        eventId: `e${i}`,
        sequence: i,
        metadata: {
          word: `w${i}`,
          few: `f${i % 200}`,
          prompt: i % 100 === 0 ? `${i} ${'x'.repeat(200_000)}` : null,
        },
      }),
    );
    const bytes = await encodeEvents(arrowFormat, events);
    const { schema, batches } = apache.tableFromIPC(bytes);
    const typeOf = (name: string) => String(schema.fields.find((field) => field.name === name)!.type);
    expect(typeOf('metadata_word')).toBe('Utf8');
    expect(typeOf('metadata_prompt')).toBe('Utf8');
    expect(typeOf('metadata_few')).toBe('Dictionary<Int16, Utf8>');
    // Two would hold as many rows.
    expect(batches.length).toBeGreaterThan(2);
    check(bytes, events);
  });

  it('throws for a value that the plan has not seen', async () => {
    const plan = new ColumnPlan();
    plan.add(event({ metadata: { a: 1 } }));
    const unseen: Record<string, Json>[] = [{ b: 1 }, { a: 'x' }, { a: { b: 1 } }];
    for (const metadata of unseen) {
      const file = encoded(openArrow(plan, [], {}), [{ events: [event({ metadata })] }]);
      await expect(file).rejects.toThrow(RangeError);
    }
    const named = encoded(openArrow(plan, [], {}), [{ events: [event({ eventName: 'unseen' })] }]);
    await expect(named).rejects.toThrow(RangeError);
  });

  it('knows two layouts, and no compression', () => {
    expect(() => openArrow(new ColumnPlan(), [], { layout: 'rows' })).toThrow(/layout/);
    expect(() => openArrow(new ColumnPlan(), [], { compression: 'gzip' })).toThrow(/compression/);
  });

  it('is found out when one bit of a value is another', async () => {
    const view = mixedRows(300);
    const events = await eventsOfView(view);
    const bytes = await encodeViews(arrowFormat, [view]);
    const { latencyMs } = events.find((each) => each.latencyMs !== null)!;
    const value = Buffer.alloc(8);
    value.writeDoubleLE(latencyMs!);
    bytes[bytes.indexOf(value)]! ^= 1;
    expect(() => check(bytes, events)).toThrow(/latency_ms/);
  });
});
