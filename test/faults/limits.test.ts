/** Clocks that jump, and counters at the end of their range. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CHUNK_ENTRY_BYTES,
  CHUNK_GENERATION_OFFSET,
  CHUNK_ROWS,
  CHUNK_SPOOLED_OFFSET,
  HEADER_CURSOR_OFFSET,
  HEADER_NEXT_SEQUENCE_OFFSET,
  HEADER_RELEASES_OFFSET,
  HEADER_SPOOL_ATTEMPTED_OFFSET,
  HEADER_SPOOL_BEATS_OFFSET,
  HEADER_SPOOL_COMPLETED_OFFSET,
  HEADER_SPOOL_EPOCH_OFFSET,
  HEADER_SPOOL_REQUESTED_OFFSET,
  HEADER_SPOOL_WAKE_OFFSET,
  SPOOLED_ROWS_BITS,
  TIME_US_MAX,
} from '../../assembly/layout.js';
import { Crucible, type Experiment, type ExperimentOptions } from '../../src/index.js';
import { countsOf } from '../support/counts.js';
import { seededRandom } from '../support/disks/random.mjs';
import { SEED } from '../support/seed.js';
import { read } from './kill.mjs';
import { COLUMNS, inspect, Source } from './rows.mjs';

let dir: string;
const opened: Crucible[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-limits-'));
});
afterEach(async () => {
  for (const crucible of opened.splice(0)) await crucible.close();
  rmSync(dir, { recursive: true });
});

function open(clock?: ConstructorParameters<typeof Crucible>[0] & object): Crucible {
  const crucible = new Crucible({ dir, ...clock });
  opened.push(crucible);
  return crucible;
}

const start = (crucible: Crucible, options: Partial<ExperimentOptions> = {}) =>
  crucible.startExperiment({
    name: 'limits',
    id: 'limits',
    columns: COLUMNS,
    capacity: 8 * CHUNK_ROWS,
    overflow: 'block',
    blockMs: 60_000,
    flushIntervalMs: 5,
    segmentBytes: 2 ** 17,
    ...options,
  });

/** Captures, with flushes in between, stops, and checks what is in memory and on disk. */
async function captureAndCheck(experiment: Experiment, rows: number): Promise<void> {
  const source = new Source(experiment, 0);
  while (source.count < rows) {
    for (let i = 0; i < 2900; i++) source.capture();
    expect((await experiment.flush()).deadlineExceeded).toBe(false);
  }
  const live = await inspect(experiment);
  expect(live.conclude()).toEqual([]);
  expect(live.counts).toEqual([source.count]);
  expect(experiment.counts).toEqual(countsOf({ captured: source.count }));
  await experiment.stop();
  expect(experiment.storage).toMatchObject({ written: source.count, durable: source.count });
  expect(await read(dir)).toEqual({ rows: source.count, counts: [source.count], prompts: 0, problems: [] });
}

/** Sets words of 32 bits, signed, in the experiment's memory. */
function setWords(experiment: Experiment, offsets: readonly number[], value: number): void {
  const words = new Int32Array(experiment.share().memory.buffer);
  for (const offset of offsets) Atomics.store(words, offset >> 2, value);
}

describe('counters of 32 bits', () => {
  // Some steps before they wrap round: from 2^31 − 1 to −2^31, and from −1, which is 2^32 − 1, to 0.
  it.each([2 ** 31 - 5, -5])('count on past %i', async (from) => {
    const experiment = start(open());
    setWords(
      experiment,
      [
        HEADER_RELEASES_OFFSET,
        HEADER_SPOOL_WAKE_OFFSET,
        HEADER_SPOOL_BEATS_OFFSET,
        HEADER_SPOOL_ATTEMPTED_OFFSET,
        HEADER_SPOOL_COMPLETED_OFFSET,
        HEADER_SPOOL_REQUESTED_OFFSET,
      ],
      from,
    );
    await captureAndCheck(experiment, 30_000);
  });

  it.each([2 ** 31 - 8, -8, 2 ** 20 - 8, 2 ** 21 - 8])(
    'count generations of chunks on past %i',
    async (generation) => {
      const experiment = start(open());
      const { memory, geometry } = experiment.share();
      const words = new Int32Array(memory.buffer);
      for (let chunk = 0; chunk < geometry.chunkCount; chunk++) {
        const entry = geometry.directoryAddress + chunk * CHUNK_ENTRY_BYTES;
        words[(entry + CHUNK_GENERATION_OFFSET) >> 2] = generation;
        words[(entry + CHUNK_SPOOLED_OFFSET) >> 2] = generation << SPOOLED_ROWS_BITS;
      }
      await captureAndCheck(experiment, 80_000);
    },
  );

  it('count spoolers on past 2^31', async () => {
    const experiment = start(open());
    await experiment.flush();
    // The present one sees that it has been replaced, and is.
    setWords(experiment, [HEADER_SPOOL_EPOCH_OFFSET], 2 ** 31 - 1);
    await captureAndCheck(experiment, 15_000);
    expect(experiment.storage!.restarts).toBe(1);
  });
});

