/** The event bus and the plain channels underneath it. */

import { execFile } from 'node:child_process';
import { channel } from 'node:diagnostics_channel';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { HANDLER_FAILURE, type TelemetryHandler, telemetry } from '../../src/capture/bus.js';
import { ConfigError } from '../../src/errors.js';
import type { Measurements, Metadata } from '../../src/schema/event.js';

type Heard = [event: string, measurements: Measurements, metadata: Metadata];

const attached: string[] = [];
afterEach(() => {
  for (const id of attached.splice(0)) telemetry.detach(id);
});

/** What a handler of the given events hears. */
function listen(events: string | readonly string[], id = `test-${attached.length}`): Heard[] {
  const heard: Heard[] = [];
  attach(id, events, (...call) => {
    heard.push(call);
  });
  return heard;
}

function attach(id: string, events: string | readonly string[], handler: TelemetryHandler): void {
  telemetry.attach(id, events, handler);
  attached.push(id);
}

describe('execute and attach', () => {
  it('keeps events apart whose names differ in points and colons only', () => {
    const names = ['a.b', 'a:b', ':', '.', '::', '.:', 'a..b'];
    const heard = listen('all');
    const one = listen('a:b');
    for (const name of [...names, ...names]) telemetry.execute(name, {});
    expect(heard.map(([event]) => event)).toEqual([...names, ...names]);
    expect(one.map(([event]) => event)).toEqual(['a:b', 'a:b']);
  });

  it('hand the handler exactly what was emitted, synchronously', () => {
    const heard = listen('a.b.c');
    const measurements = { duration: 5n };
    const metadata = { model: 'm' };
    telemetry.execute('a.b.c', measurements, metadata);
    expect(heard).toHaveLength(1);
    expect(heard[0]![0]).toBe('a.b.c');
    expect(heard[0]![1]).toBe(measurements);
    expect(heard[0]![2]).toBe(metadata);
  });

  it('take a name as a list of its parts', () => {
    const heard = listen('req_llm.request.stop');
    telemetry.execute(['req_llm', 'request', 'stop'], { x: 1 });
    expect(heard).toEqual([['req_llm.request.stop', { x: 1 }, {}]]);
  });

  it('give an empty object for metadata that is left out', () => {
    const heard = listen('a.b');
    telemetry.execute('a.b', {});
    expect(heard[0]![2]).toEqual({});
  });

  it('reach every handler of several events, and no other', () => {
    const first = listen(['a.one', 'a.two']);
    const second = listen('a.two');
    for (const event of ['a.one', 'a.two', 'a.three']) telemetry.execute(event, {});
    expect(first.map(([event]) => event)).toEqual(['a.one', 'a.two']);
    expect(second.map(([event]) => event)).toEqual(['a.two']);
  });

  it('hear each event once even if it is listed twice', () => {
    const heard = listen(['a.b', 'a.b']);
    telemetry.execute('a.b', {});
    expect(heard).toHaveLength(1);
  });

  it('‘all’ hears every event, those first emitted later too', () => {
    telemetry.execute('before.all', {});
    const heard = listen('all');
    telemetry.execute('before.all', {});
    telemetry.execute('after.all.first.seen', {});
    expect(heard.map(([event]) => event)).toEqual(['before.all', 'after.all.first.seen']);
  });

  it('stop with detach, which forgives an unknown id', () => {
    const heard = listen('a.b', 'gone');
    telemetry.execute('a.b', {});
    telemetry.detach('gone');
    telemetry.detach('gone');
    telemetry.detach('never attached');
    telemetry.execute('a.b', {});
    expect(heard).toHaveLength(1);
  });

  it('let an id be used again once it is detached', () => {
    listen('a.b', 'again');
    telemetry.detach('again');
    const heard = listen('a.b', 'again');
    telemetry.execute('a.b', {});
    expect(heard).toHaveLength(1);
  });

  it('refuse an id that is taken, an id that is no text and a handler that is none', () => {
    listen('a.b', 'taken');
    expect(() => telemetry.attach('taken', 'a.b', () => {})).toThrow(ConfigError);
    expect(() => telemetry.attach('', 'a.b', () => {})).toThrow('id: expected a non-empty string');
    expect(() => telemetry.attach(5 as never, 'a.b', () => {})).toThrow('id: expected a non-empty string');
    expect(() => telemetry.attach('fresh', 'a.b', 'handler' as never)).toThrow(
      'handler: expected a function',
    );
    expect(() => listen('a.b', 'fresh')).not.toThrow();
  });

  it('a handler may emit in turn', () => {
    const heard = listen('inner.event');
    attach('outer', 'outer.event', () => telemetry.execute('inner.event', { from: 'outer' }));
    telemetry.execute('outer.event', {});
    expect(heard).toEqual([['inner.event', { from: 'outer' }, {}]]);
  });

  it('a handler may detach itself while it is called', () => {
    let calls = 0;
    attach('once', 'a.b', () => {
      calls++;
      telemetry.detach('once');
    });
    const other = listen('a.b');
    telemetry.execute('a.b', {});
    telemetry.execute('a.b', {});
    expect(calls).toBe(1);
    expect(other).toHaveLength(2);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a number', 5],
    ['a symbol', Symbol('event')],
    ['an object', {}],
    ['no parts', []],
  ])('an event name that is %s never throws', (_, name) => {
    const heard = listen('all');
    expect(() => telemetry.execute(name as string, {})).not.toThrow();
    expect(heard).toHaveLength(1);
    expect(heard[0]![0]).toBeTypeOf('string');
  });

  it('an empty event name never throws, not even as the very first event of a process', async () => {
    vi.resetModules();
    const fresh = await import('../../src/capture/bus.js');
    expect(() => fresh.telemetry.execute('', {})).not.toThrow();
  });

  it.each<[string, unknown[]]>([
    ['symbols', [Symbol('a'), 'b']],
    ['objects that cannot be text', [Object.create(null)]],
  ])('a name with parts that are %s never throws', (_, name) => {
    expect(() => telemetry.execute(name as string[], {})).not.toThrow();
  });

  it('a list that was changed since the last call names the new event', () => {
    const heard = listen(['list.one', 'list.two']);
    const name = ['list', 'one'];
    telemetry.execute(name, {});
    name[1] = 'two';
    telemetry.execute(name, {});
    expect(heard.map(([event]) => event)).toEqual(['list.one', 'list.two']);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a number', 5],
    ['a list with a number', ['a.b', 5]],
  ])('refuse events that are %s, and leave the id free', (_, events) => {
    const id = `events-${String(events)}`;
    expect(() => telemetry.attach(id, events as string, () => {})).toThrow(ConfigError);
    expect(() => listen('a.b', id)).not.toThrow();
  });
});

