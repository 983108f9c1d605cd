/** Which experiment an event goes to. */

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { telemetry } from '../../src/capture/bus.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import { useBench } from './support.js';

const bench = useBench();
const EVENT = 'req_llm.request.stop';

/** What the experiment captured under metadata.n, in order of capture. */
async function captured(experiment: Experiment): Promise<unknown[]> {
  const rows = await experiment.query();
  return rows.toSorted((a, b) => a.sequence - b.sequence).map(({ metadata }) => metadata.n);
}

const emit = (n: unknown, metadata: Record<string, unknown> = {}) =>
  telemetry.execute(EVENT, {}, { n, ...metadata });

describe('an event emitted outside any run', () => {
  it('goes to every running experiment', async () => {
    const [a, b, paused, stopped] = [bench.start(), bench.start(), bench.start(), bench.start()];
    paused.pause();
    await stopped.stop();
    emit(1);
    expect(await captured(a)).toEqual([1]);
    expect(await captured(b)).toEqual([1]);
    expect(await captured(paused)).toEqual([]);
    expect(await captured(stopped)).toEqual([]);
  });
});

describe('an event emitted inside a run', () => {
  it('goes to that experiment alone', async () => {
    const [a, b] = [bench.start(), bench.start()];
    const value = a.run(() => {
      emit('a');
      return 'value';
    });
    expect(value).toBe('value');
    b.run(() => emit('b'));
    emit('both');
    expect(await captured(a)).toEqual(['a', 'both']);
    expect(await captured(b)).toEqual(['b', 'both']);
  });

  it('follows the async context across await, timers, microtasks and emitters', async () => {
    const [a, b] = [bench.start(), bench.start()];
    const work = async (name: string) => {
      emit(`${name} before`);
      await null;
      emit(`${name} after await`);
      await sleep(2);
      emit(`${name} after sleep`);
      await new Promise<void>((done) => {
        setTimeout(() => {
          emit(`${name} in timeout`);
          done();
        }, 1);
      });
      await new Promise<void>((done) => {
        setImmediate(() => {
          emit(`${name} in immediate`);
          queueMicrotask(() => {
            emit(`${name} in microtask`);
            done();
          });
        });
      });
      const part = async (n: number) => {
        await sleep(n * 10);
        emit(`${name} part ${n}`);
      };
      await Promise.all([part(1), part(2)]);
    };
    await Promise.all([a.run(() => work('a')), b.run(() => work('b'))]);
    const expected = (name: string) =>
      [
        'before',
        'after await',
        'after sleep',
        'in timeout',
        'in immediate',
        'in microtask',
        'part 1',
        'part 2',
      ].map((at) => `${name} ${at}`);
    expect(await captured(a)).toEqual(expected('a'));
    expect(await captured(b)).toEqual(expected('b'));
  });

  it('belongs to the innermost of nested runs, and to the outer one again afterwards', async () => {
    const [a, b] = [bench.start(), bench.start()];
    await a.run(async () => {
      emit(1);
      await b.run(async () => {
        emit(2);
        await null;
        a.run(() => emit(3));
        emit(4);
      });
      emit(5);
    });
    expect(await captured(a)).toEqual([1, 3, 5]);
    expect(await captured(b)).toEqual([2, 4]);
  });

  it('goes nowhere when its experiment is paused, stopped or of another Crucible that is closed', async () => {
    const [a, other] = [bench.start(), bench.start()];
    a.pause();
    a.run(() => emit(1));
    a.resume();
    await a.stop();
    a.run(() => emit(2));
    expect(await captured(a)).toEqual([]);
    expect(await captured(other)).toEqual([]);
  });

  it('keeps going there when the function’s promise outlives the run call', async () => {
    const [a, b] = [bench.start(), bench.start()];
    const later: (() => void)[] = [];
    a.run(() => {
      void sleep(1).then(() => {
        emit('late');
        later[0]?.();
      });
    });
    await new Promise<void>((done) => later.push(done));
    expect(await captured(a)).toEqual(['late']);
    expect(await captured(b)).toEqual([]);
  });

  it('passes on what the function throws', async () => {
    const a = bench.start();
    const error = new Error('work');
    expect(() =>
      a.run(() => {
        emit(1);
        throw error;
      }),
    ).toThrow(error);
    await expect(a.run(() => Promise.reject(error))).rejects.toBe(error);
    expect(await captured(a)).toEqual([1]);
  });

  it('by telemetry.span arrives whole', async () => {
    const [a, b] = [bench.start(), bench.start()];
    await a.run(() => telemetry.span('req_llm.request', { model: 'm' }, () => sleep(1)));
    const rows = await a.query();
    expect(rows.map(({ eventName }) => eventName)).toEqual(['req_llm.request.start', 'req_llm.request.stop']);
    expect(rows[1]?.latencyMs).toBeGreaterThanOrEqual(0);
    expect(b.counts.captured).toBe(0);
  });
});

