/** Events that make no sense: captured or counted as malformed, never thrown, nothing else lost. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { telemetry } from '../../src/capture/bus.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import type { Context, EventRow, Json } from '../../src/schema/event.js';
import { lastEvent, START_US, useBench } from './support.js';

const bench = useBench();

/** Makes a text long enough that some 140 of them fill a dictionary. */
const FILLER = 'x'.repeat(60_000);

const throwing = () => {
  throw new Error('of the event');
};

function withGetter(getter: () => unknown, others: Record<string, unknown> = {}): Record<string, unknown> {
  return Object.defineProperty({ ...others }, 'got', { enumerable: true, get: getter });
}

/** A proxy of which every operation throws. */
function hostile(): Record<string, unknown> {
  return new Proxy(
    {},
    { get: throwing, has: throwing, ownKeys: throwing, getOwnPropertyDescriptor: throwing },
  );
}

function cyclic(): Record<string, unknown> {
  const cycle: Record<string, unknown> = { own: 1 };
  cycle.self = cycle;
  return cycle;
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = { in: value };
  return value;
}

describe('odd metadata', () => {
  it.each<[string, unknown, Json]>([
    ['NaN', Number.NaN, Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    ['−0', -0, -0],
    ['a huge integer', 2 ** 80, 2 ** 80],
    ['a lone surrogate', 'a\ud800', 'a\ufffd'],
    ['NUL', 'a\0b', 'a\0b'],
    ['a bigint', 10n ** 40n, `1${'0'.repeat(40)}`],
    ['a Date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a Map', new Map([['a', 1]]), { a: 1 }],
    ['a Buffer', Buffer.from('hi'), 'aGk='],
    ['undefined', undefined, null],
    ['a boxed text', Object('ab'), 'ab'],
    ['a boxed number', Object(5), 5],
    ['a boxed boolean', Object(false), false],
    ['a regular expression', /a+/gi, '/a+/gi'],
    ['an instance without properties', new (class Empty {})(), {}],
  ])('%s is kept as near as JSON goes', async (_, value, expected) => {
    const experiment = bench.start();
    experiment.capture('e', { value }, { value, after: 1 });
    const row = await lastEvent(experiment);
    expect(row.metadata).toEqual({ value: expected, after: 1 });
    expect(row.measurements).toEqual({ value: expected });
    expect(row.malformed).toBe(false);
  });

  it.each<[string, unknown, Json]>([
    ['a cycle', cyclic(), { own: 1, self: null }],
    ['a function', throwing, null],
    ['a symbol', Symbol('s'), null],
    ['a proxy that throws', hostile(), null],
    ['a toJSON that throws', { toJSON: throwing }, null],
    ['a nested getter that throws', withGetter(throwing, { own: 1 }), { own: 1, got: null }],
  ])('%s costs that value; the event is malformed and all else is kept', async (_, value, expected) => {
    const experiment = bench.start();
    experiment.capture('e', { duration: 5e6 }, { before: 1, value, after: 2 });
    const row = await lastEvent(experiment);
    expect(row.metadata).toEqual({ before: 1, value: expected, after: 2 });
    expect(row).toMatchObject({ latencyMs: 5, malformed: true });
    expect(experiment.counts).toMatchObject({ captured: 1, malformed: 1 });
  });

  it('10,000 levels deep is cut, and counted', async () => {
    const experiment = bench.start();
    experiment.capture('e', {}, { deep: nested(10_000), after: 2 });
    const row = await lastEvent(experiment);
    expect(row).toMatchObject({ malformed: true, metadata: { after: 2 } });
    let levels = 0;
    for (let at = row.metadata.deep; at !== null && typeof at === 'object' && !Array.isArray(at); at = at.in!)
      levels++;
    expect(levels).toBe(64);
  });

  it('a getter at the top that throws costs its own value', async () => {
    const experiment = bench.start();
    experiment.capture(
      'e',
      withGetter(throwing, { duration: 5e6 }),
      withGetter(throwing, { model: 'm', n: 1 }),
    );
    const row = await lastEvent(experiment);
    expect(row).toMatchObject({ latencyMs: 5, model: 'm', malformed: true });
    expect(row.metadata).toEqual({ model: 'm', n: 1, got: null });
    expect(row.measurements).toEqual({ duration: 5e6, got: null });
    expect(experiment.counts).toMatchObject({ captured: 1, malformed: 1 });
  });

  it.each(['model', 'provider', 'tokens', 'cost', 'error', 'exception', 'status', 'response'])(
    'a getter of %s that throws leaves the rest',
    async (key) => {
      const experiment = bench.start();
      const metadata = Object.defineProperty({ n: 1 }, key, { enumerable: true, get: throwing });
      experiment.capture('e', { duration: 5e6 }, metadata);
      expect(await lastEvent(experiment)).toMatchObject({
        latencyMs: 5,
        malformed: true,
        metadata: { n: 1, [key]: null },
      });
    },
  );

  it('keys that every object has are keys like any other', async () => {
    const experiment = bench.start();
    const metadata = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2, "toString": 3}') as Record<
      string,
      Json
    >;
    experiment.capture('e', metadata, metadata);
    experiment.run(() => experiment.capture('e', {}, { own: 1 }), metadata);
    const [first, second] = (await experiment.query()) as [EventRow, EventRow];
    for (const kept of [first.metadata, first.measurements])
      expect(Object.entries(kept)).toEqual(Object.entries(metadata));
    expect(Object.entries(second.metadata)).toEqual([...Object.entries(metadata), ['own', 1]]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(first.malformed).toBe(false);
  });

  it.each<[string, unknown]>([
    ['text', 'text'],
    ['a number', 5],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a bigint', 5n],
    ['true', true],
  ])('measurements or metadata that are %s are malformed', async (_, value) => {
    const experiment = bench.start();
    experiment.capture('e', value as never, { n: 1 });
    expect(await lastEvent(experiment)).toMatchObject({
      malformed: true,
      measurements: {},
      metadata: { n: 1 },
    });
    experiment.capture('e', { duration: 1e6 }, value as never);
    expect(await lastEvent(experiment)).toMatchObject({ malformed: true, latencyMs: 1, metadata: {} });
    expect(experiment.counts).toMatchObject({ captured: 2, malformed: 2 });
  });

  it.each([undefined, null])('measurements or metadata that are %s are empty', async (value) => {
    const experiment = bench.start();
    experiment.capture('e', value as never, value as never);
    expect(await lastEvent(experiment)).toMatchObject({ malformed: false, measurements: {}, metadata: {} });
  });

  it('a proxy that throws at everything is still an event', async () => {
    const experiment = bench.start();
    experiment.capture('e', hostile(), hostile());
    experiment.run(() => experiment.capture('e', {}, { n: 1 }), hostile() as Context);
    const rows = await experiment.query();
    expect(rows.map(({ malformed, metadata }) => [malformed, metadata])).toEqual([
      [true, {}],
      [true, { n: 1 }],
    ]);
  });
});

describe('odd event names', () => {
  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a number', 5],
    ['a symbol', Symbol('s')],
    ['an object', {}],
    ['a proxy that throws', hostile()],
  ])('%s is called (unnamed), and malformed', async (_, name) => {
    const experiment = bench.start();
    experiment.capture(name as string, { duration: 1e6 }, { n: 1 });
    expect(await lastEvent(experiment)).toMatchObject({
      eventName: '(unnamed)',
      malformed: true,
      latencyMs: 1,
      metadata: { n: 1 },
    });
  });

  it.each(['', '__proto__', 'constructor', 'ä.😀', 'a\0b', ' ', '(overflow)', 'x'.repeat(60_000)])(
    'a text is a name, whatever it says (case %#)',
    async (name) => {
      const experiment = bench.start();
      experiment.capture(name, {}, { n: 1 });
      expect(await lastEvent(experiment)).toMatchObject({ eventName: name, malformed: false });
      const metrics = await experiment.metrics({ eventName: name });
      expect(Object.entries(metrics.events)).toEqual([[name, { count: 1 }]]);
      expect(Object.entries(experiment.streamingMetrics().eventCounts)).toEqual([[name, 1]]);
    },
  );

  it('more names than the dictionary holds are all kept, and counted in the streaming metrics', async () => {
    const experiment = bench.start({ capacity: 65_536 });
    const nameOf = (n: number) => `${n} ${FILLER}`;
    for (let n = 0; n < 200; n++) experiment.capture(nameOf(n), { latencyMs: n }, { n });
    expect(experiment.counts).toMatchObject({ captured: 200, retained: 200, malformed: 0 });
    const rows = await experiment.query();
    expect(rows.every(({ eventName, metadata }, n) => eventName === nameOf(n) && metadata.n === n)).toBe(
      true,
    );
    const { count, eventCounts } = experiment.streamingMetrics();
    expect(count).toBe(200);
    expect(Object.values(eventCounts).reduce((a, b) => a + b)).toBe(200);
    const { summary } = await experiment.metrics();
    expect(summary.totalEvents).toBe(200);
    expect(Object.keys(summary.eventTypes)).toHaveLength(200);
    for (const n of [3, 199])
      expect(await experiment.query({ eventName: nameOf(n), where: { n } })).toHaveLength(1);
  });

  it('more models than the dictionary holds are all kept', async () => {
    const experiment = bench.start({ capacity: 65_536 });
    const modelOf = (n: number) => `${n} ${FILLER}`;
    for (let n = 0; n < 200; n++) experiment.capture('e', {}, { n, model: modelOf(n), provider: 'p' });
    const rows = await experiment.query();
    expect(rows).toHaveLength(200);
    for (const { model, provider, metadata } of rows) {
      expect(model === modelOf(metadata.n as number) && metadata.model === model).toBe(true);
      expect(provider).toBe('p');
    }
    for (const n of [3, 199]) expect(await experiment.query({ model: modelOf(n) })).toHaveLength(1);
  });

  it('a new name costs no more work because many names are known', () => {
    const experiment = bench.start({ capacity: 8192 });
    const load = Atomics.load;
    let loads = 0;
    const loadsOf = (from: number, to: number) => {
      loads = 0;
      for (let n = from; n < to; n++) experiment.capture(`name.${n}`, {});
      return loads;
    };
    try {
      Atomics.load = ((...args: Parameters<typeof load>) => {
        loads++;
        return load(...args);
      }) as typeof load;
      const early = loadsOf(300, 500);
      loadsOf(500, 2000);
      expect(loadsOf(2000, 2200)).toBeLessThanOrEqual(2 * early);
    } finally {
      Atomics.load = load;
    }
  });

  it('a name too long for the dictionary is not taken for another by a filter', async () => {
    const experiment = bench.start();
    experiment.capture('x'.repeat(70_000), {});
    experiment.capture('wanted', {});
    const found = await experiment.query({ eventName: 'wanted' });
    expect(found.map(({ eventName }) => eventName)).toEqual(['wanted']);
    expect((await experiment.metrics({ eventName: 'wanted' })).summary.totalEvents).toBe(1);
  });
});

