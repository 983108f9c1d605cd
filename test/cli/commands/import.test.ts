import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importCommand } from '../../../src/cli/commands/import.js';
import { loadLibrary } from '../../../src/cli/library.js';
import { unprivileged } from '../../support/unprivileged.js';
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
    expect(stdout).toContain('1 time: kept without a value (not understood)');
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
      stderr: expect.stringContaining('--format expects csv or jsonl or msgpack or parquet or arrow'),
    });
    const own = await run(file, '--id', 'c0', '--name', 'n', '--condition', 'c', '--tag', 'a', '--tag', 'b');
    expect(own.library.started).toEqual([
      { id: 'c0', name: 'n', condition: 'c', tags: ['a', 'b'], metadata: { source: 'requests.csv' } },
    ]);
    expect((await run(file)).library.started).toEqual([
      { name: 'requests', tags: [], metadata: { source: 'requests.csv' } },
    ]);
  });

  it('passes on what errors of the library say to pass', async () => {
    const { library } = await run(file, '--header', '--max-ratio', '1000', '--max-output-bytes', '5');
    expect(library.calls).toContain(`import ${file} {"header":true,"maxRatio":1000,"maxOutputBytes":5}`);
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
      `error: what ${unknown} is cannot be told by its name: say it with --format (csv, jsonl, msgpack, parquet, arrow) (ERR_USAGE)\nSee: crucible help import\n`,
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

  it('says how many rows were read before it was interrupted, and where they are', async () => {
    const interrupted = (...argv: string[]) => {
      const controller = new AbortController();
      // The first thing on stderr is the progress of what has been begun.
      const options = { signal: controller.signal, terminal: true, onStderr: () => controller.abort() };
      return runInMemory(['import', file, ...argv], [importCommand], options);
    };
    const inMemory = await interrupted();
    expect(inMemory).toMatchObject({ status: 1, stdout: '' });
    expect(inMemory.stderr).toMatch(/error: interrupted\n$/);
    expect(inMemory.stderr).not.toContain('Kept');
    expect((await interrupted('--dir', 'data')).stderr).toContain(
      `3 rows of ${file} read\nKept in data:\n  requests   crucible show id-requests --dir data\nerror: interrupted\n`,
    );
  });

  it('starts nothing when it is interrupted before', async () => {
    const options = { signal: AbortSignal.abort() };
    const { status, stderr, library } = await runInMemory(['import', file], [importCommand], options);
    expect({ status, stderr }).toEqual({ status: 1, stderr: 'error: interrupted\n' });
    expect(library.started).toEqual([]);
  });

  it('refuses a mapping without a target or an expression', async () => {
    for (const map of ['latency', '=x', 'latencyMs=']) {
      expect(await run(file, '--map', map)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('--map expects TARGET=EXPRESSION'),
      });
    }
  });
});

