import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from '../../../src/formats/json/text.js';
import { JsonReader, TextDecoding } from '../../../src/import/index.js';
import { chunked, importAll, itemsOf, useScratch } from '../../import/support.js';

const write = useScratch();
const read = (text: string, cuts: readonly number[] = [], limit?: number) =>
  itemsOf(new JsonReader(new TextDecoding(chunked(text, cuts)), limit));

const OBJECT = fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), {
  minKeys: 1,
  maxKeys: 4,
});

/** The ways in which people write several objects. */
const FORMS: Readonly<Record<string, (objects: readonly unknown[]) => string>> = {
  lines: (objects) => objects.map((object) => JSON.stringify(object)).join('\n'),
  'lines with CRLF': (objects) => objects.map((object) => `${JSON.stringify(object)}\r\n`).join(''),
  array: (objects) => JSON.stringify(objects),
  'array, an element a line': (objects) =>
    `[\n${objects.map((object) => JSON.stringify(object)).join(',\n')}\n]\n`,
  'array, indented': (objects) => JSON.stringify(objects, null, 2),
  'array, tabs': (objects) => JSON.stringify(objects, null, '\t'),
  'one after the other': (objects) => objects.map((object) => JSON.stringify(object)).join(''),
  'one after the other, blanks between': (objects) =>
    objects.map((object) => JSON.stringify(object)).join(' '),
  'printed over lines': (objects) => objects.map((object) => `${JSON.stringify(object, null, 4)}\n`).join(''),
};

describe('JsonReader', () => {
  it.each(Object.keys(FORMS))('gives back objects written as %s, under any chunk splits', async (form) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(OBJECT, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 10 }),
        async (objects, cuts) => {
          const items = await read(FORMS[form]!(objects), cuts);
          expect(items.map(({ record, error }) => record ?? error)).toEqual(
            objects.map((object) => JSON.parse(JSON.stringify(object)) as unknown),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  it('reads NaN and infinities as null, and tells of them', async () => {
    expect(await read('{"a":NaN,"b":[-Infinity,1],"c":"NaN"}\n{"a":Infinity}')).toMatchObject([
      {
        record: { a: null, b: [null, 1], c: 'NaN' },
        reason: 'nonFinite',
        error: expect.stringContaining('2 times'),
      },
      { record: { a: null }, reason: 'nonFinite' },
    ]);
  });

  it('keeps the digits of whole numbers', () => {
    const text =
      '{"id":1234567890123456789,"n":-9007199254740993,"safe":9007199254740991,"f":0.1234567890123456,"s":"12345678901234567890","e":1e300,"z":-0}';
    expect(parseJson(text).value).toEqual({
      id: '1234567890123456789',
      n: '-9007199254740993',
      safe: 9007199254740991,
      f: 0.1234567890123456,
      s: '12345678901234567890',
      e: 1e300,
      z: -0,
    });
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), (whole) => {
        expect(BigInt((parseJson(`[${whole}]`).value as (string | number)[])[0]!)).toBe(whole);
      }),
    );
  });

  it('costs a damaged line nothing but itself', async () => {
    const items = await read('{"a":1,\n{"a":2}\n{"a":3}{"b":4}\n{"a":"x\n{"a":5}\n');
    expect(items.map(({ line, record }) => [line, record])).toEqual([
      [1, null],
      [2, { a: 2 }],
      [3, { a: 3 }],
      [3, { b: 4 }],
      [4, null],
      [5, { a: 5 }],
    ]);
  });

  it('tells how much was read as part of an object that never ends', async () => {
    const items = await read('[\n  {"a": 1},\n  {"a": "open,\n  {"a": 2},\n  {"a": 3}\n]\n');
    expect(items[0]).toMatchObject({ record: { a: 1 } });
    expect(items.slice(1).every(({ record }) => record === null)).toBe(true);
    expect(items.at(-1)).toMatchObject({ error: expect.stringMatching(/never ends; \d+ more lines/) });
  });

  it('reports what is too long, and what is no object', async () => {
    expect(await read(`[{"a":"${'x'.repeat(100)}"},{"a":1},7,"t",[1],null,{"b":2}]`, [], 40)).toMatchObject([
      { reason: 'tooLong' },
      { record: { a: 1 } },
      ...Array.from({ length: 4 }, () => ({ record: null, error: 'the value is not a JSON object' })),
      { record: { b: 2 } },
    ]);
  });

  it('is quick on deep and unfinished text', async () => {
    for (const text of [
      '['.repeat(200_000),
      '{"a":'.repeat(100_000),
      `"${'\\'.repeat(200_001)}`,
      '{'.repeat(200_000),
    ]) {
      await read(text);
    }
  });
});

