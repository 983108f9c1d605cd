/** What is said of a result that rests on a random sample of an arm's values. */
import type { Observed } from './observed.js';
import type { Settings } from './options.js';
import type { SampledCounts } from './types.js';
import { counted, list } from './words.js';

export interface Sampling {
  readonly counts: SampledCounts;
  /** 'on a random sample of 1,048,576 of 10,000,000 values of the baseline, seed 1' */
  readonly text: string;
}

/** Of what looks at both arms' values in order; null where those are all their values. */
export function samplingOf(old: Observed, now: Observed, { seed }: Settings): Sampling | null {
  const arms = [
    [old, 'the baseline'],
    [now, 'the treatment'],
  ] as const;
  const parts = arms.flatMap(([{ n, sorted, sampled }, name]) =>
    sampled === null ? [] : [`${counted(sorted!.length)} of ${counted(n)} values of ${name}`],
  );
  if (parts.length === 0) return null;
  return {
    counts: { baseline: old.sorted?.length ?? 0, treatment: now.sorted?.length ?? 0 },
    text: `on a random sample of ${list(parts)}, seed ${seed}`,
  };
}

/** The result of a test that looked at the values in order, saying so where those were a sample. */
export function onSample<T extends { readonly method: string }>(
  outcome: T,
  sampling: Sampling | null,
): T & { readonly sampled?: SampledCounts } {
  if (sampling === null) return outcome;
  return { ...outcome, method: `${outcome.method}, ${sampling.text}`, sampled: sampling.counts };
}
