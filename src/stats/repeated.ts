/** Tasks that were tried several times: whether one of k tries succeeds, or all of k do. */

import { ConfigError } from '../errors.js';
import { studentUpperQuantile } from './distributions.js';
import { normalQuantile } from './normal.js';
import { type Interval, type Options, type Result, resolveOptions } from './options.js';
import { checkProportion, type Proportion } from './proportions.js';
import { tooFewSamples } from './sample.js';

export interface RepeatedResult extends Result {
  /** Of k tries, from 0 to 1: the mean over tasks. */
  readonly estimate: number;
  readonly k: number;
  readonly tasks: number;
  /** From how the tasks differ; null below two of them. */
  readonly standardError: number | null;
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
}

type Level = Pick<Options, 'alpha' | 'confidenceLevel'>;

/**
 * pass@k: the chance that at least one of k tries at a task succeeds, over tasks. Unbiased for each task that was tried
 * n ≥ k times: 1 − C(n − c, k)/C(n, k), with c successes.
 *
 * The interval takes tasks as drawn from many: Wilson's, of as many tasks as the standard error says they are worth.
 *
 * Source: Chen et al. 2021 (arXiv 2107.03374); interval: Korn & Graubard 1998, Survey Methodology 24, 193-201, around
 * Wilson's instead of Clopper and Pearson's.
 */
export function passAtK(tasks: readonly Proportion[], k: number, options?: Level): RepeatedResult {
  return repeated('pass@k', tasks, k, (n, c) => 1 - allOf(n, n - c, k), options);
}

/**
 * pass^k: the chance that all of k tries at a task succeed, over tasks: C(c, k)/C(n, k) for each that was tried n ≥ k
 * times, with c successes. What a user who asks k times may rely on.
 *
 * Source: Yao, Shinn, Razavi & Narasimhan 2024 (arXiv 2406.12045); interval as passAtK.
 */
export function passHatK(tasks: readonly Proportion[], k: number, options?: Level): RepeatedResult {
  return repeated('pass^k', tasks, k, (n, c) => allOf(n, c, k), options);
}

/** The chance that k of n tries, drawn without replacement, are among m of them. */
function allOf(n: number, m: number, k: number): number {
  let chance = 1;
  for (let i = 0; i < k && chance > 0; i++) chance *= Math.max(0, m - i) / (n - i);
  return chance;
}

function repeated(
  method: string,
  tasks: readonly Proportion[],
  k: number,
  scoreOf: (n: number, successes: number) => number,
  options: Level | undefined,
): RepeatedResult {
  const { alpha, confidenceLevel } = resolveOptions(options);
  if (!Array.isArray(tasks)) throw new ConfigError('tasks', 'an array of { successes, n }', tasks);
  if (!(Number.isSafeInteger(k) && k >= 1)) throw new ConfigError('k', 'a whole number, 1 or more', k);
  if (tasks.length === 0) throw tooFewSamples('tasks', 1, 0);
  const values = (tasks as readonly Proportion[]).map((task, i) => {
    checkProportion(task, `tasks[${i}].`);
    if (task.n < k) throw new ConfigError(`tasks[${i}].n`, `at least k = ${k} tries`, task.n);
    return scoreOf(task.n, task.successes);
  });
  const m = values.length;
  const estimate = values.reduce((sum, value) => sum + value, 0) / m;
  const squares = values.reduce((sum, value) => sum + (value - estimate) ** 2, 0);
  const standardError = m < 2 ? null : Math.sqrt(squares / (m - 1) / m);
  return {
    method: `${method}, Wilson interval of tasks`,
    assumptions: ['independent tasks, drawn from those that are meant', 'tries at a task exchangeable'],
    n: [m],
    estimate,
    k,
    tasks: m,
    standardError,
    confidenceInterval: standardError === null ? null : intervalOf(values, estimate, alpha),
    confidenceLevel,
    ...(standardError === null && { reason: 'one task: nothing shows how tasks differ' }),
  };
}

/** Tasks that are added for the spread, one of 0 and one of 1: near the ends the observed spread is too small too often. */
const ADDED = 2;

/** Wilson’s interval of as many yes-or-no tasks as the spread of these is worth. */
function intervalOf(values: readonly number[], estimate: number, alpha: number): Interval {
  const m = values.length;
  const total = m + ADDED;
  const centred = (estimate * m + ADDED / 2) / total;
  const squares = [0, 1, ...values].reduce((sum, value) => sum + (value - centred) ** 2, 0);
  const worth = Math.max(m - 1, (centred * (1 - centred)) / (squares / (total - 1) / total));
  const z = -normalQuantile(alpha / 2);
  const n = worth * (z / studentUpperQuantile(alpha / 2, m - 1)) ** 2;
  const centre = (estimate + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const spread = Math.max(0, estimate * (1 - estimate));
  const half = (z * Math.sqrt(spread / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n);
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}
