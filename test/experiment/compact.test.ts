/** An experiment whose segments become Parquet answers as before. Needs the built files, for its threads. */
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment, type ExperimentOptions } from '../../src/index.js';
import { nodeFileSystem } from '../../src/storage/disk/file-system.js';
import { acquireLock } from '../../src/storage/disk/lock.js';
import { FaultControl } from '../support/disks/faulty-disk.mjs';

let dir: string;
let crucible: Crucible;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-compact-'));
  crucible = new Crucible({ dir });
});
afterEach(async () => {
  await crucible.close();
  rmSync(dir, { recursive: true });
});

const COLUMNS = { label: 'dict', score: 'f64', cached: 'bool' } as const;

function start(options: Partial<ExperimentOptions> = {}): Experiment {
  return crucible.startExperiment({
    name: 'compacted',
    capacity: 16_384,
    columns: COLUMNS,
    events: 'all',
    segmentBytes: 256 * 1024,
    ...options,
  });
}

/** Rows of all kinds, in several segments. */
async function fill(experiment: Experiment, rows = 20_000): Promise<void> {
  const recorder = experiment.recorder('recorded', { model: 'big', provider: 'acme' });
  for (let i = 0; i < rows; i++) {
    if (i % 3 !== 0)
      recorder.recordAt(1e15 + i, i % 7 === 0 ? Number.POSITIVE_INFINITY : i / 3, i / 1e6, i, 5, i % 2 === 0);
    else {
      const metadata = {
        label: `label ${i % 9}`,
        score: i / 2,
        cached: i % 2 === 0,
        note: `n${i}`,
        model: `m${i % 4}`,
      };
      // Not in order of time.
      experiment.captureAt(
        1e15 + ((i * 7) % rows),
        `event ${i % 5}`,
        { latencyMs: i % 11, loss: i },
        metadata,
      );
    }
    if (i % 4000 === 0) await experiment.flush();
  }
  await experiment.flush();
}

async function answersOf(experiment: Experiment): Promise<unknown> {
  const { wallClockSeconds: _, activeSeconds: __, ...summary } = (await experiment.metrics()).summary;
  return {
    summary,
    metrics: { ...(await experiment.metrics()), summary: null },
    events: await experiment.query(),
    some: await experiment.query({ model: 'm2', timeRange: [1e15 + 5000, 1e15 + 9000] }),
    window: await experiment.window({ lastN: 17 }),
    windows: await experiment.windowedMetrics({ sizeUs: 1000, stepUs: 500 }),
    streaming: experiment.streamingMetrics(),
    counts: experiment.counts,
  };
}

const filesOf = (experiment: Experiment, ending: string) =>
  readdirSync(experiment.storage!.folder).filter((name) => name.endsWith(ending));

async function reopened(experiment: Experiment): Promise<Experiment> {
  await crucible.close();
  crucible = new Crucible({ dir });
  const { experiments } = await crucible.recover();
  expect(experiments.map(({ damage, cut, error }) => [damage, cut, error])).toEqual([[[], [], null]]);
  return crucible.experiment(experiment.id);
}

