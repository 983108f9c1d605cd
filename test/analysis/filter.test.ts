/** Which events a filter lets through. */

import { beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import { Crucible } from '../../src/experiment/crucible.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import type { Filter } from '../../src/schema/event.js';
import { START_US, useBench } from '../capture/support.js';

const bench = useBench();
let experiment: Experiment;

beforeEach(() => {
  experiment = bench.start({ condition: 'control', tags: ['t'], columns: { column: 'u32' } });
  const capture = (n: number, event: string, measurements: object, metadata: object) =>
    experiment.captureAt(START_US + n, event, { ...measurements }, { n, ...metadata });
  capture(0, 'a.stop', { status: 'ok', latencyMs: 10 }, { model: 'm1', provider: 'p1', column: 1 });
  capture(1, 'a.stop', { status: 'error' }, { model: 'm2', provider: 'p1', session_id: 's' });
  capture(2, 'b.stop', {}, { model: 'm1', nested: { list: [1, { x: null }] }, column: 2 });
  capture(3, 'b.stop', { status: 'ok' }, { model: null, flag: false, sessionId: 's' });
  capture(4, 'a.exception', {}, { text: '', error: 'e', timestamp: 'of metadata' });
});

const found = async (filter?: Filter) => (await experiment.query(filter)).map(({ metadata }) => metadata.n);

describe('a filter', () => {
  it.each<[string, Filter | undefined, number[]]>([
    ['nothing', undefined, [0, 1, 2, 3, 4]],
    ['no keys', {}, [0, 1, 2, 3, 4]],
    [
      'undefined keys',
      { eventName: undefined, success: undefined, model: undefined, where: { any: undefined } },
      [0, 1, 2, 3, 4],
    ],
    ['eventName', { eventName: 'a.stop' }, [0, 1]],
    ['an eventName nobody used', { eventName: 'c.stop' }, []],
    ['success true', { success: true }, [0, 3]],
    ['success false', { success: false }, [1, 4]],
    ['success null', { success: null }, [2]],
    ['its own condition', { condition: 'control' }, [0, 1, 2, 3, 4]],
    ['another condition', { condition: 'treatment' }, []],
    ['model', { model: 'm1' }, [0, 2]],
    ['model null', { model: null }, [3, 4]],
    ['provider', { provider: 'p1' }, [0, 1]],
    ['provider null', { provider: null }, [2, 3, 4]],
    ['timeRange, inclusive at both ends', { timeRange: [START_US + 1, START_US + 3] }, [1, 2, 3]],
    ['timeRange of one instant', { timeRange: [START_US + 2, START_US + 2] }, [2]],
    ['timeRange reversed', { timeRange: [START_US + 3, START_US + 1] }, []],
    [
      'timeRange without ends',
      { timeRange: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] },
      [0, 1, 2, 3, 4],
    ],
    ['metadata', { where: { n: 1 } }, [1]],
    ['metadata false', { where: { flag: false } }, [3]],
    ['metadata of empty text', { where: { text: '' } }, [4]],
    ['metadata null, which is also absent', { where: { flag: null } }, [0, 1, 2, 4]],
    ['metadata that is nested', { where: { nested: { list: [1, { x: null }] } } }, [2]],
    ['metadata nested otherwise', { where: { nested: { list: [1, { x: 0 }] } } }, []],
    ['a list is no object of its indices', { where: { nested: { list: { 0: 1, 1: { x: null } } } } }, []],
    ['metadata of another type', { where: { n: '3' } }, []],
    ['metadata above a number', { where: { n: { gt: 2 } } }, [3, 4]],
    ['metadata of texts', { where: { text: { in: ['', 'x'] } } }, [4]],
    ['metadata that is there', { where: { flag: { ne: null } } }, [3]],
    ['metadata other than a value, which is also absent', { where: { flag: { ne: false } } }, [0, 1, 2, 4]],
    ['an object by eq', { where: { nested: { eq: { list: [1, { x: null }] } } } }, [2]],
    ['a field of the row', { sessionId: 's' }, [1, 3]],
    ['a field of the row in where', { where: { sessionId: 's' } }, [1, 3]],
    ['a field of the row, absent', { userId: null }, [0, 1, 2, 3, 4]],
    ['the time, whatever the metadata call so', { timestamp: START_US + 4 }, [4]],
    ['the time between two', { timestamp: { gt: START_US, lt: START_US + 3 } }, [1, 2]],
    ['the time in where', { where: { timestamp: { gte: START_US + 3 } } }, [3, 4]],
    ['a number field of the row', { latencyMs: 10 }, [0]],
    ['a number field, absent', { latencyMs: null }, [1, 2, 3, 4]],
    ['a number field, there', { latencyMs: { ne: null } }, [0]],
    ['a number above', { latencyMs: { gt: 9.5 } }, [0]],
    ['a number at least and at most', { where: { latencyMs: { gte: 10, lte: 10 } } }, [0]],
    ['a number not above itself', { latencyMs: { gt: 10 } }, []],
    ['a number below, which what is absent is not', { costUsd: { lt: 1 } }, []],
    ['another number, which what is absent is', { latencyMs: { ne: 10 } }, [1, 2, 3, 4]],
    ['one of some numbers', { latencyMs: { in: [9, 10] } }, [0]],
    ['one of some numbers, or absent', { latencyMs: { in: [9, null] } }, [1, 2, 3, 4]],
    ['a number without an end', { latencyMs: { lte: Number.POSITIVE_INFINITY } }, [0]],
    ['a list field of the row', { where: { tags: ['t'] } }, [0, 1, 2, 3, 4]],
    ['a declared column in where', { where: { column: { gt: 1 } } }, [2]],
    ['where by the name of a key of its own', { where: { model: 'm1', success: true } }, [0]],
    ['where with nothing in it', { where: {} }, [0, 1, 2, 3, 4]],
    ['a key that every object has', { where: { constructor: null } }, [0, 1, 2, 3, 4]],
    ['predicate', { predicate: ({ sequence }) => sequence % 2 === 1 }, [1, 3]],
    [
      'all of them at once',
      { eventName: 'a.stop', success: true, model: 'm1', provider: 'p1', where: { n: 0, column: 1 } },
      [0],
    ],
    ['a contradiction', { eventName: 'a.stop', model: 'm1', success: false }, []],
  ])('by %s', async (_, filter, expected) => {
    expect(await found(filter)).toEqual(expected);
    expect((await experiment.metrics(filter)).summary.totalEvents).toBe(expected.length);
    const streamed: unknown[] = [];
    for await (const { metadata } of experiment.events(filter)) streamed.push(metadata.n);
    expect(streamed).toEqual(expected);
    const windows = await experiment.windowedMetrics({ sizeUs: 100, stepUs: 100, ...(filter && { filter }) });
    expect(windows.reduce((sum, { eventCount }) => sum + eventCount, 0)).toBe(expected.length);
  });

  it('hands the predicate whole events, only those that pass the rest', async () => {
    const seen: unknown[] = [];
    await found({
      eventName: 'b.stop',
      predicate: (event) => {
        seen.push([event.eventName, event.metadata.n, event.experimentId]);
        return true;
      },
    });
    expect(seen).toEqual([
      ['b.stop', 2, experiment.id],
      ['b.stop', 3, experiment.id],
    ]);
  });

  it('whose predicate throws is an error, never a silent []', async () => {
    const error = new Error('predicate');
    const filter = {
      predicate: () => {
        throw error;
      },
    };
    await expect(experiment.query(filter)).rejects.toBe(error);
    await expect(experiment.metrics(filter)).rejects.toBe(error);
    await expect(experiment.window({ lastN: 3 }, filter)).rejects.toBe(error);
    await expect(experiment.window({ range: [START_US, START_US + 9] }, filter)).rejects.toBe(error);
    await expect(experiment.windowedMetrics({ sizeUs: 1, stepUs: 1, filter })).rejects.toBe(error);
    await expect(experiment.events(filter).next()).rejects.toBe(error);
  });

  it.each<[string, unknown]>([
    ['filter', 5],
    ['filter', 'eventName'],
    ['filter.eventName', { eventName: 5 }],
    ['filter.eventName', { eventName: ['a', 'stop'] }],
    ['filter.condition', { condition: null }],
    ['filter.success', { success: 'true' }],
    ['filter.success', { success: 1 }],
    ['filter.timeRange', { timeRange: [1] }],
    ['filter.timeRange', { timeRange: [1, '2'] }],
    ['filter.timeRange', { timeRange: [1, Number.NaN] }],
    ['filter.timeRange', { timeRange: { from: 1 } }],
    ['filter.where', { where: 'n = 1' }],
    ['filter.predicate', { predicate: true }],
    ['filter.model', { model: 5 }],
    ['filter.provider', { provider: ['p1'] }],
    ['filter.where', { where: ['n'] }],
    ['filter.latencyMs', { latencyMs: '500' }],
    ['filter.latencyMs', { latencyMs: Number.NaN }],
    ['filter.latencyMs', { latencyMs: [1, 2] }],
    ['filter.latencyMs', { latencyMs: {} }],
    ['filter.where.costUsd', { where: { costUsd: true } }],
    ['filter.latencyMs.gt', { latencyMs: { gt: '500' } }],
    ['filter.latencyMs.gt', { latencyMs: { gt: Number.NaN } }],
    ['filter.latencyMs.gt', { latencyMs: { gt: null } }],
    ['filter.timestamp.eq', { timestamp: { eq: '2026' } }],
    ['filter.tokensTotal.in', { tokensTotal: { in: 5 } }],
    ['filter.tokensTotal.in', { tokensTotal: { in: [1, 'x'] } }],
    ['filter.where.n.lt', { where: { n: { lt: 'x' } } }],
    ['filter.column.gt', { column: { gt: '1' } }],
  ])('of a wrong type is a ConfigError: %s of %j', async (path, filter) => {
    await expect(experiment.query(filter as Filter)).rejects.toThrow(ConfigError);
    await expect(experiment.query(filter as Filter)).rejects.toThrow(`${path}: expected`);
  });

  it.each<[string, string, unknown]>([
    ['event', 'eventName', 'a.stop'],
    ['modle', 'model', 'm1'],
    ['latency', 'latencyMs', { gt: 5 }],
    ['latency_ms', 'latencyMs', { gt: 5 }],
    ['cost', 'costUsd', 1],
    ['sucess', 'success', true],
    ['timerange', 'timeRange', [1, 2]],
    ['colum', 'column', 1],
    ['user', 'userId', 'u'],
  ])('of an unknown key, %s, is a ConfigError that names %s, in every call', async (key, meant, value) => {
    const filter = { [key]: value } as Filter;
    const calls: (() => Promise<unknown>)[] = [
      () => experiment.query(filter),
      () => experiment.metrics(filter),
      () => experiment.metricsBy('model', filter),
      () => experiment.events(filter).next(),
      () => experiment.window({ lastN: 1 }, filter),
      () => experiment.windowedMetrics({ sizeUs: 1, stepUs: 1, filter }),
      () => experiment.export('csv', { filter }),
      async () => experiment.exportStream('csv', { filter }),
      () => {
        const crucible = new Crucible({ workers: 0 });
        const other = crucible.startExperiment({ name: 'other', capacity: 1024, columns: { column: 'f64' } });
        return crucible.compare([other, experiment], { filter }).finally(() => crucible.close());
      },
      () => new Crucible({ workers: 0 }).exportMultiple([experiment], 'csv', { filter }),
    ];
    for (const call of calls) {
      const error = await call().catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as Error).message).toMatch(
        new RegExp(`^filter\\.${key}: expected .*did you mean ${meant}\\?`),
      );
    }
  });

  it('of an unknown key without a near one says where metadata belong', async () => {
    await expect(experiment.query({ zzz: 1 } as Filter)).rejects.toThrow(
      /^filter\.zzz: expected a key that filters have \(eventName, .*timeRange, .*; metadata of other names belong in where: \{ … \}\), got 1$/,
    );
    expect(await found({ zzz: undefined } as Filter)).toHaveLength(5);
  });

  it('compares with no bigint', async () => {
    const filter = { timestamp: { gt: 5n } } as unknown as Filter;
    await expect(experiment.query(filter)).rejects.toThrow(
      'filter.timestamp.gt: expected a number, got a bigint',
    );
  });

  const OPERATORS = 'one of the operators gt, gte, lt, lte, eq, ne, in';
  it.each<[string, unknown, string]>([
    ['latencyMs', { gtt: 5 }, `gtt: expected ${OPERATORS} (did you mean gt?)`],
    ['latencyMs', { gt: 5, below: 9 }, `below: expected ${OPERATORS}, got 9`],
    ['timestamp', { $gte: 5 }, `$gte: expected ${OPERATORS} (did you mean gte?)`],
    ['column', { gt: 5, it: 9 }, `it: expected ${OPERATORS} (did you mean gt?)`],
  ])('with an unknown operator on %s is a ConfigError: %j', async (key, wanted, message) => {
    for (const [path, filter] of [
      [`filter.${key}`, { [key]: wanted }],
      [`filter.where.${key}`, { where: { [key]: wanted } }],
    ] as const) {
      await expect(experiment.query(filter as Filter)).rejects.toThrow(`${path}.${message}`);
    }
  });

  it('takes what events are known to have, under the spellings of their metadata, and declared columns', async () => {
    expect(await found({ session_id: 's' } as Filter)).toEqual([1]);
    expect(await found({ epoch: null } as Filter)).toEqual([0, 1, 2, 3, 4]);
    expect(await found({ column: 2 } as Filter)).toEqual([2]);
    expect(await found({ column: { gte: 1, ne: 2 } } as Filter)).toEqual([0]);
  });
});

