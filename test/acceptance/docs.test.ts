/**
 * The lines that docs/exports.md and docs/formats.md show, run as they stand: in a shell, by Python, R, jq and DuckDB, on
 * files that the command line of the packed package has made. What is not installed is told, and with CI=1 it is an
 * error, but for what Debian has no package of.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { type Installed, installed } from './package.js';
import { withDuckDb } from './readers.js';
import { armsOf, DECLARED, FileOrder, fill } from './truth.js';

const IS_CI = [process.env.CI, process.env.CRUCIBLE_CI].some((value) => value === '1' || value === 'true');
/** Debian 12 has no package of these. */
const NOT_TO_BE_HAD = new Set(['pyarrow', 'polars', 'arrow', 'nanoparquet']);
const ROWS = 1000;

const page = readFileSync('docs/exports.md', 'utf8');
const formats = readFileSync('docs/formats.md', 'utf8');

/** The blocks of a language, from their page. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , code]) => code!);
}

/** The lines of shell blocks; those that go on stand on one. Benchmarks are left out. */
const shellLines = blocks(page, 'sh')
  .flatMap((code) => code.replaceAll(/\\\n\s*/g, '').split('\n'))
  .filter((line) => line.trim() !== '' && !/dist\/bench/.test(line));

const order = new FileOrder([armsOf('', ROWS)[0]!]);
const places = Array.from({ length: ROWS }, (_, place) => order.at(place));

let product: Installed;
let folder: string;
let environment: NodeJS.ProcessEnv;

/** What cannot be run here, by what is missing. */
const missing = new Map<string, string[]>();
function lacks(what: string, line: string): void {
  missing.set(what, [...(missing.get(what) ?? []), line]);
}

