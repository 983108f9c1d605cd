/** `crucible watch` of a study: what may be looked at while it runs, and nothing else. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commands } from '../../../src/cli/commands/index.js';
import { loadLibrary } from '../../../src/cli/library.js';
import { Crucible, listStudies, type StudyOptions } from '../../../src/index.js';
import { serve } from '../../study/support.js';
import { runInMemory } from '../support/environment.js';

let dir: string;
let crucible: Crucible;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-watch-study-'));
  crucible = new Crucible({ dir, workers: 0 });
});
afterEach(async () => {
  await crucible.close();
  rmSync(dir, { recursive: true });
});

const DESIGN: Omit<StudyOptions, 'plan'> = {
  name: 'faster',
  arms: { control: {}, treatment: {} },
  ...{ capacity: 4096, producers: 2, events: ['answer'] },
};
const FASTER = {
  latencyMs: { control: 200, treatment: 180 },
  failing: { control: 0.02, treatment: 0.02 },
};
const run = (...argv: string[]) =>
  runInMemory(['watch', 'faster', ...argv, '--dir', dir], commands, { loadLibrary });
const lines = (text: string) => text.trimEnd().split('\n');

describe('of a study that may be looked at any time', () => {
  it('the verdict so far, until its planned end has come', async () => {
    const study = crucible.study({
      ...DESIGN,
      plan: { outcomes: ['latencyMean'], sequential: { tuning: 200 }, unitsPerArm: 120 },
    });
    serve(study, 0, 100, FASTER);
    await study.experiment('control').flush();
    await study.experiment('treatment').flush();
    const early = await run('--looks', '2', '--every', '10ms', '--json');
    const verdicts = lines(early.stdout).map((line) => JSON.parse(line).verdict);
    expect(verdicts).toMatchObject([{ ended: false }, { ended: false }]);
    serve(study, 100, 300, FASTER);
    await study.stop();
    const { stdout, status } = await run('--every', '10ms');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^faster: better \(treatment against control\) · control \d+ units, .* · mean latency -\d+/,
    );
    expect(lines(stdout)).toHaveLength(1);
    expect(listStudies(dir)[0]!.looks).toHaveLength(3);
  });
});

describe('of any other study', () => {
  it('how far it is, and no outcome; that is no look', async () => {
    const study = crucible.study({ ...DESIGN, plan: { outcomes: ['latencyMean'], unitsPerArm: 120 } });
    serve(study, 0, 100, FASTER);
    await study.experiment('control').flush();
    await study.experiment('treatment').flush();
    const { stdout } = await run('--looks', '2', '--every', '10ms');
    expect(lines(stdout)).toHaveLength(2);
    expect(stdout).toMatch(/^faster: control \d+ events, 1 running · treatment \d+ events, 1 running$/m);
    expect(stdout).not.toMatch(/latency|ms/);
    await study.stop();
    const ended = JSON.parse((await run('--json')).stdout);
    expect(ended.arms).toMatchObject([
      { arm: 'control', experiments: 1, running: 0, processes: 1 },
      { arm: 'treatment', experiments: 1, running: 0, processes: 1 },
    ]);
    expect(listStudies(dir)[0]!.looks).toEqual([]);
  });

  it('an event is not asked for: it is in the plan', async () => {
    crucible.study({ ...DESIGN, plan: { outcomes: ['latencyMean'] } });
    expect((await run('--event', 'answer')).status).toBe(2);
  });
});
