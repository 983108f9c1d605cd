/** The events of several experiments in one file. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Crucible } from '../../src/experiment/crucible.js';
import { START_US, useBench } from '../capture/support.js';

const bench = useBench();
let crucible: Crucible;
let dir: string;
beforeEach(async () => {
  crucible = bench.crucible();
  dir = await mkdtemp(join(tmpdir(), 'crucible-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** An experiment with an event at each offset, numbered. */
function start(name: string, offsetsUs: readonly number[]) {
  const experiment = crucible.startExperiment({ name, id: name, capacity: 4096 });
  offsetsUs.forEach((offset, n) => {
    experiment.captureAt(START_US + offset, 'e', {}, { n });
  });
  return experiment;
}

describe('exportMultiple', () => {
  it('merges by time; events of the same time stand in the order of the experiments', async () => {
    const [a, b] = [start('a', [5, 1, 3]), start('b', [3, 3, 9])];
    start('c', []);
    const path = join(dir, 'all.jsonl');
    const { rows } = await crucible.exportMultiple([b, 'c', a], 'jsonl', { path });
    expect(rows).toBe(6);
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    const found = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(found.map((row) => `${row.experiment_id}${(row.metadata as { n: number }).n}`)).toEqual([
      'a1',
      'b0',
      'b1',
      'a2',
      'a0',
      'b2',
    ]);
  });

  it('exports what there was when it began, in formats that read it twice too', async () => {
    const experiments = [start('a', [1, 2]), start('b', [1])];
    const path = join(dir, 'all.csv');
    const exporting = crucible.exportMultiple(experiments, 'csv', { path });
    for (const experiment of experiments) experiment.captureAt(START_US, 'late', {}, { late: true });
    expect((await exporting).rows).toBe(3);
    const [header, ...lines] = (await readFile(path, 'utf8')).trim().split('\n');
    expect(header).not.toContain('metadata_late');
    expect(lines).toHaveLength(3);
  });
});
