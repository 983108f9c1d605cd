/** A comparison of arms that have lost events says so. Needs the built files, for the threads. */
import { mkdtempSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment } from '../../src/index.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-compare-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function captured(experiment: Experiment, rows: number): Experiment {
  for (let i = 0; i < rows; i++)
    experiment.capture('req_llm.request.stop', { latencyMs: 100 + (i % 7) }, { success: true });
  return experiment;
}

/** The arm's losses, the warning's text, and whether the verdict warns. */
async function told(crucible: Crucible, arms: Experiment[]) {
  const { experiments, treatments } = await crucible.compare(arms, { metrics: ['latencyMean'] });
  const { warnings, verdict } = treatments[0]!;
  return {
    lost: experiments.map(({ lost }) => lost ?? null),
    message: warnings.find(({ code }) => code === 'lostEvents')?.message,
    isCautious: verdict.includes('events of an arm are lost'),
  };
}

describe('a comparison', () => {
  it('warns of events that were overwritten, and of none where none were', async () => {
    const crucible = new Crucible({ workers: 0 });
    const whole = captured(crucible.startExperiment({ name: 'whole', capacity: 4_096 }), 2_000);
    const also = captured(crucible.startExperiment({ name: 'also', capacity: 4_096 }), 2_000);
    const small = captured(crucible.startExperiment({ name: 'small', capacity: 1_024 }), 4_000);
    expect(await told(crucible, [whole, also])).toEqual({
      lost: [null, null],
      message: undefined,
      isCautious: false,
    });
    const { dropped } = small.counts;
    expect(dropped).toBeGreaterThan(2_000);
    await small.stop();
    // Too late, which is no loss of the experiment.
    captured(small, 1);
    expect(await told(crucible, [whole, small])).toEqual({
      lost: [null, { dropped, damaged: 0 }],
      message: expect.stringContaining('small has lost'),
      isCautious: true,
    });
    await crucible.close();
  });

  it.each([0, 1])('warns of files that are gone, found before or by it, with %i workers', async (workers) => {
    const crucible = new Crucible({ workers, dir });
    const arms = ['a', 'b'].map((name) =>
      captured(crucible.startExperiment({ name, segmentBytes: 65_536 }), 8_000),
    );
    for (const arm of arms) await arm.stop();
    const { folder } = arms[1]!.storage!;
    const [first] = readdirSync(folder)
      .filter((name) => name.endsWith('.arrows'))
      .sort();
    unlinkSync(join(folder, first!));
    const { lost, message, isCautious } = await told(crucible, arms);
    const { damaged } = arms[1]!.counts;
    expect(damaged).toBeGreaterThan(0);
    expect(lost).toEqual([null, { dropped: damaged, damaged }]);
    expect(message).toContain('damaged or missing');
    expect(isCautious).toBe(true);
    await crucible.close();
  });
});