/** A program as the shell finds it, or undefined. */
function found(program: string): string | undefined {
  const { stdout, status } = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

function shell(line: string) {
  // A pipe fails where any of its programs does.
  return spawnSync('bash', ['-o', 'pipefail', '-c', line], {
    cwd: folder,
    env: environment,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
}

beforeAll(async () => {
  product = await installed();
  folder = mkdtempSync(join(product.folder, 'page-'));
  const command = join(product.folder, 'crucible');
  writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${product.bin} "$@"\n`);
  chmodSync(command, 0o755);
  environment = {
    ...process.env,
    PATH: `${product.folder}${delimiter}${process.env.PATH}`,
    LC_ALL: 'C.UTF-8',
  };
  const crucible = new product.library.Crucible({ dir: join(folder, 'data') });
  const ids = ['295d', '8f01'];
  for (const [i, arm] of armsOf('', ROWS).entries()) {
    const { name, condition, tags } = arm;
    const experiment = crucible.startExperiment({ id: ids[i]!, name, condition, tags, columns: DECLARED });
    fill(arm, experiment);
  }
  await crucible.close();
  const made = [
    '--out requests.parquet',
    '--out no-flatten.parquet --no-flatten',
    '--out requests.arrow',
    '--out requests.arrows --layout stream',
    '--out requests.csv',
    '--out requests.jsonl',
    '--out requests.jsonl.gz',
    '--out requests.msgpack',
    '--out events.msgpack --layout columns',
  ];
  for (const options of made) {
    const { status, stderr } = shell(`crucible export 295d --dir data ${options}`);
    if (status !== 0) throw new Error(`${options}: ${stderr}`);
  }
}, 120_000);

afterAll(() => {
  for (const [what, lines] of missing) {
    process.stderr.write(`docs: ${what} is not here, so that these were not run:\n  ${lines.join('\n  ')}\n`);
  }
  product.remove();
});

describe('in a shell', () => {
  it.each(shellLines)('%s', (line) => {
    const program = ['jq', 'sha256sum', 'gzip'].find((name) => line.includes(name) && !found(name));
    if (program !== undefined) {
      lacks(program, line);
      return;
    }
    const { status, stdout, stderr } = shell(line);
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    const lines = stdout.trim().split('\n');
    expect(stdout.trim()).not.toBe('');
    const failed = places.filter(({ success }) => success === false);
    if (line.includes('select(.success == false)')) expect(lines).toHaveLength(failed.length);
    if (line.includes('select(.latency_ms)')) {
      expect(lines).toHaveLength(places.filter(({ latencyMs }) => latencyMs !== null).length);
    }
    if (line.includes('--failed')) expect(lines.map(String)).toHaveLength(failed.length);
    if (line.includes('.event_name')) expect(lines).toHaveLength(ROWS);
  });
});

describe('by DuckDB', () => {
  const statements = blocks(page, 'sql').flatMap((code) =>
    code.split(/;\n/).filter((line) => line.trim() !== ''),
  );

  it.each(statements)('%s', async (statement) => {
    await withDuckDb(async (connection) => {
      await connection.run(`SET file_search_path = '${folder}'; SET TimeZone = 'UTC'`);
      const result = await connection.runAndReadAll(statement);
      const rows = result.getRowObjects();
      expect(rows.length).toBeGreaterThan(0);
      const counts = rows.flatMap((row) => ('count_star()' in row ? [Number(row['count_star()'])] : []));
      if (counts.length > 0) expect(counts.reduce((sum, count) => sum + count)).toBe(ROWS);
      else if (!statement.includes('kv_metadata')) expect(rows).toHaveLength(ROWS);
    });
  });
});

interface Told {
  readonly line: string;
  readonly rows?: number | null;
  readonly missing?: string;
  readonly error?: string;
}

function check(told: readonly Told[]): void {
  for (const { line, missing: what } of told) if (what !== undefined) lacks(what, line);
  const wrong = told.filter(({ error }) => error !== undefined);
  expect(wrong).toEqual([]);
}

it('by Python', () => {
  const python = ['/usr/bin/python3', 'python3']
    .flatMap((name) => found(name) ?? [])
    .find((path) => spawnSync(path, ['-c', 'import pandas']).status === 0);
  const pages = [
    blocks(page, 'python'),
    // What its last lines define is used as it is meant to be.
    [
      'import msgpack, numpy as np, json',
      ...blocks(formats, 'python'),
      '[column(batch, c["name"]) for batch in batches for c in header["columns"]]',
    ],
  ];
  expect(pages.map((code) => code.length)).toEqual([5, 3]);
  if (python === undefined) {
    lacks('Python with pandas', 'all lines of Python');
    return;
  }
  const code = join(folder, 'lines.json');
  writeFileSync(code, JSON.stringify(pages));
  const output = execFileSync(python, [resolve('test/acceptance/python-lines.py'), code], {
    cwd: folder,
    env: { ...environment, PYTHONWARNINGS: 'ignore' },
    encoding: 'utf8',
  });
  const told = JSON.parse(output) as Told[];
  check(told);
  // Each of these is the whole file.
  const frames = told.filter(({ line, missing: what }) => what === undefined && /^pd\./.test(line));
  expect(frames.length).toBeGreaterThan(3);
  for (const { line, rows } of frames) expect(rows, line).toBe(ROWS);
});

it('by Python with the types of the manifest, which keeps every digit and every text', async () => {
  if (
    !existsSync('/usr/bin/python3') ||
    spawnSync('/usr/bin/python3', ['-c', 'import pandas']).status !== 0
  ) {
    lacks('Python with pandas', 'types of the manifest');
    return;
  }
  const typed = blocks(page, 'python').find((code) => code.startsWith('types = '))!;
  const place = mkdtempSync(join(folder, 'typed-'));
  await using crucible = new Crucible({ workers: 0 });
  const experiment = crucible.startExperiment({ name: 'typed' });
  for (let i = 0; i < 50; i++)
    experiment.capture('x', {}, { third: i / 7, text: ['NA', 'null', '007'][i % 3] });
  await experiment.export('csv', { path: join(place, 'requests.csv') });
  const code = [
    'import json, pandas as pd',
    typed.replace('pd.read_csv(', 'frame = pd.read_csv('),
    'assert list(frame["metadata_third"]) == [i / 7 for i in range(50)]',
    'assert list(frame["metadata_text"][:3]) == ["NA", "null", "007"]',
    'assert frame["latency_ms"].isna().all()',
  ];
  const { status, stderr } = spawnSync('/usr/bin/python3', ['-c', code.join('\n')], {
    cwd: place,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

it('by R', () => {
  const code = blocks(page, 'r');
  expect(code.length).toBe(1);
  if (found('Rscript') === undefined) {
    lacks('R', 'all lines of R');
    return;
  }
  const path = join(folder, 'lines.R');
  writeFileSync(path, code.join('\n'));
  const script = resolve('test/acceptance/r-lines.R');
  const output = execFileSync('Rscript', ['--vanilla', script, path], {
    cwd: folder,
    env: environment,
    encoding: 'utf8',
  });
  const told = [...output.matchAll(/^told\t(ok|missing|error)\t([^\t]*)\t(.*)$/gm)].map(
    ([, how, what, line]): Told => {
      if (how === 'ok') return { line: line!, rows: Number(what) };
      return how === 'missing' ? { line: line!, missing: what! } : { line: line!, error: what! };
    },
  );
  check(told);
  const whole = told.filter(({ missing: what }) => what === undefined);
  expect(whole.length).toBeGreaterThan(1);
  for (const { line, rows } of whole) expect(rows, line).toBe(ROWS);
});

it('with all that can be installed', () => {
  const lacking = [...missing.keys()].filter((what) => !NOT_TO_BE_HAD.has(what));
  if (IS_CI) expect(lacking).toEqual([]);
});
