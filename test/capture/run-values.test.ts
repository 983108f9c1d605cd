/** What a run hands through: values as they are, promises as the promises they are, and consumers where they are. */

import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { telemetry } from '../../src/capture/bus.js';
import { ConfigError } from '../../src/errors.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import { ApiPromise, SdkStream } from '../support/sdk-shapes.js';
import { useBench } from './support.js';

const bench = useBench();

/** What the experiment captured under metadata.at, in order of capture. */
async function captured(experiment: Experiment): Promise<unknown[]> {
  const rows = await experiment.query();
  return rows.toSorted((a, b) => a.sequence - b.sequence).map(({ metadata }) => metadata.at);
}

const emit = (at: unknown) => telemetry.execute('req_llm.request.stop', {}, { at });
const arms = () => ({ a: bench.start({ name: 'a' }), b: bench.start({ name: 'b' }) });

/** What a program of its own prints, run on the built library. */
async function printed(program: string): Promise<string> {
  const whole = `
    import { setTimeout as sleep } from 'node:timers/promises';
    import { Crucible, telemetry } from './dist/src/index.js';
    const crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'child', capacity: 1024 });
    ${program}
    await crucible.close();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', whole]);
  return stdout;
}

/** The members of an object's own, getters not called. */
function members(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  return Reflect.ownKeys(value).map((key) => {
    const { value: held, get } = Object.getOwnPropertyDescriptor(value, key) as PropertyDescriptor;
    return [key, held, get];
  });
}

class Money {
  readonly #cents = 5;
  get cents(): number {
    return this.#cents;
  }
}

describe('a value that nobody consumes later', () => {
  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a number', Number.NaN],
    ['a text', 'text'],
    ['a symbol', Symbol.iterator],
    ['a bigint', 5n],
    ['a function', () => {}],
    ['a generator function', function* () {}],
    ['a class', Money],
    ['an instance', new Money()],
    ['an object', { a: 1, next: null, emit: 'text' }],
    ['an array', [1, 'two', { three: 3 }]],
    ['a long array', new Array(10_000).fill(0)],
    ['a frozen object', Object.freeze({ a: 1 })],
    ['an object without a prototype', Object.create(null)],
    ['an Error', new Error('returned')],
    ['a Date', new Date()],
    ['a RegExp', /x/],
    ['a Map', new Map([[1, 2]])],
    ['a Set', new Set([1])],
    ['a WeakMap', new WeakMap()],
    ['a Buffer', Buffer.from('x')],
    ['a typed array', new Float64Array(3)],
    ['an ArrayBuffer', new ArrayBuffer(8)],
    ['a String object', Object('text')],
    ['a URL', new URL('http://host/path')],
    ['URLSearchParams', new URLSearchParams('a=1')],
    ['Headers', new Headers({ a: 'b' })],
    ['FormData', new FormData()],
    ['a Blob', new Blob(['x'])],
    ['an iterator of an array', [1, 2].values()],
    ['an iterator of a Map', new Map().entries()],
    ['the process', process],
    ['the standard output', process.stdout],
    ['an AbortSignal', new AbortController().signal],
    [
      'a proxy whose traps throw',
      new Proxy(
        {},
        {
          has: () => {
            throw new Error('trap');
          },
        },
      ),
    ],
    ['a proxy', new Proxy({ a: 1 }, {})],
    [
      'a getter that throws',
      Object.defineProperty({}, 'then', {
        get: () => {
          throw new Error('getter');
        },
      }),
    ],
    [
      'a getter that would ask a database',
      Object.defineProperty(new Money(), 'next', {
        get: () => {
          throw new Error('asked');
        },
      }),
    ],
  ])('stays as it is: %s', (_, value) => {
    const { a } = arms();
    const before = members(value);
    expect(a.run(() => value)).toBe(value);
    expect(members(value)).toEqual(before);
  });

  it('may be a proxy that is revoked', () => {
    const { a } = arms();
    const { proxy: revoked, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(() => a.run(() => revoked)).not.toThrow();
  });
});

describe('a promise', () => {
  it('stays the promise that it is, with whatever it carries', async () => {
    const { a } = arms();
    const promise = Object.assign(sleep(1, 5), { json: () => 'json' });
    const returned = a.run(() => promise);
    expect(returned).toBe(promise);
    expect(returned.json()).toBe('json');
    expect(returned).toBeInstanceOf(Promise);
    expect(Object.keys(returned)).toEqual(['json']);
    expect(await returned).toBe(5);
    expect(await Promise.all([returned, returned])).toEqual([5, 5]);
    expect(await Promise.race([returned])).toBe(5);
    expect(await returned.then((value) => value + 1)).toBe(6);
    expect(await returned.finally(() => {})).toBe(5);
  });

  it('may be frozen, and resolve to what is frozen', async () => {
    const { a, b } = arms();
    const made = async () =>
      Object.freeze({
        async *[Symbol.asyncIterator]() {
          emit('frozen');
          yield 1;
        },
      });
    for await (const _ of await a.run(() => Object.freeze(made())));
    for await (const _ of await a.run(made));
    expect(await captured(a)).toEqual(['frozen', 'frozen']);
    expect(await captured(b)).toEqual([]);
  });

  it('resolves to a value that was not wrapped, whoever asks first', async () => {
    const { a } = arms();
    const value = { value: 1 };
    const returned = a.run(async () => value);
    const [first, second] = await Promise.all([returned, returned.then((it) => it)]);
    expect(first).toBe(value);
    expect(second).toBe(value);
  });

  it('rejects with the same error', async () => {
    const { a } = arms();
    const error = new Error('work');
    const returned = a.run(() => Promise.reject(error));
    await expect(returned).rejects.toBe(error);
    expect(await returned.catch((caught: unknown) => caught)).toBe(error);
    await expect(a.run(() => a.run(() => Promise.reject(error)))).rejects.toBe(error);
  });

  it('that nobody handles is reported as ever, and one that is handled is not', async () => {
    const text = await printed(`
      process.on('unhandledRejection', (error) => console.log('unhandled', error.message));
      const fails = async (name) => { await sleep(1); throw new Error(name); };
      experiment.run(() => fails('a'));
      experiment.run(() => Promise.reject(new Error('b')));
      experiment.run(() => experiment.run(() => fails('c')));
      experiment.run(() => fails('handled')).catch(() => {});
      await experiment.run(() => fails('awaited')).catch(() => {});
      try { await experiment.run(() => experiment.run(() => fails('tried'))); } catch {}
      const late = experiment.run(() => fails('late'));
      await Promise.allSettled([late]);
      experiment.run(() => fails('d')).then(() => {});
      await sleep(20);`);
    expect(text.trim().split('\n').toSorted()).toEqual([
      'unhandled a',
      'unhandled b',
      'unhandled c',
      'unhandled d',
    ]);
  });

  it('leaves stack traces whole, to the code that waits', async () => {
    const text = await printed(`
      async function inner() { await sleep(1); throw new Error('deep'); }
      async function outer() { await experiment.run(() => inner()); }
      async function nested() { await experiment.run(() => experiment.run(async () => { await inner(); })); }
      for (const call of [outer, nested]) await call().catch((error) => console.log(error.stack));`);
    expect(text).toMatch(/at async outer/);
    expect(text).toMatch(/at async nested/);
  });
});

describe('whoever consumes what a run returned', () => {
  it('stays outside of it: between chunks, after a promise, in callbacks', async () => {
    const { a, b } = arms();
    async function* made() {
      yield 1;
      await null;
      yield 2;
    }
    for await (const chunk of a.run(made)) emit(`chunk ${chunk}`);
    await a.run(async () => sleep(1));
    emit('after a promise');
    await a.run(() => new ApiPromise(made));
    emit('after a thenable');
    await a.run(() => new ApiPromise(made)).then(() => emit('in a callback'));
    await a.run(() => new ApiPromise(made)).finally(() => emit('in a finally'));
    await a.run(() => new ApiPromise(made, Promise.reject(new Error('x')))).catch(() => emit('in a catch'));
    await a.run(async () => sleep(1)).then(() => emit('in another'));
    const reader = a.run(() => new ReadableStream({ start: (controller) => controller.close() })).getReader();
    await reader.read();
    emit('after a read');
    const all = [
      'chunk 1',
      'chunk 2',
      'after a promise',
      'after a thenable',
      'in a callback',
      'in a finally',
      'in a catch',
      'in another',
      'after a read',
    ];
    expect(await captured(a)).toEqual(all);
    expect(await captured(b)).toEqual(all);
  });

  it('stays in its own run, too', async () => {
    const { a, b } = arms();
    async function* made() {
      emit('made');
      yield 1;
    }
    const stream = a.run(made);
    await b.run(async () => {
      for await (const _ of stream) emit('consumed');
      await a.run(() => new ApiPromise(made));
      emit('waited');
    });
    expect(await captured(a)).toEqual(['made']);
    expect(await captured(b)).toEqual(['consumed', 'waited']);
  });

  it('may hand callbacks of a thenable over that reject, or none', async () => {
    const { a } = arms();
    const error = new Error('query');
    const failing = () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what makes it a thenable.
      then(_: unknown, onRejected?: (reason: unknown) => void) {
        setTimeout(() => onRejected?.(error), 1);
      },
    });
    await expect(Promise.resolve(a.run(failing) as PromiseLike<unknown>)).rejects.toBe(error);
    expect(await new Promise((resolve) => a.run(failing).then(null, resolve))).toBe(error);
  });
});

describe('a thenable', () => {
  it('is asked once for each time somebody waits, and not before', async () => {
    const { a } = arms();
    let asked = 0;
    const lazy = {
      // biome-ignore lint/suspicious/noThenProperty: that is what makes it a thenable.
      then(onFulfilled: (value: number) => void) {
        asked++;
        onFulfilled(asked);
      },
    };
    const returned = a.run(() => lazy);
    expect(returned).toBe(lazy);
    expect(asked).toBe(0);
    expect(await returned).toBe(1);
    expect(await returned).toBe(2);
  });

  it('gives what its own then gives, which may have more methods', async () => {
    const { a } = arms();
    class Task<T> extends Promise<T> {
      spread(): Promise<string> {
        return this.then((value) => `spread ${value}`);
      }
    }
    const task = a.run(() => Task.resolve(1) as Task<number>);
    expect(task).toBeInstanceOf(Task);
    const next = task.then((value) => value + 1) as Task<number>;
    expect(next).toBeInstanceOf(Task);
    expect(await next.spread()).toBe('spread 2');
  });

  it('of an SDK keeps its class, its private fields and its methods, and takes the body once', async () => {
    const { a } = arms();
    const source = async function* () {
      yield 1;
    };
    const request = new ApiPromise(source);
    const returned = a.run(() => request);
    expect(returned).toBe(request);
    expect(returned).toBeInstanceOf(ApiPromise);
    const { data, response } = await returned.withResponse();
    expect(data).toBeInstanceOf(SdkStream);
    expect(await returned).toBe(data);
    expect(await response.text()).toBe('body');
    expect(request.parses).toBe(1);
  });

  it('of an SDK leaves the body to whoever asks for the response alone', async () => {
    const { a } = arms();
    const request = a.run(() => new ApiPromise(async function* () {}));
    expect(await (await request.asResponse()).text()).toBe('body');
    expect(request.parses).toBe(0);
  });
});

describe('a stream', () => {
  it('has the members that it had, and classes stay classes', () => {
    const { a } = arms();
    class Chunk {
      readonly value = 1;
    }
    const source = Object.assign(
      (async function* () {
        yield 1;
      })(),
      { Chunk, helper: Object.assign((x: number, y: number) => x + y, { version: 3 }) },
    );
    const { length } = source.next;
    const returned = a.run(() => source);
    expect(new returned.Chunk()).toBeInstanceOf(Chunk);
    expect(returned.helper(1, 2)).toBe(3);
    expect(returned.helper.version).toBe(3);
    expect(returned.helper).toHaveLength(2);
    expect(returned.next).toHaveLength(length);
    expect(Object.keys(returned)).toEqual(['Chunk', 'helper']);
    expect(Reflect.ownKeys({ ...returned })).toEqual(['Chunk', 'helper']);
  });

  it('that is frozen keeps its class, its state and what can be asked of it', () => {
    const { a } = arms();
    class Cursor {
      readonly #rows = [1, 2];
      readonly size = 2;
      get first(): number | undefined {
        return this.#rows[0];
      }
      count(): number {
        return this.#rows.length;
      }
      *[Symbol.iterator]() {
        yield* this.#rows;
      }
    }
    const cursor = Object.freeze(new Cursor());
    const returned = a.run(() => cursor);
    expect(returned).toBeInstanceOf(Cursor);
    expect(returned.constructor).toBe(Cursor);
    expect([returned.size, returned.first, returned.count()]).toEqual([2, 1, 2]);
    expect([...returned]).toEqual([1, 2]);
    expect('size' in returned).toBe(true);
    expect(Object.keys(returned)).toEqual(['size']);
    expect(JSON.stringify(returned)).toBe('{"size":2}');
    expect(Reflect.set(returned, 'size', 3)).toBe(false);
    expect(a.run(() => cursor)).toBe(returned);
  });

  it('that is an emitter has one listener call for each event', () => {
    const { a } = arms();
    const emitter = a.run(() => new EventEmitter());
    let calls = 0;
    emitter.on('tick', () => calls++);
    expect(emitter.emit('tick')).toBe(true);
    expect(emitter.emit('tock')).toBe(false);
    expect(calls).toBe(1);
    expect(() => emitter.emit('error', new Error('unheard'))).toThrow('unheard');
  });
});

describe('two arms whose streams are consumed at the same time', () => {
  it('never see each other’s events', async () => {
    const { a, b } = arms();
    async function* reply(arm: string, chunks: number) {
      for (let chunk = 0; chunk < chunks; chunk++) {
        await sleep(chunk % 2);
        emit(`${arm} ${chunk}`);
        yield chunk;
      }
      emit(`${arm} done`);
    }
    const replies = Array.from({ length: 20 }, (_, n) => {
      const [arm, name] = n % 2 === 0 ? ([a, 'a'] as const) : ([b, 'b'] as const);
      return arm.run(() => reply(name, n % 5));
    });
    await Promise.all(
      replies.map(async (stream) => {
        for await (const _ of stream) await null;
      }),
    );
    const [inA, inB] = [await captured(a), await captured(b)];
    expect(inA.every((at) => String(at).startsWith('a'))).toBe(true);
    expect(inB.every((at) => String(at).startsWith('b'))).toBe(true);
    expect(inA.length + inB.length).toBe(20 + 4 * (0 + 1 + 2 + 3 + 4));
  });
});

describe('a bound generator', () => {
  type Step = { kind: 'next' | 'return' | 'throw'; argument: number };
  const step = fc.record<Step>({
    kind: fc.constantFrom('next', 'next', 'next', 'return', 'throw'),
    argument: fc.integer({ min: 0, max: 9 }),
  });
  const made = {
    *sync(log: unknown[]) {
      for (let at = 0; at < 4; at++) {
        try {
          log.push(yield at);
        } catch (error) {
          log.push(error);
          if (error === 0) throw error;
        } finally {
          log.push('finally');
          if (at === 2) yield 'from finally';
        }
      }
      return 'end';
    },
    async *async(log: unknown[]) {
      yield* made.sync(log);
      await null;
      return 'async end';
    },
  };

  it.each(['sync', 'async'] as const)('answers every call as the unbound one does: %s', async (kind) => {
    const { a } = arms();
    const play = async (generator: Generator | AsyncGenerator, steps: Step[]) => {
      const answers: unknown[] = [];
      for (const { kind: method, argument } of steps) {
        try {
          answers.push(await generator[method](argument));
        } catch (error) {
          answers.push(['threw', error]);
        }
      }
      return answers;
    };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const [log, boundLog]: [unknown[], unknown[]] = [[], []];
        const expected = await play(made[kind](log), steps);
        expect(
          await play(
            a.run(() => made[kind](boundLog)),
            steps,
          ),
        ).toEqual(expected);
        expect(boundLog).toEqual(log);
      }),
      { numRuns: 200 },
    );
  });
});

describe('bind', () => {
  it('gives a function of the same name, length, this, arguments and members that runs in the experiment', async () => {
    const { a, b } = arms();
    const original = Object.assign(
      function ask(this: { prefix: string }, question: string, _options: object) {
        emit(`${this.prefix} ${question}`);
        return `${this.prefix}!`;
      },
      { model: 'm' },
    );
    const bound = a.bind(original);
    expect(bound).not.toBe(original);
    expect([bound.name, bound.length, bound.model]).toEqual(['ask', 2, 'm']);
    expect(bound.call({ prefix: 'why' }, 'not', {})).toBe('why!');
    emit('outside');
    expect(await captured(a)).toEqual(['why not', 'outside']);
    expect(await captured(b)).toEqual(['outside']);
  });

  it('works for async functions, generator functions, methods and classes', async () => {
    const { a, b } = arms();
    const bound = {
      later: a.bind(async () => {
        await sleep(1);
        emit('later');
      }),
      stream: a.bind(async function* () {
        emit('stream');
        yield 1;
      }),
      Client: a.bind(
        class {
          constructor() {
            emit('made');
          }
        },
      ),
    };
    await bound.later();
    for await (const _ of bound.stream());
    expect(new bound.Client()).toBeInstanceOf(bound.Client);
    expect(await captured(a)).toEqual(['later', 'stream', 'made']);
    expect(await captured(b)).toEqual([]);
  });

  it('passes on what the function throws', () => {
    const { a } = arms();
    const error = new Error('bound');
    expect(
      a.bind(() => {
        throw error;
      }),
    ).toThrow(error);
  });

  it('keeps a handler in the run that would be called from outside', async () => {
    const { a, b } = arms();
    const shared = new EventEmitter();
    shared.on(
      'reply',
      a.bind((text: string) => emit(text)),
    );
    shared.emit('reply', 'hello');
    expect(await captured(a)).toEqual(['hello']);
    expect(await captured(b)).toEqual([]);
  });

  it('adds its context, and the function’s own run wins', async () => {
    const { a, b } = arms();
    const bound = a.bind(() => emit(1), { model: 'm' });
    b.run(bound);
    a.bind(() => b.run(() => emit(2)), { model: 'm' })();
    expect((await a.query()).map(({ metadata }) => metadata)).toEqual([{ model: 'm', at: 1 }]);
    expect((await b.query()).map(({ metadata }) => metadata)).toEqual([{ at: 2 }]);
  });

  it('binds what exists already, in place', async () => {
    const { a, b } = arms();
    async function* made() {
      emit('made');
      yield 1;
    }
    const generator = made();
    expect(a.bind(generator)).toBe(generator);
    for await (const _ of generator);
    const held = { stream: made() };
    expect(a.bind(held)).toBe(held);
    for await (const _ of held.stream);
    for await (const _ of await a.bind(Promise.resolve(made())));
    expect(await captured(a)).toEqual(['made', 'made', 'made']);
    expect(await captured(b)).toEqual([]);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a number', 5],
    ['a text', 'text'],
    ['an object that holds nothing of the kind', { a: 1 }],
    ['an array of values', [1, 2]],
    ['a Map', new Map()],
    ['an instance', new Money()],
    ['the process', process],
  ])('refuses %s', (_, target) => {
    const { a } = arms();
    expect(() => a.bind(target as object)).toThrow(ConfigError);
    expect(() => a.bind(target as object)).toThrow('target: expected a function');
  });
});