describe('the context of a run', () => {
  it('is added to the metadata of what is emitted and captured inside; an event’s own wins', async () => {
    const a = bench.start();
    a.run(
      () => {
        emit(1);
        emit(2, { arm: 'own', extra: true });
        a.capture('direct', {}, { n: 3 });
        a.capture('bare', {});
      },
      { arm: 'context', model: 'm', sessionId: 's' },
    );
    const rows = await a.query();
    expect(rows.map(({ metadata }) => metadata)).toEqual([
      { arm: 'context', model: 'm', sessionId: 's', n: 1 },
      { arm: 'own', model: 'm', sessionId: 's', n: 2, extra: true },
      { arm: 'context', model: 'm', sessionId: 's', n: 3 },
      { arm: 'context', model: 'm', sessionId: 's' },
    ]);
    expect(rows[0]).toMatchObject({ model: 'm', sessionId: 's' });
  });

  it('takes part in enrichment', async () => {
    const a = bench.start();
    a.run(() => a.capture('e', {}, { tokens: { prompt: 1e6, completion: 0 } }), {
      model: 'gpt-4',
      cohort: 'c1',
    });
    expect((await a.query())[0]).toMatchObject({ costUsd: 30, cohort: 'c1' });
  });

  it('of another experiment is not added to what is captured directly', async () => {
    const [a, b] = [bench.start(), bench.start()];
    a.run(() => b.capture('direct', {}, { n: 1 }), { arm: 'a' });
    expect((await b.query())[0]?.metadata).toEqual({ n: 1 });
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['text', 'abc'],
    ['a number', 5],
    ['a symbol', Symbol('s')],
  ])('that is %s harms nothing', async (_, context) => {
    const a = bench.start();
    a.run(() => emit(1), context as never);
    expect(await captured(a)).toEqual([1]);
  });
});

describe('the choice of events', () => {
  it('is the registered ones by default, those named, or all', async () => {
    const standard = bench.start();
    const named = bench.start({ events: ['my.event'] });
    const all = bench.start({ events: 'all' });
    const none = bench.start({ events: [] });
    emit(1);
    telemetry.execute('my.event', {}, { n: 2 });
    telemetry.execute('altar.tool.exception', {}, { n: 3 });
    telemetry.execute('other.event', {}, { n: 4 });
    expect(await captured(standard)).toEqual([1, 3]);
    expect(await captured(named)).toEqual([2]);
    expect(await captured(all)).toEqual([1, 2, 3, 4]);
    expect(await captured(none)).toEqual([]);
  });
});

describe('an A/B test', () => {
  it('of two arms run at the same time finds each arm’s own numbers', async () => {
    const crucible = bench.crucible();
    const control = bench.start({ name: 'control', condition: 'control' });
    const treatment = bench.start({ name: 'treatment', condition: 'treatment' });
    const arm = async (experiment: Experiment, latencyMs: number, failures: number) => {
      for (let i = 0; i < 20; i++) {
        await sleep(0);
        await experiment.run(async () => {
          await null;
          telemetry.execute(EVENT, {
            duration: latencyMs * 1e6,
            cost: 0.01,
            status: i < failures ? 'error' : 'ok',
          });
        });
      }
    };
    await Promise.all([arm(control, 100, 10), arm(treatment, 80, 5)]);
    const { treatments } = await crucible.compare([control, treatment.id]);
    expect(treatments).toHaveLength(1);
    expect(treatments[0]).toMatchObject({
      name: 'treatment',
      condition: 'treatment',
      eventCountDifference: 0,
    });
    expect(treatments[0]?.latencyImprovementPct).toBeCloseTo(-20, 9);
    expect(treatments[0]?.successRateImprovementPct).toBeCloseTo(50, 9);
    expect(treatments[0]?.costDifferenceUsd).toBeCloseTo(0, 12);
  });
});
