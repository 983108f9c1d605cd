/** What is listed of experiments on disk, beside what a recovery finds in them. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, listExperiments, type RecoverOptions, telemetry } from '../../src/index.js';
import { killedExperiment } from '../support/killed.js';
import { unprivileged } from '../support/unprivileged.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-catalogue-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

async function stopped(rows: number, options: { id?: string; segmentBytes?: number } = {}): Promise<string> {
  await using crucible = new Crucible({ dir });
  const experiment = crucible.startExperiment({ name: 'stopped', condition: 'control', ...options });
  const recorder = experiment.recorder('e');
  for (let i = 1; i <= rows; i++) {
    recorder.recordAt(1000 * i, i);
    // Segments are changed between two passes of the spooler.
    if (i % 4000 === 0) await experiment.flush();
  }
  return experiment.id;
}

/** Every file's bytes, by name. */
const bytesOf = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'hex')]));

describe('listExperiments', () => {
  it('finds nothing where there is nothing, or no folder yet; a file is refused', async () => {
    expect(await listExperiments(dir)).toEqual([]);
    expect(await listExperiments(join(dir, 'absent'))).toEqual([]);
    const file = join(dir, 'file');
    writeFileSync(file, '');
    const refusal = { code: 'ERR_STORAGE_IO', message: expect.stringContaining('ENOTDIR') };
    await expect(listExperiments(file)).rejects.toMatchObject(refusal);
    await using crucible = new Crucible();
    await expect(crucible.recover(file)).rejects.toMatchObject(refusal);
    await expect(crucible.recover(join(file, 'within'))).rejects.toMatchObject(refusal);
  });

  it('tells what a recovery tells, of many segments, without reading them', async () => {
    const id = await stopped(20_000, { segmentBytes: 65_536 });
    const [listed] = await listExperiments(dir);
    await using crucible = new Crucible();
    const { experiments } = await crucible.recover(dir, { readOnly: true });
    const { rows, bytes, segments, timeRange, dropped } = experiments[0]!;
    expect(segments).toBeGreaterThan(3);
    expect(listed).toMatchObject({ id, rows: 20_000, missingSegments: 0, interrupted: false, heldBy: null });
    expect(listed).toMatchObject({ rows, bytes, segments, timeRange, dropped, error: null });
    expect(listed!.experiment).toMatchObject({ name: 'stopped', condition: 'control', status: 'stopped' });
    expect(listed!.lastSeenAt).toBe(listed!.experiment!.stoppedAt);
  });

  it('takes the folder of a single experiment', async () => {
    const id = await stopped(3);
    expect(await listExperiments(join(dir, id))).toMatchObject([{ id, rows: 3 }]);
  });

  it('tells of an experiment that is being captured by whom, and what is on disk by now', async () => {
    await using crucible = new Crucible({ dir });
    const experiment = crucible.startExperiment({ name: 'running', overflow: 'reject' });
    experiment.recorder('e').record(1);
    await experiment.flush();
    const held = { pid: process.pid };
    expect(await listExperiments(dir)).toMatchObject([
      { rows: 1, segments: 1, heldBy: held, interrupted: false, experiment: { status: 'running' } },
    ]);
  });

  it('tells of one whose process was killed, drops included, and changes nothing', async () => {
    const id = killedExperiment(dir, { rows: 100_000 });
    const before = bytesOf(join(dir, id));
    const [listed] = await listExperiments(dir);
    expect(listed).toMatchObject({ id, status: 'interrupted', interrupted: true, heldBy: null });
    expect(listed!.rows + listed!.dropped).toBe(100_000);
    expect(listed!.lastSeenAt).toBeGreaterThanOrEqual(listed!.timeRange![1]);
    expect(bytesOf(join(dir, id))).toEqual(before);
  });

  it('leaves files and folders alone that are none of its own', async () => {
    const id = await stopped(1);
    writeFileSync(join(dir, 'notes.txt'), 'mine');
    mkdirSync(join(dir, 'other'));
    expect(await listExperiments(dir)).toMatchObject([{ id }]);
  });

  it('says which folders may not be looked into, unless their names say that they are none', async () => {
    await unprivileged([dir], async () => {
      const id = await stopped(1);
      for (const name of ['locked', 'lost+found']) mkdirSync(join(dir, name), { mode: 0 });
      const found = await listExperiments(dir);
      expect(found.map((one) => [one.id, one.error?.code ?? null])).toEqual(
        [
          [id, null],
          ['locked', 'ERR_STORAGE_IO'],
        ].sort(),
      );
    });
  });

  it('says which experiments cannot be read, and that segments are missing', async () => {
    for (const id of ['a', 'b', 'c']) await stopped(20_000, { id, segmentBytes: 65_536 });
    writeFileSync(join(dir, 'a', 'experiment.json'), '{');
    unlinkSync(join(dir, 'b', 'experiment.json'));
    unlinkSync(join(dir, 'c', '000002.arrows'));
    const [a, b, c] = await listExperiments(dir);
    expect(a).toMatchObject({ id: 'a', experiment: null, error: { code: 'ERR_SEGMENT_CORRUPT' } });
    expect(b).toMatchObject({ id: 'b', experiment: null, error: { code: 'ERR_NOT_FOUND' } });
    expect(c).toMatchObject({ id: 'c', missingSegments: 1, error: null });
    expect(c!.rows).toBeLessThan(20_000);
  });
});

