// An evaluation with repeated tries and the scores of two judges, on made-up data; docs/comparison.md explains it.
import { Crucible } from 'crucible-telemetry';
import { krippendorffAlpha, normalQuantile, passAtK, passHatK, SeededRandom } from 'crucible-telemetry/stats';

const crucible = new Crucible();
const random = new SeededRandom(7);
const uniform = () => (random.nextUint32() + 0.5) / 2 ** 32;
const normal = () => normalQuantile(uniform());
const percent = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const SAMPLES = 120;
const TRIES = 4;

/** Some questions are harder than others, for both arms alike. */
const difficulty = Array.from({ length: SAMPLES }, normal);
const arms = [
  { name: 'old model', gain: 0, latencyMs: 900 },
  { name: 'new model', gain: 0.4, latencyMs: 930 },
].map(({ name, gain, latencyMs }) => {
  const experiment = crucible.startExperiment({ name, events: [] });
  const tasks = difficulty.map(() => ({ successes: 0, n: 0 }));
  const ratings = [new Array(SAMPLES * TRIES).fill(0), new Array(SAMPLES * TRIES).fill(0)];
  for (let i = 0; i < SAMPLES * TRIES; i++) {
    const sample = i % SAMPLES;
    const quality = gain - difficulty[sample] + 0.5 * normal();
    const passes = quality + 0.5 * normal() > 0;
    tasks[sample].n++;
    if (passes) tasks[sample].successes++;
    const metadata = { sampleId: sample, responseId: `${name} ${i}`, status: passes ? 'ok' : 'error' };
    const timestampUs = 1_767_225_600_000_000 + i * 1_000_000;
    experiment.captureAt(timestampUs, 'eval', { latencyMs: latencyMs * Math.exp(0.3 * normal()) }, metadata);
    // Each judge says 1 to 5, and does not always say the same.
    for (const judge of [0, 1]) {
      const rating = Math.min(5, Math.max(1, Math.round(3 + quality + 0.6 * normal())));
      ratings[judge][i] = rating;
      experiment.score({ responseId: metadata.responseId }, 'quality', rating, { by: `judge ${judge}` });
    }
  }
  return { name, experiment, tasks, ratings };
});

for (const { name, tasks } of arms) {
  const told = [passAtK(tasks, 1), passAtK(tasks, TRIES), passHatK(tasks, TRIES)].map((found) => {
    const [estimate, low, high] = [found.estimate, ...(found.confidenceInterval ?? [])].map((share) =>
      percent.format(100 * share),
    );
    return `${estimate} % (${low} % to ${high} %)`;
  });
  console.log(`${name}: pass@1 ${told[0]}, pass@${TRIES} ${told[1]}, pass^${TRIES} ${told[2]}`);
}
const judges = [0, 1].map((judge) => arms.flatMap(({ ratings }) => ratings[judge]));
const { estimate, confidenceInterval } = krippendorffAlpha(judges, { level: 'ordinal' });
const [low, high] = (confidenceInterval ?? []).map((end) => end.toFixed(2));
console.log(`agreement of the judges: alpha ${estimate?.toFixed(2)} (${low} to ${high})`);

const { treatments } = await crucible.compare(
  arms.map(({ experiment }) => experiment),
  {
    metrics: [
      { of: 'score.quality', name: 'quality', direction: 'higher', role: 'primary' },
      { of: 'latencyMs', role: 'guardrail', margin: { relative: 0.1 } },
      'successRate',
    ],
  },
);
const [{ metrics, decision, pairing, warnings }] = treatments;
console.log(`\n${pairing.pairs} pairs: ${pairing.reason}`);
for (const { verdict } of Object.values(metrics)) console.log(verdict);
for (const { code, message } of warnings) console.log(`${code}: ${message}`);
console.log(`\n${decision?.outcome}: ${decision?.reasons.join(' ')}`);
await crucible.close();
