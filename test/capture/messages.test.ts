/** What the bus carries that is no event as it should be: other messages, odd ends of spans, names that come later. */

import { channel } from 'node:diagnostics_channel';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { telemetry } from '../../src/capture/bus.js';
import type { SpanHandle } from '../../src/capture/bus-span.js';
import { attachExperiment } from '../../src/capture/share.js';
import { ConfigError } from '../../src/errors.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import { events } from '../../src/schema/registry.js';
import { useBench } from './support.js';

const bench = useBench();
const STOP = 'req_llm.request.stop';
const usage = { prompt_tokens: 100, completion_tokens: 50 };
const raise = () => {
  throw new Error('raised');
};

afterEach(() => {
  vi.restoreAllMocks();
});

function warnings(): string[] {
  const codes: string[] = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((_message, options) => {
    codes.push((options as { code: string }).code);
  });
  return codes;
}

async function stops(experiment: Experiment) {
  return experiment.query({ eventName: STOP });
}

describe('a message on an event’s channel', () => {
  it.each<[unknown, string[]]>([
    [{ duration: 5e6, model: 'gpt-4' }, ['message.duration', 'message.model']],
    [{ measurement: {}, metadata: { model: 'm' } }, ['message.measurement']],
    [{ measurements: 5, metadata: 'x' }, ['measurements', 'metadata']],
    [undefined, ['message']],
    [null, ['message']],
    [5, ['message']],
    ['text', ['message']],
    [[], ['message']],
    [new Map([['measurements', {}]]), ['message']],
    [new Date(), ['message']],
    [new Proxy({}, { get: raise, ownKeys: raise }), ['message']],
  ])('of another shape is an event that says so (%#)', async (message, malformedKeys) => {
    const experiment = bench.start();
    channel('req_llm:request:stop').publish(message);
    const [row] = await experiment.query();
    expect(row).toMatchObject({ eventName: STOP, malformed: true, malformedKeys });
    expect(experiment.counts.malformed).toBe(1);
  });

  it.each([
    {},
    { measurements: {} },
    { metadata: {} },
    { measurements: null, metadata: undefined },
    Object.assign(Object.create(null), { metadata: {} }),
  ])('may leave out either half: %j', async (message) => {
    const experiment = bench.start();
    channel('req_llm:request:stop').publish(message);
    expect((await experiment.query())[0]).toMatchObject({ malformed: false });
  });

  it('keeps what of it is an event', async () => {
    const experiment = bench.start();
    channel('req_llm:request:stop').publish({ metadata: { model: 'gpt-4' }, extra: 1 });
    expect((await experiment.query())[0]).toMatchObject({ model: 'gpt-4', malformedKeys: ['message.extra'] });
  });
});

describe('the end of a span', () => {
  it.each<[string, unknown, unknown]>([
    ['what end returns', undefined, { usage, costUsd: 1, userId: 'u' }],
    ['what set is given', { usage, costUsd: 1, userId: 'u' }, undefined],
    ['both', { usage }, { costUsd: 1, user_id: 'u' }],
    ['halves and fields together', { metadata: { usage } }, { metadata: { costUsd: 1 }, userId: 'u' }],
  ])('has the fields of %s', async (_, set, end) => {
    const experiment = bench.start();
    telemetry.span(
      'req_llm.request',
      { model: 'gpt-4' },
      (span) => span.set(set as never),
      () => end as never,
    );
    expect((await stops(experiment))[0]).toMatchObject({
      tokens: { total: 150 },
      costUsd: 1,
      userId: 'u',
      success: true,
      malformed: false,
    });
  });

  it('is a failure where a field says so', async () => {
    const experiment = bench.start();
    telemetry.span('req_llm.request', {}, (span) => span.set({ error: 'bad' }));
    telemetry.span(
      'req_llm.request',
      {},
      () => 1,
      () => ({ status: 500 }),
    );
    expect((await stops(experiment)).map(({ success }) => success)).toEqual([false, false]);
  });

  it.each<[unknown, string[], object]>([
    [{ metdata: { error: 'bad' } }, ['end.metdata'], { metdata: { error: 'bad' } }],
    [{ answer: 42, costUsd: 1 }, ['end.answer'], { answer: 42, costUsd: 1 }],
    [{ metadata: 5 }, ['end.metadata'], {}],
    ['done', ['end'], {}],
    [[usage], ['end'], {}],
    [new Proxy({ usage }, { get: raise }), ['end.usage'], {}],
    [new Proxy({}, { ownKeys: raise }), ['end'], {}],
  ])('keeps and tells what nobody knows the meaning of (%#)', async (additions, malformedKeys, metadata) => {
    const experiment = bench.start();
    telemetry.span('req_llm.request', {}, (span) => span.set(additions as never));
    telemetry.span('req_llm.request', {}, () => 1, (() => additions) as never);
    for (const row of await stops(experiment))
      expect(row).toMatchObject({ success: true, malformedKeys, metadata });
    expect(experiment.counts).toMatchObject({ captured: 4, malformed: 2 });
  });

  it('takes nothing more when it is over, which is counted, and warned of once', async () => {
    const codes = warnings();
    const experiment = bench.start();
    const other = bench.start({ name: 'other' });
    const none = bench.start({ name: 'none', events: ['altar.tool.stop'] });
    let late: SpanHandle | undefined;
    const keep = (span: SpanHandle) => {
      late = span;
    };
    telemetry.span('req_llm.request', {}, keep);
    for (let i = 0; i < 3; i++) late?.set({ usage });
    experiment.run(() => telemetry.span('req_llm.request', {}, keep));
    late?.set({ usage });
    const key = 'span.set (after the end)';
    expect(experiment.counts).toMatchObject({ malformed: 4, malformedKeys: { [key]: 4 } });
    expect(other.counts).toMatchObject({ malformed: 3, malformedKeys: { [key]: 3 } });
    expect(none.counts.malformed).toBe(0);
    expect((await stops(other))[0]).toMatchObject({ tokens: null, malformed: false });
    expect(codes.filter((code) => code === 'CRUCIBLE_SPAN_ENDED')).toHaveLength(1);
  });
});

