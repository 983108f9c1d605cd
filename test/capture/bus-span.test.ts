/** Spans around calls: how they end, what their ends say, and what they leave as it is. */

import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { HANDLER_FAILURE, telemetry } from '../../src/capture/bus.js';
import type { SpanHandle } from '../../src/capture/bus-span.js';
import type { EventRow } from '../../src/schema/event.js';
import { RULES } from '../../src/schema/spellings.js';
import { ApiPromise } from '../support/sdk-shapes.js';
import { useBench } from './support.js';

const bench = useBench();
const PREFIX = 'req_llm.request';

const attached: string[] = [];
afterEach(() => {
  for (const id of attached.splice(0)) telemetry.detach(id);
});

type Heard = { event: string; measurements: Record<string, unknown>; metadata: Record<string, unknown> };

function listen(...events: string[]): Heard[] {
  const heard: Heard[] = [];
  const id = `span-${attached.push('')}`;
  attached[attached.length - 1] = id;
  telemetry.attach(id, events, (event, measurements, metadata) => {
    heard.push({ event, measurements, metadata });
  });
  return heard;
}

const listenToSpans = () => listen(`${PREFIX}.start`, `${PREFIX}.stop`, `${PREFIX}.exception`);
const last = (heard: Heard[]) => heard.at(-1) as Heard;

/** What an experiment makes of a span: its start and its end. */
async function rowsOf(call: () => unknown): Promise<[start: EventRow, end: EventRow]> {
  const experiment = bench.start();
  await experiment.run(() => call());
  const rows = (await experiment.query()).toSorted((a, b) => a.sequence - b.sequence);
  expect(rows).toHaveLength(2);
  return rows as [EventRow, EventRow];
}

describe('a span around a call that returns', () => {
  it.each<[string, () => unknown]>([
    ['a value', () => 5],
    ['nothing', () => undefined],
    ['a promise', () => sleep(1, 'x')],
    ['an object', () => ({ a: 1 })],
    ['an array', () => [1, 2]],
    ['a Map', () => new Map([[1, 2]])],
    ['an iterator of a Map', () => new Map([[1, 2]]).values()],
    ['a collection', () => ({ *[Symbol.iterator]() {} })],
    ['a client with an emitter’s methods', () => new EventEmitter()],
    ['an object with a next of its own', () => ({ req: {}, next: () => {} })],
    ['a Response without a body', () => new Response(null, { status: 204 })],
    ['a function', () => () => {}],
  ])('is a success: %s', async (_, call) => {
    const [start, end] = await rowsOf(() => telemetry.span(PREFIX, {}, call));
    expect([start.eventName, start.success]).toEqual([`${PREFIX}.start`, null]);
    expect([end.eventName, end.success, end.malformed]).toEqual([`${PREFIX}.stop`, true, false]);
    expect(end.latencyMs).toBeGreaterThanOrEqual(0);
    expect(end.measurements.chunks).toBeUndefined();
  });

  it.each<[string, { measurements?: object; metadata?: object }, boolean | null]>([
    ['an error', { metadata: { error: 'refused' } }, false],
    ['an exception', { metadata: { exception: new Error('x') } }, false],
    ['a status', { metadata: { status: 'error' } }, false],
    ['a status that is measured', { measurements: { status: 'error' } }, false],
    ['a status that says nothing of it', { metadata: { status: 'partial', outcome: 'draw' } }, true],
    ['a flag', { metadata: { success: false } }, false],
    ['a flag that is measured', { measurements: { success: false } }, false],
    ['a word', { metadata: { outcome: 'timed out' } }, false],
    ['an HTTP status', { metadata: { statusCode: 503 } }, false],
    ['an attribute', { metadata: { 'error.type': 'rate_limit' } }, false],
    ['several of them, of which the first counts', { metadata: { status: 'ok', success: false } }, false],
    ['no error', { metadata: { error: null, exception: undefined } }, true],
    ['a false error', { metadata: { error: false } }, true],
  ])('unless the function or its metadata say otherwise, by %s', async (_, said, success) => {
    const ways: ((() => unknown) | null)[] = [
      () => telemetry.span(PREFIX, {}, (span) => span.set(said as never)),
      () =>
        telemetry.span(
          PREFIX,
          {},
          () => 1,
          () => said as never,
        ),
      () =>
        telemetry.span(
          PREFIX,
          {},
          async () => 1,
          async () => said as never,
        ),
      'metadata' in said ? () => telemetry.span(PREFIX, said.metadata as never, () => 1) : null,
    ];
    for (const way of ways) {
      if (way === null) continue;
      const [, end] = await rowsOf(async () => {
        way();
        await sleep(1);
      });
      expect(end.success).toBe(success);
    }
  });

  it('is one of a Response that is ok', async () => {
    for (const status of [200, 404, 500]) {
      const [, end] = await rowsOf(() =>
        telemetry.span(PREFIX, {}, async () => new Response(null, { status })),
      );
      expect(end.success).toBe(status === 200);
    }
  });
});

