/** An arm's values of one measure, as the tests take them. Made once, used for every treatment. */
import { finiteOrNull, sampleMoments } from '../../stats/moments.js';
import type { Sample, Summary } from '../../stats/sample.js';
import { ascending } from './ascending.js';
import type { Observations, SampledValues } from './samples.js';

export interface Observed {
  readonly n: number;
  readonly summary: Summary;
  /** The finite values ascending, or a random sample of them; null where only the summary is known. */
  readonly sorted: Float64Array | null;
  /** What `sorted` is a random sample of; null where it is all there is. */
  readonly sampled: SampledValues | null;
  /** g₁ = m₃/m₂^1.5; null for a constant and for a summary. */
  readonly skewness: number | null;
  /** Correlation of each value with the one before, in capture order; null where the order is not known. */
  readonly serial: number | null;
}

export function observe(observations: Observations): Observed {
  if (!(observations instanceof Float64Array)) {
    const { n } = observations;
    if (!('sample' in observations)) {
      return { n, summary: observations, sorted: null, sampled: null, skewness: null, serial: null };
    }
    const { sample, skewness, largestShare: _, ...summary } = observations;
    return {
      n,
      summary,
      sorted: finiteValues(ascending(sample)),
      sampled: observations,
      skewness,
      serial: null,
    };
  }
  const sorted = finiteValues(ascending(observations));
  const n = sorted.length;
  const sampled = null;
  if (n === 0) {
    return { n, summary: { n, mean: null, variance: null }, sorted, sampled, skewness: null, serial: null };
  }
  const { mean, meanLow, m2, m3, scale } = sampleMoments(sorted);
  const variance = n > 1 ? finiteOrNull((m2 / (n - 1)) * scale * scale) : null;
  const skewness = m2 > 0 ? m3 / n / (m2 / n) ** 1.5 : null;
  const serial = n < 3 || m2 === 0 ? null : serialCorrelation(observations, mean, m2 * scale * scale);
  return { n, summary: { n, mean, meanLow, variance }, sorted, sampled, skewness, serial };
}

function serialCorrelation(values: Float64Array, mean: number, squares: number): number | null {
  let products = 0;
  let before = Number.NaN;
  for (const value of values) {
    const deviation = value - mean;
    const product = before * deviation;
    if (Number.isFinite(product)) products += product;
    before = deviation;
  }
  return finiteOrNull(products / squares);
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

/** Timeouts fire a little late. */
export const PILE_WIDTH = 0.005;
/**
 * A pile has so many times as many values as most stretches as wide, among the upper quarter of what lies below it: most,
 * since there may be another timeout, and the upper quarter, since many may be answered at once.
 */
const PILE_FACTOR = 3;

/** The share of ascending values within half a percent of the greatest, if they pile up there; else 0. */
export function pileAtGreatest(sorted: Float64Array): { readonly at: number; readonly share: number } {
  const n = sorted.length;
  const at = sorted[n - 1];
  if (!(at > 0)) return { at, share: 0 };
  const width = PILE_WIDTH * at;
  let start = n - 1;
  while (start > 0 && sorted[start - 1] >= at - width) start--;
  const pile = n - start;
  // From the first value of the stretch that the quarter begins in: a few values that all latencies have are no cut.
  let first = (3 * start) >> 2;
  const lowest = sorted[first] - width;
  while (first > 0 && sorted[first - 1] >= lowest) first--;
  let stretches = 0;
  let dense = 0;
  for (let from = first, to = first; from < start; from = to) {
    while (to < start && sorted[to] <= sorted[from] + width) to++;
    stretches++;
    if (PILE_FACTOR * (to - from) > pile) dense++;
  }
  const isPile = start > 0 && pile >= 5 && 2 * dense < stretches;
  return { at, share: isPile ? pile / n : 0 };
}

/** The largest magnitude in the sum of all magnitudes; null where only the summary is known. */
export function largestShare({ sorted, sampled }: Observed): number | null {
  if (sorted === null) return null;
  if (sampled !== null) return sampled.largestShare;
  const sum = sorted.reduce((total, value) => total + Math.abs(value), 0);
  return Math.max(Math.abs(sorted[0]), Math.abs(sorted[sorted.length - 1])) / sum;
}
