/**
 * A Crucible whose `close` rejects, since not everything could be kept: it leaves no thread, no open file and no lock, the
 * process ends by itself, and another one can open the folder while it still runs. Runs the built package in child
 * processes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { withSmallTmpfs } from '../support/disks/small-tmpfs.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-rejects-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const FAULTY = new URL('../support/disks/faulty-disk.mjs', import.meta.url).href;

interface Told {
  /** Of what `close` rejected with; null when it resolved. */
  readonly code: string | null;
  readonly systemCode: string | null;
  /** More than there were before the Crucible was made. */
  readonly threads: number;
  readonly timers: number;
  /** Open files in the data folder. */
  readonly files: readonly string[];
  readonly locks: readonly string[];
  /** Captured, retained and dropped. */
  readonly counts: readonly [number, number, number];
}

/** How the child's disk comes to fail once an experiment has begun, and what it had written is durable. */
interface Misfortune {
  readonly options?: Record<string, unknown>;
  /** Code that makes it fail. */
  readonly happen: string;
  readonly end?: string;
}

const program = (folder: string, { options = {}, happen, end = '' }: Misfortune) => `
  import * as fs from 'node:fs';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { Crucible } from './dist/src/index.js';
  process.on('warning', () => {});
  const DIR = ${JSON.stringify(folder)};
  const threads = () => fs.readdirSync('/proc/self/task').length;
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const openFiles = () => fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [fs.readlinkSync('/proc/self/fd/' + fd)];
    } catch {
      return [];
    }
  }).filter((path) => path.startsWith(DIR));
  const [threadsBefore, timersBefore] = [threads(), timers()];
  const crucible = new Crucible({ dir: DIR, workers: 0 });
  const experiment = crucible.startExperiment({ name: 'e', id: 'e', flushIntervalMs: 20, ...${JSON.stringify(options)} });
  for (let i = 0; i < 1000; i++) experiment.capture('e', {}, { i, text: 'x'.repeat(100) });
  await experiment.flush().catch(() => {});
  let end = () => {};
  ${happen}
  for (let i = 0; i < 1000; i++) experiment.capture('e', {}, { i, text: 'x'.repeat(100) });
  const error = await crucible.close().then(() => null, (reason) => reason);
  end();
  ${end}
  // The thread sees within a pass that it is not wanted any more.
  for (let i = 0; i < 200 && (threads() > threadsBefore || openFiles().length > 0); i++) await sleep(50);
  const locks = fs.existsSync(DIR + '/e') ? fs.readdirSync(DIR + '/e').filter((name) => name.endsWith('.lock')) : [];
  const { captured, retained, dropped } = experiment.counts;
  console.log(JSON.stringify({
    code: error?.code ?? null,
    systemCode: error?.context?.systemCode ?? null,
    threads: threads() - threadsBefore,
    timers: timers() - timersBefore,
    files: openFiles(),
    locks,
    counts: [captured, retained, dropped],
  }));
  // Until somebody says that it may go on.
  await new Promise((resolve) => process.stdin.once('data', resolve));
  process.stdin.destroy();
`;

/** @returns what the child tells, and what `meanwhile` does while it still runs */
async function run<T>(
  folder: string,
  misfortune: Misfortune,
  meanwhile: () => Promise<T>,
): Promise<[Told, T]> {
  const argv = ['--input-type=module', '--eval', program(folder, misfortune)];
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const result = await meanwhile();
    const exited = once(child, 'exit');
    child.stdin.write('\n');
    // Whatever were left would keep it from that; the test's own time is the limit.
    expect(await exited).toEqual([0, null]);
    return [JSON.parse(line) as Told, result];
  } finally {
    child.kill('SIGKILL');
  }
}

/** Rows that another process finds, and whether it could go on with them. */
async function opened(folder: string): Promise<{ access: string; rows: number }> {
  await using crucible = new Crucible({ workers: 0 });
  const { experiments } = await crucible.recover(folder);
  const { access, rows } = experiments[0]!;
  return { access, rows };
}

/** What is said to be readable is what another process finds, and the rest is said to be lost. */
function expectTold([captured, retained, dropped]: Told['counts'], rows: number): void {
  expect({ captured, retained, dropped }).toEqual({ captured: 2000, retained: rows, dropped: 2000 - rows });
}

