/** Samples of values so small that their squares leave the range of a double: scaled first, and results scaled back. */
import { isSummary } from './arm.js';
import type { Interval } from './options.js';
import type { Sample, Summary } from './sample.js';

/** Squares of values below this lose digits; of those above, none that count. */
const SMALL = 1e-140;
/** 2^1023 is the largest power of two. */
const EXPONENT_MAX = 1000;

/**
 * The power of two that makes the largest magnitude about 1; 1 where nothing is to be scaled. Summaries are as they are,
 * and so is what is no sample, for whoever checks it.
 */
export function scaleOf(...inputs: readonly (Sample | Summary)[]): number {
  let largest = 0;
  for (const input of inputs) {
    if (typeof input !== 'object' || input === null || isSummary(input)) return 1;
    const sample = input as Sample;
    for (let i = 0; i < sample.length; i++) {
      const magnitude = Math.abs(sample[i]);
      // NaN as well.
      if (!(magnitude < SMALL)) return 1;
      if (magnitude > largest) largest = magnitude;
    }
  }
  return largest === 0 ? 1 : 2 ** Math.min(EXPONENT_MAX, -Math.floor(Math.log2(largest)));
}

export function scaled(input: Sample | Summary, scale: number): Float64Array {
  return Float64Array.from(input as Sample, (value) => value * scale);
}

/** What has the values' unit, back in it. */
export function unscaled<
  T extends { estimate: number | null; standardError: number | null; confidenceInterval: Interval | null },
>(result: T, scale: number): T {
  const { estimate, standardError, confidenceInterval } = result;
  return {
    ...result,
    estimate: estimate === null ? null : estimate / scale,
    standardError: standardError === null ? null : standardError / scale,
    confidenceInterval: confidenceInterval && [confidenceInterval[0] / scale, confidenceInterval[1] / scale],
  };
}
