/** export, with the library itself on a folder. Run `npm run build` first. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { commands } from '../../../src/cli/commands/index.js';
import { FORMATS } from '../../../src/cli/formats.js';
import { loadLibrary } from '../../../src/cli/library.js';
import { Crucible, type ExportFormat } from '../../../src/index.js';
import { countsOf } from '../../support/counts.js';
import { runInMemory } from '../support/environment.js';

const CONTROL = 'c0c0c0c0c0c0c0c0';
const HEDGED = 'ededededededed00';
const EMPTY = 'eeeeeeeeeeeeeeee';
const LARGE = 'aaaaaaaaaaaaaaaa';
const START = Date.UTC(2026, 0, 2, 12) * 1000;
const SECOND = 1e6;
/** As JSON Lines more than pipes and streams hold on their way. */
const LARGE_ROWS = 50_000;

let root: string;
let dir: string;
/** Of one test. */
let out: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'crucible-export-'));
  dir = join(root, 'data');
  await using crucible = new Crucible({ dir });
  for (const [id, name] of [
    [CONTROL, 'control'],
    [HEDGED, 'hedged'],
  ] as const) {
    const experiment = crucible.startExperiment({ id, name, condition: name, columns: { region: 'dict' } });
    const recorder = experiment.recorder('llm.stop', { model: 'model-a', provider: 'p', region: 'eu' });
    for (let i = 0; i < 100; i++) {
      recorder.recordAt(START + i * SECOND, 100 + i / 8, 0.002, 100 + i, 20, i % 10 !== 9);
    }
    experiment.captureAt(START + 300 * SECOND, 'llm.note', {}, { userId: 'lovelace', why: '=1+1, "so"' });
    await experiment.stop();
  }
  await crucible.startExperiment({ id: EMPTY, name: 'empty' }).stop();
  const large = crucible.startExperiment({ id: LARGE, name: 'large' });
  const recorder = large.recorder('llm.stop');
  for (let i = 0; i < LARGE_ROWS; i++) recorder.recordAt(START + i, i);
  await large.stop();
});
afterAll(() => rmSync(root, { recursive: true }));
let tests = 0;
beforeEach(() => {
  out = join(root, `out-${++tests}`);
  mkdirSync(out);
});

