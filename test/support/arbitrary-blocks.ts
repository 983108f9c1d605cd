/** Blocks of rows with values that need care, for properties that must hold of all rows. */

import fc from 'fast-check';
import {
  FLAG_COST_COMPUTED,
  FLAG_FAILED,
  FLAG_MALFORMED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_TOKENS,
  FLAG_SUCCEEDED,
  FLAG_WRITTEN,
} from '../../assembly/layout.js';
import type { Binding } from '../../src/ring/bindings.js';
import type { Json } from '../../src/schema/event.js';
import { blockOf, type Identity, type MadeRow, sourceOfBindings } from './blocks.js';

export const START_US = 1_700_000_000_000_000;
const TIME_US_MAX = 8.64e18;

/** Signs and whatever may stand in front of them, in any order. */
export const formulaText = fc.string({
  unit: fc.constantFrom(...'=+-@＝＋－＠;;\t\r\n\n \'",\u00a0\u3000\ufeff\u0000ax１｜é'),
  maxLength: 24,
});

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
  formulaText,
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

/** A row that a recorder could have written: what was computed is there, and so are tokens that are told to be. */
function possible(row: MadeRow): MadeRow {
  const { tag, costUsd, prompt, completion } = row;
  const hasTokens = (tag & FLAG_METADATA_TOKENS) !== 0;
  return {
    ...row,
    costUsd: (tag & FLAG_COST_COMPUTED) === 0 ? costUsd : 0.25,
    prompt: hasTokens ? Math.max(prompt, 0) : prompt,
    completion: hasTokens ? Math.max(completion, 0) : completion,
    producer: row.producer % 32,
  };
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
    rows.map(([made, texts, numbers]): MadeRow => {
      const row = possible(made);
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
export const blocks = blocksOf(fc.array(madeRow, { minLength: 1, maxLength: 20 }));

export const shapedBlocks = blocksOf(shapedRows);

function constants<T extends object>(values: T): { [K in keyof T]: fc.Arbitrary<T[K]> } {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, fc.constant(value)])) as never;
}
