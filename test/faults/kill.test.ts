/** Whatever happens to a process, what it was told is kept is kept. */
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STRINGS } from '../../assembly/layout.js';
import { Crucible, telemetry } from '../../src/index.js';
import type { Batch } from '../../src/ring/batch.js';
import { BindingTable } from '../../src/ring/bindings.js';
import { Dictionary } from '../../src/ring/dictionary.js';
import { readDocument, writeDocument } from '../../src/storage/disk/document.js';
import { nodeFileSystem as files } from '../../src/storage/disk/file-system.js';
import { segmentName } from '../../src/storage/disk/paths.js';
import { SegmentEncoder } from '../../src/storage/segment/encoder.js';
import type { BatchEntry } from '../../src/storage/segment/format.js';
import { readBatch } from '../../src/storage/segment/reader.js';
import { scanSegment } from '../../src/storage/segment/scan.js';
import { rounds } from '../support/effort.js';
import { SEED } from '../support/seed.js';
import { killRounds, read, start } from './kill.mjs';
import { COLUMNS, Source } from './rows.mjs';

describe('a process killed at a random moment', () => {
  it('leaves every acknowledged row, once and unaltered, and a prefix of what each producer captured', async () => {
    // How long rows may wait to be written is for runs on a machine that does nothing else: long.mjs.
    const kills = rounds(20, 150);
    const report = await killRounds({ rounds: kills, seed: SEED, slackMs: Number.POSITIVE_INFINITY });
    console.log(report);
    expect(report.problems).toEqual([]);
    expect(report.kills).toBeGreaterThanOrEqual(kills);
    expect(report.acknowledged).toBeGreaterThan(0);
  }, 1_200_000);

  it('leaves the texts of acknowledged rows whole, whatever their size', async () => {
    const slackMs = Number.POSITIVE_INFINITY;
    const kills = rounds(10, 50);
    const report = await killRounds({
      rounds: kills,
      seed: SEED,
      promptEvery: 20,
      captureMsMax: 1000,
      slackMs,
    });
    console.log(report);
    expect(report.problems).toEqual([]);
    expect(report.kills).toBeGreaterThanOrEqual(kills);
    expect(report.acknowledged).toBeGreaterThan(0);
    expect(report.prompts).toBeGreaterThan(0);
  }, 1_200_000);

  // A lie is found out at once, but some processes are killed before they tell one.
  it('is found out when it acknowledges what is not kept', async () => {
    const report = await killRounds({ rounds: 200, seed: SEED, lies: true });
    expect(report.problems.join()).toMatch(/of \d+ acknowledged/);
  }, 120_000);

  it('is found out when its disk forgets', async () => {
    const url = new URL('./forgetful-disk.mjs', import.meta.url).href;
    const report = await killRounds({ rounds: 200, seed: SEED, options: { fileSystem: { url } } });
    // A segment that was finished before the kill, or was being written, is missed by recovery itself.
    expect(report.problems.join()).toMatch(
      /of \d+ acknowledged|lost rows captured|damage: .*("rowsLost":[1-9]|the file is missing)/,
    );
  }, 120_000);
});

describe('while a process captures', () => {
  it('others may look, and capture nothing', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'crucible-look-'));
    const child = start({
      dir,
      journal: join(dir, 'journal'),
      producers: 1,
      seed: SEED,
      rowsPerMs: 5,
      options: { events: 'all' },
    });
    try {
      await once(child.stdout!, 'data');
      // Files come and go under whoever reads them all.
      while (((await read(dir).catch(() => null))?.rows ?? 0) === 0) await sleep(20);
      await using crucible = new Crucible({ dir });
      const { experiments } = await crucible.recover();
      expect(experiments[0]).toMatchObject({ access: 'read', heldBy: { pid: child.pid }, status: 'running' });
      const experiment = crucible.experiment('killed');
      experiment.capture('ours', { latencyMs: 1 });
      experiment.recorder('ours').record(1);
      telemetry.execute('ours', { latencyMs: 1 });
      expect((await experiment.query()).filter(({ eventName }) => eventName === 'ours')).toEqual([]);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
      rmSync(dir, { recursive: true });
    }
  });
});

