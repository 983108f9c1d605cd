/** Quantiles of type 7 from the few order statistics that they take. */
import { quantileOfSorted } from '../stats/quantile.js';

/** The ranks between which the quantiles of so many values lie, ascending. */
export function ranksOf(quantiles: readonly number[], count: number): number[] {
  const last = count - 1;
  const ranks: number[] = [];
  for (const p of quantiles) {
    const below = Math.floor(last * p);
    insert(ranks, below);
    insert(ranks, Math.min(below + 1, last));
  }
  return ranks;
}

/** Into ascending numbers, unless it is there. */
function insert(numbers: number[], number: number): void {
  let at = numbers.length;
  while (at > 0 && numbers[at - 1] > number) at--;
  if (numbers[at - 1] === number) return;
  if (at === numbers.length) numbers.push(number);
  else numbers.splice(at, 0, number);
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
