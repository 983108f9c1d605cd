/** What a run returns and somebody consumes outside of it goes on in that run. */

import { EventEmitter, on, once } from 'node:events';
import { Duplex, PassThrough, Readable, Transform, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { ReadableStreamBYOBRequest, UnderlyingByteSource } from 'node:stream/web';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { telemetry } from '../../src/capture/bus.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import { ApiPromise, EventStream, SdkStream, StreamTextResult } from '../support/sdk-shapes.js';
import { useBench } from './support.js';

const bench = useBench();

/** What the experiment captured under metadata.at, in order of capture. */
async function captured(experiment: Experiment): Promise<unknown[]> {
  const rows = await experiment.query();
  return rows.toSorted((a, b) => a.sequence - b.sequence).map(({ metadata }) => metadata.at);
}

const emit = (at: unknown) => telemetry.execute('req_llm.request.stop', {}, { at });

/** Arm a, in whose run things are made, and arm b, which must hear nothing of it. */
const arms = () => ({ a: bench.start({ name: 'a' }), b: bench.start({ name: 'b' }) });

async function drain(iterable: AsyncIterable<unknown> | Iterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const value of iterable) all.push(value);
  return all;
}

async function* asyncChunks() {
  try {
    for (let chunk = 0; chunk < 3; chunk++) {
      emit(`before ${chunk}`);
      await sleep(1);
      emit(`after ${chunk}`);
      yield chunk;
    }
  } finally {
    emit('finally');
  }
}

function* chunks() {
  try {
    for (let chunk = 0; chunk < 3; chunk++) {
      emit(`chunk ${chunk}`);
      yield chunk;
    }
  } finally {
    emit('finally');
  }
}

/** A stream whose every callback emits an event. */
function webStream(strategy?: QueuingStrategy): ReadableStream<number> {
  let chunk = 0;
  return new ReadableStream<number>(
    {
      start: () => emit('start'),
      async pull(controller) {
        emit('pull');
        await sleep(1);
        emit('pulled');
        if (chunk === 3) controller.close();
        else controller.enqueue(chunk++);
      },
      cancel: () => emit('cancel'),
    },
    strategy ?? { highWaterMark: 0 },
  );
}

function byteStream() {
  let chunk = 0;
  const source: UnderlyingByteSource = {
    type: 'bytes',
    async pull(controller) {
      await sleep(1);
      emit('pull');
      const request = controller.byobRequest as unknown as ReadableStreamBYOBRequest | null;
      if (chunk === 3) {
        controller.close();
        request?.respond(0);
        return;
      }
      if (request === null) controller.enqueue(Uint8Array.of(chunk));
      else {
        (request.view as Uint8Array)[0] = chunk;
        request.respond(1);
      }
      chunk++;
    },
    cancel: () => emit('cancel'),
  };
  return new ReadableStream(source);
}

function nodeStream(): Readable {
  let chunk = 0;
  return new Readable({
    objectMode: true,
    highWaterMark: 1,
    read() {
      emit('read');
      setImmediate(() => this.push(chunk === 3 ? null : chunk++));
    },
    destroy(error, callback) {
      emit('destroy');
      callback(error);
    },
  });
}

class CountedReadable extends Readable {
  #left = 3;

