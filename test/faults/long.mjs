/**
 * Long runs of the fault tests, for a person to start after `npm run build`:
 *
 *   node test/faults/long.mjs kill --rounds 1000       processes killed while they capture; about 0.7 s each
 *
 * Options: --seed N (printed; the same seed chooses the same experiments and delays). At a terminal, a line of
 * progress. Exit status 1 when something was found.
 */
import { parseArgs } from 'node:util';
import { killRounds } from './kill.mjs';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, seed: { type: 'string' } },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** What each run is, and what is wrong with what it returns. */
const RUNS = {
  async kill() {
    const rounds = Number(values.rounds ?? 1000);
    const startMs = performance.now();
    const report = await killRounds({
      rounds,
      seed,
      onProgress(kills) {
        const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
        progress(`${kills} of ${rounds} kills, ${minutes} min`);
      },
    });
    progress('');
    console.log(report);
    return report.problems.length === 0;
  },
};

const run = RUNS[positionals[0]];
if (run === undefined) {
  console.error(`which run? ${Object.keys(RUNS).join(', ')}`);
  process.exit(2);
}
console.log(`seed ${seed}`);
process.exitCode = (await run()) ? 0 : 1;
