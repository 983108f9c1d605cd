/** study, gate, plan and score, with the library itself on a folder. Run `npm run build` first. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../../src/cli/commands/index.js';
import { loadLibrary } from '../../../src/cli/library.js';
import { Crucible, type StudyOptions, type StudyVerdict } from '../../../src/index.js';
import { studyFolderName } from '../../../src/study/book.js';
import { serve } from '../../study/support.js';
import { runInMemory } from '../support/environment.js';
import { unseenIn } from '../support/unseen.js';

const STUDY: Omit<StudyOptions, 'name'> = {
  arms: { control: {}, treatment: {} },
  hypothesis: 'answers | <b>sooner</b>',
  capacity: 4096,
  producers: 2,
  events: ['answer'],
  plan: { outcomes: ['latencyMean', { of: 'success', role: 'guardrail', margin: 0.08 }], unitsPerArm: 60 },
};
const HOSTILE = 'x\u001b[2J\u202e|\n# `h`<script>';

let dir: string;
const ids = new Map<string, string>();
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-studies-'));
  const studies: [string, Record<string, number>, number][] = [
    ['faster', { control: 200, treatment: 180 }, 300],
    ['slower', { control: 200, treatment: 225 }, 300],
    ['equal', { control: 200, treatment: 200 }, 300],
    ['early', { control: 200, treatment: 180 }, 30],
    [HOSTILE, { control: 200, treatment: 180 }, 300],
  ];
  await using crucible = new Crucible({ dir, workers: 0 });
  for (const [name, latencyMs, units] of studies) {
    const study = crucible.study({ ...STUDY, name });
    serve(study, 0, units, { latencyMs, failing: { control: 0.02, treatment: 0.02 } });
    ids.set(name, study.experiment('control').id);
    await study.stop();
  }
}, 60_000);
afterAll(() => rmSync(dir, { recursive: true }));

const run = (...argv: string[]) => runInMemory([...argv, '--dir', dir], commands, { loadLibrary });
const json = async (...argv: string[]) => JSON.parse((await run(...argv, '--json')).stdout);

describe('crucible gate', () => {
  it.each([
    ['faster', 'better', 0],
    ['slower', 'worse', 1],
    ['equal', 'undecided', 3],
    ['early', 'undecided', 3],
    [HOSTILE, 'better', 0],
  ])('of %j is %s, and ends with %i', async (name, decision, status) => {
    const asked = await run('gate', name, '--json');
    expect(asked).toMatchObject({ status, stderr: '' });
    expect(JSON.parse(asked.stdout)).toMatchObject({ study: name, decision });
    const shown = await run('gate', name);
    expect(shown.status).toBe(status);
    expect(shown.stdout.split('\n')[0]).toContain(`: ${decision} (treatment against control)`);
    expect(unseenIn(shown.stdout.replaceAll('\n', ''))).toEqual([]);
  });

  it('tells what it rests on', async () => {
    const { stdout } = await run('gate', 'faster');
    expect(stdout).toMatch(/primary outcome, mean latency, is better/);
    expect(stdout).toMatch(/As a guardrail: that success rate is worse by 8 percentage points/);
    expect(stdout).toMatch(/control +1\d\d +\d+ +1/);
    expect(stdout).toMatch(/The plan was followed/);
    expect(stdout).toMatch(/Method: t-test, cluster-robust .*Unit: userId/);
    expect(stdout).toMatch(/What would change this/);
  });

  it('says in Markdown what names are, and nothing that they would do', async () => {
    const { stdout, status } = await run('gate', HOSTILE, '--markdown');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^## x/);
    expect(stdout).not.toMatch(/<(?:script|b)>/);
    expect(stdout.split('\n').filter((line) => line.startsWith('#'))).toHaveLength(1);
    expect(unseenIn(stdout.replaceAll('\n', ''))).toEqual([]);
    // Every row of a table has as many cells as its head.
    for (const table of stdout.split('\n\n').filter((part) => part.startsWith('|'))) {
      const cells = table
        .trim()
        .split('\n')
        .map((line) => line.split(/(?<!\\)\|/).length);
      expect(new Set(cells).size).toBe(1);
    }
  });

  it('is a look that is written down', async () => {
    const before = (await json('study', 'show', 'slower')).looks.length;
    await run('gate', 'slower');
    const { looks } = await json('study', 'show', 'slower');
    expect(looks).toHaveLength(before + 1);
    expect(looks.at(-1)).toMatchObject({ decision: 'worse', deviations: [], pid: process.pid });
  });

  it('ends with 2 where there is no such study, or two', async () => {
    const none = await run('gate', 'nothing');
    expect(none).toMatchObject({ status: 2 });
    expect(none.stderr).toMatch(/no study "nothing".*which has .*faster/);
    await expect(run('gate', 'e')).resolves.toMatchObject({ status: 2 });
    await expect(run('gate', 'faster', '--markdown', '--json')).resolves.toMatchObject({ status: 2 });
    await expect(runInMemory(['gate', 'faster'], commands, { loadLibrary })).resolves.toMatchObject({
      status: 2,
    });
  });

  it('ends with 1 where the plan is damaged: nobody knows what would pass', async () => {
    const path = join(dir, studyFolderName('equal'), 'plan.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"unitsPerArm": 60', '"unitsPerArm": 6'));
    const name = studyFolderName('equal');
    const listed = await json('study', 'list');
    expect(listed.studies.find(({ folder }: { folder: string }) => folder.includes(name))).toMatchObject({
      name: null,
      error: { code: 'ERR_PLAN_CORRUPT' },
    });
    writeFileSync(path, text);
  });

  it('ends a real process with its status', () => {
    const status = (name: string) =>
      spawnSync(process.execPath, ['dist/src/cli/main.js', 'gate', name, '--dir', dir]).status;
    expect(['faster', 'slower', 'early'].map(status)).toEqual([0, 1, 3]);
  });
});

describe('crucible study', () => {
  it('lists studies', async () => {
    const { stdout } = await run('study', 'list');
    expect(stdout).toMatch(/^5 studies\n/);
    expect(stdout).toMatch(/faster +control, treatment +userId +2/);
    expect(unseenIn(stdout.replaceAll('\n', ''))).toEqual([]);
    const empty = mkdtempSync(join(tmpdir(), 'crucible-none-'));
    const none = await runInMemory(['study', 'list', '--dir', empty], commands, { loadLibrary });
    expect(none.stdout).toMatch(/There are no studies/);
    rmSync(empty, { recursive: true });
  });

  it('shows the plan, who took part, and no outcome', async () => {
    const { stdout, status } = await run('study', 'show', 'fast');
    expect(status).toBe(0);
    expect(stdout).toMatch(/primary: latencyMs as latencyMean\n +guardrail: success, margin 0.08/);
    expect(stdout).toMatch(/alpha 0.05; looked at once, at the end; 60 units in every arm/);
    expect(stdout).toMatch(/control +1 +1 +1/);
    const shown = await json('study', 'show', 'faster');
    expect(shown).toMatchObject({ name: 'faster', error: null, plan: { unit: 'userId' } });
    expect(shown.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(shown).not.toHaveProperty('outcomes');
  });

  it.each([[['study']], [['study', 'show']], [['study', 'drop', 'faster']], [['study', 'list', 'x']]])(
    'refuses %j',
    async (argv) => {
      await expect(run(...argv)).resolves.toMatchObject({ status: 2 });
    },
  );
});

describe('crucible plan', () => {
  it('gives units, days and a curve', async () => {
    // power.prop.test(p1 = 0.12, p2 = 0.132, power = 0.8) of R 4.2: n = 12003.33
    const size = await json('plan', '--rate', '0.12', '--effect', '10%', '--units-per-day', '800');
    expect(size).toMatchObject({ unitsPerArm: [12_004, 12_004], units: 24_008, days: 31, pilot: null });
    const { stdout } = await run('plan', '--rate', '0.12', '--effect', '10%', '--units-per-day', '800');
    expect(stdout).toMatch(/^12,004 \+ 12,004 units, 31 days\n/);
    expect(stdout.split('\n').filter((line) => line.includes('█')).length).toBeGreaterThan(8);
  });

  it('takes what an experiment shows', async () => {
    const argv = ['plan', '--from', ids.get('faster')!, '--effect', '5', '--metric', 'latencyMs'];
    const { pilot, unitsPerArm } = await json(...argv);
    expect(pilot).toMatchObject({ eventsPerUnit: 3 });
    expect(pilot.units).toBe(pilot.events / 3);
    // Of users 20 × a uniform, of each of three requests 40 × another.
    expect(pilot.stdDev).toBeGreaterThan(7);
    expect(pilot.stdDev).toBeLessThan(11);
    expect(unitsPerArm[0]).toBeGreaterThan(30);
    expect(unitsPerArm[0]).toBeLessThan(90);
    await expect(json(...argv, '--sequential')).resolves.toMatchObject({ tuning: expect.any(Number) });
    await expect(
      json('plan', '--from', ids.get('faster')!, '--effect', '5%', '--metric', 'latencyMs/success'),
    ).resolves.toMatchObject({ pilot: { eventsPerUnit: 3 } });
  });

  it.each([
    [['plan', '--rate', '0.1']],
    [['plan', '--effect', '1']],
    [['plan', '--effect', 'much', '--rate', '0.1']],
    [['plan', '--effect', '0.95', '--rate', '0.1']],
    [['plan', '--effect', '1', '--mean', '3']],
    [['plan', '--effect', '1', '--rate', '0.1', '--mean', '3', '--sd', '1']],
    [['plan', '--effect', '1', '--mean', '3', '--sd', '1', '--ratio', '1']],
  ])('refuses %j', async (argv) => {
    const { status, stderr } = await run(...argv);
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringMatching(/plan|--/) });
  });
});

describe('crucible score', () => {
  const file = (name: string, text: string) => {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
  };

  it('writes scores of a file, and shows how judges agree', async () => {
    const id = ids.get('slower')!;
    const crucible = new Crucible({ dir, workers: 0 });
    await crucible.recover(join(dir, id), { readOnly: true });
    const rows = await crucible.experiment(id).query();
    await crucible.close();
    const lines = rows
      .slice(0, 60)
      .flatMap(({ eventId }, i) => [
        `${eventId},${i % 4},${i % 3 > 0},model,not a score`,
        ...(i % 2 ? [`${eventId},${(i + (i % 5 === 0 ? 1 : 0)) % 4},${i % 3 > 1},human,`] : []),
      ]);
    const path = file('scores.csv', ['event_id,quality,right,by,note', ...lines].join('\n'));
    const told = await json('score', id, '--file', path, '--key', 'eventId');
    expect(told).toMatchObject({
      rows: 90,
      scores: 180,
      names: { quality: 90, right: 90 },
      matched: { quality: 60, right: 60 },
      skipped: 0,
    });
    const { scores, tries } = await json(
      'score',
      id,
      '--reference',
      'human',
      '--tries',
      'score.right',
      '--k',
      '1',
    );
    expect(scores.map(({ name }: { name: string }) => name)).toEqual(['quality', 'right']);
    expect(scores[0].judges).toMatchObject([
      { by: 'human', scores: 30 },
      { by: 'model', scores: 60 },
    ]);
    expect(scores[1].pairs).toMatchObject([
      { a: 'human', b: 'model', items: 30, specificity: { n: expect.any(Number) } },
    ]);
    expect(tries).toMatchObject({ of: 'score.right', tasks: 0, withoutSample: expect.any(Number) });
    const { stdout, status } = await run('score', id);
    expect(status).toBe(0);
    expect(stdout).toMatch(/Krippendorff's alpha 0\.\d+/);
  });

  it('takes a score a line, in JSON Lines too, and says what it left out', async () => {
    const id = ids.get('early')!;
    const path = file(
      'long.jsonl',
      [
        { sampleId: 's1', name: 'a', value: 1, by: 'j', at: '2026-01-02T00:00:00Z', comment: 'fine' },
        { sampleId: 's1', name: 'b', value: true },
        { sampleId: 's1', name: 'b', value: 'excellent' },
        { name: 'b', value: 1 },
      ]
        .map((line) => JSON.stringify(line))
        .join('\n'),
    );
    const asked = await run('score', id, '--file', path, '--key', 'sampleId', '--by', 'default');
    expect(asked).toMatchObject({ status: 0 });
    expect(asked.stdout).toMatch(/2 scores from 4 lines/);
    expect(asked.stdout).toMatch(/line 3: b: "excellent" is no score/);
    expect(asked.stdout).toMatch(/line 4: there is no sampleId/);
    const { scores } = await json('score', id);
    expect(scores[1].judges).toMatchObject([{ by: 'default' }]);
  });

  it.each([
    [['--file', 'scores.csv']],
    [['--key', 'sampleId']],
    [['--file', 'scores.csv', '--key', 'name']],
    [['--file', 'scores.csv', '--key', 'sampleId', '--reference', 'x']],
    [['--tries', 'success', '--k', '0']],
  ])('refuses %j', async (argv) => {
    await expect(run('score', ids.get('equal')!, ...argv)).resolves.toMatchObject({ status: 2 });
  });

  it('fails where the file has no such ids, or no scores', async () => {
    const id = ids.get('equal')!;
    const path = file('none.csv', 'event_id,note\na,b\n');
    const wrong = await run('score', id, '--file', path, '--key', 'sampleId');
    expect(wrong).toMatchObject({ status: 1, stderr: expect.stringMatching(/key: expected a column of/) });
    const none = await run('score', id, '--file', path, '--key', 'eventId');
    expect(none).toMatchObject({ status: 1, stderr: expect.stringMatching(/scores in/) });
  });
});

describe('a verdict of the command line', () => {
  it('is the one of the library', async () => {
    const told: StudyVerdict = await json('gate', 'faster');
    await using crucible = new Crucible({ dir, workers: 0 });
    const { at, looks, ...verdict } = await crucible.study('faster').verdict();
    expect(told).toMatchObject(JSON.parse(JSON.stringify(verdict)));
    expect(looks.length).toBe(told.looks.length + 1);
    expect(at).toBeGreaterThan(told.at);
  });
});
