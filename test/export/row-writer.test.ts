/** Blocks of rows as text: the same bytes as from their events, and as from an oracle. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FLAG_COST_COMPUTED,
  FLAG_FAILED,
  FLAG_MALFORMED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_TOKENS,
  FLAG_SUCCEEDED,
  FLAG_WRITTEN,
} from '../../assembly/layout.js';
import { CELL_STORED_FIELD, CELL_STORED_JSON } from '../../assembly/text-layout.js';
import { openCsv } from '../../src/export/csv.js';
import type { EncodeOptions, ExportEncoder } from '../../src/export/encoder.js';
import { openJsonl } from '../../src/export/jsonl.js';
import { ColumnPlan, KIND_INTEGER } from '../../src/export/plan.js';
import { LATENCY, RowWriter } from '../../src/export/row-writer.js';
import type { OrderedRows } from '../../src/readers/ordered.js';
import type { RowSource } from '../../src/readers/rows.js';
import type { Binding } from '../../src/ring/bindings.js';
import type { Json } from '../../src/schema/event.js';
import { blockOf, eventsOfBlock, type Identity, type MadeRow, sourceOfBindings } from '../support/blocks.js';
import { oracleCsv, oracleJsonl } from '../support/text-oracle.js';

const START_US = 1_700_000_000_000_000;
const TIME_US_MAX = 8.64e18;

/** Text that needs care: quotes, commas, line ends, formulas, what looks like the end of an id, lone surrogates. */
const nastyText = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    '=1+1',
    '-x',
    '"',
    ',',
    'x\ny',
    '\r',
    '\t',
    '-00-0000000000',
    'é😀',
    'a\ud800',
    '\udc00b',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ maxLength: 40 }),
);
const nastyNumber = fc.oneof(
  fc.constantFrom(
    Number.NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    5e-324,
    1e140,
    1.1e140,
    1e21,
    1e-7,
    2 ** 53,
    0.1,
    12.5,
  ),
  fc.double(),
  fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
  fc.integer(),
);
const timeUs = fc.oneof(
  fc.integer({ min: 0, max: 10_000_000 }).map((us) => START_US + us),
  fc.constantFrom(0, -1, -1_000_000, 0.5, -0.5, 253402300800000000, 253402300799999900, -62167219200000010),
  fc.constantFrom(TIME_US_MAX, -TIME_US_MAX, 2 ** 53, -(2 ** 53), 951782400000000, -62162208000000000),
  fc.double({ min: -TIME_US_MAX, max: TIME_US_MAX, noNaN: true }),
);
/** Not those that the oracle has no text for. */
const storedNumber = fc.oneof(
  nastyNumber.filter(Number.isFinite),
  fc.constantFrom(127, 128, 2 ** 32 - 1, 2 ** 32, -1),
);
const tokens = fc.constantFrom(-1, 0, 1, 99, 12_345, 2 ** 31 - 1);

const scalar = fc.oneof(nastyText, fc.constantFrom(null, true, false), nastyNumber.filter(Number.isFinite));
const flatObject = fc.dictionary(fc.constantFrom('a', 'session_id', 'userId', 'loss', 'b c'), scalar, {
  maxKeys: 3,
});

/** Metadata of any depth, under keys that are looked for and others. */
const deepObject = fc.letrec<{ object: Record<string, Json>; value: Json }>((tie) => ({
  object: fc.dictionary(
    fc.constantFrom(
      'a',
      'b',
      'a_b',
      'session_id',
      'userId',
      'model',
      'tokens',
      'total',
      'loss',
      '7',
      'b"c',
      '=d',
    ),
    tie('value'),
    { maxKeys: 5 },
  ),
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'stored' },
    { weight: 6, arbitrary: fc.oneof(nastyText, storedNumber, fc.constantFrom(null, true, false)) },
    { weight: 1, arbitrary: tie('object') },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 3, depthIdentifier: 'stored' }) },
  ),
})).object;

const binding: fc.Arbitrary<Binding> = fc.record({
  event: fc.constantFrom('e', 'req_llm.request.stop', 'crucible_train.epoch.stop', 'x,"y"', '=evil'),
  model: fc.option(nastyText),
  provider: fc.option(nastyText),
  bound: flatObject,
});

