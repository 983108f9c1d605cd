/** Threads that are ended or looked at in the middle of a publication. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { Race } from '../support/race.js';

let crucible: Crucible;
beforeEach(() => {
  crucible = new Crucible();
});
afterEach(() => crucible.close());

/** Each round ends threads at a point of its own choosing; a few suffice to hit a publication. */
const ROUNDS = 6;

describe('threads that are terminated while they write as fast as they can', () => {
  it('leave counts and streaming metrics that agree with the rows', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const experiment = crucible.startExperiment({ name: `round ${round}`, capacity: 16 * 1024 });
      const race = new Race(experiment.share(), { mode: 'hot', threads: 3, rows: Number.MAX_SAFE_INTEGER });
      await race.start();
      await race.untilWritten(50_000);
      await race.terminate();
      await experiment.stop();
      const { captured, retained } = experiment.counts;
      expect(await experiment.query(), `round ${round}`).toHaveLength(retained);
      const { count, latency } = experiment.streamingMetrics();
      expect([count, latency.count], `round ${round}`).toEqual([captured, captured]);
      await experiment.cleanup();
    }
  });
});

describe('streaming metrics of a thread that writes as fast as it can', () => {
  it('are of one moment: as many latencies, costs and successes as rows', async () => {
    const experiment = crucible.startExperiment({ name: 'hot', capacity: 16 * 1024 });
    const race = new Race(experiment.share(), { mode: 'hot', threads: 1, rows: Number.MAX_SAFE_INTEGER });
    await race.start();
    await race.untilWritten(10_000);
    const readings: string[] = [];
    for (let i = 0; i < 12; i++) {
      const { count, latency, cost, tokens, reliability } = experiment.streamingMetrics();
      const { successful } = reliability as { successful: number };
      const { totalPrompt } = tokens as { totalPrompt: number };
      const parts = [latency.count, cost.count, successful, totalPrompt];
      if (parts.some((part) => part !== count)) readings.push(`${count} rows: ${parts.join(', ')}`);
    }
    race.stop();
    await race.ended();
    expect(readings).toEqual([]);
  });
});
