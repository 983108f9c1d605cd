import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type ExportManifest,
  explicitExportPath,
  exportFile,
  replaceFile,
  resolveExportPath,
  stageFile,
} from '../../src/export/index.js';
import { event, sourceOf, useFolder } from './support.js';

const folder = useFolder();

describe('exportFile', () => {
  it('writes the file and a manifest that describes it', async () => {
    const rows = [
      event({ timestamp: 1_700_000_000_000_002 }),
      event({
        timestamp: 1_700_000_000_000_001,
        experimentId: 'B',
        experimentName: 'b',
        condition: 'treatment',
      }),
    ];
    const result = await exportFile(sourceOf(...rows), 'csv', {
      dir: join(folder(), 'new', 'deep'),
      name: 'runs/first',
      counts: { captured: 2, retained: 2, dropped: 0, malformed: 0 },
      libraryVersion: '0.1.0',
      anonymize: { key: 'top secret of 16 bytes', fields: ['email'] },
    });
    const content = await readFile(result.path);
    expect(result).toEqual({
      path: join(folder(), 'new', 'deep', 'runs', 'first.csv'),
      rows: 2,
      cut: 0,
      damaged: 0,
      bytes: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
      manifest: `${result.path}.manifest.json`,
    });
    const text = await readFile(result.manifest, 'utf8');
    expect(text).not.toContain('top secret');
    const manifest = JSON.parse(text) as ExportManifest;
    expect(manifest).toMatchObject({
      file: 'first.csv',
      format: 'csv',
      rows: 2,
      bytes: result.bytes,
      sha256: result.sha256,
      timeRange: {
        startUs: 1_700_000_000_000_001,
        endUs: 1_700_000_000_000_002,
        start: '2023-11-14T22:13:20.000001Z',
      },
      experiments: [
        { id: 'EXP', name: 'golden', condition: 'control', rows: 1 },
        { id: 'B', name: 'b', condition: 'treatment', rows: 1 },
      ],
      counts: { captured: 2 },
      libraryVersion: '0.1.0',
      options: { anonymize: { mode: 'hash', fields: ['userId', 'sessionId', 'email'] } },
    });
    expect(manifest.schema).toContainEqual({ name: 'event_id', type: 'text', nullable: false });
    expect(await readdir(join(result.path, '..'))).toEqual(['first.csv', 'first.csv.manifest.json']);
  });

  it('writes to an explicit path and replaces what is there', async () => {
    const path = join(folder(), 'out.txt');
    await writeFile(path, 'old');
    const result = await exportFile(sourceOf(event()), 'jsonl', { path });
    expect(result.path).toBe(path);
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ event_id: 'e-00-0000000000' });
  });

  it('makes no file without events or for an unknown format', async () => {
    const path = join(folder(), 'sub', 'none.csv');
    await expect(exportFile(sourceOf(), 'csv', { path })).rejects.toMatchObject({ code: 'ERR_NO_DATA' });
    await expect(exportFile(sourceOf(event()), 'xml', { path })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
    });
    expect(await readdir(folder())).toEqual([]);
  });

  it('leaves the old file and nothing else when the events fail half way', async () => {
    const path = join(folder(), 'kept.jsonl');
    await writeFile(path, 'old');
    const failing = async function* () {
      for (let i = 0; i < 1000; i += 1) yield event();
      throw new Error('storage went away');
    };
    await expect(exportFile(failing, 'jsonl', { path })).rejects.toThrow('storage went away');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder())).toEqual(['kept.jsonl']);
  });

  it('refuses a path, or a manifest path, that is a folder', async () => {
    await mkdir(join(folder(), 'a.csv'));
    await mkdir(join(folder(), 'b.csv.manifest.json'));
    for (const name of ['a', 'b']) {
      const path = join(folder(), `${name}.csv`);
      await expect(exportFile(sourceOf(event()), 'csv', { path })).rejects.toMatchObject({
        code: 'ERR_EXPORT_PATH',
      });
    }
    expect(await readdir(folder())).toEqual(['a.csv', 'b.csv.manifest.json']);
  });

  it('fails with a typed error where the folder cannot be made', async () => {
    await writeFile(join(folder(), 'file'), '');
    await expect(
      exportFile(sourceOf(event()), 'csv', { path: join(folder(), 'file', 'x.csv') }),
    ).rejects.toMatchObject({ name: 'StorageError', code: 'ERR_STORAGE_IO' });
  });
});

