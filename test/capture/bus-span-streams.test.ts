/** Spans around streams: they end when their consumer has come to the end, and say how that went. */

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { telemetry } from '../../src/capture/bus.js';
import { ApiPromise, EventStream, SdkStream, StreamTextResult } from '../support/sdk-shapes.js';
import { useBench } from './support.js';

const bench = useBench();
const PREFIX = 'req_llm.request';

interface Heard {
  readonly event: string;
  readonly measurements: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
}

let heard: Heard[] = [];
function listen(): void {
  heard = [];
  telemetry.attach(
    'span-streams',
    [`${PREFIX}.start`, `${PREFIX}.stop`, `${PREFIX}.exception`],
    (event, measurements, metadata) => {
      heard.push({ event, measurements, metadata });
    },
  );
}
afterEach(() => telemetry.detach('span-streams'));

/** What the span's end said, which must have been the only one. */
function end(): Heard {
  expect(heard.map(({ event }) => event)).toHaveLength(2);
  return heard[1] as Heard;
}

const BROKEN = new Error('connection reset');

async function* chunks(breaks = false) {
  for (let chunk = 0; chunk < 3; chunk++) {
    await sleep(1);
    yield chunk;
  }
  if (breaks) throw BROKEN;
}

function* syncChunks(breaks = false) {
  yield* [0, 1, 2];
  if (breaks) throw BROKEN;
}

function webStream(breaks = false): ReadableStream<number> {
  const source = chunks(breaks);
  return new ReadableStream<number>(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => void (await source.return()),
    },
    { highWaterMark: 0 },
  );
}

const byteStream = (breaks = false) =>
  webStream(breaks).pipeThrough(
    new TransformStream({ transform: (chunk, controller) => controller.enqueue(Uint8Array.of(chunk)) }),
  );

const nodeStream = (breaks = false) => Readable.from(chunks(breaks));

type Chunks = AsyncIterable<unknown> | Iterable<unknown>;

async function drain(iterable: Chunks): Promise<void> {
  for await (const _ of iterable);
}

async function leave(iterable: Chunks): Promise<void> {
  for await (const _ of iterable) break;
}

async function readAll(stream: ReadableStream<unknown>): Promise<void> {
  const reader = stream.getReader();
  while (!(await reader.read()).done);
}

async function readOne(stream: ReadableStream<unknown>): Promise<void> {
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel('enough');
}

async function flow(stream: Readable): Promise<void> {
  stream.on('data', () => {});
  await once(stream, 'end');
}

const toSink = (stream: ReadableStream<unknown>) => stream.pipeTo(new WritableStream());

interface Case<T = never> {
  make(breaks?: boolean): T;
  /** Consumes it all, and throws what it throws. */
  drain(value: T): unknown;
  /** Leaves it after a chunk. */
  leave?(value: T): unknown;
  /** The runtime reads it past its reader, from Node 26 on: its chunks are not seen. */
  isReadUnseen?: boolean;
}
const of = <T>(it: Case<T>): Case => it as unknown as Case;

