/** How events lie in time, and latencies among them, at terminals of any width: of data whose shape is known. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { shapeLines, shapeOf } from '../../../src/cli/report/shape.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';
import { displayWidth } from '../../../src/cli/terminal/width.js';
import { Crucible, type Experiment } from '../../../src/index.js';

let crucible: Crucible;
let experiment: Experiment;
beforeEach(() => {
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'shaped' });
});
afterEach(() => crucible.close());

const lines = async (width: number) => {
  const shape = await shapeOf(experiment, await experiment.metrics(), null);
  return shape === null ? null : shapeLines(shape, { style: NO_STYLE, width });
};

/** 3,200 events in 32 s; in the second half twice as many, twice as slow, and all failures. */
function fill(): void {
  const at = (us: number, latencyMs: number, success: boolean) =>
    experiment.captureAt(us, 'e', { durationMs: latencyMs }, { success });
  for (let s = 0; s < 32; s++) {
    const events = s < 16 ? 50 : 100;
    for (let i = 0; i < events; i++) {
      at(s * 1e6 + Math.round((i * 1e6) / events), s < 16 ? 10 : 20, s < 16 || i >= 25);
    }
  }
}

describe('the shape of events', () => {
  it('has what is known of it', async () => {
    fill();
    const [, title, events, p50, failed, latencies] = (await lines(100))!;
    expect(title).toMatch(/^ {2}over time, a mark is 1\.0 s; latencies from p1 to p99$/);
    expect(events).toBe(`  events      ${'▅'.repeat(16)}${'█'.repeat(16)}   50 to 100`);
    expect(p50).toMatch(/^ {2}p50, ms {5}▁{16}█{16} {3}10\.0+ to 20\.0+$/);
    expect(failed).toBe(`  failed      ${'▁'.repeat(16)}${'█'.repeat(16)}   0 to 25`);
    expect(latencies).toMatch(/^ {2}latencies {3}.{32} {3}10\.0+ to 20\.0+ ms$/);
  });

  it.each([60, 80, 120])('loses no line and no figure at %i columns', async (width) => {
    fill();
    const shown = (await lines(width))!;
    expect(shown).toHaveLength(6);
    for (const line of shown) expect(displayWidth(line)).toBeLessThanOrEqual(width);
    expect(shown.join('\n')).toMatch(/50 to 100[\s\S]*10\.0+ to 20\.0+[\s\S]*0 to 25/);
  });

  it('has gaps where nothing was', async () => {
    for (let i = 0; i < 30; i++) {
      experiment.captureAt(i < 15 ? i * 1000 : 31e6 + i * 1000, 'e', { durationMs: 5 + (i % 3) });
    }
    const [, , events, p50] = (await lines(100))!;
    expect(events).toMatch(/^ {2}events {6}█▁{30}█ /);
    expect(p50).toMatch(/^ {2}p50, ms {5}\S {30}\S /);
  });

  it('is that of no latencies where there are none, and of nothing where there is next to nothing', async () => {
    for (let i = 0; i < 19; i++) experiment.captureAt(i * 1000, 'e', {});
    expect(await lines(100)).toBeNull();
    experiment.captureAt(1e6, 'e', {});
    expect((await lines(100))!.map((line) => line.trim().split(' ')[0])).toEqual(['', 'over', 'events']);
  });
});
