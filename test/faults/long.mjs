/**
 * Long runs of the fault tests, for a person to start after `npm run build`:
 *
 *   node test/faults/long.mjs kill --rounds 1000       processes killed while they capture; about 0.7 s each
 *   node test/faults/long.mjs kill --prompts 20       the same with a text of 50 kB to 1.5 MB in one of 20 captured rows
 *   node test/faults/long.mjs overload --seconds 60    ten times what the disk takes, with each overflow policy
 *   node test/faults/long.mjs soak --minutes 10        experiments one after the other; what stays behind of them
 *
 * Option: --seed N (printed; the same seed chooses the same experiments and delays). Progress at a terminal. Exit
 * status 1 when something was found. The bounds on time hold for a machine that does nothing else.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Crucible } from '../../dist/src/index.js';
import { runChild } from './children.mjs';
import { killRounds } from './kill.mjs';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    prompts: { type: 'string' },
    seconds: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
const startMs = performance.now();

function progress(text) {
  if (!process.stderr.isTTY) return;
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  process.stderr.write(text === '' ? '\r\x1b[K' : `\r\x1b[K${text}, ${minutes} min`);
}

async function inFolder(task) {
  const dir = mkdtempSync(join(tmpdir(), 'crucible-long-'));
  try {
    return await task(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** How long it takes to open 100 MB again. */
async function reopenMs() {
  return inFolder(async (dir) => {
    const first = new Crucible({ dir });
    const experiment = first.startExperiment({ name: 'large', id: 'large', blockMs: 60_000 });
    const recorder = experiment.recorder('row');
    // 48 bytes a row.
    for (let i = 0; i < 2_200_000; i++) recorder.recordAt(1.7e15 + i, i, i / 8, i, i % 1000, true);
    await first.close();
    const second = new Crucible({ dir });
    const beforeMs = performance.now();
    const { bytes, rows } = await second.recover();
    const ms = performance.now() - beforeMs;
    await second.close();
    return { megabytes: bytes / 1e6, rows, ms };
  });
}

/** Each returns whether all was well. */
const RUNS = {
  async kill() {
    const rounds = Number(values.rounds ?? 1000);
    const onProgress = (kills) => progress(`${kills} of ${rounds} kills`);
    const promptEvery = Number(values.prompts ?? 0);
    const report = await killRounds({ rounds, seed, promptEvery, onProgress });
    progress('');
    console.log(report);
    console.log('reopened', await reopenMs());
    return report.problems.length === 0;
  },

  async overload() {
    const seconds = Number(values.seconds ?? 60);
    const blockMs = 20;
    let good = true;
    for (const overflow of ['reject', 'block', 'overwrite']) {
      progress(overflow);
      const report = await inFolder((dir) =>
        runChild('overload-child.mjs', { dir, overflow, seconds, blockMs }),
      );
      progress('');
      console.log(overflow, report);
      const { offered, retained, dropped, read, problems, waits, loaded } = report;
      good &&= problems.length === 0 && retained + dropped === offered && read === retained;
      good &&= overflow === 'block' ? waits.longestMs <= blockMs : waits.count === 0;
      good &&= loaded.rssGrowthBytes < 16 * 2 ** 20;
      if (overflow === 'reject') good &&= loaded.delayP99Ms <= 20;
    }
    return good;
  },

  async soak() {
    const minutes = Number(values.minutes ?? 10);
    const timer = setInterval(() => progress(`soak of ${minutes} min`), 1000);
    const report = await inFolder((dir) =>
      runChild('soak-child.mjs', { dir, rounds: 16, minutes }, ['--expose-gc']),
    );
    clearInterval(timer);
    progress('');
    const megabytesPerHour = report.heapGrowthBytes / 1e6 / report.hours;
    console.log({ ...report, megabytesPerHour });
    const { problems, openFiles, resources, heapGrowthBytes } = report;
    // A short run measures when garbage was collected, not what is kept.
    const isBounded = megabytesPerHour < 1 || heapGrowthBytes < 300_000;
    return (
      problems.length === 0 && isBounded && openFiles[0] === openFiles[1] && resources[0] === resources[1]
    );
  },
};

const run = RUNS[positionals[0]];
if (run === undefined) {
  console.error(`which run? ${Object.keys(RUNS).join(', ')}`);
  process.exit(2);
}
console.log(`seed ${seed}`);
process.exitCode = (await run()) ? 0 : 1;
