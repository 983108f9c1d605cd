/** Every spelling of the table is read, in its order, whatever else an event has. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventRow } from '../../src/schema/event.js';
import { FAILURE_WORDS, SUCCESS_WORDS } from '../../src/schema/outcomes.js';
import { type Part, type Reading, RULES, type Rule } from '../../src/schema/spellings.js';
import { COUNT_RULES } from '../../src/schema/usage.js';
import { useBench } from '../capture/support.js';
import { useEnrich } from './support.js';

const bench = useBench();
const enriched = useEnrich(bench);

/** A value that a rule understands, and what the row then has. */
const UNDERSTOOD: Readonly<Partial<Record<Reading, readonly [value: unknown, read: unknown]>>> = {
  name: ['some-name', 'some-name'],
  usage: [
    { prompt: 3, completion: 4 },
    { prompt: 3, completion: 4, total: 7 },
  ],
  'any usage': [
    { prompt: 3, completion: 4 },
    { prompt: 3, completion: 4, total: 7 },
  ],
  nanoseconds: [1_500_000, 1.5],
  microseconds: [1500, 1.5],
  milliseconds: [1.5, 1.5],
  seconds: [0.0015, 1.5],
  USD: [0.25, 0.25],
  'USD after the table': [0.25, 0.25],
  failure: ['timeout', false],
  flag: [true, true],
  status: ['Succeeded', true],
  'HTTP status': [204, true],
  response: ['text', true],
};

const split = (part: Part, key: string, value: unknown) =>
  part === 'measurements' ? ([{ [key]: value }, {}] as const) : ([{}, { [key]: value }] as const);

const each = RULES.filter(({ reading }) => reading !== 'span' && reading !== 'count').flatMap((rule) =>
  rule.in.flatMap((part) => rule.keys.map((key) => [rule.quantity, part, key, rule] as const)),
);

describe('each spelling by itself', () => {
  it.each(each)('%s is read from %s %s', async (quantity, part, key, rule) => {
    const [value, read] = UNDERSTOOD[rule.reading]!;
    const [measurements, metadata] = split(part, key, value);
    const row = await enriched(measurements, metadata);
    expect(row[quantity]).toEqual(read);
    expect(row.malformed).toBe(false);
    // It stays where the event had it.
    expect({ ...row.measurements, ...row.metadata }).toEqual({ [key]: value });
  });

  it('is in the table once', () => {
    const places = RULES.flatMap((rule) =>
      rule.in.flatMap((part) => rule.keys.map((key) => `${part} ${key}`)),
    );
    expect(places.length).toBeGreaterThan(100);
    expect(new Set(places).size).toBe(places.length);
  });

  it.each(
    each.filter(([, , , { reading }]) => !['failure', 'status', 'response', 'any usage'].includes(reading)),
  )('%s that is not understood is told with its key: %s %s', async (quantity, part, key) => {
    const [measurements, metadata] = split(part, key, Symbol.iterator);
    expect(await enriched(measurements, metadata)).toMatchObject({
      [quantity]: null,
      malformed: true,
      malformedKeys: [`${part}.${key}`],
    });
  });
});

describe('token counts', () => {
  const attributes = COUNT_RULES.flatMap(({ count, keys, attributes: names }) => [
    ...names.map((name) => [count, name] as const),
    ...keys.flatMap((key) => (typeof key === 'string' && key.length > 10 ? [[count, key] as const] : [])),
  ]);

  it.each(attributes.filter(([count]) => count === 'input'))(
    '%s is read from %s in either part',
    async (_, key) => {
      for (const part of ['measurements', 'metadata'] as const) {
        const [measurements, metadata] = split(part, key, 12);
        const row = await enriched(measurements, metadata);
        expect(row).toMatchObject({ tokens: { prompt: 12, completion: 0, total: 12 }, malformed: false });
      }
    },
  );

  it.each(attributes.filter(([count]) => count === 'output'))('%s is read from %s', async (_, key) => {
    const row = await enriched({}, { [key]: 12 });
    expect(row).toMatchObject({ tokens: { prompt: 0, completion: 12, total: 12 }, malformed: false });
  });

  it.each(attributes.filter(([count]) => count === 'total'))('%s is read from %s', async (_, key) => {
    const row = await enriched({}, { [key]: 12 });
    expect(row).toMatchObject({ tokens: { prompt: 0, completion: 0, total: 12 }, malformed: false });
  });

  it.each(attributes.filter(([count]) => count === 'cached' || count === 'cacheWrite'))(
    '%s is read from %s, and priced',
    async (count, key) => {
      const row = await enriched(
        {},
        {
          model: 'claude-3-sonnet',
          'gen_ai.usage.input_tokens': 1_000_000,
          'gen_ai.usage.output_tokens': 0,
          [key]: 1_000_000,
        },
      );
      expect(row.costUsd).toBeCloseTo(count === 'cached' ? 0.3 : 3.75, 12);
    },
  );

  it('come from measurements and metadata together where they stand for themselves', async () => {
    expect(await enriched({ promptTokens: 5 }, { completionTokens: 6 })).toMatchObject({
      tokens: { prompt: 5, completion: 6, total: 11 },
    });
  });

  it('are not read from keys that mean something else outside of a usage object', async () => {
    const metadata = { prompt: 'Why?', completion: 'Because.', input: 'x', output: 'y', total: 3 };
    expect(await enriched({}, metadata)).toMatchObject({ tokens: null, malformed: false, metadata });
  });
});

