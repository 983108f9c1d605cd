import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readArguments } from '../../src/cli/args.js';
import { UsageError } from '../../src/cli/errors.js';
import { EXPORT_OPTIONS, readExportPlan } from '../../src/cli/export-options.js';

function planOf(argv: readonly string[], env: Record<string, string> = {}) {
  const { values } = readArguments(argv, EXPORT_OPTIONS, 'export');
  return readExportPlan({ options: values, env } as unknown as Parameters<typeof readExportPlan>[0]);
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'crucible-export-options-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
function keyFile(content: string | Uint8Array): string {
  const path = join(folder, 'key');
  writeFileSync(path, content);
  return path;
}

describe('readExportPlan', () => {
  it.each([
    [['--format', 'csv'], { format: 'csv', toStdout: false, options: {} }],
    [['--out', 'a.jsonl'], { format: 'jsonl', toStdout: false, options: { path: 'a.jsonl' } }],
    [
      ['--out', 'a.csv.gz'],
      { format: 'csv', toStdout: false, options: { path: 'a.csv.gz', compression: 'gzip' } },
    ],
    [
      ['--out', 'a.arrows'],
      { format: 'arrow', toStdout: false, options: { path: 'a.arrows', layout: 'stream' } },
    ],
    [['--format', 'jsonl', '--out', 'a.json'], { format: 'jsonl', options: { path: 'a.json' } }],
    [['--format', 'jsonl', '--out', '-', '--pretty'], { toStdout: true, options: { pretty: true } }],
    [['--format', 'csv', '--flatten', '--csv-safe'], { options: { flatten: true, csvSafe: true } }],
    [['--format', 'csv', '--no-flatten'], { options: { flatten: false } }],
    [['--format', 'msgpack', '--layout', 'columns'], { options: { layout: 'columns' } }],
    [
      ['--format', 'parquet', '--compression', 'snappy', '--row-group-rows', '5000'],
      { options: { compression: 'snappy', rowGroupRows: 5000 } },
    ],
    [
      ['--format', 'arrow', '--compression', 'none', '--layout', 'file', '--no-flatten'],
      { options: { compression: 'none', layout: 'file', flatten: false } },
    ],
    [
      ['--format', 'csv', '--event', 'e', '--failed', '--to', '5', '--where', 'seed=7'],
      {
        options: {
          filter: {
            eventName: 'e',
            success: false,
            timeRange: [Number.MIN_SAFE_INTEGER, 5],
            where: { seed: 7 },
          },
        },
      },
    ],
  ])('reads %j', async (argv, plan) => {
    const read = await planOf(argv);
    expect(read).toMatchObject(plan);
    expect(read.options).toEqual(plan.options);
  });

  it.each([
    [[], 'export needs --format: csv, jsonl, msgpack, parquet, arrow'],
    [['--out', '-'], 'export needs --format: csv, jsonl, msgpack, parquet, arrow'],
    [
      ['--out', 'a.xlsx'],
      'export needs --format, or a file ending in .csv, .jsonl, .msgpack, .parquet, .arrow; got a.xlsx',
    ],
    [
      ['--format', 'parqet'],
      '--format expects csv or jsonl or msgpack or parquet or arrow, got "parqet"; did you mean parquet?',
    ],
    [['--format', 'csv', '--out', 'a.parquet'], '--format csv contradicts --out a.parquet'],
    [['--out', 'a.csv.gz', '--compression', 'none'], '--compression none contradicts --out a.csv.gz'],
    [['--out', 'a.arrows', '--layout', 'file'], '--layout file contradicts --out a.arrows'],
    [['--format', 'csv', '--flatten', '--no-flatten'], '--flatten and --no-flatten exclude each other'],
    [['--format', 'jsonl', '--no-flatten'], '--no-flatten is for csv, parquet, arrow only'],
    [['--format', 'csv', '--pretty'], '--pretty is for jsonl only'],
    [['--format', 'jsonl', '--csv-safe'], '--csv-safe is for csv only'],
    [['--format', 'arrow', '--row-group-rows', '9'], '--row-group-rows is for parquet only'],
    [
      ['--format', 'csv', '--compression', 'snappy'],
      '--compression of csv is none or gzip or zstd, not snappy',
    ],
    [['--format', 'arrow', '--compression', 'zstd'], '--compression of arrow is none, not zstd'],
    [['--format', 'msgpack', '--layout', 'file'], '--layout of msgpack is rows or columns, not file'],
    [['--format', 'csv', '--layout', 'rows'], '--layout of csv is not to be chosen'],
    [['--format', 'csv', '--success', '--failed'], '--success and --failed exclude each other'],
    [
      ['--format', 'csv', '--anonymize-fields', 'cohort'],
      '--anonymize-fields needs a key: name its file with --anonymize-key-file, or set CRUCIBLE_ANONYMIZE_KEY',
    ],
    [
      ['--format', 'csv', '--anonymize-mode', 'hash'],
      '--anonymize-mode hash needs a key: name its file with --anonymize-key-file, or set CRUCIBLE_ANONYMIZE_KEY',
    ],
  ])('refuses %j', async (argv, message) => {
    const refused = (async () => planOf(argv))();
    await expect(refused).rejects.toBeInstanceOf(UsageError);
    await expect(refused).rejects.toMatchObject({ message, command: 'export' });
  });
});

describe('the key of an anonymisation', () => {
  const anonymizeOf = async (argv: string[], env?: Record<string, string>) =>
    (await planOf(['--format', 'csv', ...argv], env)).options.anonymize;

  it('comes from a file, without the end of its line, or else from the environment', async () => {
    const file = keyFile('s e c\r\n');
    expect(await anonymizeOf(['--anonymize-key-file', file])).toEqual({ key: 's e c' });
    const env = { CRUCIBLE_ANONYMIZE_KEY: 'other' };
    expect(await anonymizeOf(['--anonymize-key-file', file], env)).toEqual({ key: 's e c' });
    expect(await anonymizeOf(['--anonymize-fields', 'cohort,prompt'], env)).toEqual({
      key: 'other',
      fields: ['cohort', 'prompt'],
    });
  });

  it('is enough by itself, and what is dropped needs none', async () => {
    expect(await anonymizeOf([], { CRUCIBLE_ANONYMIZE_KEY: 'k' })).toEqual({ key: 'k' });
    expect(await anonymizeOf([], { CRUCIBLE_ANONYMIZE_KEY: '' })).toBeUndefined();
    expect(await anonymizeOf(['--anonymize-mode', 'drop'])).toMatchObject({ mode: 'drop' });
  });

  it('is no empty file and none that is no text, which is told without its content', async () => {
    for (const content of ['', '\n', Uint8Array.of(0x73, 0xff)]) {
      await expect(anonymizeOf(['--anonymize-key-file', keyFile(content)])).rejects.toMatchObject({
        code: 'ERR_USAGE',
        message: '--anonymize-key-file expects a file with a key as text, such as openssl rand -hex 32 makes',
      });
    }
    await expect(anonymizeOf(['--anonymize-key-file', join(folder, 'absent')])).rejects.toThrow('ENOENT');
  });
});
