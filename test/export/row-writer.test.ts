/** Blocks of rows as text: the same bytes as from their events, and as from an oracle. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FLAG_WRITTEN } from '../../assembly/layout.js';
import { CELL_STORED_FIELD, CELL_STORED_JSON } from '../../assembly/text-layout.js';
import { openCsv } from '../../src/export/csv.js';
import type { EncodeOptions, ExportBlock, ExportEncoder } from '../../src/export/encoder.js';
import { openJsonl } from '../../src/export/jsonl.js';
import { ColumnPlan, KIND_INTEGER } from '../../src/export/plan.js';
import { RowWriter } from '../../src/export/row-writer.js';
import { LATENCY } from '../../src/export/text-format.js';
import type { OrderedRows } from '../../src/readers/ordered.js';
import type { RowSource } from '../../src/readers/rows.js';
import type { Binding } from '../../src/ring/bindings.js';
import type { Json } from '../../src/schema/event.js';
import { blocks, START_US, shapedBlocks } from '../support/arbitrary-blocks.js';
import { blockOf, eventsOfBlock, type Identity, type MadeRow, sourceOfBindings } from '../support/blocks.js';
import { oracleCsv, oracleJsonl } from '../support/text-oracle.js';
import { encoded } from './support.js';

function planOf(source: RowSource, block: OrderedRows): ColumnPlan {
  const plan = new ColumnPlan({ texts: false });
  plan.addRows(source, block);
  return plan;
}

/** A whole file, as text that must be valid UTF-8. */
async function written(encoder: ExportEncoder, block: ExportBlock): Promise<string> {
  return new TextDecoder('utf-8', { fatal: true }).decode(await encoded(encoder, [block]));
}

async function bothWays(
  open: () => ExportEncoder,
  source: RowSource,
  block: OrderedRows,
): Promise<[string, string]> {
  const events = eventsOfBlock(source, block);
  return [await written(open(), { source, block }), await written(open(), { events })];
}

describe('rows of a block', () => {
  it.each<EncodeOptions>([{}, { csvSafe: true }, { flatten: false }, { flatten: false, csvSafe: true }])(
    'are in CSV with %j what their events are, and what the oracle says',
    async (options) => {
      await fc.assert(
        fc.asyncProperty(blocks, async ({ source, block }) => {
          const plan = options.flatten === false ? null : planOf(source, block);
          const [rows, events] = await bothWays(() => openCsv(plan, options), source, block);
          expect(rows).toBe(events);
          expect(rows).toBe(oracleCsv(eventsOfBlock(source, block), options));
        }),
        { numRuns: 200 },
      );
    },
  );

  it('are in JSON Lines what their events are, and what the oracle says', async () => {
    await fc.assert(
      fc.asyncProperty(blocks, async ({ source, block }) => {
        const [rows, events] = await bothWays(() => openJsonl(), source, block);
        expect(rows).toBe(events);
        expect(rows).toBe(oracleJsonl(eventsOfBlock(source, block)));
        const [pretty, prettyEvents] = await bothWays(() => openJsonl({ pretty: true }), source, block);
        expect(pretty).toBe(prettyEvents);
      }),
      { numRuns: 200 },
    );
  });
});