describe('compact()', () => {
  it('ends after the segment at work when it is told to, and goes on another time', async () => {
    const experiment = start();
    await fill(experiment);
    await experiment.stop();
    const before = await answersOf(experiment);
    const all = filesOf(experiment, '.arrows').length;
    expect(all).toBeGreaterThan(2);
    expect(await experiment.compact({ signal: AbortSignal.abort() })).toMatchObject({ segments: 0 });
    const controller = new AbortController();
    const compacting = experiment.compact({ signal: controller.signal });
    while (filesOf(experiment, '.parquet').length === 0) await setImmediate();
    controller.abort();
    const { segments } = await compacting;
    expect(segments).toBeGreaterThan(0);
    expect(filesOf(experiment, '.parquet')).toHaveLength(segments);
    expect(filesOf(experiment, '.arrows')).toHaveLength(all - segments);
    expect(readdirSync(experiment.storage!.folder).filter((name) => name.startsWith('.tmp'))).toEqual([]);
    expect(await answersOf(experiment)).toEqual(before);
    expect(await experiment.compact()).toMatchObject({ segments: all - segments });
    expect(await answersOf(experiment)).toEqual(before);
  });

  it('of a stopped experiment changes nothing that it answers, then or when it is reopened', async () => {
    const experiment = start();
    await fill(experiment);
    await experiment.stop();
    const before = await answersOf(experiment);
    const segments = filesOf(experiment, '.arrows').length;
    expect(segments).toBeGreaterThan(3);

    const report = await experiment.compact();
    expect(report).toMatchObject({ segments, skipped: [] });
    expect(report.bytesAfter).toBeLessThan(report.bytesBefore / 2);
    expect(filesOf(experiment, '.arrows')).toEqual([]);
    expect(filesOf(experiment, '.parquet')).toHaveLength(segments);
    expect(filesOf(experiment, '.lock')).toEqual([]);
    expect(await answersOf(experiment)).toEqual(before);
    expect(await experiment.compact()).toEqual({ segments: 0, bytesBefore: 0, bytesAfter: 0, skipped: [] });

    const again = await reopened(experiment);
    const { streaming: _, ...rest } = before as Record<string, unknown>;
    expect(await answersOf(again)).toMatchObject(rest);
    expect(again.storage!.damaged).toEqual([]);
  });

  it('of a running one turns what is finished, and capture and readers go on', async () => {
    const experiment = start();
    await fill(experiment);
    const reading = experiment.events();
    const early = [(await reading.next()).value];
    const report = await experiment.compact();
    expect(report.segments).toBeGreaterThan(2);
    expect(filesOf(experiment, '.arrows').length).toBeLessThanOrEqual(1);
    for await (const event of reading) early.push(event);
    expect(early).toHaveLength(20_000);
    await fill(experiment, 8_000);
    expect(await experiment.query()).toHaveLength(28_000);
    expect((await experiment.query()).map(({ eventId }) => eventId).sort()).toEqual(
      [...new Set((await experiment.query()).map(({ eventId }) => eventId))].sort(),
    );
    await experiment.stop();
    expect(experiment.counts).toMatchObject({ captured: 28_000, retained: 28_000, dropped: 0 });
    expect(await (await reopened(experiment)).query()).toHaveLength(28_000);
  });

  it('may be asked for by several at once', async () => {
    const experiment = start();
    await fill(experiment, 9_000);
    const running = await Promise.all([experiment.compact(), experiment.compact()]);
    expect(running[1]).toMatchObject({ segments: 0 });
    await experiment.stop();
    const [first, second] = await Promise.all([experiment.compact(), experiment.compact()]);
    expect([first.segments, second.segments]).toEqual([1, 0]);
    expect(await experiment.query()).toHaveLength(9_000);
  });

  it('leaves a damaged segment as it is, and says so', async () => {
    const experiment = start();
    await fill(experiment, 9_000);
    await experiment.stop();
    const [first, ...others] = filesOf(experiment, '.arrows').sort();
    const path = join(experiment.storage!.folder, first!);
    const bytes = Buffer.from(nodeFileSystem.readFile(path, 1e9));
    bytes[bytes.length - 3000]! ^= 1;
    writeFileSync(path, bytes);
    const report = await experiment.compact();
    expect(report.segments).toBe(others.length);
    expect(report.skipped).toMatchObject([{ file: first }]);
    expect(filesOf(experiment, '.arrows')).toEqual([first]);
  });

  it('does not hold up a stop on a disk that fails, and is told of when the disk works again', async () => {
    const control = new FaultControl();
    control.faults = false;
    const faults = [{ operation: 'rename', path: 'experiment.json', code: 'EIO' }];
    const url = new URL('../support/disks/faulty-disk.mjs', import.meta.url).href;
    const experiment = start({ fileSystem: { url, spec: { faults, control: control.words } } });
    await fill(experiment, 9_000);
    control.faults = true;
    const compacting = experiment.compact();
    // A segment has become Parquet, and cannot be listed.
    await expect.poll(() => experiment.storage!.error?.code, { timeout: 30_000 }).toBe('ERR_STORAGE_IO');
    await expect(experiment.stop()).rejects.toMatchObject({ code: 'ERR_STORAGE_IO' });
    control.faults = false;
    await experiment.stop();
    const { segments } = await compacting;
    expect(segments).toBeGreaterThan(0);
    expect(filesOf(experiment, '.parquet').length).toBeGreaterThanOrEqual(segments);
    expect(await experiment.query()).toHaveLength(9_000);
    expect(await (await reopened(experiment)).query()).toHaveLength(9_000);
  });

  it('of an experiment that somebody else writes is refused', async () => {
    const experiment = start();
    await fill(experiment, 100);
    await experiment.stop();
    const lock = acquireLock(nodeFileSystem, experiment.storage!.folder);
    await expect(experiment.compact()).rejects.toMatchObject({ code: 'ERR_LOCKED' });
    lock.release();
    expect(await experiment.compact()).toMatchObject({ segments: 1 });
  });

  it('has nothing to do for an experiment in memory, and is an error after cleanup', async () => {
    const inMemory = new Crucible();
    const experiment = inMemory.startExperiment({ name: 'x', capacity: 1024 });
    expect(await experiment.compact()).toMatchObject({ segments: 0 });
    await experiment.cleanup();
    await expect(experiment.compact()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });
});

describe("compact: 'parquet'", () => {
  it('turns segments into Parquet as they are finished', async () => {
    const experiment = start({ compact: 'parquet' });
    await fill(experiment);
    await expect.poll(() => filesOf(experiment, '.arrows').length, { timeout: 30_000 }).toBeLessThan(2);
    expect(filesOf(experiment, '.parquet').length).toBeGreaterThan(2);
    expect(await experiment.query()).toHaveLength(20_000);
    const again = await reopened(experiment);
    expect(await again.query()).toHaveLength(20_000);
  });

  it('goes on where the process ended, whatever it had left', async () => {
    const experiment = start({ compact: 'parquet' });
    await fill(experiment, 9_000);
    const { folder } = experiment.storage!;
    await experiment.stop();
    await experiment.compact();
    // As if it had been killed in the midst of it: one begun, one renamed and not listed, one not deleted.
    const parquet = filesOf(experiment, '.parquet').sort();
    copyFileSync(join(folder, parquet[0]!), join(folder, `.tmp-0123456789abcdef-000009.parquet`));
    copyFileSync(join(folder, parquet[0]!), join(folder, parquet[0]!.replace('.parquet', '.arrows')));
    const again = await reopened(experiment);
    expect(readdirSync(folder).sort()).toEqual(['experiment.json', ...parquet].sort());
    expect(await again.query()).toHaveLength(9_000);
  });

  it('and retention get on with each other', async () => {
    // What has expired must have left the ring too.
    const experiment = start({ capacity: 2048, compact: 'parquet', retention: { maxBytes: 600 * 1024 } });
    for (let i = 0; i < 4; i++) await fill(experiment, 9_000);
    await expect.poll(() => filesOf(experiment, '.arrows').length, { timeout: 30_000 }).toBeLessThan(2);
    await experiment.stop();
    const { captured, retained } = experiment.counts;
    expect(captured).toBe(36_000);
    expect(await experiment.query()).toHaveLength(retained);
    expect(experiment.storage!.expired).toBe(captured - retained);
  });

  it('is kept for who reopens the experiment, and means nothing in memory', async () => {
    expect(() => start({ compact: 'zip' as 'parquet' })).toThrow('compact: expected one of parquet');
    expect(() => new Crucible().startExperiment({ name: 'x', compact: 'parquet' })).toThrow(
      'compact: expected nothing, since the experiment has no dir',
    );
    const experiment = start({ compact: 'parquet' });
    await experiment.stop();
    const document = JSON.parse(
      Buffer.from(
        nodeFileSystem.readFile(join(experiment.storage!.folder, 'experiment.json'), 1e9),
      ).toString(),
    );
    expect(document.experiment.options.compact).toBe('parquet');
    await reopened(experiment);
  });
});
