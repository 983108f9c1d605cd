/** Bursts that fill the ring many times over while the capturing thread does nothing else: the defaults lose nothing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Crucible, type ExperimentOptions } from '../../src/index.js';
import { BrokenControl } from './broken-disk.mjs';

const SLOW = new URL('./broken-disk.mjs', import.meta.url).href;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-burst-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

async function burst(rows: number, options: Partial<ExperimentOptions> = {}) {
  await using crucible = new Crucible({ dir });
  const experiment = crucible.startExperiment({ name: 'burst', ...options });
  const recorder = experiment.recorder('e', { model: 'm' });
  for (let i = 0; i < rows; i++) recorder.record(i, 0.01, 100, 50, true);
  const { captured, durable, lost } = await experiment.stop();
  return { captured, durable, lost: lost.total };
}

it('three million rows at once, as an experiment is started', async () => {
  expect(await burst(3e6)).toEqual({ captured: 3e6, durable: 3e6, lost: 0 });
});

it('a disk that takes a pass over the ring a second', async () => {
  const fileSystem = { url: SLOW, spec: { control: new BrokenControl().words, writeMsPerMiB: 100 } };
  const report = await burst(300_000, { capacity: 65_536, fileSystem });
  expect(report).toEqual({ captured: 300_000, durable: 300_000, lost: 0 });
});

it('where every row is synced before its chunk is used again, or none is', async () => {
  for (const fsync of ['always', 'never'] as const) {
    const report = await burst(1e6, { fsync, capacity: 131_072 });
    expect(report).toEqual({ captured: 1e6, durable: 1e6, lost: 0 });
  }
});
