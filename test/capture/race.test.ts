/** Threads racing for one experiment. The rows verify themselves; nothing here depends on how long anything takes. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment, type ExperimentOptions } from '../../src/index.js';
import { countsOf } from '../support/counts.js';
import {
  checkAscending,
  checkGapless,
  checkRows,
  Race,
  type RaceOptions,
  type RaceRow,
  turn,
} from '../support/race.js';

let crucible: Crucible;
beforeEach(() => {
  crucible = new Crucible();
});
afterEach(() => crucible.close());

function begin(
  options: Omit<ExperimentOptions, 'name'>,
  race: RaceOptions,
): { experiment: Experiment; race: Race } {
  const experiment = crucible.startExperiment({ name: 'race', columns: { label: 'dict' }, ...options });
  return { experiment, race: new Race(experiment.share(), race) };
}

/** Reads in capture order: by time, the rows of threads would be shuffled together. */
async function inCaptureOrder(experiment: Experiment) {
  return (await experiment.query()).sort((a, b) => a.sequence - b.sequence);
}

/** Checks everything that can be read while the threads write, and says how often it looked. */
async function watch(
  experiment: Experiment,
  race: Race,
  look: (counters: Map<number, number[]>) => void,
  captureEvery: number,
): Promise<number> {
  let looks = 0;
  while (race.running) {
    look(checkRows(await inCaptureOrder(experiment), captureEvery));
    looks++;
    await turn();
  }
  return looks;
}

/** The highest counter of the thread's rows that are in the streaming metrics. */
function newestOf(experiment: Experiment, thread: number): number {
  const group = experiment.streamingMetrics().byEvent[`thread ${thread}`];
  return (group?.latency.max ?? -1) - thread * 2 ** 24;
}

describe('threads that write one experiment', () => {
  for (const threads of [2, 4]) {
    it(`lose, tear and repeat nothing while they are read: ${threads} of them`, async () => {
      const rows = 20_000;
      const captureEvery = 10;
      const { experiment, race } = begin(
        { capacity: 200_000 },
        { mode: 'exit', threads, rows, captureEvery },
      );
      await race.start();
      const looks = await watch(experiment, race, checkGapless, captureEvery);
      expect(looks).toBeGreaterThan(0);
      await experiment.stop();
      const counters = checkRows(await inCaptureOrder(experiment), captureEvery);
      checkGapless(counters);
      expect([...counters].map(([thread, list]) => [thread, list.length]).sort()).toEqual(
        Array.from({ length: threads }, (_, thread) => [thread, rows]),
      );
      expect(experiment.counts).toEqual(countsOf({ captured: threads * rows }));
    });
  }

  it('add up in the streaming metrics', async () => {
    const rows = 5_000;
    const { experiment, race } = begin(
      { capacity: 65_536 },
      { mode: 'turns', threads: 3, rows, captureEvery: 7 },
    );
    await race.start();
    await race.ended();
    const { count, eventCounts, latency, tokens } = experiment.streamingMetrics();
    expect(count).toBe(3 * rows);
    expect(eventCounts).toEqual({ 'thread 0': rows, 'thread 1': rows, 'thread 2': rows });
    const ramp = (rows * (rows - 1)) / 2;
    expect(latency).toMatchObject({
      count: 3 * rows,
      sum: 3 * ramp + rows * 2 ** 24 * 3,
      min: 0,
      max: 2 * 2 ** 24 + rows - 1,
    });
    expect(tokens).toMatchObject({ totalPrompt: 3 * ramp });
  });

  for (const overflow of ['overwrite', 'reject'] as const) {
    it(`show only whole rows of a tiny ring that ${overflow}s, and every row is counted`, async () => {
      const rows = 40_000;
      const threads = 3;
      const captureEvery = 50;
      const { experiment, race } = begin(
        { capacity: 8 * 1024, overflow },
        { mode: 'exit', threads, rows, captureEvery },
      );
      await race.start();
      expect(await watch(experiment, race, checkAscending, captureEvery)).toBeGreaterThan(0);
      await experiment.stop();
      const read = await inCaptureOrder(experiment);
      checkAscending(checkRows(read, captureEvery));
      const { captured, retained, dropped } = experiment.counts;
      expect(read).toHaveLength(retained);
      expect(retained).toBeLessThanOrEqual(8 * 1024);
      expect(retained + dropped).toBe(threads * rows);
      if (overflow === 'reject') expect(captured).toBe(retained);
      expect(experiment.streamingMetrics().count).toBe(captured);
    });
  }

  for (const mode of ['exit', 'process.exit', 'throw'] as const) {
    it(`hand in their last rows when they end by ${mode}`, async () => {
      const rows = 1024 + 77;
      const { experiment, race } = begin({ capacity: 8192 }, { mode, threads: 2, rows, captureEvery: 5 });
      await race.start();
      await race.ended();
      const counters = checkRows(await inCaptureOrder(experiment), 5);
      checkGapless(counters);
      expect([...counters.values()].map(({ length }) => length)).toEqual([rows, rows]);
      expect(experiment.counts).toMatchObject({ captured: 2 * rows, dropped: 0 });
    });
  }

  it('have the rows they wrote adopted by stop() after they were terminated', async () => {
    const rows = 2048 + 300;
    const { experiment, race } = begin(
      { capacity: 8192 },
      { mode: 'hang', threads: 2, rows, captureEvery: 5 },
    );
    await race.start();
    await race.untilWritten(rows);
    // So far only whole batches can be seen.
    expect(experiment.counts.captured).toBeLessThan(2 * rows);
    await race.terminate();
    await experiment.stop();
    const counters = checkRows(await inCaptureOrder(experiment), 5);
    checkGapless(counters);
    expect([...counters.values()].map(({ length }) => length)).toEqual([rows, rows]);
    expect(experiment.counts).toEqual(countsOf({ captured: 2 * rows }));
    expect(experiment.streamingMetrics().count).toBe(2 * rows);
  });

  it('have the rows they wrote adopted by stop() although they hang', async () => {
    const rows = 500;
    const { experiment, race } = begin({ capacity: 4096 }, { mode: 'hang', threads: 1, rows });
    await race.start();
    await race.untilWritten(rows);
    await experiment.stop();
    expect(experiment.counts.captured).toBe(rows);
    race.stop();
    await race.ended();
    checkGapless(checkRows(await inCaptureOrder(experiment)));
    expect(experiment.counts).toMatchObject({ captured: rows, retained: rows });
    expect(experiment.streamingMetrics().count).toBe(rows);
  });

  for (const mode of ['paced', 'turns'] as const) {
    it(`honour a pause within a batch, in mode ${mode}`, async () => {
      const { experiment, race } = begin(
        { capacity: 1_000_000 },
        { mode, threads: 2, rows: Number.MAX_SAFE_INTEGER },
      );
      await race.start();
      await race.untilWritten(3000);
      experiment.pause();
      const pausedAt = [0, 1].map((thread) => race.rowsWritten(thread));
      await race.untilWritten(Math.max(...pausedAt) + 5000);
      const resumedAt = [0, 1].map((thread) => race.rowsWritten(thread));
      experiment.resume();
      // A thread that its timer has suspended goes on at the timer's next turn.
      while ([0, 1].some((thread) => newestOf(experiment, thread) < resumedAt[thread]!)) await turn();
      race.stop();
      await race.ended();
      const counters = checkRows(await inCaptureOrder(experiment));
      checkAscending(counters);
      for (const thread of [0, 1]) {
        const list = counters.get(thread)!;
        // A thread looks at every 256th row at the latest.
        const inPause = list.filter((i) => i >= pausedAt[thread]! + 512 && i < resumedAt[thread]!);
        expect(inPause).toEqual([]);
        expect(list.slice(0, 3000)).toEqual(Array.from({ length: 3000 }, (_, i) => i));
      }
    });
  }
});

