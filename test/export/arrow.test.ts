/** Arrow files and streams, read by two libraries that did not write them. */

import * as flechette from '@uwdata/flechette';
import * as apache from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrowFormat } from '../../src/export/arrow/encoder.js';
import type { EncodeOptions } from '../../src/export/encoder.js';
import type { EventRow, Json } from '../../src/schema/event.js';
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
    expect(messages).toHaveLength(2);
    check(bytes, await eventsOfView(view));
  });
});