describe('a folder with damage', () => {
  it('is captured on, and what is counted as written can be read', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'crucible-damaged-'));
    try {
      const left = join(dir, 'left');
      const first = new Crucible({ dir });
      const experiment = first.startExperiment({ name: 'damaged', id: 'damaged', segmentBytes: 2 ** 16 });
      const recorder = experiment.recorder('row');
      for (let i = 0; i < 5000; i++) recorder.recordAt(i, i);
      await experiment.flush();
      const filter = (path: string) => !path.endsWith('.lock');
      cpSync(experiment.storage!.folder, join(left, 'damaged'), { recursive: true, filter });
      await first.close();
      const path = join(left, 'damaged', segmentName(1));
      const { entries } = scanSegment(files, path);
      const bytes = readFileSync(path);
      bytes[entries[1]!.offset + entries[1]!.bytes - 100]! ^= 1;
      writeFileSync(path, bytes);

      await using second = new Crucible({ dir: left });
      const { rows, experiments } = await second.recover();
      const { rows: rowsLost } = entries[1]!;
      expect(experiments[0]).toMatchObject({ access: 'write', damage: [{ rowsLost }] });
      expect(rows).toBe(5000 - rowsLost);
      const recovered = second.experiment('damaged');
      await recovered.flush();
      expect(recovered.storage).toMatchObject({ written: rows, durable: rows });
      recovered.recorder('row').recordAt(0, 0);
      expect(await recovered.flush()).toMatchObject({ durable: rows + 1, pending: 0 });
      expect(await recovered.query()).toHaveLength(rows + 1);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe('a folder whose rows have all been deleted for their age', () => {
  it('is captured on with event ids that it never had', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'crucible-expired-'));
    try {
      const left = join(dir, 'left');
      const first = new Crucible({ dir });
      const retention = { maxAgeMs: 1 };
      const options = {
        name: 'expired',
        id: 'expired',
        segmentBytes: 2 ** 16,
        flushIntervalMs: 5,
        retention,
      };
      const experiment = first.startExperiment(options);
      const recorder = experiment.recorder('row');
      for (let i = 0; i < 5000; i++) recorder.recordAt(i, i);
      const ids = new Set((await experiment.query()).map(({ eventId }) => eventId));
      while (experiment.storage!.expired < 5000) await experiment.flush();
      const filter = (path: string) => !path.endsWith('.lock');
      cpSync(experiment.storage!.folder, join(left, 'expired'), { recursive: true, filter });
      await first.close();

      await using second = new Crucible({ dir: left });
      await second.recover();
      const recovered = second.experiment('expired');
      expect(recovered.counts).toMatchObject({ captured: 5000, retained: 0, dropped: 0 });
      recovered.recorder('row').recordAt(1.7e15, 1);
      const [row] = await recovered.query();
      expect(row).toMatchObject({ timestamp: 1.7e15 });
      expect(ids.has(row!.eventId)).toBe(false);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe('a folder that was changed so that every checksum is right', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'crucible-changed-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  interface Placed {
    entry: BatchEntry;
    batch: Batch;
  }

  /** Captures rows in many batches, and writes the segment anew with `change` made to them. */
  async function changed(change: (batches: Placed[]) => void): Promise<string[]> {
    const crucible = new Crucible({ dir });
    const experiment = crucible.startExperiment({ name: 'changed', id: 'changed', columns: COLUMNS });
    const source = new Source(experiment, 0);
    for (let n = 0; n < 10; n++) {
      for (let i = 0; i < 100; i++) source.capture();
      await experiment.flush();
    }
    const { buffer } = experiment.share().memory;
    const bindings = new BindingTable(buffer);
    const strings = new Dictionary(buffer, STRINGS);
    const { folder } = experiment.storage!;
    await experiment.stop();

    const path = join(folder, segmentName(1));
    const index = scanSegment(files, path);
    const fd = files.open(path, 'r');
    const columns = index.identity.columns;
    const batches = index.entries.map((entry) => ({
      entry,
      batch: readBatch(files, fd, entry, columns, index),
    }));
    files.close(fd);
    expect(batches.length).toBeGreaterThan(5);
    change(batches);
    const encoder = new SegmentEncoder(index.identity);
    encoder.begin();
    encoder.bindings(index.bindings.length, (id) => bindings.binding(id));
    encoder.strings(index.strings.length, (id) => strings.text(id));
    for (const { entry, batch } of batches) encoder.batch(batch, entry.chunk, entry.firstRow, entry.losses);
    writeFileSync(path, encoder.take());
    // As a crash leaves it: what the segment holds is not listed.
    writeDocument(files, folder, { ...readDocument(files, folder), segments: [], current: 1 });
    await crucible.close();
    return (await read(dir))!.problems;
  }

  it('is not objected to when nothing else was changed', async () => {
    expect(await changed(() => {})).toEqual([]);
  });

  it('is found out when a batch is missing', async () => {
    const problems = await changed((batches) => batches.splice(4, 1));
    expect(problems.join()).toContain('missing: producer 0, number 400');
  });

  it('is found out when a batch is there twice', async () => {
    const problems = await changed((batches) => {
      const { entry, batch } = batches[4]!;
      batches.push({ entry: { ...entry, chunk: entry.chunk + 1, firstRow: 0 }, batch });
    });
    expect(problems.join()).toContain('row twice: producer 0, number 400');
  });

  it('is found out when two batches have changed places', async () => {
    const problems = await changed((batches) => {
      const [a, b] = [batches[4]!, batches[5]!];
      [a.batch, b.batch] = [b.batch, a.batch];
    });
    expect(problems.join()).toContain('out of order');
  });

  it('is found out when a value was altered', async () => {
    const problems = await changed((batches) => {
      batches[4]!.batch.costUsd[3]! += 1;
    });
    expect(problems.join()).toContain('altered (cost)');
  });
});
