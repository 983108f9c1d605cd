import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exportChunks, openCsv } from '../../src/export/index.js';
import { ColumnPlan } from '../../src/export/plan.js';
import { isoMicros, jsonText } from '../../src/formats/text.js';
import type { Json } from '../../src/schema/event.js';
import { snakeCase } from '../../src/schema/fields.js';
import { event, readCsv, sourceOf, textOf } from './support.js';

const BASE =
  'cohort,condition,cost_usd,datetime,event_id,event_name,experiment_id,experiment_name,latency_ms,model,provider,sample_id,session_id,success,timestamp';

describe('CSV', () => {
  it('has the union of the columns of all rows, sorted by name', async () => {
    const rows = [
      event({ metadata: { b: 1 }, fields: { learningRate: 0.001 } }),
      event({ metadata: { a: { deep: { er: true } } }, measurements: { duration: 7 } }),
    ];
    const plan = new ColumnPlan();
    for (const row of rows) plan.add(row);
    const columns = openCsv(plan).schema.map(({ name }) => name);
    expect(columns).toEqual([...columns].sort());
    expect(columns).toEqual(
      expect.arrayContaining([
        ...BASE.split(','),
        'learning_rate',
        'measurement_duration',
        'metadata_a_deep_er',
        'metadata_b',
        'tags',
        'tokens_total',
        'user_id',
      ]),
    );
    const [first, second] = await readCsv(await textOf(exportChunks(sourceOf(...rows), 'csv')));
    expect(first).toMatchObject({ metadata_b: '1', learning_rate: '0.001', metadata_a_deep_er: '' });
    expect(second).toMatchObject({ metadata_b: '', metadata_a_deep_er: 'true', measurement_duration: '7' });
  });

  it('writes exactly the base columns with flatten: false', async () => {
    const row = event({ metadata: { a: 1 }, success: false, latencyMs: 0.1 + 0.2 });
    expect(await textOf(exportChunks(sourceOf(row), 'csv', { flatten: false }))).toBe(
      `${BASE}\n,control,,2023-11-14T22:13:20.000000Z,e-00-0000000000,req_llm.request.stop,EXP,golden,0.30000000000000004,,,,,false,1700000000000000\n`,
    );
  });

  it.each<[Json, string]>([
    [['a', 1, null, true], 'a,1,,true'],
    [[], ''],
    [[{ a: 1 }, 'x'], '[{"a":1},"x"]'],
    [{}, '{}'],
    [1e21, '1e+21'],
    [-0, '-0'],
    [[-0, { a: -0 }], '[-0,{"a":-0}]'],
    [8e-4, '0.0008'],
    [Number.NaN, ''],
    [false, 'false'],
    ['a\ud800b', 'a\ufffdb'],
    [['\udc00', { '\ud800': 'x' }], '["\ufffd",{"\ufffd":"x"}]'],
    [' spaced ', ' spaced '],
  ])('writes %j as %j', async (value, text) => {
    const [row] = await readCsv(
      await textOf(exportChunks(sourceOf(event({ metadata: { v: value } })), 'csv')),
    );
    expect(row!.metadata_v).toBe(text);
  });

  it('quotes only where it must', async () => {
    const metadata = { a: 'x y', b: 'x,y', c: 'x"y', d: 'x\ny', e: 'x\ry', f: "x'y;z\t" };
    const text = await textOf(exportChunks(sourceOf(event({ metadata })), 'csv'));
    expect(text.endsWith('\n')).toBe(true);
    expect(text).toContain(`x y,"x,y","x""y","x\ny","x\ry",x'y;z\t`);
  });

  it('gives different paths of one name different columns', async () => {
    const rows = [
      event({
        metadata: { a_b: 1, a: { b: 2 }, a_b_2: 3 },
        fields: { eventName: 'field', event_name: 'other' },
      }),
    ];
    const [row] = await readCsv(await textOf(exportChunks(sourceOf(...rows), 'csv')));
    expect(row).toMatchObject({
      event_name: 'req_llm.request.stop',
      event_name_2: 'field',
      event_name_3: 'other',
      metadata_a_b_2: '3',
    });
    expect([row!.metadata_a_b, row!.metadata_a_b_3].sort()).toEqual(['1', '2']);
  });

  it('makes formulas harmless when asked, and leaves numbers alone', async () => {
    const metadata = {
      a: '=1+1',
      b: '+x',
      c: '-5',
      d: '@x',
      e: '\tx',
      f: '\rx',
      g: -5,
      h: 'x=1',
      i: ['=x', 1],
      j: '\n=1+1',
      k: '  =1+1',
      l: '＝1+1',
      m: '"=1+1"',
      n: 'a;=1+1;-2',
      o: 'list:\n- one\n- two',
      p: { q: 'x\n=1' },
      r: '\u3000＠x',
    };
    const write = (csvSafe: boolean) =>
      textOf(exportChunks(sourceOf(event({ metadata })), 'csv', { csvSafe }));
    const [safe] = await readCsv(await write(true));
    expect(safe).toMatchObject({
      metadata_a: "'=1+1",
      metadata_b: "'+x",
      metadata_c: "'-5",
      metadata_d: "'@x",
      metadata_e: "'\tx",
      metadata_f: "'\rx",
      metadata_g: '-5',
      metadata_h: 'x=1',
      metadata_i: "'=x,1",
      metadata_j: "'\n'=1+1",
      metadata_k: "'  =1+1",
      metadata_l: "'＝1+1",
      metadata_m: '\'"=1+1"',
      metadata_n: "a;'=1+1;'-2",
      metadata_o: "list:\n'- one\n'- two",
      metadata_p_q: "x\n'=1",
      metadata_r: "'\u3000＠x",
    });
    expect((await readCsv(await write(false)))[0]).toMatchObject({ metadata_a: '=1+1' });
  });

  it('refuses rows that the first pass did not see', async () => {
    let pass = 0;
    const changing = () => sourceOf(event({ metadata: { [`k${pass++}`]: 1 } }))();
    await expect(textOf(exportChunks(changing, 'csv'))).rejects.toThrow(RangeError);
  });

  it('is read back as written, whatever the text', async () => {
    const key = fc.string({
      unit: fc.constantFrom('a', 'b', '_', ',', '"', 'é', '\n'),
      minLength: 1,
      maxLength: 4,
    });
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('"', ',', '\r', '\n') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.dictionary(key, value), { minLength: 1, maxLength: 4 }), async (all) => {
        const source = sourceOf(...all.map((metadata) => event({ metadata })));
        const rows = await readCsv(await textOf(exportChunks(source, 'csv')));
        for (const [i, metadata] of all.entries()) {
          const written = Object.entries(rows[i]!).filter(([name]) => name.startsWith('metadata_'));
          const cells = written.map(([, cell]) => cell).filter((cell) => cell !== '');
          expect(cells.sort()).toEqual(
            Object.values(metadata)
              .filter((text) => text !== '')
              .sort(),
          );
        }
      }),
    );
  });
});

