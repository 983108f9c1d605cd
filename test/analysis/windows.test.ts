/** Selections of recent events, and metrics per window. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type WindowedOptions, type WindowSpec, windowedMetrics } from '../../src/analysis/windows.js';
import { ConfigError } from '../../src/errors.js';
import type { EventRow } from '../../src/schema/event.js';
import { quantile } from '../../src/stats/quantile.js';
import { START_US, useBench } from '../capture/support.js';
import { LiveBatches, refTo, rowValue, viewOf } from '../support/rows.js';

const bench = useBench();

/** An experiment with an event at each offset, n its number. */
function startWith(offsetsUs: readonly number[]) {
  const experiment = bench.start();
  offsetsUs.forEach((offset, n) => {
    experiment.captureAt(START_US + offset, 'e', { latencyMs: n }, { n });
  });
  return experiment;
}

const numbers = (rows: readonly EventRow[]) => rows.map(({ metadata }) => metadata.n);

describe('window', () => {
  const SECOND = 1e6;

  it.each<[string, WindowSpec, number[]]>([
    [
      'the last seconds, both edges inclusive',
      { last: 2, unit: 'seconds', now: START_US + 4 * SECOND },
      [2, 3, 4],
    ],
    ['the last minutes', { last: 1, unit: 'minutes', now: START_US + 62 * SECOND }, [2, 3, 4, 5]],
    ['the last hours', { last: 1, unit: 'hours', now: START_US + 3601 * SECOND }, [1, 2, 3, 4, 5, 6]],
    ['a fraction of a second', { last: 0.5, unit: 'seconds', now: START_US + 4 * SECOND }, [4]],
    ['the last 0 seconds', { last: 0, unit: 'seconds', now: START_US }, []],
    ['the last −1 seconds', { last: -1, unit: 'seconds', now: START_US }, []],
    ['a now before everything', { last: 5, unit: 'seconds', now: START_US - 1 }, []],
    ['the last 2 events', { lastN: 2 }, [5, 6]],
    ['more events than there are', { lastN: 99 }, [0, 1, 2, 3, 4, 5, 6]],
    ['all events', { lastN: Number.POSITIVE_INFINITY }, [0, 1, 2, 3, 4, 5, 6]],
    ['the last 0 events', { lastN: 0 }, []],
    ['the last −3 events', { lastN: -3 }, []],
    ['a range, both ends inclusive', { range: [START_US + SECOND, START_US + 3 * SECOND] }, [1, 2, 3]],
    ['a range of one instant', { range: [START_US, START_US] }, [0]],
    ['a range between events', { range: [START_US + 1, START_US + SECOND - 1] }, []],
    ['a reversed range', { range: [START_US + 3 * SECOND, START_US] }, []],
    ['the last half event', { lastN: 0.5 }, []],
  ])('of %s', async (_, spec, expected) => {
    const experiment = startWith([0, 1, 2, 3, 4, 60, 3600].map((seconds) => seconds * SECOND));
    expect(numbers(await experiment.window(spec))).toEqual(expected);
  });

  it('ends now on the experiment’s clock unless told otherwise', async () => {
    const experiment = startWith([0, 1e6, 2e6]);
    bench.clock.advance(2500);
    expect(numbers(await experiment.window({ last: 1, unit: 'seconds' }))).toEqual([2]);
    expect(numbers(await experiment.window({ last: 2, unit: 'seconds' }))).toEqual([1, 2]);
  });

  it('is chosen among the events that pass the filter, by time and not by capture', async () => {
    const experiment = startWith([5, 0, 4, 1, 3, 2]);
    expect(numbers(await experiment.window({ lastN: 3 }))).toEqual([4, 2, 0]);
    const even = { predicate: (row: EventRow) => (row.metadata.n as number) % 2 === 0 };
    expect(numbers(await experiment.window({ lastN: 2 }, even))).toEqual([2, 0]);
    expect(
      numbers(await experiment.window({ range: [START_US, START_US + 3] }, { where: { n: 3 } })),
    ).toEqual([3]);
  });

  it.each<[string, unknown]>([
    ['window', null],
    ['window', 5],
    ['window', {}],
    ['window.lastN', { lastN: '3' }],
    ['window.lastN', { lastN: Number.NaN }],
    ['window.range', { range: 5 }],
    ['window.range', { range: [1] }],
    ['window.range', { range: [1, 'x'] }],
    ['window.range', { range: [Number.NaN, 1] }],
    ['window.last', { last: 'x', unit: 'seconds' }],
    ['window.unit', { last: 5 }],
    ['window.unit', { last: 5, unit: 'days' }],
    ['window.unit', { last: 0, unit: 'days' }],
    ['window.unit', { last: 5, unit: 'constructor' }],
    ['window.now', { last: 5, unit: 'seconds', now: 'x' }],
  ])('refuses a bad %s: %j', async (path, spec) => {
    const experiment = startWith([0]);
    await expect(experiment.window(spec as WindowSpec)).rejects.toThrow(ConfigError);
    await expect(experiment.window(spec as WindowSpec)).rejects.toThrow(`${path}: expected`);
  });
});