/** Each consumed as it would be where nobody watches. */
const CASES: Record<string, Case> = {
  'an async generator': of({ make: chunks, drain, leave }),
  'an async generator, by hand': of({
    make: chunks,
    drain: async (made) => {
      while (!(await made.next()).done);
    },
    leave: async (made) => {
      await made.next();
      await made.return();
    },
  }),
  'an async generator, with several requests at once': of({
    make: chunks,
    drain: (made) => Promise.all([made.next(), made.next(), made.next(), made.next()]),
  }),
  'a generator': of<Generator<number>>({ make: syncChunks, drain: (made) => [...made], leave }),
  'an async iterable': of({
    make: (breaks) => ({ [Symbol.asyncIterator]: () => chunks(breaks) }),
    drain,
    leave,
  }),
  'an async iterable whose iterators have only next': of({
    make: (breaks) => {
      const source = chunks(breaks);
      return { [Symbol.asyncIterator]: () => ({ next: () => source.next() }) };
    },
    drain,
  }),
  'a frozen async iterable': of({
    make: (breaks) => Object.freeze({ [Symbol.asyncIterator]: () => chunks(breaks) }),
    drain,
    leave,
  }),
  'a promise of an async generator': of({
    make: async (breaks) => chunks(breaks),
    drain: async (made) => drain(await made),
    leave: async (made) => leave(await made),
  }),

  'a ReadableStream': of({ make: webStream, drain, leave }),
  'a ReadableStream, by its reader': of({ make: webStream, drain: readAll, leave: readOne }),
  'a ReadableStream, from reader to reader': of({
    make: webStream,
    drain: async (made) => {
      const reader = made.getReader();
      await reader.read();
      reader.releaseLock();
      await readAll(made);
    },
    leave: async (made) => {
      const reader = made.getReader();
      const waiting = reader.read();
      reader.releaseLock();
      await waiting.catch(() => {});
      await made.cancel();
    },
  }),
  'a ReadableStream, cancelled while a read waits': of({
    make: webStream,
    drain: readAll,
    leave: async (made) => {
      const reader = made.getReader();
      const waiting = reader.read();
      await reader.cancel();
      await waiting;
    },
  }),
  'a ReadableStream, piped': of({
    make: webStream,
    drain: toSink,
    leave: async (made) => {
      const signal = new AbortController();
      const sink = new WritableStream({ write: () => signal.abort() });
      await made.pipeTo(sink, { signal: signal.signal }).catch(() => {});
    },
  }),
  'a ReadableStream, piped to what fails': of({
    make: webStream,
    drain: toSink,
    leave: async (made) => {
      await expect(
        made.pipeTo(new WritableStream({ write: () => Promise.reject(new Error('full')) })),
      ).rejects.toThrow('full');
    },
  }),
  'a ReadableStream, piped through': of({
    make: webStream,
    drain: (made) => drain(made.pipeThrough(new TransformStream())),
    leave: (made) => leave(made.pipeThrough(new TransformStream())),
  }),
  'a ReadableStream, teed': of({
    make: webStream,
    drain: async (made) => {
      await Promise.all(made.tee().map(readAll));
    },
    leave: async (made) => {
      const [left, right] = made.tee();
      await Promise.all([readOne(left), readOne(right)]);
    },
  }),
  'a ReadableStream of which one branch is read': of({
    make: webStream,
    drain: async (made) => {
      const [left] = made.tee();
      await readAll(left);
    },
  }),
  'a ReadableStream as a Response': of({
    make: byteStream,
    drain: (made) => new Response(made).text(),
    leave: (made) => new Response(made).body?.cancel(),
  }),
  'a ReadableStream as a stream of Node': of({
    make: byteStream,
    drain: (made) => drain(Readable.fromWeb(made as never)),
    leave: (made) => leave(Readable.fromWeb(made as never)),
    isReadUnseen: Number.parseInt(process.versions.node, 10) >= 26,
  }),
  'a Response': of({
    make: (breaks) => new Response(byteStream(breaks)),
    drain: (made) => made.text(),
    leave: (made) => made.body?.cancel(),
  }),
  'a Response, by its body': of({
    make: (breaks) => new Response(byteStream(breaks)),
    drain: (made) => drain(made.body!),
    leave: (made) => leave(made.body!),
  }),
  'a promise of a Response': of({
    make: async (breaks) => new Response(byteStream(breaks)),
    drain: async (made) => (await made).arrayBuffer(),
    leave: async (made) => (await made).body?.cancel(),
  }),
  'a Response, cloned': of({
    make: (breaks) => new Response(byteStream(breaks)),
    drain: (made) => Promise.all([made.clone().text(), made.text()]),
  }),

  'a Readable': of({ make: nodeStream, drain, leave }),
  'a Readable, by its events': of({
    make: nodeStream,
    drain: flow,
    leave: async (made) => {
      made.once('data', () => made.destroy());
      await once(made, 'close');
    },
  }),
  'a Readable, in a pipeline': of({
    make: nodeStream,
    drain: (made) =>
      pipeline(
        made,
        new PassThrough({ objectMode: true }),
        new Writable({ objectMode: true, write: (_, __, done) => done() }),
      ),
    leave: async (made) => {
      const sink = new PassThrough({ objectMode: true }).once('data', () => sink.destroy());
      await pipeline(made, sink).catch(() => {});
    },
  }),
  'a Readable, as a stream of the web': of({
    make: nodeStream,
    drain: (made) => drain(Readable.toWeb(made)),
    leave: (made) => leave(Readable.toWeb(made)),
  }),

  'a stream of an SDK': of({ make: (breaks) => new SdkStream(() => chunks(breaks)), drain, leave }),
  'a stream of an SDK, aborted': of({
    make: (breaks) => new SdkStream(() => chunks(breaks)),
    drain,
    leave: async (made: SdkStream<number>) => {
      for await (const _ of made) made.controller.abort();
    },
  }),
  'a stream of an SDK, teed': of({
    make: (breaks) => new SdkStream(() => chunks(breaks)),
    drain: async (made) => {
      await Promise.all(made.tee().map(drain));
    },
  }),
  'a stream of an SDK, as a stream of the web': of({
    make: (breaks) => new SdkStream(() => chunks(breaks)),
    drain: (made) => drain(made.toReadableStream()),
    leave: (made) => leave(made.toReadableStream()),
  }),
  'a request of an SDK': of({
    make: (breaks) => new ApiPromise(() => chunks(breaks)),
    drain: async (made) => drain(await made),
    leave: async (made) => leave(await made),
  }),
  'a request of an SDK, with its response': of({
    make: (breaks) => new ApiPromise(() => chunks(breaks)),
    drain: async (made) => drain((await made.withResponse()).data),
    leave: async (made) => leave((await made.withResponse()).data),
  }),
  'a stream of events of an SDK': of({ make: (breaks) => new EventStream(() => chunks(breaks)), drain }),
  'a result with a getter of streams': of({
    make: (breaks) => new StreamTextResult(() => chunks(breaks)),
    drain: (made) => drain(made.textStream),
    leave: (made) => leave(made.textStream),
  }),
  'a result with a getter of streams, as a Response': of({
    make: (breaks) => new StreamTextResult(() => chunks(breaks)),
    drain: (made) => made.toTextStreamResponse().text(),
  }),
  'an object that holds a stream': of({
    make: (breaks) => ({ stream: chunks(breaks), response: new Response('x') }),
    drain: ({ stream }) => drain(stream),
    leave: ({ stream }) => leave(stream),
  }),
};