describe('importing JSON', () => {
  it('recognises keys that appear late, and those of each shape of record', async () => {
    const early = Array.from({ length: 500 }, (_, i) => ({ timestamp: 1_709_294_400 + i, kind: 'ping' }));
    const late = { timestamp: 1_709_295_000, latency_ms: 5, cost_usd: 0.5 };
    const other = { ts: '2024-03-01T12:30:00Z', duration_s: 2, model: 'm' };
    const text = [...early, late, other].map((record) => JSON.stringify(record)).join('\n');
    const { records } = await importAll(await write('late.jsonl', text));
    expect(records.at(-2)).toMatchObject({ latencyMs: 5, costUsd: 0.5 });
    expect(records.at(-1)).toMatchObject({ latencyMs: 2000, model: 'm', timestampUs: 1_709_296_200_000_000 });
  });

  it('leaves out a record without a time where others have one', async () => {
    const { records, reasons } = await importAll(
      await write('time.jsonl', '{"ts":1709294400,"a":1}\n{"a":2}\n'),
    );
    expect(records).toHaveLength(1);
    expect(reasons).toEqual({ time: 1 });
  });

  it('maps nested and dotted keys', async () => {
    const record = { timestamp: 1709294400, usage: { input_tokens: 7 }, 'gen_ai.request.model': 'm' };
    const { records } = await importAll(await write('nested.json', JSON.stringify([record])), {
      map: { promptTokens: 'usage.input_tokens', model: 'gen_ai.request.model' },
    });
    expect(records).toMatchObject([{ promptTokens: 7, model: 'm' }]);
  });

  it('takes no foreign file for one of its own', async () => {
    const record = {
      event_id: 'e1',
      event_name: 'exposure',
      experiment_id: 'x',
      timestamp: 1709294400,
      variant: 'a',
    };
    const { records } = await importAll(await write('foreign.jsonl', JSON.stringify(record)));
    expect(records).toMatchObject([{ restored: null, event: 'exposure', metadata: { variant: 'a' } }]);
  });
});

describe('what JSON says and no double holds', () => {
  it.each([
    ['{"a":1e400,"b":[1e999,-1e999],"c":"1e400"}', { a: null, b: [null, null], c: '1e400' }, 3],
    [`{"a":${'9'.repeat(400)}.5,"b":1e308}`, { a: null, b: 1e308 }, 1],
  ])('%s is null, and counted', (text, value, nonFinite) => {
    expect(parseJson(text)).toEqual({ value, nonFinite });
  });
});

describe('an array that is cut', () => {
  it.each(['[{"a":1},\n{"a":2},', '[{"a":1},\n{"a":2}', '[{"a":1},\n{"a":2}, ', '[{"a":1},{"a":2}\n'])(
    'between records says so: %j',
    async (text) => {
      const items = await read(text);
      expect(items.map(({ record }) => record)).toEqual([{ a: 1 }, { a: 2 }, null]);
      expect(items.at(-1)).toMatchObject({
        line: 2,
        error: 'the array that begins on line 1 is not closed: records may be missing at the end',
      });
    },
  );
});