const flags = fc.constantFrom(
  0,
  0,
  0,
  FLAG_MALFORMED,
  FLAG_COST_COMPUTED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_TOKENS,
);
const madeRow: fc.Arbitrary<MadeRow> = fc
  .record({
    timeUs,
    latencyMs: nastyNumber,
    costUsd: nastyNumber,
    prompt: tokens,
    completion: tokens,
    id: fc.nat(3),
    flags,
    success: fc.constantFrom(0, FLAG_SUCCEEDED, FLAG_FAILED),
    sequence: fc.oneof(fc.nat(), fc.constantFrom(0, 2 ** 32, 2 ** 40 - 1, 2 ** 40, 2 ** 53 - 1)),
    producer: fc.constantFrom(0, 1, 9, 10, 31, 255, 256, 65_535),
    captured: fc.option(fc.tuple(flatObject, flatObject), { freq: 4, nil: undefined }),
  })
  .map(({ id, flags: more, success, captured, ...row }) => ({
    ...row,
    ...(captured === undefined ? {} : { captured }),
    // A binding of 0 would want a name in the captured part.
    tag: (id + 1) | FLAG_WRITTEN | more | success,
  }));

const identity: fc.Arbitrary<Identity> = fc.record({
  id: fc.oneof(fc.constant('a7630c63160f05a4'), nastyText),
  name: nastyText,
  condition: nastyText,
  tags: fc.array(nastyText, { maxLength: 3 }),
});

/** The same keys, nulls and booleans; other texts and numbers. */
function varied(value: Json, texts: readonly string[], numbers: readonly number[]): Json {
  if (typeof value === 'string') return texts[value.length % texts.length]!;
  if (typeof value === 'number') return numbers[Math.abs(Math.trunc(value) % numbers.length) || 0]!;
  if (Array.isArray(value)) return value.map((item) => varied(item, texts, numbers));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, varied(item, texts, numbers)]));
}

/** Rows of which several have the shape of the first. */
const shapedRows = fc
  .tuple(
    fc.tuple(deepObject, deepObject),
    fc.array(
      fc.tuple(
        madeRow,
        fc.array(nastyText, { minLength: 1, maxLength: 4 }),
        fc.array(storedNumber, { minLength: 1, maxLength: 4 }),
      ),
      { minLength: 1, maxLength: 20 },
    ),
  )
  .map(([shape, rows]) =>
    rows.map(([row, texts, numbers]): MadeRow => {
      if (row.captured !== undefined) return row;
      const [metadata, measurements] = shape.map((part) => varied(part, texts, numbers));
      return { ...row, captured: [metadata, measurements] as MadeRow['captured'] & {} };
    }),
  );

const blocksOf = (rows: fc.Arbitrary<MadeRow[]>) =>
  fc
    .record({
      identity,
      bindings: fc.array(binding, { minLength: 5, maxLength: 5 }),
      made: rows,
      shuffle: fc.boolean(),
    })
    .chain(({ made, shuffle, ...rest }) => {
      const places = made.map((_, i) => i);
      const order = shuffle ? fc.shuffledSubarray(places, { minLength: 1 }) : fc.constant(places);
      return fc.record({ made: fc.constant(made), order, ...constants(rest) });
    })
    .map(({ identity, bindings, made, order }) => ({
      source: sourceOfBindings(bindings, identity),
      block: blockOf(made, order),
    }));
const blocks = blocksOf(fc.array(madeRow, { minLength: 1, maxLength: 20 }));

function constants<T extends object>(values: T): { [K in keyof T]: fc.Arbitrary<T[K]> } {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, fc.constant(value)])) as never;
}

function planOf(source: RowSource, block: OrderedRows): ColumnPlan {
  const plan = new ColumnPlan({ texts: false });
  plan.addRows(source, block);
  return plan;
}

/** Whole files, as text that must be valid UTF-8. */
function written(encoder: ExportEncoder, bytes: () => Uint8Array | Promise<Uint8Array>): string {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return decoder.decode(Buffer.concat([encoder.header(), bytes() as Uint8Array]));
}

function bothWays(open: () => ExportEncoder, source: RowSource, block: OrderedRows): [string, string] {
  const [byRows, byEvents] = [open(), open()];
  return [
    written(byRows, () => byRows.rows(source, block)),
    written(byEvents, () => byEvents.events(eventsOfBlock(source, block))),
  ];
}