describe('windowedMetrics', () => {
  const SIZE = { sizeUs: 10, stepUs: 10 };

  it('of nothing is nothing', async () => {
    expect(await bench.start().windowedMetrics(SIZE)).toEqual([]);
  });

  it('tells what each window holds', async () => {
    const experiment = bench.start();
    experiment.captureAt(
      START_US,
      'e',
      { latencyMs: 10, cost: 0.5, status: 'ok' },
      { tokens: { prompt: 1, completion: 2 } },
    );
    experiment.captureAt(START_US + 9, 'e', { latencyMs: 20, cost: 0.25, status: 'error' }, {});
    experiment.captureAt(START_US + 10, 'e', {}, { tokens: { prompt: 5 } });
    expect(await experiment.windowedMetrics({ ...SIZE, quantiles: [0, 0.5, 0.999] })).toEqual([
      {
        windowStart: START_US,
        windowEnd: START_US + 10,
        eventCount: 2,
        meanLatency: 15,
        stdDevLatency: Math.sqrt(50),
        latencyQuantiles: { p0: 10, p50: 15, p999: expect.closeTo(19.99, 9) },
        totalCost: 0.75,
        successCount: 1,
        failureCount: 1,
        promptTokens: 1,
        completionTokens: 2,
      },
      {
        windowStart: START_US + 10,
        windowEnd: START_US + 20,
        eventCount: 1,
        meanLatency: null,
        stdDevLatency: null,
        latencyQuantiles: { p0: null, p50: null, p999: null },
        totalCost: 0,
        successCount: 0,
        failureCount: 0,
        promptTokens: 5,
        completionTokens: 0,
      },
    ]);
  });

  it('has p50, p95 and p99 unless asked for others', async () => {
    const [row] = await startWith([0]).windowedMetrics(SIZE);
    expect(row?.latencyQuantiles).toEqual({ p50: 0, p95: 0, p99: 0 });
    expect(row?.stdDevLatency).toBeNull();
  });

  it('is half-open: an event at an edge belongs to the window that begins there', async () => {
    const rows = await startWith([0, 10, 20]).windowedMetrics(SIZE);
    expect(rows.map(({ windowStart, eventCount }) => [windowStart - START_US, eventCount])).toEqual([
      [0, 1],
      [10, 1],
      [20, 1],
    ]);
  });

  it('begins at the first event in time, or at whole steps since the epoch', async () => {
    const experiment = startWith([13, 7, 28]);
    const starts = async (options: WindowedOptions) =>
      (await experiment.windowedMetrics(options)).map(({ windowStart }) => windowStart - START_US);
    expect(START_US % 10).toBe(0);
    expect(await starts(SIZE)).toEqual([7, 27]);
    expect(await starts({ ...SIZE, align: 'epoch' })).toEqual([0, 10, 20]);
    expect(await starts({ sizeUs: 20, stepUs: 10, align: 'epoch' })).toEqual([-10, 0, 10]);
  });

  it('leaves no event out where the span is shorter than a window (the reference gives no window)', async () => {
    const rows = await startWith([0, 5]).windowedMetrics({ sizeUs: 1e9, stepUs: 10 });
    expect(rows.map(({ windowStart, eventCount }) => [windowStart - START_US, eventCount])).toEqual([[0, 2]]);
  });

  it('skips a gap of years at no cost', async () => {
    const rows = await startWith([0, 1e15]).windowedMetrics({ sizeUs: 1, stepUs: 1 });
    expect(rows.map(({ windowStart }) => windowStart - START_US)).toEqual([0, 1e15]);
  });

  it('counts an event in every window that overlaps it, and in none between windows', async () => {
    const overlapping = await startWith([0, 10, 20, 30]).windowedMetrics({ sizeUs: 20, stepUs: 10 });
    expect(overlapping.map(({ eventCount }) => eventCount)).toEqual([2, 2, 2]);
    const sparse = await startWith([0, 5, 10]).windowedMetrics({ sizeUs: 2, stepUs: 10 });
    expect(sparse.map(({ eventCount }) => eventCount)).toEqual([1, 1]);
  });

  it.each<[string, unknown]>([
    ['sizeUs', { sizeUs: 0, stepUs: 1 }],
    ['sizeUs', { sizeUs: -1, stepUs: 1 }],
    ['sizeUs', { sizeUs: '10', stepUs: 1 }],
    ['sizeUs', { sizeUs: Number.NaN, stepUs: 1 }],
    ['sizeUs', { sizeUs: Number.POSITIVE_INFINITY, stepUs: 1 }],
    ['sizeUs', { stepUs: 1 }],
    ['stepUs', { sizeUs: 1 }],
    ['stepUs', { sizeUs: 1, stepUs: 0 }],
    ['align', { sizeUs: 1, stepUs: 1, align: 'last' }],
    ['quantiles', { sizeUs: 1, stepUs: 1, quantiles: [0.5, 1.1] }],
    ['quantiles', { sizeUs: 1, stepUs: 1, quantiles: [-0.1] }],
    ['quantiles', { sizeUs: 1, stepUs: 1, quantiles: [Number.NaN] }],
    ['quantiles', { sizeUs: 1, stepUs: 1, quantiles: 0.5 }],
    ['quantiles', { sizeUs: 1, stepUs: 1, quantiles: ['0.5'] }],
    ['options', undefined],
    ['options', null],
  ])('refuses a bad %s: %j', async (path, options) => {
    const experiment = startWith([0]);
    await expect(experiment.windowedMetrics(options as WindowedOptions)).rejects.toThrow(ConfigError);
    await expect(experiment.windowedMetrics(options as WindowedOptions)).rejects.toThrow(`${path}: expected`);
  });

  it('ends where a time is so far off that steps no longer change it', async () => {
    // In a process of its own, since a loop without end could not be interrupted here.
    const program = `
      import { Crucible } from './dist/src/index.js';
      const experiment = new Crucible().startExperiment({ name: 'far', capacity: 1024 });
      experiment.captureAt(0, 'near', {});
      experiment.captureAt(1e300, 'far', {});
      const rows = await experiment.windowedMetrics({ sizeUs: 10, stepUs: 10 });
      console.log(rows[0].eventCount);`;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      timeout: 5000,
    });
    await expect(run).resolves.toMatchObject({ stdout: '1\n' });
  });
});

