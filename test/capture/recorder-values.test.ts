/** What recorders make of values that are none of their columns', and what the tokens that they record cost. */

import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Experiment } from '../../src/experiment/experiment.js';
import type { EventRow } from '../../src/schema/event.js';
import { START_US, useBench } from './support.js';

const bench = useBench();
const PRICED = { model: 'gpt-4' };
/** USD a token: 30 and 60 a million. */
const gpt4 = (prompt: number, completion: number) => (prompt / 1e6) * 30 + (completion / 1e6) * 60;
const record = (experiment: Experiment, ...values: unknown[]) =>
  experiment.recorder('e', PRICED).record(...(values as [number]));

async function only(experiment: Experiment): Promise<EventRow> {
  const rows = await experiment.query();
  expect(rows).toHaveLength(1);
  return rows[0]!;
}

const raise = () => {
  throw new Error('raised');
};
const raising = { valueOf: raise };

describe('a count of tokens that is none', () => {
  it.each([2 ** 31, 2 ** 32 + 7, 2 ** 40, -5, -2, 1.9, Infinity, 'abc', '', [7], {}, raising, Symbol('s')])(
    'is unknown, and told: %s',
    async (count) => {
      const experiment = bench.start();
      record(experiment, 1, undefined, count, 5, true);
      record(experiment, 1, undefined, 5, count, true);
      const [first, second] = await experiment.query();
      for (const row of [first, second])
        expect(row).toMatchObject({ latencyMs: 1, costUsd: null, success: true, malformed: true });
      expect(first).toMatchObject({
        tokens: { prompt: 0, completion: 5 },
        malformedKeys: ['measurements.promptTokens'],
      });
      expect(second).toMatchObject({
        tokens: { prompt: 5, completion: 0 },
        malformedKeys: ['measurements.completionTokens'],
      });
      expect(experiment.counts).toMatchObject({ captured: 2, malformed: 2 });
    },
  );

  it.each([-1, Number.NaN, null, undefined])('is absent as %s, which is not malformed', async (count) => {
    const experiment = bench.start();
    record(experiment, 1, 0.5, count, count);
    expect(await only(experiment)).toMatchObject({ tokens: null, costUsd: 0.5, malformed: false });
  });

  it.each([Number.NaN, null])(
    'is unknown as %s beside one that is known, and costs nothing known',
    async (count) => {
      const experiment = bench.start();
      record(experiment, 1, undefined, count, 5);
      expect(await only(experiment)).toMatchObject({
        tokens: { prompt: 0, completion: 5 },
        costUsd: null,
        costSource: 'unpriced:tokens',
        malformed: false,
      });
    },
  );

  it('is whole at both ends of its range', async () => {
    const experiment = bench.start();
    record(experiment, 1, 1, 0, 2 ** 31 - 1);
    expect(await only(experiment)).toMatchObject({
      tokens: { prompt: 0, completion: 2 ** 31 - 1 },
      malformed: false,
    });
  });
});