describe('counters of 64 bits', () => {
  it.each([2 ** 31, 2 ** 32, 2 ** 53])('try chunks on past %i', async (at) => {
    const experiment = start(open());
    new BigInt64Array(experiment.share().memory.buffer)[HEADER_CURSOR_OFFSET >> 3] = BigInt(at) - 5n;
    await captureAndCheck(experiment, 30_000);
  });

  it.each([2 ** 31, 2 ** 32, 2 ** 31 / CHUNK_ROWS, 2 ** 32 / CHUNK_ROWS])(
    'number chunks on past %i',
    async (at) => {
      const experiment = start(open());
      new BigInt64Array(experiment.share().memory.buffer)[HEADER_NEXT_SEQUENCE_OFFSET >> 3] = BigInt(at) - 5n;
      await captureAndCheck(experiment, 30_000);
    },
  );

  it('number rows up to 2^53, and the next process goes on from there', async () => {
    const chunks = 40;
    const first = open();
    const experiment = start(first);
    const words = new BigInt64Array(experiment.share().memory.buffer);
    words[HEADER_NEXT_SEQUENCE_OFFSET >> 3] = BigInt(2 ** 53 / CHUNK_ROWS - chunks);
    await captureAndCheck(experiment, 12_000);
    await first.close();
    const second = open();
    await second.recover();
    const found = await inspect(second.experiment('limits'));
    expect(found.conclude()).toEqual([]);
  });
});

describe('a clock that jumps', () => {
  const YEAR_US = 365 * 86_400 * 1e6;

  /** Back and forth by years, whenever somebody looks. */
  function jumpingClock() {
    const random = seededRandom(SEED);
    let ns = 0n;
    return {
      nowUs: () => Math.floor(1.7e15 + (random() - 0.5) * 40 * YEAR_US),
      monotonicNs: () => {
        ns += 1000n;
        return ns;
      },
    };
  }

  it(`loses nothing, and changes no order of capture`, async () => {
    const crucible = open({ clock: jumpingClock() });
    const experiment = start(crucible);
    const recorder = experiment.recorder('jumped');
    const rows = 5000;
    for (let i = 0; i < rows; i++) {
      if (i % 2 === 0) recorder.record(i);
      else experiment.capture('jumped', { latencyMs: i });
      if (i % 500 === 0) await experiment.flush();
    }
    await experiment.metrics();
    await experiment.stop();
    await crucible.close();

    const reader = open();
    const { experiments } = await reader.recover(dir, { readOnly: true });
    expect(experiments[0]).toMatchObject({ rows, damage: [], dropped: 0 });
    const found = await reader.experiment('limits').query();
    expect(found).toHaveLength(rows);
    // Ascending by time, as all reads; in order of capture, the numbers ascend.
    for (let i = 1; i < rows; i++)
      expect(found[i]!.timestamp).toBeGreaterThanOrEqual(found[i - 1]!.timestamp);
    const inOrder = found.toSorted((a, b) => a.sequence - b.sequence);
    expect(inOrder.map(({ latencyMs }) => latencyMs)).toEqual(Array.from({ length: rows }, (_, i) => i));
    expect(new Set(found.map(({ eventId }) => eventId)).size).toBe(rows);
  });

  it('captures on after a recovery whose clock is behind', async () => {
    const first = open({ clock: { nowUs: () => 4e15, monotonicNs: () => 5n } });
    const experiment = start(first);
    for (let i = 0; i < 100; i++) experiment.capture('jumped', { latencyMs: i });
    await experiment.flush();
    // As if the process had ended here.
    const left = join(dir, 'left');
    cpSync(join(dir, 'limits'), join(left, 'limits'), {
      recursive: true,
      filter: (path) => !path.endsWith('.lock'),
    });
    await first.close();

    const second = open({ clock: { nowUs: () => 1e15, monotonicNs: () => 5n } });
    const { experiments } = await second.recover(left);
    expect(experiments[0]).toMatchObject({ rows: 100, access: 'write', status: 'running' });
    const recovered = second.experiment('limits');
    for (let i = 100; i < 200; i++) recovered.capture('jumped', { latencyMs: i });
    await recovered.stop();
    const rows = (await recovered.query()).toSorted((a, b) => a.sequence - b.sequence);
    expect(rows.map(({ latencyMs }) => latencyMs)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(recovered.toJSON()).toMatchObject({ status: 'stopped' });
  });

  it('takes any time that a Date can hold, and others as malformed', async () => {
    const crucible = open();
    const experiment = start(crucible);
    const wild = [
      0,
      -1,
      -0.5,
      1.5,
      TIME_US_MAX,
      -TIME_US_MAX,
      TIME_US_MAX * 1.01,
      Number.MAX_VALUE,
      -Number.MAX_VALUE,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
      5e-324,
      2 ** 53,
      -(2 ** 53),
      1.7e15,
    ];
    const recorder = experiment.recorder('wild');
    for (const time of wild) {
      experiment.captureAt(time, 'wild', { latencyMs: 1 });
      recorder.recordAt(time, 2);
    }
    await experiment.flush();
    const live = await experiment.query();
    const { malformed } = experiment.counts;
    await crucible.close();

    const reader = open();
    const { experiments } = await reader.recover(dir, { readOnly: true });
    expect(experiments[0]).toMatchObject({ rows: 2 * wild.length, damage: [] });
    const recovered = reader.experiment('limits');
    expect(recovered.counts.malformed).toBe(malformed);
    expect(await recovered.query()).toEqual(live);
    for (const { timestamp } of live) expect(Math.abs(timestamp)).toBeLessThanOrEqual(TIME_US_MAX);
  });
});
