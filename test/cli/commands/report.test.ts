/** `report`, `watch` and `serve`, run as a user runs them. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Crucible } from '../../../src/index.js';

let dir: string;
const HOSTILE = '<script>alert(1)</script> @everyone | \u202e';

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-report-'));
  const crucible = new Crucible({ dir, workers: 0 });
  for (const [id, name, factor] of [
    ['aaaa', 'control', 1],
    ['bbbb', HOSTILE, 2],
  ] as const) {
    const experiment = crucible.startExperiment({ id, name, condition: name });
    const recorder = experiment.recorder('req_llm.request.stop', { model: 'm' });
    for (let i = 0; i < 2_000; i++) recorder.record(factor * (10 + (i % 89)), 0.001, 10, 5, i % 9 !== 0);
  }
  await crucible.close();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function run(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['dist/src/cli/main.js', ...args], {
      env: { ...process.env, NO_COLOR: '1' },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}

describe('crucible report', () => {
  it('writes one file of HTML that asks nobody for anything, with figures, method and the data', async () => {
    const html = join(dir, 'report.html');
    const svg = join(dir, 'figures');
    const { status, stderr } = await run(
      'report',
      'aaaa',
      'bbbb',
      '--dir',
      dir,
      '--html',
      html,
      '--svg',
      svg,
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const text = readFileSync(html, 'utf8');
    expect(text).not.toMatch(/<script|(?:src|href)=|url\(|@import/);
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt; @everyone | \\u202e');
    expect(text.match(/<svg/g)?.length).toBeGreaterThanOrEqual(8);
    expect(text).toContain('Welch');
    expect(text).toMatch(/[0-9a-f]{64}/);
    const figures = readdirSync(svg);
    expect(figures).toEqual(
      expect.arrayContaining([
        'quantile-differences.svg',
        'latency-1-aaaa.svg',
        'difference-latencyMean.svg',
      ]),
    );
    for (const name of figures) {
      expect(readFileSync(join(svg, name), 'utf8')).toMatch(
        /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="[^"]+"/,
      );
    }
  });

  it('says the same figures as metrics, in Markdown in which no name means anything', async () => {
    const { stdout } = await run('report', 'bbbb', '--dir', dir);
    const told = JSON.parse((await run('metrics', 'bbbb', '--dir', dir, '--json')).stdout);
    expect(stdout).toContain(`| latency mean, ms | ${told.metrics.latency.mean.toFixed(1)} |`);
    expect(stdout).not.toContain('<script>');
    expect(stdout).not.toContain('@everyone');
    expect(stdout).not.toContain('\u202e');
  });

  it('says where it cannot write', async () => {
    const { status, stderr } = await run(
      'report',
      'aaaa',
      '--dir',
      dir,
      '--html',
      join(dir, 'no', 'where.html'),
    );
    expect(status).toBe(1);
    expect(stderr).toContain('cannot write');
  });
});

describe('crucible watch', () => {
  it('ends where nothing runs any more, and says what there was', async () => {
    const { status, stdout } = await run('watch', 'aaaa', '--dir', dir);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^control stopped: 2,000 events, p50 [\d.]+ ms, p95 [\d.]+ ms\n$/);
    const { stdout: json } = await run('watch', 'aaaa', '--dir', dir, '--json');
    const [{ figures }] = JSON.parse(json).experiments;
    expect(figures.group.count).toBe(2_000);
  });
});

describe('crucible serve', () => {
  it('serves a folder until it is interrupted, and asks for a token where others reach it', async () => {
    const refused = await run('serve', dir, '--host', '0.0.0.0');
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('CRUCIBLE_TOKEN');
    const child = spawn(process.execPath, ['dist/src/cli/main.js', 'serve', dir, '--port', '0', '--json']);
    let printed = '';
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (text) => {
        printed += text;
        if (printed.trimEnd().endsWith('}')) resolve();
      });
    });
    const { url } = JSON.parse(printed);
    const { experiments } = (await (await fetch(`${url}api/experiments`)).json()) as {
      experiments: { id: string }[];
    };
    expect(experiments.map(({ id }) => id).sort()).toEqual(['aaaa', 'bbbb']);
    const ended = new Promise((resolve) => child.on('close', resolve));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
  });
});