describe('another value of another kind', () => {
  it.each(['12ms', '', '12', true, [7], {}, raising, Symbol('s'), Object.create(null)])(
    'is no latency, and told: %j',
    async (latency) => {
      const experiment = bench.start();
      record(experiment, latency, 0.25, 5, 6, false);
      expect(await only(experiment)).toMatchObject({
        latencyMs: null,
        costUsd: 0.25,
        tokens: { prompt: 5, completion: 6 },
        success: false,
        malformedKeys: ['measurements.latencyMs'],
      });
    },
  );

  it('is absent as null', async () => {
    const experiment = bench.start();
    experiment.recorder('e').record(null as never, null as never, 5, 6, null);
    const row = await only(experiment);
    expect(row).toMatchObject({ latencyMs: null, costUsd: null, malformed: false, measurements: {} });
    expect(experiment.streamingMetrics()).toMatchObject({ latency: { count: 0 }, cost: { count: 0 } });
  });

  it('is the number that a bigint is', async () => {
    const experiment = bench.start();
    record(experiment, 5n, 2n, 10n, 7n);
    expect(await only(experiment)).toMatchObject({
      latencyMs: 5,
      costUsd: 2,
      costSource: 'event',
      tokens: { prompt: 10, completion: 7 },
      malformed: false,
    });
  });

  it.each([
    [1, true, false],
    [0, false, false],
    ['failed', false, false],
    ['maybe', null, true],
    [{}, null, true],
  ])('is a flag as one of an event is: %j', async (success, expected, malformed) => {
    const experiment = bench.start();
    record(experiment, 1, 1, 1, 1, success);
    expect(await only(experiment)).toMatchObject({ success: expected, malformed });
  });

  it.each([BigInt(START_US), new Date(), '2023', Symbol('s'), null])(
    'is no time, and the event has that of its capture: %s',
    async (time) => {
      const experiment = bench.start();
      experiment.recorder('e').recordAt(time as never, 5);
      expect(await only(experiment)).toMatchObject({
        timestamp: START_US,
        latencyMs: 5,
        malformedKeys: ['timestamp'],
      });
    },
  );

  it('is refused like any other when the experiment takes no more', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    await experiment.cleanup();
    recorder.record(5n as never);
    expect(experiment.counts.refused).toMatchObject({ closed: 1 });
  });
});

describe('whatever a recorder is given', () => {
  const anything = fc.oneof(
    fc.constantFrom(null, undefined, Number.NaN, -1, 2 ** 31, 2 ** 31 - 1, raising, Symbol('s'), 5n),
    fc.double(),
    fc.integer({ min: -10, max: 2 ** 33 }),
    fc.anything(),
  );

  it('never throws, is an event, and a number that it does not hold as it was given is told', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anything, { minLength: 5, maxLength: 5 }), async (values) => {
        const experiment = bench.start();
        const [latency, cost, prompt, completion, success] = values;
        experiment.recorder('e').record(...(values as [number, number, number, number, boolean]));
        experiment.recorder('e').recordAt(...([START_US, ...values] as [number, number]));
        const rows = await experiment.query();
        expect(rows).toHaveLength(2);
        for (const row of rows) {
          if (row.latencyMs !== null) expect(row.latencyMs).toBe(Number(latency));
          if (row.costUsd !== null) expect(row.costUsd).toBe(Number(cost));
          // A half that is not known stands as 0.
          if (row.tokens !== null && !row.malformed)
            for (const [is, was] of [
              [row.tokens.prompt, prompt],
              [row.tokens.completion, completion],
            ])
              expect(is).toBe(
                was === undefined || was === null || Number.isNaN(was) || was === -1 ? 0 : Number(was),
              );
          if (typeof success === 'boolean') expect(row.success).toBe(success);
        }
        await experiment.cleanup();
      }),
      { numRuns: 150 },
    );
  });
});