describe('resolveExportPath', () => {
  it.each(['run 1', 'a/b', 'Größe: 50%', '.hidden', 'a..b', 'x'.repeat(237)])('takes %j', async (name) => {
    expect(await resolveExportPath(folder(), name, 'csv')).toBe(join(folder(), `${name}.csv`));
    expect(await readdir(folder())).toEqual([]);
  });

  it.each([
    '',
    '.',
    '..',
    '../x',
    'a/../../x',
    'a\\..\\..\\x',
    'a//b',
    'a/',
    '/etc/x',
    '\\x',
    'C:\\x',
    'a\0b',
    'a\ud800',
    'x'.repeat(238),
    'é'.repeat(119),
  ])('refuses %j', async (name) => {
    await expect(resolveExportPath(folder(), name, 'csv')).rejects.toMatchObject({ code: 'ERR_EXPORT_PATH' });
  });

  it('refuses a symbolic link that leads out, or nowhere, but not one that stays', async () => {
    const root = join(folder(), 'exports');
    await mkdir(join(root, 'inside'), { recursive: true });
    await mkdir(join(folder(), 'exports-other'));
    await symlink(join(folder(), 'exports-other'), join(root, 'out'));
    await symlink(join(folder(), 'missing'), join(root, 'dangling'));
    await symlink(join(root, 'inside'), join(root, 'in'));
    for (const name of ['out/x', 'out/new/x', 'dangling/x']) {
      await expect(resolveExportPath(root, name, 'csv')).rejects.toMatchObject({ code: 'ERR_EXPORT_PATH' });
    }
    await expect(resolveExportPath(root, 'in/x', 'csv')).resolves.toBe(join(root, 'in', 'x.csv'));
  });

  it('takes any explicit path that is a plain text', () => {
    expect(explicitExportPath('/tmp/../tmp/x.csv')).toBe('/tmp/x.csv');
    for (const path of ['', 'a\0', 'dir/', '..', 5, null, { toString: () => 'x' }]) {
      expect(() => explicitExportPath(path)).toThrow(expect.objectContaining({ code: 'ERR_EXPORT_PATH' }));
    }
  });
});

describe('stageFile', () => {
  it('writes text and bytes beside the target, and tells their size and hash', async () => {
    const path = join(folder(), 'mixed');
    // Longer than what is written at once, in pieces that do not divide it.
    const pieces = Array.from({ length: 40 }, (_, i) => new Uint8Array(99_991).fill(i));
    const staged = await stageFile(
      path,
      (async function* () {
        yield 'é';
        for (const piece of pieces) {
          yield piece;
          piece.fill(0xff);
        }
      })(),
    );
    expect(await readdir(folder())).toEqual([basename(staged.temporaryPath)]);
    await replaceFile(staged.temporaryPath, path);
    const content = await readFile(path);
    const expected = Buffer.concat([
      Buffer.from('é'),
      ...Array.from({ length: 40 }, (_, i) => Buffer.alloc(99_991, i)),
    ]);
    expect(content.equals(expected)).toBe(true);
    expect(staged).toMatchObject({
      bytes: expected.length,
      sha256: createHash('sha256').update(expected).digest('hex'),
    });
    expect(await readdir(folder())).toEqual(['mixed']);
  });

  it('has an empty file of nothing', async () => {
    const staged = await stageFile(join(folder(), 'empty'), (async function* () {})());
    await replaceFile(staged.temporaryPath, join(folder(), 'empty'));
    expect(staged.bytes).toBe(0);
    expect(await readFile(join(folder(), 'empty'), 'utf8')).toBe('');
  });
});
