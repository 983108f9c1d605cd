/** However a process ends that can still run code, everything it captured is on disk, and it ends as it would without us. */
import { type ChildProcessByStdio, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readDocument } from '../../src/storage/disk/document.js';
import { nodeFileSystem } from '../../src/storage/disk/file-system.js';
import { processOneOf, spawnProcessOne } from '../support/process-one.js';
import { read } from './kill.mjs';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-end-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

interface End {
  code: number | null;
  signal: string | null;
  said: string;
}

function start(
  mode: string,
  without: boolean,
  isProcessOne = false,
): ChildProcessByStdio<null, Readable, Readable> {
  const task = { dir, ledger: join(dir, `ledger-${without}`), mode, without };
  const argv = [new URL('./end-child.mjs', import.meta.url).pathname, JSON.stringify(task)];
  const options = { stdio: ['ignore', 'pipe', 'pipe'] } satisfies SpawnOptions;
  const child = isProcessOne ? spawnProcessOne(argv, options) : spawn(process.execPath, argv, options);
  return child as ChildProcessByStdio<null, Readable, Readable>;
}

/** Runs a process to its end. @param signal - sent once it is ready */
async function run(mode: string, signal: NodeJS.Signals | null, without: boolean): Promise<End> {
  const child = start(mode, without);
  let said = '';
  let complaints = '';
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  child.stdout.on('data', (chunk) => {
    said += chunk;
    if (signal === null || said !== 'ready\n') return;
    child.kill(signal);
    if (mode === 'signalTwice') child.kill(signal);
  });
  const [code, by] = await once(child, 'close');
  const [complaint] = /not everything could be written/.exec(complaints) ?? [''];
  return { code, signal: by, said: said + complaint };
}

const captured = (): number[] => JSON.parse(readFileSync(join(dir, 'ledger-false'), 'utf8'));

/** How, a signal that is sent, exit code, signal that it dies of, and what it says besides 'ready'. */
const ENDS: readonly [string, NodeJS.Signals | null, number | null, string | null, string?][] = [
  ['stop', null, 0, null],
  ['exitAtOnce', null, 7, null],
  ['exitInBetween', null, 7, null],
  ['exitCode', null, 3, null],
  ['emptyLoop', null, 0, null],
  ['throws', null, 1, null],
  ['rejects', null, 1, null],
  ['catchesAndExits', null, 9, null],
  ['severalExperiments', null, 7, null],
  ['signal', 'SIGTERM', null, 'SIGTERM'],
  ['signal', 'SIGINT', null, 'SIGINT'],
  ['signal', 'SIGHUP', null, 'SIGHUP'],
  ['signalOnceBefore', 'SIGTERM', 5, null],
  ['signalOnceBefore', 'SIGINT', 5, null],
  ['signalOnceAfter', 'SIGTERM', 5, null],
  ['signalIgnored', 'SIGHUP', 0, null],
  ['signalTwice', 'SIGTERM', null, 'SIGTERM'],
  ['signalTwice', 'SIGINT', null, 'SIGINT'],
  ['signalHandlerRemoved', null, null, 'SIGTERM', 'handled\n'],
  ['signalExit3', 'SIGTERM', null, 'SIGTERM', 'null SIGTERM\n'],
  ['signalExit3', 'SIGINT', null, 'SIGINT', 'null SIGINT\n'],
  ['signalExit4', 'SIGTERM', null, 'SIGTERM', 'null SIGTERM\n'],
  ['signalExit4', 'SIGHUP', null, 'SIGHUP', 'null SIGHUP\n'],
  ['signalExitDeclines', null, 5, null],
  ['exitWithThreads', null, 7, null],
  ['terminatedThread', null, 0, null],
  ['terminatedThreadThenExit', null, 7, null],
  ['threadExits', null, 0, null],
  ['threadThrows', null, 0, null],
  ['crucibleInThreadEnds', null, 0, null],
  ['crucibleInThreadExits', null, 0, null],
  ['crucibleInThreadThrows', null, 0, null],
  ['crucibleInThreadStops', null, 0, null],
  ['crucibleInThreadTerminated', null, 0, null],
  ['crucibleInThreadMainExits', null, 7, null],
];

describe.each(ENDS)('%s %s', (mode, signal, code, by, words = '') => {
  it('ends as it would without us, and keeps everything', async () => {
    const [end, plain] = await Promise.all([run(mode, signal, false), run(mode, signal, true)]);
    const said = (signal === null ? '' : 'ready\n') + words;
    expect({ with: end, without: plain }).toEqual({
      with: { code, signal: by, said },
      without: { code, signal: by, said },
    });
    const found = await read(dir);
    expect(found!.problems).toEqual([]);
    const [main = 0, other = 0] = captured();
    expect(found!.counts[0]).toBe(main);
    // Rows that a thread captured when the ledger was written already are kept too.
    expect(found!.counts[1] ?? 0).toBeGreaterThanOrEqual(other);
    // Nothing of it ran at the end; the next to open the folder puts that in order.
    if (mode === 'crucibleInThreadTerminated' || mode === 'crucibleInThreadMainExits') return;
    const { segments, current } = readDocument(nodeFileSystem, join(dir, 'ended'));
    expect(current).toBeNull();
    expect(segments.every(({ ended }) => ended)).toBe(true);
    expect(segments.reduce((sum, { rows }) => sum + rows, 0)).toBe(found!.counts.reduce((a, b) => a + b));
  });
});

describe.runIf(process.platform === 'linux')('process 1 of a container', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('ends at %s, after everything is kept, and lets its lock go with it', async (signal, code) => {
    const child = start('signalAndCapture', false, true);
    await once(child.stdout, 'data');
    process.kill(processOneOf(child), signal);
    const [end] = await once(child, 'close');
    expect(end).toBe(code);
    const found = await read(dir);
    expect(found!.problems).toEqual([]);
    expect(found!.counts[0]).toBe(captured()[0]);
    expect(readdirSync(join(dir, 'ended')).filter((name) => name.endsWith('.lock'))).toEqual([]);
  });

  it.each(['signalOnceBefore', 'signalOnceAfter'])(
    'leaves a signal to those who listen: %s',
    async (mode) => {
      const child = start(mode, false, true);
      await once(child.stdout, 'data');
      process.kill(processOneOf(child), 'SIGTERM');
      const [end] = await once(child, 'close');
      expect(end).toBe(5);
      const found = await read(dir);
      expect(found!.problems).toEqual([]);
      expect(found!.counts[0]).toBe(captured()[0]);
    },
  );
});

it('says what could not be kept', async () => {
  const end = await run('exitFull', null, false);
  expect(end).toEqual({ code: 7, signal: null, said: 'not everything could be written' });
});

it('is found out when nobody cares for the end', async () => {
  await run('exitUnnoticed', null, false);
  const found = await read(dir);
  expect(found!.counts[0] ?? 0).toBeLessThan(captured()[0]!);
});