describe('crucible import of a file that gives nothing', () => {
  const rows = Array.from({ length: 3000 }, (_, i) => ({ latency_ms: i, model: `m${i}` }));
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const parquet = new Uint8Array(
    parquetWriteBuffer({
      columnData: [{ name: 'latency_ms', data: rows.map((row) => row.latency_ms), type: 'DOUBLE' }],
    }),
  );
  const arrow = tableToIPC(
    tableFromArrays({ latency_ms: Float64Array.from(rows, (row) => row.latency_ms) }),
    'file',
  );
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
  const dataOf = () => join(folder, 'data');
  const importInto = (path: string, ...argv: string[]) =>
    runInMemory(['import', path, '--dir', dataOf(), ...argv], [importCommand], { loadLibrary });

  it.each<[string, string | Uint8Array | null, string, ...string[]]>([
    ['absent.csv', null, 'there is no such file or folder (ENOENT)'],
    ['absent/absent.csv', null, 'there is no such file or folder (ENOENT)'],
    ['file.csv/absent.csv', null, 'a part of the path is no folder (ENOTDIR)'],
    ['a-folder', null, 'is a folder without files that could be imported', '--format', 'csv'],
    ['a-folder.parquet', null, 'is a folder without files that could be imported'],
    ['unknown', '?', 'cannot be told by its name'],
    ['zip', Buffer.from('PK\x03\x04\x14\x00'), 'cannot be told by its name'],
    ['empty', '', 'cannot be told by its name'],
    ['png.csv', png, 'it begins like a binary file'],
    ['latin1.csv', Buffer.from('a,b\n1,\xfc\n', 'latin1'), 'line 2 has bytes that are not UTF-8'],
    ['headerless.csv', '2024-03-01,12\n', 'line 1 looks like data'],
    ['png.jsonl', png, 'line 1 has bytes that are not UTF-8'],
    ['png.msgpack', png, 'cannot be read as MessagePack behind record 0'],
    ['png.parquet', png, 'cannot be read as Parquet'],
    ['png.arrow', png, 'cannot be read behind record 0'],
    ['text.jsonl', 'not json\n'.repeat(500), 'none of its 500 records can be understood; the first, at 1: '],
    ['empty.csv', '', 'holds no records'],
    ['empty.tsv.gz', gzipSync(''), 'holds no records'],
    ['empty.jsonl', '', 'holds no records'],
    ['empty.msgpack', '', 'holds no records'],
    ['empty.parquet', '', 'cannot be read as Parquet'],
    ['empty.arrow', '', 'cannot be read behind record 0'],
    ['header.csv', 'latency_ms,model\n', 'holds no records'],
    ['cut.parquet', parquet.subarray(0, parquet.length - 100), 'cannot be read as Parquet'],
    ['cut-early.parquet', parquet.subarray(0, 50), 'cannot be read as Parquet'],
    ['cut.arrow', arrow.subarray(0, 600), 'cannot be read behind record 0'],
    ['cut-early.arrow', arrow.subarray(0, 20), 'cannot be read behind record 0'],
    ['cut.csv.gz', gzipSync(lines).subarray(0, 12), 'cannot be decompressed'],
    ['cut.jsonl.gz', gzipSync(lines).subarray(0, 60), 'cannot be decompressed'],
    ['map.jsonl', lines, 'map.model', '--map', 'model=absent'],
    ['map.csv', 'a,b\n1,2\n', 'map.model', '--map', 'model=absent'],
  ])('%s: one error, and nothing new in the folder', async (name, content, reason, ...argv) => {
    await writeFile(join(folder, 'file.csv'), 'a\n1\n');
    await mkdir(join(folder, 'a-folder'), { recursive: true });
    await mkdir(join(folder, 'a-folder.parquet'), { recursive: true });
    const path = join(folder, name);
    if (content !== null) await writeFile(path, content);
    const { status, stdout, stderr } = await importInto(path, ...argv);
    expect(stderr).toContain(reason);
    if (!reason.startsWith('map')) expect(stderr).toContain(path);
    expect(stderr).toMatch(
      /^error: [^\n]+\(ERR_[A-Z_]+\)\n(See: crucible help import\n|hint: crucible help ERR_[A-Z_]+ says what helps\n)?$/,
    );
    expect({ status, stdout }).toEqual({ status: reason.includes('by its name') ? 2 : 1, stdout: '' });
    await expect(stat(dataOf())).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('without permission', async () => {
    const path = join(folder, 'secret.csv');
    await writeFile(path, 'a\n1\n', { mode: 0 });
    const { status, stderr } = await unprivileged([folder], () => importInto(path));
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(
        /^error: cannot read .*secret.csv: permission denied \(EACCES\); .* \(ERR_STORAGE_IO\)\nhint: crucible help ERR_STORAGE_IO .*\n$/,
      ),
    });
    await expect(stat(dataOf())).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('keeps what was read of a file that ends badly later, and says how much', async () => {
    const many = lines.repeat(40);
    const whole = gzipSync(many);
    const path = join(folder, 'late.jsonl.gz');
    await writeFile(path, whole.subarray(0, whole.length - 50));
    const { status, stdout, stderr } = await importInto(path, '--id', 'late');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    const told = Number(/^([\d,]+) rows of /.exec(stderr)![1]!.replaceAll(',', ''));
    expect(told).toBeGreaterThan(1000);
    expect(stderr).toMatch(
      /crucible show late --dir .+\nerror: .+ cannot be decompressed: .+ \(ERR_FILE_CORRUPT\)\nhint: crucible help ERR_FILE_CORRUPT .*\n$/,
    );
    const library = await loadLibrary();
    expect(await library.listExperiments(dataOf())).toMatchObject([
      { id: 'late', rows: told, heldBy: null, experiment: { status: 'stopped' } },
    ]);
    // A file that cannot be written afterwards takes nothing away.
    const csv = join(folder, 'file.csv');
    const unwritable = await importInto(csv, '--id', 'out', '--out', join(csv, 'below.csv'));
    expect(unwritable).toMatchObject({ status: 1, stdout: '' });
    expect(unwritable.stderr).toMatch(
      /^1 row of .+ read\nKept in .+\n.+crucible show out .+\nerror: .+\(ERR_/,
    );
    expect(await library.listExperiments(dataOf())).toMatchObject([{ id: 'late' }, { id: 'out', rows: 1 }]);
    // An id that is taken is an error before anything is read into it.
    const again = await importInto(join(folder, 'file.csv'), '--id', 'late');
    expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('ERR_CONFIG_INVALID') });
    expect(await library.listExperiments(dataOf())).toMatchObject([
      { id: 'late', rows: told },
      { id: 'out' },
    ]);
  });
});