describe('precedence', () => {
  it.each(
    (['model', 'provider', 'latencyMs', 'costUsd', 'success'] as const).map(
      (quantity) => [quantity, RULES.filter((rule) => rule.quantity === quantity)] as const,
    ),
  )('of %s is the order of the table', async (quantity, rules) => {
    // Each of these has a value of its own, in the order of the table.
    const places = rules
      .filter(({ reading }) => reading !== 'span')
      .flatMap((rule) => rule.in.flatMap((part) => rule.keys.map((key) => ({ rule, part, key }))));
    for (let first = 0; first < places.length; first++) {
      const measurements: Record<string, unknown> = {};
      const metadata: Record<string, unknown> = {};
      for (const [i, { rule, part, key }] of places.entries()) {
        if (i < first) continue;
        const isFirst = i === first;
        (part === 'measurements' ? measurements : metadata)[key] = valueFor(rule, isFirst);
      }
      expect((await enriched(measurements, metadata))[quantity], places[first]!.key).toEqual(
        readOf(places[first]!.rule),
      );
    }
  });

  /** What stands first is one thing, and all others another. */
  function valueFor({ reading }: Rule, isFirst: boolean): unknown {
    switch (reading) {
      case 'name':
        return isFirst ? 'first' : 'other';
      case 'failure':
        return isFirst ? 'why' : null;
      case 'flag':
        return isFirst;
      case 'status':
        return isFirst ? 'ok' : 'failed';
      case 'HTTP status':
        return isFirst ? 200 : 500;
      case 'response':
        return isFirst ? 'x' : null;
      default:
        return isFirst ? 1000 : 5;
    }
  }

  function readOf({ reading }: Rule): unknown {
    const read: Partial<Record<Reading, unknown>> = {
      name: 'first',
      failure: false,
      nanoseconds: 0.001,
      microseconds: 1,
      seconds: 1e6,
      milliseconds: 1000,
      USD: 1000,
      'USD after the table': 1000,
    };
    return reading in read ? read[reading] : true;
  }

  it('passes over what is not understood, and tells it', async () => {
    const row = await enriched(
      { duration: 'x', durationMs: null, latency: 7 },
      { cost: 'free', costUsd: 0.5 },
    );
    expect(row).toMatchObject({
      latencyMs: 7,
      costUsd: 0.5,
      malformedKeys: ['measurements.duration', 'measurements.durationMs', 'metadata.cost'],
    });
  });
});

describe('success', () => {
  it.each([...SUCCESS_WORDS, ...FAILURE_WORDS])('%s as a status says so, in any case', async (word) => {
    const expected = SUCCESS_WORDS.includes(word);
    for (const status of [
      word,
      word.toUpperCase(),
      ` ${word.replaceAll('_', ' ')} `,
      word.replaceAll('_', '-'),
    ]) {
      expect((await enriched({ status })).success, status).toBe(expected);
    }
  });

  it.each<[unknown, boolean | null]>([
    [200, true],
    [204, true],
    [304, true],
    [399, true],
    [400, false],
    [429, false],
    [599, false],
    ['200', true],
    ['503', false],
    [100, null],
    [199, null],
    ['2000', null],
    ['', null],
    [true, true],
    [false, false],
    [200n, true],
    [500n, false],
    [null, null],
  ])('a status of %s is %j', async (status, expected) => {
    expect(await enriched({ status })).toMatchObject({ success: expected, malformed: false });
    expect(await enriched({}, { status, response: 'x' })).toMatchObject({ success: expected ?? true });
  });

  it.each([
    600,
    0,
    -1,
    1,
    200.5,
    Number.NaN,
    600n,
    {},
    { code: 2 },
    ['ok'],
    new Error('x'),
    Object('failed'),
  ])('a status of %s is none, and told by its key', async (status) => {
    for (const key of ['status', 'outcome', 'event.outcome', 'otel.status_code', 'statusCode']) {
      const told = (part: string) => ({ success: null, malformedKeys: [`${part}.${key}`] });
      expect(await enriched({ [key]: status })).toMatchObject(told('measurements'));
      expect(await enriched({}, { [key]: status })).toMatchObject(told('metadata'));
    }
    // What else is known counts all the same.
    expect((await enriched({ status }, { response: 'x' })).success).toBe(true);
  });

  it.each<[unknown, boolean]>([
    [true, true],
    [false, false],
    [1, true],
    [0, false],
    ['true', true],
    ['false', false],
    ['failed', false],
  ])('success: %j is %j, whatever the status says', async (success, expected) => {
    expect(await enriched({ success, status: 'pending' })).toMatchObject({ success: expected });
    expect(await enriched({ status: expected ? 500 : 200 }, { success })).toMatchObject({
      success: expected,
    });
  });

  it('comes after an error, and no event of an exception is one', async () => {
    expect((await enriched({ success: true }, { error: 'x' })).success).toBe(false);
    expect((await enriched({ success: true }, {}, 'req_llm.request.exception')).success).toBe(false);
  });

  it('is not what a status code of no HTTP says, which is told', async () => {
    expect(await enriched({ statusCode: 'abc' })).toMatchObject({
      success: null,
      malformedKeys: ['measurements.statusCode'],
    });
    expect(await enriched({ statusCode: 101 })).toMatchObject({ success: null, malformed: false });
  });
});