describe('the end of a span', () => {
  it('says what its start said, what the handle added and what its end function adds, the last of them winning', () => {
    const heard = listenToSpans();
    let handle: SpanHandle | undefined;
    telemetry.span(
      PREFIX,
      { model: 'm', arm: 'start', region: 'eu' },
      (span) => {
        handle = span;
        span.set({ metadata: { arm: 'handle', region: 'us' }, measurements: { retries: 1 } });
        span.set({ measurements: { retries: 2, queueMs: 3 } });
        return { text: 'answer' };
      },
      (result) => ({ metadata: { arm: 'end', text: result.text }, measurements: { queueMs: 4 } }),
    );
    handle?.set({ metadata: { arm: 'late' } });
    expect(heard.map(({ event }) => event)).toEqual([`${PREFIX}.start`, `${PREFIX}.stop`]);
    expect(heard[0]?.metadata).toEqual({ model: 'm', arm: 'start', region: 'eu' });
    expect(last(heard).metadata).toEqual({ model: 'm', arm: 'end', region: 'us', text: 'answer' });
    expect(last(heard).measurements).toMatchObject({ retries: 2, queueMs: 4, duration: expect.any(BigInt) });
  });

  it('is given what a promise resolved to, and no stream', async () => {
    const given: unknown[] = [];
    listenToSpans();
    await telemetry.span(
      PREFIX,
      {},
      async () => 7,
      (...all) => {
        given.push(...all);
        return undefined;
      },
    );
    expect(given).toEqual([7, undefined]);
  });

  it('waits for additions that are promised, and does not count the wait', async () => {
    const heard = listenToSpans();
    const before = process.hrtime.bigint();
    const value = telemetry.span(
      PREFIX,
      {},
      () => 1,
      async () => {
        await sleep(5);
        return { metadata: { usage: 3 } };
      },
    );
    const elapsedNs = process.hrtime.bigint() - before;
    expect(value).toBe(1);
    expect(heard).toHaveLength(1);
    while (heard.length < 2) await sleep(1);
    expect(last(heard).metadata).toEqual({ usage: 3 });
    expect(last(heard).measurements.duration as bigint).toBeLessThanOrEqual(elapsedNs);
  });

  it.each<[string, () => never]>([
    [
      'throws',
      () => {
        throw new Error('end');
      },
    ],
    [
      'rejects',
      (async () => {
        throw new Error('end');
      }) as never,
    ],
  ])('comes without additions where its function %s, which is an event itself', async (_, end) => {
    const heard = listenToSpans();
    const failures = listen(HANDLER_FAILURE);
    expect(telemetry.span(PREFIX, { a: 1 }, () => 1, end)).toBe(1);
    await sleep(1);
    expect(last(heard)).toMatchObject({ event: `${PREFIX}.stop`, metadata: { a: 1 } });
    expect(failures.map(({ metadata }) => [metadata.handlerId, metadata.event])).toEqual([
      ['span', `${PREFIX}.stop`],
    ]);
    expect(last(failures).metadata.error).toEqual(new Error('end'));
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a number', 5],
    ['text', 'text'],
    ['an empty object', {}],
  ])('takes additions that are %s for none', (_, additions) => {
    const heard = listenToSpans();
    telemetry.span(
      PREFIX,
      { a: 1 },
      (span) => span.set(additions as never),
      () => additions as never,
    );
    expect(last(heard).metadata).toEqual({ a: 1 });
  });

  it('may have metadata whose getters throw: the event counts as malformed, and nobody sees an error', async () => {
    const metadata = () =>
      Object.defineProperty({ a: 1 }, 'b', {
        enumerable: true,
        get: () => {
          throw new Error('getter');
        },
      });
    for (const call of [
      () => telemetry.span(PREFIX, metadata(), () => 1),
      () => telemetry.span(PREFIX, metadata(), (span) => span.set({ metadata: { c: 1 } })),
      () =>
        telemetry.span(
          PREFIX,
          {},
          () => 1,
          () => ({ metadata: metadata() }),
        ),
    ]) {
      const [, end] = await rowsOf(call);
      expect(end.eventName).toBe(`${PREFIX}.stop`);
    }
    const experiment = bench.start();
    const error = new Error('work');
    expect(() =>
      experiment.run(() =>
        telemetry.span(PREFIX, metadata(), () => {
          throw error;
        }),
      ),
    ).toThrow(error);
    expect(experiment.counts).toMatchObject({ captured: 2, malformed: 2 });
  });

  it('may have no metadata at all', () => {
    const heard = listenToSpans();
    telemetry.span(PREFIX, undefined as never, () => 1);
    telemetry.span(PREFIX, null as never, (span) => span.set({ metadata: { a: 1 } }));
    expect(heard).toHaveLength(4);
    expect(last(heard).metadata).toEqual({ a: 1 });
  });
});

