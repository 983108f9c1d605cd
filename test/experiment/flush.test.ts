/** What `flush` and `stop` acknowledge, and what they say when they cannot. Needs the built files, for its threads. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment, type ExperimentOptions, StorageError } from '../../src/index.js';
import { BrokenControl } from '../faults/broken-disk.mjs';
import { countsOf } from '../support/counts.js';
import { FaultControl } from '../support/disks/faulty-disk.mjs';

const FAULTY = new URL('../support/disks/faulty-disk.mjs', import.meta.url).href;
const BROKEN = new URL('../faults/broken-disk.mjs', import.meta.url).href;
/** A program that ends the thread it is imported into, and one that is nowhere. */
const DEADLY = 'data:text/javascript,process.exit(7)';
const NOWHERE = 'file:///nowhere/file-system.mjs';

let dir: string;
let crucible: Crucible;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-flush-'));
  crucible = new Crucible({ dir });
});
afterEach(async () => {
  await crucible.close().catch(() => {});
  rmSync(dir, { recursive: true, force: true });
});

const start = (options: Partial<ExperimentOptions> = {}) =>
  crucible.startExperiment({ name: 'flushed', ...options });

function capture(experiment: Experiment, rows: number): void {
  const recorder = experiment.recorder('e');
  for (let i = 0; i < rows; i++) recorder.recordAt(i, i);
}

/** What a call rejects with; it must be an error of the storage. */
async function failure(call: Promise<unknown>): Promise<StorageError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StorageError);
  return error as StorageError;
}

const NOTHING_LOST = {
  total: 0,
  refused: countsOf({}).refused,
  overwritten: 0,
  damaged: 0,
  malformed: 0,
  cut: 0,
};

/** Records and then holds its thread, so that nothing is published but by others. */
const BUSY = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { attachExperiment } = await import(workerData.library);
  const recorder = attachExperiment(workerData.handle).recorder('busy');
  for (let i = 0; i < workerData.rows; i++) recorder.recordAt(i, i);
  parentPort.postMessage('busy');
  Atomics.wait(workerData.words, 0, 0);
`;
const LIBRARY = new URL('../../dist/src/index.js', import.meta.url).href;

describe('flush and stop', () => {
  it.each([
    ['less than a batch', 10],
    ['a batch and a part of one', 300],
    ['chunks and a part of one', 10_000],
  ])('reach what a thread has written that is busy: %s', async (_, rows) => {
    const experiment = start();
    const words = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { library: LIBRARY, handle: experiment.share(), rows, words };
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(BUSY)}`), { workerData });
    try {
      await once(worker, 'message');
      const { captured, durable } = await experiment.flush();
      expect({ captured, durable }).toEqual({ captured: rows, durable: rows });
    } finally {
      Atomics.store(words, 0, 1);
      Atomics.notify(words, 0);
      await once(worker, 'exit');
    }
  });

  it('report what is durable, and what was lost until then', async () => {
    const experiment = start();
    capture(experiment, 1000);
    const whole = { captured: 1000, durable: 1000, pending: 0, deadlineExceeded: false };
    expect(await experiment.flush()).toEqual({ ...whole, lost: NOTHING_LOST });
    expect(await experiment.stop()).toEqual({ ...whole, lost: NOTHING_LOST });
    capture(experiment, 3);
    const refused = { ...NOTHING_LOST.refused, total: 3, stopped: 3 };
    const lost = { ...NOTHING_LOST, total: 3, refused };
    // A second stop changes nothing, and knows what has come too late.
    expect(await experiment.stop()).toEqual({ ...whole, lost });
    expect(await experiment.flush()).toEqual({ ...whole, lost });
  });

  it('say of an experiment in memory that nothing is durable, and do not wait', async () => {
    const experiment = start({ dir: undefined, capacity: 1024, overflow: 'reject' });
    const memory = new Crucible().startExperiment({ name: 'm', capacity: 1024, overflow: 'reject' });
    capture(memory, 1500);
    memory.capture('odd', { latencyMs: 'soon' });
    const refused = { ...NOTHING_LOST.refused, total: 477, full: 477 };
    const report = { captured: 1024, durable: 0, pending: 1024, deadlineExceeded: false };
    const lost = { ...NOTHING_LOST, total: 477, refused };
    expect(await memory.flush({ deadlineMs: 0 })).toEqual({ ...report, lost });
    expect(await memory.stop()).toEqual({ ...report, lost });
    await experiment.stop();
  });

  it('tell of the rows that were overwritten before they were on disk', async () => {
    const control = new FaultControl();
    const experiment = start({
      overflow: 'overwrite',
      capacity: 2048,
      fileSystem: {
        url: FAULTY,
        spec: { faults: [{ operation: 'write', code: 'EIO' }], control: control.words },
      },
    });
    capture(experiment, 10_000);
    expect((await failure(experiment.flush())).context.report).toMatchObject({
      captured: 10_000,
      durable: 0,
    });
    control.faults = false;
    const { lost, durable, pending } = await experiment.stop();
    expect(pending).toBe(0);
    expect(lost.overwritten).toBeGreaterThanOrEqual(10_000 - 2048);
    expect(lost).toEqual({ ...NOTHING_LOST, total: lost.overwritten, overwritten: lost.overwritten });
    expect(durable + lost.overwritten).toBe(10_000);
  });
});

