// An experiment that is watched while it runs and stopped early, on made-up data; docs/comparison.md explains it.
import { Crucible } from 'crucible-telemetry';
import { normalQuantile, SeededRandom } from 'crucible-telemetry/stats';

const crucible = new Crucible();
const random = new SeededRandom(11);
const uniform = () => (random.nextUint32() + 0.5) / 2 ** 32;
const normal = () => normalQuantile(uniform());
const arms = ['control', 'cache'].map((name) => crucible.startExperiment({ name, events: [] }));
const recorders = arms.map((experiment) => experiment.recorder('req_llm.request.stop'));

// Fixed before the first look: what decides, by how much latency may be worse, alpha and tuning.
const look = () =>
  crucible.compare(arms, {
    metrics: [
      { of: 'costUsd', role: 'primary' },
      { of: 'latencyMs', summary: { quantile: 0.5 }, role: 'guardrail', margin: { relative: 0.1 } },
      { of: 'success', role: 'guardrail', margin: 0.05 },
    ],
    sequential: { tuning: 4000, alpha: 0.05 },
  });
const dollars = new Intl.NumberFormat('en', {
  style: 'currency',
  currency: 'USD',
  minimumFractionDigits: 5,
  signDisplay: 'always',
});

for (let requests = 500; requests <= 5000; requests += 500) {
  for (const [arm, recorder] of recorders.entries()) {
    for (let i = 0; i < 500; i++) {
      const latencyMs = (arm === 0 ? 800 : 790) * Math.exp(0.4 * normal());
      const costUsd = (arm === 0 ? 0.02 : 0.0185) * Math.exp(0.6 * normal());
      recorder.record(latencyMs, costUsd, -1, -1, uniform() < 0.95);
    }
  }
  const [treatment] = (await look()).treatments;
  const { outcome, guardrails = [] } = treatment.decision ?? {};
  const ends = treatment.metrics.costUsd.confidenceInterval?.map((end) => dollars.format(end));
  const interval = ends?.join(' to ') ?? 'no interval yet';
  const held = guardrails.filter(({ holds }) => holds).length;
  console.log(
    `${requests} an arm: ${outcome} (difference in cost ${interval}; ${held} of 2 guardrails hold)`,
  );
  if (outcome === 'undecided') continue;
  console.log(`\n${treatment.verdict}`);
  break;
}
await crucible.close();