describe('a span around a call that fails', () => {
  it('is an exception with the error, what was said until then, and its time', async () => {
    const heard = listenToSpans();
    const error = new Error('work');
    await expect(
      telemetry.span(PREFIX, { model: 'm', status: 'ok' }, async (span) => {
        span.set({ metadata: { attempt: 2 }, measurements: { retries: 1 } });
        throw error;
      }),
    ).rejects.toBe(error);
    expect(last(heard).event).toBe(`${PREFIX}.exception`);
    expect(last(heard).metadata).toEqual({ model: 'm', status: 'ok', attempt: 2, error });
    expect(last(heard).measurements).toMatchObject({ retries: 1, duration: expect.any(BigInt) });
  });

  it('is a failure, whatever its metadata say', async () => {
    const [, end] = await rowsOf(() =>
      telemetry
        .span(PREFIX, { status: 'ok', response: 'r' }, () => Promise.reject(new Error('x')))
        .catch(() => {}),
    );
    expect([end.eventName, end.success]).toEqual([`${PREFIX}.exception`, false]);
  });

  it('throws the very error, with its stack', async () => {
    listenToSpans();
    const error = new Error('work');
    const { stack } = error;
    expect(() =>
      telemetry.span(PREFIX, {}, () => {
        throw error;
      }),
    ).toThrow(error);
    await expect(telemetry.span(PREFIX, {}, () => Promise.reject(error))).rejects.toBe(error);
    expect(error.stack).toBe(stack);
  });

  it('does not ask its end function', () => {
    listenToSpans();
    let asked = 0;
    const call = () =>
      telemetry.span(
        PREFIX,
        {},
        () => {
          throw new Error('x');
        },
        () => {
          asked++;
          return undefined;
        },
      );
    expect(call).toThrow('x');
    expect(asked).toBe(0);
  });
});