describe('rows of one shape', () => {
  it('give a plan that keeps no texts the columns and kinds that their events give', () => {
    const seen = (plan: ColumnPlan) =>
      plan.layout([]).map(({ name, node }) => [name, node?.kinds, (node?.texts?.size ?? 0) > 0]);
    fc.assert(
      fc.property(shapedBlocks, ({ source, block }) => {
        const [byRows, byEvents] = [new ColumnPlan({ texts: false }), new ColumnPlan()];
        byRows.addRows(source, block);
        for (const event of eventsOfBlock(source, block)) byEvents.add(event);
        expect(seen(byRows)).toEqual(seen(byEvents).map(([name, kinds]) => [name, kinds, false]));
        expect(byRows.tokenKinds | KIND_INTEGER).toBe(byEvents.tokenKinds | KIND_INTEGER);
      }),
      { numRuns: 300 },
    );
  });

  it.each<EncodeOptions>([{}, { csvSafe: true }, { flatten: false }])(
    'are in CSV with %j what their events are',
    async (options) => {
      await fc.assert(
        fc.asyncProperty(shapedBlocks, async ({ source, block }) => {
          const plan = options.flatten === false ? null : planOf(source, block);
          const [rows, events] = await bothWays(() => openCsv(plan, options), source, block);
          expect(rows).toBe(events);
        }),
        { numRuns: 200 },
      );
    },
  );

  it.each([{}, { pretty: true }])('are in JSON Lines with %j what their events are', async (options) => {
    await fc.assert(
      fc.asyncProperty(shapedBlocks, async ({ source, block }) => {
        const [rows, events] = await bothWays(() => openJsonl(options), source, block);
        expect(rows).toBe(events);
      }),
      { numRuns: 200 },
    );
  });

  it('are written by one form, which is found again after rows of another shape', () => {
    const captured = (metadata: Record<string, Json>): Pick<MadeRow, 'captured'> => ({
      captured: [metadata, {}],
    });
    const values = ['x', 'a,b', '"', '', 'é'.repeat(300), '\u0001\\', '=1', 'y'.repeat(40)];
    const made = plain(24).map((row, i) => ({
      ...row,
      ...captured(
        i % 3 === 0 ? { n: i * 1000.5 } : { t: values[i % values.length]!, n: -i, deep: { b: true } },
      ),
    }));
    const source = sourceOfBindings([bindingNamed(''), bindingNamed('e')], nobody);
    const block = blockOf(made, inOrder(made.length));
    let decoded = 0;
    let forms = 0;
    const writer = new RowWriter({
      absent: 'null',
      storedText: CELL_STORED_JSON,
      quote: '"',
      row: () => {
        decoded++;
        return '';
      },
      form: ({ metadata }) => {
        forms++;
        return [JSON.stringify(metadata), '\n'];
      },
    });
    const expected = eventsOfBlock(source, block).map(({ metadata }) => `${JSON.stringify(metadata)}\n`);
    for (let i = 0; i < 3; i++) {
      expect(Buffer.from(writer.rows(source, block)).toString()).toBe(expected.join(''));
    }
    expect({ decoded, forms }).toEqual({ decoded: 0, forms: 2 });
  });

  it('are decoded where they are of too many shapes, or too large', async () => {
    const made = plain(60).map((row, i): MadeRow => ({ ...row, captured: [{ [`key ${i % 30}`]: i }, {}] }));
    const source = sourceOfBindings([bindingNamed(''), bindingNamed('e')], nobody);
    const block = blockOf(made, inOrder(made.length));
    const [rows, events] = await bothWays(() => openJsonl(), source, block);
    expect(rows).toBe(events);
  });
});

const plain = (count: number, from = 0): MadeRow[] =>
  Array.from({ length: count }, (_, i) => ({
    timeUs: START_US + from + i,
    latencyMs: i + 0.5,
    costUsd: Number.NaN,
    prompt: -1,
    completion: -1,
    tag: 1 | FLAG_WRITTEN,
    sequence: from + i,
    producer: 0,
  }));

