/**
 * Disks that fail: every kind of operation, at every call, once and for ever. The spooler is driven directly, so that
 * all of them can be gone through; whole experiments on real threads show that the error arrives.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment, type ExperimentOptions, StorageError } from '../../src/index.js';
import type { FileSystem } from '../../src/storage/disk/file-system.js';
import { type Fault, FaultControl, type FaultySpec } from '../support/disks/faulty-disk.mjs';
import { withSmallTmpfs } from '../support/disks/small-tmpfs.js';
import { rounds } from '../support/effort.js';
import { SEED } from '../support/seed.js';
import { hooked, type RigOptions, recovered, SpoolRig } from '../support/spooling.js';

/** A run on a disk that fails, held against the model after every step. @returns errors that were told */
async function run(options: RigOptions): Promise<{ rig: SpoolRig; codes: string[]; failedFlushes: number }> {
  const rig = new SpoolRig({ producers: 2, chunks: 6, segmentBytes: 50_000, ...options });
  const codes: string[] = [];
  let failedFlushes = 0;
  for (let round = 0; round < 6; round++) {
    rig.capture(0, 700);
    rig.capture(1, 300, true);
    const isFlush = round % 2 === 0;
    const done = rig.step({ everything: true, sync: isFlush });
    if (rig.lastError !== undefined) codes.push(rig.lastError.code);
    if (isFlush && done === undefined) failedFlushes++;
    await rig.check({ quiet: false });
    // A flush that is answered has everything on the disk, where the ring still had it after a failure.
    if (isFlush && done === true && options.overflow !== 'overwrite' && options.fsync !== 'never') {
      expect(rig.words.durable - rig.expired).toBe(rig.captured.flat().length - rig.expired);
    }
    if (round === 3) rig.lose();
  }
  rig.settle();
  await rig.check({ quiet: false, settled: true });
  rig.attempt((spooler) => spooler.finish());
  expect(rig.lastError).toBe(undefined);
  await rig.check({ quiet: false, settled: true });
  return { rig, codes, failedFlushes };
}

const OPERATIONS: readonly (keyof FileSystem)[] = [
  'open',
  'close',
  'write',
  'truncate',
  'sync',
  'syncFolder',
  'rename',
  'unlink',
  'list',
  'readFile',
  'read',
  'stat',
];

describe('a spooler on a disk that fails', () => {
  let calls: FaultControl;
  beforeAll(async () => {
    calls = (await run({ faults: [] })).rig.control;
  });

  it.each(
    OPERATIONS.flatMap((operation) => [
      { operation, code: 'EIO', lasts: 1 },
      { operation, code: 'ENOSPC', lasts: Number.POSITIVE_INFINITY },
    ]),
  )(
    'keeps every row when $operation fails with $code for $lasts calls, from every k-th on',
    async (fault) => {
      const { operation, code, lasts } = fault;
      const count = Math.max(1, calls.calls(operation));
      // In the short form, other calls fail with each seed.
      const every = Math.min(count, rounds(4, 1));
      for (let k = 1 + (SEED % every); k <= count; k += every) {
        const faults: Fault[] = [{ operation, code, from: k, until: k + lasts }];
        try {
          const { rig, codes } = await run({ faults });
          for (const told of codes) expect(told).toBe(code === 'EIO' ? 'ERR_STORAGE_IO' : 'ERR_STORAGE_FULL');
          // Whatever failed, everything that the ring took is durable in the end.
          expect(rig.words.durable).toBe(rig.captured.flat().length);
          const { rows, contents } = await recovered(rig.disk);
          expect(rows.length).toBe(rig.captured.flat().length);
          expect(contents.damage).toEqual([]);
        } catch (cause) {
          throw new Error(`with ${operation} number ${k} of ${count} failing`, { cause });
        }
      }
    },
  );

  it.each(['reject', 'overwrite'] as const)(
    'counts what a full ring loses meanwhile, with %s, and what fell short is written to its end',
    async (overflow) => {
      for (const bytes of [1, 511, 4096, 'random'] as const) {
        for (let from = 1; from <= calls.calls('write'); from++) {
          const faults: Fault[] = [
            { operation: 'write', bytes, from, until: from + 2 },
            { operation: 'write', bytes, code: 'ENOSPC', from: from + 2, until: from + 6 },
          ];
          await run({ faults, overflow, chunks: 4 });
        }
      }
    },
  );

  it.each<[string, RigOptions]>([
    ['a ring that overwrites', { overflow: 'overwrite', chunks: 4 }],
    ['fsync: never', { fsync: 'never' }],
    ['fsync: always', { fsync: 'always' }],
    ['retention', { segmentBytes: 10_000, retention: { maxBytes: 60_000 } }],
  ])('never reports durable what a failed sync has left open, with %s', async (_, options) => {
    for (const operation of ['sync', 'syncFolder'] as const) {
      for (let from = 1; from <= 25; from++) {
        // That nothing counts as durable that the synced image does not hold is checked after every step.
        await run({ ...options, faults: [{ operation, code: 'EIO', from, until: from + 2 }] });
      }
    }
  });

  it('is shown to fail: rows of a segment whose sync does nothing are missed', async () => {
    const segments = new Set<unknown>();
    const wrap = (files: FileSystem): FileSystem =>
      hooked(files, (perform, operation, [target]) => {
        if (operation === 'sync' && segments.has(target)) return undefined as never;
        const result = perform();
        if (operation === 'open' && String(target).endsWith('.arrows')) segments.add(result);
        return result;
      });
    await expect(run({ wrap })).rejects.toThrow('durable');
  });
});

