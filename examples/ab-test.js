// Two arms at the same time in one process: what each emits inside its `run` goes to it alone.
import { setTimeout as sleep } from 'node:timers/promises';
import { Crucible, telemetry } from 'crucible-telemetry';

const crucible = new Crucible();
const control = crucible.startExperiment({ name: 'prompt-a', condition: 'control', sampleSize: 20 });
const treatment = crucible.startExperiment({ name: 'prompt-b', condition: 'treatment', sampleSize: 20 });

/** Stands in for a model call; the code under test knows of no experiment. */
async function callModel(latencyMs = 100) {
  await sleep(1);
  telemetry.execute(
    'req_llm.request.stop',
    { duration: latencyMs * 1e6 },
    { model: 'gpt-4', tokens: { prompt: 200, completion: latencyMs }, response: 'ok' },
  );
}

const arms = [
  { experiment: control, latencyMs: 100 },
  { experiment: treatment, latencyMs: 80 },
].map(async ({ experiment, latencyMs }) => {
  for (let sample = 0; sample < 20; sample++) {
    await experiment.run(() => callModel(latencyMs), { sampleId: sample });
  }
});
await Promise.all(arms);

const { treatments } = await crucible.compare([control, treatment]);
for (const { name, latencyImprovementPct, costDifferenceUsd } of treatments) {
  console.log(
    `${name}: latency ${latencyImprovementPct?.toFixed(1)} %, cost $${costDifferenceUsd?.toFixed(4)}`,
  );
}
console.log(`progress ${control.progress?.collected}/${control.progress?.target}`);
await crucible.close();
