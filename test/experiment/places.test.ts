/** Where experiments are kept: the folder stays the same, belongs to whom it should, and says what is wrong with it. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ConfigError,
  Crucible,
  type ExperimentOptions,
  ImportSource,
  listExperiments,
  TelemetryError,
} from '../../src/index.js';
import { killedExperiment } from '../support/killed.js';
import { unprivileged } from '../support/unprivileged.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-places-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Permissions of everything below a folder, by name; tokens in names left out. */
function permissionsIn(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(
    ['.', ...entries].map((name) => [
      name.replace(/writer-.*\.lock/, 'lock'),
      (statSync(join(folder, name)).mode & 0o777).toString(8),
    ]),
  );
}

describe('what is created', () => {
  const during = async (options: Partial<ExperimentOptions>, data = join(dir, 'a', 'data')) => {
    const crucible = new Crucible({ dir: data });
    const experiment = crucible.startExperiment({ name: 'e', id: 'e', events: ['e'], ...options });
    experiment.capture('e', {});
    await experiment.flush();
    return { crucible, experiment };
  };

  it('belongs to the process’s user alone', async () => {
    const { crucible, experiment } = await during({});
    expect(permissionsIn(join(dir, 'a'))).toEqual({
      '.': '700',
      data: '700',
      'data/e': '700',
      'data/e/experiment.json': '600',
      'data/e/000001.arrows': '600',
      'data/e/lock': '600',
    });
    await experiment.stop();
    await experiment.compact();
    const exports = join(dir, 'exports');
    await experiment.export('csv', { dir: exports });
    await experiment.archive({ destination: 'local', dir: exports });
    await crucible.close();
    expect(permissionsIn(join(dir, 'a'))).toEqual({
      '.': '700',
      data: '700',
      'data/e': '700',
      'data/e/experiment.json': '600',
      'data/e/000001.parquet': '600',
    });
    expect(permissionsIn(exports)).toEqual({
      '.': '700',
      'e.csv': '600',
      'e.csv.manifest.json': '600',
      'e_archive.jsonl': '600',
    });
  });

  it('belongs to others as well where that is asked for, whatever the umask', async () => {
    const umask = process.umask(0o077);
    try {
      const { crucible } = await during({ folderMode: 0o750, fileMode: 0o640 });
      const expected = {
        '.': '750',
        data: '750',
        'data/e': '750',
        'data/e/experiment.json': '640',
        'data/e/000001.arrows': '640',
        'data/e/lock': '640',
      };
      expect(permissionsIn(join(dir, 'a'))).toEqual(expected);
      await crucible.close();
    } finally {
      process.umask(umask);
    }
  });

  it('goes on as its document is, in another process too', async () => {
    const id = killedExperiment(dir, { rows: 100 });
    chmodSync(join(dir, id, 'experiment.json'), 0o640);
    await using crucible = new Crucible({ dir });
    await crucible.recover();
    const experiment = crucible.experiment(id);
    experiment.capture('req_llm.request.stop', {});
    await experiment.flush();
    expect(permissionsIn(join(dir, id))).toMatchObject({
      'experiment.json': '640',
      '000002.arrows': '640',
      lock: '640',
    });
  });

  it.each([
    { folderMode: 0o600 },
    { fileMode: 0o400 },
    { fileMode: 0o1777 },
    { folderMode: '750' as unknown as number },
    { fileMode: 0.5 },
  ])('has permissions that the process itself can live with: %o', (modes) => {
    expect(() => new Crucible({ dir, ...modes })).toThrow(ConfigError);
    const crucible = new Crucible({ dir });
    expect(() => crucible.startExperiment({ name: 'e', ...modes })).toThrow(ConfigError);
    expect(() => new Crucible().startExperiment({ name: 'e', fileMode: 0o600 })).toThrow('no dir');
  });
});

describe('metadata', () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);

  it.each<[string, Record<string, unknown>]>([
    ['in a circle', circle],
    ['nested too deep', { deep: deep(64) }],
    ['a bigint', { n: 1n }],
    ['too large', { text: 'x'.repeat(1 << 20) }],
  ])('that no document can hold is refused: %s', (_, metadata) => {
    const crucible = new Crucible({ dir });
    const start = () => crucible.startExperiment({ name: 'e', metadata: metadata as never });
    expect(start).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_INVALID',
        context: expect.objectContaining({ path: 'metadata' }),
      }),
    );
    expect(readdirSync(dir)).toEqual([]);
  });

  it('as large and deep as may be comes back', async () => {
    const metadata = { deep: deep(62) as never, text: 'x'.repeat((1 << 20) - 200) };
    await using crucible = new Crucible({ dir });
    await crucible.startExperiment({ name: 'e', metadata }).cleanup();
    expect((await listExperiments(dir))[0]!.experiment!.metadata).toEqual(metadata);
  });
});