describe('cost and tokens given at the start', () => {
  it('count once, at the end; everything else is said at both', async () => {
    const metadata = {
      model: 'gpt-4',
      cost: 2,
      tokens: { prompt: 10, completion: 5, total: 15 },
      max_tokens: 100,
      maxOutputTokens: 7,
      tokenizer: 'cl100k',
      costCenter: 'research',
    };
    const { cost: _, tokens: __, ...rest } = metadata;
    for (const call of [
      () => telemetry.span(PREFIX, metadata, () => 1),
      () => telemetry.span(PREFIX, metadata, async () => 1),
      () => telemetry.span(PREFIX, metadata, () => Promise.reject(new Error('x'))).catch(() => {}),
    ]) {
      const experiment = bench.start();
      await experiment.run(() => call());
      const metrics = await experiment.metrics();
      expect(metrics.cost).toMatchObject({ total: 2, count: 1 });
      expect(metrics.tokens).toMatchObject({ count: 1, total: 15 });
      const [start, end] = await experiment.query();
      expect(start?.metadata).toEqual(rest);
      expect(end?.metadata).toMatchObject({ ...rest, cost: 2 });
    }
  });

  const charges = RULES.filter(
    ({ quantity, in: parts }) =>
      (quantity === 'costUsd' || quantity === 'tokens') && parts.includes('metadata'),
  ).flatMap(({ keys }) => keys);

  it.each([...charges])('are not said at the start under the name %s', (name) => {
    const heard = listenToSpans();
    telemetry.span(PREFIX, { [name]: 1, kept: 1 }, () => 1);
    expect(heard.map(({ metadata }) => metadata)).toEqual([{ kept: 1 }, { [name]: 1, kept: 1 }]);
  });

  it('may be given by the handle and the end as well: the last ones count', async () => {
    const experiment = bench.start();
    experiment.run(() =>
      telemetry.span(
        PREFIX,
        { cost: 1 },
        (span) => span.set({ metadata: { cost: 2 } }),
        () => ({ metadata: { cost: 3 } }),
      ),
    );
    expect((await experiment.metrics()).cost).toMatchObject({ total: 3, count: 1 });
  });
});

