// A worked A/B comparison on made-up data, explained line by line in docs/comparison.md.
import { Crucible } from 'crucible-telemetry';
import { normalQuantile, SeededRandom } from 'crucible-telemetry/stats';

const crucible = new Crucible();
const random = new SeededRandom(2026);
const uniform = () => (random.nextUint32() + 0.5) / 2 ** 32;
const normal = () => normalQuantile(uniform());

/** Of each arm 400 requests, one every 15 s, whose latencies are log-normal around `medianMs`. */
const arms = [
  { name: 'long prompt', medianMs: 900, promptTokens: 600, successRate: 0.95 },
  { name: 'short prompt', medianMs: 800, promptTokens: 420, successRate: 0.94 },
].map(({ name, medianMs, promptTokens, successRate }) => {
  const experiment = crucible.startExperiment({ name, condition: name, events: [] });
  const recorder = experiment.recorder('req_llm.request.stop', { model: 'gpt-4' });
  for (let i = 0; i < 400; i++) {
    const latencyMs = medianMs * Math.exp(0.4 * normal());
    const prompt = Math.round(promptTokens + 40 * normal());
    const completion = Math.round(150 + 30 * normal());
    const costUsd = (prompt * 30 + completion * 60) / 1e6;
    const timestampUs = 1_767_225_600_000_000 + i * 15_000_000;
    recorder.recordAt(timestampUs, latencyMs, costUsd, prompt, completion, uniform() < successRate);
  }
  return experiment;
});

const { treatments, settings } = await crucible.compare(arms);
const [treatment] = treatments;
console.log(`${settings.questions} questions, alpha ${settings.alpha}, adjusted by ${settings.adjust}\n`);
for (const { metric, verdict, effectSize, requiredN } of Object.values(treatment.metrics)) {
  const effect = effectSize === null ? '' : `${effectSize.name} ${effectSize.value.toFixed(2)}, `;
  console.log(`${metric}: ${verdict}\n  ${effect}${requiredN} per arm for 80 % power`);
}
for (const { code, message } of treatment.warnings) console.log(`\n${code}: ${message}`);
console.log(`\n${treatment.verdict}`);
await crucible.close();