describe('query', () => {
  it('is ascending by time whatever the order of capture; ties keep that order', async () => {
    const other = bench.start();
    const times = [5, 3, 5, 1, 3, 9, 1, 5];
    times.forEach((time, n) => {
      other.captureAt(START_US + time, 'e', {}, { n });
    });
    const rows = await other.query();
    expect(rows.map(({ metadata }) => metadata.n)).toEqual([3, 6, 1, 4, 0, 2, 7, 5]);
  });

  it('sees what was captured before it, and not what is captured while it streams', async () => {
    const seen: unknown[] = [];
    for await (const { metadata } of experiment.events()) {
      seen.push(metadata.n);
      if (seen.length < 50) experiment.capture('late', {}, { n: 'late' });
    }
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(await experiment.query({ eventName: 'late' })).toHaveLength(5);
  });

  it('finds what lies in its time range, across many chunks', async () => {
    const other = bench.start({ capacity: 16_384 });
    const recorder = other.recorder('e');
    for (let i = 0; i < 10_000; i++) recorder.recordAt(START_US + i * 10, i);
    const rows = await other.query({ timeRange: [START_US + 40_005, START_US + 60_000] });
    expect(rows.map(({ latencyMs }) => latencyMs)).toEqual([...Array(2000).keys()].map((i) => i + 4001));
  });
});
