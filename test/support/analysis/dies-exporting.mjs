/** A program for the pool's threads that begins to write an export, as far as a temporary file, and dies. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parentPort } from 'node:worker_threads';

parentPort?.once('message', ({ task: { options } }) => {
  const folder = dirname(options.path);
  for (const name of [options.staging, `${options.staging}-manifest`]) {
    writeFileSync(join(folder, `.crucible-${name}.tmp`), 'half of it');
  }
  process.exit(1);
});