describe('a recovery that does not resume', () => {
  const recover = async (options: RecoverOptions = { resume: false }) => {
    await using crucible = new Crucible();
    const { experiments } = await crucible.recover(dir, options);
    return experiments[0]!;
  };

  it('stops what was running, as of its last sign of life, once, where that is wanted', async () => {
    const id = killedExperiment(dir, { rows: 100 });
    const folder = join(dir, id);
    const crashed = bytesOf(folder);
    const interrupted = { interrupted: true, resumable: true };
    expect(await recover({ readOnly: true })).toMatchObject({ ...interrupted, changed: false });
    expect(bytesOf(folder)).toEqual(crashed);
    expect(await recover()).toMatchObject({ ...interrupted, changed: true, access: 'read' });
    expect((await listExperiments(dir))[0]).toMatchObject({ interrupted: true });

    const report = await recover({ stop: true });
    expect(report.resumable).toBe(false);
    expect(report).toMatchObject({ id, status: 'stopped', interrupted: true, changed: true, rows: 100 });
    const [listed] = await listExperiments(dir);
    const { startedAt, stoppedAt, status } = listed!.experiment!;
    expect(status).toBe('stopped');
    expect(stoppedAt).toBeGreaterThanOrEqual(report.timeRange![1]);
    expect(stoppedAt! - startedAt).toBeLessThan(30e6);
    const repaired = bytesOf(folder);
    expect(repaired).not.toEqual(crashed);

    for (const options of [{}, { stop: true }, { resume: false }]) {
      expect(await recover(options)).toMatchObject({
        ...{ id, status: 'stopped', interrupted: false, resumable: false, changed: false },
      });
      expect(bytesOf(folder)).toEqual(repaired);
    }
  });

  it('leaves it readable, streaming metrics and all', async () => {
    const id = killedExperiment(dir, { rows: 1500 });
    await using crucible = new Crucible();
    await crucible.recover(dir, { resume: false });
    const experiment = crucible.experiment(id);
    expect(experiment.streamingMetrics()).toMatchObject({ count: 1500, byEvent: { e: { count: 1500 } } });
    expect(await experiment.query()).toHaveLength(1500);
  });

  it('leaves what somebody captures as it is', async () => {
    await using writer = new Crucible({ dir });
    const experiment = writer.startExperiment({ name: 'running' });
    const { id } = experiment;
    const held = { access: 'read', status: 'running', interrupted: false, changed: false };
    expect(await recover()).toMatchObject({ ...held, heldBy: { pid: process.pid } });
    expect(experiment.status).toBe('running');

    await using reader = new Crucible();
    await reader.recover(dir);
    telemetry.execute('req_llm.request.stop', { duration: 1 }, {});
    reader.experiment(id).capture('e', {});
    reader.experiment(id).recorder('e').record(1);
    expect(reader.experiment(id).counts).toMatchObject({ captured: 0 });
    expect(experiment.counts).toMatchObject({ captured: 1 });
  });

  it('captures on after a pause that its process did not live to end', async () => {
    const folder = join(dir, killedExperiment(dir, { rows: 1, pause: true }));
    await using crucible = new Crucible();
    await crucible.recover(folder);
    const [experiment] = crucible.experiments();
    expect(experiment!.status).toBe('paused');
    telemetry.execute('req_llm.request.stop', { duration: 1 }, {});
    expect(experiment!.counts.captured).toBe(1);
    experiment!.resume();
    telemetry.execute('req_llm.request.stop', { duration: 1 }, {});
    expect(experiment!.counts.captured).toBe(2);
  });

  it('tells how far it is while it reads one experiment, and ends when it is told to', async () => {
    await stopped(5000);
    const seen: number[] = [];
    await using crucible = new Crucible();
    await crucible.recover(dir, { onProgress: ({ done, bytes }) => void (done === 0 && seen.push(bytes)) });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    renameSync(join(dir, readdirSync(dir)[0]!), join(dir, 'again'));
    const stop = () => {
      throw new Error('enough');
    };
    await expect(new Crucible().recover(dir, { onProgress: stop })).rejects.toThrow('enough');
    expect(readdirSync(join(dir, 'again')).some((name) => name.endsWith('.lock'))).toBe(false);
  });
});
