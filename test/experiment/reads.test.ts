/** Analysis on threads: the same answers as on the calling thread, of the moment of the call. */

import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, Crucible, type Experiment, type ExperimentOptions } from '../../src/index.js';
import { FakeClock, START_US } from '../capture/support.js';

/** More than is done on the calling thread. */
const ROWS = 40_000;
const COLUMNS = { variant: 'dict' } as const;

let folder: string;
let crucible: Crucible;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crucible-reads-'));
  crucible = new Crucible({ clock: new FakeClock(), workers: 2 });
});
afterEach(async () => {
  await crucible.close();
  await rm(folder, { recursive: true });
});

function fill(experiment: Experiment, rows = ROWS): void {
  const recorders = ['gpt-4', 'claude'].map((model) => experiment.recorder('llm', { model, variant: 'a' }));
  for (let i = 0; i < rows; i++) {
    // Out of order, and many at one time.
    const timeUs = START_US + Math.floor(i / 7) * 1000 - (i % 3) * 5000;
    const latencyMs = ((i * 7919) % 1000) / 8;
    if (i % 10 === 0) {
      experiment.captureAt(
        timeUs,
        'captured',
        { latencyMs },
        { note: `row ${i}`, variant: 'b', status: 'ok' },
      );
    } else {
      recorders[i % 2]!.recordAt(timeUs, latencyMs, 0.25, i % 100, 7, i % 11 === 0 ? null : i % 5 !== 0);
    }
  }
}

/** What an experiment is compared with. */
function other(crucible: Crucible): Experiment {
  const known = crucible.experiments().find(({ id }) => id === 'other');
  if (known !== undefined) return known;
  const experiment = crucible.startExperiment({ name: 'other', id: 'other', capacity: 4096 });
  for (let i = 0; i < 1000; i++) experiment.captureAt(START_US + i, 'llm', { latencyMs: 5 + (i % 3) });
  return experiment;
}

/** Everything that can be asked. */
async function answersOf(crucible: Crucible, experiment: Experiment) {
  const range: [number, number] = [START_US + 1_000_000, START_US + 2_000_000];
  const events: string[] = [];
  for await (const { eventId } of experiment.events({ model: 'claude' })) events.push(eventId);
  const noted = { where: { note: 'row 500' } };
  return {
    metrics: await experiment.metrics(),
    failed: await experiment.metrics({ success: false, timeRange: range }),
    byModel: await experiment.metricsBy('model'),
    byVariant: await experiment.metricsBy('variant', { timeRange: range }),
    query: await experiment.query(),
    noted: await experiment.query(noted),
    picked: await experiment.query({ predicate: ({ sequence }) => sequence % 1000 === 3 }),
    events,
    last: await experiment.window({ lastN: 20_000 }, { eventName: 'llm' }),
    range: await experiment.window({ range }),
    windows: await experiment.windowedMetrics({ sizeUs: 700_000, stepUs: 300_000, quantiles: [0.5, 0.999] }),
    compared: await crucible.compare([experiment, other(crucible)], {
      filter: { eventName: 'llm' },
      resamples: 200,
    }),
  };
}

const start = (options: Partial<ExperimentOptions> = {}) =>
  crucible.startExperiment({ name: 'reads', columns: COLUMNS, capacity: 65_536, ...options });

