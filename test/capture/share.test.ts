/** Capturing from other threads. */

import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { attachExperiment } from '../../src/capture/share.js';
import { ConfigError, LayoutError, StateError } from '../../src/errors.js';
import { Crucible } from '../../src/experiment/crucible.js';
import { codeOf, START_US, useBench } from './support.js';

const bench = useBench();

describe('attachExperiment', () => {
  it('captures for the experiment by its own writer', async () => {
    const experiment = bench.start({ columns: { c: 'i32' } });
    const writer = attachExperiment(experiment.share(), { clock: bench.clock });
    expect(writer.experimentId).toBe(experiment.id);
    experiment.capture('main', {}, { n: 1 });
    writer.capture(
      'other',
      { latencyMs: 5 },
      { n: 2, c: 7, tokens: { prompt: 1, completion: 2 }, model: 'gpt-4' },
    );
    writer.captureAt(START_US + 9, 'other', {}, { n: 3 });
    writer.recorder('other', { model: 'm' }).record(6);
    writer.publish();
    const rows = await experiment.query();
    expect(rows).toHaveLength(4);
    expect(rows.find(({ metadata }) => metadata.n === 2)).toMatchObject({
      latencyMs: 5,
      metadata: { c: 7, model: 'gpt-4' },
      costUsd: 0.00015,
    });
    expect(new Set(rows.map(({ eventId }) => eventId)).size).toBe(4);
    expect(new Set(rows.map(({ sequence }) => sequence)).size).toBe(4);
    writer.close();
  });

  it('gives its place back when it is closed, and captures nothing afterwards', async () => {
    const experiment = bench.start({ producers: 2 });
    const handle = experiment.share();
    const writer = attachExperiment(handle, { clock: bench.clock });
    expect(() => attachExperiment(handle, { clock: bench.clock })).toThrow(StateError);
    const recorder = writer.recorder('e');
    recorder.record(1);
    writer.close();
    writer.close();
    recorder.record(2);
    writer.capture('e', {});
    writer.captureAt(START_US, 'e', {});
    writer.publish();
    expect(experiment.counts.captured).toBe(1);
    const next = attachExperiment(handle, { clock: bench.clock });
    next.capture('e', {});
    next.close();
    expect(await experiment.query()).toHaveLength(2);
  });

  it('ignores what is captured while the experiment is paused or stopped', async () => {
    const experiment = bench.start();
    const writer = attachExperiment(experiment.share(), { clock: bench.clock });
    experiment.pause();
    writer.capture('e', {});
    experiment.resume();
    writer.capture('e', {}, { n: 1 });
    writer.publish();
    const stopping = experiment.stop();
    writer.capture('e', {});
    writer.close();
    await stopping;
    expect((await experiment.query()).map(({ metadata }) => metadata.n)).toEqual([1]);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['text', 'handle'],
    ['an empty object', {}],
    ['an ordinary buffer', { memory: { buffer: new ArrayBuffer(65_536) } }],
  ])('refuses %s', (_, handle) => {
    expect(() => attachExperiment(handle as never)).toThrow(ConfigError);
  });

  it('refuses to guess the clock of an experiment that has its own', () => {
    expect(codeOf(() => attachExperiment(bench.start().share()))).toBe('ERR_CONFIG_INVALID');
  });

  it('refuses a memory that is not one of ours', () => {
    const handle = {
      ...bench.start().share(),
      ownClock: false,
      memory: { buffer: new SharedArrayBuffer(65_536) },
    };
    expect(() => attachExperiment(handle as never)).toThrow(LayoutError);
    expect(codeOf(() => attachExperiment(handle as never))).toBe('ERR_LAYOUT_VERSION');
  });

  it('works in a worker thread, whose rows are all there once it has ended', async () => {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'workers', capacity: 16_384, producers: 3 });
    const program = `
      const { workerData } = require('node:worker_threads');
      import('./dist/src/index.js').then(({ attachExperiment }) => {
        const writer = attachExperiment(workerData.handle);
        const recorder = writer.recorder('from.worker', { worker: workerData.name });
        for (let i = 0; i < 2000; i++) recorder.record(i);
        writer.capture('last', {}, { worker: workerData.name });
      });`;
    const ended = ['a', 'b'].map(
      (name) =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(program, {
            eval: true,
            workerData: { handle: experiment.share(), name },
          });
          worker.once('error', reject);
          worker.once('exit', resolve);
        }),
    );
    for (let i = 0; i < 500; i++) experiment.capture('from.main', { latencyMs: i });
    expect(await Promise.all(ended)).toEqual([0, 0]);
    expect(experiment.counts).toMatchObject({ captured: 4502, dropped: 0 });
    for (const worker of ['a', 'b']) {
      const rows = await experiment.query({ where: { worker }, eventName: 'from.worker' });
      expect(rows.toSorted((x, y) => x.sequence - y.sequence).map(({ latencyMs }) => latencyMs)).toEqual([
        ...Array(2000).keys(),
      ]);
      expect(await experiment.query({ where: { worker }, eventName: 'last' })).toHaveLength(1);
    }
    expect(experiment.streamingMetrics().eventCounts).toEqual({
      'from.main': 500,
      'from.worker': 4000,
      last: 2,
    });
  });
});
