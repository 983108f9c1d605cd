/** `crucible import` as a process of its own, from real files to a comparison. */

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const BIN = resolve('dist/src/cli/main.js');

let dir: string;
let data: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-cli-import-'));
  data = join(dir, 'data');
});
afterEach(() => rmSync(dir, { recursive: true }));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function crucible(argv: readonly string[], stdin?: string | Uint8Array): Promise<Ended> {
  const env = { ...process.env, CRUCIBLE_DIR: data };
  const child = spawn(process.execPath, [BIN, ...argv], { env, cwd: dir });
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      out[name] += text;
    });
  }
  child.stdin.end(stdin ?? '');
  const status = await new Promise<number | null>((ended) => child.on('close', ended));
  return { status, ...out };
}

const HEAD = 'timestamp,latency_ms,cost_usd,variant\n';
/** Rows of two arms, of which b takes 20 ms less. */
function arms(rows: number): string {
  const line = (i: number) =>
    `${1_709_294_400 + i},${(i % 2 === 0 ? 120 : 100) + ((i * 7919) % 13)},0.00${1 + (i % 5)},${'ab'[i % 2]}\n`;
  return HEAD + Array.from({ length: rows }, (_, i) => line(i)).join('');
}
const write = (name: string, text: string | Uint8Array) => {
  writeFileSync(join(dir, name), text);
  return name;
};

describe('crucible import', () => {
  it('makes the arms of one file comparable in two commands', async () => {
    write('study.csv', `${arms(400)}yesterday,1,0.1,a\n1709294400,1,0.1,\n`);
    const imported = await crucible(['import', 'study.csv', '--condition-from', 'variant']);
    expect(imported).toMatchObject({ status: 0, stderr: '' });
    expect(imported.stdout).toContain('400 rows of study.csv');
    // The last lines are those that tell what is missing.
    const lines = imported.stdout.trimEnd().split('\n');
    const from = lines.findIndex((line) => line.includes('2 rows left out of 402 rows'));
    expect(from).toBeGreaterThan(lines.length - 6);
    expect(lines.slice(from).join('\n')).toMatch(
      /1 time: left out \(no time.*1 time: left out \(no value in/s,
    );

    const compared = await crucible(['compare', 'study a', 'study b', '--json']);
    expect(compared).toMatchObject({ status: 0, stderr: '' });
    const [treatment] = JSON.parse(compared.stdout).treatments;
    expect(treatment).toMatchObject({ condition: 'b' });
    const { baseline, difference, verdict } = treatment.metrics.latencyMean;
    expect(baseline.n).toBe(200);
    expect(difference).toBeCloseTo(-20, 0);
    expect(verdict).toMatch(/^Mean latency was lower/);
  });

  it('reads several files, folders and standard input into one experiment', async () => {
    mkdirSync(join(dir, 'more'));
    write('one.csv', arms(10));
    write('more/two.csv', arms(20));
    write('more/empty.csv', HEAD);
    write('more/three.jsonl', '{"timestamp": 1709294400, "latency_ms": 5}\n');
    const argv = ['import', 'one.csv', 'more', '-', '--name', 'all', '--id', 'all0', '--json'];
    const ended = await crucible(argv, '{"timestamp": 1709294401, "latency_ms": 6}\nnot JSON\n');
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toMatchObject({
      id: 'all0',
      name: 'all',
      rows: 32,
      skipped: 1,
      reasons: { unreadable: 1 },
      counts: { captured: 32 },
      experiments: [{ id: 'all0', counts: { captured: 32 } }],
    });
    const piped = await crucible(
      ['import', '-', '--format', 'csv', '--decimal', ','],
      'timestamp;latency_ms\n2024-03-01;1,5\n',
    );
    expect(piped).toMatchObject({ status: 0, stderr: '' });
    expect(piped.stdout).toContain('1 row of standard input');
  });

  it('gives back what was exported, by each of its experiments', async () => {
    write('study.csv', arms(40));
    await crucible([
      'import',
      'study.csv',
      '--condition-from',
      'variant',
      '--out',
      'both.parquet',
      '--out',
      'both.csv',
    ]);
    for (const file of ['both.parquet', 'both.csv']) {
      const again = await crucible([
        'import',
        file,
        '--name',
        'again',
        '--condition-from',
        'condition',
        '--json',
      ]);
      expect(again).toMatchObject({ status: 0, stderr: '' });
      expect(JSON.parse(again.stdout).experiments).toMatchObject([
        { name: 'again a', condition: 'a', counts: { captured: 20 } },
        { name: 'again b', condition: 'b', counts: { captured: 20 } },
      ]);
    }
    const damaged = readFileSync(join(dir, 'both.csv'));
    damaged[damaged.length - 20]! ^= 1;
    write('both.csv', damaged);
    const refused = await crucible(['import', 'both.csv', '--id', 'damaged']);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(
      /^error: both\.csv is not what both\.csv\.manifest\.json says: .*--manifest ignore.*\(ERR_MANIFEST_MISMATCH\)/,
    );
    expect(await crucible(['show', 'damaged'])).toMatchObject({ status: 1 });
    expect(await crucible(['import', 'both.csv', '--manifest', 'ignore'])).toMatchObject({ status: 0 });
  });

  it('says what is wrong with the call', async () => {
    write('study.csv', arms(4));
    const column = await crucible(['import', 'study.csv', '--condition-from', 'arm']);
    expect(column).toMatchObject({ status: 2, stdout: '' });
    expect(column.stderr).toContain(
      "--condition-from: expected one of the file's columns (timestamp, latency_ms",
    );
    for (const argv of [
      ['--id', 'x'],
      ['--condition', 'x'],
    ]) {
      const both = await crucible(['import', 'study.csv', '--condition-from', 'variant', ...argv]);
      expect(both.status).not.toBe(0);
    }
    expect(await crucible(['import', 'study.csv', 'absent.csv'])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/cannot read absent\.csv: there is no such file/),
    });
    expect((await crucible(['list'])).stdout).not.toContain('study');
  });
});

describe('crucible import of standard input that gives nothing', () => {
  it.each([
    ['SIGINT', '', 130],
    ['SIGTERM', '', 143],
    ['SIGINT', HEAD + '1709294400,1,2,a\n'.repeat(30_000), 130],
  ] as const)('ends at one %s', async (signal, first, code) => {
    const child = spawn(process.execPath, [BIN, 'import', '-', '--format', 'csv', '--dir', data], {
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: dir,
    });
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
    // It is gone before all is taken.
    child.stdin.on('error', () => {});
    if (first !== '') child.stdin.write(first);
    // Until it waits; a signal before that ends it as well.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    child.kill(signal);
    expect(await ended).toBe(code);
  });
});
