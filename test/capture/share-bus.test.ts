/** Other threads' buses: what they emit goes to the experiments that they have attached. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { telemetry } from '../../src/capture/bus.js';
import { attachExperiment, type ExperimentHandle } from '../../src/capture/share.js';
import { Crucible } from '../../src/experiment/crucible.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import { useBench } from './support.js';

const bench = useBench();

/** What the experiment captured under metadata.at, in any order. */
async function captured(experiment: Experiment): Promise<unknown[]> {
  return (await experiment.query()).map(({ metadata }) => metadata.at).toSorted();
}

const emit = (at: unknown) => telemetry.execute('req_llm.request.stop', {}, { at });

/** Runs a program in a thread, with the library and the handles at hand, to its end. */
async function inThread(handles: Record<string, ExperimentHandle>, program: string): Promise<void> {
  const whole = `
    import('./dist/src/index.js').then(async ({ attachExperiment, telemetry }) => {
      const { setTimeout: sleep } = await import('node:timers/promises');
      const { workerData: handles, parentPort } = require('node:worker_threads');
      const emit = (at) => telemetry.execute('req_llm.request.stop', {}, { at });
      ${program}
    });`;
  const worker = new Worker(whole, { eval: true, workerData: handles });
  const [code] = await once(worker, 'exit');
  expect(code).toBe(0);
}

