/** Which columns an export has, and what is known of their values before the first row is written. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type TypedColumn, typedColumns } from '../../src/export/columnar/schema.js';
import { ColumnPlan } from '../../src/export/plan.js';
import { TextSet } from '../../src/formats/columns/text-set.js';
import { orderedRows } from '../../src/readers/ordered.js';
import { anyEvent, captured, eventsOfView, expectedColumns, mixedRows } from './columns-support.js';
import { event } from './support.js';

const SEED = Date.now();

function columnsOf(plan: ColumnPlan): object[] {
  return typedColumns(plan, {}).map(({ node, texts, ...column }: TypedColumn) => ({
    ...column,
    isOpen: node !== null,
    texts: texts?.values() ?? null,
  }));
}

describe('the plan', () => {
  it('has the columns of all rows, named as they always are', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 8 }), (events) => {
        const plan = new ColumnPlan();
        for (const each of events) plan.add(each);
        expect(typedColumns(plan, {}).map(({ name }) => name)).toEqual([...expectedColumns(events).keys()]);
      }),
      { seed: SEED },
    );
  });

  it('learns from blocks of rows what it learns from their events', async () => {
    const view = mixedRows(2000);
    const fromRows = new ColumnPlan();
    for await (const block of orderedRows(view)) fromRows.addRows(view.source, block);
    const fromEvents = new ColumnPlan();
    fromEvents.declare(view.source.columns);
    for (const each of await eventsOfView(view)) fromEvents.add(each);
    expect(columnsOf(fromRows)).toEqual(columnsOf(fromEvents));
  });

  it('decodes one row of each binding of recorders', async () => {
    const view = captured({}, (writer) => {
      const recorders = [1, 2, 3].map((n) => writer.recorder('e', { model: `m${n}`, n }));
      for (let i = 0; i < 3000; i++) recorders[i % 3]!.recordAt(i, i);
    });
    let decoded = 0;
    const plan = new ColumnPlan();
    for await (const block of orderedRows(view)) {
      const { table, ...rest } = block;
      const counting = Object.assign(Object.create(table), {
        event: (...[source, row]: Parameters<typeof table.event>) => {
          decoded++;
          return table.event(source, row);
        },
      });
      plan.addRows(view.source, { ...rest, table: counting });
    }
    expect(decoded).toBe(3);
    expect(plan.texts.get('model')!.values()).toEqual(['m1', 'm2', 'm3']);
  });

  it.each<[string, unknown[], string, boolean]>([
    ['whole numbers', [1, -(2 ** 53) + 1, null], 'int64', false],
    ['whole numbers beyond 2^53', [1, 2 ** 53], 'float64', false],
    ['-0, which an integer cannot be', [0, -0], 'float64', false],
    ['numbers', [1, 0.5, Number.NaN], 'float64', false],
    ['truth', [true, null, false], 'bool', false],
    ['texts', ['a', null], 'text', false],
    ['nothing', [null, Number.POSITIVE_INFINITY], 'text', false],
    ['texts and numbers', ['a', 1], 'text', true],
    ['lists', [[1, 2]], 'text', true],
    ['empty objects', [{}], 'text', true],
  ])('types %s', (_, values, type, json) => {
    const plan = new ColumnPlan();
    for (const value of values) plan.add(event({ metadata: { v: value as never } }));
    const column = typedColumns(plan, {}).find(({ name }) => name === 'metadata_v');
    expect(column).toMatchObject({ type, json, nullable: true });
  });

  it('has a total of tokens that is no whole number as what it is', () => {
    const plan = new ColumnPlan();
    plan.add(event({ tokens: { prompt: 1, completion: 2, total: 3.5 } }));
    const types = typedColumns(plan, {}).filter(({ name }) => name.startsWith('tokens_'));
    expect(types.map(({ type }) => type)).toEqual(['float64', 'float64', 'float64']);
  });
});

describe('a set of texts', () => {
  it('gives codes from 1 on, whichever text came first, and one code to texts that differ in lone surrogates only', () => {
    const texts = new TextSet();
    for (const text of ['b', 'a', 'b', '\ud800', '\ufffd']) texts.add(text);
    expect(texts.values()).toEqual(['a', 'b', '\ufffd']);
    expect(['b', 'a', '\udfff', 'c'].map((text) => texts.find(text))).toEqual([2, 1, 3, 0]);
  });

  it('lets go of them when they are too many or too long', () => {
    const many = new TextSet(2);
    for (const text of ['a', 'b', 'a']) many.add(text);
    expect(many.isOverfull).toBe(false);
    many.add('c');
    expect([many.isOverfull, many.size, many.find('a')]).toEqual([true, 0, 0]);
    const long = new TextSet(10, 5);
    long.add('123456');
    expect(long.isOverfull).toBe(true);
  });
});
