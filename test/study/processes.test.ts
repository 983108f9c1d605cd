/** A study of several processes, one after the other and at once, killed ones too. Runs the built library. */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, listExperiments, type StudyOptions } from '../../src/index.js';
import { studyFolderName } from '../../src/study/book.js';
import { inProcess } from './support.js';

const OPTIONS: StudyOptions = {
  name: 'Größe/../x "1"',
  arms: { control: {}, treatment: {} },
  capacity: 4096,
  producers: 2,
  events: ['answer'],
  plan: { outcomes: [{ of: 'latencyMs' }], unitsPerArm: 100 },
};

/** Begins the study and has units make two requests each; the treatment is faster by 15 ms. */
const SERVE = `
  const study = crucible.study(${JSON.stringify(OPTIONS)});
  const serve = (from, end) => {
    for (let i = from; i < end; i++) {
      const arm = study.assign('u' + i);
      for (let j = 0; j < 2; j++) {
        const durationMs = (arm === 'control' ? 100 : 85) + ((i * 7919 + j * 104729) % 40);
        study.run('u' + i, () => telemetry.execute('answer', { durationMs, status: 'ok' }));
      }
    }
  };
  const flush = () => Promise.all(study.arms.map((arm) => study.experiment(arm).flush()));
  const kill = () => process.kill(process.pid, 'SIGKILL');`;