describe.each(Object.keys(CASES))('a span around %s', (name) => {
  const it_ = CASES[name] as Case;
  const span = (breaks: boolean) => telemetry.span(PREFIX, { k: 1 }, () => it_.make(breaks));

  it('ends when it ends, as a success, with its chunks and the time to the first', async () => {
    listen();
    const made = span(false);
    expect(heard).toHaveLength(1);
    await it_.drain(made);
    await sleep(1);
    const { event, measurements, metadata } = end();
    expect(event).toBe(`${PREFIX}.stop`);
    expect(metadata).toEqual({ k: 1 });
    expect(measurements.status).toBe('ok');
    if (it_.isReadUnseen) return;
    expect(measurements.chunks).toBe(3);
    const ttftMs = measurements.ttftMs as number;
    expect(ttftMs).toBeGreaterThanOrEqual(0);
    expect(ttftMs).toBeLessThanOrEqual(Number(measurements.duration) / 1e6);
  });

  it('is an exception when it breaks, with the error that its consumer gets', async () => {
    listen();
    const made = span(true);
    const caught = await (async () => it_.drain(made))().then(
      () => 'nothing',
      (error: unknown) => error,
    );
    await sleep(1);
    const { event, metadata } = end();
    expect(event).toBe(`${PREFIX}.exception`);
    expect(metadata.error).toBe(BROKEN);
    expect(caught).toBe(BROKEN);
  });

  it('was abandoned when its consumer leaves early', async () => {
    if (it_.leave === undefined) return;
    listen();
    await it_.leave(span(false));
    for (let wait = 0; heard.length < 2 && wait < 100; wait++) await sleep(1);
    await sleep(1);
    const { event, measurements, metadata } = end();
    expect(event).toBe(`${PREFIX}.stop`);
    expect(metadata).toEqual({ k: 1, outcome: 'abandoned' });
    expect(measurements.status).toBeUndefined();
  });

  it('leaves it in the run that made it', async () => {
    const [a, b] = [bench.start(), bench.start()];
    await it_.drain(a.run(() => span(false)));
    await it_.drain(span(false));
    await sleep(1);
    const names = async (experiment: typeof a) =>
      (await experiment.query()).map(({ eventName }) => eventName);
    expect(await names(a)).toEqual([
      `${PREFIX}.start`,
      `${PREFIX}.stop`,
      `${PREFIX}.start`,
      `${PREFIX}.stop`,
    ]);
    expect(await names(b)).toEqual([`${PREFIX}.start`, `${PREFIX}.stop`]);
  });

  it('is the same consumption that it would be without', async () => {
    listen();
    const made = it_.make();
    const returned = telemetry.span(PREFIX, {}, () => made);
    if (Object.isExtensible(made)) expect(returned).toBe(made);
    await it_.drain(returned);
  });
});