describe('names', () => {
  it('of a deployed model are fields of its event, and not a model that was asked', async () => {
    const row = await enriched({}, { model_name: 'm' }, 'crucible_deployment.inference.stop');
    expect(row).toMatchObject({ model: null, fields: { modelName: 'm' } });
  });

  it('can be filtered and grouped by, whatever they are told under', async () => {
    const experiment = bench.start();
    experiment.capture('e', { latencyMs: 1 }, { 'gen_ai.request.model': 'a' });
    experiment.capture('e', { latencyMs: 3 }, { model: 'a' });
    experiment.capture('e', { latencyMs: 5 }, { modelId: 'b' });
    expect(await experiment.query({ model: 'a' })).toHaveLength(2);
    const byModel = await experiment.metricsBy('model');
    expect(byModel.map(({ key, metrics }) => [key, metrics.summary.totalEvents])).toEqual(
      expect.arrayContaining([
        ['a', 2],
        ['b', 1],
      ]),
    );
  });

  it('are kept when there is no room for them in the dictionary', async () => {
    const experiment = bench.start({ capacity: 4096 });
    for (let i = 0; i < 65_600; i++) experiment.capture(`e${i}`, {}, {});
    experiment.capture('late', {}, { 'gen_ai.response.model': 'm', 'gen_ai.system': 'p', response: 1 });
    const [row] = await experiment.query({ eventName: 'late' });
    expect(row).toMatchObject({ model: 'm', provider: 'p', success: true });
  });
});

describe('plain keys and others', () => {
  const value = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      undefined,
      true,
      'ok',
      'error',
      200,
      '500',
      Number.NaN,
      5,
      2.5,
      10n,
      '',
      {},
    ),
    fc.record({ prompt: fc.nat(9), completion: fc.nat(9) }),
    fc.record({ prompt: fc.nat(9), completion: fc.nat(9), total: fc.nat(9) }),
    fc.record(
      {
        inputTokens: fc.nat(9),
        outputTokens: fc.constantFrom(1, null),
        cachedTokens: fc.nat(2),
        cost: fc.nat(3),
      },
      { requiredKeys: [] },
    ),
  );
  const model = fc.constantFrom<unknown>('gpt-4', 'foo', 5, undefined);
  const plain = {
    measurements: fc.record(
      { duration: value, durationMs: value, latencyMs: value, latency_ms: value, cost: value, status: value },
      { requiredKeys: [] },
    ),
    metadata: fc.record(
      { model, provider: model, tokens: value, cost: value, error: value, status: value, response: value },
      { requiredKeys: [] },
    ),
  };
  const said = ({ latencyMs, costUsd, costSource, success, tokens, model: name, provider }: EventRow) => ({
    ...{ latencyMs, costUsd, costSource, success, tokens, name, provider },
  });

  it('are read alike: a key of the table that says nothing changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.record(plain), async ({ measurements, metadata }) => {
        const experiment = bench.start();
        experiment.capture('plain', measurements, metadata);
        // Now all keys of the event are looked up.
        experiment.capture('spelled', measurements, { ...metadata, usage: { cpu: 1 } });
        const [one, other] = (await experiment.query()).sort((a, b) => a.sequence - b.sequence);
        expect(said(other!)).toEqual(said(one!));
        expect(new Set(other!.malformedKeys)).toEqual(new Set(one!.malformedKeys));
        await experiment.cleanup();
      }),
      { numRuns: 300 },
    );
  });

  it('are looked up from the first event of a name on that has others, and before', async () => {
    const experiment = bench.start();
    for (const metadata of [{ a: 1 }, { modelId: 'm' }, { a: 1 }, { a: 1, modelId: 'n' }, { model: 'o' }]) {
      experiment.capture('e', { latencyMs: 1 }, metadata);
    }
    for (const measurements of [{ x: 1 }, { latency: 2 }, { x: 1 }]) experiment.capture('f', measurements);
    const rows = (await experiment.query()).sort((a, b) => a.sequence - b.sequence);
    expect(rows.map(({ model: name }) => name)).toEqual([null, 'm', null, 'n', 'o', null, null, null]);
    expect(rows.map(({ latencyMs }) => latencyMs)).toEqual([1, 1, 1, 1, 1, null, 2, null]);
    expect(experiment.counts).toMatchObject({ captured: 8, malformed: 0 });
  });
});