describe('windowedMetrics, for any events and windows', () => {
  const cases = fc.record({
    offsets: fc.array(fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 2000 })), { minLength: 1, maxLength: 25 }),
    sizeUs: fc.integer({ min: 1, max: 80 }),
    stepUs: fc.integer({ min: 1, max: 80 }),
    align: fc.constantFrom<'first' | 'epoch'>('first', 'epoch'),
  });

  /** Window by window, from the definition. */
  function oracle(times: readonly number[], { sizeUs, stepUs, align }: WindowedOptions) {
    const first = Math.min(...times);
    const last = Math.max(...times);
    const rows: { windowStart: number; windowEnd: number; inside: number[] }[] = [];
    const origin = align === 'epoch' ? 0 : first;
    // The first window that holds the first event; every later one until the last event is in and the rule ends.
    let k = align === 'epoch' ? Math.floor((first - sizeUs) / stepUs) : 0;
    while (origin + k * stepUs + sizeUs <= first) k++;
    for (let covered = false; ; k++) {
      const windowStart = origin + k * stepUs;
      const windowEnd = windowStart + sizeUs;
      if (covered && windowEnd > last + stepUs) return rows;
      const inside = times.flatMap((time, n) => (time >= windowStart && time < windowEnd ? [n] : []));
      if (inside.length > 0) rows.push({ windowStart, windowEnd, inside });
      if (windowEnd > last) covered = true;
    }
  }

  it('gives the windows of a brute-force oracle', async () => {
    const crucible = bench.crucible();
    await fc.assert(
      fc.asyncProperty(cases, async ({ offsets, ...options }) => {
        const experiment = crucible.startExperiment({ name: 'w', capacity: 1024, producers: 1 });
        const times = offsets.map((offset) => START_US + offset);
        times.forEach((time, n) => {
          experiment.captureAt(time, 'e', { latencyMs: n, cost: 1, status: n % 3 === 0 ? 'ok' : 'error' });
        });
        const rows = await experiment.windowedMetrics(options);
        const expected = oracle(times, options);
        expect(
          rows.map(({ windowStart, windowEnd, eventCount }) => [windowStart, windowEnd, eventCount]),
        ).toEqual(
          expected.map(({ windowStart, windowEnd, inside }) => [windowStart, windowEnd, inside.length]),
        );
        rows.forEach((row, i) => {
          const { inside } = expected[i]!;
          expect(row.totalCost).toBe(inside.length);
          expect(row.successCount).toBe(inside.filter((n) => n % 3 === 0).length);
          expect(row.meanLatency).toBeCloseTo(inside.reduce((a, b) => a + b) / inside.length, 9);
        });
        await experiment.cleanup();
      }),
      { numRuns: 150 },
    );
  });

  it('has every event in at least one window when the step is not above the size', async () => {
    const crucible = bench.crucible();
    await fc.assert(
      fc.asyncProperty(cases, async ({ offsets, sizeUs, stepUs, align }) => {
        const experiment = crucible.startExperiment({ name: 'w', capacity: 1024, producers: 1 });
        for (const offset of offsets) experiment.captureAt(START_US + offset, 'e', {});
        const options = { sizeUs: Math.max(sizeUs, stepUs), stepUs: Math.min(sizeUs, stepUs), align };
        const rows = await experiment.windowedMetrics(options);
        for (const offset of offsets) {
          const time = START_US + offset;
          expect(rows.some(({ windowStart, windowEnd }) => windowStart <= time && time < windowEnd)).toBe(
            true,
          );
        }
        expect(rows.every(({ eventCount }) => eventCount > 0)).toBe(true);
        if (align === 'epoch')
          expect(rows.every(({ windowStart }) => windowStart % options.stepUs === 0)).toBe(true);
        await experiment.cleanup();
      }),
      { numRuns: 100 },
    );
  });
});