describe('a span whose result is consumed', () => {
  it('in another run ends in its own', async () => {
    const [a, b] = [bench.start(), bench.start()];
    const made = a.run(() => telemetry.span(PREFIX, {}, () => [chunks()][0]!), { sessionId: 's' });
    await b.run(() => drain(made));
    expect((await a.query()).map(({ eventName, sessionId }) => [eventName, sessionId])).toEqual([
      [`${PREFIX}.start`, 's'],
      [`${PREFIX}.stop`, 's'],
    ]);
    expect(await b.query()).toEqual([]);
  });

  it('in part ends as told by its end function, which gets the result, the last chunk and the outcome', async () => {
    const experiment = bench.start();
    const given: unknown[] = [];
    const call = () =>
      telemetry.span(
        PREFIX,
        { model: 'gpt-4' },
        async () => chunks(),
        (result, stream) => {
          given.push([typeof result[Symbol.asyncIterator], stream?.last, stream?.chunks, stream?.abandoned]);
          return {
            metadata: {
              tokens: { prompt: 1e6, completion: 0 },
              ...(stream?.abandoned ? { status: 'ok' } : {}),
            },
          };
        },
      );
    await drain(await experiment.run(call));
    await leave(await experiment.run(call));
    expect(given).toEqual([
      ['function', 2, 3, false],
      ['function', 0, 1, true],
    ]);
    const ends = await experiment.query({ eventName: `${PREFIX}.stop` });
    expect(
      ends.map(({ success, metadata, costUsd }) => [success, metadata.outcome ?? null, costUsd]),
    ).toEqual([
      [true, null, 30],
      [true, 'abandoned', 30],
    ]);
  });

  it('and has no chunks tells of none', async () => {
    listen();
    const given: unknown[] = [];
    const empty = telemetry.span(
      PREFIX,
      {},
      async function* () {},
      (_, stream) => {
        given.push(stream);
        return undefined;
      },
    );
    await drain(empty);
    expect(given).toEqual([{ chunks: 0, ttftMs: null, last: undefined, abandoned: false }]);
    expect(end().measurements).toEqual({ duration: expect.any(BigInt), status: 'ok', chunks: 0 });
  });

  it('by nobody counts neither as a success nor as a failure once its consumer has left', async () => {
    const experiment = bench.start();
    await leave(experiment.run(() => telemetry.span(PREFIX, {}, () => chunks())));
    await drain(experiment.run(() => telemetry.span(PREFIX, {}, () => chunks())));
    const { reliability } = await experiment.metrics({ eventName: `${PREFIX}.stop` });
    expect(reliability).toMatchObject({ totalRequests: 2, decidedRequests: 1, successful: 1, failed: 0 });
  });

  it('through a generator that yields on its way out goes on until that is over', async () => {
    listen();
    const made = telemetry.span(PREFIX, {}, function* () {
      try {
        yield 1;
      } finally {
        yield 2;
      }
    });
    made.next();
    expect(made.return(undefined)).toEqual({ done: false, value: 2 });
    expect(heard).toHaveLength(1);
    expect(made.next().done).toBe(true);
    expect(end().measurements.chunks).toBe(2);
  });

  it('through a generator that is thrown into is an exception, unless it goes on', async () => {
    listen();
    const stubborn = telemetry.span(PREFIX, {}, function* () {
      try {
        yield 1;
      } catch {
        yield 2;
      }
    });
    stubborn.next();
    expect(stubborn.throw(new Error('in')).value).toBe(2);
    expect(heard).toHaveLength(1);
    stubborn.next();
    expect(end().event).toBe(`${PREFIX}.stop`);

    telemetry.detach('span-streams');
    listen();
    const weak = telemetry.span(PREFIX, {}, function* () {
      yield 1;
    });
    weak.next();
    expect(() => weak.throw(BROKEN)).toThrow(BROKEN);
    expect(end()).toMatchObject({ event: `${PREFIX}.exception`, metadata: { error: BROKEN } });
  });

  it('as two streams ends with the later one', async () => {
    listen();
    const [one, two] = telemetry.span(PREFIX, {}, () => [chunks(), chunks()] as const);
    await drain(one);
    expect(heard).toHaveLength(1);
    await drain(two);
    expect(end().measurements).toMatchObject({ status: 'ok', chunks: 6 });
  });

  it('by a promise that it gives, where nobody iterates it, ends with that', async () => {
    listen();
    const made = telemetry.span(PREFIX, {}, () => new EventStream(() => chunks()));
    expect(made.on('chunk', () => {})).toBe(made);
    expect(heard).toHaveLength(1);
    expect(await made.final()).toEqual([0, 1, 2]);
    expect(end().event).toBe(`${PREFIX}.stop`);
    telemetry.detach('span-streams');
    listen();
    expect(await telemetry.span(PREFIX, {}, () => new StreamTextResult(() => chunks())).text).toBe('012');
    expect(end().measurements).toEqual({ status: 'ok', duration: expect.any(BigInt) });
  });

  it('by somebody else already ends at once', async () => {
    listen();
    const locked = webStream();
    locked.getReader();
    telemetry.span(PREFIX, {}, () => locked);
    expect(end().event).toBe(`${PREFIX}.stop`);
    telemetry.detach('span-streams');
    listen();
    await telemetry.span(PREFIX, {}, async () => {
      const response = new Response('read');
      await response.text();
      return response;
    });
    expect(end().event).toBe(`${PREFIX}.stop`);
  });

  it('wrongly is no failure of the stream', async () => {
    listen();
    const made = telemetry.span(PREFIX, {}, () => webStream());
    const reader = made.getReader();
    await expect(made.cancel()).rejects.toThrow(TypeError);
    expect(() => made.getReader()).toThrow(TypeError);
    await expect(made.pipeTo(new WritableStream())).rejects.toThrow(TypeError);
    expect(() => made.pipeThrough(new TransformStream())).toThrow(TypeError);
    expect(heard).toHaveLength(1);
    while (!(await reader.read()).done);
    expect(end().event).toBe(`${PREFIX}.stop`);

    telemetry.detach('span-streams');
    listen();
    const response = telemetry.span(PREFIX, {}, () => new Response(byteStream()));
    const [body] = [response.body!.getReader()];
    await expect(response.text()).rejects.toThrow(TypeError);
    expect(() => response.clone()).toThrow(TypeError);
    expect(heard).toHaveLength(1);
    while (!(await body.read()).done);
    expect(end().measurements).toMatchObject({ status: 'ok', chunks: 3 });
  });

  it('under back-pressure holds nothing back, and reads nothing ahead', async () => {
    listen();
    let pulled = 0;
    const made = telemetry.span(
      PREFIX,
      {},
      () => new ReadableStream({ pull: (controller) => controller.enqueue(pulled++) }, { highWaterMark: 0 }),
    );
    const written: unknown[] = [];
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const sink = new WritableStream(
      {
        async write(chunk) {
          written.push(chunk);
          await gate;
        },
      },
      { highWaterMark: 1 },
    );
    const stop = new AbortController();
    const piped = made.pipeTo(sink, { signal: stop.signal });
    await sleep(20);
    expect(written).toEqual([0]);
    expect(pulled).toBeLessThanOrEqual(3);
    stop.abort();
    open();
    await piped.catch(() => {});
  });
});

