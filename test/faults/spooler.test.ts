/** The thread that writes dies, again and again: others take its place, and no row is lost or there twice. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, StorageError } from '../../src/index.js';
import type { OverflowPolicy } from '../../src/ring/memory.js';
import { seededRandom } from '../support/disks/random.mjs';
import { SEED } from '../support/seed.js';
import { BrokenControl } from './broken-disk.mjs';
import { read } from './kill.mjs';
import { COLUMNS, inspect, Source } from './rows.mjs';

const url = new URL('./broken-disk.mjs', import.meta.url).href;
/** What a flush may say while spoolers die. */
const REFUSALS = ['ERR_STORAGE_IO', 'ERR_FLUSH_INCOMPLETE'];
const noWarning = () => {};

let dir: string;
const opened: Crucible[] = [];

function open(): Crucible {
  const crucible = new Crucible({ dir });
  opened.push(crucible);
  return crucible;
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-spooler-'));
  process.on('warning', noWarning);
});
afterEach(async () => {
  for (const crucible of opened.splice(0)) await crucible.close();
  rmSync(dir, { recursive: true });
  process.off('warning', noWarning);
});

describe.each(['block', 'reject', 'overwrite'] satisfies OverflowPolicy[])('with overflow %s', (overflow) => {
  it.each(['throw', 'exit', 'allocate'] as const)(`is replaced when it dies: %s`, async (fault) => {
    const random = seededRandom(SEED);
    const control = new BrokenControl();
    const crucible = open();
    const experiment = crucible.startExperiment({
      name: 'broken',
      id: 'broken',
      columns: COLUMNS,
      overflow,
      // Room for what comes while nobody writes: a producer that waits for room would keep this thread from seeing to it.
      capacity: overflow === 'block' ? 262_144 : 8192,
      flushIntervalMs: 10,
      segmentBytes: 2 ** 17,
      fileSystem: { url, spec: { control: control.words, fault } },
    });
    const counts = new Int32Array(new SharedArrayBuffer(8));
    const workerData = { handle: experiment.share(), producer: 1, from: 0, counts, seed: SEED, rowsPerMs: 5 };
    const worker = new Worker(new URL('./kill-worker.mjs', import.meta.url), { workerData });
    const source = new Source(experiment, 0);
    // Where a document is written, what is thrown counts as the disk's, and the thread tries again.
    const dies = fault !== 'throw';
    const deaths = fault === 'allocate' ? 2 : 8;
    for (let death = 1; death <= deaths; death++) {
      control.arm(1 + Math.floor(random() * 12));
      // A flush that was asked for before is answered by whoever comes after.
      const flushed = random() < 0.5 ? experiment.flush().catch((error: unknown) => error) : undefined;
      while (control.faults < death || (dies && experiment.storage!.restarts < death)) {
        for (let i = 0; i < 50; i++) source.capture();
        await sleep(1);
      }
      const outcome = await flushed;
      // Two that die before they have said anything are enough for who waits.
      if (outcome instanceof StorageError) expect(REFUSALS).toContain(outcome.code);
      else if (outcome !== undefined) expect(outcome).toMatchObject({ deadlineExceeded: false });
    }
    control.arm(0);
    await worker.terminate();
    // The last death may be noticed only now; with 'overwrite', what the dead had taken may have been overwritten since.
    await experiment.flush().catch(() => {});
    expect(await experiment.flush()).toMatchObject({ deadlineExceeded: false, pending: 0 });
    if (dies) expect(experiment.storage!.restarts).toBeGreaterThanOrEqual(deaths);
    expect(experiment.storage).toMatchObject({ error: null });

    const { captured, retained, dropped } = experiment.counts;
    const gaps = overflow !== 'block';
    const live = await inspect(experiment);
    expect(live.conclude({ gaps })).toEqual([]);
    expect(live.rows).toBe(retained);
    expect(experiment.storage).toMatchObject({ written: retained, durable: retained });
    await experiment.stop();
    await crucible.close();

    const found = await read(dir, { gaps });
    expect(found!.problems).toEqual([]);
    expect(found!.rows).toBe(retained);
    // What was offered is on disk, overwritten or refused; the thread may have been ended within a row.
    const offered = source.count + counts[1]!;
    const kept = overflow === 'reject' ? captured + dropped : captured;
    expect(kept - offered === 0 || kept - offered === 1, `${kept} of ${offered}`).toBe(true);
    if (overflow === 'overwrite') expect(captured).toBe(retained + dropped);
    if (overflow === 'block') expect(dropped).toBe(0);
  });
});

it('leaves nothing pending of rows that are overwritten while a flush waits', async () => {
  const control = new BrokenControl();
  const experiment = open().startExperiment({
    name: 'hung',
    overflow: 'overwrite',
    capacity: 1024,
    producers: 1,
    columns: COLUMNS,
    fileSystem: { url, spec: { control: control.words, fault: 'hang' } },
  });
  await experiment.flush();
  const source = new Source(experiment, 0);
  const capture = (rows: number) => {
    for (let i = 0; i < rows; i++) source.capture();
  };
  control.arm(1);
  capture(500);
  const flushed = experiment.flush().catch((error: unknown) => error);
  while (control.faults === 0) await sleep(1);
  capture(5000);
  control.release();
  // There is nothing left to wait for, and not everything is kept.
  expect(await flushed).toMatchObject({
    code: 'ERR_FLUSH_INCOMPLETE',
    context: { report: { captured: 500, deadlineExceeded: false, pending: 0 } },
  });
  await experiment.flush();
  const { captured, retained, dropped } = experiment.counts;
  expect(dropped).toBeGreaterThan(0);
  expect(captured).toBe(retained + dropped);
});
