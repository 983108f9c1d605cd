/** Attempts: tasks that were tried several times, and whether one of k tries, or all of k, can be relied on. */
import { ConfigError } from '../errors.js';
import type { EventRow } from '../schema/event.js';
import { passAtK, passHatK, type RepeatedResult } from '../stats/repeated.js';
import { kindOf } from './kinds.js';

export interface AttemptsOptions {
  /** What says whether a try succeeded: 'success' by default, or a column or score of yes or no, as 'score.right'. */
  readonly of?: string;
  /** Tries whose numbers are to be told; 1, 2, 5 and 10 by default, as far as tasks have as many. */
  readonly k?: readonly number[];
}

export interface AttemptsReport {
  readonly of: string;
  /** Tasks by sampleId that have a try whose outcome is known. */
  readonly tasks: number;
  readonly tries: number;
  /** Events with an outcome, and without a sampleId. */
  readonly withoutSample: number;
  readonly results: readonly {
    readonly k: number;
    /** Tasks that were tried less often, and are left out. */
    readonly leftOut: number;
    /** At least one of k tries succeeds; all of k do. Null where no task has as many tries. */
    readonly passAtK: RepeatedResult | null;
    readonly passHatK: RepeatedResult | null;
  }[];
}

const K_DEFAULT: readonly number[] = [1, 2, 5, 10];

/** @throws ConfigError naming the option */
export function checkAttempts({ of = 'success', k = K_DEFAULT }: AttemptsOptions): {
  of: string;
  k: readonly number[];
} {
  if (typeof of !== 'string' || of === '') throw new ConfigError('of', "'success', or a column or score", of);
  if (!Array.isArray(k) || k.length === 0 || !k.every((each) => Number.isSafeInteger(each) && each >= 1)) {
    throw new ConfigError('k', 'whole numbers of tries, 1 or more', k);
  }
  return { of, k: [...new Set(k as readonly number[])].sort((a, b) => a - b) };
}

/** Every event with an outcome is a try, but for beginnings. */
export async function attemptsOf(
  events: AsyncIterable<EventRow>,
  options: AttemptsOptions,
): Promise<AttemptsReport> {
  const { of, k } = checkAttempts(options);
  const tasks = new Map<string, { successes: number; n: number }>();
  let withoutSample = 0;
  for await (const event of events) {
    if (kindOf(event.eventName) === null) continue;
    const outcome = outcomeOf(event, of);
    if (outcome === null) continue;
    const { sampleId } = event;
    if (sampleId === null) {
      withoutSample++;
      continue;
    }
    const id = typeof sampleId === 'string' ? sampleId : JSON.stringify(sampleId);
    const task = tasks.get(id) ?? { successes: 0, n: 0 };
    task.n++;
    task.successes += Number(outcome);
    tasks.set(id, task);
  }
  const all = [...tasks.values()];
  return {
    of,
    tasks: all.length,
    tries: all.reduce((sum, { n }) => sum + n, 0),
    withoutSample,
    results: k.map((each) => {
      const enough = all.filter(({ n }) => n >= each);
      const isEmpty = enough.length === 0;
      return {
        k: each,
        leftOut: all.length - enough.length,
        passAtK: isEmpty ? null : passAtK(enough, each),
        passHatK: isEmpty ? null : passHatK(enough, each),
      };
    }),
  };
}

/** Numbers that are neither 0 nor 1 are no outcomes of a try. */
function outcomeOf(event: EventRow, of: string): boolean | null {
  const value = of === 'success' ? event.success : event.metadata[of];
  if (typeof value === 'boolean') return value;
  return value === 0 || value === 1 ? value === 1 : null;
}