describe('a stream that nobody holds any more', () => {
  it('was abandoned', async () => {
    const program = `
      import { setTimeout as sleep } from 'node:timers/promises';
      import { telemetry } from './dist/src/index.js';
      let asked = 0;
      telemetry.attach('ears', ['op.stop'], (event, measurements, metadata) => console.log(metadata.k, metadata.outcome, measurements.chunks ?? 0));
      const span = (k, make) => telemetry.span('op', { k }, make, () => { asked++; });
      async function* chunks() { for (;;) { yield 1; } }
      await (async () => {
        span('untouched', chunks);
        const iterator = span('begun', chunks)[Symbol.asyncIterator]();
        await iterator.next();
        await span('reader', () => new ReadableStream({ pull: (controller) => controller.enqueue(1) })).getReader().read();
        await span('promised', async () => new Response(new ReadableStream({ pull() {} })));
        span('thenable', () => ({ then() {} }));
      })();
      for (let wait = 0; wait < 20; wait++) { await sleep(5); globalThis.gc(); }
      console.log('asked', asked);`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--expose-gc',
      '--input-type=module',
      '-e',
      program,
    ]);
    expect(stdout.trim().split('\n').toSorted()).toEqual([
      'asked 0',
      'begun abandoned 1',
      'promised abandoned 0',
      'reader abandoned 1',
      'thenable abandoned 0',
      'untouched abandoned 0',
    ]);
  });
});

describe('a refusal', () => {
  it.each<[string, () => Response | Promise<Response>]>([
    ['promised', async () => new Response('no', { status: 500 })],
    ['at once', () => new Response('no', { status: 429 })],
    ['with a stream', async () => new Response(byteStream() as never, { status: 503 })],
  ])('%s is a failure when it arrives, whether anybody reads it or not', async (_, make) => {
    listen();
    const response = await telemetry.span(PREFIX, {}, make);
    expect(end()).toMatchObject({ event: `${PREFIX}.stop`, measurements: { status: 'error' } });
    await response.text();
    expect(end().metadata).not.toHaveProperty('outcome');
  });
});