describe('a handler that throws', () => {
  it('is detached, and that is an event; the emitter and the other handlers never see it', () => {
    const failures = listen(HANDLER_FAILURE);
    const before = listen('a.b', 'before');
    const error = new Error('handler');
    let calls = 0;
    attach('throws', 'a.b', () => {
      calls++;
      throw error;
    });
    const after = listen('a.b', 'after');
    expect(() => telemetry.execute('a.b', {})).not.toThrow();
    telemetry.execute('a.b', {});
    expect(calls).toBe(1);
    expect(before).toHaveLength(2);
    expect(after).toHaveLength(2);
    expect(failures).toEqual([[HANDLER_FAILURE, {}, { handlerId: 'throws', event: 'a.b', error }]]);
    expect(HANDLER_FAILURE).toBe('telemetry.handler.failure');
  });

  it('may be the one that listens for failures', () => {
    let calls = 0;
    attach('throws too', HANDLER_FAILURE, () => {
      calls++;
      throw new Error('again');
    });
    attach('throws', 'a.b', () => {
      throw new Error('once');
    });
    expect(() => telemetry.execute('a.b', {})).not.toThrow();
    telemetry.execute('a.b', {});
    expect(calls).toBe(1);
  });

  it('may throw anything', () => {
    const failures = listen(HANDLER_FAILURE);
    for (const thrown of [undefined, null, 0, 'text', Symbol('s')]) {
      attach('throws', 'a.b', () => {
        throw thrown;
      });
      expect(() => telemetry.execute('a.b', {})).not.toThrow();
    }
    expect(failures).toHaveLength(5);
  });
});