describe('windowedMetrics over many batches', () => {
  interface Row {
    readonly time: number;
    readonly value: number;
  }

  /** With all rows at hand: the rule of windows as it is defined, and of the last one in particular. */
  function atOnce(rows: readonly Row[], { sizeUs, stepUs, align = 'first' }: WindowedOptions) {
    const [first, last] = [rows[0]!.time, rows.at(-1)!.time];
    const originUs = align === 'first' ? first : 0;
    const firstWindow = align === 'first' ? 0 : Math.floor((first - sizeUs) / stepUs) + 1;
    const complete = Math.floor((last + stepUs - sizeUs - originUs) / stepUs);
    const covering = Math.ceil((last - originUs - sizeUs + 1) / stepUs);
    const windows: (readonly [start: number, end: number, values: number[]])[] = [];
    let from = 0;
    for (let k = firstWindow; k <= Math.max(complete, covering, firstWindow); k++) {
      const start = originUs + k * stepUs;
      const end = start + sizeUs;
      while (from < rows.length && rows[from]!.time < start) from++;
      if (from === rows.length) break;
      if (rows[from]!.time >= end) {
        k = Math.max(k, Math.floor((rows[from]!.time - originUs - sizeUs) / stepUs));
        continue;
      }
      let to = from;
      while (to < rows.length && rows[to]!.time < end) to++;
      windows.push([start, end, rows.slice(from, to).map(({ value }) => value)]);
    }
    return windows;
  }

  const shape = fc.record({
    sizeUs: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.double({ min: 0.3, max: 500, noNaN: true })),
    stepOfSize: fc.constantFrom(0.1, 1 / 3, 0.5, 1, 1.5, 7),
    align: fc.constantFrom<'first' | 'epoch'>('first', 'epoch'),
  });

  it('is the same as with all rows at hand, whatever the windows', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: 40 }), fc.constantFrom(0, 0, 1, 7, 5000)), {
          minLength: 1,
          maxLength: 30,
        }),
        shape,
        fc.integer({ min: 1, max: 50 }),
        async (runs, { sizeUs, stepOfSize, align }, sliceRows) => {
          const options = { sizeUs, stepUs: sizeUs * stepOfSize, align };
          // Runs of up to 40 rows at the same or at following times, with gaps between them.
          let time = 1_000_000;
          const times = runs.flatMap(([rows, step]) =>
            Array.from({ length: rows + 1 }, () => (time += step)),
          );
          const refs = [];
          for (let first = 0; first < times.length; first += 32) {
            refs.push(refTo({ firstSequence: first, timesUs: times.slice(first, first + 32) }));
          }
          const rows = await windowedMetrics(viewOf(refs), options, undefined, { sliceRows });
          const expected = atOnce(
            times.map((at, value) => ({ time: at, value })),
            options,
          );
          expect(rows.map(({ windowStart, windowEnd }) => [windowStart, windowEnd])).toEqual(
            expected.map(([start, end]) => [start, end]),
          );
          rows.forEach((row, i) => {
            const values = expected[i]![2];
            expect(row.eventCount).toBe(values.length);
            expect(row.successCount).toBe(values.length);
            const middle = (values.length - 1) / 2;
            expect(row.latencyQuantiles.p50).toBe(
              (values[Math.floor(middle)]! + values[Math.ceil(middle)]!) / 2,
            );
          });
        },
      ),
      { numRuns: 100 },
    );
  });

  it('has the quantiles of sorting where windows share many rows', async () => {
    // Uneven on purpose: some panes are large, and some too small to be put in order.
    const times = Array.from({ length: 20_000 }, (_, i) => 1_000_000 + i + (i % 5000 > 2500 ? 40 : 0)).sort(
      (a, b) => a - b,
    );
    const refs = [];
    for (let first = 0; first < times.length; first += 1000) {
      refs.push(refTo({ firstSequence: first * 7919, timesUs: times.slice(first, first + 1000) }));
    }
    const values = times.map((time, i) => ({
      time,
      value: rowValue(Math.floor(i / 1000) * 7_919_000 + (i % 1000)),
    }));
    for (const [sizeUs, stepUs] of [
      [6000, 1000],
      [6010, 1000],
      [3000, 3000],
      [50, 1000],
      [15_000, 7],
    ] as const) {
      const quantiles = [0, 0.01, 0.5, 0.95, 0.99, 1];
      const options = { sizeUs, stepUs, quantiles };
      const rows = await windowedMetrics(viewOf(refs), options);
      const expected = atOnce(values, options);
      expect(rows.map(({ windowStart }) => windowStart)).toEqual(expected.map(([start]) => start));
      for (let i = 0; i < rows.length; i += Math.ceil(rows.length / 50)) {
        expect(Object.values(rows[i]!.latencyQuantiles)).toEqual(quantile(expected[i]![2], quantiles));
      }
    }
  });

  it('holds no more batches, however many rows there are', async () => {
    const live = new LiveBatches(10);
    const refs = Array.from({ length: 100 }, (_, n) =>
      refTo({ firstSequence: n * 32, timesUs: Array.from({ length: 32 }, (_, i) => n * 32 + i) }, (batch) =>
        live.handOut(batch),
      ),
    );
    const rows = await windowedMetrics(viewOf(refs), { sizeUs: 100, stepUs: 50 }, undefined, {
      sliceRows: 320,
    });
    expect(rows).toHaveLength(63);
    expect(live.most).toBeLessThanOrEqual(18);
  });
});
