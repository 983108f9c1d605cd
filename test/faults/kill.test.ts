/** Whatever happens to a process, what it was told is kept is kept. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STRINGS } from '../../assembly/layout.js';
import { Crucible } from '../../src/index.js';
import type { Batch } from '../../src/ring/batch.js';
import { BindingTable } from '../../src/ring/bindings.js';
import { Dictionary } from '../../src/ring/dictionary.js';
import { readDocument, writeDocument } from '../../src/storage/document.js';
import { nodeFileSystem as files } from '../../src/storage/file-system.js';
import { segmentName } from '../../src/storage/paths.js';
import { SegmentEncoder } from '../../src/storage/segment-encoder.js';
import type { BatchEntry } from '../../src/storage/segment-format.js';
import { readBatch } from '../../src/storage/segment-reader.js';
import { scanSegment } from '../../src/storage/segment-scan.js';
import { killRounds, read } from './kill.mjs';
import { COLUMNS, Source } from './rows.mjs';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6));

describe('a process killed at a random moment', () => {
  it('leaves every acknowledged row, once and unaltered, and a prefix of what each producer captured', async () => {
    const report = await killRounds({ rounds: 100, seed });
    console.log(`SEED=${seed}`, report);
    expect(report.problems).toEqual([]);
    expect(report.kills).toBeGreaterThanOrEqual(100);
    expect(report.acknowledged).toBeGreaterThan(0);
  }, 240_000);

  it('is found out when it acknowledges what is not kept', async () => {
    const report = await killRounds({ rounds: 20, seed, lies: true });
    expect(report.problems.join()).toMatch(/of \d+ acknowledged/);
  }, 120_000);

  it('is found out when its disk forgets', async () => {
    const url = new URL('./forgetful-disk.mjs', import.meta.url).href;
    const report = await killRounds({ rounds: 20, seed, options: { fileSystem: { url } } });
    expect(report.problems.join()).toMatch(/of \d+ acknowledged|lost rows captured/);
  }, 120_000);
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
    const batches = index.entries.map((entry) => ({ entry, batch: readBatch(files, fd, entry, columns) }));
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
