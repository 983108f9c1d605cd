import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { mergedRows } from '../../src/readers/merge-rows.js';
import type { View } from '../../src/readers/source.js';
import { viewOfExperiment } from '../support/views.js';

let crucible: Crucible;
beforeEach(() => {
  crucible = new Crucible({ workers: 0 });
});
afterEach(() => crucible.close());

/** An experiment with rows at these times; its rows have their index as latency. */
async function viewOf(name: string, timesUs: readonly number[]): Promise<View> {
  const experiment = crucible.startExperiment({ name, id: name, capacity: 4096 });
  const recorder = experiment.recorder('e');
  timesUs.forEach((timeUs, i) => {
    recorder.recordAt(timeUs, i);
  });
  await experiment.stop();
  return viewOfExperiment(experiment);
}

/** The runs, each as its experiment and its rows' times. */
async function runsOf(views: readonly View[]): Promise<[string, number[]][]> {
  const runs: [string, number[]][] = [];
  for await (const some of mergedRows(views)) {
    for (const { source, block } of some) {
      runs.push([source.experimentId, Array.from(block.rows, (row) => block.table.timeUs[row]!)]);
    }
  }
  return runs;
}

describe('mergedRows', () => {
  it('ascends by time, and ties keep the order of the views', async () => {
    const views = [await viewOf('a', [1, 3, 5]), await viewOf('b', [1, 2, 3, 9]), await viewOf('c', [3, 4])];
    expect(await runsOf(views)).toEqual([
      ['a', [1]],
      ['b', [1, 2]],
      ['a', [3]],
      ['b', [3]],
      ['c', [3, 4]],
      ['a', [5]],
      ['b', [9]],
    ]);
  });

  it('hands on whole blocks where only one view has rows', async () => {
    const times = Array.from({ length: 3000 }, (_, i) => i);
    const runs = await runsOf([await viewOf('none', []), await viewOf('all', times)]);
    expect(runs.flatMap(([, rows]) => rows)).toEqual(times);
    expect(runs.length).toBeLessThan(5);
    expect(await runsOf([])).toEqual([]);
  });

  it('can be ended early', async () => {
    const views = [await viewOf('a', [1, 3]), await viewOf('b', [2, 4])];
    for await (const [first] of mergedRows(views)) {
      expect(first!.source.experimentId).toBe('a');
      break;
    }
    expect(await runsOf(views)).toHaveLength(4);
  });
});