describe('very large events', () => {
  it('texts of 1 MB are kept whole', async () => {
    const experiment = bench.start();
    const note = 'n'.repeat(1 << 20);
    const big = 'x'.repeat(1 << 20);
    experiment.capture('e', { duration: 1e6, note }, { n: 1, big, model: 'm' });
    const row = await lastEvent(experiment);
    expect(row).toMatchObject({ latencyMs: 1, malformed: false, model: 'm', measurements: { note } });
    expect(row.metadata).toEqual({ n: 1, big, model: 'm' });
    expect(experiment.counts).toMatchObject({ captured: 1, malformed: 0 });
  });

  it.each<[string, () => Record<string, unknown>]>([
    ['many keys', () => Object.fromEntries([...Array(100_000).keys()].map((n) => [`k${n}`, n]))],
    ['a key of 1 MB', () => ({ ['k'.repeat(1 << 20)]: 1 })],
    ['a list of a million', () => ({ list: new Array(1_000_000).fill(7) })],
    ['a list of ten million', () => ({ list: new Array(10_000_000).fill(0.5) })],
    ['a list with a length only', () => ({ list: new Array(2 ** 32 - 1) })],
    [
      '70,000 one-letter keys',
      () => Object.fromEntries([...Array(55_000).keys()].map((n) => [String.fromCharCode(n), 1])),
    ],
    ['a megabyte of bytes', () => ({ bytes: Buffer.alloc(1 << 20) })],
    ['texts that fill a chunk', () => ({ a: 'x'.repeat(131_000), b: 'y'.repeat(131_000) })],
  ])('%s never harms the events around', async (_, make) => {
    const experiment = bench.start({ capacity: 16_384 });
    experiment.capture('before', { latencyMs: 1 }, { n: 1 });
    experiment.capture('large', { latencyMs: 2 }, make());
    experiment.capture('large', make(), { n: 3 });
    experiment.capture('after', { latencyMs: 4 }, { n: 4 });
    const rows = await experiment.query();
    expect(rows.map(({ eventName }) => eventName)).toEqual(['before', 'large', 'large', 'after']);
    expect(rows[0]).toMatchObject({ latencyMs: 1, metadata: { n: 1 }, malformed: false });
    expect(rows[1]).toMatchObject({ latencyMs: 2 });
    expect(rows[3]).toMatchObject({ latencyMs: 4, metadata: { n: 4 }, malformed: false });
    expect(experiment.counts.captured).toBe(4);
  });

  it('that fit a chunk exactly once come back whole, one after another', async () => {
    const experiment = bench.start({ capacity: 16_384 });
    const text = 'x'.repeat(200_000);
    for (let n = 0; n < 8; n++) experiment.capture('e', {}, { n, text });
    const rows = await experiment.query();
    expect(rows.map(({ metadata }) => [metadata.n, metadata.text === text])).toEqual(
      [...Array(8).keys()].map((n) => [n, true]),
    );
    expect(experiment.counts.malformed).toBe(0);
  });
});

