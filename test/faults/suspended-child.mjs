/** A process that captures and flushes, and says when that fails. */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crucible } from '../../dist/src/index.js';

const crucible = new Crucible({ dir: process.argv[2] });
const experiment = crucible.startExperiment({ name: 'e', id: 'e', events: ['e'], flushIntervalMs: 10 });
let acknowledged = 0;
for (let i = 1; ; i++) {
  experiment.capture('e', { durationMs: i });
  try {
    await experiment.flush();
  } catch (error) {
    writeSync(
      1,
      `${JSON.stringify({ code: error.code, acknowledged, error: experiment.storage.error?.code })}\n`,
    );
    process.exit(0);
  }
  acknowledged = i;
  if (i === 1) writeSync(1, 'ready\n');
  await sleep(5);
}