describe('an experiment read by threads', () => {
  it.each([
    ['in memory', {}],
    ['that refuses what does not fit', { overflow: 'reject' }],
  ] as const)('%s gives what the calling thread would', async (_, options) => {
    const settings = { id: 'same', ...options };
    const experiment = start(settings);
    fill(experiment);
    const far = await answersOf(crucible, experiment);
    await crucible.close();
    const here = new Crucible({ clock: new FakeClock(), workers: 0 });
    const near = here.startExperiment({ name: 'reads', columns: COLUMNS, capacity: 65_536, ...settings });
    fill(near);
    expect(far).toEqual(await answersOf(here, near));
    await here.close();
  });

  it('on disk gives the same before and after it is flushed, compacted, and reopened', async () => {
    const experiment = start({ dir: folder, capacity: 16_384, blockMs: 60_000, segmentBytes: 64 * 1024 });
    fill(experiment);
    const before = await answersOf(crucible, experiment);
    expect(before.metrics.summary.totalEvents).toBe(ROWS);
    expect(before.query.map(({ timestamp }) => timestamp)).toEqual(
      before.query.map(({ timestamp }) => timestamp).sort((a, b) => a - b),
    );
    await experiment.flush();
    expect(await answersOf(crucible, experiment)).toEqual(before);
    await experiment.stop();
    await experiment.compact();
    expect(await answersOf(crucible, experiment)).toEqual(before);
    await experiment.cleanup();
    await crucible.recover(folder, { readOnly: true });
    const reopened = await answersOf(crucible, crucible.experiment(experiment.id));
    expect(reopened.query).toEqual(before.query);
    expect(reopened.windows).toEqual(before.windows);
  });

  it('is read as of the call, whatever is captured until a thread gets to it', async () => {
    for (const overflow of ['overwrite', 'reject'] as const) {
      const experiment = start({ overflow });
      fill(experiment, 30_000);
      const asked = [
        experiment.metrics().then(({ summary }) => summary.totalEvents),
        experiment.query({ eventName: 'captured' }).then(({ length }) => length * 10),
        experiment.window({ lastN: 1 }).then(([last]) => (last!.metadata.later === true ? 0 : 30_000)),
      ];
      for (let i = 0; i < 1000; i++) experiment.captureAt(START_US + 1e9, 'captured', {}, { later: true });
      expect(await Promise.all(asked)).toEqual([30_000, 30_000, 30_000]);
    }
  });

  it('in a ring that overwrites is streamed whole, however slowly it is taken', async () => {
    const experiment = start({ capacity: 32_768 });
    fill(experiment, 30_000);
    const recorder = experiment.recorder('later');
    let seen = 0;
    for await (const { eventName } of experiment.events()) {
      expect(eventName).not.toBe('later');
      if (seen++ % 100 === 0) for (let i = 0; i < 500; i++) recorder.recordAt(START_US, 1);
    }
    expect(seen).toBe(30_000);
    expect(experiment.counts.dropped).toBeGreaterThan(30_000);
  });

  it('keeps the class and code of what goes wrong', async () => {
    const experiment = start();
    fill(experiment);
    await expect(experiment.metricsBy('nothing')).rejects.toBeInstanceOf(ConfigError);
    await expect(experiment.metrics({ where: { f: () => 1 } })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      context: { path: 'filter.where.f' },
    });
    await expect(experiment.query({ timeRange: [1] as never })).rejects.toMatchObject({
      context: { path: 'filter.timeRange' },
    });
    await expect(crucible.compare([experiment, other(crucible)], { alpha: 2 })).rejects.toBeInstanceOf(
      ConfigError,
    );
  });

  it('answers nobody after it is closed, and leaves nobody waiting', async () => {
    const experiment = start();
    fill(experiment);
    const asked = Promise.allSettled([
      experiment.metrics(),
      experiment.query(),
      crucible.compare([experiment, other(crucible)]),
    ]);
    await crucible.close();
    for (const outcome of await asked) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'ERR_CLOSED' });
    }
    await expect(experiment.metrics()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  it('does not keep a process alive', () => {
    const program = `
      import { Crucible } from ${JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href)};
      const experiment = new Crucible({ workers: 1 }).startExperiment({ name: 'x' });
      const recorder = experiment.recorder('e');
      for (let i = 0; i < ${ROWS}; i++) recorder.record(i);
      console.log((await experiment.metrics()).latency.count);
    `;
    const args = ['--input-type=module', '--eval', program];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe(`${ROWS}\n`);
  });
});

it('a predicate that gives a promise is refused: it would let every event pass', async () => {
  await using crucible = new Crucible({ workers: 0 });
  const experiment = crucible.startExperiment({ name: 'judged' });
  experiment.capture('e', { durationMs: 1 });
  const later = (async () => false) as never;
  await expect(experiment.query({ predicate: later })).rejects.toThrow(
    /filter\.predicate: expected .* got "a promise"/,
  );
  await expect(experiment.metrics({ predicate: later })).rejects.toThrow(ConfigError);
  expect(await experiment.query({ predicate: (() => 1) as never })).toHaveLength(1);
  expect(await experiment.query({ predicate: (() => 0) as never })).toHaveLength(0);
});

it.each([/P/, () => true, new Date(0), new Map(), Symbol('s'), 1n])(
  'a value that no event can have is refused, since it would find nothing: %s',
  async (wanted) => {
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'judged' });
    experiment.capture('e', {}, { city: 'Paris' });
    const query = experiment.query({ where: { city: wanted } });
    await expect(query).rejects.toThrow(/filter\.where\.city: expected a value as events have them/);
    await expect(query).rejects.toThrow(ConfigError);
  },
);
