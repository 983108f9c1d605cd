/** `crucible report` of a study: what a paper and a pull request need, as HTML, Markdown and figures. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../../src/cli/commands/index.js';
import { loadLibrary } from '../../../src/cli/library.js';
import { Crucible, listStudies } from '../../../src/index.js';
import { serve } from '../../study/support.js';
import { hasBrowser, launchBrowser } from '../../support/browser.js';
import { runInMemory } from '../support/environment.js';

const NAME = 'shorter <b>prompt</b> | x';

let dir: string;
let out: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-report-study-'));
  out = mkdtempSync(join(tmpdir(), 'crucible-report-out-'));
  await using crucible = new Crucible({ dir, workers: 0 });
  const study = crucible.study({
    name: NAME,
    hypothesis: 'A shorter prompt answers sooner',
    arms: { control: {}, treatment: {} },
    ...{ capacity: 4096, producers: 2, events: ['answer'] },
    plan: { outcomes: ['latencyMean', { of: 'success', role: 'guardrail', margin: 0.08 }], unitsPerArm: 60 },
  });
  serve(study, 0, 300, {
    latencyMs: { control: 200, treatment: 180 },
    failing: { control: 0.02, treatment: 0.02 },
  });
  await study.stop();
});
afterAll(() => {
  rmSync(dir, { recursive: true });
  rmSync(out, { recursive: true });
});

const run = (...argv: string[]) => runInMemory(['report', ...argv, '--dir', dir], commands, { loadLibrary });

describe('crucible report STUDY', () => {
  it('has the verdict first, the plan with its hash, the method, and all that took part', async () => {
    const { status, stdout, stderr } = await run(NAME);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const headings = [...stdout.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(['Verdict', 'Plan', 'Method', 'Data and versions']);
    const [stored] = listStudies(dir);
    expect(stdout).toContain(stored!.hash!);
    expect(stdout).toMatch(/better \(treatment against control\)/);
    expect(stdout).toMatch(/\| mean latency \| primary \| \d/);
    expect(stdout).toMatch(/guardrail: success, margin 0\.08/);
    expect(stdout).toMatch(/Hypothesis: A shorter prompt answers sooner\./);
    for (const { experiment } of stored!.contributions) expect(stdout).toContain(experiment);
    expect(stdout).not.toContain('<b>');
  });

  it('is a look, which the next one tells', async () => {
    const before = listStudies(dir)[0]!.looks.length;
    const { stdout } = await run(NAME);
    expect(listStudies(dir)[0]!.looks).toHaveLength(before + 1);
    expect(stdout.match(/: better, at /g)).toHaveLength(before);
  });

  it('takes the beginning of a name where no experiment has it', async () => {
    expect((await run('shorter')).stdout).toMatch(/## Plan/);
    const { experiment } = listStudies(dir)[0]!.contributions[0]!;
    expect((await run(experiment.slice(0, 8))).stdout).not.toMatch(/## Plan/);
    expect((await run('nothing')).status).toBe(1);
    expect((await run(NAME, '--event', 'answer')).status).toBe(2);
  });

  it('writes a figure of each outcome, with its margin', async () => {
    const svg = join(out, 'figures');
    await run(NAME, '--svg', svg);
    expect(readdirSync(svg).toSorted()).toEqual(['outcome-latencyMean.svg', 'outcome-success.svg']);
    expect(readFileSync(join(svg, 'outcome-success.svg'), 'utf8')).toMatch(/margin<\/text>/);
  });

  it.runIf(hasBrowser)('prints without anything beyond the edge of the page', async () => {
    const html = join(out, 'report.html');
    await run(NAME, '--html', html);
    const browser = await launchBrowser();
    try {
      // What A4 leaves between margins of 18 mm, at 96 dots an inch.
      const page = await browser.newPage({ viewport: { width: 657, height: 900 } });
      await page.goto(`file://${html}`);
      await page.emulateMedia({ media: 'print' });
      const beyond = await page.evaluate(`[...document.querySelectorAll('td,th,p,svg,h1,li')]
        .filter((element) => element.getBoundingClientRect().right > 658)
        .map((element) => element.textContent)`);
      expect(beyond).toEqual([]);
      expect(await page.locator('svg').count()).toBe(2);
      const pdf = await page.pdf({ format: 'A4', path: join(out, 'report.pdf') });
      expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
    } finally {
      await browser.close();
    }
  });
});