describe('rows of a block', () => {
  it.each<EncodeOptions>([{}, { csvSafe: true }, { flatten: false }, { flatten: false, csvSafe: true }])(
    'are in CSV with %j what their events are, and what the oracle says',
    (options) => {
      fc.assert(
        fc.property(blocks, ({ source, block }) => {
          const plan = options.flatten === false ? null : planOf(source, block);
          const [rows, events] = bothWays(() => openCsv(plan, options), source, block);
          expect(rows).toBe(events);
          expect(rows).toBe(oracleCsv(eventsOfBlock(source, block), options));
        }),
        { numRuns: 200 },
      );
    },
  );

  it('are in JSON Lines what their events are, and what the oracle says', () => {
    fc.assert(
      fc.property(blocks, ({ source, block }) => {
        const [rows, events] = bothWays(() => openJsonl(), source, block);
        expect(rows).toBe(events);
        expect(rows).toBe(oracleJsonl(eventsOfBlock(source, block)));
        const [pretty, prettyEvents] = bothWays(() => openJsonl({ pretty: true }), source, block);
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
      fc.property(blocksOf(shapedRows), ({ source, block }) => {
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
    (options) => {
      fc.assert(
        fc.property(blocksOf(shapedRows), ({ source, block }) => {
          const plan = options.flatten === false ? null : planOf(source, block);
          const [rows, events] = bothWays(() => openCsv(plan, options), source, block);
          expect(rows).toBe(events);
        }),
        { numRuns: 200 },
      );
    },
  );

  it.each([{}, { pretty: true }])('are in JSON Lines with %j what their events are', (options) => {
    fc.assert(
      fc.property(blocksOf(shapedRows), ({ source, block }) => {
        const [rows, events] = bothWays(() => openJsonl(options), source, block);
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

  it('are decoded where they are of too many shapes, or too large', () => {
    const made = plain(60).map((row, i): MadeRow => ({ ...row, captured: [{ [`key ${i % 30}`]: i }, {}] }));
    const source = sourceOfBindings([bindingNamed(''), bindingNamed('e')], nobody);
    const block = blockOf(made, inOrder(made.length));
    const [rows, events] = bothWays(() => openJsonl(), source, block);
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
  it('keeps experiments apart whose bindings have the same ids', () => {
    const sources = ['a', 'b'].map((name) =>
      sourceOfBindings([bindingNamed(''), bindingNamed(`event.${name}`)], { ...nobody, id: name }),
    );
    const encoder = openJsonl();
    const block = blockOf(plain(2), [0, 1]);
    for (const source of [...sources, ...sources]) {
      const text = Buffer.from(encoder.rows(source, block) as Uint8Array).toString();
      expect(text).toBe(oracleJsonl(eventsOfBlock(source, block)));
    }
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

  it('writes blocks that take more room than there is, of forms and of events', () => {
    const long = 'é'.repeat(5_000);
    const source = sourceOfBindings([bindingNamed(''), bindingNamed(long)], nobody);
    const captured: MadeRow = { ...plain(1)[0]!, sequence: 9_999, captured: [{ a: 1 }, {}] };
    const made = [...plain(1_500), captured];
    const block = blockOf(made, inOrder(made.length));
    const [rows, events] = bothWays(() => openJsonl(), source, block);
    expect(rows.length).toBeGreaterThan(1_500 * long.length);
    expect(rows === events).toBe(true);
    expect(rows === oracleJsonl(eventsOfBlock(source, block))).toBe(true);
  });

  it('writes rows that are larger than its room', () => {
    const source = sourceOfBindings([bindingNamed(''), bindingNamed('x'.repeat(9 << 20))], nobody);
    const block = blockOf(plain(2), [1, 0]);
    const [rows, events] = bothWays(() => openJsonl(), source, block);
    expect(rows === events).toBe(true);
    expect(rows.split('\n')).toHaveLength(3);
  });

  it('goes on without forms when there is no room for more of them', () => {
    const bindings = inOrder(3_000).map((i) => bindingNamed(`${i}:${'x'.repeat(20_000)}`));
    const source = sourceOfBindings(bindings, nobody);
    const encoder = openCsv(null, { flatten: false });
    for (let from = 1; from + 500 < bindings.length; from += 500) {
      const made = plain(500, from).map((row, i) => ({ ...row, tag: (from + i) | FLAG_WRITTEN }));
      const block = blockOf(made, inOrder(500));
      const text = Buffer.from(encoder.rows(source, block) as Uint8Array).toString();
      const expected = oracleCsv(eventsOfBlock(source, block), { flatten: false });
      expect(text === expected.slice(expected.indexOf('\n') + 1)).toBe(true);
    }
    // Nor is there room for another experiment's.
    for (let other = 0; other < 100; other++) {
      const another = sourceOfBindings(bindings, { ...nobody, id: `other-${other}` });
      const block = blockOf(plain(2), [0, 1]);
      const text = Buffer.from(encoder.rows(another, block) as Uint8Array).toString();
      expect(text.startsWith(`,c,,2023-11-14T22:13:20.000000Z,other-${other}-00-0000000000,1:`)).toBe(true);
    }
  });

  it('takes the total of tokens that a recorder is bound to', () => {
    const bound = { tokens: { total: 77 } };
    const source = sourceOfBindings([bindingNamed(''), { ...bindingNamed('e'), bound }], nobody);
    const block = blockOf([{ ...plain(1)[0]!, prompt: 1, completion: 2 }], [0]);
    const [rows, events] = bothWays(() => openJsonl(), source, block);
    expect(rows).toBe(events);
    expect(JSON.parse(rows)).toMatchObject({ tokens: { prompt: 1, completion: 2, total: 77 } });
  });
});
