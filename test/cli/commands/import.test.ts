import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importCommand } from '../../../src/cli/commands/import.js';
import { loadLibrary } from '../../../src/cli/library.js';
import { runInMemory } from '../support/environment.js';

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crucible-import-'));
  file = join(folder, 'requests.csv');
  await writeFile(file, 'latency\n0.01\n0.02\n0.03\n');
});
afterAll(() => rm(folder, { recursive: true }));

const run = (...argv: string[]) => runInMemory(['import', ...argv], [importCommand]);

describe('crucible import', () => {
  it('hands file and mapping to the library and reports what came of it', async () => {
    const { status, stdout, stderr, library } = await run(
      ...[file, '--map', 'latencyMs = latency * 1000', '--map', 'success=code == 0'],
      ...['--event', 'my.request.stop', '--dir', 'data'],
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(library.calls).toEqual([
      'open data',
      `import ${file} {"map":{"latencyMs":"latency * 1000","success":"code == 0"},"event":"my.request.stop"}`,
      'stop requests',
      'close',
    ]);
    expect(stdout).toContain(`3 rows of ${file} (23 B)`);
    expect(stdout).toContain('1 row could be read only in part');
    expect(stdout).toMatch(/latency, ms +mean +20\.00/);
    expect(stdout).toContain('Kept in data:\n  requests   crucible show id-requests --dir data\n');
    expect(stdout).not.toContain('bytes');
  });

  it('leaves the columns to be recognised without a mapping, in the unit it is told', async () => {
    const { library } = await run(file, '--timestamp-unit', 'ms');
    expect(library.calls).toContain(`import ${file} {"timestampUnit":"ms"}`);
    expect(await run(file, '--timestamp-unit', 'weeks')).toMatchObject({ status: 2 });
  });

  it('takes a format for a file whose name says nothing, and the identity of what was exported', async () => {
    const { library } = await run(file, '--format', 'parquet');
    expect(library.calls).toContain(`import ${file} {"format":"parquet"}`);
    expect(await run(file, '--format', 'xlsx')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--format expects csv or jsonl or msgpack or parquet or arrow or yaml'),
    });
    const own = await run(file, '--id', 'c0', '--name', 'n', '--condition', 'c', '--tag', 'a', '--tag', 'b');
    expect(own.library.started).toEqual([
      { id: 'c0', name: 'n', condition: 'c', tags: ['a', 'b'], metadata: { source: 'requests.csv' } },
    ]);
    expect((await run(file)).library.started).toEqual([
      { name: 'requests', tags: ['import'], metadata: { source: 'requests.csv' } },
    ]);
  });

  it('names an experiment after a file without its extensions', async () => {
    const packed = join(folder, 'day.1.csv.gz');
    await writeFile(packed, '');
    expect((await run(packed)).library.started).toMatchObject([{ name: 'day.1' }]);
  });

  it('takes for a wrong call that nothing tells what a file is', async () => {
    const unknown = join(folder, 'unknown');
    await writeFile(unknown, '?');
    const { status, stderr } = await runInMemory(['import', unknown], [importCommand], { loadLibrary });
    expect(status).toBe(2);
    expect(stderr).toBe(
      `error: what ${unknown} is cannot be told by its name: say it with --format (csv, jsonl, msgpack, parquet, arrow, yaml) (ERR_USAGE)\nSee: crucible help import\n`,
    );
  });

  it('writes the events to the files asked for, in the format each name ends with', async () => {
    const { stdout, library } = await run(file, '--out', 'a.csv', '--out', 'b.jsonl');
    expect(library.calls).toContain('export csv');
    expect(library.calls).toContain('export jsonl');
    expect(stdout).toMatch(/a\.csv +3/);
    expect(await run(file, '--out', 'a.xlsx')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--out expects a file ending in .csv, .jsonl'),
    });
  });

  it('prints one JSON document', async () => {
    const { stdout } = await run(file, '--name', 'mine', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      id: 'id-mine',
      name: 'mine',
      dir: null,
      rows: 3,
      malformed: 1,
      counts: { captured: 3, dropped: 0 },
    });
    expect(stdout).not.toContain('Kept in');
  });

  it('shows a bar at a terminal, on stderr, and leaves nothing of it', async () => {
    const { stdout, stderr } = await runInMemory(['import', file], [importCommand], { terminal: true });
    expect(stderr).toContain('requests.csv  ');
    expect(stderr.endsWith('\u001b[?25h')).toBe(true);
    expect(stdout).not.toContain('ETA');
  });

  it('says where the rows are that were read before it was interrupted', async () => {
    const signal = AbortSignal.abort();
    const interrupted = (...argv: string[]) =>
      runInMemory(['import', file, ...argv], [importCommand], { signal });
    expect(await interrupted()).toMatchObject({ status: 1, stdout: '', stderr: 'error: interrupted\n' });
    expect(await interrupted('--dir', 'data')).toMatchObject({
      status: 1,
      stderr: 'Kept in data:\n  requests   crucible show id-requests --dir data\nerror: interrupted\n',
    });
  });

  it('refuses a mapping without a target or an expression', async () => {
    for (const map of ['latency', '=x', 'latencyMs=']) {
      expect(await run(file, '--map', map)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('--map expects TARGET=EXPRESSION'),
      });
    }
  });

  it('fails on a file that is not there, before it opens anything', async () => {
    const { status, stderr, library } = await run(join(folder, 'absent.csv'));
    expect(status).toBe(1);
    expect(stderr).toContain('ENOENT');
    expect(library.calls).toEqual([]);
  });
});
