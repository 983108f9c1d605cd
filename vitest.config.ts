import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Everything random in a run comes from one number, which replays it. */
process.env.CRUCIBLE_SEED ??= String(Math.floor(Math.random() * 2 ** 31));
console.log(`CRUCIBLE_SEED=${process.env.CRUCIBLE_SEED}`);

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/seed.ts'],
    // Memories are reserved in full per experiment; forks keep one file's reservations out of another's.
    pool: 'forks',
    // Many tests wait, for children, threads and disks.
    maxWorkers: availableParallelism() + 1,
    // Many tests lose events on purpose; those of the warnings listen for them.
    execArgv: ['--disable-warning=CrucibleWarning'],
    testTimeout: 60_000,
  },
});
