/**
 * What does a service lose at full load when everything is on?
 *
 * Two services, one as it is and one under `--import …/register` with every source and a folder to keep its events in.
 * Both are processes of their own that stay for the whole run; a third one makes the load, is the model, and turns from
 * one service to the other, in pairs whose order alternates. Each pair has a ratio, and the median of them counts.
 *
 * Not measured: a network, a model that takes its time, other sizes of answers.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Crucible } from '../src/index.js';
import type { Bench, Row, Scale } from './harness.js';
import type { LoadJob, LoadResult } from './service-load.process.js';

/** When this runs from the sources, the processes are the built ones. */
const BUILT = import.meta.url.endsWith('.ts') ? '../dist/' : '../';
const pathOf = (built: string) => fileURLToPath(new URL(BUILT + built, import.meta.url));

const LOAD = pathOf('bench/service-load.process.js');
const SERVICE = pathOf('bench/service.process.js');
const REGISTER = new URL(`${BUILT}src/instrument/register.js`, import.meta.url).href;

interface Started<T> {
  readonly child: ChildProcess;
  readonly told: T;
}

async function start<T>(path: string, execArgv: string[], env: NodeJS.ProcessEnv): Promise<Started<T>> {
  const child = fork(path, { execArgv, env: { ...process.env, ...env } });
  const [told] = (await once(child, 'message')) as [T];
  return { child, told };
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.disconnect();
  await exited;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

/** Each pair's change from the plain service to the other, in percent. */
function changes({ rounds }: LoadResult, of: (round: LoadResult['rounds'][number][number]) => number) {
  return rounds.map(([plain, full]) => (of(full) / of(plain) - 1) * 100);
}

const KINDS = [
  { path: '/plain', what: 'a request without a call' },
  { path: '/model', what: 'a call of a model a request' },
] as const;

async function eventsIn(dir: string): Promise<number> {
  await using crucible = new Crucible({ dir, workers: 0 });
  return (await crucible.recover()).rows;
}

async function rows({ smoke }: Scale): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'crucible-bench-'));
  const load = await start<{ readonly modelPort: number }>(LOAD, [], {});
  const env = { MODEL_PORT: String(load.told.modelPort) };
  const [plain, full] = await Promise.all([
    start<{ readonly port: number }>(SERVICE, [], env),
    start<{ readonly port: number }>(SERVICE, ['--import', REGISTER], { ...env, CRUCIBLE_DIR: dir }),
  ]);
  const results: Row[] = [];
  let calls = 0;
  for (const { path, what } of KINDS) {
    load.child.send({
      ports: [plain.told.port, full.told.port],
      path,
      pairs: smoke ? 2 : 40,
      roundMs: smoke ? 20 : 500,
      connections: 32,
    } satisfies LoadJob);
    const [result] = (await once(load.child, 'message')) as [LoadResult];
    if (path === '/model') calls += result.requestsOfSecond;
    const perSecond = median(result.rounds.map(([{ requestsPerS }]) => requestsPerS));
    const lostPercent = -median(changes(result, ({ requestsPerS }) => requestsPerS));
    const p99Ms = median(result.rounds.map(([round]) => round.p99Ms));
    const addedPercent = median(changes(result, (round) => round.p99Ms));
    results.push(
      {
        name: `${what}: throughput`,
        value: `${lostPercent.toFixed(1)} % less`,
        against: `of ${Math.round(perSecond)} a second`,
        bound: '≤ 2 %',
        holds: lostPercent <= 2,
      },
      {
        name: `${what}: p99`,
        value: `${addedPercent.toFixed(1)} % more`,
        against: `of ${p99Ms.toFixed(1)} ms`,
        bound: '≤ 2 %',
        holds: addedPercent <= 2,
      },
    );
  }
  for (const { child } of [load, plain, full]) await end(child);
  const events = await eventsIn(dir);
  rmSync(dir, { recursive: true });
  // Each call has a start and an end, or the figures are of something else.
  if (events !== 2 * calls) throw new Error(`${events} events were captured of ${calls} calls`);
  return results;
}

export const service: Bench = {
  question: 'What does a service lose at full load when everything is on?',
  not: 'a network, a model that takes its time',
  rows,
};