describe('JSONL', () => {
  it('writes one sorted, complete object an event', async () => {
    const row = event({
      tags: ['g'],
      metadata: { nested: { list: [1, { a: null }] } },
      tokens: { prompt: 1, completion: 2, total: 3 },
      fields: { stageName: 's', model: 'clash' },
    });
    const text = await textOf(exportChunks(sourceOf(row, event()), 'jsonl'));
    const lines = text.split('\n');
    expect(lines).toHaveLength(3);
    const first = JSON.parse(lines[0]!) as Record<string, Json>;
    expect(Object.keys(first)).toEqual(Object.keys(first).sort());
    expect(first).toMatchObject({
      event_name: 'req_llm.request.stop',
      metadata: row.metadata,
      tokens: row.tokens,
      stage_name: 's',
      model: null,
      model_2: 'clash',
      timestamp: 1_700_000_000_000_000,
    });
    expect(JSON.parse(lines[1]!)).toMatchObject({ tokens: null, user_id: null });
  });

  it('indents when pretty', async () => {
    const text = await textOf(exportChunks(sourceOf(event()), 'jsonl', { pretty: true }));
    expect(text.startsWith('{\n  "cohort": null,')).toBe(true);
    expect(JSON.parse(text)).toMatchObject({ event_id: 'e-00-0000000000' });
  });

  it('has no lone surrogates, escaped ones included, and leaves look-alikes alone', async () => {
    const row = event({
      metadata: { '\udfff': 'a\ud800', literal: '\\ud800', fine: '😀', list: [{ x: '\udc00' }] },
    });
    const text = await textOf(exportChunks(sourceOf(row), 'jsonl'));
    expect(JSON.parse(text).metadata).toEqual({
      '\ufffd': 'a\ufffd',
      literal: '\\ud800',
      fine: '😀',
      list: [{ x: '\ufffd' }],
    });
  });
});