describe('a study of several processes', () => {
  let dir: string;
  let crucible: Crucible;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'study-'));
    crucible = new Crucible({ dir, workers: 0 });
  });
  afterEach(async () => {
    await crucible.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const folder = () => join(dir, studyFolderName(OPTIONS.name));

  it('is judged over all of them, killed ones too, by who took part in none', async () => {
    expect(inProcess(dir, `${SERVE} serve(0, 100); await flush(); kill();`).signal).toBe('SIGKILL');
    expect(inProcess(dir, `${SERVE} serve(100, 200); await crucible.close();`).stderr).toBe('');
    // The same units again: they are where they were.
    expect(inProcess(dir, `${SERVE} serve(0, 250); await study.stop(); await crucible.close();`).stderr).toBe(
      '',
    );
    const verdict = await crucible.study(OPTIONS.name).verdict();
    const { control, treatment } = verdict.arms;
    expect(control!.units + treatment!.units).toBe(250);
    expect(control!.events + treatment!.events).toBe(900);
    expect(control!.processes).toBe(3);
    expect(verdict).toMatchObject({ decision: 'better', planFollowed: true, ended: true, looks: [] });
    expect(Math.abs(verdict.outcomes.latencyMs!.difference! + 15)).toBeLessThan(3);
    // Nothing was changed by looking, but that somebody has looked is written down.
    expect(await listExperiments(dir)).toHaveLength(6);
    expect(
      inProcess(
        dir,
        `console.log((await crucible.study(${JSON.stringify(OPTIONS.name)}).verdict()).looks.length);`,
      ).stdout,
    ).toBe('1\n');
  });

  it('gives the figures of one process that captured all of it', async () => {
    for (const [from, end] of [
      [0, 90],
      [90, 170],
      [170, 240],
    ]) {
      inProcess(dir, `${SERVE} serve(${from}, ${end}); await crucible.close();`);
    }
    const merged = await crucible.study(OPTIONS.name).verdict();
    const alone = mkdtempSync(join(tmpdir(), 'study-'));
    inProcess(alone, `${SERVE} serve(0, 240); await crucible.close();`);
    const other = new Crucible({ dir: alone, workers: 1 });
    const single = await other.study(OPTIONS.name).verdict();
    await other.close();
    rmSync(alone, { recursive: true });
    const figures = ({ outcomes: { latencyMs } }: typeof merged) => [
      latencyMs!.difference,
      ...latencyMs!.confidenceInterval!,
      latencyMs!.baseline.n,
      latencyMs!.pValue,
    ];
    figures(merged).forEach((figure, i) => {
      expect(figure).toBeCloseTo(figures(single)[i]!, 9);
    });
    expect(merged.plan).toBe(single.plan);
  });

  it('can be looked at while another process captures it, which is early', async () => {
    const program = `
      import { Crucible, telemetry } from 'crucible-telemetry';
      const crucible = new Crucible({ dir: ${JSON.stringify(dir)}, workers: 0 });
      ${SERVE} serve(0, 60); await flush(); console.log('flushed');
      process.stdin.resume().on('end', async () => { serve(60, 300); await crucible.close(); });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const early = await crucible.study(OPTIONS.name).verdict();
    expect(early).toMatchObject({ decision: 'undecided', ended: false, planFollowed: false });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.stdin.end();
    await exited;
    const late = await crucible.study(OPTIONS.name).verdict();
    expect(late).toMatchObject({ decision: 'better', ended: true, planFollowed: false });
    expect(late.deviations.map(({ code }) => code)).toEqual(['lookedEarly']);
  });

  it('is refused to a process with another plan, and nothing is changed by that', () => {
    inProcess(dir, `${SERVE} serve(0, 20); await crucible.close();`);
    const before = readFileSync(join(folder(), 'plan.json'), 'utf8');
    const changed = { ...OPTIONS, plan: { ...OPTIONS.plan!, unitsPerArm: 50 } };
    const { stdout } = inProcess(
      dir,
      `try { crucible.study(${JSON.stringify(changed)}); } catch ({ code, context }) { console.log(code, JSON.stringify(context.differences)); }`,
    );
    expect(stdout).toBe('ERR_PLAN_CHANGED [{"path":"analysis.unitsPerArm","planned":100,"given":50}]\n');
    expect(readFileSync(join(folder(), 'plan.json'), 'utf8')).toBe(before);
  });

  it('has one plan where processes with two begin it at once', async () => {
    const begin = (unitsPerArm: number) =>
      new Promise<string>((resolve) => {
        const design = { ...OPTIONS, plan: { ...OPTIONS.plan!, unitsPerArm } };
        const program = `
          import { Crucible } from 'crucible-telemetry';
          const crucible = new Crucible({ dir: ${JSON.stringify(dir)}, workers: 0 });
          try { crucible.study(${JSON.stringify(design)}).experiment('control'); console.log('began', ${unitsPerArm}); }
          catch ({ code }) { console.log(code); }
          await crucible.close();`;
        const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
        let text = '';
        child.stdout.on('data', (data) => {
          text += data;
        });
        child.once('close', () => resolve(text.trim()));
      });
    const told = await Promise.all([10, 20, 10, 20].map(begin));
    const planned = crucible.study(OPTIONS.name).plan.analysis!.unitsPerArm;
    expect(told).toEqual(
      [10, 20, 10, 20].map((units) => (units === planned ? `began ${units}` : 'ERR_PLAN_CHANGED')),
    );
    expect(readdirSync(folder()).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('is not gone on with once somebody has changed its plan on the disk', () => {
    inProcess(dir, `${SERVE} serve(0, 20); await crucible.close();`);
    const path = join(folder(), 'plan.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"alpha": 0.05', '"alpha": 0.5'));
    expect(() => crucible.study(OPTIONS.name)).toThrow(expect.objectContaining({ code: 'ERR_PLAN_CORRUPT' }));
    expect(() => crucible.study(OPTIONS)).toThrow(expect.objectContaining({ code: 'ERR_PLAN_CORRUPT' }));
  });

  it('survives journals that are torn, damaged, or no files', async () => {
    inProcess(dir, `${SERVE} serve(0, 240); await crucible.close();`);
    const [journal] = readdirSync(folder()).filter((name) => name.endsWith('.journal'));
    appendFileSync(
      join(folder(), journal!),
      '00000000 {"kind":"look","at":1}\nnonsense\n12345678 {"kind":"con',
    );
    mkdirSync(join(folder(), '77-0123456789abcdef.journal'));
    const verdict = await crucible.study(OPTIONS.name).verdict();
    expect(verdict).toMatchObject({ decision: 'better', looks: [] });
  });

  it('is undecided where an experiment that took part cannot be read', async () => {
    inProcess(dir, `${SERVE} serve(0, 120); await crucible.close();`);
    inProcess(dir, `${SERVE} serve(120, 240); await crucible.close();`);
    const study = crucible.study(OPTIONS.name);
    await expect(study.verdict()).resolves.toMatchObject({ decision: 'better' });
    const { experiment } = study.contributions().find(({ arm }) => arm === 'treatment')!;
    rmSync(join(dir, experiment), { recursive: true });
    const without = await study.verdict();
    expect(without.decision).toBe('undecided');
    expect(without.reasons.join()).toContain(`experiment ${experiment} of treatment cannot be read`);
  });

  it('has not been tested by a look that could not read all of it', async () => {
    inProcess(dir, `${SERVE} serve(0, 120); await crucible.close();`);
    inProcess(dir, `${SERVE} serve(120, 240); await crucible.close();`);
    const study = crucible.study(OPTIONS.name);
    const { experiment } = study.contributions().find(({ arm }) => arm === 'treatment')!;
    renameSync(join(dir, experiment), join(dir, 'elsewhere'));
    await expect(study.verdict()).resolves.toMatchObject({ decision: 'undecided', ended: true });
    renameSync(join(dir, 'elsewhere'), join(dir, experiment));
    await expect(study.verdict()).resolves.toMatchObject({ decision: 'better' });
  });

  it('does not mind an experiment that was announced and never began', async () => {
    inProcess(
      dir,
      `${SERVE} serve(0, 240); study.book.noteContribution('control', '0123456789abcdef', false); kill();`,
    );
    inProcess(dir, `${SERVE} serve(0, 240); await crucible.close();`);
    await expect(crucible.study(OPTIONS.name).verdict()).resolves.toMatchObject({ decision: 'better' });
  });

  it('says what was lost of its events', async () => {
    inProcess(dir, `${SERVE} serve(0, 240); await crucible.close();`);
    const [stored] = await listExperiments(dir);
    const first = stored!.folder;
    const [segment] = readdirSync(first).filter((name) => name.endsWith('.arrows'));
    truncateSync(join(first, segment!), 3000);
    const { reasons } = await crucible.study(OPTIONS.name).verdict();
    expect(reasons.join()).toMatch(/events of (control|treatment) were lost/);
  });
});
