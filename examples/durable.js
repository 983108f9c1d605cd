// Survive a crash: a child process captures and kills itself; this one gets its events back.
// Usage: node durable.js [DIR]
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Crucible } from 'crucible-telemetry';

const [dir = mkdtempSync(join(tmpdir(), 'crucible-')), role] = process.argv.slice(2);

if (role === 'child') {
  const experiment = new Crucible({ dir }).startExperiment({ name: 'doomed', id: 'doomed' });
  const recorder = experiment.recorder('req_llm.request.stop', { model: 'gpt-4' });
  for (let i = 0; i < 10_000; i++) recorder.record(100 + (i % 10));
  await experiment.flush(); // from here on the 10,000 events survive anything
  process.kill(process.pid, 'SIGKILL');
}

const { signal } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), dir, 'child']);
console.log(`the child was ended by ${signal}`);

const crucible = new Crucible({ dir });
const { experiments } = await crucible.recover();
console.log(`${experiments[0].name}: ${experiments[0].rows} events, ${experiments[0].damage.length} damaged`);

const experiment = crucible.experiment('doomed');
experiment.recorder('req_llm.request.stop', { model: 'gpt-4' }).record(95); // it goes on
const { latency } = await experiment.metrics();
console.log(`${latency.count} latencies, mean ${latency.mean?.toFixed(2)} ms`);
await crucible.close();
