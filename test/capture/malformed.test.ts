/** What could not be understood of an event is told with it, counted by its key, and comes back from a file. Needs the built files, for its threads. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/experiment/crucible.js';
import type { Experiment, ExportFormat } from '../../src/experiment/experiment.js';
import type { Measurements, Metadata } from '../../src/schema/event.js';
import { lastEvent, START_US, useBench } from './support.js';

const bench = useBench();

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-malformed-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const throwing = {
  get bad(): never {
    throw new Error('no');
  },
  good: 1,
};

describe('an event', () => {
  it.each<[string, unknown, unknown, readonly string[]]>([
    ['nothing', { duration: 1 }, { model: 'm' }, []],
    ['measurements that are none', 5, {}, ['measurements']],
    ['metadata that are none', {}, 'text', ['metadata']],
    ['a Map for an object', new Map([['a', 1]]), {}, ['measurements']],
    [
      'a number that is none',
      { duration: Number.NaN },
      { cost: 'free' },
      ['measurements.duration', 'metadata.cost'],
    ],
    ['a function', { ok: 1, fn: () => 1 }, { fn: () => 1, after: 2 }, ['metadata.fn', 'measurements.fn']],
    ['a cycle', {}, { list: cyclic() }, ['metadata.list']],
    ['a declared column of another type', {}, { score: 'high', other: 1 }, ['metadata.score']],
    ['a getter that throws', throwing, throwing, ['measurements.bad', 'metadata.bad']],
    [
      'a part of its tokens',
      {},
      { tokens: { prompt: 1, completion: 'x', total: -1 } },
      ['metadata.tokens.completion', 'metadata.tokens.total'],
    ],
    [
      'a part of a part',
      {},
      { usage: { inputTokens: { total: 'x' } } },
      ['metadata.usage.inputTokens.total'],
    ],
  ])('tells its keys: %s', async (_, measurements, metadata, keys) => {
    const experiment = bench.start({ columns: { score: 'f64' } });
    experiment.capture('before', { fn: () => 1 });
    experiment.capture('e', measurements as Measurements, metadata as Metadata);
    const row = await lastEvent(experiment);
    expect(row.malformedKeys.toSorted()).toEqual(keys.toSorted());
    expect(row.malformed).toBe(keys.length > 0);
    // What was malformed before does not turn up again.
    experiment.capture('after', { duration: 1e6 }, { model: 'gpt-4' });
    expect(await lastEvent(experiment)).toMatchObject({ malformed: false, malformedKeys: [], latencyMs: 1 });
  });

  it('tells a name and a time that are none', async () => {
    const experiment = bench.start();
    experiment.capture(5 as never, {});
    expect((await lastEvent(experiment)).malformedKeys).toEqual(['event']);
    experiment.captureAt(Number.POSITIVE_INFINITY, 'e', {});
    expect((await lastEvent(experiment)).malformedKeys).toEqual(['timestamp']);
  });

  it('of a recorder tells which number is none, or that its time is', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e', { model: 'm' });
    recorder.recordAt(START_US, Number.POSITIVE_INFINITY);
    recorder.recordAt(START_US + 1, 5, Number.NEGATIVE_INFINITY);
    recorder.recordAt(START_US + 2, 1e150, 1e150);
    recorder.recordAt(START_US + 3, 5, 0.1);
    recorder.recordAt(Number.NaN, 5, 0.1);
    const rows = (await experiment.query()).sort((a, b) => a.sequence - b.sequence);
    expect(rows.map(({ malformedKeys }) => malformedKeys)).toEqual([
      ['latencyMs'],
      ['costUsd'],
      ['latencyMs', 'costUsd'],
      [],
      ['timestamp'],
    ]);
    expect(experiment.counts).toMatchObject({ malformed: 4, malformedKeys: {} });
    for (const format of ['csv', 'jsonl', 'msgpack', 'arrow', 'parquet'] as const) {
      const path = join(dir, `recorded.${format}`);
      await experiment.export(format, { path });
      const back = bench.start();
      await back.importFile(path);
      const read = (await back.query()).sort((a, b) => a.sequence - b.sequence);
      expect(read.map(({ malformedKeys }) => malformedKeys.join()).sort(), format).toEqual(
        rows.map(({ malformedKeys }) => malformedKeys.join()).sort(),
      );
    }
  });

  it('tells 16 keys, and the first 128 characters of each', async () => {
    const experiment = bench.start();
    const metadata = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`${i}${'x'.repeat(200)}`, () => i]),
    );
    experiment.capture('e', {}, metadata);
    const { malformedKeys } = await lastEvent(experiment);
    expect(malformedKeys).toHaveLength(16);
    expect(malformedKeys[0]).toBe(`metadata.0${'x'.repeat(118)}`);
  });

  it('can be asked for', async () => {
    const experiment = bench.start();
    experiment.capture('e', { duration: 'x' });
    experiment.capture('e', { duration: 1 });
    expect(await experiment.query({ malformed: true } as never)).toMatchObject([
      { malformedKeys: ['measurements.duration'] },
    ]);
  });
});

describe('counts.malformedKeys', () => {
  it('has events by key, the most frequent first', () => {
    const experiment = bench.start();
    for (let i = 0; i < 3; i++) experiment.capture('e', { duration: 'x', latency: i === 0 ? 'y' : 1 });
    experiment.capture('e', {}, { cost: 'z' });
    const { malformed, malformedKeys } = experiment.counts;
    expect(malformed).toBe(4);
    expect(Object.entries(malformedKeys)).toEqual([
      ['measurements.duration', 3],
      ['measurements.latency', 1],
      ['metadata.cost', 1],
    ]);
  });

  it('has 64 keys, and all others as one', () => {
    const experiment = bench.start();
    for (let i = 0; i < 100; i++) experiment.capture('e', {}, { [`key${i}`]: () => 1 });
    experiment.capture('e', {}, { key0: () => 1 });
    const { malformed, malformedKeys } = experiment.counts;
    expect(malformed).toBe(101);
    expect(Object.keys(malformedKeys)).toHaveLength(65);
    expect(malformedKeys).toMatchObject({ '(other)': 36, 'metadata.key0': 2, 'metadata.key63': 1 });
  });

  it('stays when the memory is let go', async () => {
    const experiment = bench.start();
    experiment.capture('e', { duration: 'x' });
    await experiment.cleanup({ keepData: true });
    expect(experiment.counts.malformedKeys).toEqual({ 'measurements.duration': 1 });
  });

  it('does not count an event that was refused', () => {
    const experiment = bench.start({ capacity: 1024, overflow: 'reject' });
    for (let i = 0; i < 3000; i++) experiment.capture('e', { duration: 'x' });
    const { captured, malformed, malformedKeys, refused } = experiment.counts;
    expect(refused.full).toBe(3000 - captured);
    expect(malformed).toBe(captured);
    expect(malformedKeys).toEqual({ 'measurements.duration': captured });
  });

  it('counts what other threads capture', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'threads', capacity: 4096, producers: 3 });
    await Promise.all(
      ['a', 'b'].map(
        (key) =>
          new Promise((resolve, reject) => {
            const worker = new Worker(
              `const { workerData } = require('node:worker_threads');
              import(workerData.library).then(({ attachExperiment }) => {
                const writer = attachExperiment(workerData.handle);
                for (let i = 0; i < 100; i++) writer.capture('e', { duration: 'x' }, { [workerData.key]: () => 1 });
                writer.close();
              });`,
              {
                eval: true,
                workerData: {
                  handle: experiment.share(),
                  key,
                  library: new URL('../../dist/src/index.js', import.meta.url).href,
                },
              },
            );
            worker.once('exit', resolve).once('error', reject);
          }),
      ),
    );
    for (let i = 0; i < 50; i++) experiment.capture('e', { duration: 'x' });
    expect(experiment.counts).toMatchObject({
      malformed: 250,
      malformedKeys: { 'measurements.duration': 250, 'metadata.a': 100, 'metadata.b': 100 },
    });
  });

  it('is found again when the experiment is reopened, and goes on', async () => {
    {
      await using crucible = new Crucible({ dir, workers: 0 });
      const experiment = crucible.startExperiment({ name: 'durable', id: 'd', columns: { region: 'dict' } });
      for (let i = 0; i < 500; i++) {
        experiment.capture('e', i % 2 === 0 ? { duration: 'x' } : { duration: 1 }, { region: `r${i % 50}` });
      }
      experiment.capture('e', {}, { region: 5 });
    }
    await using crucible = new Crucible({ dir, workers: 0 });
    await crucible.recover(dir, { readOnly: true });
    const experiment = crucible.experiment('d');
    expect(experiment.counts).toMatchObject({
      malformed: 251,
      malformedKeys: { 'measurements.duration': 250, 'metadata.region': 1 },
    });
    expect(await experiment.query({ where: { region: 'r7' } })).toHaveLength(10);
  });
});

describe('a file', () => {
  const fill = (experiment: Experiment) => {
    for (let i = 0; i < 30; i++) {
      experiment.captureAt(START_US + i, 'e', i % 3 === 0 ? { duration: 'x' } : { duration: 5 }, {
        model: 'gpt-4',
        tokens: { prompt: i, completion: 1, total: i % 5 === 0 ? 99 : i + 1 },
        ...(i % 6 === 0 && { cost: 'free' }),
      });
    }
  };

  it.each<[ExportFormat, object]>([
    ['csv', {}],
    ['jsonl', {}],
    ['msgpack', {}],
    ['msgpack', { layout: 'columns' }],
    ['arrow', {}],
    ['parquet', {}],
  ])('has the keys, and the totals that were told: %s %j', async (format, options) => {
    const experiment = bench.start();
    fill(experiment);
    const path = join(dir, `events.${format}`);
    await experiment.export(format, { path, ...options });
    const back = bench.start();
    await back.importFile(path);
    const told = async (of: Experiment) =>
      (await of.query()).map(({ eventId, malformed, malformedKeys, tokens }) => ({
        ...{ eventId, malformed, malformedKeys, tokens },
      }));
    expect(await told(back)).toEqual(await told(experiment));
    const { malformed, malformedKeys } = experiment.counts;
    expect(back.counts).toMatchObject({ malformed, malformedKeys });
    expect(malformedKeys).toEqual({ 'measurements.duration': 10, 'metadata.cost': 5 });
    expect((await back.metrics()).tokens).toEqual((await experiment.metrics()).tokens);
    expect((await experiment.metrics()).tokens).toMatchObject({ count: 30, total: 6 * 99 + 24 + 435 - 75 });
  });

  it('of CSV has a column of them', async () => {
    const experiment = bench.start();
    fill(experiment);
    let text = '';
    for await (const part of experiment.exportStream('csv')) text += part;
    const [header, first, second] = text.split('\n').map((line) => line.split(','));
    const column = header!.indexOf('malformed_keys');
    expect(column).toBeGreaterThan(0);
    expect(first!.slice(column, column + 2).join()).toBe('"measurements.duration,metadata.cost"');
    expect(second![column]).toBe('');
  });
});

function cyclic(): unknown[] {
  const list: unknown[] = [];
  list.push(list);
  return list;
}