describe('odd times', () => {
  it.each<[string, unknown]>([
    ['negative', -5],
    ['zero', 0],
    ['2^53', 2 ** 53],
    ['of a far future', 8.64e18],
  ])('a time that is %s is kept', async (_, time) => {
    const experiment = bench.start();
    experiment.captureAt(time as number, 'e', {});
    expect(await lastEvent(experiment)).toMatchObject({ timestamp: time, malformed: false });
  });

  it.each<[string, unknown]>([
    ['Infinity', Number.POSITIVE_INFINITY],
    ['-Infinity', Number.NEGATIVE_INFINITY],
    ['text', 'yesterday'],
    ['an object', {}],
    ['a bigint', 1_700_000_000_000_000n],
    ['a symbol', Symbol('s')],
  ])('a time that is %s is malformed; the event is kept and no other harmed', async (_, time) => {
    const experiment = bench.start();
    experiment.captureAt(START_US, 'before', {}, { n: 1 });
    experiment.captureAt(time as number, 'odd', { latencyMs: 2 }, { n: 2 });
    experiment.captureAt(START_US + 5, 'after', {}, { n: 3 });
    const rows = (await experiment.query()).toSorted((a, b) => a.sequence - b.sequence);
    expect(rows.map(({ metadata }) => metadata.n)).toEqual([1, 2, 3]);
    expect(rows.map(({ timestamp }) => Number.isSafeInteger(timestamp))).toEqual([true, true, true]);
    expect(rows[0]!.timestamp).toBe(START_US);
    expect(rows[2]!.timestamp).toBe(START_US + 5);
    expect(rows.map(({ malformed }) => malformed)).toEqual([false, true, false]);
    expect(experiment.counts).toMatchObject({ captured: 3, malformed: 1 });
  });

  it('NaN for recordAt is malformed', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    recorder.recordAt(START_US, 1);
    recorder.recordAt(Number.NaN, 2);
    recorder.recordAt(START_US + 5, 3);
    const rows = await experiment.query();
    expect(rows.map(({ latencyMs }) => latencyMs)).toEqual([1, 2, 3]);
    expect(experiment.counts.malformed).toBe(1);
  });

  it('a time between two microseconds is found by a range that holds its timestamp', async () => {
    const experiment = bench.start();
    experiment.recorder('e').recordAt(1000.7, 1);
    expect((await experiment.query())[0]?.timestamp).toBe(1000);
    expect(await experiment.query({ timeRange: [0, 1000] })).toHaveLength(1);
    expect(await experiment.query({ timeRange: [1001, 2000] })).toHaveLength(0);
  });
});