const DISK = new URL('../support/disks/faulty-disk.mjs', import.meta.url).href;

describe('an experiment on a disk that fails', () => {
  let dir: string;
  let crucible: Crucible;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'crucible-errors-'));
    crucible = new Crucible({ dir });
  });
  afterEach(async () => {
    await crucible.close().catch(() => {});
    rmSync(dir, { recursive: true, force: true });
  });

  function start(control: FaultControl, faults: readonly Fault[], options: Partial<ExperimentOptions> = {}) {
    const spec: FaultySpec = { faults, control: control.words };
    return crucible.startExperiment({
      name: 'e',
      flushIntervalMs: 20,
      capacity: 8192,
      fileSystem: { url: DISK, spec },
      ...options,
    });
  }

  function capture(experiment: Experiment, rows: number): void {
    const recorder = experiment.recorder('e');
    for (let i = 0; i < rows; i++) recorder.recordAt(1e15 + i, i);
  }

  /** What the experiment's own folder holds, in a process that has nothing to do with it. */
  async function reopened(): Promise<number> {
    await using other = new Crucible();
    const { experiments } = await other.recover(dir, { readOnly: true });
    expect(experiments[0]).toMatchObject({ error: null, damage: [] });
    return experiments[0]!.rows;
  }

  it.each([
    ['write', 'EIO', 'ERR_STORAGE_IO'],
    ['write', 'ENOSPC', 'ERR_STORAGE_FULL'],
    ['sync', 'EIO', 'ERR_STORAGE_IO'],
    ['open', 'EIO', 'ERR_STORAGE_IO'],
    ['syncFolder', 'EIO', 'ERR_STORAGE_IO'],
    ['rename', 'EIO', 'ERR_STORAGE_IO'],
    ['list', 'EIO', 'ERR_STORAGE_IO'],
    ['readFile', 'EIO', 'ERR_STORAGE_IO'],
  ] as const)(
    'tells when %s fails with %s, keeps its rows, and goes on by itself',
    async (operation, code, told) => {
      const control = new FaultControl();
      const experiment = start(control, [{ operation, code }], { overflow: 'reject' });
      capture(experiment, 10_000);
      const error = await experiment.flush().then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(StorageError);
      expect(error).toMatchObject({ code: told, context: { systemCode: code } });
      expect(experiment.storage!.error).toMatchObject({ code: told });
      // Eight chunks are there, and none is given back.
      expect(experiment.counts).toMatchObject({ captured: 8192, dropped: 10_000 - 8192 });
      await expect(experiment.stop()).rejects.toMatchObject({ code: told });
      expect(experiment.status).toBe('stopped');
      expect((await experiment.query()).length).toBe(8192);

      control.faults = false;
      await until(() => experiment.storage!.error === null);
      await until(() => experiment.storage!.durable === 8192);
      await experiment.stop();
      expect(experiment.storage).toMatchObject({ error: null, written: 8192, durable: 8192, damaged: [] });
      expect((await experiment.query()).length).toBe(8192);
      expect(await reopened()).toBe(8192);
    },
  );

  it('says within an interval that the disk fails, without being asked', async () => {
    const control = new FaultControl();
    control.faults = false;
    const experiment = start(control, [{ operation: 'write', code: 'ENOSPC' }]);
    capture(experiment, 100);
    await experiment.flush();
    expect(experiment.storage!.error).toBe(null);
    control.faults = true;
    const seen = control.calls('write');
    capture(experiment, 100);
    experiment.counts;
    await until(() => control.calls('write') > seen);
    await until(() => experiment.storage!.error?.code === 'ERR_STORAGE_FULL');
    control.faults = false;
    await until(() => experiment.storage!.error === null);
    await until(() => experiment.storage!.durable === 200);
  });

  it('waits no longer than blockMs for a disk that fails, and then counts what it refuses', async () => {
    const control = new FaultControl();
    const experiment = start(control, [{ operation: 'write', code: 'EIO' }], { blockMs: 30, capacity: 2048 });
    capture(experiment, 5000);
    expect(experiment.counts).toMatchObject({ captured: 2048, dropped: 5000 - 2048 });
    control.faults = false;
    await experiment.flush();
    capture(experiment, 100);
    expect(experiment.counts).toMatchObject({ captured: 2148, dropped: 5000 - 2048 });
    await experiment.stop();
    expect(await reopened()).toBe(2148);
  });

  it('overwrites its oldest rows while the disk fails, and counts them', async () => {
    const control = new FaultControl();
    const experiment = start(control, [{ operation: 'write', code: 'EIO' }], {
      overflow: 'overwrite',
      capacity: 4096,
    });
    capture(experiment, 50_000);
    await expect(experiment.flush()).rejects.toBeInstanceOf(StorageError);
    capture(experiment, 10_000);
    control.faults = false;
    await experiment.flush();
    const { captured, retained, dropped } = experiment.counts;
    expect(captured).toBe(60_000);
    expect(retained + dropped).toBe(60_000);
    expect((await experiment.query()).length).toBe(retained);
    expect(experiment.storage!.durable).toBe(retained);
    await experiment.stop();
    expect(await reopened()).toBe(retained);
  });

  it('goes on capturing on a disk that is really full, and writes everything once there is room', async (context) => {
    const outcome = await withSmallTmpfs(256 * 1024, async (folder) => {
      const small = new Crucible({ dir: folder });
      const ballast = join(folder, 'ballast');
      writeFileSync(ballast, Buffer.alloc(160 * 1024));
      const experiment = small.startExperiment({
        name: 'e',
        flushIntervalMs: 20,
        capacity: 65_536,
        overflow: 'reject',
      });
      capture(experiment, 2000);
      const error = await experiment.flush().then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(StorageError);
      expect(error).toMatchObject({ code: 'ERR_STORAGE_FULL', context: { systemCode: 'ENOSPC' } });
      expect(experiment.storage!.error).toMatchObject({ code: 'ERR_STORAGE_FULL' });
      capture(experiment, 100);
      expect(experiment.counts).toMatchObject({ captured: 2100, retained: 2100, dropped: 0 });
      rmSync(ballast);
      await until(() => experiment.storage!.error === null);
      await experiment.flush();
      expect(experiment.storage).toMatchObject({ durable: 2100, error: null, damaged: [] });
      await experiment.stop();
      expect((await experiment.query()).length).toBe(2100);
      await small.close();
      await using other = new Crucible();
      const { experiments } = await other.recover(folder, { readOnly: true });
      return experiments[0];
    });
    if ('skipped' in outcome) return context.skip(outcome.skipped);
    expect(outcome.result).toMatchObject({ rows: 2100, damage: [], error: null });
  });
});

/** Looks every few milliseconds; the test's own time limit ends it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setTimeout(done, 5));
}