describe('span', () => {
  it('emits start and stop around a synchronous function and passes its value on', () => {
    const heard = listen(['op.start', 'op.stop', 'op.exception']);
    const metadata = { model: 'm' };
    const value = { any: 'value' };
    const result = telemetry.span('op', metadata, () => {
      expect(heard.map(([event]) => event)).toEqual(['op.start']);
      return value;
    });
    expect(result).toBe(value);
    expect(heard.map(([event]) => event)).toEqual(['op.start', 'op.stop']);
    expect(heard[0]![1].systemTime).toBeTypeOf('number');
    expect(heard[1]![1].duration).toBeTypeOf('bigint');
    expect(heard[1]![1].duration as bigint).toBeGreaterThanOrEqual(0n);
    for (const [, , seen] of heard) expect(seen).toEqual(metadata);
  });

  it('emits start and exception around one that throws, and throws the same', () => {
    const heard = listen(['op.start', 'op.stop', 'op.exception']);
    const error = new Error('sync');
    expect(() =>
      telemetry.span('op', { model: 'm' }, () => {
        throw error;
      }),
    ).toThrow(error);
    expect(heard.map(([event]) => event)).toEqual(['op.start', 'op.exception']);
    expect(heard[1]![1].duration).toBeTypeOf('bigint');
    expect(heard[1]![2]).toEqual({ model: 'm', error });
  });

  it('stops when a promise resolves, and passes its value on', async () => {
    const heard = listen(['op.start', 'op.stop', 'op.exception']);
    let resolve: (value: number) => void = () => {};
    const promise = new Promise<number>((settle) => {
      resolve = settle;
    });
    const result = telemetry.span('op', {}, () => promise);
    expect(heard.map(([event]) => event)).toEqual(['op.start']);
    resolve(7);
    expect(await result).toBe(7);
    expect(heard.map(([event]) => event)).toEqual(['op.start', 'op.stop']);
  });

  it('fails when a promise rejects, and rejects with the same', async () => {
    const heard = listen(['op.start', 'op.stop', 'op.exception']);
    const error = new Error('async');
    await expect(telemetry.span('op', {}, () => Promise.reject(error))).rejects.toBe(error);
    expect(heard.map(([event]) => event)).toEqual(['op.start', 'op.exception']);
    expect(heard[1]![2]).toEqual({ error });
  });

  it.each([undefined, null])('a thrown %s is still an error', async (thrown) => {
    const heard = listen('op.exception');
    await expect(telemetry.span('op', {}, () => Promise.reject(thrown))).rejects.toBe(thrown);
    expect(heard[0]![2].error).toBe(true);
  });

  it('a handler that throws changes nothing of what the function returns', () => {
    attach('throws', 'op.start', () => {
      throw new Error('handler');
    });
    expect(telemetry.span('op', {}, () => 5)).toBe(5);
  });
});

describe('plain diagnostics channels', () => {
  it('hear what is executed, on a:b:c for a.b.c', () => {
    const heard: unknown[] = [];
    const listener = (message: unknown, name: string | symbol) => heard.push([name, message]);
    channel('plain:test:event').subscribe(listener);
    telemetry.execute('plain.test.event', { x: 1 }, { y: 2 });
    channel('plain:test:event').unsubscribe(listener);
    telemetry.execute('plain.test.event', { x: 2 });
    expect(heard).toEqual([['plain:test:event', { measurements: { x: 1 }, metadata: { y: 2 } }]]);
  });

  it('publish to handlers of the bus', () => {
    const heard = listen('plain.test.other');
    channel('plain:test:other').publish({ measurements: { x: 1 }, metadata: { y: 2 } });
    channel('plain:test:other').publish({});
    channel('plain:test:other').publish(undefined);
    channel('plain:test:other').publish('text');
    expect(heard).toEqual([
      ['plain.test.other', { x: 1 }, { y: 2 }],
      ['plain.test.other', {}, {}],
      ['plain.test.other', {}, {}],
      ['plain.test.other', {}, {}],
    ]);
  });

  it('are not published to while nobody listens, so nothing is allocated for a message', () => {
    telemetry.execute('nobody.listens', {});
    const silent = channel('nobody:listens');
    const publish = vi.spyOn(silent, 'publish');
    expect(silent.hasSubscribers).toBe(false);
    telemetry.execute('nobody.listens', { x: 1 });
    expect(publish).not.toHaveBeenCalled();
  });

  it('are left without subscribers once every handler is detached', () => {
    listen('soon.silent', 'one');
    listen('soon.silent', 'two');
    expect(channel('soon:silent').hasSubscribers).toBe(true);
    telemetry.detach('one');
    expect(channel('soon:silent').hasSubscribers).toBe(true);
    telemetry.detach('two');
    expect(channel('soon:silent').hasSubscribers).toBe(false);
  });

  it('a message whose getters throw does not end the process', async () => {
    // The channel reports what a subscriber throws as an uncaught exception, so a process of its own is needed.
    const program = `
      import { channel } from 'node:diagnostics_channel';
      import { telemetry } from './dist/src/capture/bus.js';
      telemetry.attach('id', 'a.b', () => {});
      channel('a:b').publish({ get measurements() { throw new Error('getter'); } });
      channel('a:b').publish(new Proxy({}, { get() { throw new Error('proxy'); } }));
      setImmediate(() => console.log('alive'));`;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
    await expect(run).resolves.toMatchObject({ stdout: 'alive\n' });
  });
});
