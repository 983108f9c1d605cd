/** Exact order statistics of values in the kernels' memory, without sorting. */

import type { Kernels } from './kernels.js';
import { doubleOf, keyOf } from './keys.js';

/** So many that their counters stay in the first-level cache. */
const BIN_BITS = 12;
const BINS = 1 << BIN_BITS;
/** From here on partitioning by a pivot is quicker than another histogram. */
const PIVOT_BELOW = 1024;

/** Values in memory: address and count of f64, none of them NaN or −0. */
export interface Run {
  readonly values: number;
  readonly count: number;
}

/** Selects; has working storage, which it uses again and again. */
export class Selector {
  readonly #kernels: Kernels;
  readonly #bins: number;
  readonly #marks: number;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#bins = kernels.allocate(4 * (BINS + 1));
    this.#marks = kernels.allocate(BINS + 1);
    kernels.u8.fill(0, this.#marks, this.#marks + BINS + 1);
  }

  /**
   * @param runs - the values, in any order; not changed
   * @param min - the least value, and
   * @param max - the greatest
   * @param ranks - from 0, ascending, each below the number of values
   * @returns the values with these ranks
   */
  select(runs: readonly Run[], min: number, max: number, ranks: readonly number[]): number[] {
    const mark = this.#kernels.mark;
    const selected = this.#search(runs, keyOf(min), keyOf(max), ranks);
    this.#kernels.release(mark);
    return selected;
  }

  #search(runs: readonly Run[], low: bigint, high: bigint, ranks: readonly number[]): number[] {
    if (low === high) return ranks.map(() => doubleOf(low));
    const count = runs.reduce((sum, run) => sum + run.count, 0);
    if (count <= PIVOT_BELOW) return this.#partition(runs, count, ranks);
    const { module, u32, u8 } = this.#kernels;
    const shift = Math.max(0, (high - low).toString(2).length - BIN_BITS);
    const bins = u32.subarray(this.#bins >> 2, (this.#bins >> 2) + BINS + 1).fill(0);
    for (const run of runs) module.countKeys(run.values, run.count, low, shift, BINS, this.#bins);
    const places = placesOf(bins, ranks);
    const gather = (from: readonly Run[], wanted: readonly Place[]): Run => {
      const target = this.#kernels.allocate(8 * (wanted.reduce((sum, { size }) => sum + size, 0) + 1));
      for (const { bin } of wanted) u8[this.#marks + bin] = 1;
      let end = target;
      for (const { values, count } of from) {
        end += 8 * module.gatherMarked(values, count, low, shift, BINS, this.#marks, end);
      }
      for (const { bin } of wanted) u8[this.#marks + bin] = 0;
      return { values: target, count: (end - target) / 8 };
    };
    // First all wanted bins at once, from many values; then each by itself, from few.
    const gathered = gather(runs, places);
    return places.flatMap((place) => {
      const inner = this.#kernels.mark;
      const run = places.length === 1 ? gathered : gather([gathered], [place]);
      const first = low + (BigInt(place.bin) << BigInt(shift));
      const last = first + (1n << BigInt(shift)) - 1n;
      const found = this.#search([run], first, last < high ? last : high, place.ranks);
      this.#kernels.release(inner);
      return found;
    });
  }

  #partition(runs: readonly Run[], count: number, ranks: readonly number[]): number[] {
    const { module, f64 } = this.#kernels;
    const copy = this.#kernels.allocate(8 * count);
    let at = copy >> 3;
    for (const { values, count } of runs) {
      f64.copyWithin(at, values >> 3, (values >> 3) + count);
      at += count;
    }
    // What has been told apart so far lies in order.
    let before = 0;
    return ranks.map((rank) => {
      const found = module.selectRank(copy + 8 * before, count - before, rank - before);
      before = rank;
      return found;
    });
  }
}

export interface Place {
  readonly bin: number;
  /** Values in the bin. */
  readonly size: number;
  /** Values in lower bins. */
  readonly before: number;
  /** Ranks within the bin. */
  readonly ranks: number[];
}

/** The bins in which the ranks lie, ascending. */
export function placesOf(bins: Uint32Array, ranks: readonly number[]): Place[] {
  const places: Place[] = [];
  let before = 0;
  let next = 0;
  for (let bin = 0; next < ranks.length; bin++) {
    const size = bins[bin];
    if (size === 0 || before + size <= ranks[next]) {
      before += size;
      continue;
    }
    const inside: number[] = [];
    while (next < ranks.length && ranks[next] < before + size) inside.push(ranks[next++] - before);
    places.push({ bin, size, before, ranks: inside });
    before += size;
  }
  return places;
}