describe('the check of rows', () => {
  const rowOf = (thread: number, i: number): RaceRow => {
    const latencyMs = thread * 2 ** 24 + i;
    return {
      eventName: `thread ${thread}`,
      model: `model ${thread}`,
      timestamp: i,
      latencyMs,
      costUsd: latencyMs / 8,
      tokens: { prompt: i, completion: (i * 31 + thread) % 1000 },
      success: i % 3 === 0 ? null : i % 3 === 1,
      metadata: { check: `${thread}/${i}/${'x'.repeat(i % 50)}`, label: `label ${i % 200}` },
    };
  };

  it('accepts rows that are whole', () => {
    const counters = checkRows([rowOf(0, 0), rowOf(1, 0), rowOf(0, 1)], 1);
    checkGapless(counters);
    expect(counters.get(0)).toEqual([0, 1]);
  });

  it('fails for a row whose columns come from two rows, whichever column it is', () => {
    const mixtures: (keyof RaceRow)[] = [
      'eventName',
      'model',
      'timestamp',
      'latencyMs',
      'costUsd',
      'tokens',
      'success',
      'metadata',
    ];
    for (const column of mixtures) {
      const torn = { ...rowOf(1, 7), [column]: rowOf(2, 8)[column] };
      expect(() => checkRows([rowOf(1, 6), torn], 1), column).toThrow('torn row');
    }
  });

  it('fails for a row that comes twice, that is missing, or that is out of order', () => {
    expect(() => checkRows([rowOf(1, 7), rowOf(1, 7)])).toThrow('row twice');
    expect(() => checkGapless(checkRows([rowOf(1, 0), rowOf(1, 2)]))).toThrow('row 1 is missing');
    expect(() => checkAscending(checkRows([rowOf(1, 2), rowOf(1, 0)]))).toThrow('out of order');
  });
});