const run = (...argv: string[]) => runInMemory(['export', ...argv, '--dir', dir], commands, { loadLibrary });
async function text(...argv: string[]) {
  const { status, stdout, stderr } = await run(...argv);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const linesOf = (file: string) => readFileSync(file, 'utf8').trimEnd().split('\n');

describe('crucible export', () => {
  it('writes a file with its manifest, and says what is in it', async () => {
    const file = join(out, 'a.csv');
    const stdout = await text('c0', '--out', file);
    const bytes = readFileSync(file);
    expect(stdout.replace(/in .* events\/s/, 'in TIME')).toBe(
      [
        '✓ 101 events of control in TIME',
        `  path       ${file}`,
        '  rows       101',
        `  bytes      ${bytes.length.toLocaleString('en')}`,
        `  sha256     ${sha256(bytes)}`,
        `  manifest   ${file}.manifest.json`,
        '',
      ].join('\n'),
    );
    bytes[0]! ^= 1;
    expect(stdout).not.toContain(sha256(bytes));
    bytes[0]! ^= 1;
    expect(linesOf(file)).toHaveLength(102);
    expect(JSON.parse(readFileSync(`${file}.manifest.json`, 'utf8'))).toMatchObject({
      file: 'a.csv',
      format: 'csv',
      rows: 101,
      sha256: sha256(bytes),
      counts: countsOf({ captured: 101 }),
    });
  });

  it('prints with --json what the help says', async () => {
    const file = join(out, 'a.jsonl.gz');
    const document = JSON.parse(await text(CONTROL, '--out', file, '--failed', '--json'));
    const bytes = readFileSync(file);
    expect(document).toEqual({
      path: file,
      rows: 10,
      cut: 0,
      damaged: 0,
      bytes: bytes.length,
      sha256: sha256(bytes),
      manifest: `${file}.manifest.json`,
      format: 'jsonl',
      elapsedMs: expect.any(Number),
      filter: { success: false },
      anonymized: null,
      experiments: [
        {
          id: CONTROL,
          name: 'control',
          condition: 'control',
          counts: countsOf({ captured: 101 }),
        },
      ],
    });
    const rows = gunzipSync(bytes).toString().trimEnd().split('\n');
    expect(rows.map((row) => JSON.parse(row).success)).toEqual(new Array(10).fill(false));
  });

  it('makes one file of several experiments, ascending by time', async () => {
    const file = join(out, 'both.jsonl');
    expect(await text('ed', 'c0', '--out', file, '--event', 'llm.stop')).toMatch(
      /^✓ 200 events of hedged, control in .*\n {2}only: event llm\.stop\n {2}path /,
    );
    const rows = linesOf(file).map((line) => JSON.parse(line));
    expect(rows.map((row) => row.timestamp)).toEqual(rows.map((_, i) => START + (i >> 1) * SECOND));
    expect(new Set(rows.map((row) => row.experiment_name))).toEqual(new Set(['control', 'hedged']));
  });

  it('hands its options to the export', async () => {
    const [pretty, safe, flat] = ['a.jsonl', 'safe.csv', 'flat.csv'].map((name) => join(out, name)) as [
      string,
      string,
      string,
    ];
    await text('c0', '--out', pretty, '--pretty', '--event', 'llm.note');
    expect(linesOf(pretty).slice(0, 2)).toEqual(['{', '  "cohort": null,']);
    await text('c0', '--out', safe, '--csv-safe', '--event', 'llm.note');
    expect(readFileSync(safe, 'utf8')).toContain(`"'=1+1, ""so"""`);
    await text('c0', '--out', flat, '--no-flatten');
    expect(linesOf(flat)[0]!.split(',')).toHaveLength(15);
  });

  it('hides who it was, with a key that shows nowhere', async () => {
    const [keyFile, file] = [join(out, 'key'), join(out, 'a.jsonl')];
    writeFileSync(keyFile, 'open sesame, please\n');
    const stdout = await text('c0', '--out', file, '--event', 'llm.note', '--anonymize-key-file', keyFile);
    expect(stdout).toContain('  anonymized   hashed: userId, sessionId\n');
    const content = readFileSync(file, 'utf8');
    const { user_id } = JSON.parse(content);
    expect(user_id).toMatch(/^[0-9a-f]{16}$/);
    const manifest = readFileSync(`${file}.manifest.json`, 'utf8');
    expect(JSON.parse(manifest).options.anonymize).toEqual({ mode: 'hash', fields: ['userId', 'sessionId'] });
    expect(content + manifest + stdout).not.toMatch(/lovelace|sesame/);

    // The same key from the environment gives the same hash; dropped, nothing is left.
    const env = { CRUCIBLE_ANONYMIZE_KEY: 'open sesame, please' };
    const again = await runInMemory(
      ['export', 'c0', '--format', 'jsonl', '--out', '-', '--event', 'llm.note', '--dir', dir],
      commands,
      { loadLibrary, env },
    );
    expect(JSON.parse(again.stdout).user_id).toBe(user_id);
    const dropped = ['--format', 'jsonl', '--out', '-', '--event', 'llm.note', '--anonymize-mode', 'drop'];
    expect(JSON.parse(await text('c0', ...dropped)).user_id).toBeNull();
  });

  it('refuses a key that could be guessed, without telling it', async () => {
    const file = join(out, 'short');
    writeFileSync(file, 'hunter2');
    const { status, stdout, stderr } = await run(
      'c0',
      '--format',
      'csv',
      '--out',
      '-',
      '--anonymize-key-file',
      file,
    );
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(
      /^error: the key of --anonymize-key-file or CRUCIBLE_ANONYMIZE_KEY: expected a secret of at least 16 bytes/,
    );
    expect(stderr).not.toContain('hunter2');
  });

  it('writes to standard output what it would write to a file, and nothing besides', async () => {
    const file = join(out, 'a.csv');
    await text('c0', '--out', file);
    expect(await text('c0', '--format', 'csv', '--out', '-')).toBe(readFileSync(file, 'utf8'));
  });

  it('shows rows, bytes and a rate at a terminal while it writes, and leaves nothing of it', async () => {
    const argv = ['export', 'c0', '--out', join(out, 'a.csv'), '--dir', dir];
    const terminal = await runInMemory(argv, commands, { loadLibrary, terminal: true });
    expect(terminal.stderr).toMatch(/export {2}.* {2}0\/101 {4}0 % {2}0 B/);
    expect(terminal.stderr.endsWith('\u001b[?25h')).toBe(true);
    expect(terminal.stdout).not.toContain('ETA');
    const filtered = await runInMemory([...argv, '--success'], commands, { loadLibrary, terminal: true });
    expect(filtered.stderr).toMatch(/export {2}0 {2}0 B/);
  });

  it('ends when it is told to, and leaves no file', async () => {
    for (const id of [CONTROL, LARGE]) {
      const stop = new AbortController();
      const { status, stderr } = await runInMemory(
        ['export', id, '--out', join(out, 'a.csv'), '--dir', dir],
        commands,
        {
          loadLibrary,
          terminal: true,
          signal: stop.signal,
          onStderr: (text) => text.includes('export  ') && stop.abort(),
        },
      );
      expect(status).toBe(1);
      expect(stderr.endsWith('error: interrupted\n')).toBe(true);
      expect(readdirSync(out)).toEqual([]);
    }
  });

  it('fails where there is nothing to export, and leaves no file', async () => {
    const file = join(out, 'a.csv');
    expect(await run(EMPTY, '--out', file)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'error: there are no events in empty (ERR_NO_DATA)\n',
    });
    const none = {
      status: 1,
      stdout: '',
      stderr:
        'error: no events of control pass: event x, failed (ERR_NO_DATA)\nhint: crucible metrics ID --dir DIR shows what an experiment has\n',
    };
    expect(await run('c0', '--out', file, '--event', 'x', '--failed')).toMatchObject(none);
    expect(await run('c0', '--format', 'csv', '--out', '-', '--event', 'x', '--failed')).toMatchObject(none);
    expect(readdirSync(out)).toEqual([]);
  });

  it('fails where it cannot write, and says so', async () => {
    const blocked = join(out, 'file', 'a.csv');
    writeFileSync(join(out, 'file'), '');
    expect(await run('c0', '--out', blocked)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: cannot write .*a\.csv: .*\(E[A-Z]+\).* \(ERR_STORAGE_IO\)\nhint: crucible help ERR_STORAGE_IO .*\n$/,
      ),
    });
    expect(await run('c0', '--format', 'csv', '--out', out)).toMatchObject({
      status: 1,
      stderr: `error: cannot export to ${out}: it is a folder (ERR_EXPORT_PATH)\nhint: name another file with --out\n`,
    });
    expect(readdirSync(out)).toEqual(['file']);
  });

  it.each([
    [['c0'], 'error: export needs --format: csv, jsonl, msgpack, parquet, arrow (ERR_USAGE)\n'],
    [['--format', 'csv'], 'error: export needs more arguments: crucible export ID... --dir DIR'],
    [['c0', 'ed', '--format', 'csv', '--out', '-'], 'error: --out - takes one experiment (ERR_USAGE)\n'],
    [['c0', '--format', 'csv', '--out', '-', '--json'], 'error: --json and --out - exclude each other'],
    [['c0', 'c0c0', '--format', 'csv'], 'error: export names one experiment twice: c0c0'],
    [
      ['c0', '--format', 'csv', '--anonymize-mode', 'drop', '--anonymize-fields', 'timestamp'],
      'error: --anonymize-fields: expected fields that an event can be without, got "timestamp" (ERR_USAGE)\n',
    ],
  ])('refuses %j', async (argv, message) => {
    const { status, stdout, stderr } = await run(...argv);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    if (argv.includes('--json')) {
      expect(`error: ${JSON.parse(stderr).error.message}`.startsWith(message)).toBe(true);
      return;
    }
    expect(stderr.startsWith(message)).toBe(true);
    expect(stderr.endsWith('See: crucible help export\n')).toBe(true);
  });

  it('writes no binary data to a terminal', async () => {
    for (const format of [['msgpack'], ['parquet'], ['arrow'], ['csv', '--compression', 'gzip']]) {
      const argv = ['export', 'c0', '--format', ...format, '--out', '-', '--dir', dir];
      expect(await runInMemory(argv, commands, { loadLibrary, terminal: true })).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('--out - would write binary data to the terminal'),
      });
    }
  });
});