describe('a flush that acknowledges nothing', () => {
  it('is an error when its time is up, and a later one succeeds', async () => {
    const control = new BrokenControl();
    const experiment = start({
      fileSystem: { url: BROKEN, spec: { control: control.words, fault: 'hang' } },
    });
    capture(experiment, 10);
    await experiment.flush();
    control.arm(1);
    capture(experiment, 100);
    const error = await failure(experiment.flush({ deadlineMs: 20 }));
    expect(error).toMatchObject({
      code: 'ERR_FLUSH_DEADLINE',
      context: {
        deadlineMs: 20,
        report: { captured: 110, durable: 10, pending: 100, deadlineExceeded: true, lost: NOTHING_LOST },
      },
    });
    expect(error.message).toMatch(/^100 of 110 events of flushed .* within 20 ms/);
    control.release();
    expect(await experiment.flush()).toMatchObject({ durable: 110, pending: 0, deadlineExceeded: false });
  });

  it('is one at once with no time at all, unless there is nothing to do', async () => {
    const experiment = start();
    capture(experiment, 10);
    expect(await failure(experiment.flush({ deadlineMs: 0 }))).toMatchObject({ code: 'ERR_FLUSH_DEADLINE' });
  });

  it('carries the report of a disk that fails, as stop does', async () => {
    const control = new FaultControl();
    const spec = { faults: [{ operation: 'write', code: 'ENOSPC' }], control: control.words };
    const experiment = start({ fileSystem: { url: FAULTY, spec } });
    capture(experiment, 10);
    const report = { captured: 10, durable: 0, pending: 10, deadlineExceeded: false, lost: NOTHING_LOST };
    const expected = { code: 'ERR_STORAGE_FULL', context: { systemCode: 'ENOSPC', report } };
    expect(await failure(experiment.flush())).toMatchObject(expected);
    expect(await failure(experiment.stop())).toMatchObject(expected);
    expect(experiment.status).toBe('stopped');
    control.faults = false;
    expect(await experiment.stop()).toMatchObject({ durable: 10, pending: 0 });
  });

  it('is an error for ever once nobody writes any more', async () => {
    const control = new FaultControl();
    const spec = { faults: [{ operation: 'write', code: 'EIO' }], control: control.words };
    const experiment = start({ fileSystem: { url: FAULTY, spec } });
    capture(experiment, 10);
    await failure(experiment.cleanup({ keepData: true }));
    const report = { captured: 10, durable: 0, pending: 10 };
    expect(await failure(experiment.flush())).toMatchObject({
      code: 'ERR_FLUSH_INCOMPLETE',
      context: { report },
    });
  });
});

describe('a thread that cannot start', () => {
  // The test's own limit is the judge: without an answer, flush would take 30 s and stop 60 s.
  it.each([
    ['is not there', NOWHERE],
    ['ends at once', DEADLY],
  ])('is an error of flush, stop and storage: its program %s', { timeout: 15_000 }, async (_, url) => {
    const experiment = start({ fileSystem: { url } });
    capture(experiment, 10);
    const error = await failure(experiment.flush());
    expect(error).toMatchObject({ code: 'ERR_STORAGE_IO', context: { report: { durable: 0, pending: 10 } } });
    expect(error.message).toContain('has died');
    expect(await failure(experiment.flush())).toMatchObject({ code: 'ERR_STORAGE_IO' });
    expect(await failure(experiment.stop())).toMatchObject({ code: 'ERR_STORAGE_IO' });
    expect(experiment.status).toBe('stopped');
    // Nothing of it is lost: it can still be read here.
    expect(await experiment.query()).toHaveLength(10);
    await failure(experiment.cleanup());
  });

  it('is told without being asked', { timeout: 15_000 }, async () => {
    const experiment = start({ fileSystem: { url: NOWHERE } });
    await expect.poll(() => experiment.storage!.error?.code, { timeout: 10_000 }).toBe('ERR_STORAGE_IO');
  });

  it('is an error when its folder is gone', { timeout: 15_000 }, async () => {
    const experiment = start();
    rmSync(experiment.storage!.folder, { recursive: true });
    capture(experiment, 10);
    expect(await failure(experiment.flush())).toMatchObject({ context: { report: { durable: 0 } } });
    await failure(experiment.stop());
  });
});
