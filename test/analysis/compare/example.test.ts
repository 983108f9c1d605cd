/** docs/comparison.md shows what its example prints, and its numbers are those of the statistics. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { adjustPValues } from '../../../src/stats/multiplicity.js';
import { normalQuantile } from '../../../src/stats/normal.js';
import { proportionPower, tTestPower } from '../../../src/stats/power.js';
import { twoProportionZ } from '../../../src/stats/proportions.js';
import { quantile } from '../../../src/stats/quantile.js';
import { SeededRandom } from '../../../src/stats/random.js';
import { welchTTest } from '../../../src/stats/t-tests.js';

const text = readFileSync('docs/comparison.md', 'utf8');
const [shown, evaluation, watched] = [...text.matchAll(/```text\n([\s\S]*?)```/g)].map(([, block]) => block);

/** The arms of examples/compare.js, drawn again without it. */
function arms() {
  const random = new SeededRandom(2026);
  const uniform = () => (random.nextUint32() + 0.5) / 2 ** 32;
  const normal = () => normalQuantile(uniform());
  return [
    [900, 600, 0.95],
    [800, 420, 0.94],
  ].map(([median, prompts, rate]) => {
    const requests = Array.from({ length: 400 }, () => {
      const latency = median! * Math.exp(0.4 * normal());
      const prompt = Math.round(prompts! + 40 * normal());
      const completion = Math.round(150 + 30 * normal());
      const ok = uniform() < rate!;
      return { latency, tokens: prompt + completion, cost: (prompt * 30 + completion * 60) / 1e6, ok };
    });
    const column = (key: 'latency' | 'tokens' | 'cost') => requests.map((request) => request[key]);
    return {
      latency: column('latency'),
      tokens: column('tokens'),
      cost: column('cost'),
      successes: requests.filter(({ ok }) => ok).length,
    };
  });
}

it.each([
  ['compare', shown],
  ['evaluation', evaluation],
  ['watched', watched],
])('examples/%s.js prints what the page shows', (name, block) => {
  const printed = execFileSync(process.execPath, [`examples/${name}.js`], { encoding: 'utf8' });
  expect(printed).toBe(block);
});

it('has the numbers that the statistics give', () => {
  const [long, short] = arms() as [ReturnType<typeof arms>[0], ReturnType<typeof arms>[0]];
  const line = (metric: string) =>
    shown!.split('\n').find((candidate) => candidate.startsWith(`${metric}:`))!;
  const means = (['latency', 'cost', 'tokens'] as const).map((key) => welchTTest(short[key], long[key]));
  const [latency, cost, tokens] = means as [(typeof means)[0], (typeof means)[0], (typeof means)[0]];
  const rates = twoProportionZ({ successes: short.successes, n: 400 }, { successes: long.successes, n: 400 });
  const [low, high] = latency.confidenceInterval!;
  expect(line('latencyMean')).toContain(
    `(${latency.estimate.toFixed(0)} ms, -9.5 %; 95 % interval ${low.toFixed(0)} to ${high.toFixed(0)} ms`,
  );
  expect(line('costMean')).toContain(`-$${(-cost.estimate).toFixed(5)}`);
  expect(line('tokensMean')).toContain(`(${tokens.estimate.toFixed(0)} tokens`);
  const points = (share: number) => `${share < 0 ? '' : '+'}${(share * 100).toFixed(2)}`;
  const [from, to] = rates.confidenceInterval;
  expect(line('successRate')).toContain(`(${points(rates.estimate)} percentage points`);
  expect(line('successRate')).toContain(`interval ${points(from)} to ${points(to)}`);
  const [p95Long, p95Short] = [long, short].map((arm) => quantile(arm.latency, 0.95));
  expect(line('latencyP95')).toContain(`${p95Short!.toFixed(0)} ms with short prompt`);
  expect(line('latencyP95')).toContain(`${p95Long!.toFixed(0)} ms with long prompt`);

  // The bootstrap's p, near 0.25, and that of success are the largest two: Holm leaves the others theirs.
  const adjusted = adjustPValues(
    [latency.pValue!, 0.25, cost.pValue!, rates.pValue!, tokens.pValue!],
    'holm',
  );
  expect(line('latencyMean')).toContain(`adjusted p = ${adjusted[0]!.toFixed(3)}`);

  const variances = [long, short].map(({ latency: values }) => {
    const mean = values.reduce((sum, value) => sum + value / 400, 0);
    return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 399;
  });
  const stdDev = Math.sqrt((variances[0]! + variances[1]!) / 2);
  const forMean = tTestPower({ delta: latency.estimate, stdDev, power: 0.8 }).nCeiling;
  expect(shown).toContain(`hedgesG ${(latency.estimate / stdDev).toFixed(2)}, ${forMean} per arm`);
  const forRate = proportionPower({ p1: long.successes / 400, p2: short.successes / 400, power: 0.8 });
  expect(shown).toContain(`${forRate.nCeiling} per arm for 80 % power`);
});
