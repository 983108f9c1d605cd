/**
 * What several processes have captured adds up to the verdict of one: every kind of outcome, by unit, with a covariate,
 * with segments, fixed and sequential. Each part has experiments of its own, as each process has.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Crucible } from '../../src/experiment/crucible.js';
import type { StudyOptions, StudyVerdict } from '../../src/index.js';
import { SeededRandom } from '../../src/stats/random.js';
import { FakeClock, START_US } from '../capture/support.js';
import { relativeError } from '../support/numeric.js';

const OUTCOMES = [
  { of: 'latencyMs', role: 'primary' },
  { of: 'latencyMs', summary: { quantile: 0.5 }, role: 'guardrail', margin: { relative: 0.2 } },
  { of: 'success' },
  { of: 'good' },
  { of: 'score', direction: 'higher' },
  { of: 'count' },
  { of: 'costUsd', per: 'success' },
  { of: 'spent', covariate: 'before' },
] satisfies NonNullable<StudyOptions['plan']>['outcomes'];

const optionsOf = (sequential: boolean): StudyOptions => ({
  name: 'parts',
  arms: { control: {}, treatment: {} },
  capacity: 4096,
  producers: 2,
  columns: { score: 'f64', count: 'i32', good: 'bool', before: 'f64', spent: 'f64' },
  plan: {
    outcomes: OUTCOMES,
    segments: { paying: { where: { tier: 'pro' } } },
    ...(sequential ? { sequential: { tuning: 500 } } : { unitsPerArm: 50 }),
  },
});

interface Part {
  readonly from: number;
  readonly end: number;
}

/** What the i-th request of all says, whoever makes it. */
function requestOf(i: number, users: number) {
  const random = new SeededRandom(97 + i);
  const uniform = () => random.nextUint32() / 2 ** 32;
  const user = i % users;
  const own = Math.abs(Math.sin(user + 1));
  return {
    user: `u${user}`,
    measurements: {
      latencyMs: 100 * (1 + own) * (0.5 + uniform()),
      costUsd: 0.01 * uniform(),
      status: uniform() < 0.8 ? ('ok' as const) : ('error' as const),
    },
    metadata: {
      score: 10 * own + uniform(),
      count: Math.floor(10 * uniform()) - 3,
      good: uniform() < 0.4,
      before: own,
      spent: 5 * own + uniform(),
      tier: user % 3 === 0 ? 'pro' : 'free',
    },
  };
}

/** The verdict over parts, each captured by a Crucible of its own; judged by one more that has captured nothing. */
async function verdictOf(
  parts: readonly Part[],
  users: number,
  options: StudyOptions,
): Promise<StudyVerdict> {
  const dir = mkdtempSync(join(tmpdir(), 'parts-'));
  const clock = new FakeClock();
  try {
    for (const { from, end } of parts) {
      await using crucible = new Crucible({ dir, workers: 0, clock });
      const study = crucible.study(options);
      for (let i = from; i < end; i++) {
        const { user, measurements, metadata } = requestOf(i, users);
        clock.us = START_US + 1e6 * i;
        study.experiment(study.assign(user)).capture('answer', measurements, { userId: user, ...metadata });
      }
      await study.stop();
    }
    await using judge = new Crucible({ dir, workers: 0, clock });
    return await judge.study(options.name).verdict();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Everything that a verdict says, but where and when. */
function saysOf({ study: _, ...verdict }: StudyVerdict): [path: string, value: unknown][] {
  const flat = (value: unknown, path: string): [string, unknown][] => {
    if (typeof value !== 'object' || value === null) return [[path, value]];
    return Object.entries(value).flatMap(([key, inner]) => flat(inner, `${path}.${key}`));
  };
  const ofPlace =
    /^\.(?:at|plannedAt|planHash|looks)|\.processes$|\.id$|serial|littleTimeOverlap|unequalTimeSpans/;
  return flat(verdict, '').filter(([path]) => !ofPlace.test(path));
}

const cuts = fc.record({
  rows: fc.integer({ min: 700, max: 1600 }),
  users: fc.integer({ min: 150, max: 260 }),
  at: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 3 }),
});

it.each([false, true])('sequential: %s', { timeout: 120_000 }, async (sequential) => {
  await fc.assert(
    fc.asyncProperty(cuts, async ({ rows, users, at }) => {
      const options = optionsOf(sequential);
      const bounds = [0, ...at.map((share) => Math.floor(share * rows)).sort((a, b) => a - b), rows];
      const parts = bounds.slice(1).map((end, i) => ({ from: bounds[i]!, end }));
      const merged = await verdictOf(parts, users, options);
      const single = await verdictOf([{ from: 0, end: rows }], users, options);
      expect(Object.keys(merged.outcomes)).toHaveLength(OUTCOMES.length);
      expect(merged.decision).toBe(single.decision);
      const [found, expected] = [saysOf(merged), saysOf(single)];
      expect(found.map(([path]) => path)).toEqual(expected.map(([path]) => path));
      for (const [i, [path, value]] of found.entries()) {
        const other = expected[i]![1];
        if (typeof value === 'number' && typeof other === 'number') {
          expect(relativeError(value, other), `${path}: ${value} against ${other}`).toBeLessThan(1e-9);
        } else expect(value, path).toBe(other);
      }
    }),
    { numRuns: 5 },
  );
});