describe('a getter that captures in turn', () => {
  const rowsOf = async (experiment: Experiment) =>
    Object.fromEntries((await experiment.query()).map((row) => [row.eventName, row]));

  it('leaves both events intact', async () => {
    const experiment = bench.start({ columns: { c: 'i32', d: 'dict' } });
    const inner = () => {
      experiment.capture('inner', { latencyMs: 7 }, { c: 2, model: 'inner-model', text: 'y'.repeat(500) });
      return 'got';
    };
    const metadata = {
      before: 1,
      c: 1,
      get got() {
        return inner();
      },
      d: 'outer',
      model: 'outer-model',
      after: 2,
    };
    experiment.capture('outer', { latencyMs: 5 }, metadata);
    const rows = await rowsOf(experiment);
    expect(rows.outer).toMatchObject({ latencyMs: 5, model: 'outer-model', malformed: false });
    expect(rows.outer?.metadata).toEqual({
      before: 1,
      c: 1,
      got: 'got',
      d: 'outer',
      model: 'outer-model',
      after: 2,
    });
    expect(rows.inner).toMatchObject({ latencyMs: 7, model: 'inner-model', malformed: false });
    expect(rows.inner?.metadata).toEqual({ c: 2, model: 'inner-model', text: 'y'.repeat(500) });
    expect(experiment.counts).toMatchObject({ captured: 2, malformed: 0 });
  });

  it('may do so in measurements, in nested values, through the bus, and for the same event', async () => {
    const experiment = bench.start();
    let n = 0;
    const metadata = {
      deep: [
        {
          get got() {
            telemetry.execute('altar.tool.stop', { latencyMs: 3 }, { n: ++n });
            return 1;
          },
        },
      ],
      model: 'outer-model',
    };
    const measurements = {
      get extra() {
        experiment.capture('outer', {}, { n: ++n });
        return 2;
      },
      latencyMs: 9,
    };
    experiment.capture('outer', measurements, metadata);
    const rows = await experiment.query();
    expect(rows.map(({ eventName, metadata }) => [eventName, metadata])).toEqual([
      ['altar.tool.stop', { n: 1 }],
      ['outer', { n: 2 }],
      ['outer', { deep: [{ got: 1 }], model: 'outer-model' }],
    ]);
    expect(rows[2]).toMatchObject({
      latencyMs: 9,
      measurements: { extra: 2, latencyMs: 9 },
      model: 'outer-model',
    });
  });

  it('may do so many levels deep', async () => {
    const experiment = bench.start();
    const at = (level: number): Record<string, unknown> => ({
      level,
      get got() {
        if (level < 40) experiment.capture(`level.${level + 1}`, { latencyMs: level + 1 }, at(level + 1));
        return level;
      },
      after: level,
    });
    experiment.capture('level.0', { latencyMs: 0 }, at(0));
    const rows = await experiment.query();
    expect(rows.map(({ metadata }) => metadata.level)).toEqual([...Array(41).keys()].reverse());
    for (const { latencyMs, metadata } of rows) {
      expect(metadata).toEqual({ level: latencyMs, got: latencyMs, after: latencyMs });
    }
  });

  it('may throw after it did', async () => {
    const experiment = bench.start();
    experiment.capture(
      'outer',
      {},
      {
        n: 1,
        get got() {
          experiment.capture('inner', {}, { n: 2 });
          return throwing();
        },
        after: 3,
      },
    );
    const rows = await rowsOf(experiment);
    expect(rows.outer).toMatchObject({ malformed: true, metadata: { n: 1, got: null, after: 3 } });
    expect(rows.inner).toMatchObject({ malformed: false, metadata: { n: 2 } });
  });

  it('may stop the experiment', async () => {
    const experiment = bench.start();
    experiment.capture(
      'outer',
      {},
      {
        get got() {
          void experiment.stop();
          return 1;
        },
      },
    );
    await experiment.stop();
    expect(experiment.status).toBe('stopped');
    expect(experiment.counts.captured).toBeLessThanOrEqual(1);
  });

  it('does not hide that the outer event lost something', async () => {
    const experiment = bench.start();
    experiment.capture(
      'outer',
      {},
      {
        lost: () => 1,
        get got() {
          experiment.capture('inner', {}, { n: 1 });
          return 1;
        },
      },
    );
    const rows = await rowsOf(experiment);
    expect(rows.outer).toMatchObject({ malformed: true });
    expect(rows.inner).toMatchObject({ malformed: false });
  });

  it('does not make the outer event malformed where only the inner one is', async () => {
    const experiment = bench.start();
    experiment.capture(
      'outer',
      {},
      {
        get got() {
          experiment.capture('inner', {}, { lost: () => 1 });
          return 1;
        },
      },
    );
    const rows = await rowsOf(experiment);
    expect(rows.inner).toMatchObject({ malformed: true });
    expect(rows.outer).toMatchObject({ malformed: false });
  });

  it('may give the inner event an object that is part of the outer one', async () => {
    const experiment = bench.start();
    let done = false;
    const shared = {
      own: 1,
      get got() {
        if (!done) {
          done = true;
          experiment.capture('inner', {}, { shared });
        }
        return 2;
      },
    };
    experiment.capture('outer', {}, { shared });
    const rows = await rowsOf(experiment);
    expect(rows.inner).toMatchObject({ malformed: false, metadata: { shared: { own: 1, got: 2 } } });
    expect(rows.outer).toMatchObject({ malformed: false, metadata: { shared: { own: 1, got: 2 } } });
  });
});