describe('what a function returns', () => {
  it('is the promise that it is, members and class included', async () => {
    listenToSpans();
    const plain = Object.assign(sleep(1, 5), { json: () => 'json' });
    const returned = telemetry.span(PREFIX, {}, () => plain);
    expect(returned).toBe(plain);
    expect(returned.json()).toBe('json');
    expect(await returned).toBe(5);

    const request = new ApiPromise(async function* () {
      yield 1;
    });
    const same = telemetry.span(PREFIX, {}, () => request);
    expect(same).toBe(request);
    expect(same).toBeInstanceOf(ApiPromise);
    const { data, response } = await same.withResponse();
    expect(await response.text()).toBe('body');
    expect(await same).toBe(data);
    expect(request.parses).toBe(1);
  });

  it('leaves the body to whoever asks an SDK’s promise for the response', async () => {
    const heard = listenToSpans();
    const request = telemetry.span(PREFIX, {}, () => new ApiPromise(async function* () {}));
    const response = await request.asResponse();
    expect(heard).toHaveLength(1);
    expect(await response.text()).toBe('body');
    expect(request.parses).toBe(0);
    expect(last(heard)).toMatchObject({ event: `${PREFIX}.stop`, measurements: { chunks: 1 } });
  });

  it('of an SDK ends with whatever its consumer asks of it, which is asked once', async () => {
    const request = () =>
      new ApiPromise(async function* () {
        yield 1;
      });
    const ways: Record<
      string,
      (it: ApiPromise<number>) => Promise<{ [Symbol.asyncIterator](): AsyncIterator<number> }>
    > = {
      waiting: async (it) => it,
      withResponse: async (it) => (await it.withResponse()).data,
      catch: async (it) => it.catch(() => Promise.reject(new Error('never'))),
      finally: async (it) => it.finally(() => {}),
      unwrapped: async (it) => it._thenUnwrap(),
    };
    for (const [way, ask] of Object.entries(ways)) {
      const heard = listenToSpans();
      const promise = request();
      for await (const _ of await ask(telemetry.span(PREFIX, { way }, () => promise)));
      expect(heard.map(({ event }) => event)).toEqual([`${PREFIX}.start`, `${PREFIX}.stop`]);
      expect(last(heard).measurements.chunks).toBe(1);
      expect(promise.parses).toBe(way === 'unwrapped' ? 0 : 1);
      telemetry.detach(attached.pop() as string);
    }
  });

  it('of an SDK that fails is an exception, whichever way it is caught', async () => {
    const ways: ((it: ApiPromise<number>) => Promise<unknown>)[] = [
      async (it) => it,
      (it) => it.withResponse(),
      (it) => it.asResponse(),
      (it) => it.catch((error: unknown) => error),
      (it) => it.finally(() => {}),
      (it) => it._thenUnwrap(),
    ];
    for (const ask of ways) {
      const heard = listenToSpans();
      const error = new Error('429');
      const promise = telemetry.span(
        PREFIX,
        {},
        () => new ApiPromise<number>(async function* () {}, Promise.reject(error)),
      );
      expect(await ask(promise).catch((caught: unknown) => caught)).toBe(error);
      expect(heard.map(({ event }) => event)).toEqual([`${PREFIX}.start`, `${PREFIX}.exception`]);
      expect(last(heard).metadata).toEqual({ error });
      telemetry.detach(attached.pop() as string);
    }
  });

  it('is not asked to do its work before somebody waits', async () => {
    const heard = listenToSpans();
    let asked = 0;
    const query = telemetry.span(PREFIX, {}, () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what makes it a query builder.
      then(onFulfilled: (rows: number[]) => void) {
        asked++;
        onFulfilled([1, 2]);
      },
    }));
    expect([asked, heard.length]).toEqual([0, 1]);
    expect(await query).toEqual([1, 2]);
    expect([asked, heard.length]).toEqual([1, 2]);
  });

  it('rejects unhandled as ever where nobody handles it, and not where somebody does', async () => {
    const program = `
      import { setTimeout as sleep } from 'node:timers/promises';
      import { telemetry } from './dist/src/index.js';
      process.on('unhandledRejection', (error) => console.log('unhandled', error.message));
      telemetry.attach('ears', 'all', () => {});
      const fails = async (name) => { await sleep(1); throw new Error(name); };
      const span = (name) => telemetry.span('op', {}, () => fails(name));
      span('a');
      telemetry.span('op', {}, () => Promise.reject(new Error('b')));
      span('caught').catch(() => {});
      try { await span('awaited'); } catch {}
      const late = span('late');
      await Promise.allSettled([late, telemetry.span('op', {}, () => span('nested'))]);
      await sleep(20);`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
    expect(stdout.trim().split('\n').toSorted()).toEqual(['unhandled a', 'unhandled b']);
  });

  it('fails with a stack that leads to the code that waits', async () => {
    const program = `
      import { setTimeout as sleep } from 'node:timers/promises';
      import { telemetry } from './dist/src/index.js';
      telemetry.attach('ears', 'all', () => {});
      async function inner() { await sleep(1); throw new Error('deep'); }
      async function outer() { await telemetry.span('op', {}, () => inner()); }
      await outer().catch((error) => console.log(error.stack));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
    expect(stdout).toMatch(/at async outer/);
  });
});

describe('a span that nobody listens to', () => {
  it('is the call alone', () => {
    const value = { a: 5 };
    expect(telemetry.span('nobody.listens', {}, () => value)).toBe(value);
    const promise = Promise.resolve(1);
    expect(telemetry.span('nobody.listens', {}, () => promise)).toBe(promise);
    expect(Object.getPrototypeOf(promise)).toBe(Promise.prototype);
    expect(telemetry.span('nobody.listens', {}, (span) => span.set({ metadata: {} }))).toBeUndefined();
    expect(() =>
      telemetry.span('nobody.listens', {}, () => {
        throw new Error('x');
      }),
    ).toThrow('x');
  });

  it('is heard by whoever listens to its end alone', () => {
    const heard = listen(`${PREFIX}.stop`);
    telemetry.span(PREFIX, {}, () => 1);
    expect(heard).toHaveLength(1);
  });
});