const NOTHING_LEFT = { threads: 0, timers: 0, files: [], locks: [] };

const faults = (...list: object[]) => ({ fileSystem: { url: FAULTY, spec: { faults: list } } });

describe('a close that rejects leaves nothing', () => {
  it.each<[string, Misfortune, string, string]>([
    [
      'every sync fails',
      { options: faults({ operation: 'sync', code: 'EIO' }), happen: '' },
      'ERR_STORAGE_IO',
      'EIO',
    ],
    [
      'every write fails',
      { options: faults({ operation: 'write', code: 'EIO' }), happen: '' },
      'ERR_STORAGE_IO',
      'EIO',
    ],
    [
      'no file can be opened',
      { options: faults({ operation: 'open', code: 'EMFILE' }), happen: '' },
      'ERR_STORAGE_IO',
      'EMFILE',
    ],
    [
      'the thread cannot read the document',
      { options: faults({ operation: 'readFile', code: 'EIO' }), happen: '' },
      'ERR_STORAGE_IO',
      'EIO',
    ],
    [
      'no document can be written',
      { options: faults({ operation: 'rename', code: 'ENOSPC' }), happen: '' },
      'ERR_STORAGE_FULL',
      'ENOSPC',
    ],
    [
      'there are no descriptors left',
      {
        happen: `
          const taken = [];
          // What is wanted of the module later must be there.
          try {
            for (;;) taken.push(fs.openSync('/dev/null', 'r'));
          } catch {}
          end = () => taken.forEach((fd) => fs.closeSync(fd));`,
      },
      'ERR_STORAGE_IO',
      'EMFILE',
    ],
  ])('%s', async (_, misfortune, code, systemCode) => {
    const [{ counts, ...told }, { access, rows }] = await run(dir, misfortune, () => opened(dir));
    expectTold(counts, rows);
    expect(told).toEqual({ code, systemCode, ...NOTHING_LEFT });
    // The experiment was stopped, or was running when this came: either way nobody holds it.
    expect(access).not.toBe('none');
  });

  it('the folder is gone', async () => {
    const happen = 'fs.rmSync(DIR, { recursive: true });';
    const [{ counts, ...told }] = await run(dir, { happen }, async () => {
      expect(existsSync(dir)).toBe(false);
    });
    expectTold(counts, 0);
    expect(told).toEqual({ code: 'ERR_STORAGE_IO', systemCode: 'ENOENT', ...NOTHING_LEFT });
  });

  it('somebody else has the lock', async () => {
    const happen = `
      const [lock] = fs.readdirSync(DIR + '/e').filter((name) => name.endsWith('.lock'));
      const holder = JSON.parse(fs.readFileSync(DIR + '/e/' + lock, 'utf8'));
      fs.rmSync(DIR + '/e/' + lock);
      fs.writeFileSync(DIR + '/e/writer-1-0123456789abcdef.lock', JSON.stringify({ ...holder, pid: 1, processStart: null }));
      // As if it had not looked at it for a minute.
      const { now } = Date;
      Date.now = () => now() + 60_000;`;
    const [{ counts, ...told }] = await run(dir, { happen }, async () => {});
    expect(counts[1] + counts[2]).toBe(counts[0]);
    expect(told.locks.filter((name) => name !== 'writer-1-0123456789abcdef.lock')).toEqual([]);
    expect({ ...told, locks: [], code: null }).toEqual({ ...NOTHING_LEFT, code: null, systemCode: null });
  });

  it('the disk is full', async (context) => {
    const outcome = await withSmallTmpfs(512 * 1024, async (folder) => {
      const happen = `
        try {
          fs.writeFileSync(DIR + '/ballast', Buffer.alloc(1 << 20));
        } catch {}
        end = () => fs.rmSync(DIR + '/ballast');`;
      const [{ counts, ...told }, { access, rows }] = await run(folder, { happen }, () => opened(folder));
      expect(told).toEqual({ code: 'ERR_STORAGE_FULL', systemCode: 'ENOSPC', ...NOTHING_LEFT });
      expectTold(counts, rows);
      expect(rows).toBeGreaterThanOrEqual(1000);
      expect(access).not.toBe('none');
      expect(readdirSync(join(folder, 'e')).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
    });
    if ('skipped' in outcome) context.skip(outcome.skipped);
  });
});