const nobody: Identity = { id: 'id', name: 'n', condition: 'c', tags: [] };
const bindingNamed = (event: string): Binding => ({ event, model: null, provider: null, bound: {} });
const inOrder = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('RowWriter', () => {
  it('keeps experiments apart whose bindings have the same ids', async () => {
    const sources = ['a', 'b'].map((name) =>
      sourceOfBindings([bindingNamed(''), bindingNamed(`event.${name}`)], { ...nobody, id: name }),
    );
    const block = blockOf(plain(2), [0, 1]);
    const inTurn = [...sources, ...sources];
    const file = await encoded(
      openJsonl(),
      inTurn.map((source) => ({ source, block })),
    );
    const expected = inTurn.map((source) => oracleJsonl(eventsOfBlock(source, block)));
    expect(file.toString()).toBe(expected.join(''));
  });

  it('uses one form for all rows of a binding', () => {
    let forms = 0;
    const writer = new RowWriter({
      absent: '',
      storedText: CELL_STORED_FIELD,
      quote: undefined,
      row: () => 'never\n',
      form: () => {
        forms++;
        return [LATENCY, ';'];
      },
    });
    const source = sourceOfBindings([bindingNamed(''), bindingNamed('e')], nobody);
    const block = blockOf(plain(5), inOrder(5));
    for (let i = 0; i < 3; i++) {
      expect(Buffer.from(writer.rows(source, block)).toString()).toBe('0.5;1.5;2.5;3.5;4.5;');
    }
    expect(forms).toBe(1);
  });

  it('writes blocks that take more room than there is, of forms and of events', async () => {
    const long = 'é'.repeat(5_000);
    const source = sourceOfBindings([bindingNamed(''), bindingNamed(long)], nobody);
    const captured: MadeRow = { ...plain(1)[0]!, sequence: 9_999, captured: [{ a: 1 }, {}] };
    const made = [...plain(1_500), captured];
    const block = blockOf(made, inOrder(made.length));
    const [rows, events] = await bothWays(() => openJsonl(), source, block);
    expect(rows.length).toBeGreaterThan(1_500 * long.length);
    expect(rows === events).toBe(true);
    expect(rows === oracleJsonl(eventsOfBlock(source, block))).toBe(true);
  });

  it('writes rows that are larger than its room', async () => {
    const source = sourceOfBindings([bindingNamed(''), bindingNamed('x'.repeat(9 << 20))], nobody);
    const block = blockOf(plain(2), [1, 0]);
    const [rows, events] = await bothWays(() => openJsonl(), source, block);
    expect(rows === events).toBe(true);
    expect(rows.split('\n')).toHaveLength(3);
  });

  it('goes on without forms when there is no room for more of them', async () => {
    const bindings = inOrder(3_000).map((i) => bindingNamed(`${i}:${'x'.repeat(20_000)}`));
    const source = sourceOfBindings(bindings, nobody);
    const given: ExportBlock[] = [];
    for (let from = 1; from + 500 < bindings.length; from += 500) {
      const made = plain(500, from).map((row, i) => ({ ...row, tag: (from + i) | FLAG_WRITTEN }));
      given.push({ source, block: blockOf(made, inOrder(500)) });
    }
    // Nor is there room for another experiment's.
    for (let other = 0; other < 100; other++) {
      const another = sourceOfBindings(bindings, { ...nobody, id: `other-${other}` });
      given.push({ source: another, block: blockOf(plain(2), [0, 1]) });
    }
    const file = (await encoded(openCsv(null, { flatten: false }), given)).toString();
    let at = file.indexOf('\n') + 1;
    for (const { source, block } of given as { source: RowSource; block: OrderedRows }[]) {
      const expected = oracleCsv(eventsOfBlock(source, block), { flatten: false });
      const rows = expected.slice(expected.indexOf('\n') + 1);
      expect(file.slice(at, at + rows.length) === rows).toBe(true);
      at += rows.length;
    }
    expect(at).toBe(file.length);
  });

  it('tells the tokens of a row, whatever its recorder is bound to', async () => {
    const bound = { tokens: { total: 77 } };
    const source = sourceOfBindings([bindingNamed(''), { ...bindingNamed('e'), bound }], nobody);
    const block = blockOf([{ ...plain(1)[0]!, prompt: 1, completion: 2 }], [0]);
    const [rows, events] = await bothWays(() => openJsonl(), source, block);
    expect(rows).toBe(events);
    expect(JSON.parse(rows)).toMatchObject({ tokens: { prompt: 1, completion: 2, total: 3 } });
  });
});
