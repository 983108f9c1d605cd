/** What a failing disk, or a failed opening, must not leave behind. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { FaultControl } from '../support/disks/faulty-disk.mjs';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-after-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('an experiment that could not be reopened', () => {
  it('leaves neither lock nor thread behind', async () => {
    const crucible = new Crucible({ dir: join(dir, 'a') });
    const experiment = crucible.startExperiment({ name: 'e' });
    experiment.recorder('e').recordAt(1, 1);
    await experiment.flush();
    cpSync(join(dir, 'a'), join(dir, 'b'), { recursive: true });
    const copy = join(dir, 'b', experiment.id);
    const locks = () => readdirSync(copy).filter((name) => name.endsWith('.lock'));
    for (const name of locks()) rmSync(join(copy, name));
    // Its id is attached to the bus by the other one.
    const other = new Crucible();
    const { experiments } = await other.recover(join(dir, 'b'));
    expect(experiments).toMatchObject([{ access: 'none' }]);
    const left = locks();
    await other.close();
    await crucible.close();
    expect(left).toEqual([]);
  });
});

describe('a flush', () => {
  it('is none while rows are in a file that could not be synced, and in the ring no more', async () => {
    const control = new FaultControl();
    control.faults = false;
    const url = new URL('../support/disks/faulty-disk.mjs', import.meta.url).href;
    const crucible = new Crucible({ dir });
    const experiment = crucible.startExperiment({
      name: 'e',
      fsync: 'never',
      flushIntervalMs: 5,
      fileSystem: { url, spec: { faults: [{ operation: 'sync', code: 'EIO' }], control: control.words } },
    });
    for (let i = 0; i < 100; i++) experiment.recorder('e').recordAt(i, i);
    while (experiment.storage!.written < 100) await new Promise((done) => setTimeout(done, 2));
    control.faults = true;
    await expect(experiment.flush()).rejects.toThrow('EIO');
    control.faults = false;
    const failure = await experiment.flush().catch((error: unknown) => error);
    await crucible.close();
    const report = { captured: 100, durable: 0, pending: 100, deadlineExceeded: false };
    expect(failure).toMatchObject({ code: 'ERR_FLUSH_INCOMPLETE', context: { report } });
  });
});
