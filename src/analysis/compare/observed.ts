/** An arm's values of one measure, as the tests take them. Made once, used for every treatment. */
import { sampleMoments } from '../../stats/moments.js';
import type { Sample, Summary } from '../../stats/sample.js';
import type { Observations } from './samples.js';

export interface Observed {
  readonly n: number;
  readonly summary: Summary;
  /** The finite values ascending; null where only the summary is known. */
  readonly sorted: Float64Array | null;
  /** g₁ = m₃/m₂^1.5; null for a constant and for a summary. */
  readonly skewness: number | null;
}

export function observe(observations: Observations): Observed {
  if (!(observations instanceof Float64Array)) {
    return { n: observations.n, summary: observations, sorted: null, skewness: null };
  }
  const sorted = finiteValues(observations.slice().sort());
  const n = sorted.length;
  if (n === 0) return { n, summary: { n, mean: null, variance: null }, sorted, skewness: null };
  const { mean, meanLow, m2, m3, scale } = sampleMoments(sorted);
  const variance = n > 1 ? finiteOrNull((m2 / (n - 1)) * scale * scale) : null;
  const skewness = m2 > 0 ? m3 / n / (m2 / n) ** 1.5 : null;
  return { n, summary: { n, mean, meanLow, variance }, sorted, skewness };
}

/** Sorting puts what is not finite at the ends: −∞ first, then +∞ and NaN last. */
function finiteValues(sorted: Float64Array): Float64Array {
  let start = 0;
  let end = sorted.length;
  while (start < end && !Number.isFinite(sorted[start])) start++;
  while (end > start && !Number.isFinite(sorted[end - 1])) end--;
  return sorted.subarray(start, end);
}

/** How many of the ascending values are the most frequent one. */
export function longestRun(sorted: Sample): number {
  let longest = 0;
  for (let start = 0; start < sorted.length; ) {
    let end = start + 1;
    while (end < sorted.length && sorted[end] === sorted[start]) end++;
    longest = Math.max(longest, end - start);
    start = end;
  }
  return longest;
}

export function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