/** Values that fast-check cannot hold, since it looks into them: made where their marker stands. */
const MARKED: Readonly<Record<string, () => unknown>> = {
  '@proxy': hostile,
  '@proxied list': () => new Proxy([], { get: throwing }),
  '@getter that throws': () => withGetter(throwing, { own: 1 }),
  '@getter': () => withGetter(() => ({ deep: [1] }), { own: 1 }),
  '@toJSON that throws': () => ({ toJSON: throwing }),
  '@toString that throws': () => ({ toString: throwing, valueOf: throwing, [Symbol.toPrimitive]: throwing }),
  '@cycle': cyclic,
  '@deep': () => nested(200),
  '@large': () => 'x'.repeat(300_000),
  '@function': () => throwing,
  '@symbol': () => Symbol('s'),
  '@class': () => class {},
  '@promise': () => Promise.resolve(1),
  '@error': () => new Error('e'),
  '@weak map': () => new WeakMap(),
};

function unmarked(value: unknown): unknown {
  if (typeof value === 'string' && Object.hasOwn(MARKED, value)) return MARKED[value]!();
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const inner = unmarked((value as Record<string, unknown>)[key]);
    Object.defineProperty(copy, key, { value: inner, enumerable: true, configurable: true, writable: true });
  }
  return copy;
}