describe('jsonText', () => {
  it('writes what is not finite as null, and −0 with its sign, at any depth', () => {
    const value = { a: [Number.NaN, -0, { b: Infinity }], c: -0, d: [], e: {}, f: null };
    expect(jsonText(value)).toBe('{"a":[null,-0,{"b":null}],"c":-0,"d":[],"e":{},"f":null}');
  });

  it('differs from JSON.stringify in −0 and lone surrogates only, indented or not', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), fc.constantFrom(undefined, 2), (value, indent) => {
        const plain = JSON.stringify(value, (_key, inner) => (Object.is(inner, -0) ? 0 : inner), indent);
        // With a −0 or a lone surrogate beside it, a value is written by ours.
        for (const ours of [-0, '\ud800']) {
          const list = jsonText([value as Json, ours], indent).replaceAll('-0', '0');
          const expected = JSON.stringify(
            [JSON.parse(plain), Object.is(ours, -0) ? 0 : '\ufffd'],
            null,
            indent,
          );
          expect(list).toBe(expected.replaceAll('-0', '0'));
        }
        expect(jsonText(value as Json, indent).replaceAll('-0', '0')).toBe(plain.replaceAll('-0', '0'));
      }),
    );
  });

  it('is read back as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        expect(JSON.parse(jsonText(value as Json))).toStrictEqual(value);
      }),
    );
  });
});

describe('exportChunks', () => {
  it('refuses an unknown format and a source without events', async () => {
    await expect(textOf(exportChunks(sourceOf(event()), 'xml'))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
    });
    for (const format of ['csv', 'jsonl']) {
      await expect(textOf(exportChunks(sourceOf(), format))).rejects.toMatchObject({ code: 'ERR_NO_DATA' });
    }
  });

  it('gives many rows in bounded pieces', async () => {
    const many = Array.from({ length: 2000 }, (_, i) => event({ eventId: `e-${i}` }));
    const sizes: number[] = [];
    for await (const chunk of exportChunks(sourceOf(...many), 'jsonl')) sizes.push(chunk.length);
    expect(sizes.length).toBeGreaterThan(5);
    expect(Math.max(...sizes)).toBeLessThan(70_000);
  });
});

describe('text helpers', () => {
  it.each([
    [0, '1970-01-01T00:00:00.000000Z'],
    [-1, '1969-12-31T23:59:59.999999Z'],
    [1_700_000_001_234_567, '2023-11-14T22:13:21.234567Z'],
    [8.64e18, '+275760-09-13T00:00:00.000000Z'],
    [-8.64e18, '-271821-04-20T00:00:00.000000Z'],
    [8.64e18 - 1024, '+275760-09-12T23:59:59.998976Z'],
    [8.641e18, null],
    [Number.NaN, null],
  ])('isoMicros(%d) is %s', (timestampUs, text) => {
    expect(isoMicros(timestampUs)).toBe(text);
  });

  it.each([
    ['learningRate', 'learning_rate'],
    ['HTTPStatus', 'http_status'],
    ['already_snake', 'already_snake'],
  ])('snakeCase(%s) is %s', (name, snake) => {
    expect(snakeCase(name)).toBe(snake);
  });
});