describe('an event that is registered when an experiment runs', () => {
  const names = (function* () {
    for (let i = 0; ; i++) yield `later.registered.${i}`;
  })();
  const register = () => {
    const name = names.next().value as string;
    events.register({ name, category: 'tools', description: 'd', columns: { [name]: 'i32' } });
    return name;
  };

  it('is captured by it, and in its runs', async () => {
    const before = bench.start();
    const named = bench.start({ name: 'named', events: [STOP] });
    const paused = bench.start({ name: 'ended' });
    await paused.stop();
    const name = register();
    telemetry.execute(name, { durationMs: 5 }, { [name]: 3 });
    before.run(() => telemetry.execute(name, { durationMs: 6 }, {}));
    const rows = await before.query();
    expect(rows.map(({ eventName, latencyMs }) => [eventName, latencyMs])).toEqual([
      [name, 5],
      [name, 6],
    ]);
    expect(rows[0]!.metadata[name]).toBe(3);
    expect(named.counts.captured + paused.counts.captured).toBe(0);
  });

  it('is counted as refused in a run that has outlived its experiment', async () => {
    const experiment = bench.start();
    const late = experiment.bind((name: string) => telemetry.execute(name, {}, {}));
    await experiment.stop();
    late(register());
    expect(experiment.counts.refused.stopped).toBe(1);
  });

  it('is captured by the writer of a thread that has attached the experiment', async () => {
    const experiment = bench.start({ name: 'shared' });
    const handle = experiment.share();
    expect(handle.followsRegistry).toBe(true);
    await experiment.stop();
    const other = bench.start({ name: 'other' });
    const writer = attachExperiment({ ...other.share(), experimentId: 'elsewhere' }, { clock: bench.clock });
    telemetry.execute(register(), {}, {});
    writer.close();
    // Once by the experiment itself, once by the writer.
    expect(other.counts.captured).toBe(2);
  });
});

describe('names of events', () => {
  it('are no patterns', () => {
    for (const take of [
      () => bench.start({ events: ['req_llm.request.*'] }),
      () => telemetry.attach('id', 'req_llm.*', () => {}),
      () => telemetry.attach('id', ['a.b', '*'], () => {}),
    ]) {
      expect(take).toThrow(ConfigError);
      expect(take).toThrow('whole names of events');
    }
  });
});

describe('a handler that throws', () => {
  it('is detached, of which the process is warned', () => {
    const codes = warnings();
    let calls = 0;
    telemetry.attach('mine', STOP, () => {
      calls++;
      throw new Error('boom');
    });
    for (let i = 0; i < 3; i++) telemetry.execute(STOP, {}, {});
    expect(calls).toBe(1);
    expect(codes).toEqual(['CRUCIBLE_HANDLER_DETACHED']);
  });
});

describe('a run in a run of the same experiment', () => {
  it('has the context of both, its own before', async () => {
    const experiment = bench.start();
    const emit = () => telemetry.execute(STOP, {}, {});
    experiment.run(
      () => {
        experiment.run(emit, { step: 2, userId: 'u2' });
        experiment.run(emit);
        experiment.bind(emit, { step: 3 })();
        emit();
      },
      { userId: 'u1', sessionId: 's1' },
    );
    const rows = await experiment.query();
    expect(rows.map(({ metadata }) => metadata)).toEqual([
      { userId: 'u2', sessionId: 's1', step: 2 },
      { userId: 'u1', sessionId: 's1' },
      { userId: 'u1', sessionId: 's1', step: 3 },
      { userId: 'u1', sessionId: 's1' },
    ]);
  });

  it('has its own where another experiment’s run is between', async () => {
    const [a, b] = [bench.start({ name: 'a' }), bench.start({ name: 'b' })];
    a.run(() => b.run(() => telemetry.execute(STOP, {}, {}), { of: 'b' }), { of: 'a', from: 'a' });
    expect((await b.query())[0]!.metadata).toEqual({ of: 'b' });
  });
});

describe('a large array that run or span is given back', () => {
  it('is looked at only in part', () => {
    const experiment = bench.start();
    let looked = 0;
    const data = new Proxy(Array(1_000_000).fill(0.5) as number[], {
      getOwnPropertyDescriptor(target, key) {
        looked++;
        return Reflect.getOwnPropertyDescriptor(target, key);
      },
      ownKeys: raise,
    });
    expect(experiment.run(() => data)).toBe(data);
    expect(telemetry.span('req_llm.request', {}, () => data)).toBe(data);
    expect(looked).toBeLessThan(1000);
  });
});
