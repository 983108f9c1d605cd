/** Which events a filter lets through. */

import { beforeEach, describe, expect, it } from 'vitest';
import type { Experiment } from '../../src/capture/experiment.js';
import { ConfigError } from '../../src/errors.js';
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
      { eventName: undefined, success: undefined, model: undefined, any: undefined },
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
    ['metadata by any other key', { n: 3 }, [3]],
    ['metadata false', { flag: false }, [3]],
    ['metadata of empty text', { text: '' }, [4]],
    ['metadata null, which is also absent', { flag: null }, [0, 1, 2, 4]],
    ['metadata that is nested', { nested: { list: [1, { x: null }] } }, [2]],
    ['metadata nested otherwise', { nested: { list: [1, { x: 0 }] } }, []],
    ['a list is no object of its indices', { nested: { list: { 0: 1, 1: { x: null } } } }, []],
    ['metadata of another type', { n: '3' }, []],
    ['a field of the row', { sessionId: 's' }, [1, 3]],
    ['a field of the row, absent', { userId: null }, [0, 1, 2, 3, 4]],
    ['a field that metadata hides', { timestamp: 'of metadata' }, [4]],
    ['a number field of the row', { latencyMs: 10 }, [0]],
    ['a list field of the row', { tags: ['t'] }, [0, 1, 2, 3, 4]],
    ['a declared column', { column: 2 }, [2]],
    ['where', { where: { n: 1 } }, [1]],
    ['where by the name of a key of its own', { where: { model: 'm1', success: true } }, [0]],
    ['where with nothing in it', { where: {} }, [0, 1, 2, 3, 4]],
    ['a key that every object has', { constructor: null }, [0, 1, 2, 3, 4]],
    ['predicate', { predicate: ({ sequence }) => sequence % 2 === 1 }, [1, 3]],
    [
      'all of them at once',
      { eventName: 'a.stop', success: true, model: 'm1', provider: 'p1', n: 0, column: 1 },
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
  ])('of a wrong type is a ConfigError: %s of %j', async (path, filter) => {
    await expect(experiment.query(filter as Filter)).rejects.toThrow(ConfigError);
    await expect(experiment.query(filter as Filter)).rejects.toThrow(`${path}: expected`);
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
