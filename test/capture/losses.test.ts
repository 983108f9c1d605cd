/** What was lost is counted the same by whoever opens the experiment later. Needs the built files, for its threads. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Crucible, listExperiments } from '../../src/index.js';
import { countsOf } from '../support/counts.js';
import { FaultControl } from '../support/disks/faulty-disk.mjs';

const url = new URL('../support/disks/faulty-disk.mjs', import.meta.url).href;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-losses-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

it('after the last rows were taken, too, and when no segment is left that tells of it', async () => {
  const control = new FaultControl();
  const faults = [{ operation: 'write', path: '.arrows', code: 'ENOSPC' }];
  await using crucible = new Crucible({ dir });
  const experiment = crucible.startExperiment({
    name: 'lossy',
    overflow: 'reject',
    capacity: 4096,
    flushIntervalMs: 5,
    fileSystem: { url, spec: { faults, control: control.words } },
  });
  const recorder = experiment.recorder('e');
  for (let i = 0; i < 4096; i++) recorder.record(i);
  // The rows have been taken, and cannot be written.
  await expect.poll(() => experiment.storage!.error?.code, { timeout: 30_000 }).toBe('ERR_STORAGE_FULL');
  for (let i = 0; i < 100; i++) recorder.record(i);
  control.faults = false;
  await experiment.stop();
  const { counts } = experiment;
  expect(counts).toEqual(countsOf({ captured: 4096, dropped: 100, refused: { total: 100, full: 100 } }));

  const found = async () => {
    await using other = new Crucible();
    const { experiments } = await other.recover(dir, { readOnly: true });
    const [listed] = await listExperiments(dir);
    return [other.experiment(experiment.id).counts, experiments[0]!.dropped, listed!.dropped];
  };
  expect(await found()).toEqual([counts, 100, 100]);
  expect((await experiment.compact()).segments).toBe(1);
  expect(await found()).toEqual([counts, 100, 100]);
});
