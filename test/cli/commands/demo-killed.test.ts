/** The demo as a user runs it, killed in its midst, and its experiments back with one command. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const MAIN = 'dist/src/cli/main.js';

async function crucible(...argv: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN, ...argv]);
  expect(stderr).toBe('');
  return stdout;
}

it('loses nothing that the demo has said to be durable', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'crucible-killed-'));
  try {
    const dir = join(folder, 'data');
    const demo = spawn(process.execPath, [
      MAIN,
      'demo',
      '--dir',
      dir,
      '--requests',
      '100000',
      '--speed',
      '200',
    ]);
    let banner = '';
    demo.stdout.on('data', (text) => {
      banner += text;
    });
    // `4.0 s: control 90/…, mean 40.0 ms, 190 of 194 events durable · hedged …`, now and then.
    const durable: number[] = [];
    for await (const line of createInterface(demo.stderr)) {
      durable.push(...[...line.matchAll(/([\d,]+) of [\d,]+ events durable/g)].map(([, n]) => digits(n!)));
      if (durable.length >= 2) break;
    }
    const ended = once(demo, 'exit');
    demo.kill('SIGKILL');
    expect(await ended).toEqual([null, 'SIGKILL']);
    expect(banner).toContain(`kill -9 ${demo.pid}\n    crucible recover ${dir}\n`);

    const listed = await crucible('list', dir);
    expect(listed.match(/interrupted/g)).toHaveLength(2);
    const report = JSON.parse(await crucible('recover', dir, '--json'));
    const control = report.experiments.find(({ name }: { name: string }) => name === 'control');
    const hedged = report.experiments.find(({ name }: { name: string }) => name === 'hedged');
    expect(Math.min(...durable)).toBeGreaterThan(0);
    for (const [found, promised] of [
      [control, durable[0]],
      [hedged, durable[1]],
    ]) {
      expect(found).toMatchObject({ status: 'interrupted', interrupted: true, damage: [], error: null });
      expect(found.rows).toBeGreaterThanOrEqual(promised);
    }
    expect(await crucible('recover', dir)).toContain('There was nothing to do; nothing was changed.');
    expect(await crucible('show', control.id, '--dir', dir)).toMatch(
      new RegExp(`status +interrupted\n[^]*captured +${control.rows.toLocaleString('en')}\n`),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const digits = (text: string) => Number(text.replaceAll(',', ''));
