/** What may become of an experiment after its process: it goes on, ends, is opened again, or is only read. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  ConfigError,
  Crucible,
  listExperiments,
  NotFoundError,
  type RecoverOptions,
} from '../../src/index.js';
import { nodeFileSystem } from '../../src/storage/disk/file-system.js';
import { holderOf } from '../../src/storage/disk/lock.js';
import { killedExperiment } from '../support/killed.js';
import { unprivileged } from '../support/unprivileged.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-recover-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const MAIN = new URL('../../dist/src/cli/main.js', import.meta.url).pathname;
const cli = (...argv: string[]) => execFileSync(process.execPath, [MAIN, ...argv], { encoding: 'utf8' });
const statusOf = async () => (await listExperiments(dir))[0]!.experiment!.status;

async function stopped(id = 'e', rows = 10): Promise<void> {
  await using crucible = new Crucible({ dir });
  const experiment = crucible.startExperiment({ name: id, id, events: ['e'] });
  for (let i = 0; i < rows; i++) experiment.capture('e', { durationMs: i });
}

describe('an interrupted experiment', () => {
  it.each<[string, (id: string) => unknown]>([
    ['nothing', () => {}],
    ['crucible recover', () => cli('recover', dir)],
    ['crucible list and show', (id) => [cli('list', dir), cli('show', id, '--dir', dir)]],
    ['recover that does not resume', () => new Crucible().recover(dir, { resume: false })],
    ['recover that only reads', () => new Crucible().recover(dir, { readOnly: true })],
  ])('can go on after %s', async (_, before) => {
    const id = killedExperiment(dir, { rows: 100 });
    await before(id);
    await using crucible = new Crucible({ dir });
    const { experiments } = await crucible.recover();
    expect(experiments).toMatchObject([
      { id, access: 'write', status: 'running', interrupted: true, resumable: false },
    ]);
    const experiment = crucible.experiment(id);
    experiment.recorder('e').record(1);
    await experiment.flush();
    expect(experiment.counts).toMatchObject({ captured: 101, retained: 101 });
  });

  it('can go on in the Crucible that has looked at it before', async () => {
    const id = killedExperiment(dir, { rows: 10 });
    await using crucible = new Crucible({ dir });
    await crucible.recover(dir, { resume: false });
    const looked = crucible.experiment(id);
    expect(() => looked.pause()).toThrow('only read here');
    await crucible.recover();
    const experiment = crucible.experiment(id);
    expect(experiment).not.toBe(looked);
    experiment.recorder('e').record(1);
    expect(experiment.counts.captured).toBe(11);
    expect((await looked.query()).length).toBe(10);
  });

  it('ends with --stop, and with stop', async () => {
    killedExperiment(dir, { rows: 10 });
    cli('recover', dir, '--stop');
    expect(await statusOf()).toBe('stopped');
    await using crucible = new Crucible({ dir });
    expect((await crucible.recover()).experiments).toMatchObject([{ access: 'read', interrupted: false }]);
  });
});

describe('a stopped experiment', () => {
  it('is opened again where that is asked for, with its time since then as a pause', async () => {
    await stopped();
    const { startedAt, stoppedAt } = (await listExperiments(dir))[0]!.experiment!;
    await using crucible = new Crucible({ dir });
    expect((await crucible.recover()).experiments).toMatchObject([{ access: 'read', status: 'stopped' }]);
    const old = crucible.experiment('e');
    expect(() => old.pause()).toThrow(
      /it is stopped; crucible\.recover\(dir, \{ reopen: \['e'\] \}\) lets it go on/,
    );
    expect((await crucible.recover(dir, { reopen: ['e'] })).experiments).toMatchObject([
      { access: 'write', status: 'running', interrupted: false, resumable: false },
    ]);
    const experiment = crucible.experiment('e');
    expect(experiment).toMatchObject({ status: 'running', stoppedAt: null, startedAt });
    experiment.capture('e', { durationMs: 5 });
    await experiment.flush();
    expect(experiment.counts).toMatchObject({ captured: 11, retained: 11 });
    expect(experiment.streamingMetrics().count).toBe(11);
    await experiment.stop();
    expect(experiment.stoppedAt! - startedAt - experiment.times.pausedSeconds * 1e6).toBeLessThan(
      stoppedAt! - startedAt + 5e6,
    );
    expect(await statusOf()).toBe('stopped');
    // It is read from the folder, where there are more by now.
    expect((await old.query()).length).toBe(11);
  });

  it('warns of events that it is given, and says how it can go on', async () => {
    await stopped();
    await using crucible = new Crucible({ dir });
    await crucible.recover();
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    crucible.experiment('e').capture('e', {});
    expect(warn).toHaveBeenCalledWith(
      expect.stringContaining("{ reopen: ['e'] }"),
      expect.objectContaining({ code: 'CRUCIBLE_REFUSED' }),
    );
    warn.mockRestore();
    expect(crucible.experiment('e').counts.refused).toMatchObject({ total: 1, stopped: 1 });
  });

  it('is opened again with all others, or alone, and an archived one only by its id', async () => {
    for (const id of ['a', 'b', 'archived']) await stopped(id);
    {
      await using crucible = new Crucible({ dir });
      await crucible.recover();
      await crucible.experiment('archived').archive({ destination: 'local', dir: join(dir, 'exports') });
      await crucible.recover(dir, { reopen: ['b'] });
      expect(
        crucible
          .experiments()
          .map(({ id, status }) => [id, status])
          .sort(),
      ).toEqual([
        ['a', 'stopped'],
        ['archived', 'archived'],
        ['b', 'running'],
      ]);
      await crucible.recover(dir, { reopen: true });
      expect(crucible.experiment('a').status).toBe('running');
      expect(crucible.experiment('archived').status).toBe('archived');
      await crucible.recover(dir, { reopen: ['archived'] });
      expect(crucible.experiment('archived').status).toBe('running');
    }
    expect((await listExperiments(dir)).map(({ experiment }) => experiment!.status)).toEqual([
      'stopped',
      'stopped',
      'stopped',
    ]);
  });

  it('that is open here, with its memory, is opened anew', async () => {
    await using crucible = new Crucible({ dir });
    const first = crucible.startExperiment({ name: 'e', id: 'e', events: ['e'] });
    first.capture('e', {});
    await first.stop();
    await crucible.recover(dir, { reopen: ['e'] });
    const second = crucible.experiment('e');
    second.capture('e', {});
    expect([first.counts.captured, second.counts.captured]).toEqual([1, 2]);
    expect(crucible.experiments()).toEqual([second]);
  });

  it('that is not there is an error, before anything is done', async () => {
    await stopped();
    await using crucible = new Crucible({ dir });
    await expect(crucible.recover(dir, { reopen: ['e', 'f'] })).rejects.toThrow(NotFoundError);
    expect(crucible.experiments()).toEqual([]);
  });
});

it.each<[string, RecoverOptions]>([
  ['readOnly', { readOnly: 1 as never }],
  ['resume', { resume: null as never }],
  ['reopen', { reopen: 'e' as never }],
  ['reopen', { reopen: [1] as never }],
  ['stop', { stop: true, readOnly: true }],
  ['stealLocks', { stealLocks: true, readOnly: true }],
  ['reopen', { reopen: true, resume: false }],
  ['reopen', { reopen: ['e'], stop: true }],
])('%s: options that make no sense are refused: %o', async (path, options) => {
  await using crucible = new Crucible({ dir });
  const error = await crucible.recover(dir, options).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).context).toMatchObject({ path });
});

describe('a disk that cannot be written', () => {
  const rows = 500;

  async function expectRead(folder: string, code: string): Promise<void> {
    expect(await listExperiments(folder)).toMatchObject([{ rows, error: null, interrupted: true }]);
    await using crucible = new Crucible({ dir: folder });
    const { experiments } = await crucible.recover();
    expect(experiments).toMatchObject([
      { access: 'read', rows, damage: [], resumable: true, changed: false, error: null },
    ]);
    expect(experiments[0]!.notice).toMatchObject({
      code: expect.stringMatching(/^ERR_STORAGE_/),
      message: expect.stringContaining(code),
    });
    const [experiment] = crucible.experiments();
    expect((await experiment!.query()).length).toBe(rows);
    experiment!.capture('e', {});
    expect(experiment!.counts.refused).toMatchObject({ readOnly: 1 });
  }

  it('because it is read-only is read, with a notice', async () => {
    const mount = join(dir, 'mount');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mount]);
    try {
      const id = killedExperiment(mount, { rows });
      execFileSync('mount', ['-o', 'remount,ro', mount]);
      await expectRead(mount, 'EROFS');
      expect(cli('recover', mount)).toMatch(new RegExp(`${id}: only read, and not repaired: [^]*EROFS`));
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });

  it('because it is full is read, with a notice', async () => {
    const mount = join(dir, 'mount');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mount]);
    try {
      killedExperiment(mount, { rows });
      expect(() => writeFileSync(join(mount, 'ballast'), Buffer.alloc(16 << 20))).toThrow('ENOSPC');
      await expectRead(mount, 'ENOSPC');
      rmSync(join(mount, 'ballast'));
      await using crucible = new Crucible({ dir: mount });
      expect((await crucible.recover()).experiments).toMatchObject([{ access: 'write', notice: null }]);
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });

  it('because that is not allowed is read, with a notice', async () => {
    const id = killedExperiment(dir, { rows });
    for (const [path, mode] of [
      ['.', '755'],
      [id, '755'],
      [join(id, 'experiment.json'), '644'],
      [join(id, '000001.arrows'), '644'],
    ] as const) {
      execFileSync('chmod', [mode, join(dir, path)]);
    }
    // The folder stays root's, where root runs this.
    if (process.getuid?.() !== 0) execFileSync('chmod', ['555', join(dir, id)]);
    for (const name of readdirSync(join(dir, id))) if (name.endsWith('.lock')) rmSync(join(dir, id, name));
    await unprivileged([], () => expectRead(dir, 'EACCES'));
  });
});

describe('a lock', () => {
  /** A lock as somebody on another machine has written it, by a clock that was a year ahead. */
  function fromTheFuture(id: string, change: object = {}): string {
    const holder = {
      ...{
        pid: 7,
        processStart: '1',
        bootId: 'elsewhere',
        pidNamespace: 'pid:[1]',
        host: 'elsewhere',
        sinceUs: 1,
      },
      ...change,
    };
    const path = join(dir, id, 'writer-7-0123456789abcdef.lock');
    writeFileSync(path, `${JSON.stringify(holder)}\n`);
    const seconds = Date.now() / 1000 + 365 * 86_400;
    utimesSync(path, seconds, seconds);
    return path;
  }

  it('of the future is held, and is taken where that is asked for and nobody writes to it', {
    timeout: 120_000,
  }, async () => {
    const id = killedExperiment(dir, { rows: 10 });
    fromTheFuture(id);
    await using crucible = new Crucible({ dir });
    expect((await crucible.recover()).experiments).toMatchObject([
      { access: 'read', heldBy: { pid: 7, host: 'elsewhere' }, status: 'running', resumable: false },
    ]);
    await crucible.experiment(id).cleanup();
    expect((await crucible.recover(dir, { stealLocks: true })).experiments).toMatchObject([
      { access: 'write', heldBy: null, status: 'running' },
    ]);
    expect(holderOf(nodeFileSystem, join(dir, id))!.pid).toBe(process.pid);
  });

  it('that somebody writes to is not taken, whatever its time', { timeout: 120_000 }, async () => {
    const id = killedExperiment(dir, { rows: 10 });
    const path = fromTheFuture(id);
    const refresh = setInterval(() => writeFileSync(path, readFileSync(path)), 10_000);
    try {
      await using crucible = new Crucible({ dir });
      expect((await crucible.recover(dir, { stealLocks: true })).experiments).toMatchObject([
        { access: 'read', heldBy: { pid: 7 }, notice: { code: 'ERR_LOCKED' } },
      ]);
    } finally {
      clearInterval(refresh);
    }
  });

  it('of a process that is seen to run is not taken', async () => {
    await using crucible = new Crucible({ dir });
    crucible.startExperiment({ name: 'e', id: 'e' });
    await using other = new Crucible({ dir });
    expect((await other.recover(dir, { stealLocks: true })).experiments).toMatchObject([
      { access: 'read', heldBy: { pid: process.pid }, notice: { code: 'ERR_LOCKED' } },
    ]);
    expect(cli('recover', dir, '--steal-locks')).toContain('only read, and not repaired: ');
  });
});
