import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Memories are reserved in full per experiment; forks keep one file's reservations out of another's.
    pool: 'forks',
    // Many tests lose events on purpose; those of the warnings listen for them.
    execArgv: ['--disable-warning=CrucibleWarning'],
    testTimeout: 60_000,
  },
});