  override _read(): void {
    emit('read');
    setImmediate(() => this.push(this.#left-- > 0 ? 'x' : null));
  }
}

/** As streams of a polyfill are: neither the runtime's nor its readers. */
class OtherStream {
  getReader() {
    let chunk = 0;
    return {
      async read() {
        await null;
        emit('read');
        return { done: false, value: ++chunk };
      },
      async cancel() {
        emit('cancel');
      },
      releaseLock() {},
    };
  }
}

/** As hand-written iterators are: no generator, private state, no Symbol.iterator. */
class Counter {
  #at = 0;

  next(step = 1) {
    emit(`next ${step}`);
    this.#at += step;
    return { done: this.#at > 3, value: this.#at };
  }

  return(value?: unknown) {
    emit('return');
    return { done: true, value };
  }
}

class Collection {
  readonly #items = [1, 2, 3];

  *[Symbol.iterator]() {
    for (const item of this.#items) {
      emit(`item ${item}`);
      yield item;
    }
  }
}

class AsyncCollection {
  readonly #items = [1, 2, 3];

  async *[Symbol.asyncIterator]() {
    for (const item of this.#items) {
      await sleep(1);
      emit(`item ${item}`);
      yield item;
    }
  }
}

/** As query builders are: nothing happens until somebody waits. */
class Query {
  readonly #table: string;
  #limit = 0;

  constructor(table: string) {
    this.#table = table;
  }

  limit(limit: number): this {
    this.#limit = limit;
    return this;
  }

  async execute(): Promise<string> {
    emit(`query ${this.#table}`);
    await sleep(1);
    emit('queried');
    return `${this.#limit} of ${this.#table}`;
  }

  // biome-ignore lint/suspicious/noThenProperty: that is what makes it a query builder.
  then<A, B>(onFulfilled?: (value: string) => A, onRejected?: (error: unknown) => B): Promise<A | B> {
    return this.execute().then(onFulfilled, onRejected);
  }
}

/** How a value is made inside of the run, and how it is consumed outside of it. */
interface Case<T = never> {
  readonly make: () => T;
  readonly consume: (value: T) => unknown;
  /** What consuming it gives. */
  readonly gives?: unknown;
}

/** Keeps the type of what is made and consumed together. */
const of = <T>(make: () => T, consume: (value: T) => unknown, gives?: unknown): Case => ({
  make: make as () => never,
  consume: consume as (value: never) => unknown,
  gives,
});

async function readAll(stream: ReadableStream<unknown>): Promise<unknown[]> {
  // Its first pull comes by itself, where somebody asks at once.
  await sleep(1);
  const reader = stream.getReader();
  const all: unknown[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return all;
    all.push(value);
  }
}

const CASES: Record<string, Case> = {
  'an async generator': of(asyncChunks, drain, [0, 1, 2]),
  'an async generator that is left early': of(asyncChunks, async (made) => {
    for await (const _ of made) break;
  }),
  'an async generator whose consumer throws': of(asyncChunks, async (made) => {
    await expect(
      (async () => {
        for await (const _ of made) throw new Error('consumer');
      })(),
    ).rejects.toThrow('consumer');
  }),
  'an async generator asked for several values at once': of(
    asyncChunks,
    async (made) => {
      const results = await Promise.all([made.next(), made.next(), made.next(), made.next()]);
      return results.map(({ value }) => value);
    },
    [0, 1, 2, undefined],
  ),
  'an async generator delegated to': of(
    asyncChunks,
    async (made) =>
      drain(
        (async function* () {
          yield* made;
        })(),
      ),
    [0, 1, 2],
  ),
  'a generator': of(chunks, (made) => [...made], [0, 1, 2]),
  'a generator that is left early': of(chunks, (made) => {
    for (const _ of made) break;
  }),
  'a generator that is thrown into': of(chunks, (made) => {
    made.next();
    expect(() => made.throw(new Error('in'))).toThrow('in');
  }),
  'a generator taken apart': of(
    chunks,
    (made) => {
      const [first] = made;
      return first;
    },
    0,
  ),
  'an iterator made by hand': of(
    () => new Counter(),
    (made) => [made.next(2).value, made.next().value, made.return(7).value],
    [2, 3, 7],
  ),
  'an iterable': of(
    () => new Collection(),
    (made) => [...made, ...made],
    [1, 2, 3, 1, 2, 3],
  ),
  'an async iterable': of(() => new AsyncCollection(), drain, [1, 2, 3]),
  'a frozen iterable': of(
    () => Object.freeze(new Collection()),
    (made) => [...made],
    [1, 2, 3],
  ),
  'a frozen async iterable': of(() => Object.freeze(new AsyncCollection()), drain, [1, 2, 3]),
  'a frozen literal': of(() => Object.freeze({ [Symbol.asyncIterator]: asyncChunks }), drain, [0, 1, 2]),
  'a sealed generator': of(
    () => Object.seal(chunks()),
    (made) => [...made],
    [0, 1, 2],
  ),
  'an iterable without a prototype': of(
    () => Object.assign(Object.create(null) as object, { [Symbol.iterator]: chunks }),
    (made) => [...made],
    [0, 1, 2],
  ),
  'an iterable through a proxy': of(
    () => new Proxy({ [Symbol.asyncIterator]: asyncChunks }, {}),
    drain,
    [0, 1, 2],
  ),

  'a ReadableStream, by its reader': of(webStream, readAll, [0, 1, 2]),
  'a ReadableStream, iterated': of(webStream, drain, [0, 1, 2]),
  'a ReadableStream left early': of(webStream, async (made) => {
    for await (const _ of made) break;
  }),
  'a ReadableStream, by values({ preventCancel })': of(
    webStream,
    async (made) => {
      for await (const _ of made.values({ preventCancel: true })) break;
      return drain(made);
    },
    [1, 2],
  ),
  'a ReadableStream that is cancelled': of(webStream, (made) => made.cancel()),
  'a ReadableStream whose reader is cancelled': of(webStream, async (made) => {
    const reader = made.getReader();
    await reader.read();
    await reader.cancel();
  }),
  'a ReadableStream handed from reader to reader': of(
    webStream,
    async (made) => {
      await sleep(1);
      const first = made.getReader();
      const { value } = await first.read();
      first.releaseLock();
      return [value, ...(await readAll(made))];
    },
    [0, 1, 2],
  ),
  'a ReadableStream, teed': of(webStream, async (made) => Promise.all(made.tee().map(readAll)), [
    [0, 1, 2],
    [0, 1, 2],
  ]),
  'a ReadableStream, piped to a sink': of(
    webStream,
    async (made) => {
      const all: unknown[] = [];
      await made.pipeTo(new WritableStream({ write: (chunk) => void all.push(chunk) }));
      return all;
    },
    [0, 1, 2],
  ),
  'a ReadableStream, piped through a transform': of(
    webStream,
    (made) => readAll(made.pipeThrough(new TransformStream())),
    [0, 1, 2],
  ),
  'a ReadableStream of bytes, by a BYOB reader': of(
    byteStream,
    async (made) => {
      await sleep(1);
      const reader = made.getReader({ mode: 'byob' });
      const all: number[] = [];
      for (;;) {
        const { done, value } = await reader.read(new Uint8Array(1));
        if (done) return all;
        all.push(value[0] as number);
      }
    },
    [0, 1, 2],
  ),
  'a ReadableStream of bytes, as a Response': of(
    byteStream,
    async (made) => {
      await sleep(1);
      return new Response(made).text();
    },
    '\u0000\u0001\u0002',
  ),
  'a ReadableStream as a stream of Node': of(
    webStream,
    (made) => drain(Readable.fromWeb(made as never, { objectMode: true })),
    [0, 1, 2],
  ),
  'a frozen ReadableStream': of(() => Object.freeze(webStream()), readAll, [0, 1, 2]),
  'a WritableStream': of(
    () => new WritableStream({ write: (chunk) => emit(`write ${chunk}`), close: () => emit('close') }),
    async (made) => {
      const writer = made.getWriter();
      await writer.write(1);
      await writer.close();
    },
  ),

  'a WritableStream, piped to': of(
    () => new WritableStream({ write: (chunk) => emit(`write ${chunk}`), close: () => emit('close') }),
    (made) => ReadableStream.from([1, 2]).pipeTo(made),
  ),
  'a TransformStream': of(
    () =>
      new TransformStream<number, number>({
        transform(chunk, controller) {
          emit(`transform ${chunk}`);
          controller.enqueue(chunk * 2);
        },
        flush: () => emit('flush'),
      }),
    async (made) => {
      await sleep(1);
      return drain(ReadableStream.from([1, 2]).pipeThrough(made));
    },
    [2, 4],
  ),
  'a ReadableStream with an iterator of its own': of(
    () => Object.assign(webStream(), { [Symbol.asyncIterator]: asyncChunks }),
    drain,
    [0, 1, 2],
  ),
  'a stream that is none of the runtime’s': of(
    () => new OtherStream(),
    async (made) => {
      const reader = made.getReader();
      const all = [(await reader.read()).value, (await reader.read()).value];
      await reader.cancel();
      return all;
    },
    [1, 2],
  ),

  'a Response': of(
    () => new Response(byteStream()),
    async (made) => {
      await sleep(1);
      return made.text();
    },
    '\u0000\u0001\u0002',
  ),
  'a Response, by its body': of(
    () => new Response(byteStream()),
    (made) => drain(made.body!),
  ),
  'a Response, cloned': of(
    () => new Response(byteStream()),
    async (made) => [await made.clone().text(), await made.text()],
    ['\u0000\u0001\u0002', '\u0000\u0001\u0002'],
  ),

  'a Readable, by its events': of(
    nodeStream,
    async (made) => {
      const all: unknown[] = [];
      made.on('data', (chunk) => all.push(chunk));
      await once(made, 'close');
      return all;
    },
    [0, 1, 2],
  ),
  'a Readable, iterated': of(nodeStream, drain, [0, 1, 2]),
  'a Readable left early': of(nodeStream, async (made) => {
    for await (const _ of made) break;
  }),
  'a Readable, in a pipeline': of(
    nodeStream,
    async (made) => {
      const all: unknown[] = [];
      await pipeline(
        made,
        new PassThrough({ objectMode: true }),
        new Writable({
          objectMode: true,
          write(chunk, _, done) {
            all.push(chunk);
            done();
          },
        }),
      );
      return all;
    },
    [0, 1, 2],
  ),
  'a Readable, as a stream of the web': of(nodeStream, (made) => drain(Readable.toWeb(made)), [0, 1, 2]),
  'a class that extends Readable': of(() => new CountedReadable(), text, 'xxx'),
  'a Readable from an async generator': of(() => Readable.from(asyncChunks()), drain, [0, 1, 2]),
  'a Transform': of(
    () =>
      new Transform({
        objectMode: true,
        transform(chunk, _, done) {
          emit('transform');
          done(null, chunk * 2);
        },
        flush(done) {
          emit('flush');
          done();
        },
      }),
    (made) => drain(Readable.from([1, 2]).pipe(made)),
    [2, 4],
  ),
  'a Duplex': of(
    () =>
      new Duplex({
        read: () => {},
        write(_, __, done) {
          emit('write');
          done();
        },
        final(done) {
          emit('final');
          this.push(null);
          done();
        },
      }),
    async (made) => {
      made.write('x');
      made.end();
      await drain(made);
    },
  ),
  'an EventEmitter with listeners of the run': of(
    () => new EventEmitter().on('tick', () => emit('tick')),
    (made) => made.emit('tick'),
    true,
  ),
  'an EventEmitter with listeners of its consumer': of(
    () => new EventEmitter(),
    (made) => made.on('tick', () => emit('tick')).emit('tick'),
    true,
  ),
  'an EventEmitter, iterated': of(
    () => new EventEmitter().on('tick', () => emit('tick')),
    async (made) => {
      const events = on(made, 'tick');
      made.emit('tick', 1);
      return (await events.next()).value;
    },
    [1],
  ),

  'a query builder': of(
    () => new Query('t').limit(2),
    async (made) => made,
    '2 of t',
  ),
  'a query builder that its consumer goes on with': of(
    () => new Query('t'),
    async (made) => made.limit(3),
    '3 of t',
  ),
  'a query builder, by another method': of(
    () => new Query('t'),
    (made) => made.execute(),
    '0 of t',
  ),
  'a thenable made by hand': of(
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what makes it one.
      then(onFulfilled: (value: number) => void) {
        emit('then');
        setTimeout(() => onFulfilled(5), 1);
      },
    }),
    async (made) => made,
    5,
  ),
  'a frozen thenable': of(
    () => Object.freeze(new Query('t')),
    async (made) => made,
    '0 of t',
  ),

  'a request of an SDK': of(
    () => new ApiPromise(asyncChunks),
    async (made) => drain(await made),
    [0, 1, 2],
  ),
  'a request of an SDK whose failure would be caught': of(
    () => new ApiPromise(asyncChunks),
    async (made) => drain(await made.catch(() => Promise.reject(new Error('never')))),
    [0, 1, 2],
  ),
  'a request of an SDK, with something to do in the end': of(
    () => new ApiPromise(asyncChunks),
    async (made) => drain(await made.finally(() => {})),
    [0, 1, 2],
  ),
  'a request of an SDK, with its response': of(
    () => new ApiPromise(asyncChunks),
    async (made) => {
      const { data, response } = await made.withResponse();
      expect(response.status).toBe(200);
      return drain(data);
    },
    [0, 1, 2],
  ),
  'a stream of an SDK': of(() => new SdkStream(asyncChunks), drain, [0, 1, 2]),
  'a stream of an SDK, teed': of(
    () => new SdkStream(asyncChunks),
    async (made) => Promise.all(made.tee().map(drain)),
    [
      [0, 1, 2],
      [0, 1, 2],
    ],
  ),
  'a stream of an SDK, as a stream of the web': of(
    () => new SdkStream(asyncChunks),
    (made) => drain(made.toReadableStream()),
    [0, 1, 2],
  ),
  'a stream of events of an SDK': of(() => new EventStream(asyncChunks), drain, [0, 1, 2]),
  'a result with a getter of streams': of(
    () => new StreamTextResult(asyncChunks),
    (made) => drain(made.textStream),
    ['0', '1', '2'],
  ),
  'a result with a getter of streams, as a Response': of(
    () => new StreamTextResult(asyncChunks),
    (made) => made.toTextStreamResponse().text(),
    '012',
  ),
  'a result with a getter of streams, by a promise': of(
    () => new StreamTextResult(asyncChunks),
    (made) => made.text,
    '012',
  ),

  'an object that holds a stream': of(
    () => ({ stream: asyncChunks(), status: 200 }),
    ({ stream }) => drain(stream),
    [0, 1, 2],
  ),
  'an object that holds a frozen stream': of(
    () => ({ stream: Object.freeze(new AsyncCollection()) }),
    ({ stream }) => drain(stream),
    [1, 2, 3],
  ),
  'an array of streams': of(
    () => Array.from({ length: 40 }, chunks),
    (made) => made.flatMap((generator) => [...generator]).length,
    120,
  ),
};

describe.each(Object.keys(CASES))('%s', (name) => {
  const { make, consume, gives } = CASES[name] as Case;

  it('goes on in the run that returned it', async () => {
    const { a, b } = arms();
    const unbound = await consume(make());
    const expected = await captured(a);
    expect(expected.length).toBeGreaterThan(0);
    if (gives !== undefined) expect(unbound).toEqual(gives);

    const { a: c, b: d } = arms();
    const bound = await consume(c.run(make));
    expect(bound).toEqual(unbound);
    expect(await captured(c)).toEqual(expected);
    expect(await captured(d)).toEqual([]);
    expect(await captured(b)).toEqual(expected);
  });

  it('goes on in the run whose promise resolved to it', async () => {
    const { a, b } = arms();
    const made = await a.run(async () => {
      await sleep(1);
      const value: object = make();
      // A thenable would have done its work by then.
      return 'then' in value ? { value } : value;
    });
    await consume(('value' in made ? made.value : made) as never);
    expect((await captured(a)).length).toBeGreaterThan(0);
    expect(await captured(b)).toEqual([]);
  });

  it('is the object that was made, of its class', () => {
    const { a } = arms();
    let made: object | undefined;
    const returned = a.run((): object => {
      made = make() as object;
      return made;
    });
    expect(Object.getPrototypeOf(returned)).toBe(Object.getPrototypeOf(made));
    expect(Object.keys(returned)).toEqual(Object.keys(made as object));
    if (Object.isExtensible(made)) expect(returned).toBe(made);
    if (returned instanceof Promise) returned.catch(() => {});
  });

  it('belongs to the innermost of nested runs', async () => {
    const { a, b } = arms();
    await consume(b.run(() => a.run(make)));
    expect((await captured(a)).length).toBeGreaterThan(0);
    expect(await captured(b)).toEqual([]);
  });

  it('can be bound where it was made outside of any run', async () => {
    const { a, b } = arms();
    const bound = a.bind(make as () => object);
    await consume(bound() as never);
    expect((await captured(a)).length).toBeGreaterThan(0);
    expect(await captured(b)).toEqual([]);
  });
});