/** Whether the library writes it, and whether it reads it. */
async function supportOf(format: ExportFormat): Promise<{ writes: boolean; reads: boolean }> {
  await using crucible = new Crucible();
  const experiment = crucible.startExperiment({ name: 'probe' });
  experiment.capture('e', {});
  const path = join(out, `probe.${format}`);
  const unless = (code: string) => (error: { code?: string }) => {
    if (error.code !== code) throw error;
    return false;
  };
  const done = () => true;
  const writes = await experiment.export(format, { path }).then(done, unless('ERR_UNSUPPORTED_FORMAT'));
  const reads = writes && (await experiment.importFile(path).then(done, unless('ERR_CONFIG_INVALID')));
  return { writes, reads };
}

describe('the built program', () => {
  const MAIN = 'dist/src/cli/main.js';
  const built = (...argv: string[]) =>
    execFileSync(process.execPath, [MAIN, ...argv], { encoding: 'utf8', stdio: 'pipe' });
  /** What comes to stderr, and the exit status. */
  async function ending(child: ChildProcess) {
    let stderr = '';
    child.stderr!.on('data', (data) => {
      stderr += data;
    });
    const [status] = await once(child, 'close');
    return { status, stderr };
  }
  const streaming = () =>
    spawn(process.execPath, [MAIN, 'export', LARGE, '--dir', dir, '--format', 'jsonl', '--out', '-']);

  it('names a file after the experiment, in exports', () => {
    const main = join(process.cwd(), MAIN);
    const stdout = execFileSync(process.execPath, [main, 'export', 'c0', '--dir', dir, '--format', 'csv'], {
      cwd: out,
      encoding: 'utf8',
    });
    expect(readdirSync(join(out, 'exports'))).toEqual(['control.csv', 'control.csv.manifest.json']);
    expect(stdout).toContain('exports/control.csv\n');
    expect(stdout).not.toContain('\u001b');
  });

  it.for(FORMATS)('exports %s', async (format, { skip }) => {
    skip(!(await supportOf(format)).writes, 'the library does not write it');
    const file = join(out, `a.${format}`);
    const stdout = built('export', 'c0', '--dir', dir, '--out', file);
    expect(stdout).toMatch(/^✓ 101 events of control in /);
    const manifest = JSON.parse(readFileSync(`${file}.manifest.json`, 'utf8'));
    expect(manifest).toMatchObject({ format, rows: 101, sha256: sha256(readFileSync(file)) });
  });

  it.for(FORMATS)('gets the events back from %s', async (format, { skip }) => {
    skip(!(await supportOf(format)).reads, 'the library does not read it');
    const [file, before, after] = [`a.${format}`, 'before.csv', 'after.csv'].map((name) =>
      join(out, name),
    ) as [string, string, string];
    for (const path of [file, before]) built('export', 'c0', '--dir', dir, '--out', path);
    const identity = ['--id', CONTROL, '--name', 'control', '--condition', 'control'];
    built('import', file, ...identity, '--out', after);
    const latencies = (path: string) => {
      const [header, ...rows] = linesOf(path).map((line) => line.split(','));
      return rows.map((row) => row[header!.indexOf('latency_ms')]);
    };
    expect(latencies(after)).toEqual(latencies(before));
    expect(new Set(latencies(after)).size).toBe(101);
  });

  it('streams everything through a pipe', async () => {
    const child = streaming();
    const ended = ending(child);
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk);
    expect(await ended).toEqual({ status: 0, stderr: '' });
    const lines = Buffer.concat(chunks).toString().trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).latency_ms)).toEqual(
      Array.from({ length: LARGE_ROWS }, (_, i) => i),
    );
  });

  it('is content with a reader that has had enough', async () => {
    const child = streaming();
    const ended = ending(child);
    await once(child.stdout, 'data');
    child.stdout.destroy();
    expect(await ended).toEqual({ status: 0, stderr: '' });
  });

  it('waits for a reader that reads slowly, and ends on Ctrl-C', async () => {
    const child = streaming();
    const ended = ending(child);
    await once(child.stdout, 'readable');
    child.kill('SIGINT');
    let bytes = 0;
    child.stdout.on('data', (chunk) => {
      bytes += chunk.length;
    });
    expect(await ended).toEqual({ status: 130, stderr: 'error: interrupted\n' });
    expect(bytes).toBeLessThan(LARGE_ROWS * 300);
    expect(existsSync(join(out, 'exports'))).toBe(false);
  });
});
