/** An application that exports with a codec of an optional package, where Node has none; prints what came of it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Crucible } from 'crucible-telemetry';

const ROWS = 2_500;

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'crucible-bundled-'));
  const crucible = new Crucible({ workers: 1 });
  const experiment = crucible.startExperiment({ name: 'compressed', capacity: ROWS });
  const recorder = experiment.recorder('request');
  for (let i = 0; i < ROWS; i++) recorder.record(i);
  try {
    const path = join(folder, 'exported.parquet');
    const { rows } = await experiment.export('parquet', { path, compression: 'zstd' });
    console.log(JSON.stringify({ rows }));
  } catch (error) {
    console.log(JSON.stringify({ code: /** @type {{ code: string }} */ (error).code }));
  }
  await crucible.close();
  rmSync(folder, { recursive: true });
}

main();
