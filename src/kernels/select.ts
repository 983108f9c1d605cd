/** Exact order statistics by radix selection, in memory. */
import type { Kernels } from './kernels.js';

const BINS = 65536;
/** From here on sorting is quicker than another histogram. */
const SORT_BELOW = 2048;

/** Working storage of selections, used again and again. */
export class Selector {
  readonly #kernels: Kernels;
  readonly #bins: number;
  readonly #marks: number;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#bins = kernels.allocate(4 * BINS);
    this.#marks = kernels.allocate(BINS);
  }

  /**
   * The values with the given ranks, without sorting.
   * @param values - address of f64, none of them NaN; unchanged
   * @param count - how many
   * @param ranks - from 0, ascending, each below `count`
   * @param shift - bits of the keys below the 16 that are looked at: higher ones are the same in all values
   */
  select(values: number, count: number, ranks: readonly number[], shift = 48): number[] {
    if (ranks.length === 0) return [];
    if (count <= SORT_BELOW || shift < 0) return this.#sorted(values, count, ranks);
    const { module, u32, u8 } = this.#kernels;
    const bins = u32.subarray(this.#bins >> 2, (this.#bins >> 2) + BINS).fill(0);
    module.countKeys(values, count, shift, this.#bins);
    const places = placesOf(bins, ranks);
    const marks = u8.subarray(this.#marks, this.#marks + BINS);
    const mark = this.#kernels.mark;
    // First all wanted bins at once, from many values; then each by itself, from few.
    for (const { bin } of places) marks[bin] = 1;
    const wanted = places.reduce((sum, { size }) => sum + size, 0);
    const gathered = this.#kernels.allocate(8 * (wanted + 1));
    module.gatherMarked(values, count, shift, this.#marks, gathered);
    for (const { bin } of places) marks[bin] = 0;
    const selected: number[] = [];
    for (const { bin, size, ranks } of places) {
      const inner = this.#kernels.mark;
      let candidates = gathered;
      if (places.length > 1) {
        candidates = this.#kernels.allocate(8 * (size + 1));
        marks[bin] = 1;
        module.gatherMarked(gathered, wanted, shift, this.#marks, candidates);
        marks[bin] = 0;
      }
      selected.push(...this.select(candidates, size, ranks, shift - 16));
      this.#kernels.release(inner);
    }
    this.#kernels.release(mark);
    return selected;
  }

  #sorted(values: number, count: number, ranks: readonly number[]): number[] {
    const { f64 } = this.#kernels;
    const column = f64.subarray(values >> 3, (values >> 3) + count);
    // All the same, as far as keys go: what is left differs in nothing.
    if (count > SORT_BELOW) return ranks.map(() => column[0]);
    const sorted = column.slice().sort();
    return ranks.map((rank) => sorted[rank]);
  }
}

interface Place {
  readonly bin: number;
  /** Values in the bin. */
  readonly size: number;
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
    if (size === 0) continue;
    const inside: number[] = [];
    while (next < ranks.length && ranks[next] < before + size) inside.push(ranks[next++] - before);
    if (inside.length > 0) places.push({ bin, size, ranks: inside });
    before += size;
  }
  return places;
}
