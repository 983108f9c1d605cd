/** archive, compact and delete, on folders that the library has written. Run `npm run build` first. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commands } from '../../../src/cli/commands/index.js';
import { loadLibrary } from '../../../src/cli/library.js';
import { Crucible, deleteExperiment } from '../../../src/index.js';
import { runInMemory } from '../support/environment.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-housekeeping-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const run = (...argv: string[]) => runInMemory([...argv, '--dir', dir], commands, { loadLibrary });

/** A stopped experiment of 3,000 events; `during` looks at it while it is captured. */
async function captured(during: (id: string) => Promise<void> = async () => {}): Promise<string> {
  const crucible = new Crucible({ dir });
  const experiment = crucible.startExperiment({ name: 'kept', id: 'kept0', segmentBytes: 65_536 });
  const recorder = experiment.recorder('e');
  for (let i = 0; i < 3000; i++) recorder.record(i);
  await experiment.flush();
  await during(experiment.id);
  await crucible.close();
  return experiment.id;
}

describe('crucible archive', () => {
  it('writes all events to a file, and says that the experiment is archived', async () => {
    const id = await captured();
    const out = join(dir, 'kept.jsonl');
    const { status, stdout } = await run('archive', id, '--out', out);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('3,000 events in ') });
    expect(readFileSync(out, 'utf8').trim().split('\n')).toHaveLength(3001);
    expect(JSON.parse((await run('show', id, '--json')).stdout)).toMatchObject({ status: 'archived' });
  });
});

describe('crucible compact', () => {
  it('turns segments into Parquet files, from which the same is read', async () => {
    const id = await captured();
    const before = JSON.parse((await run('metrics', id, '--json')).stdout);
    const report = JSON.parse((await run('compact', id, '--json')).stdout);
    expect(report).toMatchObject({ id });
    expect(report.segments).toBeGreaterThan(0);
    expect(readdirSync(join(dir, id)).some((name) => name.endsWith('.parquet'))).toBe(true);
    expect(JSON.parse((await run('metrics', id, '--json')).stdout)).toEqual(before);
    expect((await run('compact', id)).stdout).toContain('nothing to compact');
  });
});

describe('crucible delete', () => {
  it('says what it would delete, and deletes it with --yes', async () => {
    const id = await captured();
    const asked = await run('delete', id);
    expect(asked).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/would delete kept .*3,000 events/),
    });
    expect(existsSync(join(dir, id))).toBe(true);
    const done = await run('delete', id, '--yes');
    expect(done).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Deleted kept (kept0), 3,000 events'),
    });
    expect(readdirSync(dir)).toEqual([]);
    expect(await run('delete', id, '--yes')).toMatchObject({ status: 1 });
  });

  it('takes no folder that is none of an experiment', async () => {
    await expect(deleteExperiment(dir)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    expect(existsSync(dir)).toBe(true);
  });
});

it.each(['archive', 'compact', 'delete'])('%s leaves alone what a process captures', async (command) => {
  const id = await captured(async (running) => {
    const { status, stderr } = await run(command, running, ...(command === 'delete' ? ['--yes'] : []));
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining('is being captured by'),
    });
  });
  expect(JSON.parse((await run('show', id, '--json')).stdout)).toMatchObject({ counts: { captured: 3000 } });
});