it('stays where it was when the working folder changes', () => {
  // A process of its own, since the working folder is everybody's.
  const program = `
    import { Crucible, listExperiments } from 'crucible-telemetry';
    process.chdir(${JSON.stringify(dir)});
    const crucible = new Crucible({ dir: 'data' });
    const first = crucible.startExperiment({ name: 'first', id: 'first', events: ['e'] });
    process.chdir('/');
    const second = crucible.startExperiment({ name: 'second', id: 'second', events: ['e'] });
    for (const experiment of [first, second]) {
      experiment.capture('e', {});
      await experiment.flush();
      await experiment.stop();
      await experiment.query();
    }
    await first.cleanup();
    const { dir, experiments } = await crucible.recover();
    await crucible.close();
    console.log(JSON.stringify([dir, experiments.map(({ id }) => id)]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual([join(dir, 'data'), ['first']]);
  expect(readdirSync(join(dir, 'data')).sort()).toEqual(['first', 'second']);
});

it('says that the working folder is gone, to which a path is relative', () => {
  const program = `
    import { rmdirSync } from 'node:fs';
    import { Crucible, listExperiments, TelemetryError } from 'crucible-telemetry';
    process.chdir(${JSON.stringify(dir)});
    const experiment = new Crucible().startExperiment({ name: 'e', events: ['e'] });
    experiment.capture('e', {});
    rmdirSync(${JSON.stringify(dir)});
    const calls = [
      () => new Crucible({ dir: 'data' }),
      () => new Crucible().startExperiment({ name: 'e', dir: 'data' }),
      () => new Crucible().recover('data'),
      () => listExperiments('data'),
      () => experiment.importFile('file.csv'),
      () => experiment.export('csv'),
      () => experiment.export('csv', { path: 'file.csv' }),
      () => experiment.archive({ destination: 'local' }),
    ];
    for (const call of calls) {
      const error = await Promise.resolve().then(call).catch((error) => error);
      console.log(error instanceof TelemetryError && /ENOENT/.test(error.message));
    }`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  mkdirSync(dir);
  expect(stderr).toBe('');
  expect(stdout).toBe('true\n'.repeat(8));
});

/** Everything that takes a path, called with one. */
const CALLS: Readonly<Record<string, (path: string) => unknown>> = {
  startExperiment: (path) => new Crucible().startExperiment({ name: 'e', id: 'e', dir: path }),
  'startExperiment of a Crucible': (path) =>
    new Crucible({ dir: path }).startExperiment({ name: 'e', id: 'e' }),
  recover: (path) => new Crucible().recover(path),
  listExperiments,
  'ImportSource.open': (path) => ImportSource.open(join(path, 'file.csv')),
  importFile: (path) => new Crucible().startExperiment({ name: 'e' }).importFile(join(path, 'file.csv')),
  'export to a folder': (path) => captured().export('csv', { dir: path }),
  'export to a path': (path) => captured().export('jsonl', { path: join(path, 'file.jsonl') }),
  exportMultiple: (path) => {
    const crucible = new Crucible();
    return crucible.exportMultiple([captured(crucible)], 'parquet', { dir: path });
  },
  'archive to a folder': (path) => captured().archive({ destination: 'local', dir: path }),
  'archive to a path': (path) =>
    captured().archive({ destination: 'local', path: join(path, 'file.parquet'), format: 'parquet' }),
};

function captured(crucible = new Crucible()) {
  const experiment = crucible.startExperiment({ name: 'e', events: ['e'] });
  experiment.capture('e', {});
  return experiment;
}

/** What a call throws; null where it succeeds. */
async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return null;
  } catch (error) {
    return error;
  }
}

describe.each(Object.entries(CALLS))('%s', (name, call) => {
  const reads = ['recover', 'listExperiments'].includes(name);

  async function expectTyped(path: string, code: RegExp): Promise<void> {
    const error = await thrownBy(() => call(path));
    expect(error).toBeInstanceOf(TelemetryError);
    expect((error as TelemetryError).code).toMatch(
      /^ERR_(STORAGE_IO|STORAGE_FULL|EXPORT_PATH|CONFIG_INVALID)$/,
    );
    expect((error as Error).message).toMatch(code);
  }

  it('says what is wrong where a part of the path is a file', async () => {
    writeFileSync(join(dir, 'file'), '');
    await expectTyped(join(dir, 'file', 'below'), /ENOTDIR/);
  });

  it('says what is wrong where links lead in a circle', async () => {
    symlinkSync('circle', join(dir, 'circle'));
    // There is nothing there, for whoever looks.
    if (reads) expect(await thrownBy(() => call(join(dir, 'circle')))).toBeNull();
    else await expectTyped(join(dir, 'circle'), /ELOOP|EEXIST/);
  });

  it('says what is wrong with a name that is too long', () =>
    expectTyped(join(dir, 'x'.repeat(300)), /ENAMETOOLONG|longer than 255/));
  it('says what is wrong with a path that is too long', () =>
    expectTyped(join(dir, 'abc/'.repeat(1500)), /ENAMETOOLONG|too long/));
  it('says what is wrong with a NUL', () => expectTyped(join(dir, 'a\0b'), /NUL/));

  it('says what is wrong without permission', async () => {
    const secret = join(dir, 'secret');
    mkdirSync(secret);
    chmodSync(dir, 0o755);
    chmodSync(secret, 0);
    await unprivileged([], () => expectTyped(reads ? secret : join(secret, 'below'), /EACCES/));
  });

  it('says what is wrong on a read-only disk', async () => {
    const mount = join(dir, 'ro');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,size=64k', 'tmpfs', mount]);
    try {
      if (reads) expect(await thrownBy(() => call(mount))).toBeNull();
      else if (name.toLowerCase().includes('import')) await expectTyped(join(mount, 'below'), /ENOENT/);
      else await expectTyped(join(mount, 'below'), /EROFS/);
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });
});
