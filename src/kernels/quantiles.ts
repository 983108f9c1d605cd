/** Quantiles of type 7 from the few order statistics that they take. */
import { quantileOfSorted } from '../stats/quantile.js';

/** The ranks between which the quantiles of so many values lie, ascending. */
export function ranksOf(quantiles: readonly number[], count: number): number[] {
  const last = count - 1;
  const ranks = quantiles.flatMap((p) => {
    const below = Math.floor(last * p);
    return [below, Math.min(below + 1, last)];
  });
  return [...new Set(ranks)].sort((a, b) => a - b);
}

/** @param values - by rank, those of `ranksOf` */
export function quantilesOf(
  quantiles: readonly number[],
  count: number,
  values: ReadonlyMap<number, number>,
): number[] {
  // As if all were there; no others are looked at.
  const sorted = { length: count, ...Object.fromEntries(values) };
  return quantiles.map((p) => quantileOfSorted(sorted, p));
}
