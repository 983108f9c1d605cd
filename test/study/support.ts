/** Studies with known truths, and processes that take part in them. */
import { spawnSync } from 'node:child_process';
import type { Experiment, Study } from '../../src/index.js';
import { SeededRandom } from '../../src/stats/random.js';

export interface Truth {
  /** Mean latency of each arm, ms. */
  readonly latencyMs: Readonly<Record<string, number>>;
  /** Share of failures of each arm; none if not said. */
  readonly failing?: Readonly<Record<string, number>>;
  readonly perUnit?: number;
  readonly seed?: number;
}

/** Has units `from` to `end` make requests, each in the arm that it is assigned to. */
export function serve(study: Study<Experiment>, from: number, end: number, truth: Truth): void {
  const { latencyMs, failing = {}, perUnit = 3, seed = 1 } = truth;
  for (let i = from; i < end; i++) {
    const random = new SeededRandom(seed * 1_000_003 + i);
    const uniform = () => random.nextUint32() / 2 ** 32;
    const arm = study.assign(`u${i}`);
    const own = 20 * (uniform() - 0.5);
    study.run(`u${i}`, () => {
      for (let j = 0; j < perUnit; j++) {
        const isFailure = uniform() < (failing[arm] ?? 0);
        const durationMs = latencyMs[arm]! + own + 40 * (uniform() - 0.5);
        study
          .experiment(arm)
          .capture('answer', { durationMs, status: isFailure ? 'error' : 'ok' }, { userId: `u${i}` });
      }
    });
  }
}

/** Runs a program with the built package, `dir` and `crucible` at hand. Bounded. */
export function inProcess(
  dir: string,
  body: string,
): { stdout: string; stderr: string; signal: string | null } {
  const program = `
    import { Crucible, telemetry } from 'crucible-telemetry';
    const dir = ${JSON.stringify(dir)};
    const crucible = new Crucible({ dir, workers: 0 });
    ${body}`;
  const { stdout, stderr, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { stdout, stderr, signal };
}