describe('an event on the bus of a thread', () => {
  it('goes to every experiment that the thread has attached, and to no other', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const [a, b, c] = ['a', 'b', 'c'].map((name) => crucible.startExperiment({ name, capacity: 4096 }));
    await inThread(
      { a: a!.share(), b: b!.share() },
      `emit('before');
       const writers = Object.values(handles).map((handle) => attachExperiment(handle));
       emit('in a thread');
       for (const writer of writers) writer.close();
       emit('after');`,
    );
    emit('in main');
    expect(await captured(a!)).toEqual(['in a thread', 'in main']);
    expect(await captured(b!)).toEqual(['in a thread', 'in main']);
    expect(await captured(c!)).toEqual(['in main']);
  });

  it('emitted in a run goes to that run’s experiment alone, with its context, streams included', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const [a, b] = ['a', 'b'].map((name) => crucible.startExperiment({ name, capacity: 4096 }));
    await inThread(
      { a: a!.share(), b: b!.share() },
      `const [a, b] = [attachExperiment(handles.a), attachExperiment(handles.b)];
       async function* reply(name) { emit(name + ' begins'); await sleep(1); yield 1; emit(name + ' ends'); }
       for await (const _ of a.run(() => reply('a'), { model: 'm' }));
       for await (const _ of await b.run(async () => reply('b')));
       b.bind(emit)('b bound');
       a.run(() => a.capture('direct', {}, { at: 'a direct' }), { model: 'm' });
       a.run(() => b.capture('direct', {}, { at: 'b direct' }), { model: 'm' });
       a.run(() => b.run(() => emit('b inner')));
       emit('both');`,
    );
    expect(await captured(a!)).toEqual(['a begins', 'a direct', 'a ends', 'both']);
    expect(await captured(b!)).toEqual(['b begins', 'b bound', 'b direct', 'b ends', 'b inner', 'both']);
    const models = (await a!.query()).map(({ metadata }) => [metadata.at, metadata.model ?? null]);
    expect(models.toSorted()).toEqual([
      ['a begins', 'm'],
      ['a direct', 'm'],
      ['a ends', 'm'],
      ['both', null],
    ]);
    expect((await b!.query()).every(({ model }) => model === null)).toBe(true);
  });

  it.each<[string, 'standard' | 'all' | string[], string[]]>([
    ['the standard ones', 'standard', ['req_llm.request.stop']],
    ['all', 'all', ['my.own', 'req_llm.request.stop', 'yours']],
    ['those named', ['my.own'], ['my.own']],
    ['none', [], []],
  ])('is captured as far as the experiment chose its events: %s', async (_, events, expected) => {
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'chosen', capacity: 4096, events });
    await inThread(
      { a: experiment.share() },
      `attachExperiment(handles.a);
       for (const name of ['req_llm.request.stop', 'my.own', 'yours']) telemetry.execute(name, {});`,
    );
    expect((await experiment.query()).map(({ eventName }) => eventName).toSorted()).toEqual(expected);
  });

  it('is not captured while the experiment is paused, nor once it is stopped', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'paused', capacity: 4096 });
    const program = `
      const { workerData, parentPort } = require('node:worker_threads');
      import('./dist/src/index.js').then(({ attachExperiment, telemetry }) => {
        attachExperiment(workerData);
        parentPort.on('message', (at) => {
          if (at === 'end') process.exit();
          telemetry.execute('req_llm.request.stop', {}, { at });
          parentPort.postMessage('emitted');
        });
        parentPort.postMessage('ready');
      });`;
    const worker = new Worker(program, { eval: true, workerData: experiment.share() });
    await once(worker, 'message');
    const emitThere = async (at: string) => {
      worker.postMessage(at);
      await once(worker, 'message');
    };
    await emitThere('running');
    experiment.pause();
    await emitThere('paused');
    experiment.resume();
    // The thread hears of it on its next tick.
    while (!(await captured(experiment)).includes('again')) await emitThere('again');
    await experiment.stop();
    await emitThere('stopped');
    const all = await captured(experiment);
    expect(new Set(all)).toEqual(new Set(['running', 'again']));
    worker.postMessage('end');
    await once(worker, 'exit');
  });

  it('is captured once, whoever else captures the same experiment there', async () => {
    const experiment = bench.start({ producers: 4 });
    const attach = () => attachExperiment(experiment.share(), { clock: bench.clock });
    const writers = [attach(), attach()];
    emit('heard by the experiment itself');
    for (const writer of writers) writer.close();

    await using crucible = new Crucible({ workers: 0 });
    const shared = crucible.startExperiment({ name: 'shared', capacity: 4096 });
    await inThread(
      { a: shared.share() },
      `const [first, second, third] = [1, 2, 3].map(() => attachExperiment(handles.a));
       emit('of three');
       second.close();
       emit('of two');
       first.close();
       emit('of one');
       third.close();
       emit('of none');`,
    );
    expect(await captured(experiment)).toEqual(['heard by the experiment itself']);
    expect(await captured(shared)).toEqual(['of one', 'of three', 'of two']);
  });

  it('of a run whose writer is closed is counted as refused, unless another writer of the thread takes it', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'late', capacity: 4096 });
    await inThread(
      { a: experiment.share() },
      `const [first, second] = [attachExperiment(handles.a), attachExperiment(handles.a)];
       const late = first.bind(emit);
       first.close();
       late('taken over');
       second.close();
       late('refused');
       emit('for nobody');`,
    );
    expect(await captured(experiment)).toEqual(['taken over']);
    expect(experiment.counts.refused).toMatchObject({ total: 1, closed: 1 });
  });

  it('is lost to nobody when many threads emit at once', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const [a, b] = ['a', 'b'].map((name) => crucible.startExperiment({ name, capacity: 16_384 }));
    const handles = { a: a!.share(), b: b!.share() };
    await Promise.all(
      [0, 1, 2].map((thread) =>
        inThread(
          handles,
          `const arms = { a: attachExperiment(handles.a), b: attachExperiment(handles.b) };
           await Promise.all(Array.from({ length: 300 }, (_, n) => {
             const name = n % 3 === 0 ? 'a' : 'b';
             return arms[name].run(async () => { await sleep(n % 7); emit(name + ' ${thread} ' + n); });
           }));
           for (let n = 0; n < 50; n++) emit('both ${thread} ' + n);`,
        ),
      ),
    );
    const [inA, inB] = [await captured(a!), await captured(b!)];
    const both = (all: unknown[]) => all.filter((at) => String(at).startsWith('both')).length;
    expect([inA.length, inB.length]).toEqual([3 * 150, 3 * 250]);
    expect([both(inA), both(inB)]).toEqual([150, 150]);
    expect(new Set(inA).size).toBe(inA.length);
    expect(inB.some((at) => String(at).startsWith('a'))).toBe(false);
  });
});

describe('a handle', () => {
  it('tells the choice of events, and is refused without', () => {
    const experiment = bench.start({ events: ['my.own'] });
    expect(experiment.share().events).toEqual(['my.own']);
    const { events: _, ...rest } = experiment.share();
    expect(() => attachExperiment(rest as ExperimentHandle, { clock: bench.clock })).toThrow(
      'handle: expected what Experiment.share() returns',
    );
  });
});
