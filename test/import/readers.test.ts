import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonReader, TextDecoding } from '../../src/import/index.js';
import { chunked, itemsOf } from './support.js';

describe('JsonReader', () => {
  const read = (text: string, limit?: number) =>
    itemsOf(new JsonReader(new TextDecoding(chunked(text, [3, 7])), limit));

  it('keeps nested values and counts lines', async () => {
    expect(await read('\uFEFF{"a":[1,{"b":null}]}\r\n\n{"é":"😀"}')).toEqual([
      { line: 1, record: { a: [1, { b: null }] }, error: null },
      { line: 3, record: { é: '😀' }, error: null },
    ]);
  });

  it('reports lines that are no object and goes on', async () => {
    const items = await read('{"a":1}\n{oops\n[1]\n7\n{"a":2}\n');
    expect(items.map(({ line, record }) => [line, record !== null])).toEqual([
      [1, true],
      [2, false],
      [3, false],
      [4, false],
      [5, true],
    ]);
    expect(items[2]!.error).toBe('the value is not a JSON object');
  });

  it('reports a line over the limit without keeping it', async () => {
    const items = await read(`{"a":"${'x'.repeat(100)}"}\n{"a":1}\n`, 40);
    expect(items).toMatchObject([
      { line: 1, record: null },
      { line: 2, record: { a: 1 } },
    ]);
  });

  it('gives back arbitrary objects under any chunk splits', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 2 })), {
          maxLength: 6,
        }),
        fc.array(fc.nat(), { maxLength: 10 }),
        async (objects, cuts) => {
          const lines = objects.map((object) => JSON.stringify(object));
          const items = await itemsOf(new JsonReader(new TextDecoding(chunked(lines.join('\n'), cuts))));
          expect(items.map((item) => JSON.stringify(item.record))).toEqual(lines);
        },
      ),
    );
  });
});