describe('what recorded tokens cost', () => {
  it('is what the same tokens of an event cost', async () => {
    const experiment = bench.start();
    record(experiment, 12, undefined, 100, 50, true);
    experiment.recorder('e', PRICED).start().stop({ promptTokens: 100, completionTokens: 50 });
    experiment.capture('e', { latencyMs: 12 }, { ...PRICED, tokens: { prompt: 100, completion: 50 } });
    const rows = await experiment.query();
    for (const row of rows)
      expect(row).toMatchObject({
        costUsd: gpt4(100, 50),
        costSource: 'table:reference-0.5.0',
        malformed: false,
      });
    expect((await experiment.metrics()).cost).toMatchObject({ count: 3 });
    expect(experiment.streamingMetrics().cost).toMatchObject({ count: 3 });
    expect(experiment.streamingMetrics().cost.sum).toBeCloseTo(3 * gpt4(100, 50), 12);
  });

  it('is nothing where it was told, and where there are no tokens', async () => {
    const experiment = bench.start();
    for (const model of ['gpt-4', 'unknown']) {
      const recorder = experiment.recorder('e', { model });
      recorder.record(1, 0.5, 10, 10);
      recorder.record(1);
      recorder.record(1, 0);
    }
    const told = (await experiment.query()).map(({ costUsd, costSource }) => [costUsd, costSource]);
    const expected = [
      [0.5, 'event'],
      [null, null],
      [0, 'event'],
    ];
    expect(told).toEqual([...expected, ...expected]);
  });

  it('is null with the reason where the table does not have the model', async () => {
    const experiment = bench.start();
    experiment.recorder('e', { model: 'unknown' }).record(1, undefined, 10, 10);
    experiment.recorder('e').record(1, undefined, 10, 10);
    const rows = await experiment.query();
    expect(rows.map(({ costUsd, costSource }) => [costUsd, costSource])).toEqual([
      [null, 'unpriced:model'],
      [null, null],
    ]);
  });

  it('is by the length of the prompt and the time, as the cost of an event is', async () => {
    const dated = [
      {
        input: 3,
        output: 15,
        tiers: [
          { above: 1000, input: 6 },
          { above: 5000, output: 30 },
        ],
      },
      { from: '2023-11-15', until: '2023-12-01', input: 1, output: 2 },
    ];
    const old = [{ until: '2020-01-01', input: 1, output: 1 }];
    bench.crucible({ prices: { version: 'own', models: { dated, old } } });
    const experiment = bench.start();
    for (const day of [0, 1, 30]) {
      bench.clock.advance(day * 86_400_000);
      for (const model of ['dated', 'old']) {
        const recorder = experiment.recorder('recorded', { model });
        for (const prompt of [10, 1000, 1001, 6000]) {
          recorder.record(1, undefined, prompt, 50);
          experiment.capture('captured', {}, { model, tokens: { prompt, completion: 50 } });
        }
      }
    }
    const told = async (eventName: string) =>
      (await experiment.query({ eventName })).map(({ costUsd, costSource }) => [costUsd, costSource]);
    const recorded = await told('recorded');
    expect(recorded).toEqual(await told('captured'));
    expect(new Set(recorded.map(([costUsd]) => costUsd)).size).toBeGreaterThan(6);
    expect(recorded.at(-1)).toEqual([null, 'unpriced:model']);
  });

  it('counts a half that was not told as none', async () => {
    const experiment = bench.start();
    record(experiment, 1, undefined, 100);
    expect(await only(experiment)).toMatchObject({ costUsd: gpt4(100, 0) });
  });

  it('is right in every batch: of rows alike and mixed, priced and not, with costs and without', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            model: fc.constantFrom('gpt-4', 'gpt-3.5-turbo', 'unknown', undefined),
            cost: fc.constantFrom(undefined, 0.25, 0),
            prompt: fc.constantFrom(-1, 0, 7, 2 ** 31 - 1),
            completion: fc.constantFrom(-1, 3),
            captured: fc.boolean(),
            repeat: fc.integer({ min: 1, max: 300 }),
          }),
          { minLength: 1, maxLength: 6 },
        ),
        async (runs) => {
          const experiment = bench.start();
          const expected: unknown[] = [];
          const rates: Record<string, [number, number]> = { 'gpt-4': [30, 60], 'gpt-3.5-turbo': [0.5, 1.5] };
          for (const { model, cost, prompt, completion, captured, repeat } of runs) {
            const recorder = experiment.recorder('e', model === undefined ? {} : { model });
            const hasTokens = prompt >= 0 || completion >= 0;
            const rate = rates[model ?? ''];
            const computed =
              rate && (Math.max(prompt, 0) / 1e6) * rate[0] + (Math.max(completion, 0) / 1e6) * rate[1];
            for (let i = 0; i < repeat; i++) {
              if (captured) experiment.capture('f', {}, {});
              recorder.record(1, cost, prompt, completion);
              if (cost !== undefined) expected.push([cost, 'event']);
              else if (!hasTokens || model === undefined) expected.push([null, null]);
              else if (computed === undefined) expected.push([null, 'unpriced:model']);
              else expected.push([computed, 'table:reference-0.5.0']);
            }
          }
          const rows = await experiment.query({ eventName: 'e' });
          expect(rows.map(({ costUsd, costSource }) => [costUsd, costSource])).toEqual(expected);
          await experiment.cleanup();
        },
      ),
      { numRuns: 30 },
    );
  });

  it('is the same in every file', async () => {
    const experiment = bench.start({ name: 'files' });
    record(experiment, 1, undefined, 100, 50);
    experiment.recorder('e', { model: 'unknown' }).record(1, undefined, 10, 10);
    record(experiment, 1, 0.5, 10, 10);
    for (const format of ['jsonl', 'csv'] as const) {
      const path = join(tmpdir(), `recorded-costs-${process.pid}.${format}`);
      await experiment.export(format, { path });
      const text = readFileSync(path, 'utf8');
      expect(text).toContain(String(gpt4(100, 50)));
      for (const source of ['table:reference-0.5.0', 'unpriced:model', 'event'])
        expect(text).toContain(source);
    }
  });

  it('is known of the rows of a thread that was ended before it published them', async () => {
    const { Crucible } = await import('../../dist/src/index.js');
    const own = new Crucible();
    const experiment = own.startExperiment({ name: 'thread', capacity: 4096 });
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       import(workerData.library).then(({ attachExperiment }) => {
         const recorder = attachExperiment(workerData.handle).recorder('e', { model: 'gpt-4' });
         for (let i = 0; i < 10; i++) recorder.record(1, undefined, 100, 50);
         parentPort.postMessage('recorded');
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
       });`,
      {
        eval: true,
        workerData: {
          handle: experiment.share(),
          library: new URL('../../dist/src/index.js', import.meta.url).href,
        },
      },
    );
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
    await experiment.stop();
    const rows = await experiment.query();
    expect(rows.map(({ costUsd }: EventRow) => costUsd)).toEqual(Array(10).fill(gpt4(100, 50)));
    await own.close();
  });
});

describe('what a recorder’s span is given beside its columns', () => {
  it('is read by the names that enrichment knows', async () => {
    const experiment = bench.start();
    const usage = { prompt_tokens: 100, completion_tokens: 50 };
    experiment
      .recorder('e', PRICED)
      .start()
      .stop({ usage, userId: 'u' } as never);
    experiment
      .recorder('e', PRICED)
      .start()
      .stop({ metadata: { usage }, measurements: { chunks: 3 } } as never);
    const [flat, halves] = await experiment.query();
    for (const row of [flat, halves])
      expect(row).toMatchObject({
        tokens: { total: 150 },
        costUsd: gpt4(100, 50),
        success: true,
        malformed: false,
      });
    expect(flat!.userId).toBe('u');
    expect(halves!.measurements.chunks).toBe(3);
  });

  it.each<[unknown, string[]]>([
    [{ promptTokens: 5, succes: false }, ['end.succes']],
    ['done', ['end']],
    [5, ['end']],
    [[1], ['end']],
    [new Proxy({ costUsd: 1 }, { get: raise }), ['end.costUsd']],
    [new Proxy({}, { ownKeys: raise }), ['end']],
  ])('is told where nobody knows it (%#)', async (result, malformedKeys) => {
    const experiment = bench.start();
    const span = experiment.recorder('e').start();
    span.stop(result as never);
    expect(await only(experiment)).toMatchObject({ success: true, malformedKeys });
  });

  it('is nothing as null', async () => {
    const experiment = bench.start();
    experiment
      .recorder('e')
      .start()
      .stop(null as never);
    expect(await only(experiment)).toMatchObject({ success: true, malformed: false });
  });

  it('says itself whether it was a success', async () => {
    const experiment = bench.start();
    for (const result of [{ status: 500 }, { status: 500, success: true }, { success: null, k: 1 }]) {
      experiment
        .recorder('e')
        .start()
        .stop(result as never);
    }
    expect((await experiment.query()).map(({ success }) => success)).toEqual([false, true, null]);
  });
});

describe('a recorder and its span', () => {
  it('are short as JSON', () => {
    const recorder = bench.start().recorder('e', PRICED);
    expect(JSON.stringify({ recorder, span: recorder.start() })).toBe('{"recorder":{"event":"e"},"span":{}}');
  });
});
