/** Ranks with ties shared. */

import type { Sample } from './sample.js';

/** The pooled values of some samples in order; knows the rank of each. */
export class PooledRanks {
  /** Ascending. */
  readonly sorted: Float64Array;
  /** Σ (t³ − t) over groups of t equal values; 0 without ties. */
  readonly tieSum: number;

  constructor(samples: readonly Sample[]) {
    const sorted = new Float64Array(samples.reduce((total, sample) => total + sample.length, 0));
    let offset = 0;
    for (const sample of samples) {
      sorted.set(sample, offset);
      offset += sample.length;
    }
    this.sorted = sorted.sort();
    this.tieSum = tieSumOf(this.sorted);
  }

  /** All values are one value. */
  get allTied(): boolean {
    return this.sorted[0] === this.sorted[this.sorted.length - 1];
  }

  /** How many pooled values are below `value`, and how many equal it. */
  position(value: number): { below: number; equal: number } {
    const below = countBelow(this.sorted, value);
    return { below, equal: countUpTo(this.sorted, value) - below };
  }

  /** The mean of the 1-based ranks that values equal to `value` occupy: a whole number or a half. */
  rankOf(value: number): number {
    return (countBelow(this.sorted, value) + 1 + countUpTo(this.sorted, value)) / 2;
  }

  /** Σ rankOf(v) over a sample; exact. */
  rankSum(sample: Sample): number {
    let sum = 0;
    for (let i = 0; i < sample.length; i++) sum += this.rankOf(sample[i]!);
    return sum;
  }
}

/** How many of the ascending values are below `value`. */
function countBelow(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many of the ascending values are `value` or below. */
function countUpTo(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function tieSumOf(sorted: Float64Array): number {
  let sum = 0;
  for (let start = 0; start < sorted.length; ) {
    let end = start + 1;
    while (end < sorted.length && sorted[end] === sorted[start]) end++;
    const tied = end - start;
    sum += tied * tied * tied - tied;
    start = end;
  }
  return sum;
}
