/** A module for the pool's threads that begins to write an export, as far as a temporary file, and dies. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** @param {{ task: { options: { path: string, staging: string } } }} request */
export default function run({ task: { options } }) {
  const folder = dirname(options.path);
  for (const name of [options.staging, `${options.staging}-manifest`]) {
    writeFileSync(join(folder, `.crucible-${name}.tmp`), 'half of it');
  }
  process.exit(1);
}
