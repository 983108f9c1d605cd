/** Declared columns: metadata keys with a type. */

import { describe, expect, it } from 'vitest';
import { telemetry } from '../../src/capture/bus.js';
import type { ColumnType } from '../../src/schema/columns.js';
import { events } from '../../src/schema/registry.js';
import { lastEvent, useBench } from './support.js';

const bench = useBench();
const COLUMNS = { f: 'f64', i: 'i32', u: 'u32', b: 'bool', d: 'dict' } as const;

describe('a declared column', () => {
  it.each<[ColumnType, string, unknown[]]>([
    ['f64', 'f', [0, -0.5, 1e300, -(2 ** 53), 5e-324]],
    ['i32', 'i', [0, 7, -1, 2 ** 31 - 1, -(2 ** 31)]],
    ['u32', 'u', [0, 7, 2 ** 31, 2 ** 32 - 1]],
    ['bool', 'b', [true, false]],
    ['dict', 'd', ['x', '', 'ä 😀', '__proto__', 'x'.repeat(10_000)]],
  ])('of %s keeps every value that fits', async (_, name, values) => {
    const experiment = bench.start({ columns: COLUMNS });
    for (const value of values) {
      experiment.capture('e', {}, { [name]: value, other: 1 });
      const row = await lastEvent(experiment);
      expect(row.metadata).toEqual({ [name]: value, other: 1 });
      expect(row.malformed).toBe(false);
    }
    expect(experiment.counts.malformed).toBe(0);
  });

  it.each<[ColumnType, string, unknown[]]>([
    ['f64', 'f', ['1', true, Number.NaN, Number.POSITIVE_INFINITY, { x: 1 }, [1]]],
    ['i32', 'i', [0.5, 2 ** 31, -(2 ** 31) - 1, '7', false, Number.NaN]],
    ['u32', 'u', [-1, 0.5, 2 ** 32, '7', Number.NaN]],
    ['bool', 'b', [0, 1, 'true', {}]],
    ['dict', 'd', [5, true, { x: 1 }, ['x']]],
  ])('of %s leaves what does not fit in the metadata, and counts it', async (_, name, values) => {
    const experiment = bench.start({ columns: COLUMNS });
    for (const [index, value] of values.entries()) {
      experiment.capture('e', {}, { [name]: value });
      const row = await lastEvent(experiment);
      expect(row.metadata).toEqual({ [name]: value });
      expect(row.malformed).toBe(true);
      expect(experiment.counts).toMatchObject({ captured: index + 1, malformed: index + 1 });
    }
  });

  it.each([null, undefined])('that is %s is absent, not malformed', async (value) => {
    const experiment = bench.start({ columns: COLUMNS });
    experiment.capture('e', {}, { f: value, i: value, u: value, b: value, d: value });
    const row = await lastEvent(experiment);
    expect(row.malformed).toBe(false);
    expect(row.metadata).toEqual({ f: null, i: null, u: null, b: null, d: null });
  });

  it('does not leak from one event into the next', async () => {
    const experiment = bench.start({ columns: COLUMNS });
    experiment.capture('e', {}, { f: 1, i: 2, u: 3, b: true, d: 'x' });
    experiment.capture('e', {}, { i: 9 });
    experiment.capture('e', {}, {});
    experiment.recorder('e').record(1);
    experiment.capture('e', {}, { b: false });
    const rows = await experiment.query();
    expect(rows.map(({ metadata }) => metadata)).toEqual([
      { f: 1, i: 2, u: 3, b: true, d: 'x' },
      { i: 9 },
      {},
      {},
      { b: false },
    ]);
  });

  it('is found by filters like other metadata', async () => {
    const experiment = bench.start({ columns: COLUMNS });
    for (let n = 0; n < 12; n++) {
      experiment.capture('e', { latencyMs: n }, { f: n / 2, i: -n, u: n, b: n % 2 === 0, d: `d${n % 3}` });
    }
    const found = async (filter: Record<string, unknown>) =>
      (await experiment.query(filter)).map(({ latencyMs }) => latencyMs);
    expect(await found({ f: 2.5 })).toEqual([5]);
    expect(await found({ i: -4 })).toEqual([4]);
    expect(await found({ u: 11 })).toEqual([11]);
    expect(await found({ b: true })).toEqual([0, 2, 4, 6, 8, 10]);
    expect(await found({ d: 'd1' })).toEqual([1, 4, 7, 10]);
    expect(await found({ where: { b: false, d: 'd0' } })).toEqual([3, 9]);
    expect(await found({ d: 'none' })).toEqual([]);
    expect(await found({ f: { gt: 1, lte: 2 }, i: { ne: -3 } })).toEqual([4]);
    expect(await found({ where: { u: { in: [7, 9, 99] } } })).toEqual([7, 9]);
    expect((await experiment.metrics({ where: { d: 'd2' } })).latency).toMatchObject({ count: 4, mean: 6.5 });
  });

  it('may be one that is lifted: userId, cohort', async () => {
    const experiment = bench.start({ columns: { user_id: 'dict', sampleId: 'u32', cohort: 'dict' } });
    experiment.capture('e', {}, { user_id: 'u1', sampleId: 9, cohort: 'c' });
    expect(await lastEvent(experiment)).toMatchObject({ userId: 'u1', sampleId: 9, cohort: 'c' });
  });

  it('may have a name that every object has', async () => {
    const columns = JSON.parse('{"__proto__": "i32", "constructor": "dict"}') as Record<string, ColumnType>;
    const experiment = bench.start({ columns });
    experiment.capture(
      'e',
      {},
      JSON.parse('{"__proto__": 5, "constructor": "c"}') as Record<string, unknown>,
    );
    const { metadata } = await lastEvent(experiment);
    expect(Object.entries(metadata)).toEqual([
      ['__proto__', 5],
      ['constructor', 'c'],
    ]);
  });

  it('may be declared by a registered event', async () => {
    events.register({
      name: 'columns.test.scored',
      category: 'judge',
      description: 'd',
      columns: { score: 'f64' },
    });
    const experiment = bench.start();
    telemetry.execute('columns.test.scored', {}, { score: 0.5 });
    telemetry.execute('columns.test.scored', {}, { score: 'high' });
    const rows = await experiment.query();
    expect(rows.map(({ metadata, malformed }) => [metadata.score, malformed])).toEqual([
      [0.5, false],
      ['high', true],
    ]);
  });

  it('takes part in enrichment like any metadata', async () => {
    const experiment = bench.start({ columns: { cost: 'f64', status: 'dict' } });
    experiment.capture('e', {}, { cost: 0.5, status: 'error' });
    expect(await lastEvent(experiment)).toMatchObject({ costUsd: 0.5, success: false });
  });

  it('of dict counts what finds the dictionary full, and keeps it', async () => {
    const experiment = bench.start({ columns: { d: 'dict' }, capacity: 65_536 });
    const filler = 'x'.repeat(60_000);
    for (let n = 0; n < 200; n++) experiment.capture('e', {}, { d: `${n} ${filler}` });
    const rows = await experiment.query();
    expect(rows.map(({ metadata }) => (metadata.d as string).split(' ')[0])).toEqual(
      [...Array(200).keys()].map(String),
    );
    expect(experiment.counts).toMatchObject({ captured: 200, retained: 200 });
    expect(experiment.counts.malformed).toBe(0);
    expect(experiment.overflowed).toBeGreaterThan(0);
    experiment.capture('e', {}, { d: 'short' });
    expect((await lastEvent(experiment)).metadata).toEqual({ d: 'short' });
  });

  it('of an event that was ignored during a pause does not leak into the next one', async () => {
    const experiment = bench.start({ columns: COLUMNS });
    experiment.pause();
    telemetry.execute('req_llm.request.stop', {}, { i: 7, d: 'paused' });
    experiment.resume();
    telemetry.execute('req_llm.request.stop', {}, { b: true });
    expect((await lastEvent(experiment)).metadata).toEqual({ b: true });
  });
});
