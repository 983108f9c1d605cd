/** Commands at a real terminal, as Ctrl-C ends them: 130, nothing begun is left, the terminal is as it was. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Crucible, listExperiments } from '../../dist/src/index.js';
import { atTerminal, CTRL_C, type Session } from '../support/pseudo-terminal.js';

const CRUCIBLE = `${process.execPath} ${resolve('dist/src/cli/main.js')}`;
const HIDDEN = '\u001b[?25l';
const SHOWN = '\u001b[?25h';
/** What takes the commands seconds. */
const ROWS = 150_000;

let folder: string;
let data: string;
let out: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crucible-terminal-'));
  data = join(folder, 'data');
  out = join(folder, 'out');
  const crucible = new Crucible({ dir: data });
  const experiment = crucible.startExperiment({ id: 'large', name: 'large', segmentBytes: 1 << 20 });
  for (let i = 0; i < ROWS; i++) {
    experiment.capture('request', { latencyMs: i % 1000 }, { n: i, note: `some text of number ${i}` });
  }
  await crucible.close();
  const lines = Array.from({ length: 4 * ROWS }, (_, i) => `{"latencyMs":${i},"note":"number ${i}"}\n`);
  writeFileSync(join(folder, 'large.jsonl'), lines.join(''));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

/**
 * Files that are not the experiment's own, wherever, nor those that the demo writes of what there is, where it is stopped
 * once both arms have answers.
 */
function leftovers(): string[] {
  const all = readdirSync(folder, { recursive: true, withFileTypes: true });
  return all
    .filter(
      (entry) =>
        entry.isFile() &&
        !/^(\d{6}\.(arrows|parquet)|experiment\.json|large\.jsonl|demo-hedged-1\.(csv|jsonl)(\.manifest\.json)?)$/.test(
          entry.name,
        ),
    )
    .map(({ parentPath, name }) => join(parentPath, name));
}

describe('Ctrl-C at a terminal', () => {
  // Each once it shows that it is at work: while it reads the experiment, and at what it was called for.
  it.each<[command: string, once: RegExp]>([
    ['demo --requests 100000 --speed 100 --out OUT', /questions[\s\S]*mean/],
    ['export large --dir DATA --out OUT/large.csv.gz', /large .*%/],
    ['export large --dir DATA --out OUT/large.jsonl.gz', /export .*%/],
    ['archive large --dir DATA --out OUT/large.jsonl', /writing and reading/],
    ['archive large --dir DATA --out OUT/large.parquet --format parquet', /writing and reading/],
    ['compact large --dir DATA', /large .*%/],
    ['recover DATA', /recover .*%/],
    ['metrics large --dir DATA', /large .*%/],
    ['windows large --dir DATA --size 1s', /large .*%/],
    ['import FOLDER/large.jsonl', /large\.jsonl .*%/],
  ])('ends crucible %s', { timeout: 120_000 }, async (command, once) => {
    const line = `${CRUCIBLE} ${command.replace('DATA', data).replace('OUT', out).replace('FOLDER', folder)}`;
    rmSync(out, { recursive: true, force: true });
    let session = await pressingOnce(line, once);
    // Whoever is done before the key has come has done what he was called for.
    for (let again = 0; session.status === 0 && again < 10; again++) {
      rmSync(out, { recursive: true, force: true });
      session = await pressingOnce(line, once);
    }
    const { shown, status, settings } = session;
    expect(shown).toMatch(/error: interrupted\r\n$|stopped early/i);
    expect(status).toBe(130);
    expect(settings[1]).toBe(settings[0]);
    expect(shown.lastIndexOf(SHOWN)).toBeGreaterThanOrEqual(shown.lastIndexOf(HIDDEN));
    expect(leftovers()).toEqual([]);
    const [stored] = await listExperiments(data);
    expect(stored).toMatchObject({ rows: ROWS, heldBy: null, experiment: { status: 'stopped' } });
  });
});

function pressingOnce(line: string, shows: RegExp): Promise<Session> {
  let isPressed = false;
  return atTerminal(line, (shown, press) => {
    if (isPressed || !shows.test(shown)) return;
    isPressed = true;
    press(CTRL_C);
  });
}
