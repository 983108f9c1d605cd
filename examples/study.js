// A product A/B by user, on made-up data, explained line by line in docs/studies.md.
import { Crucible, studySize, telemetry } from 'crucible-telemetry';
import { normalQuantile, SeededRandom } from 'crucible-telemetry/stats';

const random = new SeededRandom(1);
const uniform = () => (random.nextUint32() + 0.5) / 2 ** 32;
const normal = () => normalQuantile(uniform());

// Before: users make four requests each, and a tenth of the variance of success lies between them.
const wanted = { baseline: { rate: 0.9 }, effect: 0.02, eventsPerUnit: 4, icc: 0.1, noninferiority: true };
const { unitsPerArm } = studySize(wanted);
console.log(
  `${unitsPerArm?.[0]} users an arm rule out 2 percentage points less success, where nothing is lost`,
);

const crucible = new Crucible();
const study = crucible.study({
  name: 'shorter prompt',
  hypothesis: 'half of the instructions do for as many successes, which then cost less',
  arms: { control: {}, short: { metadata: { promptVersion: 7 } } },
  unit: 'userId',
  plan: {
    outcomes: [
      { of: 'costUsd', per: 'success', role: 'primary' },
      { of: 'success', role: 'guardrail', margin: 0.02 },
      { of: 'latencyMs', role: 'guardrail', margin: { relative: 0.05 } },
    ],
    unitsPerArm: 1200,
  },
});

// Users differ: in how long they wait, how much they ask for, and how often it fails, in all of their requests.
for (let i = 0; i < 2500; i++) {
  const userId = `user-${i}`;
  const slowness = Math.exp(0.3 * normal());
  const wordiness = Math.exp(0.2 * normal());
  const luck = Math.min(0.99, 0.9 + 0.07 * normal());
  const isShort = study.assign(userId) === 'short';
  for (let left = 1 + Math.floor(7 * uniform()); left > 0; left--) {
    const prompt = Math.round((isShort ? 420 : 600) + 40 * normal());
    const completion = Math.max(1, Math.round(150 * wordiness + 30 * normal()));
    const durationMs = (isShort ? 780 : 800) * slowness * Math.exp(0.3 * normal());
    const status = uniform() < luck ? 'ok' : 'error';
    study.run(userId, () => {
      const metadata = { model: 'gpt-4', tokens: { prompt, completion }, status };
      telemetry.execute('req_llm.request.stop', { durationMs }, metadata);
    });
  }
}

const verdict = await study.verdict();
console.log(`\n${verdict.decision}: ${verdict.treatment} against ${verdict.baseline}`);
for (const reason of verdict.reasons) console.log(`- ${reason}`);
for (const [arm, { units, events, processes }] of Object.entries(verdict.arms)) {
  console.log(`${arm}: ${units} units, ${events} events, ${processes} process`);
}
console.log(`plan followed: ${verdict.planFollowed}; unit: ${verdict.unit}\nmethod: ${verdict.method}`);
console.log(`assumed: ${verdict.assumptions.join('; ')}`);
for (const text of verdict.wouldChange) console.log(`what would change it: ${text}`);
await crucible.close();
