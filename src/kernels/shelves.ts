/**
 * Shelves: runs of values, each put in the order of the same bins of keys, so that ranks over many of them together are
 * found by looking at a few values of each.
 */
import type { Kernels } from './kernels.js';
import { keyOf } from './keys.js';
import type { Run, Selector } from './select.js';

const BIN_BITS = 10;
const BINS = 1 << BIN_BITS;
/** Smaller runs have more bins than values. */
const VALUES_MIN = 256;

export interface Shelf {
  /** Address of f64. */
  readonly values: number;
  /** Address of u32 × BINS: where each bin ends, counted in values. */
  readonly ends: number;
}

export class Shelves {
  readonly #kernels: Kernels;
  readonly #selector: Selector;
  readonly #freeEnds: number[] = [];
  /** The bins' range, which the first run decides; what lies outside is in the first or last bin. */
  #low = 0n;
  #shift = -1;

  constructor(kernels: Kernels, selector: Selector) {
    this.#kernels = kernels;
    this.#selector = selector;
  }

  /**
   * Puts the run's values in order of bins, in place.
   * @param min - the least value, and
   * @param max - the greatest
   * @returns the address of where each bin ends, for `free`; undefined for a run that is too small
   */
  shelve(run: Run, min: number, max: number): number | undefined {
    if (run.count < VALUES_MIN) return undefined;
    if (this.#shift < 0) this.#chooseBins(run, min, max);
    const ends = this.#freeEnds.pop() ?? this.#kernels.allocate(4 * BINS);
    this.#sort(run, ends);
    return ends;
  }

  free(ends: number): void {
    this.#freeEnds.push(ends);
  }

  /**
   * As `Selector.select`.
   * @param shelves - one at least
   * @param loose - values that are on none
   */
  select(
    shelves: readonly Shelf[],
    loose: readonly Run[],
    min: number,
    max: number,
    ranks: readonly number[],
  ): number[] {
    const { mark } = this.#kernels;
    const all = loose.length === 0 ? shelves : [...shelves, this.#shelfOf(loose)];
    const selected: number[] = [];
    for (let i = 0; i < ranks.length; ) {
      const bin = this.#binOf(all, ranks[i]);
      const before = this.#countUpTo(all, bin - 1);
      const end = this.#countUpTo(all, bin);
      const inside: number[] = [];
      for (; i < ranks.length && ranks[i] < end; i++) inside.push(ranks[i] - before);
      selected.push(...this.#selector.select(this.#runsOf(all, bin), min, max, inside));
    }
    this.#kernels.release(mark);
    return selected;
  }

  /** The runs' values as one shelf. */
  #shelfOf(runs: readonly Run[]): Shelf {
    const { f64 } = this.#kernels;
    const count = runs.reduce((sum, run) => sum + run.count, 0);
    const values = this.#kernels.allocate(8 * count);
    const ends = this.#kernels.allocate(4 * BINS);
    let at = values >> 3;
    for (const run of runs) {
      f64.copyWithin(at, run.values >> 3, (run.values >> 3) + run.count);
      at += run.count;
    }
    this.#sort({ values, count }, ends);
    return { values, ends };
  }

  #sort({ values, count }: Run, ends: number): void {
    const kernels = this.#kernels;
    const { mark } = kernels;
    kernels.module.sortBins(values, count, this.#low, this.#shift, BINS, ends, kernels.allocate(8 * count));
    kernels.release(mark);
  }

  /** So that all but the first and the last hundredth of the values lie in the bins' range. */
  #chooseBins(run: Run, min: number, max: number): void {
    const tail = Math.floor(run.count / 100);
    const [low, high] = this.#selector.select([run], min, max, [tail, run.count - 1 - tail]);
    this.#low = keyOf(low);
    this.#shift = Math.max(0, (keyOf(high) - this.#low).toString(2).length - BIN_BITS);
  }

  /** The bin in which the rank lies. */
  #binOf(shelves: readonly Shelf[], rank: number): number {
    let bin = 0;
    for (let half = BINS >> 1; half > 0; half >>= 1) {
      if (this.#countUpTo(shelves, bin + half - 1) <= rank) bin += half;
    }
    return bin;
  }

  /** Values in that bin and lower ones. */
  #countUpTo(shelves: readonly Shelf[], bin: number): number {
    if (bin < 0) return 0;
    const { u32 } = this.#kernels;
    let count = 0;
    for (const { ends } of shelves) count += u32[(ends >> 2) + bin];
    return count;
  }

  #runsOf(shelves: readonly Shelf[], bin: number): Run[] {
    const { u32 } = this.#kernels;
    const runs: Run[] = [];
    for (const { values, ends } of shelves) {
      const from = bin === 0 ? 0 : u32[(ends >> 2) + bin - 1];
      const end = u32[(ends >> 2) + bin];
      if (end > from) runs.push({ values: values + 8 * from, count: end - from });
    }
    return runs;
  }
}