describe('any values at all', () => {
  const anything = fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withNullPrototype: true,
    withSparseArray: true,
    withObjectString: true,
  });
  const odd: fc.Arbitrary<unknown> = fc.oneof(
    { weight: 4, arbitrary: anything },
    { weight: 1, arbitrary: fc.double() },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    { weight: 1, arbitrary: fc.bigInt() },
    {
      weight: 1,
      arbitrary: fc.constantFrom<unknown>('\ud800', -0, 2 ** 53, 10n ** 400n, new Date(Number.NaN), /x/),
    },
    { weight: 3, arbitrary: fc.constantFrom(...Object.keys(MARKED)) },
  );
  const KEYS = [
    'duration',
    'start',
    'stop',
    'latencyMs',
    'cost',
    'status',
    'model',
    'provider',
    'tokens',
    'error',
    'response',
    'sessionId',
    'totalCost',
    'declared',
    'text',
    '__proto__',
    'constructor',
    'x',
  ];
  const record = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.dictionary(fc.oneof(fc.constantFrom(...KEYS), fc.string()), odd, { maxKeys: 6 }),
    },
    { weight: 1, arbitrary: odd },
  );
  const name = fc.oneof(
    fc.constantFrom<unknown>('req_llm.request.stop', 'a.b', 'hedging.request.stop'),
    fc.string(),
    odd,
  );

  it('are one event each: never a throw, captured + 1, the neighbours unaffected', async () => {
    const experiment = bench.start({
      capacity: 16_384,
      events: 'all',
      columns: { declared: 'f64', text: 'dict' },
    });
    let failures = 0;
    telemetry.attach('watch', 'telemetry.handler.failure', () => failures++);
    let n = 0;
    const marks: number[] = [];
    const mark = () => {
      experiment.capture(
        'mark',
        { duration: n * 1e6, cost: n },
        { n, model: `m${n % 3}`, declared: n, text: `t${n}` },
      );
      marks.push(n++);
    };
    try {
      fc.assert(
        fc.property(
          name,
          record,
          record,
          record,
          fc.boolean(),
          (event, measurements, metadata, context, byBus) => {
            mark();
            const before = experiment.counts.captured;
            // The bus takes only what can be a name; what cannot has tests of its own.
            const onBus = byBus && typeof event === 'string' && event !== '';
            const emit = () =>
              onBus
                ? telemetry.execute(event as string, measurements as never, metadata as never)
                : experiment.capture(event as never, measurements as never, metadata as never);
            experiment.run(emit, context as never);
            expect(experiment.counts.captured).toBe(before + 1);
          },
        ),
        { numRuns: 400 },
      );
    } finally {
      telemetry.detach('watch');
    }
    mark();
    expect(failures).toBe(0);
    const { captured, retained, malformed, dropped } = experiment.counts;
    expect(captured).toBe(retained + dropped);
    const rows = await experiment.query();
    expect(rows).toHaveLength(experiment.counts.retained);
    const seen = rows.filter(
      ({ eventName, metadata }) =>
        eventName === 'mark' && typeof metadata.declared === 'number' && metadata.n === metadata.declared,
    );
    expect(seen.length).toBeGreaterThan(50);
    for (const row of seen) {
      const i = row.metadata.n as number;
      expect(row).toMatchObject({ latencyMs: i, costUsd: i, model: `m${i % 3}`, malformed: false });
      expect(row.metadata).toEqual({ n: i, model: `m${i % 3}`, declared: i, text: `t${i}` });
    }
    if (dropped === 0) {
      expect(seen.map(({ metadata }) => metadata.n)).toEqual(marks);
      expect(malformed).toBeLessThanOrEqual(captured);
      expect(rows.filter((row) => row.malformed)).toHaveLength(experiment.counts.malformed);
    }
    for (const row of rows) {
      expect(row.eventName).toBeTypeOf('string');
      for (const value of [row.latencyMs, row.costUsd])
        expect(value === null || Number.isFinite(value)).toBe(true);
    }
    expect(await experiment.metrics()).toMatchObject({ summary: { totalEvents: rows.length } });
    expect(experiment.streamingMetrics().count).toBe(captured);
    expect((await experiment.windowedMetrics({ sizeUs: 1e6, stepUs: 1e6 })).length).toBeGreaterThan(0);
  });

  it('as bound values, span results and errors never throw into the emitter', () => {
    const experiment = bench.start({ capacity: 16_384 });
    const recorder = experiment.recorder('e');
    fc.assert(
      fc.property(
        odd.map((value) => [value]),
        ([marked]) => {
          const error = unmarked(marked);
          const before = experiment.counts.captured;
          recorder.start().fail(error);
          expect(experiment.counts.captured).toBe(before + 1);
        },
      ),
      { numRuns: 150 },
    );
  });
});
