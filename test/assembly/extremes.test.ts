/** Values at the ends of what a double, a bin or a ring can hold. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VALUE_MAX } from '../../assembly/layout.js';
import { Crucible, type StreamingDistribution } from '../../src/index.js';
import { makeRing } from '../support/ring.js';

let crucible: Crucible;
beforeEach(() => {
  crucible = new Crucible();
});
afterEach(() => crucible.close());

function streamed(latencies: readonly number[], costUsd = Number.NaN): StreamingDistribution {
  const experiment = crucible.startExperiment({ name: 'extremes', capacity: 1024 });
  const recorder = experiment.recorder('e');
  latencies.forEach((value, i) => {
    recorder.recordAt(i, value, costUsd);
  });
  return experiment.streamingMetrics().latency;
}

describe('streaming metrics', () => {
  it('count values just below 2^34 in a bin of their own metric', () => {
    const { p50 } = streamed([1.71e10, 1.71e10, 1.71e10]);
    expect(p50! / 1.71e10).toBeCloseTo(1, 2);
  });

  it('count no zero cost for a latency just below 2^34', () => {
    const experiment = crucible.startExperiment({ name: 'extremes', capacity: 1024 });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 9; i++) recorder.recordAt(i, 1.71e10, 1);
    endBatch(experiment);
    recorder.recordAt(10, 1, 0);
    const { cost } = experiment.streamingMetrics();
    expect([cost.count, cost.min, cost.p50]).toEqual([10, 0, 1]);
    expect(cost.p90! / 1).toBeCloseTo(1, 2);
  });

  it.each([
    ['squares', [0, 1e200], 1],
    ['sums', [1e308, 1e308], 0],
    ['differences', [-1.7e308, 1.7e308], 0],
  ])('leave values out, as malformed, whose %s leave the range of a double', (_what, latencies, counted) => {
    const { count, sum } = streamed(latencies);
    expect([count, sum]).toEqual([counted, 0]);
    const [experiment] = crucible.experiments();
    expect(experiment!.counts).toMatchObject({ captured: 2, malformed: 2 - counted });
  });

  it('hold the largest values that count', () => {
    const { count, min, max, mean, stdDev } = streamed([-VALUE_MAX, VALUE_MAX, VALUE_MAX]);
    expect([count, min, max]).toEqual([3, -VALUE_MAX, VALUE_MAX]);
    expect(mean! / (VALUE_MAX / 3)).toBeCloseTo(1, 12);
    expect(stdDev! / (VALUE_MAX * Math.sqrt(4 / 3))).toBeCloseTo(1, 12);
  });

  it('go on after one value that is too large', () => {
    const experiment = crucible.startExperiment({ name: 'extremes', capacity: 1024 });
    const recorder = experiment.recorder('e');
    for (const value of [1, 1e200, 2]) {
      recorder.recordAt(0, value);
      endBatch(experiment);
    }
    expect(experiment.streamingMetrics().latency).toMatchObject({ count: 2, min: 1, max: 2 });
  });

  it.each([
    ['beyond the last bin', 1e12],
    ['nearer to zero than the first', 1e-10],
  ])('report quantiles between the least and the greatest value, %s too', (_what, value) => {
    const { min, max, p50 } = streamed([value, value, value]);
    expect(p50).toBeGreaterThanOrEqual(min!);
    expect(p50).toBeLessThanOrEqual(max!);
  });
});

describe('malformed values', () => {
  it('are counted alike whether streaming metrics are on or off', async () => {
    for (const streamingMetrics of [true, false]) {
      const experiment = crucible.startExperiment({ name: 'extremes', capacity: 1024, streamingMetrics });
      experiment.recorder('e').recordAt(1, Infinity);
      await experiment.flush();
      expect(experiment.counts.malformed, `streamingMetrics: ${streamingMetrics}`).toBe(1);
      const [row] = await experiment.query();
      expect(row!.malformed).toBe(true);
    }
  });
});

describe('publish', () => {
  it('does nothing for a producer without an open chunk, whatever lies before the directory', () => {
    const ring = makeRing();
    const { producer } = ring.writer().ring;
    const { directoryAddress } = ring.geometry;
    // The last producer's scratch: text in it has such bytes.
    new Uint8Array(ring.memory.buffer, directoryAddress - 128, 128).fill(0x80);
    // With streaming metrics on, rows that are none would be walked without end.
    ring.control.streaming = false;
    new Int32Array(ring.memory.buffer)[(directoryAddress - 128 + 8) >> 2] = -3;
    ring.control.adopt([producer]);
    expect(ring.control.counts().published).toBe(0);
  });
});

/** Publishes, so that what follows is another batch. */
function endBatch(experiment: { flush(): Promise<unknown> }): void {
  void experiment.flush();
}
