import { describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';

describe('a filter', () => {
  it('by event name leaves out others whose names found no place in the dictionary', async () => {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'filter', capacity: 1024 });
    const long = 'n'.repeat(70_000);
    experiment.capture(long, {});
    experiment.capture('short', {});
    expect(await experiment.query({ eventName: 'other' })).toEqual([]);
    expect((await experiment.query({ eventName: 'short' })).map(({ eventName }) => eventName)).toEqual([
      'short',
    ]);
    expect((await experiment.query({ eventName: long })).map(({ eventName }) => eventName)).toEqual([long]);
  });

  it('by time finds every row by the timestamp that it shows', async () => {
    await using crucible = new Crucible();
    for (const time of [10.7, 10, -0.5, -1.5]) {
      const experiment = crucible.startExperiment({ name: 'filter', capacity: 1024 });
      experiment.recorder('e').recordAt(time, 1);
      const timestamp = (await experiment.query())[0]!.timestamp;
      expect(await experiment.query({ timeRange: [timestamp, timestamp] }), `${time}`).toHaveLength(1);
      expect(await experiment.query({ timeRange: [timestamp - 5, timestamp] }), `${time}`).toHaveLength(1);
    }
  });
});
